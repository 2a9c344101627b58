/* SPDX-License-Identifier: MIT */
/*
 * The two directions of a body. Each pump moves what it can, one piece at a time: a piece is borrowed from
 * where it came from, framed, sent, and only then is the next one read. So memory is bounded by one block a
 * direction, and whoever is slow slows the other side down.
 */
#include <errno.h>

#include "proxy/front.h"
#include "proxy/internal.h"

#define PIECES_PER_TURN 16 /* then the others have their turn */
#define FILE_PIECE      (512u * 1024)
#define DISCARD_MAX                                                                        \
    (1024u * 1024) /* of an answer whose client has left, before the server is told so too \
                    */

enum pump pump_wait(struct exchange *x, enum blocked who)
{
    x->blocked = who;
    return PUMP_WAIT;
}

enum pump pump_pause(struct exchange *x)
{
    dx_loop_again(x->proxy->loop, &x->again);
    x->progress = true;
    return PUMP_WAIT;
}

static struct blocks blocks_of(struct exchange *x)
{
    return (struct blocks){.small = &x->proxy->blocks, .bulk = &x->proxy->bulk};
}

/* What has come of the body and what its chunk at hand has yet to bring. */
static bool over_limit(const struct exchange *x, struct dx_http_error *err)
{
    uint64_t announced = dx_http1_body_announced(&x->client_body);

    if (x->body_limit == 0 || x->body_in + announced <= x->body_limit)
        return false;
    *err = (struct dx_http_error){413, "body larger than its limit"};
    return true;
}

/* The client has to send more, unless it has said already that it will be too much. */
static enum pump wait_for_body(struct exchange *x, struct dx_http_error *err)
{
    return over_limit(x, err) ? PUMP_CLIENT_BAD : pump_wait(x, BLOCKED_CLIENT);
}

bool exchange_queue_end(struct exchange *x, struct outlet *o, enum dx_framing framing,
                        const struct dx_fields *trailers)
{
    size_t cap = sizeof(DX_HTTP1_LAST_CHUNK);

    if (framing != DX_FRAMING_CHUNKED)
        return true;
    if (trailers == NULL || trailers->n == 0) {
        outlet_add(o, DX_SLICE(DX_HTTP1_LAST_CHUNK));
        return true;
    }
    for (unsigned i = 0; i < trailers->n; i++)
        cap += trailers->at[i].name.n + trailers->at[i].value.n + 4;
    char *p = dx_arena_alloc(&x->arena, cap);
    if (p == NULL)
        return false;
    struct dx_out out = dx_out_of(p, cap);
    DX_OUT_LIT(&out, "0\r\n");
    if (!dx_forward_write_trailers(trailers, &out))
        return false;
    outlet_add(o, dx_out_slice(&out));
    return true;
}

/* --- up: the request body to the server --- */

static enum pump end_up(struct exchange *x)
{
    x->up_ended = true;
    return exchange_queue_end(x, &x->up, x->up_framing, NULL) ? PUMP_DONE : PUMP_NO_MEMORY;
}

/* The next piece from the client into the outlet. */
static enum pump feed_stream(struct exchange *x, struct dx_http_error *err)
{
    struct dx_slice data;

    switch (x->front->ops->read_body(x->front, x, &data, err)) {
    case FRONT_OK:
        x->body_in += data.n;
        x->progress = true;
        if (over_limit(x, err))
            return PUMP_CLIENT_BAD;
        outlet_add_body(&x->up, x->up_framing, data);
        return PUMP_DONE;
    case FRONT_END:
        return end_up(x);
    case FRONT_WAIT:
        return wait_for_body(x, err);
    case FRONT_BAD:
        return PUMP_CLIENT_BAD;
    case FRONT_GONE:
        break;
    }
    return PUMP_CLIENT_GONE;
}

/* What is in the file goes from there into the socket; the outlet is empty. */
static enum pump send_file(struct exchange *x)
{
    struct dx_transport *t = dx_connection_transport(x->connection);
    int64_t at = (int64_t)(x->spool_at - x->spool.memory_n);

    if (!t->writable)
        return pump_wait(x, BLOCKED_SERVER);
    switch (dx_transport_send_file(t, x->spool.fd, &at, FILE_PIECE)) {
    case DX_IO_OK:
        break;
    case DX_IO_AGAIN:
        return pump_wait(x, BLOCKED_SERVER);
    case DX_IO_EOF:
        errno = EIO; /* the file is shorter than what was written to it */
        return PUMP_SPOOL;
    case DX_IO_ERROR:
        return errno == EIO ? PUMP_SPOOL : PUMP_SERVER_BROKE;
    }
    uint64_t now = x->spool.memory_n + (uint64_t)at;
    x->up.sent += now - x->spool_at;
    x->spool_at = now;
    x->progress = true;
    return PUMP_DONE;
}

