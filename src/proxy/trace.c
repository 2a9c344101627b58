/* SPDX-License-Identifier: MIT */
/*
 * Which trace a request belongs to (W3C Trace Context). diplex records no spans of its own, so what it passes
 * on is what came, unchanged; where the setting says so, a request that brings none, or one that is not to be
 * believed, begins a new trace here. And what the client is told of where its time went: Server-Timing.
 */
#include "diplex/http/trace.h"
#include "diplex/os/process.h"
#include "proxy/steps.h"

#define TIMING_BYTES 160u

/* Nobody can guess an id from others: a keyed hash of a counter. Without random bytes of the kernel, which is
 * impossible once it has booted, the ids are those of request ids. */
static uint64_t random_word(struct dx_proxy *p)
{
    struct tracing *t = &p->tracing;

    if (t->count == 0 && !dx_process_random(t->key, sizeof t->key))
        for (unsigned i = 0; i < DX_COUNT(t->key); i++)
            t->key[i] = dx_random_next(&p->random);
    t->count++;
    return dx_siphash(t->key, dx_slice_of((const char *)&t->count, sizeof t->count));
}

/* Without memory for it the request goes on without any. */
static void begin(struct exchange *x)
{
    uint64_t random[3];
    char *value = dx_arena_alloc(&x->arena, DX_TRACE_PARENT);
    if (value == NULL)
        return;
    for (unsigned i = 0; i < DX_COUNT(random); i++)
        random[i] = random_word(x->proxy);
    uint64_t draw = (random_word(x->proxy) >> 32) * 100 >> 32;
    dx_http_trace_write(random, draw < view_config(x->view)->trace.sample, value);
    x->traceparent = value;
}

void trace_see(struct exchange *x, bool trusted)
{
    if (!dx_forward_keep_trace(&x->request.fields, view_config(x->view)->trace.mode, trusted))
        begin(x);
}

struct dx_slice trace_id(const struct exchange *x)
{
    struct dx_slice id;

    if (x->traceparent != NULL && dx_http_trace_id(dx_slice_of(x->traceparent, DX_TRACE_PARENT), &id))
        return id;
    return dx_http_trace_find(&x->request.fields, &id) != NULL ? id : dx_slice_of(NULL, 0);
}

/* --- Server-Timing --- */

static void metric(struct dx_out *o, const char *name, uint64_t us)
{
    if (o->p != o->start)
        DX_OUT_LIT(o, ", ");
    dx_out_add(o, dx_slice_str(name));
    DX_OUT_LIT(o, ";dur=");
    dx_out_ms(o, us);
}

struct dx_slice trace_timing(struct exchange *x)
{
    char *room = x->queued_us != 0 ? dx_arena_alloc(&x->arena, TIMING_BYTES) : NULL;
    uint64_t now = dx_loop_now_us(x->proxy->loop);

    if (room == NULL)
        return dx_slice_of(NULL, 0);
    struct dx_out o = dx_out_of(room, TIMING_BYTES);
    metric(&o, "queue", (x->picked_us != 0 ? x->picked_us : now) - x->queued_us);
    if (x->connected_us > x->picked_us && !x->reused)
        metric(&o, "connect", x->connected_us - x->picked_us);
    if (x->first_byte_us != 0)
        metric(&o, "upstream", x->first_byte_us - x->connected_us);
    DX_ASSERT(!o.overflow);
    return dx_out_slice(&o);
}
