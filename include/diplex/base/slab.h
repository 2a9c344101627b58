/* SPDX-License-Identifier: MIT */
/* A slab hands out blocks of one size and keeps up to `keep` returned ones for the next. One thread only. */
#ifndef DIPLEX_BASE_SLAB_H
#define DIPLEX_BASE_SLAB_H

#include <stddef.h>

#include "diplex/base/check.h"

struct dx_slab {
    size_t block_bytes;
    unsigned keep, kept, out; /* kept: waiting in the slab; out: handed out now */
    void *free;
};

void dx_slab_init(struct dx_slab *s, size_t block_bytes, unsigned keep);
void dx_slab_fini(struct dx_slab *s); /* every block must have come back */

/* Not zeroed; NULL when out of memory. */
void *dx_slab_get(struct dx_slab *s) DX_CHECKED;
void dx_slab_put(struct dx_slab *s, void *block); /* NULL is fine */

#endif
