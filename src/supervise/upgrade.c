/* SPDX-License-Identifier: MIT */
/*
 * Another program file in the place of this one, in the same process:
 *
 *     rehearsal: the file is run as a child, reads what would be handed over and the configuration -> says
 * no: nothing has changed
 *        |
 *        v
 *     exec, with all descriptors (handover.c) -> the new program goes on with the data process that serves
 *        |
 *        v
 *     swap.c: a new data process -> READY: the old one leaves; or it goes on, and the log says why
 *
 * The file is the one that diplex was started with, by its name: what stands there now.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "diplex/os/process.h"
#include "supervise/control.h"

#define REHEARSAL_MS 15000
#define SAID_MAX     4095

static void answer(struct control *c, enum dx_admin_result result, const char *text)
{
    for (unsigned i = 0; i < c->upgrade.asked_n; i++)
        dx_admin_reply_send(c->upgrade.asked[i], result, dx_slice_str(text));
    c->upgrade.asked_n = 0;
}

static void end_rehearsal(struct control *c)
{
    struct upgrade *u = &c->upgrade;
    u->child = 0;
    dx_watch_stop(&u->watch);
    dx_timer_clear(&u->limit);
    dx_fd_close(&u->said_fd);
}

static void fail(struct control *c, const char *why)
{
    dx_log(DX_LOG_ERROR, "upgrade_failed", DX_KS("program", c->upgrade.program), DX_KS("why", why));
    answer(c, DX_ADMIN_REFUSED, why);
    reload_run_queued(c);
}

/* ---- the rehearsal ---- */

static void on_said(struct dx_watch *w, unsigned what)
{
    struct upgrade *u = DX_CONTAINER(w, struct upgrade, watch);
    char surplus[512];
    (void)what;
    bool full = u->said_n == SAID_MAX;
    ssize_t n = full ? read(u->said_fd, surplus, sizeof surplus)
                     : read(u->said_fd, u->said + u->said_n, SAID_MAX - u->said_n);
    if (n > 0 && !full)
        u->said_n += (size_t)n;
    else if (n == 0)
        dx_watch_stop(w);
    u->said[u->said_n] = '\0';
}

static void on_limit(struct dx_timer *t)
{
    struct control *c = DX_CONTAINER(t, struct control, upgrade.limit);
    if (c->upgrade.child > 0)
        kill(c->upgrade.child, SIGKILL);
}

static bool rehearse(struct control *c, struct dx_err *err)
{
    struct upgrade *u = &c->upgrade;
    char program[] = "diplex", command[] = "rehearse", option[] = "-c";
    char *file = c->file ? dx_slice_dup(dx_slice_str(c->file)) : NULL;
    char *const argv[] = {program, command, file ? option : NULL, file, NULL};
    int ends[2], fd = handover_write(c, false, err);
    if (fd < 0 || (c->file && !file) || pipe2(ends, O_CLOEXEC) != 0) {
        dx_fd_close(&fd);
        free(file);
        return err->text[0] ? false : dx_err_sys(err, "cannot rehearse");
    }
    pid_t pid = dx_process_spawn(u->program, argv, fd, ends[1], err);
    dx_fd_close(&fd);
    dx_fd_close(&ends[1]);
    free(file);
    if (pid < 0) {
        dx_fd_close(&ends[0]);
        return false;
    }
    u->child = pid;
    u->said_fd = ends[0];
    u->said_n = 0;
    u->said[0] = '\0';
    u->watch.on_event = on_said;
    u->limit.on_due = on_limit;
    dx_timer_set(c->loop, &u->limit, REHEARSAL_MS);
    return (dx_fd_set_nonblocking(ends[0]) && dx_watch_start_level(c->loop, &u->watch, ends[0])) ||
           dx_err_sys(err, "cannot hear the rehearsal");
}

/* ---- the change ---- */

