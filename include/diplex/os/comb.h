/* SPDX-License-Identifier: MIT */
/*
 * A comb hands out small blocks of one size, of which there may be very many: they stand side by side in
 * chunks of pages, without a word between them, and a chunk that all its blocks have come back to is given
 * back to the kernel, but for one. One thread only. For few blocks, or large ones, there is dx_slab.
 */
#ifndef DIPLEX_OS_COMB_H
#define DIPLEX_OS_COMB_H

#include <stddef.h>

#include "diplex/base/list.h"

struct dx_comb {
    size_t block_bytes;
    unsigned most;               /* blocks of one chunk */
    unsigned out, chunks, empty; /* empty: chunks without a block handed out, 0 or 1 */
    struct dx_link roomy;        /* chunks with a block to give */
};

/* Blocks are aligned to 8 bytes; at most 4 KiB each. */
void dx_comb_init(struct dx_comb *s, size_t block_bytes);
void dx_comb_fini(struct dx_comb *s); /* every block must have come back */

/* Not zeroed; NULL when out of memory. */
void *dx_comb_get(struct dx_comb *s) DX_CHECKED;
void dx_comb_put(struct dx_comb *s, void *block); /* NULL is fine */

#endif
