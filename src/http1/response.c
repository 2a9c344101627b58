/* SPDX-License-Identifier: MIT */
/* Response heads (RFC 9112 4): like request heads, but every refusal is the server's fault, 502. */
#include "diplex/http1.h"

#include "http1/line.h"

/* The two forms of a status line that servers send: with a reason, even an empty one, and without the space
 * before it. */
static enum dx_parse read_line(const char *p, const char *eol, struct dx_response *r,
                               struct dx_http_error *err)
{
    const char *code = p + DX_HTTP1_VERSION_BYTES + 1;

    if (eol - p < DX_HTTP1_VERSION_BYTES + 4 || code[-1] != ' ')
        return dx_http1_refuse(err, 502, "bad status line");
    int minor = dx_http1_version(p);
    if (minor < 0)
        return dx_http1_refuse(err, 502, "the answer is not HTTP/1");
    unsigned status = 0;
    for (int i = 0; i < 3; i++) {
        if (code[i] < '0' || code[i] > '9')
            return dx_http1_refuse(err, 502, "bad status");
        status = status * 10 + (unsigned)(code[i] - '0');
    }
    if (status < 100 || status > 599) /* RFC 9110 15 */
        return dx_http1_refuse(err, 502, "bad status");
    if (code + 3 != eol && code[3] != ' ')
        return dx_http1_refuse(err, 502, "bad status");
    r->minor = (unsigned)minor;
    r->status = status;
    r->reason = code + 3 == eol ? dx_slice_of(eol, 0) : dx_slice_of(code + 4, (size_t)(eol - code - 4));
    return DX_PARSE_DONE;
}

static enum dx_parse read_head(const char *p, const char *end, unsigned max, struct dx_response *r,
                               const char **next, struct dx_http_error *err)
{
    const char *eol, *reason;
    enum dx_parse got = dx_http1_line(p, end, &eol, &reason);

    if (got == DX_PARSE_MORE)
        return DX_PARSE_MORE;
    if (got == DX_PARSE_BAD)
        return dx_http1_refuse(err, 502, reason);
    if (read_line(p, eol, r, err) == DX_PARSE_BAD)
        return DX_PARSE_BAD;
    got = dx_http1_fields(eol + 2, end, max, &r->fields, next, err);
    for (unsigned i = 0; got == DX_PARSE_DONE && i < r->fields.n; i++)
        r->fields.at[i].drop = false; /* names with '_' are a danger to servers, not to clients */
    return got;
}

enum dx_parse dx_http1_response_head(const char *p, size_t n, size_t seen,
                                     const struct dx_http1_limits *limits, enum dx_method request,
                                     struct dx_response *out, size_t *used, struct dx_http_error *err)
{
    struct dx_response r = {.fields = {out->fields.at, 0, out->fields.max}};
    bool full = n >= limits->head_bytes;
    const char *next;

    DX_ASSERT(seen <= n);
    if (n == 0 || (seen > 0 && !full && dx_http1_nothing_new(p, n, seen)))
        return DX_PARSE_MORE;
    enum dx_parse got = read_head(p, p + (full ? limits->head_bytes : n), limits->fields, &r, &next, err);
    if (got == DX_PARSE_MORE)
        return full ? dx_http1_refuse(err, 502, "head too large") : DX_PARSE_MORE;
    if (got == DX_PARSE_BAD) {
        err->status = 502;
        return DX_PARSE_BAD;
    }
    if (!dx_http_response_meaning(&r, request, err))
        return DX_PARSE_BAD;
    *out = r;
    *used = (size_t)(next - p);
    return DX_PARSE_DONE;
}
