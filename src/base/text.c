/* SPDX-License-Identifier: MIT */
/*
 * Numbers, the growing text, and the two escapings. JSON is cut into pieces that are written whole: runs of
 * plain ASCII (the table), one well-formed UTF-8 character, or an escape. Both builders walk the same pieces.
 * Beyond what RFC 8259 demands, everything that a terminal or a line splitter could take for a control is
 * escaped: DEL, C1 (U+0080-U+009F), U+2028, U+2029.
 */
#include "diplex/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_FIRST_BYTES ((size_t)256)
#define U64_DIGITS       24 /* what put_u64 may write over: three eights */

static const char hex_digits[] = "0123456789abcdef";
static const char digit_pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* ---- characters ---- */

#define AS_IT_IS_IN_JSON       1u
#define AS_IT_IS_IN_LOG        2u
#define QUOTED_AS_IT_IS_IN_LOG 4u
#define A7                     7, 7, 7, 7, 7, 7, 7, 7
#define N8                     0, 0, 0, 0, 0, 0, 0, 0

static const unsigned char class_of[256] = {
    N8, N8, N8, N8,                       /* 00-1f */
    5,  7,  0,  7,  7, 7, 7, 7, A7,       /* 20-2f: space is quoted, '"' escaped */
    A7, 7,  7,  7,  7, 7, 5, 7, 7,        /* 30-3f: '=' is quoted */
    A7, A7, A7, 7,  7, 7, 7, 0, 7,  7, 7, /* 40-5f: '\\' is escaped */
    A7, A7, A7, 7,  7, 7, 7, 7, 7,  7, 0, /* 60-7f: DEL is escaped */
};

static size_t run_length(const char *p, size_t n, unsigned class)
{
    size_t i = 0;
    while (i < n && (class_of[(unsigned char)p[i]] & class))
        i++;
    return i;
}

/* ---- UTF-8 (RFC 3629, table 3-7 of the Unicode standard) ---- */

struct character {
    size_t bytes; /* of a broken character: its longest beginning that was still right, at least 1 */
    uint32_t code;
    bool valid;
};

static struct character utf8_next(const unsigned char *p, size_t n)
{
    unsigned char lead = p[0];
    /* Bounds of the second byte: no overlong form, no surrogate, nothing past U+10FFFF. */
    unsigned low = 0x80, high = 0xbf;
    size_t want = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (want < 2)
        return (struct character){1, lead, want == 1};
    if (lead == 0xe0)
        low = 0xa0;
    if (lead == 0xed)
        high = 0x9f;
    if (lead == 0xf0)
        low = 0x90;
    if (lead == 0xf4)
        high = 0x8f;
    uint32_t code = lead & (0x7fu >> want);
    for (size_t i = 1; i < want; i++) {
        if (i >= n || p[i] < low || p[i] > high)
            return (struct character){i, 0, false};
        code = code << 6 | (p[i] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    return (struct character){want, code, true};
}

/* ---- JSON in pieces ---- */

struct piece {
    struct dx_slice text; /* into the source or into `escape` */
    char escape[8];
};

static void escape_code(struct piece *out, uint32_t code)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof shorts; i += 2) {
        if (code == (unsigned char)shorts[i]) {
            out->escape[0] = '\\';
            out->escape[1] = shorts[i + 1];
            out->text = dx_slice_of(out->escape, 2);
            return;
        }
    }
    out->escape[0] = '\\';
    out->escape[1] = 'u';
    for (unsigned i = 0; i < 4; i++)
        out->escape[2 + i] = hex_digits[code >> (12 - 4 * i) & 0xf];
    out->text = dx_slice_of(out->escape, 6);
}

/* Returns how many bytes of the source the piece stands for; s is not empty. */
static size_t json_piece(struct dx_slice s, struct piece *out)
{
    size_t run = run_length(s.p, s.n, AS_IT_IS_IN_JSON);
    if (DX_LIKELY(run > 0)) {
        out->text = dx_slice_of(s.p, run);
        return run;
    }
    struct character c = utf8_next((const unsigned char *)s.p, s.n);
    if (!c.valid)
        out->text = DX_SLICE("\xef\xbf\xbd");
    else if (c.code < 0xa0 || c.code == 0x2028 || c.code == 0x2029)
        escape_code(out, c.code);
    else
        out->text = dx_slice_of(s.p, c.bytes);
    return c.bytes;
}

void dx_text_add_json(struct dx_text *t, struct dx_slice s)
{
    struct piece piece;
    dx_text_add(t, DX_SLICE("\""));
    for (size_t used; s.n; s = dx_slice_of(s.p + used, s.n - used)) {
        used = json_piece(s, &piece);
        dx_text_add(t, piece.text);
    }
    dx_text_add(t, DX_SLICE("\""));
}

void dx_out_json(struct dx_out *o, struct dx_slice s)
{
    struct piece piece;
    dx_out_byte(o, '"');
    for (size_t used; s.n; s = dx_slice_of(s.p + used, s.n - used)) {
        used = json_piece(s, &piece);
        dx_out_add(o, piece.text);
    }
    dx_out_byte(o, '"');
}

