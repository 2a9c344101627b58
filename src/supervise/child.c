/* SPDX-License-Identifier: MIT */
/*
 * The data process: started with everything it needs in letters, started again when it dies. A worker that
 * crashes on one request must not keep the port shut, so the next start is immediate; one that dies again and
 * again is started once a second, for ever, because an edge that gave up would be worse.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "diplex/os/process.h"
#include "supervise/control.h"

#define QUICK_DEATH_MS    5000 /* lived shorter than this */
#define QUICK_DEATHS_MAX  5    /* in a row, before starts are spaced */
#define SPACED_START_MS   1000
#define EARLY_DEATHS_MAX  3 /* before the first READY: the program cannot run here at all */
#define SIGNAL_TEXT_BYTES 32

static void on_respawn(struct dx_timer *t) { child_start(DX_CONTAINER(t, struct control, respawn)); }

/* A data process could not even be made, or died before it served for the first time. */
static void count_early_death(struct control *c)
{
    if (c->ever_ready || ++c->early_deaths < EARLY_DEATHS_MAX)
        return;
    dx_log(DX_LOG_ERROR, "data_gives_up", DX_KI("starts", c->early_deaths),
           DX_KS("why", "the data process never became ready"));
    control_end(c, 1);
}

static void respawn_later(struct control *c)
{
    c->respawn.on_due = on_respawn;
    dx_timer_set(c->loop, &c->respawn, c->quick_deaths >= QUICK_DEATHS_MAX ? SPACED_START_MS : 0);
}

static const struct plan *plan_to_serve(const struct control *c) { return c->swapping ? c->next : c->now; }

static bool send_all(struct control *c)
{
    letters_send(
        c, &(struct dx_letter){.type = DX_LETTER_BOARD, .worker = c->crew.seat, .fd = dx_board_fd(c->board)});
    letters_send(c, &(struct dx_letter){.type = DX_LETTER_NEWS, .fd = c->news});
    logs_send(c, plan_to_serve(c));
    if (c->looks.census)
        letters_send(c, &(struct dx_letter){.type = DX_LETTER_CENSUS, .fd = dx_census_fd(c->looks.census)});
    return letters_send_plan(c, plan_to_serve(c), true);
}

static bool spawn(struct control *c, struct dx_err *err)
{
    char program[] = "diplex", subcommand[] = "data";
    char *const argv[] = {program, subcommand, NULL};
    int ends[2];
    if (!seats_take(c, plan_to_serve(c)->workers, err))
        return false;
    if (!dx_ipc_pair(ends))
        return dx_err_sys(err, "no pair of sockets");
    pid_t pid = dx_process_spawn_self(argv, ends[1], err);
    dx_fd_close(&ends[1]);
    if (pid < 0) {
        dx_fd_close(&ends[0]);
        return false;
    }
    c->data = pid;
    letters_open(c, ends[0]);
    return true;
}

void child_start(struct control *c)
{
    struct dx_err err = {{0}};
    if (c->stopping)
        return;
    c->data_ready = false;
    c->forbidden = -1;
    c->sandbox_told = false;
    c->data_started_us = dx_clock_us();
    if (!spawn(c, &err)) {
        dx_log(DX_LOG_ERROR, "data_start_failed", DX_KS("error", err.text));
        seats_free(c);
        if (c->swapping) {
            reload_fail(c, err.text);
            return;
        }
        c->quick_deaths = QUICK_DEATHS_MAX;
        respawn_later(c);
        count_early_death(c);
        return;
    }
    dx_board_data_started(c->board, (int)c->data);
    dx_log(DX_LOG_DEBUG, "data_started", DX_KI("pid", c->data));
    if (!send_all(c)) {
        dx_log(DX_LOG_ERROR, "data_start_failed", DX_KS("error", strerror(errno)));
        child_kill(c);
    }
}

void child_kill(struct control *c)
{
    if (c->data > 0)
        kill(c->data, SIGKILL);
}

static const char *signal_text(int number, char *buf, size_t n)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"},   {SIGHUP, "SIGHUP"},
        {SIGILL, "SIGILL"},   {SIGINT, "SIGINT"}, {SIGKILL, "SIGKILL"}, {SIGQUIT, "SIGQUIT"},
        {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"}, {SIGTERM, "SIGTERM"}, {SIGXCPU, "SIGXCPU"},
    };
    for (size_t i = 0; i < DX_COUNT(names); i++)
        if (names[i].number == number)
            return names[i].name;
    snprintf(buf, n, "signal %d", number);
    return buf;
}

static void log_end(const struct control *c, pid_t pid, int status, uint64_t lived_ms)
{
    char buf[SIGNAL_TEXT_BYTES];
    enum dx_log_level level = c->stopping ? DX_LOG_INFO : DX_LOG_ERROR;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        dx_log(level, "data_exited", DX_KI("pid", pid), DX_KS("signal", "SIGSYS"),
               DX_KS("why", "its seccomp filter forbids this system call"), DX_KI("call", c->forbidden),
               DX_KI("lived_ms", lived_ms));
    else if (WIFSIGNALED(status))
        dx_log(level, "data_exited", DX_KI("pid", pid),
               DX_KS("signal", signal_text(WTERMSIG(status), buf, sizeof buf)), DX_KI("lived_ms", lived_ms));
    else
        dx_log(level, "data_exited", DX_KI("pid", pid), DX_KI("code", WEXITSTATUS(status)),
               DX_KI("lived_ms", lived_ms));
}

static void on_data_end(struct control *c, pid_t pid, int status)
{
    uint64_t lived_ms = (dx_clock_us() - c->data_started_us) / 1000;
    letters_receive(c); /* its last words may still wait to be read */
    c->data = -1;
    c->data_ready = false;
    letters_close(c);
    seats_free(c);
    log_end(c, pid, status, lived_ms);
    c->deaths += !c->stopping && !c->swapping; /* during a swap another one serves */
    control_on_data_ended(c, WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (c->stopping || c->data > 0) /* another one serves still */
        return;
    c->quick_deaths = lived_ms < QUICK_DEATH_MS ? c->quick_deaths + 1 : 0;
    respawn_later(c);
    count_early_death(c);
}

void child_reap(struct control *c)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == c->data)
            on_data_end(c, pid, status);
        else if (leavers_reap(c, pid, status))
            control_on_leaver_ended(c);
        else
            upgrade_on_child(c, pid, status);
    }
}
