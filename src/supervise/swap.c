/* SPDX-License-Identifier: MIT */
/*
 * One data process takes the place of another, on the same sockets and the same board:
 *
 *     old serves -> new is started with the next plan, old serves still -> new is READY: old is told to LEAVE
 *                                  |                                         and ends with its last
 * connection
 *                                  +-> new dies, refuses, or takes too long: it is killed, old goes on
 *
 * Those that leave, and one that is killed, are kept here until they have ended; until then their seat on the
 * board is theirs, and what runs there counts.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "supervise/control.h"

#define READY_WITHIN_MS 30000
#define DEAF_WITHIN_MS  2000 /* one that leaves has let go of its sockets */
#define GRACE_MS        2000 /* to end, after its time is over */

struct leaver {
    struct leaver *next;
    struct control *control;
    struct process process;
    bool serving; /* its successor is not ready yet */
    bool listens; /* it has been told to leave, and listens still */
    struct dx_watch watch;
    struct dx_timer limit;
    uint64_t limit_ms; /* when; 0: none */
};

static void on_tell(struct dx_timer *t) { upgrade_tell(DX_CONTAINER(t, struct control, swap_limit), NULL); }

static void tell_within(struct control *c, uint64_t ms)
{
    c->swap_limit.on_due = on_tell;
    dx_timer_set(c->loop, &c->swap_limit, ms);
}

/* From here on a socket of an address that was dropped may be opened anew. */
static void deaf(struct leaver *l)
{
    bool told = l->listens;
    l->listens = false;
    if (told && !l->control->swapping)
        tell_within(l->control, 0);
}

static void on_letters(struct dx_watch *w, unsigned what)
{
    struct leaver *l = DX_CONTAINER(w, struct leaver, watch);
    struct dx_letter letter;
    enum dx_ipc got;
    (void)what;
    while ((got = dx_ipc_receive(l->process.end, &letter)) == DX_IPC_LETTER) {
        dx_fd_close(&letter.fd);
        if (letter.type == DX_LETTER_STOPPED)
            dx_log(DX_LOG_INFO, "drained", DX_KI("cut_off", letter.number), DX_KI("pid", l->process.pid));
        else if (letter.type == DX_LETTER_RETIRED)
            (void)!dx_board_part_free(l->control->board, l->process.crew.seat, letter.worker);
        else if (letter.type == DX_LETTER_DEAF)
            deaf(l);
    }
    if (got == DX_IPC_CLOSED || got == DX_IPC_ERROR)
        dx_watch_stop(&l->watch);
}

static void on_limit(struct dx_timer *t)
{
    struct leaver *l = DX_CONTAINER(t, struct leaver, limit);
    dx_log(DX_LOG_WARN, "data_killed", DX_KI("pid", l->process.pid), DX_KS("why", "it did not end in time"));
    kill(l->process.pid, SIGKILL);
}

static void set_limit(struct leaver *l, uint64_t ms)
{
    l->limit_ms = dx_loop_now_ms(l->control->loop) + ms;
    dx_timer_set(l->control->loop, &l->limit, ms);
}

static void watch(struct leaver *l)
{
    l->watch.on_event = on_letters;
    l->limit.on_due = on_limit;
    if (!dx_watch_start_level(l->control->loop, &l->watch, l->process.end))
        dx_log(DX_LOG_ERROR, "letters_failed", DX_KI("pid", l->process.pid));
}

static struct leaver *leaver_add(struct control *c, const struct process *p)
{
    struct leaver *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->control = c;
    l->process = *p;
    l->next = c->leavers;
    c->leavers = l;
    if (!l->process.left_us)
        l->process.left_us = dx_clock_us();
    watch(l);
    return l;
}

static void leaver_drop(struct control *c, struct leaver *l)
{
    struct leaver **at = &c->leavers;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    dx_watch_stop(&l->watch);
    dx_timer_clear(&l->limit);
    dx_fd_close(&l->process.end);
    if (l->process.crew.seat != DX_BOARD_NONE)
        dx_board_seat_free(c->board, l->process.crew.seat);
    free(l);
}

static struct leaver *serving(const struct control *c)
{
    struct leaver *l = c->leavers;
    while (l && !l->serving)
        l = l->next;
    return l;
}

/* ---- the process of struct control, as one thing ---- */

static void take_out(struct control *c, struct process *out)
{
    *out = (struct process){
        .pid = c->data, .end = letters_detach(c), .crew = c->crew, .started_us = c->data_started_us};
    c->data = -1;
    c->crew = (struct crew){.seat = DX_BOARD_NONE};
}

void swap_put_in(struct control *c, const struct process *p)
{
    c->data = p->pid;
    c->crew = p->crew;
    c->data_started_us = p->started_us;
    c->data_ready = true;
    letters_open(c, p->end);
}

/* ---- the swap ---- */

static void on_too_late(struct dx_timer *t)
{
    struct control *c = DX_CONTAINER(t, struct control, swap_limit);
    reload_fail(c, "the new data process was not ready within 30 seconds");
}

bool swap_begin(struct control *c, struct dx_err *err)
{
    struct process old;
    DX_ASSERT(!c->swapping && c->data > 0 && c->next);
    if (c->letters.queue_n)
        return dx_err_set(err, "the data process does not read its letters");
    take_out(c, &old);
    struct leaver *l = leaver_add(c, &old);
    if (!l) {
        swap_put_in(c, &old);
        return dx_err_set(err, "out of memory");
    }
    l->serving = true;
    c->swapping = true;
    c->swap_limit.on_due = on_too_late;
    dx_timer_set(c->loop, &c->swap_limit, READY_WITHIN_MS);
    child_start(c);
    return true;
}

