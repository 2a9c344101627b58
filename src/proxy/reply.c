/* SPDX-License-Identifier: MIT */
/*
 * Two states at the end of an exchange that did not go as it should. REPLY: diplex's own answer, short,
 * plain, with the request id and nothing about the inside. DRAIN: reading what the client still sends.
 */
#include <errno.h>

#include "proxy/front.h"
#include "proxy/steps.h"

#define BODY_MAX     512
#define DRAIN_PIECES 16  /* then the others have their turn */
#define RETRY_AFTER  "5" /* seconds: a deployment's length, and several probes */
#define ALLOW        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

static void add_field(struct dx_fields *f, enum dx_field_id id, struct dx_slice name, struct dx_slice value)
{
    DX_ASSERT(f->n < f->max);
    f->at[f->n++] = (struct dx_field){.name = name, .value = value, .id = id};
}

static struct dx_slice body_text(struct exchange *x)
{
    const char *reason = dx_http_reason(x->status);
    char *p = dx_arena_alloc(&x->arena, BODY_MAX);
    if (p == NULL)
        return dx_slice_of(NULL, 0);
    struct dx_out o = dx_out_of(p, BODY_MAX);
    dx_out_u64(&o, x->status);
    dx_out_byte(&o, ' ');
    dx_out_add(&o, dx_slice_str(reason));
    dx_out_byte(&o, '\n');
    /* What a client did wrong is said to it; what is wrong inside is for the log. */
    bool of_client = x->outcome == OUTCOME_BAD_REQUEST || x->outcome == OUTCOME_UPGRADE_REFUSED;
    if ((x->status < 500 || of_client) && x->reason != NULL) {
        dx_out_add(&o, dx_slice_str(x->reason));
        dx_out_byte(&o, '\n');
    }
    DX_OUT_LIT(&o, "request id: ");
    dx_out_add(&o, x->request_id);
    dx_out_byte(&o, '\n');
    return dx_out_slice(&o);
}

/* Queues diplex's own answer for x->status. False: out of memory. */
static bool prepare(struct exchange *x)
{
    struct dx_field *fields = dx_arena_alloc(&x->arena, 4 * sizeof(*fields));
    struct dx_slice body = body_text(x);
    struct dx_response r = {
        .status = x->status,
        .reason = dx_slice_str(dx_http_reason(x->status)),
        .minor = 1,
        .fields = {.at = fields, .max = 4},
        .framing = DX_FRAMING_LENGTH,
        .length = body.n,
    };

    if (fields == NULL || body.n == 0)
        return false;
    add_field(&r.fields, DX_FIELD_SERVER, DX_SLICE("Server"), DX_SLICE("diplex"));
    add_field(&r.fields, DX_FIELD_CONTENT_TYPE, DX_SLICE("Content-Type"),
              DX_SLICE("text/plain; charset=utf-8"));
    if (x->status == 405 || x->outcome == OUTCOME_ANSWERED) /* RFC 9110 15.5.6, 9.3.7 */
        add_field(&r.fields, DX_FIELD_ALLOW, DX_SLICE("Allow"), DX_SLICE(ALLOW));
    if (x->status == 503)
        add_field(&r.fields, DX_FIELD_RETRY_AFTER, DX_SLICE("Retry-After"), DX_SLICE(RETRY_AFTER));
    if (x->request.method_id == DX_METHOD_HEAD)
        body.n = 0;
    if (!x->front->ops->write_head(x->front, x, &r, BODY_MAX))
        return false;
    if (body.n > 0)
        x->front->ops->write_body(x->front, x, body);
    x->body_out = body.n;
    return true;
}

/* --- REPLY --- */

enum state exchange_step_reply(struct exchange *x)
{
    if (!x->reply_ready) {
        dx_connection_close(&x->connection);
        if (!prepare(x))
            return exchange_end(x, OUTCOME_NO_MEMORY);
        x->reply_ready = true;
    }
    switch (x->front->ops->flush(x->front, x)) {
    case FRONT_WAIT:
        return STATE_WAIT;
    case FRONT_OK:
        return x->linger ? STATE_DRAIN : STATE_FINISH;
    case FRONT_END:
    case FRONT_BAD:
    case FRONT_GONE:
        break;
    }
    x->keep_client = false;
    return STATE_FINISH;
}

enum state exchange_spool_failed(struct exchange *x)
{
    int why = errno;
    enum outcome o = why == SHELF_FULL ? OUTCOME_SPOOL_FULL : OUTCOME_NO_MEMORY;
    const char *reason = why == SHELF_FULL ? NULL : dx_err_text(why);

    if (why != SHELF_FULL && !room_lacking(why)) {
        o = OUTCOME_SPOOL_FAILED;
        reason = hints_spool_failed(x, "request", "requests with large bodies are answered with 507");
    }
    enum state next = exchange_answer(x, o, reason);
    x->linger = true;
    return next;
}

/* --- DRAIN --- */

/* The client may still be sending a body that nobody wants. A small rest is read for the sake of its
 * connection. Else, to close now would make the kernel answer it with a reset, which can destroy the answer
 * before it is read: so the client is told that no more comes, and for a while what it sends is read and
 * dropped (RFC 9112 9.6). */
static void prepare_drain(struct exchange *x)
{
    if (x->keep_client && x->drained > DRAIN_MAX)
        x->keep_client = false;
    if (x->keep_client || x->said_no_more)
        return;
    x->said_no_more = true;
    x->front->ops->say_no_more(x->front);
    x->front->ops->go_raw(x->front, x);
}

enum state exchange_step_drain(struct exchange *x)
{
    struct dx_http_error err = {400, NULL};
    struct dx_slice data;

    if (x->raw_drain)
        x->keep_client = false;
    for (unsigned piece = 0; piece < DRAIN_PIECES; piece++) {
        prepare_drain(x);
        switch (x->front->ops->read_body(x->front, x, &data, &err)) {
        case FRONT_OK:
            x->drained += data.n;
            break;
        case FRONT_WAIT:
            return STATE_WAIT;
        case FRONT_END:
            return STATE_FINISH;
        case FRONT_BAD:
        case FRONT_GONE:
            x->keep_client = false;
            return STATE_FINISH;
        }
    }
    dx_loop_again(x->proxy->loop, &x->again);
    return STATE_WAIT;
}