static enum pump feed_spool(struct exchange *x)
{
    if (x->spool_at == dx_spool_bytes(&x->spool)) {
        x->up_ended = true;
        return PUMP_DONE;
    }
    struct dx_slice data = dx_spool_in_memory(&x->spool, x->spool_at);
    if (data.n == 0)
        return send_file(x);
    outlet_add(&x->up, data);
    x->spool_at += data.n;
    return PUMP_DONE;
}

static enum pump feed(struct exchange *x, struct dx_http_error *err)
{
    switch (x->source) {
    case SOURCE_NONE:
        break;
    case SOURCE_MEMORY:
        outlet_add(&x->up, x->memory);
        break;
    case SOURCE_SPOOL:
        return feed_spool(x);
    case SOURCE_STREAM:
        return feed_stream(x, err);
    }
    x->up_ended = true;
    return PUMP_DONE;
}

/* What is in memory goes out with the head in one system call; a streamed body waits for nobody. */
static bool joins_head(const struct exchange *x)
{
    return x->source != SOURCE_STREAM && !(x->source == SOURCE_SPOOL && x->spool_at >= x->spool.memory_n);
}

enum pump pump_up(struct exchange *x, struct dx_http_error *err)
{
    struct dx_transport *t = dx_connection_transport(x->connection);

    for (unsigned piece = 0; piece < PIECES_PER_TURN; piece++) {
        enum pump spliced;
        if (!x->up_ended && splice_up(x, &spliced)) {
            x->up_ended = spliced == PUMP_DONE;
            return spliced;
        }
        if (!x->up_ended && (outlet_empty(&x->up) || joins_head(x))) {
            enum pump fed = feed(x, err);
            if (fed != PUMP_DONE)
                return fed;
        }
        uint64_t before = x->up.sent;
        enum dx_io io = outlet_flush(&x->up, t);
        x->progress |= x->up.sent != before;
        if (io == DX_IO_AGAIN)
            return pump_wait(x, BLOCKED_SERVER);
        if (io != DX_IO_OK)
            return PUMP_SERVER_BROKE;
        if (x->up_ended)
            return PUMP_DONE;
    }
    return pump_pause(x);
}

void pump_up_rewind(struct exchange *x)
{
    outlet_clear(&x->up);
    x->up.sent = 0;
    x->spool_at = 0;
    x->up_ended = x->up_broken = false;
}

enum pump pump_spool(struct exchange *x, struct dx_http_error *err)
{
    struct dx_slice data;

    for (unsigned piece = 0; piece < PIECES_PER_TURN; piece++) {
        enum pump spliced;
        if (splice_spool(x, &spliced))
            return spliced;
        switch (x->front->ops->read_body(x->front, x, &data, err)) {
        case FRONT_OK:
            break;
        case FRONT_END:
            return PUMP_DONE;
        case FRONT_WAIT:
            return wait_for_body(x, err);
        case FRONT_BAD:
            return PUMP_CLIENT_BAD;
        case FRONT_GONE:
            return PUMP_CLIENT_GONE;
        }
        x->body_in += data.n;
        x->progress = true;
        if (over_limit(x, err))
            return PUMP_CLIENT_BAD;
        if (!shelf_append(x, &x->spool, data))
            return errno == ENOMEM ? PUMP_NO_MEMORY : PUMP_SPOOL;
    }
    return pump_pause(x);
}

/* --- down: the answer's body to the client --- */

static enum pump end_down(struct exchange *x, const struct dx_fields *trailers)
{
    if (x->response.no_trailers)
        trailers = NULL;
    if (!x->front->ops->write_end(x->front, x, trailers))
        return PUMP_NO_MEMORY;
    x->down_ended = true;
    return PUMP_DONE;
}

enum pump pump_flush_down(struct exchange *x)
{
    uint64_t before = x->down.sent;
    enum front_io io = x->front->ops->flush(x->front, x);

    x->progress |= x->down.sent != before;
    switch (io) {
    case FRONT_OK:
        x->progress = true;
        x->down_full = false;
        return PUMP_DONE;
    case FRONT_WAIT:
        return pump_wait(x, BLOCKED_CLIENT);
    case FRONT_END:
    case FRONT_BAD:
    case FRONT_GONE:
        break;
    }
    return PUMP_CLIENT_GONE;
}

/* A stream that is quiet holds no block while it waits. */
static enum pump rest(struct exchange *x)
{
    struct blocks b = blocks_of(x);
    if (inlet_empty(&x->in))
        inlet_release(&x->in, &b);
    return pump_wait(x, BLOCKED_SERVER);
}

