/* SPDX-License-Identifier: MIT */
/* Durations and sizes, there and back. Every sum and product is checked; what does not fit 64 bits is
 * refused. */
#include "diplex/base/units.h"

#include "diplex/base/text.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: a compound duration must go down this table. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {
    {"TB", 1ull << 40}, {"GB", 1ull << 30}, {"MB", 1ull << 20}, {"KB", 1ull << 10}};

/* Takes the run of digits off the head. */
static bool take_number(struct dx_slice *s, uint64_t *out)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    if (!dx_slice_to_u64(dx_slice_of(s->p, n), out))
        return false;
    *s = dx_slice_of(s->p + n, s->n - n);
    return true;
}

static struct dx_slice take_word(struct dx_slice *s)
{
    size_t n = 0;
    while (n < s->n && (s->p[n] < '0' || s->p[n] > '9'))
        n++;
    struct dx_slice word = dx_slice_of(s->p, n);
    *s = dx_slice_of(s->p + n, s->n - n);
    return word;
}

bool dx_units_duration_ms(struct dx_slice s, uint64_t *out_ms)
{
    uint64_t total = 0, number = 0, part = 0;
    size_t row = 0;
    if (dx_slice_eq(s, DX_SLICE("0"))) {
        *out_ms = 0;
        return true;
    }
    if (s.n == 0)
        return false;
    for (; s.n; row++) {
        if (!take_number(&s, &number))
            return false;
        struct dx_slice word = take_word(&s);
        while (row < DX_COUNT(durations) && !dx_slice_eq(word, dx_slice_str(durations[row].name)))
            row++;
        if (row == DX_COUNT(durations) || __builtin_mul_overflow(number, durations[row].factor, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
    }
    *out_ms = total;
    return true;
}

static bool size_factor(struct dx_slice word, uint64_t *out)
{
    if (word.n == 0 || dx_slice_eq_nocase(word, DX_SLICE("B"))) {
        *out = 1;
        return true;
    }
    for (size_t i = 0; i < DX_COUNT(sizes); i++) {
        struct dx_slice name = dx_slice_str(sizes[i].name);
        if (dx_slice_eq_nocase(word, name) || dx_slice_eq_nocase(word, dx_slice_of(name.p, 1))) {
            *out = sizes[i].factor;
            return true;
        }
    }
    return false;
}

bool dx_units_size_bytes(struct dx_slice s, uint64_t *out_bytes)
{
    uint64_t number = 0, factor = 0, bytes = 0;
    if (!take_number(&s, &number) || !size_factor(s, &factor) ||
        __builtin_mul_overflow(number, factor, &bytes))
        return false;
    *out_bytes = bytes;
    return true;
}

static void out_single(struct dx_out *o, uint64_t ms)
{
    size_t row = 0;
    while (ms % durations[row].factor)
        row++;
    dx_out_u64(o, ms / durations[row].factor);
    dx_out_add(o, dx_slice_str(durations[row].name));
}

static void out_compound(struct dx_out *o, uint64_t ms)
{
    for (size_t row = 0; row < DX_COUNT(durations); row++) {
        if (ms < durations[row].factor)
            continue;
        dx_out_u64(o, ms / durations[row].factor);
        dx_out_add(o, dx_slice_str(durations[row].name));
        ms %= durations[row].factor;
    }
}

static const char *finish(struct dx_slice s, char *buf)
{
    memcpy(buf, s.p, s.n);
    buf[s.n] = '\0';
    return buf;
}

const char *dx_units_duration_text(uint64_t ms, char *buf, size_t n)
{
    DX_ASSERT(n >= 32);
    if (ms == 0)
        return finish(DX_SLICE("0"), buf);
    char single[48], compound[48]; /* 20 digits and "ms"; five parts of which only the days are long */
    struct dx_out a = dx_out_of(single, sizeof single), b = dx_out_of(compound, sizeof compound);
    out_single(&a, ms);
    out_compound(&b, ms);
    struct dx_slice one = dx_out_slice(&a), many = dx_out_slice(&b);
    return many.n < one.n ? finish(many, buf) : finish(one, buf);
}

const char *dx_units_size_text(uint64_t bytes, char *buf, size_t n)
{
    DX_ASSERT(n >= 32);
    char text[32];
    struct dx_out o = dx_out_of(text, sizeof text);
    struct unit unit = {"", 1};
    for (size_t i = 0; i < DX_COUNT(sizes) && bytes && unit.factor == 1; i++) {
        if (bytes % sizes[i].factor == 0)
            unit = sizes[i];
    }
    dx_out_u64(&o, bytes / unit.factor);
    dx_out_add(&o, dx_slice_str(unit.name));
    return finish(dx_out_slice(&o), buf);
}
