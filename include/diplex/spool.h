/* SPDX-License-Identifier: MIT */
/* A body that is kept whole before it goes on: the first bytes in memory, the rest in an unlinked file. Read from the start, as often as needed. */
#ifndef DIPLEX_SPOOL_H
#define DIPLEX_SPOOL_H

#include "diplex/base/slice.h"
#include "diplex/os/pipe.h"

struct dx_spool {
    char *memory;        /* grows up to memory_max */
    size_t memory_n, memory_cap, memory_max;
    int fd;              /* -1 while all is in memory */
    uint64_t file_n;
    const char *folder;  /* borrowed: where the file is made */
};

/* Allocates nothing yet. */
void dx_spool_init(struct dx_spool *s, size_t memory_max, const char *folder);
void dx_spool_fini(struct dx_spool *s);
static inline uint64_t dx_spool_bytes(const struct dx_spool *s) { return s->memory_n + s->file_n; }
static inline bool dx_spool_in_file(const struct dx_spool *s) { return s->fd >= 0; }

/* Appends all, or fails with errno (ENOMEM, ENOSPC, EACCES...) and appends nothing: what was there before is unharmed, and it may be tried again. */
bool dx_spool_append(struct dx_spool *s, struct dx_slice bytes) DX_CHECKED;

/* True: further bytes go to the file, and may come through a pipe. */
static inline bool dx_spool_memory_full(const struct dx_spool *s) { return s->fd >= 0 || s->memory_n == s->memory_max; }
/* Appends all that is in the pipe, as above; when it fails, what was in the pipe is lost in part. */
bool dx_spool_append_pipe(struct dx_spool *s, struct dx_pipe *p) DX_CHECKED;
/* Forgets all beyond the first `bytes`. A file of which nothing is left is closed. */
void dx_spool_cut(struct dx_spool *s, uint64_t bytes);

/* The bytes from `at` on that are in memory; none: they are in the file, from `at` - memory_n on. */
static inline struct dx_slice dx_spool_in_memory(const struct dx_spool *s, uint64_t at)
{
    return at < s->memory_n ? dx_slice_of(s->memory + at, s->memory_n - (size_t)at) : dx_slice_of(NULL, 0);
}

#endif
