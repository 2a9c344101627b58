/* SPDX-License-Identifier: MIT */
/*
 * The life of the control process, from top to bottom: read the file, open everything, start data, serve
 * signals and letters, stop. What it owns is in struct control; the chapters beside this file work on it.
 */
#include "supervise/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "diplex/os/memory.h"
#include "diplex/os/process.h"

#define BATCH_BYTES (64u * 1024) /* of its own log */
#define GRACE_MS    2000         /* for data to say STOPPED and to end, after shutdown_timeout */

void control_end(struct control *c, int exit_code)
{
    c->exit_code = exit_code;
    dx_loop_stop(c->loop);
}

void control_set_log_level(struct control *c, enum dx_log_level level)
{
    c->log_level = level;
    dx_log_set_level(level);
}

unsigned control_workers(const struct dx_config *config)
{
    unsigned n = config->workers ? config->workers : dx_process_cores();
    return n < DX_BOARD_WORKERS ? n : DX_BOARD_WORKERS;
}

/* ---- what data says ---- */

static void log_ready(const struct control *c)
{
    struct dx_text listen;
    dx_text_init(&listen);
    for (size_t i = 0; i < c->now->listeners_n; i++)
        dx_text_addf(&listen, "%s%s", i ? "," : "", c->now->listeners[i]->shown);
    dx_log(DX_LOG_INFO, "ready", DX_KL("listen", dx_slice_of(listen.p, listen.n)),
           DX_KI("workers", c->now->workers), DX_KI("pid", getpid()), DX_KI("data_pid", c->data),
           DX_KS("file", c->now->source.name), DX_KI("pools", c->now->config->pools_n),
           DX_KI("routes", c->now->config->routes_n),
           DX_KS("admin", c->doors[DOOR_SOCKET].text ? c->doors[DOOR_SOCKET].text : "off"),
           DX_KS("admin_listen", c->doors[DOOR_TCP].text ? c->doors[DOOR_TCP].shown : "off"),
           DX_KS("metrics", c->doors[DOOR_METRICS].text ? c->doors[DOOR_METRICS].shown : "off"),
           DX_KS("version", DIPLEX_VERSION));
    dx_text_fini(&listen);
}

void control_on_ready(struct control *c, uint64_t generation, const char *unapplied)
{
    c->folder_waits = strcmp(unapplied, "buffer.path") == 0;
    if (c->next && generation == c->next->generation) {
        reload_on_ready(c);
        return;
    }
    if (generation != c->now->generation || c->data_ready || c->stopping)
        return;
    c->data_ready = true;
    if (!c->ever_ready) {
        c->ever_ready = true;
        dx_memory_settle();
        log_ready(c);
        notify_state("READY=1");
        activation_tell(&c->given, c->now);
    } else {
        dx_log(DX_LOG_INFO, "data_ready", DX_KI("pid", c->data), DX_KI("generation", generation),
               DX_KI("after_ms", (dx_clock_us() - c->data_started_us) / 1000));
    }
    reload_run_queued(c);
}

void control_on_refused(struct control *c, uint64_t generation, const char *why)
{
    if (c->next && generation == c->next->generation) {
        reload_fail(c, why);
        reload_run_queued(c);
        return;
    }
    if (generation != c->now->generation)
        return;
    /* It refuses what is in force: it cannot serve at all. */
    dx_log(DX_LOG_ERROR, "data_refused", DX_KS("why", why), DX_KI("generation", generation));
    if (!c->ever_ready)
        control_end(c, 1);
    else
        child_kill(c);
}

void control_on_leaver_ended(struct control *c)
{
    if (c->stopping && c->data < 0 && !c->leavers)
        control_end(c, c->exit_code);
}

void control_on_data_ended(struct control *c, bool clean)
{
    if (c->stopping) {
        c->exit_code = clean ? c->exit_code : 1;
        control_on_leaver_ended(c);
        return;
    }
    if (c->next)
        reload_fail(c, "the data process ended while it took the new configuration");
    reload_run_queued(c);
}

/* Once for each data process: it says so before it reads from strangers, and what comes later may be theirs.
 */
