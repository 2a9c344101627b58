/* SPDX-License-Identifier: MIT */
/*
 * A plain reader of HTTP/1.1 for what diplex says to either side, written apart from the program's own: only
 * the one canonical form that diplex promises is known to it, and anything else is a failure.
 */
#ifndef TESTS_FUZZ_EXCHANGE_MESSAGE_H
#define TESTS_FUZZ_EXCHANGE_MESSAGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "diplex/base/check.h"
#include "diplex/base/slice.h"

#define NO_LENGTH UINT64_MAX

struct message {
    struct dx_slice first; /* the request or status line */
    size_t head_n;         /* with its empty line */
    uint64_t length;       /* NO_LENGTH: not said */
    bool chunked, close, expect, upgrade, own;
    unsigned hosts;
    long tag; /* of X-Tag; -1: none */
};

/* How a chunked body goes on; all zero at its start. */
struct chunks {
    uint64_t left;
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_CRLF, CHUNK_TRAILERS, CHUNK_DONE } in;
};

static inline bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static inline void read_field(struct message *m, struct dx_slice line)
{
    size_t colon = dx_slice_find(line, ':');

    DX_ASSERT(colon > 0 && colon < line.n);
    for (size_t i = 0; i < colon; i++)
        DX_ASSERT(is_token_byte(line.p[i]));
    struct dx_slice name = dx_slice_of(line.p, colon);
    struct dx_slice value = dx_slice_trim(dx_slice_of(line.p + colon + 1, line.n - colon - 1));
    if (dx_slice_eq_nocase(name, DX_SLICE("Content-Length"))) {
        DX_ASSERT(m->length == NO_LENGTH && dx_slice_to_u64(value, &m->length));
    } else if (dx_slice_eq_nocase(name, DX_SLICE("Transfer-Encoding"))) {
        DX_ASSERT(!m->chunked && dx_slice_eq(value, DX_SLICE("chunked")));
        m->chunked = true;
    } else if (dx_slice_eq_nocase(name, DX_SLICE("X-Tag"))) {
        uint64_t tag = 0;
        if (dx_slice_to_u64(value, &tag) && tag < 100000)
            m->tag = (long)tag;
    }
    m->close |=
        dx_slice_eq_nocase(name, DX_SLICE("Connection")) && dx_slice_has_token(value, DX_SLICE("close"));
    m->expect |= dx_slice_eq_nocase(name, DX_SLICE("Expect"));
    m->upgrade |= dx_slice_eq_nocase(name, DX_SLICE("Upgrade"));
    m->own |= dx_slice_eq_nocase(name, DX_SLICE("Server")) && dx_slice_eq(value, DX_SLICE("diplex"));
    m->hosts += dx_slice_eq_nocase(name, DX_SLICE("Host"));
}

/* False: it is not whole. CRLF alone ends a line, no line is continued, no control but a tab is in one. */
static inline bool read_message(const char *p, size_t n, struct message *m)
{
    const char *end = n >= 4 ? memmem(p, n, "\r\n\r\n", 4) : NULL;
    size_t at = 0;

    if (end == NULL)
        return false;
    *m = (struct message){.head_n = (size_t)(end - p) + 4, .length = NO_LENGTH, .tag = -1};
    while (at < m->head_n - 2) {
        const char *cr = memchr(p + at, '\r', m->head_n - at);
        DX_ASSERT(cr != NULL && cr[1] == '\n');
        struct dx_slice line = dx_slice_of(p + at, (size_t)(cr - p) - at);
        for (size_t i = 0; i < line.n; i++)
            DX_ASSERT(((unsigned char)line.p[i] >= ' ' && line.p[i] != 0x7f) || line.p[i] == '\t');
        DX_ASSERT(line.n > 0 && line.p[0] != ' ' && line.p[0] != '\t');
        if (at == 0)
            m->first = line;
        else
            read_field(m, line);
        at += line.n + 2;
    }
    DX_ASSERT(!m->chunked || m->length == NO_LENGTH);
    return true;
}

/* The size of a chunk: digits alone, no extension. False: not whole. */
static inline bool read_size(struct chunks *c, const char *p, size_t n, size_t *used)
{
    const char *cr = memchr(p, '\r', n < 18 ? n : 18);

    for (size_t i = 0; i < n && i < 17 && p[i] != '\r'; i++)
        DX_ASSERT(strchr("0123456789abcdefABCDEF", p[i]) != NULL && p[i] != '\0');
    DX_ASSERT(cr != NULL || n < 17);
    if (cr == NULL || (size_t)(cr - p) + 2 > n)
        return false;
    DX_ASSERT(cr > p && cr[1] == '\n');
    c->left = strtoull(p, NULL, 16);
    c->in = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILERS;
    *used = (size_t)(cr - p) + 2;
    return true;
}

/* One step; *used bytes were read and *data of them are the body's. False: more is needed, or it is done. */
static inline bool read_chunk(struct chunks *c, const char *p, size_t n, size_t *used, struct dx_slice *data)
{
    *data = dx_slice_of(p, 0);
    *used = 0;
    if (c->in == CHUNK_DONE || n == 0)
        return false;
    if (c->in == CHUNK_SIZE)
        return read_size(c, p, n, used);
    if (c->in == CHUNK_DATA) {
        *used = data->n = c->left < n ? (size_t)c->left : n;
        c->left -= data->n;
        c->in = c->left > 0 ? CHUNK_DATA : CHUNK_CRLF;
        return true;
    }
    const char *lf = memchr(p, '\n', n);
    if (lf == NULL)
        return false;
    DX_ASSERT(lf > p && lf[-1] == '\r');
    *used = (size_t)(lf - p) + 1;
    DX_ASSERT(c->in != CHUNK_CRLF || *used == 2);
    if (c->in == CHUNK_CRLF)
        c->in = CHUNK_SIZE;
    else if (*used == 2)
        c->in = CHUNK_DONE;
    return true;
}

#endif
