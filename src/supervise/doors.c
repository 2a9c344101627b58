/* SPDX-License-Identifier: MIT */
/*
 * The doors of the admin endpoints: where they are, and how a reload changes them. What the next plan asks
 * for is opened while the reload can still be refused, and put in use when it is in force; those who come in
 * by a door that goes are still answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "supervise/control.h"

#define DIRECTORY_MODE 0700
#define SOCKET_MODE    0600
#define METRICS_MODE   0666 /* of a Unix socket, as on an address: for everybody who reaches it */

/* Only the last directory of the path is made. One that belongs to a stranger could be emptied and filled by
 * him. */
static bool make_directory(const char *path, struct dx_err *err)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return true;
    char *directory = dx_slice_dup(dx_slice_of(path, (size_t)(slash - path)));
    bool ok = false;
    if (!directory)
        return dx_err_set(err, "out of memory");
    if (mkdir(directory, DIRECTORY_MODE) != 0 && errno != EEXIST)
        dx_err_sys(err, "cannot make the directory %s", directory);
    else if (stat(directory, &st) != 0)
        dx_err_sys(err, "cannot look at the directory %s", directory);
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        dx_err_set(err, "the directory %s belongs to somebody else", directory);
    else
        ok = true;
    free(directory);
    return ok;
}

static bool open_socket(const char *path, int *fd, struct dx_err *err)
{
    struct dx_address address;
    struct dx_text text;
    dx_text_init(&text);
    dx_text_addf(&text, "unix:%s", path);
    bool ok = dx_address_parse(dx_slice_of(text.p, text.n), false, &address);
    dx_text_fini(&text);
    if (!ok)
        return dx_err_set(err, "the path is too long for a socket: %s", path);
    mode_t before = umask(0177);
    ok = dx_listen_open(&address, false, SOCKET_MODE, fd, err);
    int error = errno;
    umask(before);
    if (!ok && error == EADDRINUSE)
        return dx_err_set(err, "another diplex is running and answers on %s", path);
    return ok;
}

/* The wildcard of both families is IPv4's where there is no IPv6. */
static bool open_listener(const struct dx_listen_config *l, const char *what, int *fd, struct dx_err *err)
{
    struct dx_address address = l->address;
    bool ok = dx_listen_open(&address, false, METRICS_MODE, fd, err);
    if (!ok && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) && l->text[0] == ':') {
        if (!dx_address_from_ip(DX_SLICE("0.0.0.0"), dx_address_port(&l->address), &address))
            DX_NEVER("0.0.0.0 is an address");
        ok = dx_listen_open(&address, false, METRICS_MODE, fd, err);
    }
    if (ok)
        return true;
    bool in_use = errno == EADDRINUSE;
    return dx_err_set(err, "cannot listen on %s for %s: %s%s%s%s", l->text, what, strerror(errno),
                      in_use ? " (is another server running there? set \"" : "", in_use ? what : "",
                      in_use ? ".listen\")" : "");
}

/* ---- what a plan asks for ---- */

/* NULL: this door is not wanted. */
static const char *wanted(const struct plan *p, unsigned which)
{
    if (!p)
        return NULL;
    return which == DOOR_SOCKET ? p->config->admin.socket
           : which == DOOR_TCP  ? p->config->admin.listen.text
                                : p->config->metrics.listen.text;
}

/* The socket's file, where the door has one. */
static const char *file_of(const char *text, unsigned which)
{
    if (which == DOOR_SOCKET)
        return text;
    return strncmp(text, "unix:/", 6) == 0 ? text + 5 : NULL;
}

