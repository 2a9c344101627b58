/* SPDX-License-Identifier: MIT */
/* A slice is a borrowed run of bytes: it owns nothing, is not terminated, and may be empty with p == NULL. */
#ifndef DIPLEX_BASE_SLICE_H
#define DIPLEX_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "diplex/base/check.h"

struct dx_slice {
    const char *p;
    size_t n;
};

#define DX_SLICE(literal) ((struct dx_slice){"" literal, sizeof(literal) - 1})
/* For printf: "%.*s", DX_SLICE_ARGS(s). */
#define DX_SLICE_ARGS(s)  (int)(s).n, (s).n ? (s).p : ""

static inline struct dx_slice dx_slice_of(const char *p, size_t n) { return (struct dx_slice){p, n}; }

/* From a terminated string; NULL gives the empty slice. */
static inline struct dx_slice dx_slice_str(const char *s) { return (struct dx_slice){s, s ? strlen(s) : 0}; }

static inline bool dx_slice_eq(struct dx_slice a, struct dx_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool dx_slice_starts(struct dx_slice s, struct dx_slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* ASCII case-insensitive equality (RFC 9110 5.1: field names). */
bool dx_slice_eq_nocase(struct dx_slice a, struct dx_slice b);

/* Without leading and trailing SP and HTAB (OWS, RFC 9110 5.6.3). */
struct dx_slice dx_slice_trim(struct dx_slice s);

/* Strict decimal: one to twenty digits and nothing else, no overflow. */
bool dx_slice_to_u64(struct dx_slice s, uint64_t *out) DX_CHECKED;

/* Takes the next member of a comma-separated list (RFC 9110 5.6.1) off *rest, trimmed; empty members are
 * skipped. Commas inside quoted strings do not separate. False when there is none left. */
bool dx_slice_next_item(struct dx_slice *rest, struct dx_slice *item) DX_CHECKED;

/* True if the comma-separated list holds the token, case-insensitively. */
bool dx_slice_has_token(struct dx_slice list, struct dx_slice token);

/* Position of a byte, or s.n when it is not there. */
static inline size_t dx_slice_find(struct dx_slice s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

/* A terminated heap copy, owned by the caller (free); NULL when out of memory. */
char *dx_slice_dup(struct dx_slice s) DX_CHECKED;

#endif
