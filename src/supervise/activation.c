/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets that a service manager opened for us, as sd_listen_fds(3) describes it: LISTEN_FDS of
 * them from descriptor 3 on, when LISTEN_PID is this process. An entry of `listen` with the same address uses
 * such a socket in place of one of its own. They are the manager's: it goes on holding them when we are gone,
 * and who connects meanwhile waits in them, so nothing here shuts one down or removes its file. They stay
 * open when a reload drops their address, because nobody gives them a second time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "supervise/control.h"

#define FIRST_FD 3

/* The number in a variable; false when it is not set, or is none. */
static bool number_of(const char *variable, uint64_t *out)
{
    const char *text = getenv(variable);
    return text && dx_slice_to_u64(dx_slice_str(text), out);
}

/* The names are in the order of the descriptors, separated by colons. A missing one is empty. */
static struct dx_slice next_name(struct dx_slice *rest)
{
    size_t n = dx_slice_find(*rest, ':');
    struct dx_slice name = dx_slice_of(rest->p, n);
    size_t taken = n < rest->n ? n + 1 : n;
    *rest = dx_slice_of(rest->p + taken, rest->n - taken);
    return name;
}

static bool take_all(struct activation *a, size_t n, struct dx_err *err)
{
    const char *names = getenv("LISTEN_FDNAMES");
    struct dx_slice rest = dx_slice_str(names ? names : "");
    for (size_t i = 0; i < n; i++) {
        struct given *g = &a->at[i];
        struct dx_slice name = next_name(&rest);
        g->fd = FIRST_FD + (int)i;
        snprintf(g->name, sizeof g->name, "%.*s", DX_SLICE_ARGS(name));
        if (!dx_listen_adopt(g->fd, &g->address, err))
            return false;
        dx_address_text(&g->address, g->shown, sizeof g->shown);
        a->n = i + 1;
    }
    return true;
}

static bool inherit(struct activation *a, const struct heritage *left, struct dx_err *err)
{
    struct dx_slice rest = {NULL, 0}, line;
    while (heritage_next(left, "given", &rest, &line) && a->n < ACTIVATION_MAX) {
        struct given *g = &a->at[a->n];
        g->fd = heritage_fd(&line);
        snprintf(g->name, sizeof g->name, "%.*s", DX_SLICE_ARGS(line));
        if (!dx_listen_adopt(g->fd, &g->address, err))
            return false;
        dx_address_text(&g->address, g->shown, sizeof g->shown);
        a->n++;
    }
    return true;
}

bool activation_take(struct activation *a, const struct heritage *left, struct dx_err *err)
{
    uint64_t pid = 0, n = 0;
    bool ok = !left || inherit(a, left, err);
    if (ok && getenv("LISTEN_FDS") && number_of("LISTEN_PID", &pid) && pid == (uint64_t)getpid()) {
        if (!number_of("LISTEN_FDS", &n) || n > ACTIVATION_MAX)
            ok = dx_err_set(err, "LISTEN_FDS=%s: at most %u sockets can be given", getenv("LISTEN_FDS"),
                            ACTIVATION_MAX);
        else
            ok = take_all(a, (size_t)n, err);
    }
    /* Nobody whom we start is to believe that they are his. */
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return ok;
}

void activation_release(struct activation *a)
{
    for (size_t i = 0; i < a->n; i++)
        dx_fd_close(&a->at[i].fd);
    a->n = 0;
}

static bool is_wildcard(const struct dx_address *a)
{
    return a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

/* `:80` is opened as [::]:80 where we open it ourselves; 0.0.0.0:80 is what it means to a manager without
 * IPv6. */
static bool is_every_ipv4(const struct dx_address *a, const struct dx_address *wanted)
{
    return is_wildcard(wanted) && a->u.sa.sa_family == AF_INET && a->u.in4.sin_addr.s_addr == INADDR_ANY &&
           dx_address_port(a) == dx_address_port(wanted);
}

int activation_find(const struct activation *a, const struct dx_address *wanted)
{
    if (!a || (!dx_address_is_unix(wanted) && dx_address_port(wanted) == 0))
        return -1; /* any port will do: one of our own */
    for (size_t i = 0; i < a->n; i++)
        if (dx_address_eq(&a->at[i].address, wanted))
            return a->at[i].fd;
    for (size_t i = 0; i < a->n; i++)
        if (is_every_ipv4(&a->at[i].address, wanted))
            return a->at[i].fd;
    return -1;
}

static bool is_used(const struct given *g, const struct plan *p)
{
    for (size_t i = 0; i < p->listeners_n; i++)
        if (p->listeners[i]->given && p->listeners[i]->fds[0] == g->fd)
            return true;
    return false;
}

void activation_tell(const struct activation *a, const struct plan *p)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct given *g = &a->at[i];
        if (is_used(g, p))
            dx_log(DX_LOG_DEBUG, "listen_given", DX_KS("address", g->shown), DX_KS("name", g->name));
        else
            dx_log(DX_LOG_WARN, "listen_unused", DX_KS("address", g->shown), DX_KS("name", g->name),
                   DX_KS("why", "the service manager gave this socket, and no address in `listen` is its: "
                                "nobody answers who connects there"),
                   DX_KS("fix", "name the address in `listen`, or take it out of the .socket unit"));
    }
}
