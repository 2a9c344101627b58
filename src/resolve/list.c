/* SPDX-License-Identifier: MIT */
/* A pool's list of servers: each entry of the configuration, with a name replaced by the addresses behind it.
 * Servers that stay keep their place. */
#include "resolve/watched.h"

#include <stdio.h>

static void list_add(struct dx_resolver *r, size_t *n, const struct dx_server_config *config,
                     const struct dx_address *address)
{
    if ((*n)++ >= DX_BOARD_POOL_SERVERS)
        return;
    struct dx_board_server *s = &r->list[*n - 1];
    *s = (struct dx_board_server){
        .id = DX_BOARD_NONE, .address = *address, .weight = config->weight, .backup = config->backup};
    (void)snprintf(s->name, sizeof s->name, "%s", config->text);
}

/* Returns how many there are, even if they are more than there is room for. */
static size_t list_make(struct dx_resolver *r, const struct dx_pool_config *config, struct name *const *names)
{
    size_t n = 0;
    for (size_t i = 0; i < config->servers_n; i++) {
        const struct dx_server_config *server = &config->servers[i];
        if (!names[i])
            list_add(r, &n, server, &server->address);
        for (size_t k = 0; names[i] && k < names[i]->n; k++)
            list_add(r, &n, server, &names[i]->addresses[k]);
    }
    return n;
}

/* Servers that were there keep their places; each old place is given once. */
static void list_keep_places(struct dx_resolver *r, size_t n, size_t old_n)
{
    bool taken[DX_BOARD_POOL_SERVERS] = {false};
    for (size_t i = 0; i < n; i++) {
        struct dx_board_server *s = &r->list[i];
        for (size_t k = 0; k < old_n; k++) {
            const struct dx_board_server *o = &r->old[k];
            if (taken[k] || strcmp(s->name, o->name) != 0 || !dx_address_eq(&s->address, &o->address))
                continue;
            s->id = o->id;
            s->generation = o->generation;
            taken[k] = true;
            break;
        }
    }
}

static bool list_is_old(const struct dx_resolver *r, size_t n, size_t old_n)
{
    for (size_t i = 0; i < n && n == old_n; i++) {
        const struct dx_board_server *s = &r->list[i], *o = &r->old[i];
        if (s->id != o->id || s->weight != o->weight || s->backup != o->backup)
            return false;
    }
    return n == old_n;
}

enum written list_write(struct dx_resolver *r, uint32_t board_pool, const struct dx_pool_config *config,
                        struct name *const *names)
{
    size_t n = list_make(r, config, names);
    if (n > DX_BOARD_POOL_SERVERS)
        return FULL;
    size_t old_n = dx_board_pool_read(r->board, board_pool, r->old, NULL);
    list_keep_places(r, n, old_n);
    if (list_is_old(r, n, old_n))
        return SAME;
    return dx_board_pool_write(r->board, board_pool, r->list, n) ? CHANGED : FULL;
}
