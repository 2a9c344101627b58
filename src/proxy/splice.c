/* SPDX-License-Identifier: MIT */
/*
 * Large bodies of known length, when both sides send them as they are: from socket to socket through a pipe,
 * by reference. What it saves is two copies of every byte; what it costs is two system calls more than a
 * block would take, so it begins where much is left. A pipe is lent from the worker's stock while bytes are
 * in it; when the stock is empty the body goes on in blocks.
 */
#include <errno.h>

#include "proxy/front.h"
#include "proxy/internal.h"

#define WORTH_BYTES     (256u * 1024) /* still to come */
#define PIECES_PER_TURN 4             /* of half a megabyte; then the others have their turn */

struct stretch {
    struct dx_transport *from, *to;
    struct dx_http1_body *body;
    struct dx_pipe **pipe; /* holds bytes between two calls only while `to` is full */
    uint64_t *count;
    uint64_t *sent; /* what left */
    enum blocked source, sink;
    enum pump source_broke, sink_broke;
};

static bool counted(const struct dx_http1_body *b, enum dx_framing onward)
{
    return b->framing == DX_FRAMING_LENGTH && onward == DX_FRAMING_LENGTH && b->left >= WORTH_BYTES;
}

static void give_back(struct exchange *x, struct dx_pipe **pipe)
{
    dx_pipe_put(&x->proxy->pipes, *pipe);
    *pipe = NULL;
}

static enum pump stop(struct exchange *x, const struct stretch *s, enum pump why)
{
    give_back(x, s->pipe);
    return why;
}

/* Bytes into the pipe, which is empty. PUMP_DONE: some are in it. */
static enum pump take(struct exchange *x, const struct stretch *s)
{
    DX_ASSERT(*s->pipe != NULL);
    if (!dx_transport_may_read(s->from))
        return stop(x, s, pump_wait(x, s->source));
    size_t most = s->body->left < DX_PIPE_BYTES ? (size_t)s->body->left : DX_PIPE_BYTES;
    switch (dx_transport_take(s->from, *s->pipe, most)) {
    case DX_IO_OK:
        break;
    case DX_IO_AGAIN:
        return stop(x, s, pump_wait(x, s->source));
    case DX_IO_EOF:
    case DX_IO_ERROR:
        return stop(x, s, s->source_broke);
    }
    dx_http1_body_passed(s->body, (*s->pipe)->bytes);
    *s->count += (*s->pipe)->bytes;
    x->progress = true;
    return PUMP_DONE;
}

/* PUMP_DONE: the body has passed whole. However it ends, the pipe is kept only with bytes in it. */
static enum pump pass(struct exchange *x, const struct stretch *s)
{
    struct dx_pipe *p = *s->pipe;

    DX_ASSERT(p != NULL);
    for (unsigned piece = 0; piece < PIECES_PER_TURN; piece++) {
        if (p->bytes == 0) {
            enum pump taken = take(x, s);
            if (taken != PUMP_DONE)
                return taken;
        }
        while (p->bytes > 0) {
            size_t before = p->bytes;
            enum dx_io io = s->to->writable ? dx_transport_give(s->to, p) : DX_IO_AGAIN;
            if (io == DX_IO_AGAIN)
                return pump_wait(x, s->sink);
            if (io != DX_IO_OK)
                return stop(x, s, s->sink_broke);
            *s->sent += before - p->bytes;
            x->progress = true;
        }
        if (s->body->left == 0)
            return stop(x, s, PUMP_DONE);
    }
    give_back(x, s->pipe);
    return pump_pause(x);
}

/* True: *pipe has bytes in it, or one was lent. */
static bool lend(struct exchange *x, struct dx_pipe **pipe)
{
    if (*pipe == NULL)
        *pipe = dx_pipe_get(&x->proxy->pipes);
    return *pipe != NULL;
}

static bool wanted_up(struct exchange *x)
{
    return x->source == SOURCE_STREAM && counted(&x->client_body, x->up_framing) && outlet_empty(&x->up) &&
           x->front->ops->source(x->front) != NULL;
}