void dx_out_logvalue(struct dx_out *o, struct dx_slice s)
{
    if (s.n && run_length(s.p, s.n, AS_IT_IS_IN_LOG) == s.n) {
        dx_out_add(o, s);
        return;
    }
    dx_out_byte(o, '"');
    while (s.n) {
        size_t run = run_length(s.p, s.n, QUOTED_AS_IT_IS_IN_LOG);
        dx_out_add(o, dx_slice_of(s.p, run));
        if (run < s.n) {
            unsigned char c = (unsigned char)s.p[run++];
            char escape[4] = {'\\', 'x', hex_digits[c >> 4], hex_digits[c & 0xf]};
            dx_out_add(o, dx_slice_of(escape, sizeof escape));
        }
        s = dx_slice_of(s.p + run, s.n - run);
    }
    dx_out_byte(o, '"');
}

/* ---- numbers ---- */

#define EIGHT_DIGITS 100000000u

/* The eight decimal digits of a number, one in each byte and the first in the lowest: halves, quarters and
 * digits are divided side by side, with 1/100 and 1/10 as fractions that are exact enough for four and for
 * two digits. */
static uint64_t eight_digits(uint32_t v)
{
    uint64_t halves = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t hundreds = halves * 10486 >> 20 & 0x0000007f0000007full;
    uint64_t quarters = hundreds | (halves - hundreds * 100) << 16;
    uint64_t tens = quarters * 103 >> 10 & 0x000f000f000f000full;
    return tens | (quarters - tens * 10) << 8;
}

static void put_eight(char *p, uint64_t digits)
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first digit is the lowest byte");
    digits |= 0x3030303030303030ull;
    memcpy(p, &digits, sizeof digits);
}

/* Writes backwards from `end`, perhaps zeros before the number; returns the first digit. */
static char *put_u64(char *end, uint64_t v)
{
    for (; v >= EIGHT_DIGITS; v /= EIGHT_DIGITS)
        put_eight(end -= 8, eight_digits((uint32_t)(v % EIGHT_DIGITS)));
    if (v >= 100) {
        uint64_t digits = eight_digits((uint32_t)v);
        put_eight(end - 8, digits);
        return end - 8 + __builtin_ctzll(digits) / 8;
    }
    if (v >= 10) {
        *--end = digit_pairs[v * 2 + 1];
        *--end = digit_pairs[v * 2];
    } else {
        *--end = (char)('0' + v);
    }
    return end;
}

void dx_out_u64(struct dx_out *o, uint64_t v)
{
    char digits[U64_DIGITS];
    char *end = digits + sizeof digits;
    char *p = put_u64(end, v);
    dx_out_add(o, dx_slice_of(p, (size_t)(end - p)));
}

void dx_out_hex(struct dx_out *o, uint64_t v)
{
    char digits[16];
    char *end = digits + sizeof digits, *p = end;
    do
        *--p = hex_digits[v & 0xf];
    while ((v >>= 4) != 0);
    dx_out_add(o, dx_slice_of(p, (size_t)(end - p)));
}

void dx_out_ms(struct dx_out *o, uint64_t us)
{
    char digits[U64_DIGITS + 4];
    char *end = digits + sizeof digits, *p = end;
    unsigned fraction = (unsigned)(us % 1000);
    for (int i = 0; i < 3; i++, fraction /= 10)
        *--p = (char)('0' + fraction % 10);
    *--p = '.';
    p = put_u64(p, us / 1000);
    dx_out_add(o, dx_slice_of(p, (size_t)(end - p)));
}

/* ---- the growing text ---- */

void dx_text_init(struct dx_text *t) { *t = (struct dx_text){0}; }

void dx_text_fini(struct dx_text *t)
{
    free(t->p);
    dx_text_init(t);
}

void dx_text_reset(struct dx_text *t)
{
    t->n = 0;
    t->failed = false;
    if (t->p)
        t->p[0] = '\0';
}

/* Room for `more` bytes and the terminator. Once failed, nothing more is added: what is there is a true
 * beginning. */
static bool text_room(struct dx_text *t, size_t more)
{
    if (t->failed)
        return false;
    if (DX_LIKELY(more < t->cap - t->n))
        return true;
    size_t want = t->n + more + 1;
    size_t cap = t->cap ? t->cap : TEXT_FIRST_BYTES;
    while (cap < want && cap <= SIZE_MAX / 4)
        cap *= 2;
    char *p = want > more && cap >= want ? realloc(t->p, cap) : NULL;
    if (!p) {
        t->failed = true;
        return false;
    }
    t->p = p;
    t->cap = cap;
    return true;
}

void dx_text_add(struct dx_text *t, struct dx_slice s)
{
    if (!text_room(t, s.n))
        return;
    if (s.n)
        memcpy(t->p + t->n, s.p, s.n);
    t->n += s.n;
    t->p[t->n] = '\0';
}

void dx_text_adds(struct dx_text *t, const char *s) { dx_text_add(t, dx_slice_str(s)); }

void dx_text_addf(struct dx_text *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        t->failed = true;
    else if (text_room(t, (size_t)n))
        t->n += (size_t)vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
    va_end(again);
}