/* Returns only when it has failed: then all is as it was. */
static void change(struct control *c)
{
    struct dx_err err = {{0}};
    char program[] = "diplex", command[] = "run", option[] = "-c";
    char *file = c->file ? dx_slice_dup(dx_slice_str(c->file)) : NULL;
    char *const argv[] = {program, command, file ? option : NULL, file, NULL};
    char state[64];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)dx_clock_us());
    notify_state(state);
    dx_process_keep_nothing();
    if ((c->file && !file) || handover_write(c, true, &err) < 0) {
        free(file);
        fail(c, err.text[0] ? err.text : "out of memory");
        return;
    }
    dx_log(DX_LOG_INFO, "upgrading", DX_KS("program", c->upgrade.program), DX_KS("from", DIPLEX_VERSION));
    control_end_log();
    dx_sandbox_pass_on();
    int why = dx_process_become(c->upgrade.program, argv);
    free(file);
    handover_take_back(c);
    if (!control_start_log(c, &err))
        fputs("diplex: no log any more\n", stderr);
    notify_state("READY=1");
    fail(c, strerror(why));
}

void upgrade_on_child(struct control *c, pid_t pid, int status)
{
    struct upgrade *u = &c->upgrade;
    struct dx_err why = {{0}};
    if (pid != u->child || pid <= 0)
        return;
    while (u->said_n < SAID_MAX) { /* what it has said last */
        size_t before = u->said_n;
        on_said(&u->watch, 0);
        if (u->said_n == before)
            break;
    }
    end_rehearsal(c);
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok && u->said_n)
        dx_err_set(&why, "%s", u->said);
    else if (!ok)
        dx_err_set(&why, "the rehearsal ended with %s %d", WIFSIGNALED(status) ? "signal" : "code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (c->stopping)
        return;
    if (!ok)
        fail(c, u->said_n ? u->said : why.text);
    else if (!c->data_ready || c->next)
        fail(c, "the data process was lost meanwhile");
    else
        change(c);
}

bool upgrade_is_under_way(const struct control *c) { return c->upgrade.child > 0 || c->upgrade.going_on; }

static void begin(struct control *c)
{
    struct dx_err err = {{0}};
    c->upgrade.queued = false;
    if (rehearse(c, &err))
        return;
    if (c->upgrade.child > 0)
        kill(c->upgrade.child, SIGKILL); /* its end is told by SIGCHLD, and answered then */
    else
        fail(c, err.text);
}

void upgrade_run_queued(struct control *c)
{
    if (c->upgrade.queued && c->data_ready)
        begin(c);
}

/* Who asks during a rehearsal hears what comes of that one. */
void upgrade_ask(struct control *c, struct dx_admin_reply *reply)
{
    struct upgrade *u = &c->upgrade;
    const char *why = c->stopping                   ? "diplex is stopping"
                      : u->going_on                 ? "an upgrade is under way"
                      : u->asked_n == UPGRADE_ASKED ? "too many upgrades at once"
                      : !u->program                 ? "it is not known which file diplex was started from"
                                                    : NULL;
    if (why) {
        dx_log(DX_LOG_WARN, "upgrade_refused", DX_KS("why", why));
        if (reply)
            dx_admin_reply_send(reply, DX_ADMIN_UNABLE, dx_slice_str(why));
        return;
    }
    if (reply)
        u->asked[u->asked_n++] = reply;
    if (u->child > 0)
        return;
    if (c->next || !c->data_ready)
        u->queued = true;
    else
        begin(c);
}

void upgrade_cancel(struct control *c, const char *why)
{
    if (c->upgrade.child > 0) {
        kill(c->upgrade.child, SIGKILL);
        end_rehearsal(c);
    }
    c->upgrade.queued = false;
    answer(c, DX_ADMIN_UNABLE, why);
    upgrade_answer_heirs(c, 503, why);
}

/* ---- afterwards, in the new program ---- */

/* To those who asked the old program: their connections are all that is left of it. */
void upgrade_answer_heirs(struct control *c, unsigned status, const char *text)
{
    struct upgrade *u = &c->upgrade;
    struct dx_text t;
    dx_text_init(&t);
    dx_text_addf(&t,
                 "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\nContent-Length: "
                 "%zu\r\nConnection: close\r\n\r\n%s",
                 status, status == 200 ? "OK" : "Not Upgraded",
                 status == 200 ? "application/json" : "text/plain", strlen(text), text);
    for (unsigned i = 0; i < u->heirs_n; i++) {
        ssize_t n =
            t.failed ? 0 : write(u->heirs[i], t.p, t.n); /* it fits into the socket, or nobody reads it */
        if (n < 0)
            dx_log(DX_LOG_DEBUG, "upgrade_unheard", DX_KS("error", strerror(errno)));
        dx_fd_close(&u->heirs[i]);
    }
    u->heirs_n = 0;
    dx_text_fini(&t);
}

