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

#include "diplex/ipc.h"
#include "diplex/os/fd.h"
#include "diplex/os/memory.h"
#include "diplex/os/process.h"
#include "diplex/worker.h"
#include "worker/internal.h"

#define SOCKETS_MAX \
    (LISTENERS_MAX * 2) /* addresses known: those in force and those of the next configuration */
#define CONFIG_MAX (64u * 1024 * 1024)

struct sockets { /* of one address: one for each worker, or one for all */
    char text[DX_LETTER_TEXT];
    bool lent; /* others hold them too */
    int fd[DX_BOARD_WORKERS];
};

struct data {
    struct dx_loop *loop;
    int letters, news, report;
    struct dx_watch letters_watch, report_watch;
    struct dx_timer deadline;
    struct dx_board *board;
    struct dx_census *census;
    struct dx_queues *queues;
    struct logs logs;
    struct dx_proxy_hints *hints;
    struct dx_crowd *crowd;
    struct sockets sockets[SOCKETS_MAX];
    struct worker *workers[DX_BOARD_WORKERS];
    unsigned workers_n;
    struct confines confines;
    struct archive archive;
    struct dx_snapshot *snapshot; /* in force; the archive holds it */
    uint64_t generation;          /* of the orders given last */
    bool waiting, stopping;
    bool settled;
    bool deaf; /* the listening sockets are closed */
    int exit_code;
};

static void answer(struct data *d, enum dx_letter_type type, uint64_t number, const char *text)
{
    struct dx_letter l = {.type = type, .number = number, .fd = -1};
    size_t n = strlen(text);
    memcpy(l.text, text, n < sizeof(l.text) ? n : sizeof(l.text) - 1);
    if (!dx_ipc_send(d->letters, &l))
        dx_log(DX_LOG_ERROR, "letter_lost", DX_KS("reason", dx_err_text(errno)));
}

/* --- sockets --- */

static struct sockets *find_sockets(struct data *d, const char *text)
{
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        if (strcmp(d->sockets[i].text, text) == 0)
            return &d->sockets[i];
    return NULL;
}

static void close_sockets(struct sockets *s)
{
    for (unsigned i = 0; i < DX_BOARD_WORKERS; i++) {
        bool shared = i > 0 && s->fd[i] == s->fd[0];
        if (s->fd[i] >= 0 && !shared)
            close(s->fd[i]);
        if (i > 0)
            s->fd[i] = -1;
    }
    s->fd[0] = -1;
    s->text[0] = '\0';
}

static void on_listen(struct data *d, struct dx_letter *l)
{
    struct sockets *s = find_sockets(d, l->text);

    if (s == NULL)
        s = find_sockets(d, "");
    bool fits = s != NULL && l->fd >= 0 && (l->worker == DX_LETTER_ANY || l->worker < DX_BOARD_WORKERS);
    if (!fits) {
        dx_log(DX_LOG_ERROR, "listener_refused", DX_KS("listen", l->text));
        dx_fd_close(&l->fd);
        return;
    }
    memcpy(s->text, l->text, sizeof(s->text));
    s->lent = l->number != 0;
    if (l->worker != DX_LETTER_ANY)
        s->fd[l->worker] = l->fd;
    for (unsigned i = 0; l->worker == DX_LETTER_ANY && i < DX_BOARD_WORKERS; i++)
        s->fd[i] = l->fd;
}

/* Workers have let go of what the configuration in force does not name. */
static void close_unused_sockets(struct data *d)
{
    const struct dx_config *c = dx_snapshot_config(d->snapshot);
    for (unsigned i = 0; i < SOCKETS_MAX; i++) {
        bool named = d->sockets[i].text[0] == '\0';
        for (unsigned k = 0; k < c->listen_n; k++)
            named |= strcmp(c->listen[k].text, d->sockets[i].text) == 0;
        if (!named)
            close_sockets(&d->sockets[i]);
    }
}

/* --- configurations --- */

