/* SPDX-License-Identifier: MIT */
/*
 * The ways out, on the journal's own thread. A stream takes a batch as it is; a socket takes a datagram for
 * each line. Whoever reads may be slow, or not there: then the thread waits here, and only here, while the
 * other batch fills. It waits until the reader is back, the journal ends, or another way is to be taken.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "journal/internal.h"

#define FAREWELL_MS 1000u /* how long all that is left may take when the journal ends */
#define POLL_MS     100

void way_look(struct dx_journal *j)
{
    struct stat st;
    j->is_file = fstat(j->way.fd, &st) == 0 && S_ISREG(st.st_mode);
    j->torn = false;
}

void way_take_next(struct dx_journal *j)
{
    if (j->way.owned)
        close(j->way.fd);
    j->way = j->next;
    j->turning = false;
    way_look(j);
}

/* One farewell for all that is left, however slowly it goes. */
static bool patience_is_over(struct dx_journal *j)
{
    if (!j->hurry)
        return false;
    if (j->give_up_us == 0)
        j->give_up_us = dx_clock_us() + FAREWELL_MS * 1000;
    return dx_clock_us() >= j->give_up_us;
}

static bool gives_up(struct dx_journal *j) { return j->turning || patience_is_over(j); }

/* --- streams --- */

/* A pipe that is ready takes PIPE_BUF bytes without blocking and in one piece, and no promise is made for
 * more: so the lines of two processes that write into one do not run into each other. */
static size_t piece(const struct dx_journal *j, const char *p, size_t n)
{
    if (j->is_file || n <= PIPE_BUF)
        return n;
    for (size_t i = PIPE_BUF; i > 0; i--)
        if (p[i - 1] == '\n')
            return i;
    return PIPE_BUF;
}

/* How much of it was written, which is all but when the reader is gone or the disk is full: then lines have
 * nowhere to go. A regular file is never waited for. */
static size_t write_out(struct dx_journal *j, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n && (j->is_file ? !patience_is_over(j) : !gives_up(j))) {
        struct pollfd ready = {.fd = j->way.fd, .events = POLLOUT};
        if (!j->is_file && poll(&ready, 1, POLL_MS) <= 0)
            continue;
        ssize_t wrote = write(j->way.fd, p + done, piece(j, p + done, n - done));
        if (wrote > 0)
            done += (size_t)wrote;
        else if (errno != EINTR && errno != EAGAIN)
            break;
    }
    if (done > 0)
        j->torn = p[done - 1] != '\n';
    return done;
}

/* A line of which only a part found room on the disk ends there, and does not run into the next one. */
static bool mend(struct dx_journal *j) { return !j->torn || write_out(j, "\n", 1) == 1; }

/* --- lines one by one --- */

static const char *stamp(struct dx_journal *j)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm t;

    if (now == j->stamp_s || localtime_r(&now, &t) == NULL)
        return j->stamp;
    j->stamp_s = now;
    (void)snprintf(j->stamp, sizeof j->stamp, "%s %2u %02u:%02u:%02u", months[(unsigned)t.tm_mon % 12],
                   (unsigned)t.tm_mday % 100, (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100,
                   (unsigned)t.tm_sec % 100);
    return j->stamp;
}

static bool connect_again(const struct dx_journal *j)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _Static_assert(sizeof a.sun_path == DX_JOURNAL_PATH, "a way's path is a socket's");
    memcpy(a.sun_path, j->way.path, sizeof a.sun_path);
    return connect(j->way.fd, (const struct sockaddr *)&a, sizeof a) == 0;
}

enum sent { SENT, TOO_LONG, NOBODY };

/* EAGAIN: its reader has enough for now. Otherwise it is gone, and whoever comes after it has a socket of the
 * same name. */
static enum sent send_datagram(struct dx_journal *j, struct dx_slice s)
{
    for (;;) {
        if (send(j->way.fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return SENT;
        if (errno == EMSGSIZE)
            return TOO_LONG;
        bool full = errno == EAGAIN;
        if (errno == EINTR)
            continue;
        if (gives_up(j))
            return NOBODY;
        if (!full && connect_again(j))
            continue;
        struct pollfd room = {.fd = j->way.fd, .events = POLLOUT};
        (void)poll(&room, full ? 1 : 0, POLL_MS);
    }
}

/* False: it did not get out. */
static bool write_line(struct dx_journal *j, struct dx_slice line, uint64_t *lost)
{
    struct dx_out o = dx_out_of(j->room, FRAME_BYTES);
    enum sent sent = TOO_LONG;

    frame_line(&j->way, line, stamp(j), &o);
    struct dx_slice framed = dx_out_slice(&o);
    if (j->way.form == DX_JOURNAL_PREFIXED)
        return write_out(j, framed.p, framed.n) == framed.n;
    if (!o.overflow)
        sent = send_datagram(j, framed);
    *lost += sent == TOO_LONG;
    return sent != NOBODY;
}

size_t way_write(struct dx_journal *j, struct dx_slice lines, uint64_t *lost)
{
    size_t done = 0;

    if (!mend(j))
        return 0;
    if (j->way.form == DX_JOURNAL_PLAIN)
        return write_out(j, lines.p, lines.n);
    while (done < lines.n) {
        struct dx_slice left = dx_slice_of(lines.p + done, lines.n - done);
        size_t n = dx_slice_find(left, '\n');
        if (!write_line(j, dx_slice_of(left.p, n), lost))
            break;
        done += n < left.n ? n + 1 : n;
    }
    return done;
}