void upgrade_tell(struct control *c, const char *failure)
{
    struct dx_text t;
    if (!c->upgrade.going_on)
        return;
    dx_text_init(&t);
    if (!failure)
        c->upgrade.done++;
    if (failure)
        dx_log(DX_LOG_ERROR, "upgrade_failed", DX_KS("why", failure), DX_KI("data_pid", c->data));
    dx_text_addf(&t, "{\"result\":\"upgraded\",\"from\":\"%s\",\"to\":\"%s\",\"data_pid\":%d}\n",
                 c->upgrade.from, DIPLEX_VERSION, (int)c->data);
    upgrade_answer_heirs(c, failure ? 422 : 200, failure ? failure : t.failed ? "" : t.p);
    dx_text_fini(&t);
    c->upgrade.going_on = false;
    reload_run_queued(c);
}

static void adopt_processes(struct control *c, const struct heritage *h)
{
    struct dx_slice rest = {NULL, 0}, line;
    struct process p;
    uint64_t left_ms;
    bool shared = dx_board_layout() == heritage_value(h, "layout");
    while (heritage_next(h, "leaver", &rest, &line)) {
        bool ok = heritage_process(line, &p, &left_ms);
        p.left_us = inherit_left_us(h, p.pid);
        p.crew = shared ? p.crew : (struct crew){.seat = DX_BOARD_NONE};
        if (ok && !leavers_adopt(c, &p, left_ms))
            kill(p.pid, SIGKILL);
    }
    rest = (struct dx_slice){NULL, 0};
    if (heritage_next(h, "data", &rest, &line) && heritage_process(line, &p, &left_ms)) {
        p.crew = shared ? p.crew : (struct crew){.seat = DX_BOARD_NONE};
        swap_put_in(c, &p);
    }
}

void upgrade_go_on(struct control *c, const struct heritage *h)
{
    struct dx_slice rest = {NULL, 0}, line;
    c->upgrade.going_on = c->ever_ready = true;
    while (heritage_next(h, "asked", &rest, &line) && c->upgrade.heirs_n < DX_COUNT(c->upgrade.heirs))
        c->upgrade.heirs[c->upgrade.heirs_n++] = heritage_fd(&line);
    rest = (struct dx_slice){NULL, 0};
    if (heritage_next(h, "version", &rest, &line))
        snprintf(c->upgrade.from, sizeof c->upgrade.from, "%.*s", DX_SLICE_ARGS(line));
    rest = (struct dx_slice){NULL, 0};
    if (heritage_next(h, "sandbox", &rest, &line))
        snprintf(c->sandbox_text, sizeof c->sandbox_text, "%.*s", DX_SLICE_ARGS(line));
    c->generations = heritage_value(h, "generations");
    c->now->generation = heritage_value(h, "generation");
    c->reloads = (unsigned)heritage_value(h, "reloads");
    c->deaths = (unsigned)heritage_value(h, "data_deaths");
    c->upgrade.done = (unsigned)heritage_value(h, "upgrades");
    c->reload_queued = heritage_value(h, "reload_queued") != 0;
    c->started_us = heritage_value(h, "started_us");
    adopt_processes(c, h);
    if (c->data > 0)
        reload_swap(c);
    else
        child_start(c);
    child_reap(c);
}

/* `diplex rehearse`, with what would be handed over as descriptor 3. */
int dx_control_rehearse(const char *file, int handover)
{
    struct heritage h = {.bytes = NULL};
    struct dx_err err = {{0}};
    struct dx_text report;
    struct plan *old = NULL, *plan = NULL;
    dx_text_init(&report);
    bool ok = heritage_read(&h, handover, &err);
    if (!ok)
        dx_text_addf(&report, "error: %s\n", err.text);
    plan = ok ? plan_read(file, &report, &err) : NULL;
    old = plan ? plan_of_source(&h.source, &report, &err) : NULL;
    bool ready = old != NULL;
    if (ready)
        printf("%s\n", DIPLEX_VERSION);
    else
        fputs(report.failed || !report.p ? err.text : report.p, stdout);
    plan_free(&old);
    plan_free(&plan);
    dx_text_fini(&report);
    heritage_fini(&h);
    return ready ? 0 : 2;
}
