/* SPDX-License-Identifier: MIT */
/*
 * An arena is memory that dies together: allocation moves a pointer, freeing is one call. The first chunk may
 * be lent by the owner (part of a bigger object), so that a small life costs no malloc at all. Chunks beyond
 * it come from malloc.
 */
#ifndef DIPLEX_BASE_ARENA_H
#define DIPLEX_BASE_ARENA_H

#include <stddef.h>

#include "diplex/base/slice.h"

#define DX_ARENA_ALIGN ((size_t)16)

struct dx_arena_chunk;

struct dx_arena {
    char *next, *end; /* free part of the current chunk */
    char *lent;       /* the first chunk, owned by the arena's owner; may be NULL */
    size_t lent_bytes;
    struct dx_arena_chunk *extra; /* chunks from malloc, newest first */
};

/* `lent` (may be NULL with 0 bytes) must outlive the arena. No allocation happens here. */
void dx_arena_init(struct dx_arena *a, void *lent, size_t lent_bytes);

/* Frees all extra chunks; the lent one is ready again. Everything handed out is dead. */
void dx_arena_reset(struct dx_arena *a);

/* Aligned to 16 bytes, not zeroed. NULL when out of memory. A request larger than any chunk gets a chunk of
 * its own. */
void *dx_arena_alloc(struct dx_arena *a, size_t bytes) DX_CHECKED;

/* What was asked for last, and ended at `end`, is needed up to `used` alone: the rest is free again. Nothing changes when something was
 * allocated since. */
static inline void dx_arena_shrink(struct dx_arena *a, void *used, const void *end)
{
    size_t unused = (uintptr_t)end - (uintptr_t)used;
    if ((uintptr_t)a->next - (uintptr_t)end < DX_ARENA_ALIGN)
        a->next -= unused & ~(DX_ARENA_ALIGN - 1);
}

/* Zeroed. */
void *dx_arena_zalloc(struct dx_arena *a, size_t bytes) DX_CHECKED;

/* A copy with a terminating NUL behind it (not counted in n). False when out of memory. */
bool dx_arena_copy(struct dx_arena *a, struct dx_slice s, struct dx_slice *out) DX_CHECKED;

#endif
