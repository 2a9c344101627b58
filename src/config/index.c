/* SPDX-License-Identifier: MIT */
/* An open-addressed hash table from texts to pointers: keys of mappings, anchors, pool names, prefixes. */
#include "config/reader.h"

#include "diplex/base/hash.h"

#define FIRST_CAP 8u

struct dx_index_slot {
    struct dx_slice key;
    void *value; /* NULL: free */
};

static struct dx_index_slot *slot_of(const struct dx_config_index *ix, struct dx_slice key)
{
    size_t at = (size_t)dx_hash_finish(dx_hash_more(DX_HASH_START, key)) & (ix->cap - 1);
    while (ix->slots[at].value && !dx_slice_eq(ix->slots[at].key, key))
        at = (at + 1) & (ix->cap - 1);
    return &ix->slots[at];
}

static bool grow(struct dx_config_index *ix)
{
    struct dx_config_index wider = *ix;
    wider.cap = ix->cap ? ix->cap * 2 : FIRST_CAP;
    wider.slots = dx_arena_zalloc(ix->arena, wider.cap * sizeof *wider.slots);
    if (!wider.slots)
        return false;
    for (size_t i = 0; i < ix->cap; i++) {
        if (ix->slots[i].value)
            *slot_of(&wider, ix->slots[i].key) = ix->slots[i];
    }
    *ix = wider;
    return true;
}

void *dx_config_index_get(const struct dx_config_index *ix, struct dx_slice key)
{
    return ix->cap ? slot_of(ix, key)->value : NULL;
}

bool dx_config_index_put(struct dx_config_index *ix, struct dx_slice key, void *value)
{
    DX_ASSERT(value);
    if (ix->n * 2 >= ix->cap && !grow(ix))
        return false;
    struct dx_index_slot *slot = slot_of(ix, key);
    if (!slot->value)
        ix->n++;
    *slot = (struct dx_index_slot){key, value};
    return true;
}
