/* SPDX-License-Identifier: MIT */
/*
 * The main thread of the data process. It reads control's letters, builds snapshots where no traffic waits
 * for it, gives orders to the workers and reports when all have carried them out. It carries no traffic.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "diplex/os/fd.h"
#include "diplex/os/memory.h"
#include "diplex/os/process.h"
#include "diplex/worker.h"
#include "worker/data.h"

#define CONFIG_MAX (64u * 1024 * 1024)

void data_answer(struct data *d, enum dx_letter_type type, uint64_t number, const char *text)
{
    struct dx_letter l = {.type = type, .number = number, .fd = -1};
    size_t n = strlen(text);
    memcpy(l.text, text, n < sizeof(l.text) ? n : sizeof(l.text) - 1);
    if (!dx_ipc_send(d->letters, &l))
        dx_log(DX_LOG_ERROR, "letter_lost", DX_KS("reason", dx_err_text(errno)));
}

/* --- configurations --- */

/* What all workers need; once, before the first of them. */
static bool begin(struct data *d, const struct dx_config *c, struct dx_err *err)
{
    uint64_t descriptors = dx_fd_raise_limit();
    if (!confines_enter(&d->confines, c, d->letters, err))
        return false;
    data_answer(d, DX_LETTER_SANDBOX, 0, d->confines.sandbox.text);
    if (!logs_start(&d->logs, err)) /* the first threads: all that come inherit what is given up */
        return false;
    d->hints = dx_proxy_hints_new();
    d->crowd = dx_crowd_new(descriptors < UINT32_MAX ? (unsigned)descriptors : UINT32_MAX);
    if (d->hints == NULL || d->crowd == NULL)
        return dx_err_set(err, "out of memory");
    d->descriptors = descriptors < UINT32_MAX ? (unsigned)descriptors : 0;
    d->begun = true;
    return true;
}

/* What came in front of the configuration, if anything did, belongs to it alone. */
static bool take_pages(struct data *d, struct dx_snapshot *s, struct dx_err *err)
{
    char *text = NULL;
    size_t n = 0;

    if (d->pages >= 0 && !dx_fd_read_all(d->pages, CONFIG_MAX, &text, &n))
        return dx_err_sys(err, "cannot read the pages");
    dx_fd_close(&d->pages);
    bool ok = dx_snapshot_take_pages(s, dx_slice_of(text, n));
    free(text);
    return ok || dx_err_set(err, "the pages are not those of the configuration, or out of memory");
}

static bool use_config(struct data *d, const struct dx_letter *l, struct dx_err *err)
{
    char *text = NULL;
    size_t n = 0;

    if (d->board == NULL)
        return dx_err_set(err, "a configuration before the board");
    for (unsigned i = 0; i < d->parts_n; i++)
        if (d->workers[d->parts[i]] != NULL)
            worker_time_anew(d->workers[d->parts[i]]);
    if (!dx_fd_read_all(l->fd, CONFIG_MAX, &text, &n))
        return dx_err_sys(err, "cannot read the configuration");
    struct dx_snapshot *s = dx_snapshot_new(dx_slice_of(text, n), l->text, d->board, err);
    free(text);
    if (s == NULL)
        return false;
    if (!take_pages(d, s, err)) {
        dx_snapshot_unref(&s);
        return false;
    }
    if (!archive_add(&d->archive, s)) {
        dx_snapshot_unref(&s);
        return dx_err_set(err, "out of memory");
    }
    if (d->queues == NULL)
        d->queues = dx_queues_new(d->board, d->news);
    if (d->queues == NULL || !dx_snapshot_open_gates(s, d->queues)) {
        archive_clear(&d->archive, d->snapshot);
        return dx_err_set(err, "out of memory");
    }
    dx_log_set_level(dx_snapshot_config(s)->log_level);
    d->generation = l->number;
    confines_follow(&d->confines, s);
    bool begun = (d->begun || begin(d, dx_snapshot_config(s), err)) && crew_begin(d, err);
    if (!begun || !crew_give_orders(d, s, err)) {
        archive_clear(&d->archive, d->snapshot);
        return false;
    }
    d->snapshot = s;
    d->waiting = true;
    return true;
}

static void on_config(struct data *d, struct dx_letter *l)
{
    struct dx_err err = {""};
    if (!use_config(d, l, &err)) {
        crew_give_up(d);
        data_answer(d, DX_LETTER_REFUSED, l->number, err.text);
        if (d->snapshot != NULL && !d->waiting) /* those that came for it */
            sockets_close_unused(d->sockets, dx_snapshot_config(d->snapshot), d->parts_n);
    }
    dx_fd_close(&l->fd);
}

/* --- stopping --- */

