/* SPDX-License-Identifier: MIT */
/* Pipes for splice(2), lent and taken back. A pipe that comes back with bytes in it is closed: to read them
 * out would cost more than a new one. */
#include "diplex/os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/fd.h"

#define LEAST_BYTES (64 * 1024) /* of a pipe that is worth its system calls */

void dx_pipes_init(struct dx_pipes *s, unsigned most) { *s = (struct dx_pipes){.most = most}; }

static void destroy(struct dx_pipe *p)
{
    dx_fd_close(&p->in);
    dx_fd_close(&p->out);
    free(p);
}

void dx_pipes_fini(struct dx_pipes *s)
{
    DX_ASSERT(s->out == 0);
    while (s->idle_n > 0)
        destroy(s->idle[--s->idle_n]);
}

static struct dx_pipe *pipe_new(void)
{
    struct dx_pipe *p = calloc(1, sizeof(*p));
    int ends[2];
    if (p == NULL)
        return NULL;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        free(p);
        return NULL;
    }
    p->out = ends[0];
    p->in = ends[1];
    /* Near the user's share of pipe memory the kernel refuses more, and over it gives two pages. */
    if (fcntl(p->in, F_SETPIPE_SZ, (int)DX_PIPE_BYTES) < 0 && fcntl(p->in, F_GETPIPE_SZ) < LEAST_BYTES) {
        destroy(p);
        return NULL;
    }
    return p;
}

struct dx_pipe *dx_pipe_get(struct dx_pipes *s)
{
    if (s->out == s->most)
        return NULL;
    struct dx_pipe *p = s->idle_n > 0 ? s->idle[--s->idle_n] : pipe_new();
    if (p != NULL)
        s->out++;
    return p;
}

void dx_pipe_put(struct dx_pipes *s, struct dx_pipe *p)
{
    if (p == NULL)
        return;
    DX_ASSERT(s->out > 0);
    s->out--;
    if (p->bytes > 0 || s->idle_n == DX_PIPES_KEPT)
        destroy(p);
    else
        s->idle[s->idle_n++] = p;
}

ptrdiff_t dx_pipe_fill(struct dx_pipe *p, int fd, size_t most)
{
    ssize_t n;
    do
        n = splice(fd, NULL, p->in, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        p->bytes += (size_t)n;
    return n;
}

ptrdiff_t dx_pipe_drain(struct dx_pipe *p, int fd, int64_t *at)
{
    ssize_t n;
    DX_ASSERT(p->bytes > 0);
    do
        n = splice(p->out, NULL, fd, at, p->bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        p->bytes -= (size_t)n;
    return n;
}
