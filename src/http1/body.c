/* SPDX-License-Identifier: MIT */
/*
 * Bodies by their framing (RFC 9112 6, 7.1). The chunked decoder, a byte at a time between the data, which it
 * never touches:
 *
 *   SIZE --hex--> SIZE --;--> extension --CR--> SIZE_LF --LF--> DATA --all--> DATA_CR --CR--> DATA_LF
 *   ^              +----------CR----------------^    \-- size 0 --> TRAILERS (dx_http1_trailers) --> DONE   |
 *   +---------------------------------------------------LF--------------------------------------------------+
 *
 *   extension:  --;--> BEGIN --name--> NAME --=--> EQUALS --token--> VALUE --;--> BEGIN
 *                                       +--;--> BEGIN  +--"--> QUOTED --"--> CLOSED --;--> BEGIN
 *
 * with spaces where 7.1.1 has BWS, but not before the first ';' (NAMED and VALUED: NAME and VALUE behind a
 * space). No bare CR or LF, no quoted text without its end, no data without its CRLF: where chunked decoders
 * disagree, requests are smuggled.
 */
#include "diplex/http1.h"

#include "diplex/http/chars.h"
#include "http1/line.h"

enum {
    SIZE,
    BEGIN, /* an extension, up to VALUED */
    NAME,
    NAMED,
    EQUALS,
    VALUE,
    QUOTED,
    ESCAPED,
    CLOSED,
    VALUED,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILERS = 253,
    BROKEN = 254,
    DONE = 255
};

#define LINE_MAX_BYTES      256
#define DIGITS_MAX          16
#define SIZE_MAX_BITS       60 /* fifteen digits that count: sums of sizes cannot overflow in a lifetime */
#define OVERHEAD_FREE_BYTES 65536u
#define OVERHEAD_PER_BYTE   16u /* the chunk of one byte costs five */

void dx_http1_body_init(struct dx_http1_body *b, enum dx_framing framing, uint64_t length)
{
    *b = (struct dx_http1_body){
        .framing = framing, .left = framing == DX_FRAMING_LENGTH ? length : 0, .state = SIZE};
}

static const char *size_digit(struct dx_http1_body *b, char c)
{
    unsigned digit;

    if (c >= '0' && c <= '9')
        digit = (unsigned)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        digit = (unsigned)((c | 0x20) - 'a') + 10;
    else
        return "bad chunk size";
    if (b->line > DIGITS_MAX || b->left >> (SIZE_MAX_BITS - 4))
        return "chunk size too large";
    b->left = b->left << 4 | digit;
    return NULL;
}

static const char *on_size(struct dx_http1_body *b, char c)
{
    if (c != '\r' && c != ';')
        return size_digit(b, c);
    if (b->line == 1)
        return "no chunk size";
    b->state = c == ';' ? BEGIN : SIZE_LF;
    return NULL;
}

/* Behind a name or a value: its end, or a space before what follows. */
static unsigned after(char c, unsigned spaced)
{
    if (c == ';')
        return BEGIN;
    return c == ' ' || c == '\t' ? spaced : BROKEN;
}

/* Where the byte of an extension leads. */
static unsigned extension_next(unsigned state, char c)
{
    bool token = (dx_http_char(c) & DX_CHAR_TOKEN) != 0, space = c == ' ' || c == '\t';
    bool ascii = c == '\t' || (c >= ' ' && c < 0x7f);

    switch (state) {
    case BEGIN:
        return token ? NAME : space ? BEGIN : BROKEN;
    case NAME:
        if (token || c == '\r')
            return token ? NAME : SIZE_LF;
        return c == '=' ? EQUALS : after(c, NAMED);
    case NAMED:
        return c == '=' ? EQUALS : after(c, NAMED);
    case EQUALS:
        return c == '"' ? QUOTED : token ? VALUE : space ? EQUALS : BROKEN;
    case VALUE:
        if (token)
            return VALUE;
        return c == '\r' ? SIZE_LF : after(c, VALUED);
    case QUOTED:
        return c == '"' ? CLOSED : c == '\\' ? ESCAPED : ascii ? QUOTED : BROKEN;
    case ESCAPED:
        return ascii ? QUOTED : BROKEN;
    case CLOSED:
        return c == '\r' ? SIZE_LF : after(c, VALUED);
    default:
        return after(c, VALUED);
    }
}

