/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies: cut anywhere, the decoder gives the same bytes and the same end, and both are what the
 * plain decoder below, which has the whole body before it, makes of them.
 */
#include "exchange/message.h"
#include "fuzz_cuts.h"

#include <stdlib.h>

struct result {
    enum dx_body_step step;
    char *data; /* room for the whole input */
    size_t n, used;
    struct dx_http_error err;
};

/* Reads p[0..n) as far as it goes; may be called again with more. */
static void feed(struct result *r, struct dx_http1_body *b, const char *p, size_t n)
{
    do {
        size_t used = 0, before = r->used;
        struct dx_slice data = {NULL, 0};
        r->step = dx_http1_body_next(b, p + before, n - before, &used, &data, &r->err);
        if (r->step == DX_BODY_BAD)
            return;
        DX_ASSERT(used <= n - before);
        r->used += used;
        if (r->step != DX_BODY_DATA)
            break;
        DX_ASSERT(data.n > 0 && fuzz_inside(data, p + before, used) && data.p + data.n == p + r->used);
        memcpy(r->data + r->n, data.p, data.n);
        r->n += data.n;
    } while (r->step == DX_BODY_DATA);
    DX_ASSERT(r->step != DX_BODY_MORE || r->used == n);
    DX_ASSERT(b->total == r->n && b->overhead == r->used - r->n);
}

static size_t spaces(const char *p, size_t at, size_t n)
{
    while (at < n && (p[at] == ' ' || p[at] == '\t'))
        at++;
    return at;
}

static size_t token(const char *p, size_t at, size_t n)
{
    while (at < n && is_token_byte(p[at]))
        at++;
    return at;
}

/* Behind the closing quote; 0: there is none. */
static size_t quoted(const char *p, size_t at, size_t n)
{
    for (at++; at < n && p[at] != '"'; at++) {
        at += p[at] == '\\';
        if (at == n || (p[at] != '\t' && (p[at] < ' ' || p[at] > '~')))
            return 0;
    }
    return at < n ? at + 1 : 0;
}

/* RFC 9112 7.1.1, without white space before the first ';' and behind the last word. */
static bool are_extensions(const char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        if (p[at] != ';')
            return false;
        size_t name = spaces(p, at + 1, n);
        at = token(p, name, n);
        if (at == name)
            return false;
        size_t equals = spaces(p, at, n);
        if (equals < n && p[equals] == '=') {
            size_t value = spaces(p, equals + 1, n);
            at = value < n && p[value] == '"' ? quoted(p, value, n) : token(p, value, n);
            if (at <= value)
                return false;
        }
        size_t next = spaces(p, at, n);
        if (next == n && at != n)
            return false;
        at = next;
    }
    return true;
}

/* Length of the chunk-size line at p without its CRLF, and the size in *size; 0: not whole, or not one. */
static size_t size_line(const char *p, size_t n, uint64_t *size)
{
    const char *lf = n ? memchr(p, '\n', n) : NULL;
    char digits[17];
    size_t d = 0;

    if (!lf || lf - p < 2 || lf - p > 255 || lf[-1] != '\r')
        return 0;
    size_t line = (size_t)(lf - p) - 1;
    while (d < 16 && d < line && strchr("0123456789abcdefABCDEF", p[d] ? p[d] : 'x'))
        d++;
    if (d == 0 || !are_extensions(p + d, line - d))
        return 0;
    memcpy(digits, p, d);
    digits[d] = '\0';
    *size = strtoull(digits, NULL, 16);
    return *size >> 60 ? 0 : line;
}

/* The plain decoder. True when the last chunk is there: *used bytes gave out[0..*out_n). */
static bool decode(const char *p, size_t n, char *out, size_t *out_n, size_t *used)
{
    size_t at = 0;
    uint64_t size;

    *out_n = 0;
    for (;;) {
        size_t line = size_line(p + at, n - at, &size);
        if (line == 0)
            return false;
        at += line + 2;
        if (size == 0)
            break;
        if (n - at < 2 || size > n - at - 2 || memcmp(p + at + size, "\r\n", 2) != 0)
            return false;
        memcpy(out + *out_n, p + at, size);
        *out_n += size;
        at += size + 2;
    }
    *used = at;
    return true;
}

static void check_chunked(const char *p, size_t n, char *room)
{
    struct dx_http1_body b;
    struct result whole = {.data = room};
    size_t plain_n, plain_used = 0;

    dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
    feed(&whole, &b, p, n);
    bool plain = decode(p, n, room + 2 * n, &plain_n, &plain_used);
    if (n <= 65536) /* beyond, the bound on overhead may refuse what the plain decoder takes */
        DX_ASSERT(plain == (whole.step == DX_BODY_TRAILERS));
    if (whole.step == DX_BODY_TRAILERS)
        DX_ASSERT(plain && plain_used == whole.used && plain_n == whole.n &&
                  memcmp(room, room + 2 * n, whole.n) == 0);

    for (size_t at = 0; at < n; at = fuzz_next_cut(at, n)) {
        struct result cut = {.data = room + n};
        dx_http1_body_init(&b, DX_FRAMING_CHUNKED, 0);
        feed(&cut, &b, p, at);
        if (cut.step == DX_BODY_MORE)
            feed(&cut, &b, p, n);
        DX_ASSERT(cut.step == whole.step && cut.n == whole.n && memcmp(cut.data, whole.data, whole.n) == 0);
        DX_ASSERT(cut.step == DX_BODY_BAD ? fuzz_same_error(cut.err, whole.err) : cut.used == whole.used);
    }
}

/* The first byte as a length: exactly that much is given out and no more. */
static void check_length(const char *p, size_t n, char *room)
{
    size_t length = n ? (unsigned char)p[0] : 0, expected = length < n ? length : n;
    struct dx_http1_body b;
    struct result r = {.data = room};

    dx_http1_body_init(&b, DX_FRAMING_LENGTH, length);
    feed(&r, &b, p, n);
    DX_ASSERT(r.n == expected && r.used == expected && memcmp(room, p, expected) == 0);
    DX_ASSERT(dx_http1_body_is_done(&b) == (length <= n) && (r.step == DX_BODY_DONE) == (length <= n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    char *room = malloc(3 * size + 1);

    DX_ASSERT(room != NULL);
    if (size > 0) {
        check_chunked(p, size, room);
        check_length(p, size, room);
    }
    free(room);
    return 0;
}
