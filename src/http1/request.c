/* SPDX-License-Identifier: MIT */
/* Request heads (RFC 9112 2.1, 3): one pass from the first byte to the empty line, then their meaning. */
#include "diplex/http1.h"

#include "diplex/http/chars.h"
#include "http1/line.h"
#include "http1/target.h"

#define METHOD_MAX_BYTES 32
#define HOST_MAX_BYTES   255
#define TLS_HANDSHAKE    0x16 /* the first byte of a ClientHello's record */

/* What a request line may need with its CRLF, given the longest method and target. */
static size_t line_max(const struct dx_http1_limits *limits)
{
    return METHOD_MAX_BYTES + 1 + limits->target_bytes + 1 + DX_HTTP1_VERSION_BYTES + 2;
}

static const char *skip(const char *p, const char *end, enum dx_http_char bit)
{
    while (p < end && dx_http_char(*p) & (unsigned)bit)
        p++;
    return p;
}

/* method SP target SP version, and nothing else. */
static enum dx_parse read_line(const char *p, const char *eol, size_t target_max, struct dx_request *r,
                               struct dx_http_error *err)
{
    const char *reason, *end = skip(p, eol, DX_CHAR_TOKEN);

    if (end == p || *end != ' ')
        return dx_http1_refuse(err, 400, "bad method");
    r->method = dx_slice_of(p, (size_t)(end - p));
    if (r->method.n > METHOD_MAX_BYTES)
        return dx_http1_refuse(err, 501, "method too long");
    r->method_id = dx_http_method(r->method);

    p = end + 1;
    end = skip(p, eol, DX_CHAR_TARGET);
    r->target = dx_slice_of(p, (size_t)(end - p));
    if (r->target.n > target_max)
        return dx_http1_refuse(err, 414, "target too long");
    if (end == p || *end != ' ')
        return dx_http1_refuse(err, 400, "bad target");

    int minor = eol - end == DX_HTTP1_VERSION_BYTES + 1 ? dx_http1_version(end + 1) : -1;
    if (minor == -2)
        return dx_http1_refuse(err, 505, "not HTTP/1");
    if (minor < 0)
        return dx_http1_refuse(err, 400, "bad version");
    r->minor = (unsigned)minor;
    if (!dx_http1_target(r, &reason))
        return dx_http1_refuse(err, 400, reason);
    return DX_PARSE_DONE;
}

/* The request line at p, read when it is whole; *next is behind it. */
static enum dx_parse first_line(const char *p, const char *end, const struct dx_http1_limits *limits,
                                struct dx_request *r, const char **next, struct dx_http_error *err)
{
    size_t max = line_max(limits);
    bool cut = (size_t)(end - p) >= max;
    const char *eol, *reason;
    enum dx_parse line = dx_http1_line(p, cut ? p + max : end, &eol, &reason);

    if (line == DX_PARSE_BAD)
        return dx_http1_refuse(err, 400, *p == TLS_HANDSHAKE ? "TLS where plain HTTP is spoken" : reason);
    if (line == DX_PARSE_MORE)
        return cut ? dx_http1_refuse(err, 414, "request line too long") : DX_PARSE_MORE;
    *next = eol + 2;
    return read_line(p, eol, limits->target_bytes, r, err);
}

static enum dx_parse read_head(const char *p, size_t n, const struct dx_http1_limits *limits,
                               struct dx_request *r, size_t *used, struct dx_http_error *err)
{
    bool full = n >= limits->head_bytes;
    const char *start = p, *end = p + (full ? limits->head_bytes : n);

