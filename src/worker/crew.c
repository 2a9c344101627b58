/* SPDX-License-Identifier: MIT */
/*
 * The workers of data. A configuration comes with the parts of the board that its workers are to have: parts
 * that nobody has yet get a new worker, workers of other parts leave. One that leaves takes no more
 * connections, follows configurations still, and ends with the last connection it has; then control may give
 * its part to another.
 */
#include <stdlib.h>

#include "worker/data.h"

static void retired(struct data *d, uint32_t part)
{
    struct dx_letter l = {.type = DX_LETTER_RETIRED, .worker = part, .fd = -1};
    if (!dx_ipc_send(d->letters, &l))
        dx_log(DX_LOG_ERROR, "letter_lost", DX_KI("type", l.type));
}

static bool is_among(uint32_t part, const uint32_t *parts, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (parts[i] == part)
            return true;
    return false;
}

void crew_on_workers(struct data *d, const char *parts)
{
    d->wanted_n = 0;
    while (*parts != '\0' && d->wanted_n < DX_BOARD_WORKERS) {
        char *end;
        unsigned long part = strtoul(parts, &end, 10);
        if (end == parts || part >= dx_board_parts(d->board) ||
            is_among((uint32_t)part, d->wanted, d->wanted_n))
            break;
        d->wanted[d->wanted_n++] = (uint32_t)part;
        parts = *end == ',' ? end + 1 : end;
    }
    if (*parts != '\0')
        dx_log(DX_LOG_ERROR, "workers_refused", DX_KS("rest", parts));
}

/* ---- birth ---- */

static struct worker *at_place(const struct data *d, unsigned place)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        if (d->workers[i] != NULL && d->workers[i]->place == place)
            return d->workers[i];
    return NULL;
}

static unsigned free_place(const struct data *d)
{
    unsigned place = 0;
    while (place < DX_CENSUS_PARTS && at_place(d, place) != NULL)
        place++;
    return place;
}

static bool begin_one(struct data *d, uint32_t part, struct dx_err *err)
{
    struct worker_setup setup = {.index = part,
                                 .place = free_place(d),
                                 .board = d->board,
                                 .queues = d->queues,
                                 .news_fd = d->news,
                                 .report_fd = d->report,
                                 .access = d->logs.access,
                                 .hints = d->hints,
                                 .crowd = d->crowd,
                                 .descriptors = d->descriptors,
                                 .ping = d->ping};
    struct worker *w = worker_new(&setup);
    if (w == NULL || !worker_start(w)) {
        worker_free(&w);
        return dx_err_sys(err, "cannot start a worker");
    }
    d->workers[part] = w;
    return true;
}

bool crew_begin(struct data *d, struct dx_err *err)
{
    for (unsigned i = 0; d->wanted_n == 0 && i < dx_board_workers(d->board); i++)
        d->wanted[i] = i; /* nobody has said which */
    d->wanted_n = d->wanted_n == 0 ? dx_board_workers(d->board) : d->wanted_n;
    for (unsigned i = 0; i < d->wanted_n; i++) {
        struct worker *w = d->workers[d->wanted[i]];
        if (w != NULL && !is_among(d->wanted[i], d->parts, d->parts_n))
            return dx_err_set(err, "part %u has a worker that leaves", d->wanted[i]);
        if (w == NULL && !begin_one(d, d->wanted[i], err))
            return false;
    }
    return true;
}

/* ---- orders ---- */

static bool fill_orders(struct data *d, unsigned place, const struct dx_config *c, struct orders *o,
                        struct dx_err *err)
{
    *o = (struct orders){.number = d->generation};
    if (c->listen_n > LISTENERS_MAX)
        return dx_err_set(err, "more than %d listen addresses", LISTENERS_MAX);
    for (unsigned i = 0; i < c->listen_n; i++) {
        const struct sockets *s = sockets_find(d->sockets, c->listen[i].text);
        if (s == NULL || s->fd[place] < 0)
            return dx_err_set(err, "no socket for %s", c->listen[i].text);
        o->listen[i].text = c->listen[i].text;
        o->listen[i].fd = s->fd[place];
        o->listen[i].preamble = c->listen[i].proxy_protocol;
        o->listen[i].lent = s->lent;
    }
    o->listen_n = c->listen_n;
    return true;
}

