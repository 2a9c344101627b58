/* SPDX-License-Identifier: MIT */
/* Switches that are on, by the hash of their names. */
#include "board/layout.h"
#include "diplex/base/hash.h"

static uint64_t key_of(struct dx_slice name, struct dx_slice more)
{
    uint64_t key = dx_hash_finish(dx_hash_more(dx_hash_more(DX_HASH_START, name), more));
    return key != 0 ? key : 1;
}

/* Control's own memory says where: nothing is read back from what data can write. */
static void put(struct dx_board *b, size_t at, uint64_t key)
{
    b->own->switches[at] = key;
    b->own->switches_on += key != 0 ? 1 : UINT32_MAX; /* one less */
    atomic_store_explicit(&b->shared->switches[at], key, memory_order_relaxed);
    atomic_store_explicit(&b->shared->switches_on, b->own->switches_on, memory_order_release);
}

bool dx_board_switch_set(struct dx_board *b, struct dx_slice name, bool on)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    uint64_t key = key_of(name, dx_slice_of(NULL, 0));
    size_t free = DX_BOARD_SWITCHES;

    for (size_t i = DX_BOARD_SWITCHES; i-- > 0;) {
        if (b->own->switches[i] == 0)
            free = i;
        if (b->own->switches[i] != key)
            continue;
        if (!on)
            put(b, i, 0);
        return true;
    }
    if (on && free < DX_BOARD_SWITCHES)
        put(b, free, key);
    return !on || free < DX_BOARD_SWITCHES;
}

bool dx_board_switch(const struct dx_board *b, struct dx_slice name, struct dx_slice more)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    uint64_t key = key_of(name, more);

    for (size_t i = 0; i < DX_BOARD_SWITCHES; i++)
        if (atomic_load_explicit(&b->shared->switches[i], memory_order_relaxed) == key)
            return true;
    return false;
}

bool dx_board_any_switch(const struct dx_board *b)
{
    return atomic_load_explicit(&b->shared->switches_on, memory_order_acquire) != 0;
}
