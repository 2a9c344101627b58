/* SPDX-License-Identifier: MIT */
/*
 * The watchdog, for a service manager that asked for one (WATCHDOG_USEC, sd_watchdog_enabled(3)). Two look
 * after two:
 *
 *     service manager  <- WATCHDOG=1, twice in each period -  control  - PING, twice in each period ->  every
 * worker of data
 *
 * A control that turns no more is for the manager, which starts everything anew. A worker that turns no more
 * is for us: data alone is killed and started again on the same sockets, so that connections that wait,
 * counters and verdicts outlive it. Only when the killed one does not even end is the manager no longer told
 * that all is well.
 */
#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "supervise/control.h"

#define LEAST_MS 20 /* between two ticks, however short the period */

static uint64_t now_ms(void) { return dx_clock_us() / 1000; }

static uint64_t tick_ms(const struct watchdog *w)
{
    return w->period_ms / 2 > LEAST_MS ? w->period_ms / 2 : LEAST_MS;
}

static void ask(struct control *c)
{
    struct watchdog *w = &c->watchdog;
    w->asked++;
    w->asked_ms = now_ms();
    w->asked_of = c->data;
    w->waiting = true;
    letters_send(c, &(struct dx_letter){.type = DX_LETTER_PING, .number = w->asked, .fd = -1});
}

static void end_stuck(struct control *c, unsigned worker)
{
    struct watchdog *w = &c->watchdog;
    dx_log(DX_LOG_ERROR, "data_stuck", DX_KI("pid", c->data), DX_KI("worker", worker),
           DX_KI("silent_ms", now_ms() - w->asked_ms));
    w->killed = c->data;
    w->killed_ms = now_ms();
    child_kill(c);
}

/* Each worker is asked again as soon as all have answered, and has a whole period for it. */
static void look_at_workers(struct control *c)
{
    struct watchdog *w = &c->watchdog;
    unsigned last = 0;
    bool unseen = c->crew.seat == DX_BOARD_NONE; /* after an upgrade that failed: it beats on another board */
    if (!c->data_ready || c->stopping || unseen || w->killed == c->data) {
        w->waiting = false;
        return;
    }
    /* Another data process than the one that was asked knows nothing of the question. */
    if (!w->waiting || w->asked_of != c->data || dx_board_beat_least(c->board, &last) >= w->asked)
        ask(c);
    else if (now_ms() - w->asked_ms >= w->period_ms)
        end_stuck(c, last);
}

static void on_tick(struct dx_timer *t)
{
    struct control *c = DX_CONTAINER(t, struct control, watchdog.tick);
    struct watchdog *w = &c->watchdog;
    uint64_t now = now_ms();
    /* We were stopped ourselves, or the whole machine was: nobody else is to blame for his silence. */
    if (now - w->ticked_ms > 2 * tick_ms(w))
        w->asked_ms = now;
    w->ticked_ms = now;
    if (w->killed != c->data)
        w->killed = -1;
    look_at_workers(c);
    if (w->killed < 0 || now - w->killed_ms < w->period_ms)
        notify_state("WATCHDOG=1");
    dx_timer_set(c->loop, t, tick_ms(w));
}

void watchdog_start(struct control *c)
{
    struct watchdog *w = &c->watchdog;
    const char *period = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t us = 0, whose = (uint64_t)getpid();
    w->killed = -1;
    if (!period || !dx_slice_to_u64(dx_slice_str(period), &us) || us / 1000 == 0)
        return;
    if (pid && (!dx_slice_to_u64(dx_slice_str(pid), &whose) || whose != (uint64_t)getpid()))
        return;
    w->period_ms = us / 1000;
    w->ticked_ms = now_ms();
    w->tick.on_due = on_tick;
    dx_log(DX_LOG_DEBUG, "watchdog", DX_KI("period_ms", w->period_ms));
    dx_timer_set(c->loop, &w->tick, tick_ms(w));
}

void watchdog_stop(struct control *c)
{
    if (c->watchdog.period_ms)
        dx_timer_clear(&c->watchdog.tick);
}
