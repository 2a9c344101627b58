/* SPDX-License-Identifier: MIT */
/* diplex's own answers: short, plain, with the request id and nothing about the inside. */
#include "proxy/front.h"
#include "proxy/internal.h"

#define BODY_MAX 512
#define RETRY_AFTER "5" /* seconds: a deployment's length, and several probes */

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
    if (x->status < 500 && x->reason != NULL) {
        dx_out_add(&o, dx_slice_str(x->reason));
        dx_out_byte(&o, '\n');
    }
    DX_OUT_LIT(&o, "request id: ");
    dx_out_add(&o, x->request_id);
    dx_out_byte(&o, '\n');
    return dx_out_slice(&o);
}

bool reply_prepare(struct exchange *x)
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
    add_field(&r.fields, DX_FIELD_CONTENT_TYPE, DX_SLICE("Content-Type"), DX_SLICE("text/plain; charset=utf-8"));
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
