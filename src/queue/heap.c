/* SPDX-License-Identifier: MIT */
/* A binary heap of turns. Each turn knows where it is, so that one whose client leaves is taken out at once.
 */
#include <stdlib.h>

#include "queue/internal.h"

#define FIRST 64u

bool heap_before(const struct dx_turn *a, const struct dx_turn *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->order < b->order;
}

static void put(struct heap *h, size_t at, struct dx_turn *t)
{
    h->at[at] = t;
    t->at = at;
}

static void rise(struct heap *h, size_t at, struct dx_turn *t)
{
    while (at > 0 && heap_before(t, h->at[(at - 1) / 2])) {
        put(h, at, h->at[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(h, at, t);
}

static void sink(struct heap *h, size_t at, struct dx_turn *t)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && heap_before(h->at[child + 1], h->at[child]))
            child++;
        if (!heap_before(h->at[child], t))
            break;
        put(h, at, h->at[child]);
        at = child;
    }
    put(h, at, t);
}

bool heap_push(struct heap *h, struct dx_turn *t)
{
    if (h->n == h->cap) {
        size_t cap = h->cap > 0 ? 2 * h->cap : FIRST;
        struct dx_turn **more = realloc(h->at, cap * sizeof(*more));
        if (more == NULL)
            return false;
        h->at = more;
        h->cap = cap;
    }
    rise(h, h->n++, t);
    return true;
}

void heap_remove(struct heap *h, struct dx_turn *t)
{
    DX_ASSERT(t->at < h->n && h->at[t->at] == t);
    struct dx_turn *last = h->at[--h->n];
    if (last != t && t->at > 0 && heap_before(last, h->at[(t->at - 1) / 2]))
        rise(h, t->at, last);
    else if (last != t)
        sink(h, t->at, last);
    if (h->n > 0 || h->cap == FIRST)
        return;
    free(h->at); /* a flood's memory is not kept */
    *h = (struct heap){0};
}
