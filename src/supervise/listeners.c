/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets, opened here once and kept, whatever becomes of the data process. TCP: one socket for
 * each worker in one SO_REUSEPORT group, so that the kernel spreads connections; Unix: one for all. Two plans
 * that name the same address share it, so a reload touches only what it changes. A socket that a service
 * manager gave us (activation.c) is used in place of our own, shared by all workers: a group cannot be made
 * of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "supervise/control.h"

/* From the last one on: the others keep their places in the group, which is what dx_listen_steer counts by.
 */
static void close_from(struct listener *l, unsigned first)
{
    while (l->fds_n > first && !l->given)
        dx_fd_close(&l->fds[--l->fds_n]);
}

static void listener_put(struct listener *l)
{
    if (!l || --l->refs)
        return;
    close_from(l, 0);
    if (l->owns_file)
        unlink(l->address.u.un.sun_path);
    free(l->fds);
    free(l->text);
    free(l);
}

/* The errno of binding it without SO_REUSEPORT, 0 when it is free. Another diplex of the same user would
 * otherwise share the port with us, and the kernel would send half of the clients to each. */
static int bind_alone(const struct dx_address *a)
{
    int on = 1, off = 0, error = 0;
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    bool any = a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (any && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(fd, &a->u.sa, a->len) != 0)
        error = errno;
    dx_fd_close(&fd);
    return error;
}

static bool port_is_ours(const struct plan *p, uint16_t port)
{
    for (size_t i = 0; p && i < p->listeners_n; i++)
        if (p->listeners[i] && !dx_address_is_unix(&p->listeners[i]->address) &&
            dx_address_port(&p->listeners[i]->address) == port)
            return true;
    return false;
}

static bool refuse(const char *text, int error, struct dx_err *err)
{
    const char *hint = "";
    if (error == EADDRINUSE)
        hint = " (is another server running there? set \"listen\")";
    else if (error == EACCES)
        hint = " (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
    else if (error == EADDRNOTAVAIL)
        hint = " (no interface of this machine has this address)";
    return dx_err_set(err, "cannot listen on %s: %s%s", text, strerror(error), hint);
}

/* The address to open: the wildcard of both families becomes IPv4's where there is no IPv6. */
static bool settle_tcp(struct listener *l, bool shared_port, struct dx_err *err)
{
    int error = bind_alone(&l->address);
    if ((error == EAFNOSUPPORT || error == EADDRNOTAVAIL) && l->text[0] == ':') {
        if (!dx_address_from_ip(DX_SLICE("0.0.0.0"), dx_address_port(&l->address), &l->address))
            DX_NEVER("0.0.0.0 is an address");
        error = bind_alone(&l->address);
    }
    if (error == 0 || (error == EADDRINUSE && shared_port))
        return true;
    return refuse(l->text, error, err);
}

static bool open_sockets(struct listener *l, unsigned mode, unsigned workers, struct dx_err *err)
{
    bool is_unix = dx_address_is_unix(&l->address);
    unsigned wanted = is_unix ? 1 : workers;
    int *fds = wanted > l->fds_n ? realloc(l->fds, wanted * sizeof *fds) : l->fds;
    if (!fds)
        return dx_err_set(err, "out of memory");
    l->fds = fds;
    while (l->fds_n < wanted) {
        if (!dx_listen_open(&l->address, !is_unix, mode, &l->fds[l->fds_n], err))
            return refuse(l->text, errno, err);
        l->fds_n++;
        /* With port 0 the kernel chooses for the first; the others follow it. */
        socklen_t n = sizeof l->address.u;
        if (!is_unix && getsockname(l->fds[0], &l->address.u.sa, &n) != 0)
            return dx_err_sys(err, "cannot listen on %s", l->text);
    }
    l->owns_file = is_unix;
    return true;
}

static bool borrow(struct listener *l, int fd, struct dx_err *err)
{
    l->fds = malloc(sizeof *l->fds);
    if (!l->fds)
        return dx_err_set(err, "out of memory");
    l->fds[0] = fd;
    l->fds_n = 1;
    l->given = true;
    return true;
}

