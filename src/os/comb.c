/* SPDX-License-Identifier: MIT */
/*
 * A chunk is aligned to its size, so that a block's address says which one it stands in. Its pages are
 * touched as they are needed: blocks that came back are given first, then the ones that were never out, from
 * the front.
 *
 *     | head | block | block | block ...      | never out yet ...     |
 */
#include "diplex/os/comb.h"

#include <stdint.h>
#include <sys/mman.h>

#include "diplex/base/poison.h"

#define CHUNK_MAGIC 0x434f4d42u
#define CHUNK_BYTES ((size_t)64 * 1024) /* the largest page that Linux has here or elsewhere */
#define BLOCK_MAX   ((size_t)4096)
#define ALIGN       ((size_t)8)

struct waiting {
    struct waiting *next;
};

struct chunk {
    uint32_t magic;
    unsigned out, carved; /* handed out now; ever */
    struct waiting *free;
    struct dx_link link; /* in `roomy`, while out < most */
};

#define HEAD_BYTES ((sizeof(struct chunk) + ALIGN - 1) & ~(ALIGN - 1))

void dx_comb_init(struct dx_comb *s, size_t block_bytes)
{
    DX_ASSERT(block_bytes > 0 && block_bytes <= BLOCK_MAX);
    *s = (struct dx_comb){.block_bytes = (block_bytes + ALIGN - 1) & ~(ALIGN - 1)};
    s->most = (unsigned)((CHUNK_BYTES - HEAD_BYTES) / s->block_bytes);
    dx_list_init(&s->roomy);
}

/* Twice as much is sure to have an aligned chunk in it; what stands before and behind goes back. */
static void *map_chunk(void)
{
    char *all = mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return NULL;
    size_t before = CHUNK_BYTES - ((uintptr_t)all & (CHUNK_BYTES - 1));
    (void)munmap(all, before);
    if (before < CHUNK_BYTES)
        (void)munmap(all + before + CHUNK_BYTES, CHUNK_BYTES - before);
    return all + before;
}

static bool chunk_new(struct dx_comb *s)
{
    struct chunk *c = map_chunk();
    if (c == NULL)
        return false;
    *c = (struct chunk){.magic = CHUNK_MAGIC};
    DX_POISON((char *)c + HEAD_BYTES, CHUNK_BYTES - HEAD_BYTES);
    dx_list_push_tail(&s->roomy, &c->link);
    s->chunks++;
    s->empty++;
    return true;
}

static void chunk_free(struct dx_comb *s, struct chunk *c)
{
    dx_list_remove(&c->link);
    DX_UNPOISON((char *)c, CHUNK_BYTES);
    (void)munmap(c, CHUNK_BYTES);
    s->chunks--;
    s->empty--;
}

void dx_comb_fini(struct dx_comb *s)
{
    DX_ASSERT(s->out == 0);
    DX_LIST_FOR_SAFE (link, &s->roomy)
        chunk_free(s, DX_CONTAINER(link, struct chunk, link));
    DX_ASSERT(s->chunks == 0);
}

void *dx_comb_get(struct dx_comb *s)
{
    if (dx_list_empty(&s->roomy) && !chunk_new(s))
        return NULL;
    struct chunk *c = DX_CONTAINER(s->roomy.next, struct chunk, link);
    struct waiting *w = c->free;
    if (w == NULL)
        w = (struct waiting *)(void *)((char *)c + HEAD_BYTES + s->block_bytes * c->carved++);
    DX_UNPOISON(w, s->block_bytes);
    if (c->free != NULL)
        c->free = w->next;
    if (c->out == 0)
        s->empty--;
    if (++c->out == s->most)
        dx_list_remove(&c->link);
    s->out++;
    return w;
}

/* The chunk that somebody leaves is the next to be filled; an empty one is the last. */
static void settle(struct dx_comb *s, struct chunk *c)
{
    if (c->out == s->most - 1)
        dx_list_push_head(&s->roomy, &c->link);
    if (c->out > 0)
        return;
    s->empty++;
    if (s->empty > 1) {
        chunk_free(s, c);
        return;
    }
    dx_list_remove(&c->link);
    dx_list_push_tail(&s->roomy, &c->link);
}

void dx_comb_put(struct dx_comb *s, void *block)
{
    if (block == NULL)
        return;
    char *p = block;
    struct chunk *c = (struct chunk *)(void *)(p - ((uintptr_t)p & (CHUNK_BYTES - 1)));
    DX_MAGIC_OK(c, CHUNK_MAGIC);
    DX_ASSERT(s->out > 0 && c->out > 0);
    struct waiting *w = block;
    w->next = c->free;
    c->free = w;
    DX_POISON(w, s->block_bytes);
    s->out--;
    c->out--;
    settle(s, c);
}
