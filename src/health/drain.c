/* SPDX-License-Identifier: MIT */
/*
 * What operators order of servers by hand. Orders are kept by name and address and not with the watched
 * servers, which come and go with lookups: a server that is found again, or found anew behind a drained name,
 * is drained.
 */
#include <stdlib.h>

#include "health/watched.h"

/* Names on the board are cut to its length. */
static bool same_name(const char *a, const char *b) { return strncmp(a, b, DX_BOARD_NAME - 1) == 0; }

static bool is_about(const struct order *o, const char *name, const struct dx_address *address)
{
    if (!same_name(o->name, name) || (o->address.len == 0) != (address == NULL))
        return false;
    return !address || dx_address_eq(&o->address, address);
}

static struct order *find(const struct watched_pool *pool, const char *name, const struct dx_address *address)
{
    for (size_t i = 0; i < pool->orders_n; i++) {
        if (is_about(&pool->orders[i], name, address))
            return &pool->orders[i];
    }
    return NULL;
}

/* An order about the address goes before one about the name. */
bool health_is_drained(const struct watched_pool *pool, const struct dx_board_server *server)
{
    const struct order *o = find(pool, server->name, &server->address);
    if (!o)
        o = find(pool, server->name, NULL);
    return o && o->drained;
}

static void drop(struct watched_pool *pool, struct order *o)
{
    if (o)
        *o = pool->orders[--pool->orders_n];
}

static void drop_name(struct watched_pool *pool, const char *name)
{
    for (size_t i = pool->orders_n; i-- > 0;) {
        if (same_name(pool->orders[i].name, name))
            drop(pool, &pool->orders[i]);
    }
}

static bool note(struct watched_pool *pool, const char *name, const struct dx_address *address, bool drained)
{
    struct order *orders = realloc(pool->orders, (pool->orders_n + 1) * sizeof *orders);
    if (!orders)
        return false;
    pool->orders = orders;
    struct order *o = &orders[pool->orders_n++];
    *o = (struct order){.drained = drained};
    memcpy(o->name, name, strnlen(name, sizeof o->name - 1));
    if (address)
        o->address = *address;
    return true;
}

bool dx_health_drain(struct dx_health *h, uint32_t board_pool, const char *name,
                     const struct dx_address *address, bool drained)
{
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct watched_pool *pool = h->pools[board_pool];
    if (!pool)
        return false;
    if (address)
        drop(pool, find(pool, name, address));
    else
        drop_name(pool, name);
    bool needed = drained || (address && find(pool, name, NULL));
    if (needed && !note(pool, name, address, drained))
        return false;
    for (size_t i = 0; i < pool->n; i++) {
        pool->servers[i]->drained = health_is_drained(pool, &pool->servers[i]->server);
        health_show(pool->servers[i]);
    }
    for (size_t i = 0; i < pool->n; i++) /* with fewer servers left, an ejected one may be wanted again */
        health_look(pool->servers[i]);
    return true;
}

void dx_health_orders(const struct dx_health *h, uint32_t board_pool,
                      void (*each)(void *arg, const char *name, const struct dx_address *address,
                                   bool drained),
                      void *arg)
{
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    const struct watched_pool *pool = h->pools[board_pool];
    for (size_t i = 0; pool && i < pool->orders_n; i++) {
        const struct order *o = &pool->orders[i];
        each(arg, o->name, o->address.len ? &o->address : NULL, o->drained);
    }
}

static bool is_configured(const struct dx_pool_config *config, const char *name)
{
    for (unsigned i = 0; i < config->servers_n; i++) {
        if (same_name(config->servers[i].text, name))
            return true;
    }
    return false;
}

void dx_health_settle(struct dx_health *h, uint32_t board_pool)
{
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct watched_pool *pool = h->pools[board_pool];
    for (size_t i = pool ? pool->orders_n : 0; i-- > 0;) {
        if (!is_configured(pool->config, pool->orders[i].name))
            drop(pool, &pool->orders[i]);
    }
}
