/* SPDX-License-Identifier: MIT */
/*
 * The admin endpoints: doors are opened and shut here, and let guests in. What is answered is a row of
 * paths.def; how guests speak is in guests.c. For the operator's own commands and tools, never for clients.
 */
#include "diplex/admin.h"

#include <errno.h>
#include <stdlib.h>

#include "admin/guests.h"
#include "diplex/os/fd.h"

#define GUESTS_MOST 32  /* of one door */
#define ACCEPT_MOST 8   /* in one turn */
#define PAUSE_MS    200 /* out of descriptors */

/* ---- what says that it is well ---- */

void admin_facts(struct dx_admin *a, struct dx_admin_facts *out)
{
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    *out = (struct dx_admin_facts){0};
    a->owner.facts(a->owner.arg, out);
}

const struct dx_admin_owner *admin_owner(const struct dx_admin *a)
{
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    return &a->owner;
}

void answer_healthz(struct dx_admin *a, struct dx_admin_reply *r)
{
    struct dx_admin_facts facts;
    admin_facts(a, &facts);
    if (facts.ready)
        reply_send(r, 200, TYPE_TEXT, DX_SLICE("ok\n"));
    else
        reply_send(r, 503, TYPE_TEXT, DX_SLICE("not ready\n"));
}

/* ---- doors ---- */

static void on_pause_end(struct dx_timer *t)
{
    struct dx_admin_door *door = DX_CONTAINER(t, struct dx_admin_door, pause);
    if (!dx_watch_start_level(door->admin->loop, &door->watch, door->fd))
        dx_timer_set(door->admin->loop, t, PAUSE_MS);
}

static void on_knock(struct dx_watch *w, unsigned what)
{
    struct dx_admin_door *door = DX_CONTAINER(w, struct dx_admin_door, watch);
    struct dx_address peer;
    (void)what;
    DX_MAGIC_OK(door, DOOR_MAGIC);
    for (unsigned i = 0; i < ACCEPT_MOST; i++) {
        int fd = dx_listen_accept(door->fd, &peer);
        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
                return;
            dx_watch_stop(&door->watch); /* it would be readable for ever */
            dx_timer_set(door->admin->loop, &door->pause, PAUSE_MS);
            return;
        }
        if (door->guests_n < GUESTS_MOST || guest_make_room(door))
            guest_start(door, fd, &peer);
        else
            dx_fd_close(&fd);
    }
}

static bool copy(char **to, const char *from)
{
    *to = from ? dx_slice_dup(dx_slice_str(from)) : NULL;
    return *to || !from;
}

static bool copy_setup(struct dx_admin_door *door, const struct dx_admin_door_setup *s)
{
    door->is_tcp = s->is_tcp;
    door->read_open = s->read_open;
    if (!copy(&door->token, s->token) || !copy(&door->only, s->only))
        return false;
    door->hosts = calloc(s->hosts_n ? s->hosts_n : 1, sizeof *door->hosts);
    for (; door->hosts && door->hosts_n < s->hosts_n; door->hosts_n++)
        if (!copy(&door->hosts[door->hosts_n], s->hosts[door->hosts_n]))
            return false;
    return door->hosts != NULL;
}

struct dx_admin_door *dx_admin_open(struct dx_admin *a, const struct dx_admin_door_setup *s,
                                    struct dx_err *err)
{
    int fd = s->listener;
    struct dx_admin_door *door = calloc(1, sizeof *door);
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    if (!door) {
        dx_fd_close(&fd);
        dx_err_set(err, "out of memory");
        return NULL;
    }
    DX_MAGIC_SET(door, DOOR_MAGIC);
    door->admin = a;
    door->fd = fd;
    door->watch.on_event = on_knock;
    door->pause.on_due = on_pause_end;
    dx_list_push_tail(&a->doors, &door->link);
    if (copy_setup(door, s) && dx_watch_start_level(a->loop, &door->watch, fd))
        return door;
    dx_err_set(err, "out of memory");
    dx_admin_shut(&door);
    return NULL;
}

void dx_admin_shut(struct dx_admin_door **doorp)
{
    struct dx_admin_door *door = *doorp;
    if (!door)
        return;
    *doorp = NULL;
    DX_MAGIC_OK(door, DOOR_MAGIC);
    DX_LIST_FOR_SAFE (link, &door->admin->guests) {
        struct guest *g = DX_CONTAINER(link, struct guest, link);
        if (g->door != door)
            continue;
        if (g->state == GUEST_READS || g->state == GUEST_BODY) /* nothing was done for it yet */
            guest_end(g);
        else
            g->door = NULL;
    }
    dx_watch_stop(&door->watch);
    dx_timer_clear(&door->pause);
    dx_fd_close(&door->fd);
    dx_list_remove(&door->link);
    if (door->token)
        explicit_bzero(door->token, strlen(door->token));
    free(door->token);
    free(door->only);
    for (size_t i = 0; i < door->hosts_n; i++)
        free(door->hosts[i]);
    free(door->hosts);
    DX_MAGIC_CLEAR(door);
    free(door);
}

/* ---- life ---- */

struct dx_admin *dx_admin_new(struct dx_loop *l, const struct dx_admin_owner *owner)
{
    struct dx_admin *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    DX_MAGIC_SET(a, ADMIN_MAGIC);
    a->loop = l;
    a->owner = *owner;
    dx_list_init(&a->doors);
    dx_list_init(&a->guests);
    dx_list_init(&a->replies);
    return a;
}

void dx_admin_free(struct dx_admin **admin)
{
    struct dx_admin *a = *admin;
    if (!a)
        return;
    *admin = NULL;
    DX_MAGIC_OK(a, ADMIN_MAGIC);
    DX_LIST_FOR_SAFE (link, &a->doors) {
        struct dx_admin_door *door = DX_CONTAINER(link, struct dx_admin_door, link);
        dx_admin_shut(&door);
    }
    DX_LIST_FOR_SAFE (link, &a->replies)
        reply_send(DX_CONTAINER(link, struct dx_admin_reply, link), 503, TYPE_TEXT,
                   DX_SLICE("diplex is stopping\n"));
    DX_LIST_FOR_SAFE (link, &a->guests)
        guest_end(DX_CONTAINER(link, struct guest, link));
    DX_MAGIC_CLEAR(a);
    free(a);
}