bool splice_up(struct exchange *x, enum pump *how)
{
    if (x->pipe_up == NULL && (!wanted_up(x) || !lend(x, &x->pipe_up)))
        return false;
    struct stretch s = {
        .from = x->front->ops->source(x->front),
        .to = dx_connection_transport(x->connection),
        .body = &x->client_body,
        .pipe = &x->pipe_up,
        .count = &x->body_in,
        .sent = &x->up.sent,
        .source = BLOCKED_CLIENT,
        .sink = BLOCKED_SERVER,
        .source_broke = PUMP_CLIENT_GONE,
        .sink_broke = PUMP_SERVER_BROKE,
    };
    DX_ASSERT(s.from != NULL); /* nobody else reads the client while its body is on its way */
    *how = pass(x, &s);
    return true;
}

static bool wanted_down(struct exchange *x)
{
    return !x->discard && counted(&x->answer, x->down_framing) && inlet_empty(&x->in) &&
           outlet_empty(&x->down) && x->front->ops->sink(x->front) != NULL;
}

bool splice_down(struct exchange *x, enum pump *how)
{
    if (x->pipe_down == NULL && (!wanted_down(x) || !lend(x, &x->pipe_down)))
        return false;
    struct stretch s = {
        .from = dx_connection_transport(x->connection),
        .to = x->front->ops->sink(x->front),
        .body = &x->answer,
        .pipe = &x->pipe_down,
        .count = &x->body_out,
        .sent = &x->down.sent,
        .source = BLOCKED_SERVER,
        .sink = BLOCKED_CLIENT,
        .source_broke = PUMP_SERVER_BROKE,
        .sink_broke = PUMP_CLIENT_GONE,
    };
    *how = pass(x, &s);
    return true;
}

enum pump splice_rest_down(struct exchange *x, struct dx_transport *to)
{
    while (x->pipe_down->bytes > 0) {
        size_t before = x->pipe_down->bytes;
        enum dx_io io = to->writable ? dx_transport_give(to, x->pipe_down) : DX_IO_AGAIN;
        if (io == DX_IO_AGAIN)
            return pump_wait(x, BLOCKED_CLIENT);
        if (io != DX_IO_OK)
            return PUMP_CLIENT_GONE;
        x->down.sent += before - x->pipe_down->bytes;
        x->progress = true;
    }
    give_back(x, &x->pipe_down);
    return PUMP_DONE;
}

/* The file takes all at once, so no bytes wait in the pipe. */
static enum pump pass_to_file(struct exchange *x, const struct stretch *s)
{
    for (unsigned piece = 0; piece < PIECES_PER_TURN; piece++) {
        enum pump taken = take(x, s);
        if (taken != PUMP_DONE)
            return taken;
        if (!shelf_append_pipe(x, &x->spool, *s->pipe)) {
            int why = errno;
            give_back(x, s->pipe);
            errno = why;
            return PUMP_SPOOL;
        }
        if (s->body->left == 0)
            return stop(x, s, PUMP_DONE);
    }
    give_back(x, s->pipe);
    return pump_pause(x);
}

bool splice_spool(struct exchange *x, enum pump *how)
{
    struct dx_pipe *pipe = NULL;
    struct stretch s = {
        .from = x->front->ops->source(x->front),
        .body = &x->client_body,
        .pipe = &pipe,
        .count = &x->body_in,
        .source = BLOCKED_CLIENT,
        .source_broke = PUMP_CLIENT_GONE,
    };
    if (s.from == NULL || !dx_spool_memory_full(&x->spool) || !counted(&x->client_body, DX_FRAMING_LENGTH) ||
        !lend(x, &pipe))
        return false;
    *how = pass_to_file(x, &s);
    return true;
}

void splice_drop(struct exchange *x)
{
    give_back(x, &x->pipe_up);
    give_back(x, &x->pipe_down);
}