enum pump pump_fill_down(struct exchange *x)
{
    struct blocks b = blocks_of(x);
    struct dx_transport *t = dx_connection_transport(x->connection);

    if (!dx_transport_may_read(t))
        return rest(x);
    switch (inlet_fill(&x->in, t, &b, true)) {
    case DX_IO_OK:
        return PUMP_DONE;
    case DX_IO_AGAIN:
        return rest(x);
    case DX_IO_EOF:
        if (x->answer.framing == DX_FRAMING_CLOSE)
            return end_down(x, NULL);
        break;
    case DX_IO_ERROR:
        return errno == ENOMEM ? PUMP_NO_MEMORY : PUMP_SERVER_BROKE;
    }
    return PUMP_SERVER_BROKE;
}

/* FRONT's trailers of the answer; PUMP_WAIT without blocked: more bytes are needed. */
static enum pump trailers_down(struct exchange *x, bool *more, struct dx_http_error *err)
{
    const struct dx_config *c = view_config(x->view);
    struct dx_http1_limits limits = {.head_bytes = c->limits.header_size, .fields = c->limits.header_count};
    struct dx_slice in = inlet_bytes(&x->in);
    size_t used = 0;

    if (!exchange_trailer_storage(x))
        return PUMP_NO_MEMORY;
    enum dx_parse parse = dx_http1_trailers(in.p, in.n, &limits, &x->trailers, &used, err);
    *more = parse == DX_PARSE_MORE;
    if (*more)
        return PUMP_DONE;
    if (parse == DX_PARSE_BAD)
        return PUMP_SERVER_BROKE;
    inlet_use(&x->in, used);
    dx_http1_body_trailers_done(&x->answer);
    return end_down(x, &x->trailers);
}

/* The next piece into the outlet, or the end; *more: the inlet has no whole piece. */
static inline enum pump take_piece(struct exchange *x, bool *more, struct dx_http_error *err)
{
    struct dx_slice in = inlet_bytes(&x->in), data;
    size_t used = 0;

    enum dx_body_step step = dx_http1_body_next(&x->answer, in.p, in.n, &used, &data, err);
    inlet_use(&x->in, used);
    switch (step) {
    case DX_BODY_DATA:
        x->body_out += data.n;
        if (x->discard && x->body_out - x->discard_from > DISCARD_MAX)
            return PUMP_CLIENT_GONE;
        x->down_full = true;
        x->front->ops->write_body(x->front, x, data);
        return dx_http1_body_is_done(&x->answer) ? end_down(x, NULL) : PUMP_DONE;
    case DX_BODY_DONE:
        return end_down(x, NULL);
    case DX_BODY_TRAILERS:
        return trailers_down(x, more, err);
    case DX_BODY_MORE:
        *more = true;
        return PUMP_DONE;
    case DX_BODY_BAD:
        break;
    }
    return PUMP_SERVER_BROKE;
}

enum pump pump_take_piece(struct exchange *x, bool *more, struct dx_http_error *err)
{
    return take_piece(x, more, err);
}

static bool spliced_down(struct exchange *x, enum pump *how, struct dx_http_error *err)
{
    if (!splice_down(x, how))
        return false;
    if (*how == PUMP_DONE)
        *how = end_down(x, NULL);
    else if (*how == PUMP_WAIT && x->blocked == BLOCKED_CLIENT)
        *how = absorb_lag(x, err);
    return true;
}

/* From side to side, while the client keeps up. */
static enum pump pass_down(struct exchange *x, struct dx_http_error *err)
{
    for (unsigned piece = 0; piece < PIECES_PER_TURN; piece++) {
        bool more = false;
        enum pump r = PUMP_DONE;
        if (x->pipe_down != NULL && spliced_down(x, &r, err))
            return r;
        if (!x->down_full && !x->down_ended)
            r = take_piece(x, &more, err);
        if (r != PUMP_DONE)
            return r;
        r = pump_flush_down(x);
        if (r != PUMP_DONE)
            return r == PUMP_WAIT ? absorb_lag(x, err) : r;
        if (x->down_ended)
            return PUMP_DONE;
        if (!more)
            continue;
        if (spliced_down(x, &r, err))
            return r;
        r = pump_fill_down(x);
        if (r != PUMP_DONE)
            return r;
    }
    return pump_pause(x);
}

enum pump pump_down(struct exchange *x, struct dx_http_error *err)
{
    if (x->absorbing) {
        enum pump r = absorb_down(x, err);
        if (r != PUMP_DONE)
            return r;
    }
    return pass_down(x, err);
}
