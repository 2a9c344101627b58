/* SPDX-License-Identifier: MIT */
/*
 * Two batches: workers fill one while the thread writes the other. The lock is held for a memcpy, never for a
 * write(2).
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
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
    bool ending;
    _Atomic bool hurry;   /* ending: a reader that does not read is given up soon */
    uint64_t give_up_us;  /* when; 0: no hurry yet. The thread's own */
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

static void write_batch(struct dx_journal *j)
{
    size_t done = 0;

    while (done < j->writing.n && !patience_is_over(j)) {
        struct pollfd ready = {.fd = j->fd, .events = POLLOUT};
        if (!j->is_file && poll(&ready, 1, POLL_MS) <= 0)
            continue;
        /* A pipe that is ready takes PIPE_BUF bytes without blocking, and no promise is made for more. */
        size_t n = j->writing.n - done;
        ssize_t wrote = write(j->fd, j->writing.p + done, j->is_file || n < PIPE_BUF ? n : PIPE_BUF);
        if (wrote > 0)
            done += (size_t)wrote;
        else if (errno != EINTR && errno != EAGAIN)
            break; /* the reader is gone, or the disk is full: the lines have nowhere to go */
    }
    j->writing.n = 0;
}

/* Waits until there is something to write: a half-full batch at once, anything after flush_ms. */
static void wait_for_lines(struct dx_journal *j)
{
    struct timespec until;

    while (!j->ending && j->filling.n == 0)
        pthread_cond_wait(&j->wake, &j->lock);
    if (j->ending || j->filling.n >= j->batch_bytes / 2 || j->flush_ms == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += j->flush_ms / 1000;
    until.tv_nsec += (long)(j->flush_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (!j->ending && j->filling.n < j->batch_bytes / 2)
        if (pthread_cond_timedwait(&j->wake, &j->lock, &until) == ETIMEDOUT)
            return;
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
    pthread_mutex_unlock(&j->lock);
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

void dx_journal_free(struct dx_journal **jp)
{
    struct dx_journal *j = *jp;
    if (j == NULL)
        return;
    *jp = NULL;
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    j->hurry = true;
    pthread_mutex_lock(&j->lock);
    j->ending = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j->filling.p);
    free(j->writing.p);
    DX_MAGIC_CLEAR(j);
    free(j);
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
