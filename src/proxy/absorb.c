/* SPDX-License-Identifier: MIT */
/*
 * Answers of wsgi servers whose client lags. A worker of gunicorn that waits for a reader serves nobody, so
 * from the moment on when a client does not keep up, its answer is taken at the server's own speed: framed
 * as it will be sent, into memory and then into a file. When the client has caught up, the answer goes from
 * side to side again.
 *
 *     server -> inlet -> outlet -----------------------------------------> client    while it keeps up
 *     server -> inlet -> outlet -> spool | what a pipe held, then the spool -> client    while it lags
 *
 * What the spool does not take (a full disk, the limit) stays in the outlet behind it, and the server waits
 * until the client has made room: then diplex is no better than without, and no worse. As soon as the answer
 * is whole here, the server's connection is released and the client takes the rest in the state DELIVER.
 */
#include <errno.h>

#include "proxy/front.h"
#include "proxy/steps.h"

#define PIECES_PER_TURN 8 /* then the others have their turn */
#define FILE_PIECE      (512u * 1024)

/* --- into the spool --- */

static bool within_limit(const struct exchange *x, size_t more)
{
    uint64_t room = x->absorbed.memory_max + view_config(x->view)->buffer.response_size;
    return dx_spool_bytes(&x->absorbed) + more <= room;
}

static size_t outlet_bytes(const struct outlet *o)
{
    size_t all = 0;
    for (unsigned i = o->at; i < o->n; i++)
        all += o->iov[i].iov_len;
    return all;
}

/* Once for each time that the spool stops taking. */
static void held_back(struct exchange *x)
{
    if (x->held)
        return;
    x->held = true;
    if (errno != SHELF_FULL)
        (void)hints_spool_failed(x, "answer", "a server waits for its slow client");
}

/* What is in the outlet goes behind what is in the spool: all of it or nothing. */
static bool keep(struct exchange *x)
{
    struct dx_spool *s = &x->absorbed;
    uint64_t before = dx_spool_bytes(s);
    bool had_file = dx_spool_in_file(s);

    if (!within_limit(x, outlet_bytes(&x->down)))
        return false;
    for (unsigned i = x->down.at; i < x->down.n; i++) {
        const struct iovec *v = &x->down.iov[i];
        if (!shelf_append(x, s, dx_slice_of(v->iov_base, v->iov_len))) {
            held_back(x);
            shelf_cut(x, s, before);
            return false;
        }
    }
    outlet_clear(&x->down);
    x->down_full = x->held = false;
    if (dx_spool_in_file(s) && !had_file && !x->answer_in_file) {
        x->answer_in_file = true;
        proxy_count(x->proxy, DX_COUNTER_ANSWER_FILES, 1);
    }
    return true;
}

static bool may_begin(const struct exchange *x)
{
    return x->pool->kind == DX_KIND_WSGI && !x->response.stream && !x->discard && !x->tunnel &&
           x->front->ops->sink(x->front) != NULL;
}

static void note_lag(struct exchange *x)
{
    if (!x->lagged)
        proxy_count(x->proxy, DX_COUNTER_ANSWERS_ABSORBED, 1);
    x->lagged = true;
}

/* False: not this answer, or there is no room for it. */
static bool begin(struct exchange *x)
{
    const struct dx_config *c = view_config(x->view);

    if (!may_begin(x))
        return false;
    dx_spool_init(&x->absorbed, (size_t)c->buffer.memory, c->buffer.path);
    x->absorbed_at = 0;
    if (!outlet_empty(&x->down) && !keep(x)) {
        shelf_clear(x, &x->absorbed);
        return false;
    }
    x->absorbing = true;
    note_lag(x);
    return true;
}

/* More of the server. It is waited for at the same time as the client, so it has a deadline of its own. */
static enum pump hear(struct exchange *x)
{
    enum pump r = pump_fill_down(x);

    if (r == PUMP_DONE || !dx_list_linked(&x->silence.link))
        dx_deadline_set(x->proxy->loop, &x->silence, x->pool->timeouts.idle);
    return r;
}

/* Takes what the server says. The deadline of the state is the client's. */
static enum pump collect(struct exchange *x, struct dx_http_error *err)
{
    for (unsigned piece = 0; piece < PIECES_PER_TURN; piece++) {
        bool more = false;
        enum pump r;
        if (x->down_ended)
            return PUMP_WHOLE;
        if (!outlet_empty(&x->down) && !keep(x)) {
            dx_deadline_clear(&x->silence); /* it is not the server that is waited for */
            return pump_wait(x, BLOCKED_CLIENT);
        }
        r = pump_take_piece(x, &more, err);
        if (r == PUMP_DONE && more)
            r = hear(x);
        if (r == PUMP_WAIT)
            return pump_wait(x, BLOCKED_CLIENT);
        if (r != PUMP_DONE)
            return r;
    }
    dx_loop_again(x->proxy->loop, &x->again);
    return pump_wait(x, BLOCKED_CLIENT);
}

/* --- out of it --- */

/* One piece of the spool, which is not at its end. */
static enum dx_io send_piece(struct exchange *x, struct dx_transport *t)
{
    struct dx_spool *s = &x->absorbed;
    struct dx_slice data = dx_spool_in_memory(s, x->absorbed_at);

