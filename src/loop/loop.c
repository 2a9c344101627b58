/* SPDX-License-Identifier: MIT */
/*
 * The loop, its trampolines and its graves. Every callback of libevent enters through one of the trampolines
 * below; they forget the cached time before the owner's callback and empty the graves after it, so that an
 * object may be ended anywhere and is freed where nobody stands on it.
 *
 * The tick of the deadlines is a descriptor of its own (timerfd), not a time-out of libevent: armed once in a
 * long while it leaves epoll_wait without one, and the kernel sets up no timer each time the loop falls
 * asleep.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "diplex/loop.h"
#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "loop/internal.h"

#define LOOP_MAGIC 0x4c4f4f50u

_Static_assert(sizeof(struct event) <= sizeof(((struct dx_watch *)0)->event),
               "struct event does not fit its room");

static struct event *as_event(uint64_t *room) { return (struct event *)(void *)room; }

/* Owners zero their objects; libevent marks an event that was assigned with EVLIST_INIT. */
static bool assigned(uint64_t *room) { return event_initialized(as_event(room)) != 0; }

static void reap(struct dx_loop *l)
{
    struct dx_link *link;
    while ((link = dx_list_pop_head(&l->graves)) != NULL) {
        struct dx_grave *g = DX_CONTAINER(link, struct dx_grave, link);
        g->bury(g);
    }
}

static void forget_time(struct dx_loop *l) { l->now_us = 0; }

/* Before each callback. The reading with which a turn begins serves its first callback too. */
static void begin(struct dx_loop *l)
{
    forget_time(l);
    if (l->turn_us == 0)
        l->turn_us = dx_loop_now_us(l);
}

static void run_tasks(evutil_socket_t fd, short what, void *arg)
{
    struct dx_loop *l = arg;
    struct dx_link now;
    struct dx_link *link;

    (void)fd, (void)what;
    l->tasks_armed = false;
    dx_list_init(&now);
    while ((link = dx_list_pop_head(&l->tasks)) != NULL)
        dx_list_push_tail(&now, link);
    while ((link = dx_list_pop_head(&now)) != NULL) {
        struct dx_task *t = DX_CONTAINER(link, struct dx_task, link);
        begin(l);
        t->run(t);
        reap(l);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct dx_loop *l = arg;
    uint64_t times;
    (void)what;
    if (read(fd, &times, sizeof(times)) < 0)
        return; /* armed anew since it rang */
    begin(l);
    loop_deadlines_due(l);
    reap(l);
}

struct dx_loop *dx_loop_new(void)
{
    struct dx_loop *l = calloc(1, sizeof(*l));
    struct event_config *config = event_config_new();

    if (l == NULL)
        goto out;
    DX_MAGIC_SET(l, LOOP_MAGIC);
    l->tick_fd = -1;
    if (config == NULL)
        goto out;
    dx_list_init(&l->graves);
    dx_list_init(&l->tasks);
    dx_list_init(&l->odd);
    l->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->tick_fd < 0)
        goto out;
    if (event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) != 0 ||
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) != 0)
        goto out;
    l->base = event_base_new_with_config(config);
    if (l->base == NULL)
        goto out;
    l->tick = event_new(l->base, l->tick_fd, EV_READ | EV_PERSIST, on_tick, l);
    l->turn = event_new(l->base, -1, 0, run_tasks, l);
out:
    if (config != NULL)
        event_config_free(config);
    if (l != NULL && (l->tick == NULL || l->turn == NULL || event_add(l->tick, NULL) != 0))
        dx_loop_free(&l);
    return l;
}

void dx_loop_free(struct dx_loop **lp)
{
    struct dx_loop *l = *lp;
    if (l == NULL)
        return;
    *lp = NULL;
    DX_MAGIC_OK(l, LOOP_MAGIC);
    if (l->graves.next != NULL)
        reap(l);
    if (l->tick != NULL)
        event_free(l->tick);
    if (l->turn != NULL)
        event_free(l->turn);
    if (l->base != NULL)
        event_base_free(l->base);
    dx_fd_close(&l->tick_fd);
    DX_MAGIC_CLEAR(l);
    free(l);
}

static void note_turn(struct dx_loop *l)
{
    const struct dx_loop_turns *t = &l->turns;
    uint64_t began_us = l->turn_us;

    l->turn_us = 0;
    if (t->longest_us == NULL || began_us == 0)
        return;
    uint64_t us = dx_clock_us() - began_us;
    if (us > atomic_load_explicit(t->longest_us, memory_order_relaxed))
        atomic_store_explicit(t->longest_us, us, memory_order_relaxed);
    if (us > DX_LOOP_LONG_US)
        atomic_store_explicit(t->long_n, atomic_load_explicit(t->long_n, memory_order_relaxed) + 1,
                              memory_order_relaxed);
}

