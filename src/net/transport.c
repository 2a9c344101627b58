/* SPDX-License-Identifier: MIT */
/* One connection's bytes: edges in, readiness remembered, as few system calls as there is work. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "net/internal.h"

#define GATHER_MAX     8
#define TOGETHER_BYTES 2048

bool dx_transport_open(struct dx_transport *t, struct dx_loop *l, int fd, bool connected)
{
    t->readable = false;
    t->writable = connected;
    t->hung_up = t->unsure = t->watched_over = false;
    if (dx_watch_start_edge(l, &t->watch, fd))
        return true;
    t->watch.fd = -1;
    return false;
}

enum dx_io dx_transport_receive(struct dx_transport *t, char *buf, size_t cap, size_t *got)
{
    DX_ASSERT(cap > 0);
    ssize_t n;
    do
        n = recv(t->watch.fd, buf, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *got = (size_t)n;
        /* A short read emptied the socket and the next edge will tell of more; but an end that was announced
         * already is announced only once, so it must be read now. */
        t->unsure = (size_t)n < cap && !t->hung_up;
        if (t->unsure)
            t->readable = false;
        return DX_IO_OK;
    }
    if (n == 0) {
        t->hung_up = true;
        return DX_IO_EOF;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        t->readable = false;
        return DX_IO_AGAIN;
    }
    return DX_IO_ERROR;
}

/* To copy a few bytes together costs less than to let the kernel gather them. */
static ssize_t send_once(int fd, const struct iovec *iov, int n, size_t all, int flags)
{
    char together[TOGETHER_BYTES];
    struct iovec gather[GATHER_MAX];

    if (n == 1)
        return send(fd, iov[0].iov_base, iov[0].iov_len, flags);
    if (all <= sizeof(together)) {
        size_t at = 0;
        for (int i = 0; i < n; at += iov[i++].iov_len)
            memcpy(together + at, iov[i].iov_base, iov[i].iov_len);
        return send(fd, together, all, flags);
    }
    DX_ASSERT(n <= GATHER_MAX);
    memcpy(gather, iov, (size_t)n * sizeof(*iov));
    struct msghdr m = {.msg_iov = gather, .msg_iovlen = (size_t)n};
    return sendmsg(fd, &m, flags);
}

enum dx_io dx_transport_send(struct dx_transport *t, const struct iovec *iov, int n, bool more, size_t *sent)
{
    size_t all = 0;
    ssize_t done;

    for (int i = 0; i < n; i++)
        all += iov[i].iov_len;
    DX_ASSERT(all > 0);
    do
        done = send_once(t->watch.fd, iov, n, all, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    while (done < 0 && errno == EINTR);
    if (done < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return DX_IO_ERROR;
        t->writable = false;
        return DX_IO_AGAIN;
    }
    if ((size_t)done < all)
        t->writable = false;
    *sent = (size_t)done;
    return DX_IO_OK;
}

/* What a call says that moves bytes and may be told to wait. */
static enum dx_io moved(ptrdiff_t n, bool *ready)
{
    if (n > 0)
        return DX_IO_OK;
    if (n == 0)
        return DX_IO_EOF;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return DX_IO_ERROR;
    *ready = false;
    return DX_IO_AGAIN;
}

enum dx_io dx_transport_take(struct dx_transport *t, struct dx_pipe *p, size_t most)
{
    DX_ASSERT(p->bytes == 0 && most > 0);
    enum dx_io io = moved(dx_pipe_fill(p, t->watch.fd, most), &t->readable);
    t->hung_up |= io == DX_IO_EOF;
    return io;
}

enum dx_io dx_transport_give(struct dx_transport *t, struct dx_pipe *p)
{
    return moved(dx_pipe_drain(p, t->watch.fd, NULL), &t->writable);
}

enum dx_io dx_transport_send_file(struct dx_transport *t, int file, int64_t *at, size_t most)
{
    off_t offset = (off_t)*at;
    ssize_t n;
    do
        n = sendfile(t->watch.fd, file, &offset, most);
    while (n < 0 && errno == EINTR);
    *at = (int64_t)offset;
    return moved(n, &t->writable);
}

size_t dx_transport_pending(const struct dx_transport *t)
{
    int bytes = 0;
    return ioctl(t->watch.fd, TIOCOUTQ, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

void dx_transport_look(struct dx_transport *t)
{
    char one;
    ssize_t n = recv(t->watch.fd, &one, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        t->readable = false;
    else if (n == 0 || (n < 0 && errno != EINTR))
        t->hung_up = true;
}

bool dx_transport_local(const struct dx_transport *t, struct dx_address *out)
{
    struct dx_address a = {.len = sizeof(a.u)};
    if (getsockname(t->watch.fd, &a.u.sa, &a.len) != 0)
        return false;
    *out = a;
    return true;
}

void dx_transport_watch_over(struct dx_transport *t)
{
    if (!t->watched_over)
        net_watch_over(t->watch.fd);
    t->watched_over = true;
}

void dx_transport_shutdown(struct dx_transport *t)
{
    if (dx_transport_is_open(t))
        (void)shutdown(t->watch.fd, SHUT_WR);
}

void dx_transport_close(struct dx_transport *t)
{
    if (!dx_transport_is_open(t))
        return;
    dx_watch_stop(&t->watch);
    dx_fd_close(&t->watch.fd);
    t->readable = t->writable = false;
}

void dx_transport_reset(struct dx_transport *t)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (dx_transport_is_open(t))
        (void)setsockopt(t->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    dx_transport_close(t);
}

bool dx_dial_start(const struct dx_address *a, int *out, bool *connected)
{
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (!dx_address_is_unix(a))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, &a->u.sa, a->len) == 0) {
        *connected = true;
        *out = fd;
        return true;
    }
    if (errno == EINPROGRESS) {
        *connected = false;
        *out = fd;
        return true;
    }
    int why = errno;
    close(fd);
    errno = why;
    return false;
}

int dx_dial_result(int fd)
{
    int why = 0;
    socklen_t len = sizeof(why);
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0)
        return errno;
    if (why != 0)
        return why;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0)
        return 0;
    return errno == ENOTCONN ? EINPROGRESS : errno;
}