void control_on_sandbox(struct control *c, const char *text)
{
    if (c->sandbox_told)
        return;
    c->sandbox_told = true;
    snprintf(c->sandbox_text, sizeof c->sandbox_text, "%s", text);
    dx_log(DX_LOG_INFO, "sandbox", DX_KI("pid", c->data), DX_KS("in_force", c->sandbox_text));
}

static void on_news(struct dx_watch *w, unsigned what)
{
    struct control *c = DX_CONTAINER(w, struct control, news_watch);
    uint64_t count;
    (void)what;
    if (read(c->news, &count, sizeof count) == (ssize_t)sizeof count)
        pools_news(c);
}

/* ---- signals ---- */

static void on_grace(struct dx_timer *t)
{
    struct control *c = DX_CONTAINER(t, struct control, grace);
    dx_log(DX_LOG_ERROR, "stop_forced", DX_KI("pid", c->data), DX_KS("why", "it did not stop in time"));
    child_kill(c);
    leavers_kill(c);
}

static void stop(struct control *c, int number)
{
    uint64_t timeout_ms = c->now->config->shutdown_timeout;
    c->stopping = true;
    dx_log(DX_LOG_INFO, "stopping", DX_KS("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"),
           DX_KI("timeout_ms", timeout_ms));
    notify_state("STOPPING=1");
    reload_cancel(c, "diplex is stopping");
    dx_timer_clear(&c->respawn);
    listeners_close(c->now);
    if (c->next)
        listeners_close(c->next);
    upgrade_cancel(c, "diplex is stopping");
    c->exit_code = 0;
    if (c->data < 0 && !c->leavers) {
        control_end(c, 0);
        return;
    }
    const struct dx_letter letter = {.type = DX_LETTER_STOP, .number = timeout_ms, .fd = -1};
    letters_send(c, &letter);
    leavers_send(c, &letter);
    c->grace.on_due = on_grace;
    dx_timer_set(c->loop, &c->grace, timeout_ms + GRACE_MS);
}

static void on_stop_signal(struct dx_signal *s, int number)
{
    struct control *c = number == SIGTERM ? DX_CONTAINER(s, struct control, on_term)
                                          : DX_CONTAINER(s, struct control, on_int);
    if (!c->stopping) {
        stop(c, number);
        return;
    }
    dx_log(DX_LOG_WARN, "stop_forced", DX_KI("pid", c->data), DX_KS("why", "a second signal"));
    child_kill(c);
    leavers_kill(c);
}

static void on_hup(struct dx_signal *s, int number)
{
    (void)number;
    reload_ask(DX_CONTAINER(s, struct control, on_hup), NULL);
}

static void on_usr1(struct dx_signal *s, int number)
{
    (void)number;
    (void)!logs_reopen(DX_CONTAINER(s, struct control, on_usr1), NULL);
}

static void on_usr2(struct dx_signal *s, int number)
{
    (void)number;
    upgrade_ask(DX_CONTAINER(s, struct control, on_usr2), NULL);
}

static void on_child(struct dx_signal *s, int number)
{
    (void)number;
    child_reap(DX_CONTAINER(s, struct control, on_child));
}

static bool start_signals(struct control *c, struct dx_err *err)
{
    c->on_term.on_signal = on_stop_signal;
    c->on_int.on_signal = on_stop_signal;
    c->on_hup.on_signal = on_hup;
    c->on_child.on_signal = on_child;
    c->on_usr1.on_signal = on_usr1;
    c->on_usr2.on_signal = on_usr2;
    if (dx_signal_start(c->loop, &c->on_term, SIGTERM) && dx_signal_start(c->loop, &c->on_int, SIGINT) &&
        dx_signal_start(c->loop, &c->on_hup, SIGHUP) && dx_signal_start(c->loop, &c->on_usr1, SIGUSR1) &&
        dx_signal_start(c->loop, &c->on_usr2, SIGUSR2) && dx_signal_start(c->loop, &c->on_child, SIGCHLD)) {
        dx_process_unblock_signals(); /* the program before us let them wait for us */
        return true;
    }
    return dx_err_set(err, "cannot watch signals");
}

/* ---- start ---- */

static char *dup_or_null(const char *s) { return s ? dx_slice_dup(dx_slice_str(s)) : NULL; }

