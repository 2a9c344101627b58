/* SPDX-License-Identifier: MIT */
/*
 * Reload in place. Each step can still be undone until data says READY:
 *
 *     read and check the file -> open new sockets -> new pools on the board -> CONFIG to data -> READY: in
 * force |                          |                    |                       |
 *          +--------------------------+--------------------+-----------------------+--> refused, nothing has
 * changed
 *
 * One at a time; all who ask meanwhile are answered by the one that follows, which reads the file anew.
 */
#include <stdio.h>
#include <stdlib.h>

#include "diplex/os/clock.h"
#include "diplex/os/memory.h"
#include "diplex/os/process.h"
#include "supervise/control.h"

#define NOTIFY_BYTES 64

static void answer(struct replies *replies, enum dx_admin_result result, const char *text)
{
    for (size_t i = 0; i < replies->n; i++)
        dx_admin_reply_send(replies->at[i], result, dx_slice_str(text));
    replies->n = 0;
}

static void remember(struct control *c, bool ok, const char *text)
{
    c->last_reload.at_us = dx_clock_us();
    c->last_reload.wall_us = dx_clock_wall_us();
    c->last_reload.ok = ok;
    if (ok)
        c->last_reload.ok_wall_us = c->last_reload.wall_us;
    else
        c->last_reload.refused++;
    snprintf(c->last_reload.text, sizeof c->last_reload.text, "%s", text);
}

static void refuse(struct control *c, const char *first, const char *report)
{
    dx_log(DX_LOG_ERROR, "reload_failed", DX_KS("error", first), DX_KI("generation", c->now->generation));
    remember(c, false, first);
    answer(&c->asked, DX_ADMIN_REFUSED, report);
    if (c->upgrade.going_on)
        upgrade_tell(c, report);
    if (c->data_ready)
        notify_state("READY=1");
}

/* Sockets and workers as `now` has them. */
static void drop(struct control *c, struct plan **next)
{
    plan_free(next);
    listeners_settle(c->now, c->now->workers);
    seats_undo(c);
}

/* And the board shows what `now` says again, and nothing of `next`. */
static void undo(struct control *c, struct plan *next)
{
    struct dx_err err;
    if (!pools_watch(c, c->now, &err))
        dx_log(DX_LOG_ERROR, "pools_incomplete", DX_KS("error", err.text));
    c->on_board = c->now;
    pools_forget(c, next, c->now);
    drop(c, &next);
}

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

/* Settings that only a new start can put in force. */
static void find_unapplied(const struct control *c, struct dx_text *keys)
{
    const struct dx_config *config = c->now->config;
    if (!same_text(config->user, c->user))
        dx_text_adds(keys, " user");
    if (config->sandbox != c->sandbox)
        dx_text_adds(keys, " sandbox");
    if (config->core_dumps != c->core_dumps)
        dx_text_adds(keys, " core_dumps");
    if (c->folder_waits)
        dx_text_adds(keys, " buffer.path");
}

static void commit(struct control *c)
{
    struct plan *old = c->now;
    struct dx_err err = {{0}};
    struct dx_text keys;
    c->now = c->next;
    c->next = NULL;
    bool swapped = c->swapping;
    if (swapped)
        swap_done(c, old);
    if (!c->upgrade.going_on)
        c->reloads++;
    control_set_log_level(c, c->now->config->log_level);
    listeners_set_modes(c->now);
    if (!doors_use(c, c->now, old, &err))
        dx_log(DX_LOG_ERROR, "admin_failed", DX_KS("error", err.text));
    listeners_settle(c->now, c->now->workers);
    seats_settle(c);
    activation_tell(&c->given, c->now);
    logs_follow(c, old);
    pools_forget(c, old, c->now);
    pools_settle(c);
    plan_free(&old);
    if (swapped && !control_settle(c, &err))
        dx_log(DX_LOG_ERROR, "upgrade_incomplete", DX_KS("error", err.text));
    dx_log(DX_LOG_INFO, swapped ? "upgraded" : "reloaded", DX_KS("version", DIPLEX_VERSION),
           DX_KI("generation", c->now->generation), DX_KS("file", c->now->source.name),
           DX_KI("pools", c->now->config->pools_n), DX_KI("routes", c->now->config->routes_n));
    dx_text_init(&keys);
    find_unapplied(c, &keys);
    if (keys.n)
        dx_log(DX_LOG_WARN, "reload_partial", DX_KS("after_restart", keys.p + 1));
    remember(c, true, keys.n ? keys.p + 1 : "");
    answer(&c->asked, DX_ADMIN_RELOADED, keys.n ? keys.p + 1 : "");
    dx_text_fini(&keys);
    if (c->data_ready)
        notify_state("READY=1");
    dx_memory_settle(); /* of the old plan, and of libcurl if this one was the first to need it */
}

