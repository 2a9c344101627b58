/* SPDX-License-Identifier: MIT */
/* Bodies in memory, then in an unlinked file. The memory grows by doubling, so that small bodies cost little
 * and none costs a copy per piece. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/base/check.h"
#include "diplex/os/fd.h"
#include "diplex/spool.h"

#define MEMORY_FIRST 4096u
#define COPY_BYTES   (16u * 1024)

void dx_spool_init(struct dx_spool *s, size_t memory_max, const char *folder)
{
    *s = (struct dx_spool){.memory_max = memory_max, .fd = -1, .folder = folder};
}

void dx_spool_fini(struct dx_spool *s)
{
    free(s->memory);
    s->memory = NULL;
    s->memory_n = s->memory_cap = 0;
    dx_fd_close(&s->fd);
    s->file_n = 0;
}

static bool grow(struct dx_spool *s, size_t want)
{
    size_t cap = s->memory_cap ? s->memory_cap : MEMORY_FIRST;
    while (cap < want)
        cap *= 2;
    if (cap > s->memory_max)
        cap = s->memory_max;
    char *p = realloc(s->memory, cap);
    if (p == NULL)
        return false;
    s->memory = p;
    s->memory_cap = cap;
    return true;
}

static bool open_file(struct dx_spool *s)
{
    s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return s->fd >= 0;
    /* File systems without O_TMPFILE (older overlays): a name for the shortest possible time. */
    char name[4096];
    int n = snprintf(name, sizeof(name), "%s/diplex-XXXXXX", s->folder);
    if (n < 0 || (size_t)n >= sizeof(name)) {
        errno = ENAMETOOLONG;
        return false;
    }
    s->fd = mkostemp(name, O_CLOEXEC);
    return s->fd >= 0 && unlink(name) == 0;
}

static bool append_file(struct dx_spool *s, struct dx_slice bytes)
{
    if (s->fd < 0 && !open_file(s))
        return false;
    while (bytes.n > 0) {
        ssize_t n = pwrite(s->fd, bytes.p, bytes.n, (off_t)s->file_n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        s->file_n += (uint64_t)n;
        bytes = dx_slice_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

void dx_spool_cut(struct dx_spool *s, uint64_t bytes)
{
    DX_ASSERT(bytes <= dx_spool_bytes(s));
    if (bytes < s->memory_n)
        s->memory_n = (size_t)bytes;
    s->file_n = bytes - s->memory_n;
    if (s->file_n == 0)
        dx_fd_close(&s->fd);
    else
        (void)!ftruncate(s->fd, (off_t)s->file_n); /* what stays on the disk is written over */
}

/* It failed, for a reason in errno: what was appended of it goes. */
static bool take_back(struct dx_spool *s, uint64_t bytes)
{
    int why = errno;
    dx_spool_cut(s, bytes);
    errno = why;
    return false;
}

bool dx_spool_append(struct dx_spool *s, struct dx_slice bytes)
{
    uint64_t before = dx_spool_bytes(s);
    size_t room = s->fd < 0 ? s->memory_max - s->memory_n : 0;
    size_t n = bytes.n < room ? bytes.n : room;

    if (s->memory_n + n > s->memory_cap && !grow(s, s->memory_n + n))
        return false;
    if (n > 0)
        memcpy(s->memory + s->memory_n, bytes.p, n);
    s->memory_n += n;
    if (n == bytes.n)
        return true;
    return append_file(s, dx_slice_of(bytes.p + n, bytes.n - n)) || take_back(s, before);
}

/* For file systems that splice(2) cannot write to. */
static bool copy_out(struct dx_spool *s, struct dx_pipe *p)
{
    char piece[COPY_BYTES];
    while (p->bytes > 0) {
        ssize_t n;
        do
            n = read(p->out, piece, sizeof(piece));
        while (n < 0 && errno == EINTR);
        if (n <= 0)
            return false;
        p->bytes -= (size_t)n;
        if (!append_file(s, dx_slice_of(piece, (size_t)n)))
            return false;
    }
    return true;
}

static bool append_pipe(struct dx_spool *s, struct dx_pipe *p)
{
    if (s->fd < 0 && !open_file(s))
        return false;
    while (p->bytes > 0) {
        int64_t at = (int64_t)s->file_n;
        ptrdiff_t n = dx_pipe_drain(p, s->fd, &at);
        if (n < 0 && errno == EINVAL)
            return copy_out(s, p);
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        s->file_n += (uint64_t)n;
    }
    return true;
}

bool dx_spool_append_pipe(struct dx_spool *s, struct dx_pipe *p)
{
    uint64_t before = dx_spool_bytes(s);

    DX_ASSERT(dx_spool_memory_full(s));
    return append_pipe(s, p) || take_back(s, before);
}
