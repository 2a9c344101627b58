/* SPDX-License-Identifier: MIT */
/*
 * Returned blocks are chained through their own first bytes. Under the address sanitizer a waiting block is
 * poisoned, so that recycling hides no use after return.
 */
#include "diplex/base/slab.h"

#include <stdlib.h>

#include "diplex/base/poison.h"

struct waiting {
    struct waiting *next;
};

void dx_slab_init(struct dx_slab *s, size_t block_bytes, unsigned keep)
{
    size_t least = sizeof(struct waiting);
    *s = (struct dx_slab){.block_bytes = block_bytes > least ? block_bytes : least, .keep = keep};
}

void dx_slab_fini(struct dx_slab *s)
{
    DX_ASSERT(s->out == 0);
    while (s->kept > 0)
        free(dx_slab_get(s));
    s->out = 0;
}

void *dx_slab_get(struct dx_slab *s)
{
    struct waiting *w = s->free;
    if (DX_LIKELY(w != NULL)) {
        DX_UNPOISON(w, s->block_bytes);
        s->free = w->next;
        s->kept--;
        s->out++;
        return w;
    }
    void *block = malloc(s->block_bytes);
    if (block)
        s->out++;
    return block;
}

void dx_slab_put(struct dx_slab *s, void *block)
{
    if (!block)
        return;
    DX_ASSERT(s->out > 0);
    s->out--;
    if (s->kept >= s->keep) {
        free(block);
        return;
    }
    struct waiting *w = block;
    w->next = s->free;
    s->free = w;
    s->kept++;
    DX_POISON(w, s->block_bytes);
}