    if (data.n > 0) {
        size_t sent = 0;
        struct iovec v = {.iov_base = s->memory + x->absorbed_at, .iov_len = data.n};
        enum dx_io io = dx_transport_send(t, &v, 1, false, &sent);
        x->absorbed_at += sent;
        x->down.sent += sent;
        return io;
    }
    int64_t at = (int64_t)(x->absorbed_at - s->memory_n);
    uint64_t left = s->file_n - (uint64_t)at, before = x->absorbed_at;
    enum dx_io io = dx_transport_send_file(t, s->fd, &at, left < FILE_PIECE ? (size_t)left : FILE_PIECE);
    x->absorbed_at = s->memory_n + (uint64_t)at;
    x->down.sent += x->absorbed_at - before;
    return io;
}

/* PUMP_DONE: the client has all that was in the pipe and in the spool. PUMP_SPOOL: the file cannot be read.
 */
static enum pump deliver(struct exchange *x)
{
    struct dx_transport *t = x->front->ops->sink(x->front);

    DX_ASSERT(t != NULL); /* or it had not begun */
    if (x->pipe_down != NULL) {
        enum pump piped = splice_rest_down(x, t);
        if (piped != PUMP_DONE)
            return piped;
    }
    for (unsigned piece = 0; x->absorbing && x->absorbed_at < dx_spool_bytes(&x->absorbed); piece++) {
        if (piece == PIECES_PER_TURN)
            return pump_pause(x);
        switch (t->writable ? send_piece(x, t) : DX_IO_AGAIN) {
        case DX_IO_OK:
            x->progress = true;
            break;
        case DX_IO_AGAIN:
            return pump_wait(x, BLOCKED_CLIENT);
        case DX_IO_EOF: /* the file is shorter than what was written to it */
            return PUMP_SPOOL;
        case DX_IO_ERROR:
            return errno == EIO ? PUMP_SPOOL : PUMP_CLIENT_GONE;
        }
    }
    return PUMP_DONE;
}

/* --- what the pump down and the states call --- */

enum pump absorb_lag(struct exchange *x, struct dx_http_error *err)
{
    if (x->down_ended || (x->pipe_down != NULL && x->answer.left == 0)) {
        /* Whoever still sends a request may read its answer only after that, so the server goes on taking. */
        if (x->tunnel || !exchange_body_read(x))
            return PUMP_WAIT;
        x->down_ended = true;
        note_lag(x);
        return PUMP_WHOLE;
    }
    return begin(x) ? collect(x, err) : pump_wait(x, BLOCKED_CLIENT);
}

enum pump absorb_down(struct exchange *x, struct dx_http_error *err)
{
    enum pump r = deliver(x);

    if (r == PUMP_DONE)
        absorb_drop(x);
    if (r == PUMP_WAIT && x->blocked == BLOCKED_CLIENT)
        return collect(x, err);
    return r;
}

void absorb_drop(struct exchange *x)
{
    dx_deadline_clear(&x->silence);
    if (x->absorbing)
        shelf_clear(x, &x->absorbed);
    x->absorbing = x->held = false;
}

enum state absorb_leave(struct exchange *x)
{
    x->timed = x->armed_for == STATE_RELAY && x->armed_blocked == BLOCKED_CLIENT;
    return STATE_DELIVER;
}

enum state absorb_cut(struct exchange *x, enum outcome why, const char *reason)
{
    DX_ASSERT(x->absorbing);
    x->broken = why;
    x->reason = reason;
    dx_connection_close(&x->connection);
    return absorb_leave(x);
}

uint64_t absorb_unsent(const struct exchange *x)
{
    uint64_t left = x->pipe_down != NULL ? x->pipe_down->bytes : 0;
    if (x->absorbing)
        left += dx_spool_bytes(&x->absorbed) - x->absorbed_at;
    return left < x->body_out ? left : x->body_out; /* what was framed here is a little more than the body */
}

/* --- DELIVER --- */

/* What belongs to the server's side is not needed any more, the request's body included. */
static void leave_server(struct exchange *x)
{
    struct blocks b = {.small = &x->proxy->blocks, .bulk = &x->proxy->bulk};

    x->whole_us = dx_loop_now_us(x->proxy->loop);
    dx_deadline_clear(&x->silence);
    if (outlet_empty(&x->down))
        inlet_release(&x->in, &b);
    if (x->spool_open)
        shelf_clear(x, &x->spool);
    if (x->timed)
        x->armed_for = STATE_DELIVER; /* a client is not given time anew because its server is done */
}

static enum state delivered(struct exchange *x)
{
    if (x->broken == OUTCOME_OK)
        return exchange_delivered(x);
    x->front->ops->break_off(x->front, x);
    return exchange_end(x, x->broken);
}

enum state exchange_step_deliver(struct exchange *x)
{
    if (x->whole_us == 0)
        leave_server(x);
    enum pump r = deliver(x);
    if (r == PUMP_DONE)
        r = pump_flush_down(x);
    if (r == PUMP_WAIT)
        return STATE_WAIT;
    if (r == PUMP_DONE)
        return delivered(x);
    if (r == PUMP_CLIENT_GONE)
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    x->reason = "an absorbed answer could not be read from its file";
    x->front->ops->break_off(x->front, x);
    return exchange_end(x, OUTCOME_ANSWER_CUT);
}
