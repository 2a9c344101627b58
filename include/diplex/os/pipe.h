/* SPDX-License-Identifier: MIT */
/*
 * Pipes for splice(2): bytes that go from one descriptor to another by reference, without coming into the program.
 * A stock lends them; pipes are kernel memory and descriptors, so there is a most, and whoever gets none copies.
 */
#ifndef DIPLEX_OS_PIPE_H
#define DIPLEX_OS_PIPE_H

#include <stddef.h>
#include <stdint.h>

#include "diplex/base/check.h"

#define DX_PIPE_BYTES (512u * 1024) /* asked of the kernel, which may give less */
#define DX_PIPES_KEPT 4             /* nearly always a pipe is filled and emptied in one step, and one is enough */

struct dx_pipe {
    int out, in;  /* read from, written to; non-blocking */
    size_t bytes; /* inside now */
};

struct dx_pipes { /* one thread only */
    struct dx_pipe *idle[DX_PIPES_KEPT];
    unsigned idle_n, out, most; /* out: lent now, at most `most` */
};

void dx_pipes_init(struct dx_pipes *s, unsigned most);
void dx_pipes_fini(struct dx_pipes *s); /* every pipe must have come back */

/* An empty pipe, or NULL: all are lent, or the kernel has none to give. */
struct dx_pipe *dx_pipe_get(struct dx_pipes *s) DX_CHECKED;
void dx_pipe_put(struct dx_pipes *s, struct dx_pipe *p); /* bytes in it are lost; NULL is fine */

/* Moves at most `most` bytes from a descriptor into the pipe: splice(2)'s result and errno. The pipe should be empty, so that EAGAIN
 * speaks of the descriptor. */
ptrdiff_t dx_pipe_fill(struct dx_pipe *p, int fd, size_t most);
ptrdiff_t dx_pipe_drain(struct dx_pipe *p, int fd, int64_t *at);

#endif
