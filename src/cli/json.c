/* SPDX-License-Identifier: MIT */
/* A reader of JSON (RFC 8259) into a tree that dies with its arena. */
#include "cli/json.h"

#include <stdlib.h>

#define DEPTH_MOST   32
#define NUMBER_BYTES 32

struct reader {
    struct dx_arena *arena;
    const char *p, *end;
};

static void skip(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool take(struct reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

/* ---- texts ---- */

static bool take_hex(struct reader *r, unsigned *out)
{
    unsigned v = 0;
    if (r->end - r->p < 4)
        return false;
    for (int i = 0; i < 4; i++, r->p++) {
        char c = *r->p;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        v = v << 4 | (unsigned)digit;
    }
    *out = v;
    return true;
}

static char *put_utf8(char *to, unsigned v)
{
    if (v < 0x80) {
        *to++ = (char)v;
    } else if (v < 0x800) {
        *to++ = (char)(0xc0 | v >> 6);
        *to++ = (char)(0x80 | (v & 0x3f));
    } else if (v < 0x10000) {
        *to++ = (char)(0xe0 | v >> 12);
        *to++ = (char)(0x80 | (v >> 6 & 0x3f));
        *to++ = (char)(0x80 | (v & 0x3f));
    } else {
        *to++ = (char)(0xf0 | v >> 18);
        *to++ = (char)(0x80 | (v >> 12 & 0x3f));
        *to++ = (char)(0x80 | (v >> 6 & 0x3f));
        *to++ = (char)(0x80 | (v & 0x3f));
    }
    return to;
}

/* Behind the backslash. */
static bool take_escape(struct reader *r, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    unsigned v = 0, low = 0;
    if (r->p == r->end)
        return false;
    char c = *r->p++;
    const char *at = c ? strchr(from, c) : NULL;
    if (at) {
        *(*to)++ = into[at - from];
        return true;
    }
    if (c != 'u' || !take_hex(r, &v))
        return false;
    if (v >= 0xd800 && v < 0xdc00 && take(r, "\\u") && take_hex(r, &low) && low >= 0xdc00 && low < 0xe000)
        v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
    *to = put_utf8(*to, v >= 0xd800 && v < 0xe000 ? 0xfffd : v);
    return true;
}

/* Behind the quote. An escape is never shorter than what it stands for. */
static bool take_text(struct reader *r, struct dx_slice *out)
{
    const char *start = r->p;
    bool escaped = false;
    while (r->p < r->end && *r->p != '"') {
        escaped |= *r->p == '\\';
        r->p += *r->p == '\\' && r->p + 1 < r->end ? 2 : 1;
    }
    if (r->p >= r->end)
        return false;
    const char *end = r->p;
    *out = dx_slice_of(start, (size_t)(end - start));
    if (escaped) {
        char *copy = dx_arena_alloc(r->arena, out->n), *to = copy;
        if (!copy)
            return false;
        for (r->p = start; r->p < end;) {
            if (*r->p != '\\')
                *to++ = *r->p++;
            else if (r->p++, !take_escape(r, &to))
                return false;
        }
        *out = dx_slice_of(copy, (size_t)(to - copy));
    }
    r->p = end + 1;
    return true;
}

/* ---- values ---- */

static const struct json *read_value(struct reader *r, unsigned depth);

static bool read_number(struct reader *r, struct json *v)
{
    char buf[NUMBER_BYTES] = "", *end = NULL;
    size_t n = 0;
    while (r->p + n < r->end && n < sizeof buf - 1 &&
           (memchr("+-.eE", r->p[n], 5) || (r->p[n] >= '0' && r->p[n] <= '9')))
        n++;
    memcpy(buf, r->p, n);
    v->kind = JSON_NUMBER;
    v->number = strtod(buf, &end);
    r->p += n;
    return n > 0 && *end == '\0';
}

static bool read_entry(struct reader *r, struct json *parent, const struct json ***at, unsigned depth)
{
    struct dx_slice key = {NULL, 0};
    skip(r);
    if (parent->kind == JSON_MAP) {
        if (!take(r, "\"") || !take_text(r, &key))
            return false;
        skip(r);
        if (!take(r, ":"))
            return false;
    }
    struct json *entry = (struct json *)(uintptr_t)read_value(r, depth + 1);
    if (!entry)
        return false;
    entry->key = key;
    **at = entry;
    *at = &entry->next;
    parent->n++;
    return true;
}

static bool read_entries(struct reader *r, struct json *v, const char *close, unsigned depth)
{
    const struct json **at = &v->first;
    if (depth == DEPTH_MOST)
        return false;
    skip(r);
    if (take(r, close))
        return true;
    do {
        if (!read_entry(r, v, &at, depth))
            return false;
        skip(r);
    } while (take(r, ","));
    return take(r, close);
}

static bool fill(struct reader *r, struct json *v, unsigned depth)
{
    static const char *const words[] = {[JSON_NULL] = "null", [JSON_FALSE] = "false", [JSON_TRUE] = "true"};
    for (unsigned i = 0; i < DX_COUNT(words); i++) {
        v->kind = (enum json_kind)i;
        if (take(r, words[i]))
            return true;
    }
    v->kind = JSON_TEXT;
    if (take(r, "\""))
        return take_text(r, &v->text);
    v->kind = JSON_LIST;
    if (take(r, "["))
        return read_entries(r, v, "]", depth);
    v->kind = JSON_MAP;
    if (take(r, "{"))
        return read_entries(r, v, "}", depth);
    return read_number(r, v);
}

static const struct json *read_value(struct reader *r, unsigned depth)
{
    struct json *v = dx_arena_zalloc(r->arena, sizeof *v);
    skip(r);
    return v && fill(r, v, depth) ? v : NULL;
}

const struct json *json_read(struct dx_arena *a, struct dx_slice text)
{
    struct reader r = {.arena = a, .p = text.p, .end = text.p + text.n};
    const struct json *v = read_value(&r, 0);
    skip(&r);
    return v && r.p == r.end ? v : NULL;
}

/* ---- looking ---- */

const struct json *json_at(const struct json *map, const char *key)
{
    struct dx_slice wanted = dx_slice_str(key);
    for (const struct json *e = map && map->kind == JSON_MAP ? map->first : NULL; e; e = e->next)
        if (dx_slice_eq(e->key, wanted))
            return e;
    return NULL;
}

double json_number(const struct json *map, const char *key)
{
    const struct json *v = json_at(map, key);
    return v && v->kind == JSON_NUMBER ? v->number : 0;
}

struct dx_slice json_text(const struct json *map, const char *key)
{
    const struct json *v = json_at(map, key);
    return v && v->kind == JSON_TEXT ? v->text : dx_slice_of(NULL, 0);
}

bool json_flag(const struct json *map, const char *key)
{
    const struct json *v = json_at(map, key);
    return v && v->kind == JSON_TRUE;
}

bool json_is_null(const struct json *map, const char *key)
{
    const struct json *v = json_at(map, key);
    return !v || v->kind == JSON_NULL;
}

const struct json *json_first(const struct json *map, const char *key)
{
    const struct json *v = json_at(map, key);
    return v && v->kind == JSON_LIST ? v->first : NULL;
}

size_t json_count(const struct json *map, const char *key)
{
    const struct json *v = json_at(map, key);
    return v && v->kind == JSON_LIST ? v->n : 0;
}
