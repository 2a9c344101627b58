/* SPDX-License-Identifier: MIT */
/* Listening sockets: opened by control with its rights, used by the workers of data. */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "net/internal.h"

#define BACKLOG 4096 /* the kernel lowers it to net.core.somaxconn */

/* Two minutes after the last byte of a host that has vanished, its connections end: the first look after one,
 * then four more. Who is there answers in his kernel, however idle he is. */
#define ALIVE_IDLE_S  60
#define ALIVE_EVERY_S 15
#define ALIVE_TIMES   4

static bool set_option(int fd, int level, int name)
{
    return setsockopt(fd, level, name, &(int){1}, sizeof(int)) == 0;
}

/* A socket file that nobody answers on is left from a process that was killed. */
static bool remove_stale_file(const struct dx_address *a)
{
    struct stat st;
    if (lstat(a->u.un.sun_path, &st) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return false;
    }
    /* Not waiting: with a full backlog the answer is EAGAIN, and somebody is there. */
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return false;
    bool answered = connect(probe, &a->u.sa, a->len) == 0 || errno != ECONNREFUSED;
    close(probe);
    if (answered) {
        errno = EADDRINUSE;
        return false;
    }
    return unlink(a->u.un.sun_path) == 0;
}

void net_watch_over(int fd)
{
    static const struct {
        int name, value;
    } times[] = {{TCP_KEEPIDLE, ALIVE_IDLE_S}, {TCP_KEEPINTVL, ALIVE_EVERY_S}, {TCP_KEEPCNT, ALIVE_TIMES}};
    if (!set_option(fd, SOL_SOCKET, SO_KEEPALIVE))
        return;
    for (size_t i = 0; i < DX_COUNT(times); i++) /* a Unix socket has none of them */
        (void)setsockopt(fd, IPPROTO_TCP, times[i].name, &times[i].value, sizeof(int));
}

int dx_net_reserve(void) { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

static bool prepare(int fd, const struct dx_address *a, bool reuse_port)
{
    if (dx_address_is_unix(a))
        return remove_stale_file(a);
    /* Accepted sockets inherit these. */
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    net_watch_over(fd);
    if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR) ||
        (reuse_port && !set_option(fd, SOL_SOCKET, SO_REUSEPORT)))
        return false;
    /* The wildcard of IPv6 takes IPv4 too; a named IPv6 address takes only itself. */
    if (a->u.sa.sa_family == AF_INET6) {
        int only = !IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
        return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) == 0;
    }
    return true;
}

bool dx_listen_open(const struct dx_address *a, bool reuse_port, unsigned mode, int *out, struct dx_err *err)
{
    char text[DX_ADDRESS_TEXT];
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        goto failed;
    if (!prepare(fd, a, reuse_port) || bind(fd, &a->u.sa, a->len) != 0)
        goto failed;
    if (dx_address_is_unix(a) && chmod(a->u.un.sun_path, (mode_t)mode) != 0)
        goto failed;
    if (listen(fd, BACKLOG) != 0)
        goto failed;
    *out = fd;
    return true;
failed:
    dx_address_text(a, text, sizeof(text));
    dx_err_sys(err, "cannot listen on %s", text);
    dx_fd_close(&fd);
    return false;
}

bool dx_listen_adopt(int fd, struct dx_address *out, struct dx_err *err)
{
    struct dx_address a = {.len = sizeof a.u};
    int type = 0, listens = 0;
    socklen_t n = sizeof(int);
    if (getsockname(fd, &a.u.sa, &a.len) != 0)
        return dx_err_sys(err, "descriptor %d is no socket", fd);
    bool known = a.u.sa.sa_family == AF_INET || a.u.sa.sa_family == AF_INET6 || dx_address_is_unix(&a);
    if (!known || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) != 0 || !listens)
        return dx_err_set(err, "descriptor %d is no listening stream socket (ListenStream= and Accept=no)",
                          fd);
    if (!dx_fd_set_nonblocking(fd) || !dx_fd_set_cloexec(fd, true))
        return dx_err_sys(err, "descriptor %d cannot be used", fd);
    if (!dx_address_is_unix(&a)) {
        (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY);
        net_watch_over(fd);
    }
    *out = a;
    return true;
}

int dx_listen_accept(int listener, struct dx_address *peer)
{
    peer->len = sizeof(peer->u);
    int fd = accept4(listener, &peer->u.sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -1;
    if (peer->u.sa.sa_family == AF_UNIX || peer->len <= sizeof(sa_family_t)) {
        peer->u.sa.sa_family = AF_UNIX;
        peer->u.un.sun_path[0] = '\0';
        return fd;
    }
    return fd;
}