static const char *on_extension(struct dx_http1_body *b, char c)
{
    unsigned next = extension_next(b->state, c);

    if (next == BROKEN)
        return "bad chunk extension";
    b->state = next;
    return NULL;
}

static const char *on_size_end(struct dx_http1_body *b, char c)
{
    if (c != '\n')
        return "bare CR after a chunk size";
    if (b->overhead > OVERHEAD_FREE_BYTES && b->overhead / OVERHEAD_PER_BYTE > b->total)
        return "too much chunk overhead";
    b->state = b->left ? DATA : TRAILERS;
    return NULL;
}

static const char *on_data_end(struct dx_http1_body *b, char c)
{
    if (c != (b->state == DATA_CR ? '\r' : '\n'))
        return "no CRLF after a chunk";
    b->state = b->state == DATA_CR ? DATA_LF : SIZE;
    b->line = 0;
    return NULL;
}

/* One framing byte; NULL, or why it is refused. */
static const char *take(struct dx_http1_body *b, char c)
{
    b->overhead++;
    if (b->state == DATA_CR || b->state == DATA_LF)
        return on_data_end(b, c);
    if (++b->line > LINE_MAX_BYTES)
        return "chunk extension too long";
    if (b->state == SIZE)
        return on_size(b, c);
    return b->state < SIZE_LF ? on_extension(b, c) : on_size_end(b, c);
}

/* Gives out what there is of the `left` bytes, from `at` on. */
static enum dx_body_step give(struct dx_http1_body *b, const char *p, size_t at, size_t n, size_t *used,
                              struct dx_slice *data)
{
    size_t count = n - at;

    if (b->framing != DX_FRAMING_CLOSE) {
        count = count < b->left ? count : (size_t)b->left;
        b->left -= count;
    }
    b->total += count;
    *data = dx_slice_of(p + at, count);
    *used = at + count;
    return DX_BODY_DATA;
}

static enum dx_body_step next_chunked(struct dx_http1_body *b, const char *p, size_t n, size_t *used,
                                      struct dx_slice *data, struct dx_http_error *err)
{
    size_t at = 0;

    while (at < n && b->state < TRAILERS) {
        if (b->state == DATA) {
            enum dx_body_step step = give(b, p, at, n, used, data);
            b->state = b->left ? DATA : DATA_CR;
            return step;
        }
        const char *reason = take(b, p[at]);
        if (reason) {
            b->state = BROKEN;
            *err = (struct dx_http_error){400, reason};
            return DX_BODY_BAD;
        }
        at++;
    }
    *used = at;
    if (b->state == DONE)
        return DX_BODY_DONE;
    return b->state == TRAILERS ? DX_BODY_TRAILERS : DX_BODY_MORE;
}

enum dx_body_step dx_http1_body_next(struct dx_http1_body *b, const char *p, size_t n, size_t *used,
                                     struct dx_slice *data, struct dx_http_error *err)
{
    if (b->framing == DX_FRAMING_CHUNKED) {
        DX_ASSERT(b->state != BROKEN); /* the caller was told */
        return next_chunked(b, p, n, used, data, err);
    }
    if (b->framing == DX_FRAMING_NONE || (b->framing == DX_FRAMING_LENGTH && b->left == 0)) {
        *used = 0;
        return DX_BODY_DONE;
    }
    if (n == 0) {
        *used = 0;
        return DX_BODY_MORE;
    }
    return give(b, p, 0, n, used, data);
}

void dx_http1_body_trailers_done(struct dx_http1_body *b)
{
    DX_ASSERT(b->framing == DX_FRAMING_CHUNKED && b->state == TRAILERS);
    b->state = DONE;
}

uint64_t dx_http1_body_announced(const struct dx_http1_body *b)
{
    return b->framing == DX_FRAMING_CHUNKED && b->state == DATA ? b->left : 0;
}
