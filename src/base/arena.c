/* SPDX-License-Identifier: MIT */
/*
 * `next` is always aligned, because the start of every chunk is and every size is rounded up; so that the
 * common allocation is one comparison and one addition. A request that would waste most of a fresh chunk gets
 * its own, and the current one stays.
 */
#include "diplex/base/arena.h"

#include <stdlib.h>

#define ALIGN       DX_ARENA_ALIGN
#define CHUNK_BYTES ((size_t)8192) /* what a chunk from malloc holds, without its header */

struct dx_arena_chunk {
    _Alignas(16) struct dx_arena_chunk *older;
};

static char *chunk_bytes(struct dx_arena_chunk *c) { return (char *)(c + 1); }

static void use_lent(struct dx_arena *a)
{
    size_t skip = (ALIGN - ((uintptr_t)a->lent & (ALIGN - 1))) & (ALIGN - 1);
    if (!a->lent || a->lent_bytes < skip) {
        a->next = a->end = NULL;
        return;
    }
    a->next = a->lent + skip;
    a->end = a->next + ((a->lent_bytes - skip) & ~(ALIGN - 1));
}

void dx_arena_init(struct dx_arena *a, void *lent, size_t lent_bytes)
{
    DX_ASSERT(lent || lent_bytes == 0);
    a->lent = lent;
    a->lent_bytes = lent_bytes;
    a->extra = NULL;
    use_lent(a);
}

void dx_arena_reset(struct dx_arena *a)
{
    while (a->extra) {
        struct dx_arena_chunk *c = a->extra;
        a->extra = c->older;
        free(c);
    }
    use_lent(a);
}

static void *alloc_from_new_chunk(struct dx_arena *a, size_t rounded)
{
    bool own = rounded > CHUNK_BYTES / 2;
    struct dx_arena_chunk *c = malloc(sizeof *c + (own ? rounded : CHUNK_BYTES));
    if (!c)
        return NULL;
    c->older = a->extra;
    a->extra = c;
    if (!own) {
        a->next = chunk_bytes(c) + rounded;
        a->end = chunk_bytes(c) + CHUNK_BYTES;
    }
    return chunk_bytes(c);
}

void *dx_arena_alloc(struct dx_arena *a, size_t bytes)
{
    if (DX_UNLIKELY(bytes > SIZE_MAX / 2))
        return NULL;
    size_t rounded = bytes ? (bytes + ALIGN - 1) & ~(ALIGN - 1) : ALIGN;
    if (DX_UNLIKELY(rounded > (size_t)(a->end - a->next)))
        return alloc_from_new_chunk(a, rounded);
    char *p = a->next;
    a->next += rounded;
    return p;
}

void *dx_arena_zalloc(struct dx_arena *a, size_t bytes)
{
    void *p = dx_arena_alloc(a, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

bool dx_arena_copy(struct dx_arena *a, struct dx_slice s, struct dx_slice *out)
{
    char *p = dx_arena_alloc(a, s.n + 1);
    if (!p)
        return false;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *out = dx_slice_of(p, s.n);
    return true;
}
