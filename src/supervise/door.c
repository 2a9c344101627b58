/* SPDX-License-Identifier: MIT */
/* The admin socket: where it is, who may open it, and what is told there. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/net.h"
#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "supervise/control.h"

#define DIRECTORY_MODE 0700
#define SOCKET_MODE    0600

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

static void tell(void *arg, struct dx_admin_facts *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    bool ready = c->data_ready && !c->stopping;
    size_t n = c->stopping ? 0 : c->now->listeners_n;
    const char **listen = realloc(c->listen_shown, (n ? n : 1) * sizeof *listen);
    if (listen)
        c->listen_shown = listen;
    else
        n = 0;
    for (size_t i = 0; i < n; i++)
        listen[i] = c->now->listeners[i]->shown;
    *out = (struct dx_admin_facts){
        .ready = ready,
        .state = c->stopping     ? "stopping"
                 : ready         ? "ready"
                 : c->ever_ready ? "restarting"
                                 : "starting",
        .file = c->now->source.name,
        .control_pid = getpid(),
        .data_pid = c->data,
        .uptime_ms = (dx_clock_us() - c->started_us) / 1000,
        .generation = c->now->generation,
        .workers = c->workers,
        .reloads = c->reloads,
        .sandbox = c->sandbox_text[0] ? c->sandbox_text : NULL,
        .listen = listen,
        .listen_n = n,
        .config = c->now->config,
        .board = c->board,
        .health = c->health,
    };
}

static void reload(void *arg, struct dx_admin_reply *reply)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    reload_ask(c, reply);
}

static bool drain(void *arg, enum dx_admin_drain what, struct dx_slice server, struct dx_text *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    return drain_server(c, what, server, out);
}

static bool hold(void *arg, enum dx_board_hold what, struct dx_slice pool, struct dx_text *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    return hold_pool(c, what, pool, out);
}

bool door_open(struct control *c, struct dx_err *err)
{
    struct dx_err why = {{0}};
    const struct dx_admin_owner owner = {
        .facts = tell, .reload = reload, .drain = drain, .hold = hold, .history = history_tell, .arg = c};
    int fd = -1;
    if (!c->admin_path)
        return true;
    if (!make_directory(c->admin_path, &why) || !open_socket(c->admin_path, &fd, &why))
        return dx_err_set(err, "cannot open the admin socket: %s (set \"admin\" to another path, or to off)",
                          why.text);
    c->admin = dx_admin_new(c->loop, &owner);
    if (!c->admin)
        dx_fd_close(&fd);
    if (c->admin && dx_admin_open(c->admin, &(struct dx_admin_door_setup){.listener = fd}, err))
        return true;
    unlink(c->admin_path);
    return dx_err_set(err, "cannot open the admin socket: out of memory");
}

void door_close(struct control *c)
{
    if (c->admin)
        unlink(c->admin_path);
    dx_admin_free(&c->admin);
    free(c->listen_shown);
    c->listen_shown = NULL;
}
