/* SPDX-License-Identifier: MIT */
/*
 * The routes of a plan on the board: each has a place where its requests are counted, as long as some plan
 * has a route of that host, prefix and pool. Of a long table only the first have places of their own.
 */
#include "diplex/board/routes.h"
#include "supervise/control.h"

static size_t keys_of(const struct plan *p, uint64_t keys[DX_BOARD_ROUTES_EACH])
{
    const struct dx_config *c = p->config;
    size_t n = c->routes_n < DX_BOARD_ROUTES_EACH ? c->routes_n : DX_BOARD_ROUTES_EACH;
    for (size_t i = 0; i < n; i++)
        keys[i] = dx_board_route_key(c->routes[i].host, c->routes[i].path, c->pools[c->routes[i].pool].name);
    return n;
}

void routes_watch(struct control *c, const struct plan *p)
{
    uint64_t keys[DX_BOARD_ROUTES_EACH];
    size_t n = keys_of(p, keys);
    for (size_t i = 0; i < n; i++)
        if (dx_board_route_add(c->board, keys[i], p->pools[p->config->routes[i].pool].board) == DX_BOARD_NONE)
            DX_NEVER("there is room for two plans");
}

void routes_forget(struct control *c, const struct plan *gone, const struct plan *kept)
{
    uint64_t old[DX_BOARD_ROUTES_EACH], stay[DX_BOARD_ROUTES_EACH];
    size_t old_n = keys_of(gone, old), stay_n = keys_of(kept, stay);
    for (size_t i = 0; i < old_n; i++) {
        size_t k = 0;
        while (k < stay_n && stay[k] != old[i])
            k++;
        if (k == stay_n)
            dx_board_route_remove(c->board, old[i]);
    }
}
