/* SPDX-License-Identifier: MIT */
/*
 * Two batches: workers fill one while the thread writes the other. The lock is held for a memcpy, never for a
 * write(2).
 */
#include "diplex/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "journal/internal.h"

#define JOURNAL_MAGIC 0x4a524e4cu
#define STUCK_MS      1500u     /* after which the thread is not waited for: its farewell is over, too */
#define TELL_EVERY_US 60000000u /* how often it is told that lines were dropped */

static uint64_t lines_in(struct dx_slice s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

/* Another way is taken in the middle of a batch when nobody reads at the end of the old one. The line whose
 * beginning is there ends there. */
static bool turn(struct dx_journal *j, struct dx_slice *left, uint64_t *lost)
{
    bool torn = j->torn;

    if (!j->turning)
        return false;
    pthread_mutex_lock(&j->lock);
    way_take_next(j);
    pthread_mutex_unlock(&j->lock);
    if (torn) {
        size_t rest = dx_slice_find(*left, '\n');
        rest += rest < left->n;
        *left = dx_slice_of(left->p + rest, left->n - rest);
        *lost += 1;
    }
    return true;
}

/* It works again, after lines have been dropped. */
static void tell(struct dx_journal *j)
{
    uint64_t now = dx_clock_us();

    if (j->again == NULL || (j->told_us != 0 && now - j->told_us < TELL_EVERY_US))
        return;
    j->told_us = now;
    j->again(j->again_arg, atomic_exchange(&j->untold, 0));
}

static void write_batch(struct dx_journal *j)
{
    struct dx_slice left = dx_slice_of(j->writing.p, j->writing.n);
    uint64_t lost = 0;

    do {
        size_t done = way_write(j, left, &lost);
        left = dx_slice_of(left.p + done, left.n - done);
    } while (left.n > 0 && turn(j, &left, &lost));
    lost += lines_in(left);
    j->writing.n = 0;
    if (lost > 0) {
        j->lost += lost;
        j->untold += lost;
    } else if (j->untold > 0) {
        tell(j);
    }
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

/* Waits until there is something to do: a half-full batch or another way at once, anything after flush_ms. */
static void wait_for_lines(struct dx_journal *j)
{
    while (!j->ending && !j->turning && j->filling.n == 0)
        pthread_cond_wait(&j->wake, &j->lock);
    if (j->ending || j->turning || j->filling.n >= j->batch_bytes / 2 || j->flush_ms == 0)
        return;
    const struct timespec until = from_now(j->flush_ms);
    while (!j->ending && !j->turning && j->filling.n < j->batch_bytes / 2)
        if (pthread_cond_timedwait(&j->wake, &j->lock, &until) == ETIMEDOUT)
            return;
}

static void close_way(struct dx_journal_way *w)
{
    if (w->owned)
        close(w->fd);
}

static void destroy(struct dx_journal *j)
{
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    close_way(&j->way);
    if (j->turning)
        close_way(&j->next);
    free(j->filling.p);
    free(j->writing.p);
    free(j->room);
    DX_MAGIC_CLEAR(j);
    free(j);
}

static void *writer(void *arg)
{
    struct dx_journal *j = arg;

    pthread_mutex_lock(&j->lock);
    for (;;) {
        wait_for_lines(j);
        if (j->turning)
            way_take_next(j);
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

struct dx_journal *dx_journal_new(const struct dx_journal_way *w, size_t batch_bytes, unsigned flush_ms)
{
    struct dx_journal *j = calloc(1, sizeof(*j));
    pthread_condattr_t monotonic;

    if (j == NULL)
        return NULL;
    DX_MAGIC_SET(j, JOURNAL_MAGIC);
    j->way = *w;
    way_look(j);
    j->batch_bytes = batch_bytes;
    j->flush_ms = flush_ms;
    j->stamp_s = -1;
    j->filling.p = malloc(batch_bytes);
    j->writing.p = malloc(batch_bytes);
    j->room = malloc(FRAME_BYTES);
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    bool room = j->filling.p != NULL && j->writing.p != NULL && j->room != NULL;
    if (room && pthread_create(&j->thread, NULL, writer, j) == 0)
        return j;
    j->way.owned = false;
    destroy(j);
    return NULL;
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
    if (!fits)
        j->untold += lines_in(lines);
    return fits;
}

void dx_journal_turn(struct dx_journal *j, const struct dx_journal_way *w)
{
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    pthread_mutex_lock(&j->lock);
    if (j->turning)
        close_way(&j->next);
    j->next = *w;
    j->turning = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

uint64_t dx_journal_lost(struct dx_journal *j)
{
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    return j->lost == 0 ? 0 : atomic_exchange(&j->lost, 0);
}

void dx_journal_on_again(struct dx_journal *j, void (*again)(void *arg, uint64_t lines), void *arg)
{
    DX_MAGIC_OK(j, JOURNAL_MAGIC);
    pthread_mutex_lock(&j->lock);
    j->again_arg = arg;
    j->again = again;
    pthread_mutex_unlock(&j->lock);
}
