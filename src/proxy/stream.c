/* SPDX-License-Identifier: MIT */
/* Inlets and outlets: blocks from slabs in, gathered slices out. */
#include <errno.h>

#include "proxy/stream.h"

static uint32_t cap_of(const struct inlet *in) { return in->bulk ? BULK_BYTES : BLOCK_BYTES; }

void inlet_put_block(char *p, bool bulk, const struct blocks *b)
{
    dx_slab_put(bulk ? b->bulk : b->small, p);
}

void inlet_release(struct inlet *in, const struct blocks *b)
{
    if (in->p != NULL)
        inlet_put_block(in->p, in->bulk, b);
    *in = (struct inlet){0};
}

/* A new block with the unused bytes in front. */
static bool move_to_block(struct inlet *in, const struct blocks *b, bool bulk)
{
    char *p = dx_slab_get(bulk ? b->bulk : b->small);
    if (p == NULL)
        return false;
    uint32_t n = in->end - in->begin;
    DX_ASSERT(n <= (bulk ? BULK_BYTES : BLOCK_BYTES));
    if (in->p != NULL)
        memcpy(p, in->p + in->begin, n);
    in->p = p;
    in->begin = 0;
    in->end = n;
    in->bulk = bulk;
    return true;
}

static bool make_room(struct inlet *in, const struct blocks *b, bool bulk)
{
    if (in->p == NULL)
        return move_to_block(in, b, bulk);
    if (inlet_empty(in))
        in->begin = in->end = 0;
    if (bulk && !in->bulk && inlet_empty(in)) {
        inlet_release(in, b);
        return move_to_block(in, b, true);
    }
    if (in->end < cap_of(in))
        return true;
    if (in->begin > 0) {
        memmove(in->p, in->p + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
        return true;
    }
    DX_ASSERT(!in->bulk); /* parsers refuse what does not fit a bulk block before it is full */
    struct inlet old = *in;
    if (!move_to_block(in, b, true))
        return false;
    inlet_put_block(old.p, false, b);
    return true;
}

enum dx_io inlet_fill(struct inlet *in, struct dx_transport *t, const struct blocks *b, bool bulk)
{
    size_t got = 0;
    if (!make_room(in, b, bulk)) {
        errno = ENOMEM;
        return DX_IO_ERROR;
    }
    enum dx_io io = dx_transport_receive(t, in->p + in->end, cap_of(in) - in->end, &got);
    in->end += (uint32_t)got;
    return io;
}

bool inlet_detach(struct inlet *in, const struct blocks *b, bool bulk, char **block, bool *block_bulk)
{
    struct inlet old = *in;
    if (!move_to_block(in, b, bulk || in->bulk))
        return false;
    *block = old.p;
    *block_bulk = old.bulk;
    return true;
}

void outlet_add(struct outlet *o, struct dx_slice s)
{
    if (s.n == 0)
        return;
    if (outlet_empty(o))
        outlet_clear(o);
    DX_ASSERT(o->n < OUTLET_SLICES);
    /* sendmsg(2) does not write to it; iovec just has no const. */
    union {
        const char *in;
        void *out;
    } base = {.in = s.p};
    o->iov[o->n++] = (struct iovec){.iov_base = base.out, .iov_len = s.n};
}

void outlet_add_body(struct outlet *o, enum dx_framing f, struct dx_slice data)
{
    if (f != DX_FRAMING_CHUNKED) {
        outlet_add(o, data);
        return;
    }
    outlet_add(o, dx_slice_of(o->frame, dx_http1_chunk_head(o->frame, data.n)));
    outlet_add(o, data);
    outlet_add(o, DX_SLICE("\r\n"));
}

enum dx_io outlet_flush(struct outlet *o, struct dx_transport *t)
{
    while (!outlet_empty(o)) {
        size_t sent = 0;
        if (!t->writable)
            return DX_IO_AGAIN;
        enum dx_io io = dx_transport_send(t, o->iov + o->at, o->n - o->at, false, &sent);
        if (io != DX_IO_OK)
            return io;
        o->sent += sent;
        while (sent > 0) {
            struct iovec *v = &o->iov[o->at];
            size_t n = sent < v->iov_len ? sent : v->iov_len;
            v->iov_base = (char *)v->iov_base + n;
            v->iov_len -= n;
            sent -= n;
            if (v->iov_len == 0)
                o->at++;
        }
    }
    outlet_clear(o);
    return DX_IO_OK;
}
