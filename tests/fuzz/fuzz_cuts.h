/* SPDX-License-Identifier: MIT */
/* What the fuzz targets for heads share: where to cut an input in two, and what a head that was accepted
 * never holds. */
#ifndef TESTS_FUZZ_FUZZ_CUTS_H
#define TESTS_FUZZ_FUZZ_CUTS_H

#include "diplex/http1.h"

#define FUZZ_FIELDS    24
#define FUZZ_FORWARDED 64 /* fields with those that diplex adds */
#define FUZZ_EVERY_CUT 96 /* longer inputs are cut at some points only, to keep the fuzzer fast */

static const struct dx_http1_limits fuzz_limits = {.head_bytes = 2048, .target_bytes = 256, .fields = 16};

/* The cut after `at`; start with 0, end at n. */
static inline size_t fuzz_next_cut(size_t at, size_t n)
{
    return at + (n <= FUZZ_EVERY_CUT ? 1 : 1 + n / 13);
}

static inline bool fuzz_inside(struct dx_slice s, const char *p, size_t n)
{
    return s.n == 0 || (s.p >= p && s.n <= n && (size_t)(s.p - p) <= n - s.n);
}

/* CRLF only, no other control but HTAB, no line that begins with white space, an empty line at the end. */
static inline void fuzz_check_head(const char *p, size_t n)
{
    DX_ASSERT(n >= 4 && memcmp(p + n - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        DX_ASSERT(c != '\r' || (i + 1 < n && p[i + 1] == '\n'));
        DX_ASSERT(c != '\n' || (i > 0 && p[i - 1] == '\r'));
        DX_ASSERT(c >= ' ' || c == '\r' || c == '\n' || c == '\t');
        DX_ASSERT(c != 0x7f);
        DX_ASSERT(i == 0 || p[i - 1] != '\n' || (c != ' ' && c != '\t'));
    }
}

static inline void fuzz_check_fields(const struct dx_fields *f, const char *p, size_t n)
{
    unsigned lengths = 0, codings = 0;

    DX_ASSERT(f->n <= fuzz_limits.fields);
    for (unsigned i = 0; i < f->n; i++) {
        const struct dx_field *at = &f->at[i];
        DX_ASSERT(at->name.n > 0 && fuzz_inside(at->name, p, n) && fuzz_inside(at->value, p, n));
        DX_ASSERT(at->name.p[at->name.n] == ':');
        DX_ASSERT(dx_slice_eq(dx_slice_trim(at->value), at->value));
        DX_ASSERT(at->id == DX_FIELD_OTHER ||
                  dx_slice_eq_nocase(at->name, dx_slice_str(dx_http_field_name(at->id))));
        lengths += dx_slice_eq_nocase(at->name, DX_SLICE("Content-Length"));
        codings += dx_slice_eq_nocase(at->name, DX_SLICE("Transfer-Encoding"));
    }
    DX_ASSERT(lengths + codings <= 1);
}

static inline bool fuzz_same_error(struct dx_http_error a, struct dx_http_error b)
{
    return a.status == b.status && strcmp(a.reason, b.reason) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
