/* SPDX-License-Identifier: MIT */
/* Small operations on descriptors: flags, whole writes, whole reads, files in memory. No policy; errors stay
 * in errno. */
#include "diplex/os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_FIRST_BYTES ((size_t)4096)

bool dx_fd_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && ((flags & O_NONBLOCK) || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

bool dx_fd_set_cloexec(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0)
        return false;
    int wanted = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    return wanted == flags || fcntl(fd, F_SETFD, wanted) == 0;
}

void dx_fd_close(int *fd)
{
    if (*fd < 0)
        return;
    int saved_errno = errno;
    close(*fd); /* on Linux the descriptor is gone even when close reports an error */
    *fd = -1;
    errno = saved_errno;
}

static bool wait_writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

bool dx_fd_write_all(int fd, struct dx_slice s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n >= 0)
            s = dx_slice_of(s.p + n, s.n - (size_t)n);
        else if (errno == EAGAIN ? !wait_writable(fd) : errno != EINTR)
            return false;
    }
    return true;
}

/* From the offset for files; what cannot seek (pipes) is read as it comes. */
static ssize_t read_at(int fd, char *p, size_t n, size_t offset, bool *seekable)
{
    ssize_t got;
    do {
        got = *seekable ? pread(fd, p, n, (off_t)offset) : read(fd, p, n);
        if (got < 0 && errno == ESPIPE && *seekable) {
            *seekable = false;
            errno = EINTR;
        }
    } while (got < 0 && errno == EINTR);
    return got;
}

/* Doubles the buffer, but to no more than `limit` bytes. */
static bool grow(char **buf, size_t *cap, size_t limit)
{
    size_t more = *cap > limit / 2 ? limit : *cap * 2;
    char *p = realloc(*buf, more);
    if (!p)
        return false;
    *buf = p;
    *cap = more;
    return true;
}

bool dx_fd_read_all(int fd, size_t max, char **out, size_t *n)
{
    DX_ASSERT(max < SIZE_MAX / 2);
    size_t limit = max + 1; /* one byte more tells "too large"; in the end it is the terminator's */
    size_t cap = limit < READ_FIRST_BYTES ? limit : READ_FIRST_BYTES, used = 0;
    char *buf = malloc(cap);
    bool seekable = true;

    while (buf) {
        ssize_t got = read_at(fd, buf + used, cap - used, used, &seekable);
        if (got < 0)
            break;
        used += (size_t)got;
        if (got == 0) {
            buf[used] = '\0';
            *out = buf;
            *n = used;
            return true;
        }
        if (used > max) {
            errno = EFBIG;
            break;
        }
        if (used == cap && !grow(&buf, &cap, limit))
            break;
    }
    int error = errno;
    free(buf);
    errno = error;
    return false;
}

bool dx_fd_read_file(const char *path, size_t max, char **out, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = dx_fd_read_all(fd, max, out, n);
    dx_fd_close(&fd);
    return ok;
}

int dx_fd_memory_file(const char *name, struct dx_slice content)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (!dx_fd_write_all(fd, content) || lseek(fd, 0, SEEK_SET) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        dx_fd_close(&fd);
    return fd;
}

uint64_t dx_fd_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (limit.rlim_cur != limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    return limit.rlim_cur;
}
