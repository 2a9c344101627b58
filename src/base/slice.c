/* SPDX-License-Identifier: MIT */
/* What slices need beyond the inline few: comparison without case, numbers, and the comma-separated lists of
 * HTTP fields. */
#include "diplex/base/slice.h"

#include <stdlib.h>

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return (unsigned char)(u >= 'A' && u <= 'Z' ? u | 0x20u : u);
}

bool dx_slice_eq_nocase(struct dx_slice a, struct dx_slice b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
}

static bool is_ows(char c) { return c == ' ' || c == '\t'; }

struct dx_slice dx_slice_trim(struct dx_slice s)
{
    while (s.n && is_ows(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_ows(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool dx_slice_to_u64(struct dx_slice s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n < 1 || s.n > 20)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

/* Length of the member at the head of a list: up to a comma that no quoted string holds (RFC 9110 5.6.4). */
static size_t item_length(struct dx_slice s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted && c == '\\')
            i++;
        else if (!quoted && c == ',')
            return i;
    }
    return s.n;
}

bool dx_slice_next_item(struct dx_slice *rest, struct dx_slice *item)
{
    while (rest->n) {
        size_t n = item_length(*rest);
        struct dx_slice found = dx_slice_trim(dx_slice_of(rest->p, n));
        size_t used = n < rest->n ? n + 1 : n;
        *rest = dx_slice_of(rest->p + used, rest->n - used);
        if (found.n) {
            *item = found;
            return true;
        }
    }
    return false;
}

bool dx_slice_has_token(struct dx_slice list, struct dx_slice token)
{
    struct dx_slice item;
    while (dx_slice_next_item(&list, &item)) {
        if (dx_slice_eq_nocase(item, token))
            return true;
    }
    return false;
}

char *dx_slice_dup(struct dx_slice s)
{
    char *p = malloc(s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}
