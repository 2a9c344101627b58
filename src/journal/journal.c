/* SPDX-License-Identifier: MIT */
/*
 * Two batches: workers fill one while the thread writes the other. The lock is held for a memcpy, never for a
 * write(2).
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "diplex/journal.h"
#include "diplex/os/clock.h"

#define JOURNAL_MAGIC 0x4a524e4cu
#define FAREWELL_MS   1000u /* how long the last batch may take when the journal ends */
#define POLL_MS       100
#define STUCK_MS      1500u /* after which the thread is not waited for: its farewell is over, too */

struct batch {
    char *p;
    size_t n;
};

struct dx_journal {
    uint32_t magic;
    int fd;
    size_t batch_bytes;
    unsigned flush_ms;
    bool is_file;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct batch filling, writing;
    bool ending, ended;
    bool left_behind;      /* stuck in a write when it was to end: the thread frees it all */
    _Atomic bool hurry;    /* ending: a reader that does not read is given up soon */
    _Atomic uint64_t lost; /* lines that could not be written, since somebody asked */
    uint64_t give_up_us;   /* when; 0: no hurry yet. The thread's own, as the next */
    bool torn;             /* the last line that was written is not whole */
};

/* One farewell for all that is left, however slowly it goes. */
static bool patience_is_over(struct dx_journal *j)
{
    if (!j->hurry)
        return false;
    if (j->give_up_us == 0)
        j->give_up_us = dx_clock_us() + FAREWELL_MS * 1000;
    return dx_clock_us() >= j->give_up_us;
}

/* How much of it was written, which is all but when the reader is gone or the disk is full: then lines have
 * nowhere to go. */
static size_t write_out(struct dx_journal *j, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n && !patience_is_over(j)) {
        struct pollfd ready = {.fd = j->fd, .events = POLLOUT};
        if (!j->is_file && poll(&ready, 1, POLL_MS) <= 0)
            continue;
        /* A pipe that is ready takes PIPE_BUF bytes without blocking, and no promise is made for more. */
        size_t most = j->is_file || n - done < PIPE_BUF ? n - done : PIPE_BUF;
        ssize_t wrote = write(j->fd, p + done, most);
        if (wrote > 0)
            done += (size_t)wrote;
        else if (errno != EINTR && errno != EAGAIN)
            break;
    }
    return done;
}

/* A line of which only a part found room on the disk ends there, and does not run into the next one. */
static void write_batch(struct dx_journal *j)
{
    const char *p = j->writing.p;
    size_t n = j->writing.n, done = 0;

    if (j->torn)
        j->torn = write_out(j, "\n", 1) == 0;
    if (!j->torn)
        done = write_out(j, p, n);
    if (done > 0)
        j->torn = p[done - 1] != '\n';
    for (size_t i = done; i < n; i++)
        j->lost += p[i] == '\n';
    j->writing.n = 0;
}

static struct timespec from_now(unsigned ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

/* Waits until there is something to write: a half-full batch at once, anything after flush_ms. */
static void wait_for_lines(struct dx_journal *j)
{
    while (!j->ending && j->filling.n == 0)
        pthread_cond_wait(&j->wake, &j->lock);
    if (j->ending || j->filling.n >= j->batch_bytes / 2 || j->flush_ms == 0)
        return;
    const struct timespec until = from_now(j->flush_ms);
    while (!j->ending && j->filling.n < j->batch_bytes / 2)
        if (pthread_cond_timedwait(&j->wake, &j->lock, &until) == ETIMEDOUT)
            return;
}

static void destroy(struct dx_journal *j)
{
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j->filling.p);
    free(j->writing.p);
    DX_MAGIC_CLEAR(j);
    free(j);
}

static void *writer(void *arg)
{
    struct dx_journal *j = arg;

    pthread_mutex_lock(&j->lock);
    for (;;) {
        wait_for_lines(j);
        if (j->filling.n == 0 && j->ending)
            break;
        struct batch full = j->filling;
        j->filling = j->writing;
        j->writing = full;
        pthread_mutex_unlock(&j->lock);
        write_batch(j);
        pthread_mutex_lock(&j->lock);
    }
    j->ended = true;
    bool alone = j->left_behind;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    if (alone)
        destroy(j);
    return NULL;
}

struct dx_journal *dx_journal_new(int fd, size_t batch_bytes, unsigned flush_ms)
{
    struct dx_journal *j = calloc(1, sizeof(*j));
    pthread_condattr_t monotonic;

    if (j == NULL)
        return NULL;
    DX_MAGIC_SET(j, JOURNAL_MAGIC);
    j->fd = fd;
    j->batch_bytes = batch_bytes;
    j->flush_ms = flush_ms;
    struct stat st;
    j->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    j->filling.p = malloc(batch_bytes);
    j->writing.p = malloc(batch_bytes);
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (j->filling.p == NULL || j->writing.p == NULL || pthread_create(&j->thread, NULL, writer, j) != 0) {
        free(j->filling.p);
        free(j->writing.p);
        free(j);
        return NULL;
    }
    return j;
}

/* False: the thread is stuck in a write. Two processes may have seen the same last room in a pipe. */
static bool ends_in_time(struct dx_journal *j)
{
    const struct timespec until = from_now(STUCK_MS);
    int error = 0;

    j->hurry = true;
    pthread_mutex_lock(&j->lock);
    j->ending = true;
    pthread_cond_signal(&j->wake);
    while (!j->ended && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&j->wake, &j->lock, &until);
    bool ended = j->ended;
    j->left_behind = !ended;
    if (!ended)
        pthread_detach(j->thread);
    pthread_mutex_unlock(&j->lock);
    return ended;
}

void dx_journal_free(struct dx_journal **jp)
{
    struct dx_journal *j = *jp;
    if (j == NULL)
        return;
    *jp = NULL;
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    if (!ends_in_time(j))
        return;
    pthread_join(j->thread, NULL);
    destroy(j);
}

bool dx_journal_write(struct dx_journal *j, struct dx_slice lines)
{
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    pthread_mutex_lock(&j->lock);
    bool fits = lines.n <= j->batch_bytes - j->filling.n;
    if (fits) {
        bool was_empty = j->filling.n == 0;
        bool was_small = j->filling.n < j->batch_bytes / 2;
        memcpy(j->filling.p + j->filling.n, lines.p, lines.n);
        j->filling.n += lines.n;
        if (was_empty || (was_small && j->filling.n >= j->batch_bytes / 2))
            pthread_cond_signal(&j->wake);
    }
    pthread_mutex_unlock(&j->lock);
    return fits;
}

uint64_t dx_journal_lost(struct dx_journal *j)
{
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    return j->lost == 0 ? 0 : atomic_exchange(&j->lost, 0);
}
