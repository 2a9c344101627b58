/* SPDX-License-Identifier: MIT */
/*
 * What the two directions of the room share: the rules of the fields as a table, and the copying of kept
 * fields in runs. Only for src/forward.
 */
#ifndef FORWARD_PARTS_H
#define FORWARD_PARTS_H

#include "diplex/forward.h"

/* Bits of enum dx_field_rule, by field id: the table of http_fields.def, here to be inlined. */
static const unsigned char forward_rules[DX_FIELD_COUNT] = {
    0, /* DX_FIELD_OTHER */
#define FIELD(id, name, rules) [DX_FIELD_##id] = (rules),
#include "diplex/http_fields.def"
};

#define OUT_LINE(o, literal_name, value)  \
    do {                                  \
        DX_OUT_LIT(o, literal_name ": "); \
        dx_out_add(o, value);             \
        DX_OUT_LIT(o, "\r\n");            \
    } while (0)

/*
 * Neighbouring fields that came as `Name: value CRLF` and are all kept are copied together. The run is [from,
 * to), the last CRLF not included: whether it lies behind `to` is only known when another field follows
 * there.
 */
struct forward_run {
    struct dx_out *o;
    const char *from, *to; /* NULL when nothing waits */
};

static inline void forward_run_flush(struct forward_run *run)
{
    if (!run->from)
        return;
    dx_out_add(run->o, dx_slice_of(run->from, (size_t)(run->to - run->from)));
    DX_OUT_LIT(run->o, "\r\n");
    run->from = run->to = NULL;
}

static inline void forward_run_add(struct forward_run *run, const struct dx_field *f)
{
    const char *colon = f->name.p + f->name.n;

    if (f->value.p != colon + 2 || colon[0] != ':' || colon[1] != ' ') {
        forward_run_flush(run);
        dx_out_add(run->o, f->name);
        DX_OUT_LIT(run->o, ": ");
        dx_out_add(run->o, f->value);
        DX_OUT_LIT(run->o, "\r\n");
        return;
    }
    if (!run->from || f->name.p != run->to + 2 || run->to[0] != '\r' || run->to[1] != '\n') {
        forward_run_flush(run);
        run->from = f->name.p;
    }
    run->to = f->value.p + f->value.n;
}

static inline bool forward_starts_nocase(struct dx_slice s, struct dx_slice prefix)
{
    return s.n >= prefix.n && dx_slice_eq_nocase(dx_slice_of(s.p, prefix.n), prefix);
}

/* An unknown name that is an order to a proxy all the same: X-Accel-anything. */
static inline bool forward_is_accel(struct dx_slice name)
{
    return name.n && (name.p[0] | 0x20) == 'x' && forward_starts_nocase(name, DX_SLICE("x-accel-"));
}

/* What the client is said to be, by the trust of this connection (claims.c). Slices of the fields or of *c.
 */
struct forward_client {
    struct dx_slice ip;    /* empty when unknown */
    struct dx_slice proto; /* "http" or "https" */
    struct dx_slice host;  /* with its port; may be empty */
    struct dx_slice port;  /* digits */
    struct dx_slice request_id;
};
void forward_client_read(const struct dx_request *r, const struct dx_forward_request *c,
                         struct forward_client *out);

/* The value of X-Forwarded-For for the server. Writes the whole field line, or nothing when no address is
 * known. */
void forward_write_for(const struct dx_fields *f, const struct dx_forward_request *c, struct dx_out *o);

#endif
