/* SPDX-License-Identifier: MIT */
/*
 * Two ways to build text. `dx_text` grows on the heap: for the control house and for tools. `dx_out` writes
 * into bytes that somebody lent and remembers when they were too few: for the hot path, where nothing is
 * allocated. The escaping functions are the only way in which bytes from outside may reach a log, a page or a
 * terminal.
 */
#ifndef DIPLEX_BASE_TEXT_H
#define DIPLEX_BASE_TEXT_H

#include "diplex/base/slice.h"

struct dx_text {
    char *p; /* always terminated once something was added; owned by the text */
    size_t n, cap;
    bool failed; /* out of memory: what came after is missing */
};

void dx_text_init(struct dx_text *t);
void dx_text_fini(struct dx_text *t);
void dx_text_reset(struct dx_text *t);
void dx_text_add(struct dx_text *t, struct dx_slice s);
void dx_text_adds(struct dx_text *t, const char *s);
void dx_text_addf(struct dx_text *t, const char *fmt, ...) DX_PRINTF(2, 3);
/* As a JSON string with its quotes (RFC 8259 7); bytes that are not UTF-8 become U+FFFD. */
void dx_text_add_json(struct dx_text *t, struct dx_slice s);

struct dx_out {
    char *p, *end; /* the free part */
    char *start;
    bool overflow; /* something did not fit; nothing was written past the end */
};

static inline struct dx_out dx_out_of(char *p, size_t n) { return (struct dx_out){p, p + n, p, false}; }
static inline struct dx_slice dx_out_slice(const struct dx_out *o)
{
    return dx_slice_of(o->start, (size_t)(o->p - o->start));
}

static inline void dx_out_add(struct dx_out *o, struct dx_slice s)
{
    if (DX_UNLIKELY((size_t)(o->end - o->p) < s.n)) {
        o->overflow = true;
        return;
    }
    if (s.n)
        memcpy(o->p, s.p, s.n);
    o->p += s.n;
}

static inline void dx_out_byte(struct dx_out *o, char c) { dx_out_add(o, dx_slice_of(&c, 1)); }
#define DX_OUT_LIT(o, literal) dx_out_add((o), DX_SLICE(literal))
void dx_out_u64(struct dx_out *o, uint64_t v);
void dx_out_hex(struct dx_out *o, uint64_t v);
/* Milliseconds with three decimals, from microseconds: 1234 -> "1.234". */
void dx_out_ms(struct dx_out *o, uint64_t us);
/* As dx_text_add_json. */
void dx_out_json(struct dx_out *o, struct dx_slice s);
/* For key=value lines: printable ASCII but space, '"', '\\' and '=' as it is, else the whole value quoted
 * with \xNN escapes. */
void dx_out_logvalue(struct dx_out *o, struct dx_slice s);

#endif