static bool start_workers(struct data *d, const struct dx_config *c, struct dx_err *err)
{
    uint64_t descriptors = dx_fd_raise_limit();
    if (!confines_enter(&d->confines, c, d->letters, err))
        return false;
    answer(d, DX_LETTER_SANDBOX, 0, d->confines.sandbox.text);
    if (!logs_start(&d->logs, err)) /* the first threads: all that come inherit what is given up */
        return false;
    d->workers_n = dx_board_workers(d->board);
    d->hints = dx_proxy_hints_new();
    d->crowd = dx_crowd_new(descriptors < UINT32_MAX ? (unsigned)descriptors : UINT32_MAX);
    if (d->hints == NULL || d->crowd == NULL)
        return dx_err_set(err, "out of memory");
    for (unsigned i = 0; i < d->workers_n; i++) {
        struct worker_setup setup = {.index = i,
                                     .board = d->board,
                                     .queues = d->queues,
                                     .news_fd = d->news,
                                     .report_fd = d->report,
                                     .access = d->logs.access,
                                     .hints = d->hints,
                                     .crowd = d->crowd,
                                     .descriptors = descriptors < UINT32_MAX ? (unsigned)descriptors : 0};
        d->workers[i] = worker_new(&setup);
        if (d->workers[i] == NULL || !worker_start(d->workers[i]))
            return dx_err_sys(err, "cannot start worker %u", i);
    }
    return true;
}

static bool fill_orders(struct data *d, unsigned worker, const struct dx_config *c, struct orders *o,
                        struct dx_err *err)
{
    *o = (struct orders){.number = d->generation};
    if (c->listen_n > LISTENERS_MAX)
        return dx_err_set(err, "more than %d listen addresses", LISTENERS_MAX);
    for (unsigned i = 0; i < c->listen_n; i++) {
        const struct sockets *s = find_sockets(d, c->listen[i].text);
        if (s == NULL || s->fd[worker] < 0)
            return dx_err_set(err, "no socket for %s", c->listen[i].text);
        o->listen[i].text = c->listen[i].text;
        o->listen[i].fd = s->fd[worker];
        o->listen[i].preamble = c->listen[i].proxy_protocol;
        o->listen[i].lent = s->lent;
    }
    o->listen_n = c->listen_n;
    return true;
}

static bool give_orders(struct data *d, struct dx_snapshot *s, struct dx_err *err)
{
    DX_ASSERT(d->workers_n > 0);
    struct orders *all = calloc(d->workers_n, sizeof(*all));
    bool ok = true;

    if (all == NULL)
        return dx_err_set(err, "out of memory");
    for (unsigned i = 0; ok && i < d->workers_n; i++)
        ok = fill_orders(d, i, dx_snapshot_config(s), &all[i], err);
    for (unsigned i = 0; ok && i < d->workers_n; i++) {
        all[i].snapshot = dx_snapshot_ref(s);
        worker_order(d->workers[i], &all[i]);
    }
    free(all);
    return ok;
}

static bool use_config(struct data *d, const struct dx_letter *l, struct dx_err *err)
{
    char *text = NULL;
    size_t n = 0;

    if (d->board == NULL)
        return dx_err_set(err, "a configuration before the board");
    for (unsigned i = 0; i < d->workers_n; i++)
        worker_time_anew(d->workers[i]);
    if (!dx_fd_read_all(l->fd, CONFIG_MAX, &text, &n))
        return dx_err_sys(err, "cannot read the configuration");
    struct dx_snapshot *s = dx_snapshot_new(dx_slice_of(text, n), l->text, d->board, err);
    free(text);
    if (s == NULL)
        return false;
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
    if ((d->workers_n == 0 && !start_workers(d, dx_snapshot_config(s), err)) || !give_orders(d, s, err)) {
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
        answer(d, DX_LETTER_REFUSED, l->number, err.text);
        if (d->snapshot != NULL && !d->waiting)
            close_unused_sockets(d); /* those that came for it */
    }
    dx_fd_close(&l->fd);
}

/* --- stopping --- */

static void order_all(struct data *d, bool cut)
{
    struct orders o = {.number = ++d->generation, .stop = true, .cut = cut};
    for (unsigned i = 0; i < d->workers_n; i++)
        worker_order(d->workers[i], &o);
}

static void end_now(struct data *d)
{
    d->stopping = true;
    order_all(d, true);
    dx_loop_stop(d->loop);
}

static void on_deadline(struct dx_timer *t) { order_all(DX_CONTAINER(t, struct data, deadline), true); }

static void on_stop(struct data *d, uint64_t ms)
{
    if (d->stopping)
        return;
    d->stopping = true;
    d->waiting = false;
    if (d->workers_n == 0) {
        dx_loop_stop(d->loop);
        return;
    }
    order_all(d, false);
    d->deadline.on_due = on_deadline;
    dx_timer_set(d->loop, &d->deadline, ms > 0 ? ms : 1);
}

/* Once no worker watches them, the sockets are closed, so that the kernel refuses who comes now. */
static void stop_listening(struct data *d)
{
    for (unsigned i = 0; i < d->workers_n; i++)
        if (d->workers[i]->done < d->generation)
            return;
    d->deaf = true;
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        if (d->sockets[i].text[0] != '\0')
            close_sockets(&d->sockets[i]);
}

