/* SPDX-License-Identifier: MIT */
/* When names are looked up and whose lists change by it. What a name knows is in name.c, how it becomes a
 * list in list.c, how it is asked in lookup.c. */
#include "diplex/resolve.h"

#include <stdlib.h>

#include "diplex/base/log.h"
#include "resolve/watched.h"

#define RESOLVER_MAGIC 0x4e501001u
#define HURRY_MS       1000u /* the least time between two lookups when somebody waits for them */

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

/* Names are looked up every interval, and sooner where the answer is waited for: a name has no address or is
 * said to be gone, or none of the pool's servers is usable. */
static bool pool_is_waited_for(const struct watched_pool *pool)
{
    struct dx_resolver *r = pool->resolver;
    for (size_t i = 0; i < pool->n; i++) {
        if (pool->names[i] && !name_is_settled(pool->names[i]))
            return true;
    }
    size_t n = dx_board_pool_read(r->board, pool->board_pool, r->old, NULL);
    for (size_t i = 0; i < n; i++) {
        if (dx_board_server_state(r->board, r->old[i].id) != DX_SERVER_DOWN)
            return false;
    }
    return true;
}

/* How long until the names are to be asked again; 0: now. */
static uint64_t pool_due_ms(const struct watched_pool *pool)
{
    uint64_t wait = pool->interval_ms, ago = dx_loop_now_ms(pool->resolver->loop) - pool->asked_ms;
    if (wait > HURRY_MS && (pool->hurried || pool_is_waited_for(pool)))
        wait = HURRY_MS;
    return wait > ago ? wait - ago : 0;
}

/* No later than in HURRY_MS: whether the servers are usable changes without a word to us. */
static void pool_arm(struct watched_pool *pool)
{
    bool any = false;
    for (size_t i = 0; i < pool->n; i++)
        any |= pool->names[i] != NULL;
    if (!any)
        return;
    uint64_t due = pool_due_ms(pool);
    dx_timer_set(pool->resolver->loop, &pool->timer, due < HURRY_MS ? due : HURRY_MS);
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
    pool->hurried = false;
    for (size_t i = 0; i < pool->n; i++) {
        struct name *name = pool->names[i];
        if (name && !name->lookup)
            name->lookup =
                lookup_start(r->lookups, name->config->host, name->config->port, on_looked_up, name);
    }
    pool_arm(pool);
}

static void on_time(struct dx_timer *t)
{
    struct watched_pool *pool = DX_CONTAINER(t, struct watched_pool, timer);
    lookups_follow(pool->resolver->lookups);
    if (pool_due_ms(pool) == 0)
        pool_ask(pool);
    else
        pool_arm(pool);
}

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
    if (!pool || pool->hurried)
        return;
    pool->hurried = true;
    pool_arm(pool);
}

/* --- life --- */

struct dx_resolver *resolver_new_with(struct dx_loop *l, struct dx_board *b,
                                      void (*on_change)(void *arg, uint32_t board_pool), void *arg,
                                      const struct lookup_sources *from)
{
    struct dx_resolver *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    DX_MAGIC_SET(r, RESOLVER_MAGIC);
    r->loop = l;
    r->board = b;
    r->on_change = on_change;
    r->arg = arg;
    r->lookups = lookups_new(l, from);
    if (!r->lookups)
        dx_resolver_free(&r);
    return r;
}

struct dx_resolver *dx_resolver_new(struct dx_loop *l, struct dx_board *b,
                                    void (*on_change)(void *arg, uint32_t board_pool), void *arg)
{
    static const struct lookup_sources machine = {.resolv_conf = "/etc/resolv.conf", .hosts = "/etc/hosts"};
    return resolver_new_with(l, b, on_change, arg, &machine);
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