/* What a reload cannot change is settled here, once. */
bool control_settle(struct control *c, struct dx_err *err)
{
    const struct dx_config *config = c->now->config;
    free(c->user);
    c->sandbox = config->sandbox;
    c->core_dumps = config->core_dumps;
    c->user = dup_or_null(config->user);
    if (config->user && !c->user)
        return dx_err_set(err, "out of memory");
    return true;
}

static bool start_machines(struct control *c, struct dx_err *err)
{
    c->loop = dx_loop_new();
    c->news = inherit_fd(c, "news");
    if (c->news < 0)
        c->news = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!c->loop || c->news < 0)
        return dx_err_sys(err, "cannot start the event loop");
    c->board = inherit_board(c, err);
    if (!c->board)
        return false;
    c->fetcher = dx_fetcher_new(c->loop);
    c->health = c->fetcher ? dx_health_new(c->loop, c->board, c->fetcher) : NULL;
    c->resolver = dx_resolver_new(c->loop, c->board, pools_on_change, c);
    if (!c->health || !c->resolver)
        return dx_err_set(err, "out of memory");
    c->news_watch.on_event = on_news;
    if (!dx_watch_start_level(c->loop, &c->news_watch, c->news))
        return dx_err_sys(err, "cannot watch the workers' news");
    return start_signals(c, err);
}

/* The filter of system calls that the program before us had is in force still; that of another version may
 * differ. */
static bool heritage_is_guarded(const struct control *c)
{
    struct dx_slice rest = {NULL, 0}, line;
    return c->heritage.bytes && heritage_value(&c->heritage, "guarded") &&
           heritage_next(&c->heritage, "version", &rest, &line) &&
           dx_slice_eq(line, DX_SLICE(DIPLEX_VERSION));
}

static bool guard(const struct control *c, struct dx_err *err)
{
    const struct dx_sandbox_wish wish = {
        .mode = c->sandbox, .core_dumps = c->core_dumps, .guarded = heritage_is_guarded(c)};
    return dx_sandbox_guard(&wish, err);
}

static bool open_listeners(struct control *c, struct dx_err *err)
{
    const struct heritage *left = c->heritage.bytes ? &c->heritage : NULL;
    const struct listeners_from from = {.given = &c->given, .left = left, .workers = c->now->workers};
    if (!activation_take(&c->given, left, err) || !listeners_open(c->now, &from, err))
        return false;
    listeners_settle(c->now, c->now->workers);
    return true;
}

/* What the board of the program before us says of servers is believed, and what was said by hand goes on. */
static bool watch_pools(struct control *c, struct dx_err *err)
{
    struct dx_slice rest = {NULL, 0}, line;
    dx_health_believe(c->health, c->heritage.bytes != NULL);
    bool ok = pools_watch(c, c->now, err);
    dx_health_believe(c->health, false);
    while (ok && c->heritage.bytes && heritage_next(&c->heritage, "pool", &rest, &line))
        pools_inherit(c, line);
    rest = (struct dx_slice){NULL, 0};
    while (ok && c->heritage.bytes && heritage_next(&c->heritage, "maintained", &rest, &line))
        maintenance_inherit(c, line);
    return ok;
}

/* A program that took over goes on serving, whatever has become of a folder since. */
static bool open_logs(struct control *c, struct dx_err *err)
{
    if (logs_open(c->now, NULL, err))
        return true;
    if (!c->heritage.bytes)
        return false;
    logs_fall_back(c->now);
    return true;
}

static bool start(struct control *c, struct dx_err *err)
{
    control_set_log_level(c, c->now->config->log_level);
    uint64_t descriptors = dx_fd_raise_limit();
    dx_log(DX_LOG_DEBUG, "starting", DX_KI("descriptors", descriptors));
    return control_settle(c, err) && guard(c, err) && open_logs(c, err) && start_machines(c, err) &&
           look_open(c, err) && doors_open(c, err) && history_start(c, err) && open_listeners(c, err) &&
           watch_pools(c, err);
}