static bool same_text(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static bool open_one(const struct plan *p, unsigned which, int *fd, struct dx_err *err)
{
    struct dx_err why = {{0}};
    const char *path = p->config->admin.socket;
    if (which == DOOR_TCP)
        return open_listener(&p->config->admin.listen, "admin", fd, err);
    if (which == DOOR_METRICS)
        return open_listener(&p->config->metrics.listen, "metrics", fd, err);
    if (make_directory(path, &why) && open_socket(path, fd, &why))
        return true;
    return dx_err_set(err, "cannot open the admin socket: %s (set \"admin\" to another path, or to off)",
                      why.text);
}

/* The door of the program before us, if it is the same. */
static bool inherit(const struct heritage *left, unsigned which, const char *text, int *fd)
{
    struct dx_slice rest = {NULL, 0}, line;
    while (left->bytes && heritage_next(left, "door", &rest, &line)) {
        unsigned door = (unsigned)heritage_number(&line);
        int number = heritage_fd(&line);
        if (door == which && dx_slice_eq(line, dx_slice_str(text)))
            *fd = number;
    }
    return *fd >= 0;
}

bool doors_prepare(const struct control *c, struct plan *p, struct dx_err *err)
{
    for (unsigned i = 0; i < DOORS; i++) {
        const char *text = wanted(p, i);
        if (text && !same_text(text, c->doors[i].text) && !inherit(&c->heritage, i, text, &p->door_fds[i]) &&
            !open_one(p, i, &p->door_fds[i], err))
            return false;
    }
    return true;
}

void doors_forget(struct plan *p)
{
    for (unsigned i = 0; i < DOORS; i++) {
        const char *file = p->door_fds[i] >= 0 ? file_of(wanted(p, i), i) : NULL;
        if (file)
            unlink(file);
        dx_fd_close(&p->door_fds[i]);
    }
}

/* ---- putting it in use ---- */

static void close_one(struct door *d, unsigned which)
{
    dx_admin_shut(&d->door);
    if (d->fd >= 0 && file_of(d->text, which))
        unlink(file_of(d->text, which));
    dx_fd_close(&d->fd);
    free(d->text);
    d->text = NULL;
    d->shown[0] = '\0';
}

/* With the port that the kernel chose, if it was to choose. */
static void show(struct door *d)
{
    struct dx_address a = {.len = sizeof a.u};
    snprintf(d->shown, sizeof d->shown, "%s", d->text);
    if (getsockname(d->fd, &a.u.sa, &a.len) == 0 && !dx_address_is_unix(&a) && strlen(d->text) > 2 &&
        strcmp(d->text + strlen(d->text) - 2, ":0") == 0)
        (void)dx_address_text(&a, d->shown, sizeof d->shown);
}

/* On a copy of the listening socket, so that the next door may stand on the same one. */
static bool put_in_use(struct control *c, const struct plan *p, unsigned which, struct dx_err *err)
{
    struct door *d = &c->doors[which];
    struct dx_admin_door_setup s = {.listener = fcntl(d->fd, F_DUPFD_CLOEXEC, 0)};
    if (s.listener < 0)
        return dx_err_sys(err, "cannot open the admin endpoints on %s", d->text);
    if (which == DOOR_TCP) {
        s.is_tcp = true;
        s.token = p->config->admin.token;
        s.read_open = p->config->admin.read == DX_ADMIN_READ_OPEN;
        s.hosts = p->config->admin.hosts.at;
        s.hosts_n = p->config->admin.hosts.n;
    } else if (which == DOOR_METRICS) {
        s.is_tcp = true; /* strangers, on a Unix socket too */
        s.only = "/metrics";
    }
    struct dx_admin_door *old = d->door;
    d->door = dx_admin_open(c->admin, &s, err);
    dx_admin_shut(&old);
    return d->door != NULL;
}

static bool same_names(const struct dx_names *a, const struct dx_names *b)
{
    bool same = a->n == b->n;
    for (unsigned i = 0; same && i < a->n; i++)
        same = strcmp(a->at[i], b->at[i]) == 0;
    return same;
}

static bool same_trust(const struct plan *a, const struct plan *b)
{
    return a && a->config->admin.read == b->config->admin.read &&
           same_text(a->config->admin.token, b->config->admin.token) &&
           same_names(&a->config->admin.hosts, &b->config->admin.hosts);
}

bool doors_use(struct control *c, struct plan *p, const struct plan *old, struct dx_err *err)
{
    bool all = true;
    for (unsigned i = 0; i < DOORS; i++) {
        struct door *d = &c->doors[i];
        const char *text = wanted(p, i);
        bool moved = !same_text(text, d->text);
        if (moved)
            close_one(d, i);
        if (moved && text) {
            d->text = dx_slice_dup(dx_slice_str(text));
            d->fd = p->door_fds[i];
            p->door_fds[i] = -1;
            if (!d->text) {
                dx_fd_close(&d->fd);
                all = dx_err_set(err, "out of memory");
                continue;
            }
            show(d);
        }
        if (text && (moved || (i == DOOR_TCP && !same_trust(old, p))))
            all = put_in_use(c, p, i, err) && all;
    }
    return all;
}

bool doors_open(struct control *c, struct dx_err *err)
{
    struct dx_admin_owner owner;
    c->admin = dx_admin_new(c->loop, door_owner(c, &owner));
    if (!c->admin)
        return dx_err_set(err, "out of memory");
    return doors_prepare(c, c->now, err) && doors_use(c, c->now, NULL, err);
}

void doors_close(struct control *c)
{
    for (unsigned i = 0; i < DOORS; i++)
        close_one(&c->doors[i], i);
    dx_admin_free(&c->admin);
    free(c->listen_shown);
    c->listen_shown = NULL;
    free(c->leaving_shown);
    c->leaving_shown = NULL;
}