/* Sockets that only the old plan has, or has more of. */
static void send_drops(struct leaver *l, const struct plan *old, unsigned workers)
{
    for (size_t i = 0; i < old->listeners_n; i++) {
        const struct listener *s = old->listeners[i];
        struct dx_letter letter = {.type = DX_LETTER_DROP, .worker = s->refs == 1 ? 0 : workers, .fd = -1};
        memcpy(letter.text, s->text, strnlen(s->text, sizeof letter.text - 1));
        bool fewer = s->fds_n > 1 && workers < s->fds_n;
        if ((s->refs == 1 || fewer) && !dx_ipc_send(l->process.end, &letter))
            dx_log(DX_LOG_ERROR, "letter_lost", DX_KI("type", letter.type));
    }
}

void swap_done(struct control *c, const struct plan *old)
{
    struct leaver *l = serving(c);
    uint64_t ms = c->now->config->upgrade_timeout;
    c->swapping = false;
    c->data_ready = true;
    tell_within(c, l ? DEAF_WITHIN_MS : 0);
    if (!l)
        return;
    l->serving = false;
    l->listens = true;
    l->process.left_us = dx_clock_us();
    send_drops(l, old, c->now->workers);
    if (!dx_ipc_send(l->process.end, &(struct dx_letter){.type = DX_LETTER_LEAVE, .number = ms, .fd = -1}))
        kill(l->process.pid, SIGKILL); /* it reads nothing any more */
    if (ms)
        set_limit(l, ms + GRACE_MS);
    dx_log(DX_LOG_INFO, "data_leaves", DX_KI("pid", l->process.pid), DX_KI("data_pid", c->data),
           DX_KI("timeout_ms", ms));
}

/* The two change places: who was to serve is killed, and kept until it has ended. */
void swap_undo(struct control *c)
{
    struct leaver *l = serving(c);
    struct process failed;
    c->swapping = false;
    dx_timer_clear(&c->swap_limit);
    take_out(c, &failed);
    if (l) {
        dx_watch_stop(&l->watch);
        swap_put_in(c, &l->process);
        l->process = failed;
        l->process.left_us = dx_clock_us();
        l->serving = false;
    } else if (failed.pid > 0 && !(l = leaver_add(c, &failed))) {
        DX_NEVER("a process is forgotten for want of memory");
    }
    if (failed.pid > 0) {
        kill(failed.pid, SIGKILL);
        watch(l);
    } else if (l) {
        l->process.crew.seat = failed.crew.seat;
        leaver_drop(c, l);
    }
}

/* ---- those that leave ---- */

bool leavers_adopt(struct control *c, const struct process *p, uint64_t left_ms)
{
    struct leaver *l = leaver_add(c, p);
    if (l && left_ms)
        set_limit(l, left_ms);
    return l != NULL;
}

bool leavers_reap(struct control *c, pid_t pid, int status)
{
    struct leaver *l = c->leavers;
    while (l && l->process.pid != pid)
        l = l->next;
    if (!l)
        return false;
    on_letters(&l->watch, 0);
    deaf(l);
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    dx_log(well ? DX_LOG_INFO : DX_LOG_WARN, l->serving ? "data_lost" : "data_left", DX_KI("pid", pid),
           DX_KI("code", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
           DX_KI("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
           DX_KI("lived_ms", (dx_clock_us() - l->process.started_us) / 1000));
    c->deaths += l->serving && !c->stopping;
    leaver_drop(c, l);
    return true;
}

void leavers_send(struct control *c, const struct dx_letter *letter)
{
    for (struct leaver *l = c->leavers; l; l = l->next)
        if (!dx_ipc_send(l->process.end, letter))
            dx_log(DX_LOG_DEBUG, "letter_lost", DX_KI("type", letter->type), DX_KI("pid", l->process.pid));
}

void leavers_kill(struct control *c)
{
    for (struct leaver *l = c->leavers; l; l = l->next)
        kill(l->process.pid, SIGKILL);
}

void leavers_end(struct control *c)
{
    leavers_kill(c);
    while (c->leavers) {
        (void)waitpid(c->leavers->process.pid, NULL, 0);
        leaver_drop(c, c->leavers);
    }
}

bool leavers_each(const struct control *c, struct leaver **at, struct process *out, uint64_t *left_ms)
{
    struct leaver *l = *at ? (*at)->next : c->leavers;
    uint64_t now_ms = dx_loop_now_ms(c->loop);
    if (!l)
        return false;
    *at = l;
    *out = l->process;
    *left_ms = l->limit_ms > now_ms ? l->limit_ms - now_ms : l->limit_ms ? 1 : 0;
    return true;
}

static struct dx_admin_leaving told_of(const struct control *c, const struct process *p)
{
    struct dx_admin_leaving out = {.pid = p->pid, .for_ms = (dx_clock_us() - p->left_us) / 1000};
    out.seen = p->crew.seat != DX_BOARD_NONE;
    if (out.seen) {
        out.requests = dx_board_seat_counter_sum(c->board, p->crew.seat, DX_COUNTER_REQUESTS_RUNNING);
        out.connections = dx_board_seat_counter_sum(c->board, p->crew.seat, DX_COUNTER_CLIENTS_OPEN);
    }
    return out;
}

size_t leavers_tell(struct control *c, const struct dx_admin_leaving **out)
{
    size_t n = 0;
    for (struct leaver *l = c->leavers; l; l = l->next) {
        struct dx_admin_leaving *more = l->serving ? NULL : realloc(c->leaving_shown, (n + 1) * sizeof *more);
        if (!more)
            continue;
        c->leaving_shown = more;
        more[n++] = told_of(c, &l->process);
    }
    *out = c->leaving_shown;
    return n;
}
