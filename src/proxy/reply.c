/* SPDX-License-Identifier: MIT */
/*
 * Two states at the end of an exchange that did not go as it should. REPLY: diplex's own answer, a page
 * (page.c) with the request id and nothing about the inside. DRAIN: reading what the client still sends.
 */
#include <errno.h>

#include "proxy/front.h"
#include "proxy/page.h"
#include "proxy/steps.h"

#define HEAD_BYTES    1024
#define FIELDS        9
#define DRAIN_PIECES  16 /* then the others have their turn */
#define RETRY_AFTER_S 5  /* a deployment's length, and several probes */
#define ALLOW         "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

static void add_field(struct dx_fields *f, enum dx_field_id id, struct dx_slice name, struct dx_slice value)
{
    DX_ASSERT(f->n < f->max);
    f->at[f->n++] = (struct dx_field){.name = name, .value = value, .id = id};
}

static void add_fields(struct exchange *x, bool retry, struct dx_fields *f)
{
    add_field(f, DX_FIELD_SERVER, DX_SLICE("Server"), DX_SLICE("diplex"));
    add_field(f, DX_FIELD_CONTENT_TYPE, DX_SLICE("Content-Type"), dx_slice_str(x->page->type));
    add_field(f, DX_FIELD_CACHE_CONTROL, DX_SLICE("Cache-Control"), DX_SLICE("no-store"));
    add_field(f, DX_FIELD_VARY, DX_SLICE("Vary"), DX_SLICE("Accept"));
    add_field(f, DX_FIELD_OTHER, DX_SLICE("X-Content-Type-Options"), DX_SLICE("nosniff"));
    if (x->page->policy != NULL)
        add_field(f, DX_FIELD_OTHER, DX_SLICE("Content-Security-Policy"), dx_slice_str(x->page->policy));
    if (x->status == 405 || x->outcome == OUTCOME_ANSWERED) /* RFC 9110 15.5.6, 9.3.7 */
        add_field(f, DX_FIELD_ALLOW, DX_SLICE("Allow"), DX_SLICE(ALLOW));
    if (retry)
        add_field(f, DX_FIELD_RETRY_AFTER, DX_SLICE("Retry-After"), x->page->value[PLACEHOLDER_RETRY_AFTER]);
}

static uint64_t retry_after_s(const struct exchange *x)
{
    if (x->outcome == OUTCOME_MAINTENANCE)
        return (x->route->maintenance.retry_after + 999) / 1000;
    return x->status == 503 ? RETRY_AFTER_S : 0;
}

/* Queues the head of diplex's own answer for x->status. False: out of memory. */
static bool prepare(struct exchange *x)
{
    struct dx_field *fields = dx_arena_alloc(&x->arena, FIELDS * sizeof(*fields));

    uint64_t retry_after = retry_after_s(x);

    x->page = page_make(x, retry_after);
    if (fields == NULL || x->page == NULL)
        return false;
    struct dx_response r = {
        .status = x->status,
        .reason = dx_slice_str(dx_http_reason(x->status)),
        .minor = 1,
        .fields = {.at = fields, .max = FIELDS},
        .framing = DX_FRAMING_LENGTH,
        .length = page_bytes(x->page),
    };
    add_fields(x, retry_after > 0, &r.fields);
    if (x->request.method_id == DX_METHOD_HEAD)
        page_drop(x->page);
    x->body_out = page_bytes(x->page);
    return x->front->ops->write_head(x->front, x, &r, HEAD_BYTES);
}

/* FRONT_OK: the client has it all. */
static enum front_io send_page(struct exchange *x)
{
    struct dx_slice piece;
    enum front_io io;

    do {
        uint64_t sent = x->down.sent;
        while (x->down.n < OUTLET_SLICES && page_next(x->page, &piece))
            x->front->ops->write_body(x->front, x, piece);
        io = x->front->ops->flush(x->front, x);
        x->progress |= x->down.sent != sent;
    } while (io == FRONT_OK && x->page->rest.n > 0);
    return io;
}

/* --- REPLY --- */

enum state exchange_step_reply(struct exchange *x)
{
    if (x->page == NULL) {
        dx_connection_close(&x->connection);
        if (!prepare(x))
            return exchange_end(x, OUTCOME_NO_MEMORY);
    }
    switch (send_page(x)) {
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
