/* SPDX-License-Identifier: MIT */
/*
 * The errands of the history that admin shows: a sample every few seconds, and an ear at control's own log,
 * whose events are what is worth remembering. It goes on without any admin address too: a reload may open
 * one.
 */
#include "diplex/os/clock.h"
#include "supervise/control.h"

/* The log's listener has no argument, and hears the threads of the journals as well: what they say of
 * themselves is not worth a lock. */
static struct dx_history *listening;
static _Thread_local bool is_control;

static struct dx_history_time moment(void)
{
    return (struct dx_history_time){.at_ms = dx_clock_us() / 1000, .wall_us = dx_clock_wall_us()};
}

static void hear(enum dx_log_level level, const char *event, const struct dx_kv *kv)
{
    if (is_control)
        dx_history_event(listening, level, event, kv, moment());
}

static void on_sample(struct dx_timer *t)
{
    struct control *c = DX_CONTAINER(t, struct control, sampling);
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    dx_history_sample(c->history, c->board, c->now->config, moment());
    dx_timer_set(c->loop, &c->sampling, DX_HISTORY_EVERY_MS);
}

bool history_start(struct control *c, struct dx_err *err)
{
    c->history = dx_history_new(moment());
    if (!c->history)
        return dx_err_set(err, "out of memory");
    listening = c->history;
    is_control = true;
    dx_log_set_listener(hear);
    c->sampling.on_due = on_sample;
    dx_timer_set(c->loop, &c->sampling, 0);
    return true;
}

void history_stop(struct control *c)
{
    dx_log_set_listener(NULL);
    if (c->loop)
        dx_timer_clear(&c->sampling);
    dx_history_free(&c->history);
}

void history_tell(void *control, uint64_t since, struct dx_text *out)
{
    struct control *c = control;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    dx_history_write(c->history, since, moment(), out);
}