void dx_loop_run(struct dx_loop *l)
{
    DX_MAGIC_OK(l, LOOP_MAGIC);
    forget_time(l);
    l->stopped = false;
    do {
        if (event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
            DX_NEVER("the event loop failed");
        note_turn(l);
    } while (!l->stopped);
}

void dx_loop_time_turns(struct dx_loop *l, const struct dx_loop_turns *turns)
{
    DX_MAGIC_OK(l, LOOP_MAGIC);
    DX_ASSERT(turns->longest_us != NULL && turns->long_n != NULL);
    l->turns = *turns;
}

void dx_loop_stop(struct dx_loop *l)
{
    l->stopped = true;
    event_base_loopbreak(l->base);
}

uint64_t dx_loop_now_us(struct dx_loop *l)
{
    if (l->now_us == 0)
        l->now_us = dx_clock_us();
    return l->now_us;
}

uint64_t dx_loop_refresh_us(struct dx_loop *l) { return l->now_us = dx_clock_us(); }

/* --- watches --- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct dx_watch *w = arg;
    struct dx_loop *l = w->loop;
    unsigned ready = 0;

    (void)fd;
    ready |= (what & EV_READ) ? (unsigned)DX_READ : 0;
    ready |= (what & EV_WRITE) ? (unsigned)DX_WRITE : 0;
    ready |= (what & EV_CLOSED) ? (unsigned)DX_HUNG_UP : 0;
    begin(l);
    w->on_event(w, ready);
    reap(l);
}

static bool start(struct dx_loop *l, struct dx_watch *w, int fd, short events)
{
    DX_ASSERT(w->on_event != NULL && fd >= 0);
    w->loop = l;
    w->fd = fd;
    event_assign(as_event(w->event), l->base, fd, events, on_ready, w);
    return event_add(as_event(w->event), NULL) == 0;
}

bool dx_watch_start_edge(struct dx_loop *l, struct dx_watch *w, int fd)
{
    return start(l, w, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST);
}

bool dx_watch_start_level(struct dx_loop *l, struct dx_watch *w, int fd)
{
    return start(l, w, fd, EV_READ | EV_PERSIST);
}

bool dx_watch_start(struct dx_loop *l, struct dx_watch *w, int fd, unsigned what)
{
    short events = EV_PERSIST;
    if (what & DX_READ)
        events |= EV_READ;
    if (what & DX_WRITE)
        events |= EV_WRITE;
    dx_watch_stop(w);
    return start(l, w, fd, events);
}

void dx_watch_stop(struct dx_watch *w)
{
    if (assigned(w->event))
        event_del(as_event(w->event));
}

/* --- timers --- */

static struct timeval from_ms(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

static void timer_due(struct dx_timer *t)
{
    t->set = false;
    t->on_due(t);
}

static void on_instead(struct dx_deadline *d) { timer_due(DX_CONTAINER(d, struct dx_timer, instead)); }

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct dx_timer *t = arg;
    struct dx_loop *l = t->loop;
    (void)fd, (void)what;
    begin(l);
    timer_due(t);
    reap(l);
}

void dx_timer_set(struct dx_loop *l, struct dx_timer *t, uint64_t ms)
{
    struct timeval delay = from_ms(ms);
    if (!t->set) {
        t->loop = l;
        event_assign(as_event(t->event), l->base, -1, 0, on_timer, t);
    }
    dx_deadline_clear(&t->instead);
    t->set = true;
    if (event_add(as_event(t->event), &delay) == 0)
        return;
    t->instead.on_due = on_instead;
    dx_deadline_set(l, &t->instead, ms > 0 ? ms : 1);
}

void dx_timer_clear(struct dx_timer *t)
{
    if (t->set)
        event_del(as_event(t->event));
    dx_deadline_clear(&t->instead);
    t->set = false;
}

void loop_arm_tick(struct dx_loop *l, uint64_t ms)
{
    struct itimerspec once = {
        .it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000)}};
    DX_ASSERT(ms > 0);
    if (timerfd_settime(l->tick_fd, 0, &once, NULL) != 0)
        DX_NEVER("a timer cannot be set");
}

/* --- signals --- */

static void on_signal_event(evutil_socket_t number, short what, void *arg)
{
    struct dx_signal *s = arg;
    struct dx_loop *l = s->loop;
    (void)what;
    begin(l);
    s->on_signal(s, (int)number);
    reap(l);
}

bool dx_signal_start(struct dx_loop *l, struct dx_signal *s, int number)
{
    s->loop = l;
    event_assign(as_event(s->event), l->base, number, EV_SIGNAL | EV_PERSIST, on_signal_event, s);
    return event_add(as_event(s->event), NULL) == 0;
}

void dx_signal_stop(struct dx_signal *s)
{
    if (assigned(s->event))
        event_del(as_event(s->event));
}

/* --- tasks and graves --- */

static void on_tasks_instead(struct dx_deadline *d)
{
    run_tasks(-1, 0, DX_CONTAINER(d, struct dx_loop, instead));
}

void dx_loop_again(struct dx_loop *l, struct dx_task *t)
{
    struct timeval at_once = {0, 0};
    if (dx_list_linked(&t->link))
        return;
    dx_list_push_tail(&l->tasks, &t->link);
    if (l->tasks_armed)
        return;
    l->tasks_armed = true;
    if (event_add(l->turn, &at_once) == 0)
        return;
    l->instead.on_due = on_tasks_instead;
    dx_deadline_set(l, &l->instead, 1);
}

void dx_task_cancel(struct dx_task *t) { dx_list_remove(&t->link); }

void dx_loop_bury(struct dx_loop *l, struct dx_grave *g) { dx_list_push_tail(&l->graves, &g->link); }