bool crew_give_orders(struct data *d, struct dx_snapshot *s, struct dx_err *err)
{
    DX_ASSERT(d->wanted_n > 0);
    struct orders *all = calloc(d->wanted_n, sizeof(*all));
    bool ok = true;

    if (all == NULL)
        return dx_err_set(err, "out of memory");
    for (unsigned i = 0; ok && i < d->wanted_n; i++)
        ok = fill_orders(d, i, dx_snapshot_config(s), &all[i], err);
    for (unsigned i = 0; ok && i < d->wanted_n; i++) {
        all[i].snapshot = dx_snapshot_ref(s);
        worker_order(d->workers[d->wanted[i]], &all[i]);
    }
    for (uint32_t i = 0; ok && i < DX_BOARD_PARTS; i++) {
        if (d->workers[i] == NULL || is_among(i, d->wanted, d->wanted_n))
            continue;
        struct orders leave = {.number = d->generation, .snapshot = dx_snapshot_ref(s), .leave = true};
        worker_order(d->workers[i], &leave);
    }
    free(all);
    return ok;
}

void crew_order_all(struct data *d, const struct orders *o)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        if (d->workers[i] != NULL)
            worker_order(d->workers[i], o);
}

void crew_settle(struct data *d)
{
    memcpy(d->parts, d->wanted, d->wanted_n * sizeof(d->parts[0]));
    d->parts_n = d->wanted_n;
}

void crew_give_up(struct data *d)
{
    const struct orders end = {.number = d->generation, .stop = true, .cut = true};
    for (unsigned i = 0; i < d->wanted_n; i++) {
        uint32_t part = d->wanted[i];
        if (is_among(part, d->parts, d->parts_n))
            continue;
        if (d->workers[part] != NULL)
            worker_order(d->workers[part], &end);
        else
            retired(d, part);
    }
    memcpy(d->wanted, d->parts, d->parts_n * sizeof(d->parts[0]));
    d->wanted_n = d->parts_n;
}

void crew_leave(struct data *d)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++) {
        struct orders o = {.number = d->generation, .leave = true, .shared = true};
        unsigned place = 0;
        if (d->workers[i] == NULL)
            continue;
        while (place < d->parts_n && d->parts[place] != i)
            place++;
        for (unsigned k = 0; k < SOCKETS_MAX && place < d->parts_n && o.listen_n < LISTENERS_MAX; k++)
            if (d->sockets[k].dropped > 0 && place + 1 >= d->sockets[k].dropped &&
                d->sockets[k].fd[place] >= 0)
                o.listen[o.listen_n++].fd = d->sockets[k].fd[place];
        worker_order(d->workers[i], &o);
    }
}

void crew_look_at_drains(struct data *d)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        if (d->workers[i] != NULL)
            worker_look_at_drains(d->workers[i]);
}

void crew_ping(struct data *d, uint64_t number)
{
    d->ping = number;
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        if (d->workers[i] != NULL)
            worker_ping(d->workers[i], number);
}

void crew_tell(struct data *d, uint64_t serial)
{
    struct dx_census_writer nobody;
    unsigned places = DX_CENSUS_PARTS;
    while (places > 1 && at_place(d, places - 1) == NULL)
        places--;
    dx_census_begin(d->census, serial, places);
    for (unsigned i = 0; i < places; i++) {
        struct worker *w = at_place(d, i);
        if (w != NULL) {
            worker_tell(w, d->census, serial);
            continue;
        }
        dx_census_open(d->census, i, &nobody);
        dx_census_close(&nobody, serial, 0);
    }
}

/* ---- ends ---- */

void crew_reap(struct data *d)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++) {
        if (d->workers[i] == NULL || !d->workers[i]->ended)
            continue;
        d->cut += d->workers[i]->cut;
        worker_free(&d->workers[i]);
        if (!d->stopping && !d->leaving) /* the whole process goes */
            retired(d, i);
    }
}

bool crew_has_done(const struct data *d, bool *failed)
{
    *failed = false;
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++) {
        const struct worker *w = d->workers[i];
        if (w == NULL)
            continue;
        if (w->done != d->generation)
            return false;
        *failed |= w->failed;
    }
    return true;
}

bool crew_has_ended(const struct data *d, unsigned *cut)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        if (d->workers[i] != NULL)
            return false;
    *cut = d->cut;
    return true;
}

void crew_free(struct data *d)
{
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        worker_free(&d->workers[i]);
}
