/* SPDX-License-Identifier: MIT */
/* "Did you mean": the candidate with the smallest edit distance, if it is near enough to be a slip of the
 * hand. */
#include "config/reader.h"

#include <stdio.h>

#define WORD_MAX 64u

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance, one row at a time. */
static unsigned distance(struct dx_slice a, struct dx_slice b)
{
    unsigned row[WORD_MAX + 1];
    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (unsigned i = 0; i < a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < b.n; j++) {
            unsigned above = row[j + 1];
            row[j + 1] = least(above + 1, row[j] + 1, diagonal + (a.p[i] != b.p[j]));
            diagonal = above;
        }
    }
    return row[b.n];
}

void dx_config_nearest_try(struct dx_config_nearest *near, struct dx_slice candidate)
{
    struct dx_slice w = near->word;
    size_t gap = w.n > candidate.n ? w.n - candidate.n : candidate.n - w.n;
    unsigned enough = w.n / 3 > 2 ? (unsigned)(w.n / 3) : 2;
    if (near->best.n)
        enough = near->distance ? near->distance - 1 : 0;
    if (w.n > WORD_MAX || candidate.n > WORD_MAX || candidate.n == 0 || gap > enough)
        return;
    unsigned d = distance(w, candidate);
    if (d > enough || d >= w.n || (near->best.n && d >= near->distance))
        return;
    near->best = candidate;
    near->distance = d;
}

const char *dx_config_nearest_hint(const struct dx_config_nearest *near, char buf[128])
{
    buf[0] = '\0';
    if (near->best.n)
        (void)snprintf(buf, 128, "; did you mean '%.*s'?", DX_SLICE_ARGS(near->best));
    return buf;
}