/* Its end is waited for, so that nobody finds the port taken after we are gone. */
static void end_child(struct control *c)
{
    if (c->data <= 0)
        return;
    child_kill(c);
    while (waitpid(c->data, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void control_free(struct control *c)
{
    if (c->loop) {
        letters_close(c);
        dx_timer_clear(&c->respawn);
        dx_timer_clear(&c->grace);
        dx_timer_clear(&c->swap_limit);
        watchdog_stop(c);
        dx_watch_stop(&c->news_watch);
        dx_signal_stop(&c->on_term);
        dx_signal_stop(&c->on_int);
        dx_signal_stop(&c->on_hup);
        dx_signal_stop(&c->on_child);
        dx_signal_stop(&c->on_usr1);
        dx_signal_stop(&c->on_usr2);
    }
    look_end(c);
    doors_close(c);
    maintenance_fini(c);
    history_stop(c);
    end_child(c);
    leavers_end(c);
    dx_resolver_free(&c->resolver);
    dx_health_free(&c->health);
    dx_fetcher_free(&c->fetcher);
    plan_free(&c->next);
    plan_free(&c->now);
    activation_release(&c->given);
    dx_board_free(&c->board);
    dx_loop_free(&c->loop);
    dx_fd_close(&c->news);
    free(c->user);
    free(c->upgrade.program);
    heritage_fini(&c->heritage);
    DX_MAGIC_CLEAR(c);
    free(c);
}

/* A pipe that nobody empties must not keep control from starting data again. The log's sink has no argument.
 */
static struct dx_journal *events;

static void to_events(struct dx_slice line) { (void)!dx_journal_write(events, line); }

static void on_again(void *arg, uint64_t lines)
{
    (void)arg;
    dx_log(DX_LOG_WARN, "log_lines_dropped", DX_KS("log", "error"), DX_KI("lines", lines));
}

void control_turn_log(const struct dx_journal_way *w) { dx_journal_turn(events, w); }

/* When control has given up its rights: a thread that was there before would keep them. */
bool control_start_log(const struct control *c, struct dx_err *err)
{
    struct dx_journal_way way;
    dx_journal_learn_zone();
    if (!logs_way(c->now, LOG_OWN, &way))
        return dx_err_sys(err, "cannot start the log");
    events = dx_journal_new(&way, BATCH_BYTES, 0);
    if (!events) {
        dx_fd_close(&way.fd);
        return dx_err_sys(err, "cannot start the log");
    }
    dx_journal_on_again(events, on_again, NULL);
    dx_log_set_sink(to_events);
    return true;
}

void control_end_log(void)
{
    dx_log_set_sink(NULL);
    dx_journal_free(&events);
}

int dx_control_run(const char *file)
{
    struct dx_err err = {{0}};
    struct dx_text report;
    struct control *c = calloc(1, sizeof *c);
    if (!c) {
        fputs("diplex: out of memory\n", stderr);
        return 1;
    }
    DX_MAGIC_SET(c, CONTROL_MAGIC);
    c->file = file;
    c->data = c->news = c->letters.end = -1;
    for (unsigned i = 0; i < DOORS; i++)
        c->doors[i].fd = -1;
    c->crew.seat = DX_BOARD_NONE;
    c->started_us = dx_clock_us();
    dx_log_set_source("control");
    dx_text_init(&report);
    c->upgrade.said_fd = -1;
    c->upgrade.program = dx_process_program();
    if (heritage_take(&c->heritage, &err) && c->heritage.bytes)
        c->now = plan_of_source(&c->heritage.source, &report, &err);
    else if (!err.text[0])
        c->now = plan_read(file, &report, &err);
    if (!c->now) {
        if (report.failed || !report.p)
            fprintf(stderr, "error: %s\n", err.text);
        else
            fputs(report.p, stderr);
        c->exit_code = 2;
    } else {
        c->now->generation = ++c->generations;
        c->exit_code = 1;
        if (start(c, &err) && control_start_log(c, &err)) {
            if (c->heritage.bytes)
                upgrade_go_on(c, &c->heritage);
            else
                child_start(c);
            heritage_fini(&c->heritage);
            watchdog_start(c);
            dx_loop_run(c->loop);
            dx_log(DX_LOG_INFO, "stopped", DX_KI("code", c->exit_code));
        } else {
            fprintf(stderr, "diplex: %s\n", err.text);
        }
    }
    int exit_code = c->exit_code;
    dx_text_fini(&report);
    control_free(c);
    control_end_log();
    return exit_code;
}
