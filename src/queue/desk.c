/* SPDX-License-Identifier: MIT */
/*
 * A worker's place at the gates. Whoever gives a turn away puts it on the list of its desk and rings, so that
 * the turn's own worker takes it up in its own loop. While turns of the desk wait it also looks at their
 * gates every few milliseconds: at what the board says now, and at servers that have been left in peace long
 * enough. Nobody has to be told of a change on the board, and no news can be lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "queue/internal.h"

#define LOOK_MS 20

/* --- being told --- */

void desk_is_here(struct dx_desk *d)
{
    if (d->thread_known)
        return;
    pthread_mutex_lock(&d->lock);
    d->thread = pthread_self();
    pthread_mutex_unlock(&d->lock);
    d->thread_known = true;
}

void desk_tell(struct dx_desk *d, struct dx_turn *t)
{
    uint64_t one = 1;

    pthread_mutex_lock(&d->lock);
    bool first = dx_list_empty(&d->told);
    if (!dx_list_linked(&t->told))
        dx_list_push_tail(&d->told, &t->told);
    bool here = pthread_equal(pthread_self(), d->thread);
    pthread_mutex_unlock(&d->lock);
    if (!first)
        return;
    if (here)
        dx_loop_again(d->loop, &d->task);
    else if (write(d->bell, &one, sizeof(one)) < 0)
        DX_ASSERT(errno == EAGAIN); /* it rings already */
}

static struct dx_turn *next_told(struct dx_desk *d)
{
    pthread_mutex_lock(&d->lock);
    struct dx_link *link = dx_list_pop_head(&d->told);
    pthread_mutex_unlock(&d->lock);
    return link != NULL ? DX_CONTAINER(link, struct dx_turn, told) : NULL;
}

static void pass_on(struct dx_desk *d)
{
    for (struct dx_turn *t = next_told(d); t != NULL; t = next_told(d))
        t->on_turn(t);
}

static void on_task(struct dx_task *task) { pass_on(DX_CONTAINER(task, struct dx_desk, task)); }

static void on_bell(struct dx_watch *w, unsigned what)
{
    struct dx_desk *d = DX_CONTAINER(w, struct dx_desk, bell_watch);
    uint64_t count;

    (void)what;
    if (read(d->bell, &count, sizeof(count)) < 0)
        return;
    pass_on(d);
}

/* --- looking --- */

/* True: the reason for waiting has changed since the desk looked last. */
static bool look_at_gate(struct dx_desk *d, struct dx_gate *g)
{
    pthread_mutex_lock(&g->lock);
    gate_look(g);
    gate_serve(g, dx_loop_now_ms(d->loop), NULL);
    gate_publish(g);
    uint32_t epoch = atomic_load_explicit(&g->epoch, memory_order_relaxed);
    pthread_mutex_unlock(&g->lock);
    bool changed = d->epochs[g->board_pool] != epoch;
    d->epochs[g->board_pool] = epoch;
    return changed;
}

static void tell_all_of(struct dx_desk *d, const struct dx_gate *g)
{
    DX_LIST_FOR (link, &d->waiters) {
        struct dx_turn *t = DX_CONTAINER(link, struct dx_turn, waiter);
        if (t->gate == g)
            desk_tell(d, t);
    }
}

static void on_look(struct dx_deadline *deadline)
{
    struct dx_desk *d = DX_CONTAINER(deadline, struct dx_desk, look);

    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        if (d->waiting[i] > 0 && look_at_gate(d, d->queues->gates[i]))
            tell_all_of(d, d->queues->gates[i]);
    if (!dx_list_empty(&d->waiters))
        dx_deadline_set(d->loop, &d->look, LOOK_MS);
}

void desk_wait(struct dx_desk *d, struct dx_turn *t)
{
    if (dx_list_empty(&d->waiters))
        dx_deadline_set(d->loop, &d->look, LOOK_MS);
    dx_list_push_tail(&d->waiters, &t->waiter);
    if (d->waiting[t->gate->board_pool]++ == 0)
        d->epochs[t->gate->board_pool] = t->epoch;
}

void desk_done(struct dx_desk *d, struct dx_turn *t)
{
    pthread_mutex_lock(&d->lock);
    dx_list_remove(&t->told);
    pthread_mutex_unlock(&d->lock);
    if (!dx_list_linked(&t->waiter))
        return;
    dx_list_remove(&t->waiter);
    d->waiting[t->gate->board_pool]--;
}

/* --- birth and death --- */

struct dx_desk *dx_desk_new(struct dx_queues *q, struct dx_loop *l)
{
    struct dx_desk *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    DX_MAGIC_SET(d, DESK_MAGIC);
    d->queues = q;
    d->loop = l;
    d->task.run = on_task;
    d->look.on_due = on_look;
    d->bell_watch.on_event = on_bell;
    dx_list_init(&d->told);
    dx_list_init(&d->waiters);
    pthread_mutex_init(&d->lock, NULL);
    d->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (d->bell >= 0 && dx_watch_start_level(l, &d->bell_watch, d->bell))
        return d;
    dx_desk_free(&d);
    return NULL;
}

void dx_desk_free(struct dx_desk **dp)
{
    struct dx_desk *d = *dp;
    if (d == NULL)
        return;
    *dp = NULL;
    DX_MAGIC_OK(d, DESK_MAGIC);
    DX_ASSERT(dx_list_empty(&d->waiters) && dx_list_empty(&d->told));
    dx_watch_stop(&d->bell_watch);
    dx_deadline_clear(&d->look);
    dx_task_cancel(&d->task);
    if (d->bell >= 0)
        close(d->bell);
    pthread_mutex_destroy(&d->lock);
    DX_MAGIC_CLEAR(d);
    free(d);
}
