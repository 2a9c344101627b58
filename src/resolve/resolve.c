/* SPDX-License-Identifier: MIT */
/* When names are looked up and whose lists change by it. What a name knows is in name.c, how it becomes a
 * list in list.c, how it is asked in lookup.c. */
#include "diplex/resolve.h"

#include <stdlib.h>

#include "diplex/base/log.h"
#include "resolve/watched.h"

#define RESOLVER_MAGIC 0x4e501001u
#define RESOLV_CONF    "/etc/resolv.conf"
#define HOSTS          "/etc/hosts"
#define HURRY_MS       1000u /* the least time between two lookups, and the wait for a name without address */

static void pool_write(struct watched_pool *pool)
{
    enum written how = list_write(pool->resolver, pool->board_pool, pool->config, pool->names);
    if (how == FULL && !pool->told_full)
        dx_log(DX_LOG_ERROR, "board_full", DX_KS("pool", pool->config->name),
               DX_KI("pool_max", DX_BOARD_POOL_SERVERS), DX_KI("board_max", DX_BOARD_SERVERS));
    pool->told_full = how == FULL;
    if (how == CHANGED)
        pool->resolver->on_change(pool->resolver->arg, pool->board_pool);
}

/* The pool waits its interval, or less while one of its names has no address. */
static void pool_arm(struct watched_pool *pool)
{
    uint64_t ms = pool->interval_ms;
    bool any = false, empty = false;
    for (size_t i = 0; i < pool->n; i++) {
        any |= pool->names[i] != NULL;
        empty |= pool->names[i] && pool->names[i]->n == 0;
    }
    if (any)
        dx_timer_set(pool->resolver->loop, &pool->timer, empty && ms > HURRY_MS ? HURRY_MS : ms);
}

static void on_looked_up(void *arg, const struct lookup_result *r)
{
    struct name *name = arg;
    struct watched_pool *pool = name->pool;
    name->lookup = NULL;
    name_answered(name, r);
    pool_write(pool);
}

static void pool_ask(struct watched_pool *pool)
{
    struct dx_resolver *r = pool->resolver;
    pool->asked_ms = dx_loop_refresh_us(r->loop) / 1000;
    for (size_t i = 0; i < pool->n; i++) {
        struct name *name = pool->names[i];
        if (name && !name->lookup)
            name->lookup =
                lookup_start(r->lookups, name->config->host, name->config->port, on_looked_up, name);
    }
    pool_arm(pool);
}

static void on_time(struct dx_timer *t) { pool_ask(DX_CONTAINER(t, struct watched_pool, timer)); }

/* --- pools --- */

static struct watched_pool *pool_of(struct dx_resolver *r, uint32_t board_pool)
{
    struct watched_pool *pool = r->pools[board_pool];
    if (pool)
        return pool;
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->resolver = r;
    pool->board_pool = board_pool;
    pool->timer.on_due = on_time;
    r->pools[board_pool] = pool;
    return pool;
}

bool dx_resolver_watch_pool(struct dx_resolver *r, uint32_t board_pool, const struct dx_pool_config *config,
                            uint64_t interval_ms)
{
    DX_MAGIC_OK(r, RESOLVER_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS && interval_ms > 0);
    struct watched_pool *pool = pool_of(r, board_pool);
    struct name **names = pool ? names_new(config, pool) : NULL;
    if (!names)
        return false;
    if (list_write(r, board_pool, config, names) == FULL) {
        names_free(names, config->servers_n);
        return false;
    }
    names_free(pool->names, pool->n);
    pool->names = names;
    pool->n = config->servers_n;
    pool->config = config;
    pool->interval_ms = interval_ms;
    pool->told_full = false;
    for (size_t i = 0; i < pool->n; i++) {
        if (names[i])
            names[i]->pool = pool;
    }
    dx_timer_clear(&pool->timer);
    pool_ask(pool);
    return true;
}

void dx_resolver_forget_pool(struct dx_resolver *r, uint32_t board_pool)
{
    DX_MAGIC_OK(r, RESOLVER_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct watched_pool *pool = r->pools[board_pool];
    if (!pool)
        return;
    r->pools[board_pool] = NULL;
    names_free(pool->names, pool->n);
    dx_timer_clear(&pool->timer);
    free(pool);
}

void dx_resolver_hurry(struct dx_resolver *r, uint32_t board_pool)
{
    DX_MAGIC_OK(r, RESOLVER_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct watched_pool *pool = r->pools[board_pool];
    if (!pool || !pool->timer.set || pool->interval_ms <= HURRY_MS)
        return;
    uint64_t ago = dx_loop_now_ms(r->loop) - pool->asked_ms;
    dx_timer_set(r->loop, &pool->timer, ago >= HURRY_MS ? 0 : HURRY_MS - ago);
}

/* --- life --- */

struct dx_resolver *resolver_new_with(struct dx_loop *l, struct dx_board *b,
                                      void (*on_change)(void *arg, uint32_t board_pool), void *arg,
                                      const char *resolv_conf, const char *hosts)
{
    struct dx_resolver *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    DX_MAGIC_SET(r, RESOLVER_MAGIC);
    r->loop = l;
    r->board = b;
    r->on_change = on_change;
    r->arg = arg;
    r->lookups = lookups_new(l, resolv_conf, hosts);
    if (!r->lookups)
        dx_resolver_free(&r);
    return r;
}

struct dx_resolver *dx_resolver_new(struct dx_loop *l, struct dx_board *b,
                                    void (*on_change)(void *arg, uint32_t board_pool), void *arg)
{
    return resolver_new_with(l, b, on_change, arg, RESOLV_CONF, HOSTS);
}

void dx_resolver_free(struct dx_resolver **rp)
{
    struct dx_resolver *r = *rp;
    if (!r)
        return;
    DX_MAGIC_OK(r, RESOLVER_MAGIC);
    *rp = NULL;
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        dx_resolver_forget_pool(r, i);
    lookups_free(&r->lookups);
    DX_MAGIC_CLEAR(r);
    free(r);
}