static void order_stop(struct data *d, bool cut)
{
    const struct orders o = {.number = ++d->generation, .stop = true, .cut = cut};
    crew_order_all(d, &o);
}

static void end_now(struct data *d)
{
    d->stopping = true;
    order_stop(d, true);
    dx_loop_stop(d->loop);
}

static void on_deadline(struct dx_timer *t)
{
    struct data *d = DX_CONTAINER(t, struct data, deadline);
    d->stopping = true;
    order_stop(d, true);
}

static void set_deadline(struct data *d, uint64_t ms)
{
    d->deadline.on_due = on_deadline;
    dx_timer_set(d->loop, &d->deadline, ms > 0 ? ms : 1);
}

static void on_stop(struct data *d, uint64_t ms)
{
    if (d->stopping)
        return;
    d->stopping = true;
    d->waiting = false;
    if (!d->begun) {
        dx_loop_stop(d->loop);
        return;
    }
    order_stop(d, false);
    set_deadline(d, ms);
}

/* The sockets are not closed by this process alone: there is no hurry, and nothing is lost with them. */
static void on_leave(struct data *d, uint64_t ms)
{
    if (d->leaving || d->stopping)
        return;
    d->leaving = true;
    d->waiting = false;
    if (!d->begun) {
        dx_loop_stop(d->loop);
        return;
    }
    d->generation++;
    crew_leave(d);
    if (ms > 0)
        set_deadline(d, ms);
}

/* Once no worker watches them, the sockets are closed, so that the kernel refuses who comes now. */
static void stop_listening(struct data *d)
{
    bool failed;
    if (!crew_has_done(d, &failed))
        return;
    d->deaf = true;
    sockets_close_all(d->sockets);
    if (!d->stopping)
        data_answer(d, DX_LETTER_DEAF, 0, "");
}

static void look_for_the_end(struct data *d)
{
    unsigned cut = 0;
    if (!crew_has_ended(d, &cut))
        return;
    data_answer(d, DX_LETTER_STOPPED, cut, "");
    dx_loop_stop(d->loop);
}

/* Once, before clients come: afterwards workers would have to fetch their code again. */
static void settle(struct data *d)
{
    if (!d->settled)
        dx_memory_settle();
    d->settled = true;
}

/* --- what comes in --- */

static void on_report(struct dx_watch *w, unsigned what)
{
    struct data *d = DX_CONTAINER(w, struct data, report_watch);
    uint64_t count;
    bool failed = false;

    (void)what;
    if (read(d->report, &count, sizeof(count)) < 0)
        return;
    crew_reap(d);
    archive_clear(&d->archive, d->snapshot);
    if ((d->stopping || d->leaving) && !d->deaf)
        stop_listening(d);
    if (d->stopping || d->leaving)
        look_for_the_end(d);
    if (!d->waiting || !crew_has_done(d, &failed))
        return;
    d->waiting = false;
    crew_settle(d);
    sockets_close_unused(d->sockets, dx_snapshot_config(d->snapshot), d->parts_n);
    if (!failed) {
        dx_snapshot_close_gates(d->snapshot, d->queues);
        settle(d);
        data_answer(d, DX_LETTER_READY, d->generation, confines_unapplied(&d->confines));
        return;
    }
    /* Some workers may serve the new configuration and others the old one: control starts data again, and all
     * serve what is in force. */
    data_answer(d, DX_LETTER_REFUSED, d->generation, "a worker could not take it over: out of memory");
    d->exit_code = 1;
    end_now(d);
}

static void on_look(struct data *d, uint64_t serial)
{
    if (d->census == NULL || serial == 0)
        return;
    crew_tell(d, serial);
}

static void on_board(struct data *d, const struct dx_letter *l)
{
    struct dx_err err = {""};
    d->board = dx_board_map(l->fd, &err);
    if (d->board == NULL) {
        dx_log(DX_LOG_ERROR, "no_board", DX_KS("reason", err.text));
        d->exit_code = 1;
        dx_loop_stop(d->loop);
    } else if (l->worker < DX_BOARD_SEATS) {
        dx_board_sit(d->board, l->worker);
    }
}

static void on_census(struct data *d, const struct dx_letter *l)
{
    struct dx_err err = {""};
    if (d->census == NULL && (d->census = dx_census_map(l->fd, &err)) == NULL)
        dx_log(DX_LOG_ERROR, "no_census", DX_KS("reason", err.text));
}

static void on_level(uint64_t level)
{
    if (level <= DX_LOG_ERROR)
        dx_log_set_level((enum dx_log_level)level);
}

static void on_workers(struct data *d, const char *parts)
{
    if (d->board != NULL)
        crew_on_workers(d, parts);
}

/* Its descriptor, in place of an earlier one. */
static void keep(int *fd, struct dx_letter *l)
{
    dx_fd_close(fd);
    *fd = l->fd;
    l->fd = -1;
}

