/* SPDX-License-Identifier: MIT */
/*
 * The wire format of HTTP/1.x (RFC 9112): heads, bodies, trailers. Pure functions on bytes: done, more needed, or bad; the same answer
 * whether the bytes come whole or one by one. Strict: CRLF only, no obs-fold, no space before the colon, no bare CR, LF, NUL.
 */
#ifndef DIPLEX_HTTP1_H
#define DIPLEX_HTTP1_H

#include "diplex/http.h"

enum dx_parse { DX_PARSE_DONE, DX_PARSE_MORE, DX_PARSE_BAD };

struct dx_http1_limits {
    size_t head_bytes;   /* start line, fields and the empty line together: 431 beyond (400s for responses are 502) */
    size_t target_bytes; /* 414 beyond */
    unsigned fields;     /* 431 beyond; never more than out->fields.max */
};

/*
 * Parses a request head at p[0..n) and decides its meaning. `seen` is how many of these bytes an earlier call has seen already (0 at
 * first), so that slow senders cost no quadratic work. out->fields.at and .max must be set. Leading empty lines (at most one
 * CRLF, RFC 9112 2.2) are skipped and counted in *used. On DONE *used is the head's length; on BAD *err is set.
 * MORE with n >= head_bytes cannot happen: that is BAD with 431 (or 414 while still in the request line).
 */
enum dx_parse dx_http1_request_head(const char *p, size_t n, size_t seen, const struct dx_http1_limits *limits,
                                    struct dx_request *out, size_t *used, struct dx_http_error *err) DX_CHECKED;

/*
 * What can be said of a head that was refused, or is not whole, for the log and for the answer: method, target and (of one that begins with '/') its parts,
 * version, host and fields, as far as each stands there in full and keeps the rules; the rest is empty. No meaning is decided. CUT: out->method (or out->target) holds
 * only how it begins.
 */
enum dx_http1_known { DX_HTTP1_KNOWN, DX_HTTP1_METHOD_CUT, DX_HTTP1_TARGET_CUT };
enum dx_http1_known dx_http1_request_known(const char *p, size_t n, const struct dx_http1_limits *limits, struct dx_request *out);

/* As dx_http1_request_head, for a response to a request of method `request`. Errors are 502 with their reason. */
enum dx_parse dx_http1_response_head(const char *p, size_t n, size_t seen, const struct dx_http1_limits *limits, enum dx_method request,
                                     struct dx_response *out, size_t *used, struct dx_http_error *err) DX_CHECKED;

/* A trailer section at p[0..n), the final empty line included. Fields with DX_RULE_NO_TRAILER or hop-by-hop are marked `drop`. */
enum dx_parse dx_http1_trailers(const char *p, size_t n, const struct dx_http1_limits *limits, struct dx_fields *out, size_t *used,
                                struct dx_http_error *err) DX_CHECKED;

/* Reads one body by its framing. */
struct dx_http1_body {
    enum dx_framing framing;
    uint64_t left;      /* of the length, or of the current chunk */
    uint64_t total;     /* body bytes given out so far */
    unsigned state;     /* of the chunked decoder */
    unsigned line;      /* bytes of the current chunk-size line, extensions included: bounded */
    uint64_t overhead;  /* framing bytes so far: a stream of tiny chunks with huge extensions is refused */
};

enum dx_body_step {
    DX_BODY_DATA,     /* *data is body (n > 0), inside p; call again */
    DX_BODY_MORE,     /* everything used, more bytes needed (for CLOSE: until the connection ends) */
    DX_BODY_TRAILERS, /* chunked: the last chunk was read; a trailer section (maybe only CRLF) follows: dx_http1_trailers */
    DX_BODY_DONE,     /* the body is complete; nothing beyond it was used */
    DX_BODY_BAD,
};

void dx_http1_body_init(struct dx_http1_body *b, enum dx_framing framing, uint64_t length);

/* *used bytes of p are spent by this step, *data is among them. The decoder has moved on: the caller keeps the bytes of
 * *data in place until they are written. */
enum dx_body_step dx_http1_body_next(struct dx_http1_body *b, const char *p, size_t n, size_t *used, struct dx_slice *data,
                                     struct dx_http_error *err) DX_CHECKED;

/* `n` bytes of a body of known length went by without being looked at: at most `left`. */
static inline void dx_http1_body_passed(struct dx_http1_body *b, uint64_t n)
{
    DX_ASSERT(b->framing == DX_FRAMING_LENGTH && n <= b->left);
    b->left -= n;
    b->total += n;
}

/* After TRAILERS were parsed: the body is done. */
void dx_http1_body_trailers_done(struct dx_http1_body *b);
static inline bool dx_http1_body_is_done(const struct dx_http1_body *b)
{
    return b->framing == DX_FRAMING_NONE || (b->framing == DX_FRAMING_LENGTH && b->left == 0) ||
           (b->framing == DX_FRAMING_CHUNKED && b->state == 255);
}

/* What the chunk at hand has yet to bring, once its size is read. */
uint64_t dx_http1_body_announced(const struct dx_http1_body *b);

/* Writing. A chunk is its head, its data, CRLF (RFC 9112 7.1). */
#define DX_HTTP1_CHUNK_HEAD 20
size_t dx_http1_chunk_head(char buf[DX_HTTP1_CHUNK_HEAD], size_t data_bytes);
#define DX_HTTP1_LAST_CHUNK "0\r\n\r\n"
void dx_http1_write_field(struct dx_out *o, struct dx_slice name, struct dx_slice value);

#endif
