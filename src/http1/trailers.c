/* SPDX-License-Identifier: MIT */
/* Trailer sections (RFC 9112 7.1.2). They are read whole each time: they are rare and the head's limits bound
 * them. */
#include "diplex/http1.h"

#include "http1/line.h"

enum dx_parse dx_http1_trailers(const char *p, size_t n, const struct dx_http1_limits *limits,
                                struct dx_fields *out, size_t *used, struct dx_http_error *err)
{
    bool full = n >= limits->head_bytes;
    const char *next;

    if (n == 0)
        return DX_PARSE_MORE;
    enum dx_parse got =
        dx_http1_fields(p, p + (full ? limits->head_bytes : n), limits->fields, out, &next, err);
    if (got == DX_PARSE_MORE)
        return full ? dx_http1_refuse(err, 431, "trailers too large") : DX_PARSE_MORE;
    if (got == DX_PARSE_BAD)
        return DX_PARSE_BAD;
    for (unsigned i = 0; i < out->n; i++) {
        struct dx_field *f = &out->at[i];
        if (dx_http_field_rules(f->id) & (DX_RULE_NO_TRAILER | DX_RULE_HOP))
            f->drop = true;
    }
    *used = (size_t)(next - p);
    return DX_PARSE_DONE;
}