/* Everything that can fail before data is told. */
static struct plan *prepare(struct control *c, struct dx_text *report, struct dx_err *err)
{
    struct plan *next = plan_read(c->file, report, err);
    if (!next)
        return NULL;
    next->generation = ++c->generations;
    const struct listeners_from from = {.now = c->now, .given = &c->given, .workers = next->workers};
    if (logs_open(next, c->now, err) && doors_prepare(c, next, err) && listeners_open(next, &from, err) &&
        (c->crew_comes || seats_prepare(c, next->workers, err))) {
        if (pools_watch(c, next, err))
            return next;
        undo(c, next);
    } else {
        drop(c, &next);
    }
    dx_text_addf(report, "error: %s\n", err->text);
    return NULL;
}

static void begin(struct control *c)
{
    char state[NOTIFY_BYTES];
    struct dx_text report;
    struct dx_err err = {{0}};
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)dx_clock_us());
    notify_state(state);
    if (c->data >= 0 && c->crew.seat == DX_BOARD_NONE) { /* it looks at another board than the one we write */
        reload_swap(c);
        return;
    }
    dx_text_init(&report);
    c->next = prepare(c, &report, &err);
    if (!c->next)
        refuse(c, err.text, report.p ? report.p : err.text);
    else if (c->data < 0)
        commit(c); /* the next data process starts with it */
    else if (!letters_send_plan(c, c->next, false))
        reload_fail(c, "no memory file for the configuration");
    dx_text_fini(&report);
}

void reload_ask(struct control *c, struct dx_admin_reply *reply)
{
    bool busy = c->next != NULL || upgrade_is_under_way(c) || (c->data >= 0 && !c->data_ready);
    struct replies *replies = busy ? &c->queued : &c->asked;
    if (c->stopping || (reply && replies->n == REPLIES)) {
        if (reply)
            dx_admin_reply_send(reply, DX_ADMIN_UNABLE,
                                c->stopping ? DX_SLICE("diplex is stopping")
                                            : DX_SLICE("too many reloads at once"));
        return;
    }
    if (reply)
        replies->at[replies->n++] = reply;
    if (busy)
        c->reload_queued = true;
    else
        begin(c);
}

void reload_swap(struct control *c)
{
    struct dx_text report;
    struct dx_err err = {{0}};
    dx_text_init(&report);
    c->crew_comes = true;
    c->next = prepare(c, &report, &err);
    c->crew_comes = false;
    if (!c->next)
        refuse(c, err.text, report.p ? report.p : err.text);
    else if (!swap_begin(c, &err))
        reload_fail(c, err.text);
    dx_text_fini(&report);
}

void reload_run_queued(struct control *c)
{
    if (c->next || c->stopping || upgrade_is_under_way(c))
        return;
    if (!c->reload_queued) {
        upgrade_run_queued(c);
        return;
    }
    c->reload_queued = false;
    DX_ASSERT(c->asked.n == 0);
    c->asked = c->queued;
    c->queued.n = 0;
    begin(c);
}

void reload_on_ready(struct control *c)
{
    commit(c);
    reload_run_queued(c);
}

void reload_fail(struct control *c, const char *why)
{
    struct plan *next = c->next;
    if (c->swapping)
        swap_undo(c);
    c->next = NULL;
    undo(c, next);
    refuse(c, why, why);
}

void reload_cancel(struct control *c, const char *why)
{
    answer(&c->asked, DX_ADMIN_UNABLE, why);
    answer(&c->queued, DX_ADMIN_UNABLE, why);
    c->reload_queued = false;
}