/* What the program before us had under this address: as many sockets as it had, in their order. */
static bool inherit(struct listener *l, const struct heritage *left, struct dx_err *err)
{
    struct dx_slice rest = {NULL, 0}, line;
    while (left && heritage_next(left, "listen", &rest, &line)) {
        size_t n = dx_slice_find(line, ' '), m = 0;
        struct dx_slice fds = dx_slice_of(line.p + n + 1, line.n - n - 1);
        m = dx_slice_find(fds, ' ');
        struct dx_slice text = dx_slice_of(fds.p + m + 1, fds.n - m - 1);
        if (!dx_slice_eq(text, dx_slice_str(l->text)))
            continue;
        fds.n = m;
        l->owns_file = line.p[0] == '1';
        l->fds = calloc(DX_BOARD_WORKERS, sizeof *l->fds);
        while (l->fds && fds.n && l->fds_n < DX_BOARD_WORKERS)
            l->fds[l->fds_n++] = heritage_fd(&fds);
        socklen_t len = sizeof l->address.u;
        if (l->fds_n && !dx_address_is_unix(&l->address) &&
            getsockname(l->fds[0], &l->address.u.sa, &len) != 0)
            return dx_err_sys(err, "cannot take the socket of %s over", l->text);
        return l->fds || dx_err_set(err, "out of memory");
    }
    return true;
}

static bool open_or_borrow(struct listener *l, const struct dx_listen_config *config, bool shared_port,
                           const struct listeners_from *from, struct dx_err *err)
{
    int given = activation_find(from->given, &l->address);
    if (given >= 0)
        return borrow(l, given, err);
    if (!inherit(l, from->left, err) || l->fds_n)
        return l->fds_n > 0;
    return (dx_address_is_unix(&l->address) || settle_tcp(l, shared_port, err)) &&
           open_sockets(l, config->mode, from->workers, err);
}

static struct listener *listener_open(const struct dx_listen_config *config, const struct plan *mine,
                                      const struct listeners_from *from, struct dx_err *err)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l || !(l->text = dx_slice_dup(dx_slice_str(config->text)))) {
        free(l);
        dx_err_set(err, "out of memory");
        return NULL;
    }
    l->refs = 1;
    l->address = config->address;
    uint16_t port = dx_address_port(&l->address);
    bool shared = port != 0 && (port_is_ours(from->now, port) || port_is_ours(mine, port));
    if (!open_or_borrow(l, config, shared, from, err)) {
        listener_put(l);
        return NULL;
    }
    if (port == 0 && !dx_address_is_unix(&l->address))
        dx_address_text(&l->address, l->shown, sizeof l->shown);
    else
        snprintf(l->shown, sizeof l->shown, "%s", l->text);
    return l;
}

static bool is_group(const struct listener *l) { return !l->given && !dx_address_is_unix(&l->address); }

/* Another number of workers. Until that is in force, connections are led to the sockets that have a worker
 * now and will have one then: none waits in one that is to be closed. */
static bool share(struct listener *l, unsigned workers, struct dx_err *err)
{
    unsigned least = l->settled_n < workers ? l->settled_n : workers;
    l->refs++;
    if (!is_group(l) || workers == l->settled_n)
        return true;
    dx_listen_steer(l->fds[0], least);
    return open_sockets(l, 0, workers, err);
}

void listeners_settle(const struct plan *p, unsigned workers)
{
    for (size_t i = 0; i < p->listeners_n; i++) {
        struct listener *l = p->listeners[i];
        if (is_group(l)) {
            close_from(l, workers);
            dx_listen_steer(l->fds[0], 0);
        }
        l->settled_n = l->fds_n;
    }
}

static struct listener *find(const struct plan *p, const char *text)
{
    for (size_t i = 0; p && i < p->listeners_n; i++)
        if (p->listeners[i] && strcmp(p->listeners[i]->text, text) == 0)
            return p->listeners[i];
    return NULL;
}

bool listeners_open(struct plan *p, const struct listeners_from *from, struct dx_err *err)
{
    p->listeners = calloc(p->config->listen_n ? p->config->listen_n : 1, sizeof *p->listeners);
    if (!p->listeners)
        return dx_err_set(err, "out of memory");
    for (unsigned i = 0; i < p->config->listen_n; i++) {
        const struct dx_listen_config *config = &p->config->listen[i];
        struct listener *l = find(from->now, config->text);
        bool ok = l ? share(l, from->workers, err) : (l = listener_open(config, p, from, err)) != NULL;
        if (l)
            p->listeners[p->listeners_n++] = l;
        if (!ok) {
            listeners_close(p);
            return false;
        }
    }
    return true;
}

void listeners_close(struct plan *p)
{
    for (size_t i = 0; i < p->listeners_n; i++)
        listener_put(p->listeners[i]);
    free(p->listeners);
    p->listeners = NULL;
    p->listeners_n = 0;
}

void listeners_set_modes(const struct plan *p)
{
    for (size_t i = 0; i < p->listeners_n; i++) {
        const struct listener *l = p->listeners[i];
        if (l->owns_file && chmod(l->address.u.un.sun_path, (mode_t)p->config->listen[i].mode) != 0)
            dx_log(DX_LOG_WARN, "listen_mode_failed", DX_KS("listen", l->text),
                   DX_KS("error", strerror(errno)));
    }
}
