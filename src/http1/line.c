/* SPDX-License-Identifier: MIT */
/* Lines and field lines (RFC 9112 2.2, 5). */
#include "http1/line.h"

#include "diplex/http/chars.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define NAME_MAX_BYTES 256

static const char name_too_long[] = "field name too long";

const char *dx_http1_control(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f), tab = _mm_set1_epi8('\t');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i text = _mm_or_si128(_mm_cmpeq_epi8(_mm_max_epu8(v, space), v), _mm_cmpeq_epi8(v, tab));
        unsigned good = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(v, del), text));
        if (good != 0xffff)
            return p + __builtin_ctz(~good);
    }
#endif
    while (p < end && dx_http_char(*p) & DX_CHAR_TEXT)
        p++;
    return p;
}

static const char *reason_of(char c)
{
    switch (c) {
    case '\n':
        return "bare LF";
    case '\r':
        return "bare CR";
    case '\0':
        return "NUL in the head";
    default:
        return "control character in the head";
    }
}

enum dx_parse dx_http1_line(const char *p, const char *end, const char **eol, const char **reason)
{
    const char *at = dx_http1_control(p, end);

    if (at == end || (*at == '\r' && at + 1 == end))
        return DX_PARSE_MORE;
    if (*at != '\r' || at[1] != '\n') {
        *reason = reason_of(*at);
        return DX_PARSE_BAD;
    }
    *eol = at;
    return DX_PARSE_DONE;
}

bool dx_http1_nothing_new(const char *p, size_t n, size_t seen)
{
    const char *end = p + n;
    const char *at = dx_http1_control(p + seen - 1, end); /* a CR that came last waits for its LF */

    return at == end || (*at == '\r' && at + 1 == end);
}

static inline struct dx_slice trimmed(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return dx_slice_of(p, (size_t)(end - p));
}

/* A name that the table knows is one that is allowed: nothing of it need be looked at again. The line has
 * sixteen bytes at least. */
static bool read_known(const char *p, const char *eol, struct dx_field *out)
{
#ifdef __SSE2__
    __m128i first = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned colons = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(first, _mm_set1_epi8(':')));
    if (colons == 0)
        return false;
    struct dx_slice name = dx_slice_of(p, (size_t)__builtin_ctz(colons));
    enum dx_field_id id = dx_http_field_id(name);
    if (id == DX_FIELD_OTHER)
        return false;
    *out = (struct dx_field){.name = name, .value = trimmed(p + name.n + 1, eol), .id = id};
    return true;
#else
    (void)p, (void)eol, (void)out;
    return false;
#endif
}

/* One field line without its CRLF; NULL, or the reason of a refusal. */
static const char *read_field(const char *p, const char *eol, struct dx_field *out)
{
    if (eol - p >= 16 && read_known(p, eol, out))
        return NULL;
    const char *colon = p;
    unsigned underscore = 0, bits;

    while ((bits = dx_http_char(*colon)) & DX_CHAR_TOKEN) { /* stops at eol, which is CR */
        underscore |= bits;
        colon++;
    }
    if (DX_UNLIKELY(colon == p || *colon != ':')) {
        if (*p == ' ' || *p == '\t')
            return "folded field line";
        if (colon == p)
            return *p == ':' ? "empty field name" : "bad field name";
        return *colon == ' ' || *colon == '\t' ? "space before the colon" : "bad field name";
    }
    out->name = dx_slice_of(p, (size_t)(colon - p));
    if (out->name.n > NAME_MAX_BYTES)
        return name_too_long;
    out->value = trimmed(colon + 1, eol);
    out->id = dx_http_field_id(out->name);
    out->drop = (underscore & DX_CHAR_UNDERSCORE) != 0;
    return NULL;
}

enum dx_parse dx_http1_fields(const char *p, const char *end, unsigned max, struct dx_fields *out,
                              const char **next, struct dx_http_error *err)
{
    unsigned n = 0;
    const char *eol, *reason;

    for (;;) {
        enum dx_parse line = dx_http1_line(p, end, &eol, &reason);
        if (line != DX_PARSE_DONE) {
            out->n = n;
            return line == DX_PARSE_MORE ? DX_PARSE_MORE : dx_http1_refuse(err, 400, reason);
        }
        if (eol == p)
            break;
        if (n == max || n == out->max) {
            out->n = n;
            return dx_http1_refuse(err, 431, "too many fields");
        }
        reason = read_field(p, eol, &out->at[n]);
        if (reason) {
            out->n = n;
            return dx_http1_refuse(err, reason == name_too_long ? 431 : 400, reason);
        }
        n++;
        p = eol + 2;
    }
    out->n = n;
    *next = eol + 2;
    return DX_PARSE_DONE;
}

int dx_http1_version(const char *p)
{
    if (memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' || p[7] < '0' || p[7] > '9')
        return -1;
    if (p[5] != '1')
        return -2;
    return p[7] != '0';
}