static void on_letter(struct data *d, struct dx_letter *l)
{
    switch (l->type) {
    case DX_LETTER_BOARD:
        on_board(d, l);
        break;
    case DX_LETTER_NEWS:
        keep(&d->news, l);
        break;
    case DX_LETTER_LISTEN:
        sockets_take(d->sockets, l);
        break;
    case DX_LETTER_WORKERS:
        on_workers(d, l->text);
        break;
    case DX_LETTER_PAGES:
        keep(&d->pages, l);
        break;
    case DX_LETTER_CONFIG:
        on_config(d, l);
        break;
    case DX_LETTER_DRAINS:
        crew_look_at_drains(d);
        break;
    case DX_LETTER_PING:
        crew_ping(d, l->number);
        break;
    case DX_LETTER_LOG:
        logs_on_letter(&d->logs, l);
        break;
    case DX_LETTER_CENSUS:
        on_census(d, l);
        break;
    case DX_LETTER_LOOK:
        on_look(d, l->number);
        break;
    case DX_LETTER_LEVEL:
        on_level(l->number);
        break;
    case DX_LETTER_STOP:
        on_stop(d, l->number);
        break;
    case DX_LETTER_DROP:
        sockets_drop(d->sockets, l->text, l->worker);
        break;
    case DX_LETTER_LEAVE:
        on_leave(d, l->number);
        break;
    case DX_LETTER_SANDBOX:
    case DX_LETTER_FORBIDDEN:
    case DX_LETTER_READY:
    case DX_LETTER_REFUSED:
    case DX_LETTER_STOPPED:
    case DX_LETTER_RETIRED:
    case DX_LETTER_DEAF:
    case DX_LETTER_TYPES:
        dx_log(DX_LOG_ERROR, "letter_unexpected", DX_KI("type", l->type));
        break;
    }
    dx_fd_close(&l->fd);
}

static void on_letters(struct dx_watch *w, unsigned what)
{
    struct data *d = DX_CONTAINER(w, struct data, letters_watch);
    struct dx_letter l;

    (void)what;
    for (;;) {
        switch (dx_ipc_receive(d->letters, &l)) {
        case DX_IPC_LETTER:
            on_letter(d, &l);
            break;
        case DX_IPC_NOTHING:
            return;
        case DX_IPC_CLOSED:
        case DX_IPC_ERROR:
            /* Nobody would open sockets, probe or restart us: end with control. */
            dx_log(DX_LOG_ERROR, "control_gone");
            d->exit_code = 1;
            end_now(d);
            return;
        }
    }
}

/* Signals are control's business: a terminal's Ctrl-C or a service manager's SIGTERM reaches the whole group,
 * and control decides. A spool beyond the limit of a file's size is an error like a full disk. */
static void leave_signals_to_control(void)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ};
    for (size_t i = 0; i < DX_COUNT(ours); i++)
        signal(ours[i], SIG_IGN);
}

static void fini(struct data *d)
{
    crew_free(d);
    dx_timer_clear(&d->deadline);
    dx_watch_stop(&d->letters_watch);
    dx_watch_stop(&d->report_watch);
    archive_clear(&d->archive, NULL);
    sockets_close_all(d->sockets);
    logs_end_access(&d->logs);
    dx_proxy_hints_free(&d->hints);
    dx_crowd_free(&d->crowd);
    dx_queues_free(&d->queues);
    dx_census_free(&d->census);
    dx_board_free(&d->board);
    dx_loop_free(&d->loop);
    confines_fini(&d->confines);
    dx_fd_close(&d->news);
    dx_fd_close(&d->pages);
    dx_fd_close(&d->report);
    dx_fd_close(&d->letters);
}

int dx_data_run(int letters_fd)
{
    struct data *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return 1;
    leave_signals_to_control();
    dx_log_set_source("data");
    logs_init(&d->logs);
    sockets_init(d->sockets);
    d->letters = letters_fd;
    d->news = d->pages = -1;
    d->report = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    archive_init(&d->archive, d->report);
    d->letters_watch.on_event = on_letters;
    d->report_watch.on_event = on_report;
    d->loop = dx_loop_new();
    if (d->loop == NULL || d->report < 0 || !dx_fd_set_cloexec(letters_fd, true) ||
        !dx_watch_start_level(d->loop, &d->letters_watch, letters_fd) ||
        !dx_watch_start_level(d->loop, &d->report_watch, d->report)) {
        dx_log(DX_LOG_ERROR, "data_start_failed", DX_KS("reason", dx_err_text(errno)));
        return 1;
    }
    dx_loop_run(d->loop);
    int code = d->exit_code;
    fini(d);
    logs_end(&d->logs);
    free(d);
    return code;
}