static void look_for_the_end(struct data *d)
{
    unsigned cut = 0;
    for (unsigned i = 0; i < d->workers_n; i++) {
        if (!d->workers[i]->ended)
            return;
        cut += d->workers[i]->cut;
    }
    answer(d, DX_LETTER_STOPPED, cut, "");
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
    archive_clear(&d->archive, d->snapshot);
    if (d->stopping && !d->deaf)
        stop_listening(d);
    if (d->stopping)
        look_for_the_end(d);
    if (!d->waiting)
        return;
    for (unsigned i = 0; i < d->workers_n; i++) {
        if (d->workers[i]->done != d->generation)
            return;
        failed |= d->workers[i]->failed;
    }
    d->waiting = false;
    close_unused_sockets(d);
    if (!failed) {
        dx_snapshot_close_gates(d->snapshot, d->queues);
        settle(d);
        answer(d, DX_LETTER_READY, d->generation, confines_unapplied(&d->confines));
        return;
    }
    /* Some workers may serve the new configuration and others the old one: control starts data again, and all
     * serve what is in force. */
    answer(d, DX_LETTER_REFUSED, d->generation, "a worker could not take it over: out of memory");
    d->exit_code = 1;
    end_now(d);
}

static void on_look(struct data *d, uint64_t serial)
{
    if (d->census == NULL || serial == 0)
        return;
    dx_census_begin(d->census, serial, d->workers_n);
    for (unsigned i = 0; i < d->workers_n; i++)
        worker_tell(d->workers[i], d->census, serial);
}

static void on_letter(struct data *d, struct dx_letter *l)
{
    struct dx_err err = {""};

    switch (l->type) {
    case DX_LETTER_BOARD:
        d->board = dx_board_map(l->fd, &err);
        if (d->board == NULL) {
            dx_log(DX_LOG_ERROR, "no_board", DX_KS("reason", err.text));
            d->exit_code = 1;
            dx_loop_stop(d->loop);
        }
        break;
    case DX_LETTER_NEWS:
        d->news = l->fd;
        l->fd = -1;
        break;
    case DX_LETTER_LISTEN:
        on_listen(d, l);
        l->fd = -1;
        break;
    case DX_LETTER_CONFIG:
        on_config(d, l);
        break;
    case DX_LETTER_DRAINS:
        for (unsigned i = 0; i < d->workers_n; i++)
            worker_look_at_drains(d->workers[i]);
        break;
    case DX_LETTER_PING:
        for (unsigned i = 0; i < d->workers_n; i++)
            worker_ping(d->workers[i], l->number);
        break;
    case DX_LETTER_LOG:
        logs_on_letter(&d->logs, l);
        break;
    case DX_LETTER_CENSUS:
        if (d->census == NULL && (d->census = dx_census_map(l->fd, &err)) == NULL)
            dx_log(DX_LOG_ERROR, "no_census", DX_KS("reason", err.text));
        break;
    case DX_LETTER_LOOK:
        on_look(d, l->number);
        break;
    case DX_LETTER_LEVEL:
        if (l->number <= DX_LOG_ERROR)
            dx_log_set_level((enum dx_log_level)l->number);
        break;
    case DX_LETTER_STOP:
        on_stop(d, l->number);
        break;
    case DX_LETTER_SANDBOX:
    case DX_LETTER_FORBIDDEN:
    case DX_LETTER_READY:
    case DX_LETTER_REFUSED:
    case DX_LETTER_STOPPED:
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
    for (unsigned i = 0; i < d->workers_n; i++)
        worker_free(&d->workers[i]);
    dx_timer_clear(&d->deadline);
    dx_watch_stop(&d->letters_watch);
    dx_watch_stop(&d->report_watch);
    archive_clear(&d->archive, NULL);
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        close_sockets(&d->sockets[i]);
    logs_end_access(&d->logs);
    dx_proxy_hints_free(&d->hints);
    dx_crowd_free(&d->crowd);
    dx_queues_free(&d->queues);
    dx_census_free(&d->census);
    dx_board_free(&d->board);
    dx_loop_free(&d->loop);
    confines_fini(&d->confines);
    dx_fd_close(&d->news);
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
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        memset(d->sockets[i].fd, 0xff, sizeof(d->sockets[i].fd)); /* -1 everywhere */
    d->letters = letters_fd;
    d->news = -1;
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