    if (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
        p += 2; /* RFC 9112 2.2: one empty line before the request line, left behind by old clients */
    enum dx_parse got = first_line(p, end, limits, r, &p, err);
    if (got == DX_PARSE_MORE)
        return full ? dx_http1_refuse(err, 414, "request line too long") : DX_PARSE_MORE;
    if (got == DX_PARSE_BAD)
        return DX_PARSE_BAD;
    got = dx_http1_fields(p, end, limits->fields, &r->fields, &p, err);
    if (got == DX_PARSE_MORE)
        return full ? dx_http1_refuse(err, 431, "head too large") : DX_PARSE_MORE;
    if (got == DX_PARSE_BAD)
        return DX_PARSE_BAD;
    *used = (size_t)(p - start);
    return DX_PARSE_DONE;
}

enum dx_parse dx_http1_request_head(const char *p, size_t n, size_t seen,
                                    const struct dx_http1_limits *limits, struct dx_request *out,
                                    size_t *used, struct dx_http_error *err)
{
    struct dx_request r = {.fields = {out->fields.at, 0, out->fields.max}};
    size_t line = line_max(limits), head;

    DX_ASSERT(seen <= n);
    if (n == 0)
        return DX_PARSE_MORE;
    /* The bytes are read again from the start only when a line has ended or a limit was reached: at most once
     * for each line. */
    if (seen > 0 && n < limits->head_bytes && (n < line || seen >= line + 2) &&
        dx_http1_nothing_new(p, n, seen))
        return DX_PARSE_MORE;
    enum dx_parse got = read_head(p, n, limits, &r, &head, err);
    if (got != DX_PARSE_DONE)
        return got;
    if (!dx_http_request_meaning(&r, err))
        return DX_PARSE_BAD;
    *out = r;
    *used = head;
    return DX_PARSE_DONE;
}

/* --- what is known of a head that was refused --- */

/* The target, when it is whole, and its parts where they can be told without a question. */
static bool whole_target(struct dx_request *r, const char *end, size_t target_max)
{
    const char *behind = r->target.p + r->target.n;

    if (r->target.n == 0 || r->target.n > target_max || behind == end || *behind != ' ')
        return false;
    if (*r->target.p != '/')
        return true;
    size_t n = dx_slice_find(r->target, '?');
    r->path = dx_slice_of(r->target.p, n);
    r->query = dx_slice_of(r->target.p + n, r->target.n - n);
    return true;
}

static void known_host(struct dx_request *r)
{
    char lower[HOST_MAX_BYTES];
    struct dx_slice name, host = r->host;
    unsigned hosts = 0;
    uint16_t port;

    for (unsigned i = 0; i < r->fields.n; i++) {
        if (r->fields.at[i].id != DX_FIELD_HOST)
            continue;
        host = r->fields.at[i].value;
        hosts++;
    }
    bool one = r->host.n == 0 && hosts == 1;
    if (one && dx_http_host_split(host, lower, sizeof(lower), &name, &port))
        r->host = host;
}

enum dx_http1_known dx_http1_request_known(const char *p, size_t n, const struct dx_http1_limits *limits,
                                           struct dx_request *out)
{
    struct dx_request r = {.fields = {out->fields.at, 0, out->fields.max}};
    struct dx_http_error err;
    size_t most = n < limits->head_bytes ? n : limits->head_bytes;
    const char *end = p + most;

    if (most >= 2 && p[0] == '\r' && p[1] == '\n')
        p += 2;
    const char *eol = dx_http1_control(p, end), *token = skip(p, eol, DX_CHAR_TOKEN);
    enum dx_http1_known known = DX_HTTP1_METHOD_CUT;
    r.method = dx_slice_of(p, (size_t)(token - p));
    if (token > p && token < end && *token == ' ') {
        known = DX_HTTP1_TARGET_CUT;
        r.method_id = dx_http_method(r.method);
        const char *target = token + 1, *behind = skip(target, eol, DX_CHAR_TARGET);
        r.target = dx_slice_of(target, (size_t)(behind - target));
        if (whole_target(&r, end, limits->target_bytes))
            known = DX_HTTP1_KNOWN;
        else if (r.target.n > limits->target_bytes)
            r.target.n = limits->target_bytes;
    }
    const char *version = known == DX_HTTP1_KNOWN ? r.target.p + r.target.n + 1 : eol;
    bool line = known == DX_HTTP1_KNOWN && eol - version == DX_HTTP1_VERSION_BYTES && end - eol >= 2 &&
                eol[0] == '\r' && eol[1] == '\n' && dx_http1_version(version) >= 0;
    if (line) {
        r.minor = (unsigned)dx_http1_version(version);
        (void)!dx_http1_fields(eol + 2, end, limits->fields, &r.fields, &eol, &err);
        known_host(&r);
    }
    *out = r;
    return known;
}
