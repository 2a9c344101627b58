/* SPDX-License-Identifier: MIT */
/*
 * The pools of a plan on the board. A pool is known by its name: its place, its servers' verdicts and
 * counters stay over reloads. One whose kind changes starts anew, with new servers in its place.
 */
#include <stdlib.h>

#include "supervise/control.h"

static struct watched *find_name(const struct plan *p, const char *name)
{
    for (unsigned i = 0; p && i < p->config->pools_n; i++)
        if (strcmp(p->pools[i].pool.name, name) == 0)
            return &p->pools[i];
    return NULL;
}

static void forget(struct control *c, uint32_t board)
{
    dx_health_forget_pool(c->health, board);
    dx_resolver_forget_pool(c->resolver, board);
}

static bool watch(struct control *c, struct watched *w, uint64_t interval_ms, struct dx_err *err)
{
    const struct watched *before = find_name(c->on_board, w->pool.name);
    w->board = dx_board_pool_find(c->board, w->pool.name);
    if (w->board == DX_BOARD_NONE)
        w->board = dx_board_pool_add(c->board, w->pool.name);
    if (w->board == DX_BOARD_NONE)
        return dx_err_set(err, "too many pools: there is room for %u", DX_BOARD_POOLS);
    if (before && before->pool.kind != w->pool.kind) {
        forget(c, w->board);
        if (!dx_board_pool_write(c->board, w->board, NULL, 0))
            DX_NEVER("an empty list fits");
    }
    if (!dx_resolver_watch_pool(c->resolver, w->board, &w->pool, interval_ms))
        return dx_err_set(
            err, "no room for the servers of pool \"%s\": there is room for %u in all and %u in one pool",
            w->pool.name, DX_BOARD_SERVERS, DX_BOARD_POOL_SERVERS);
    if (w->pool.health.enabled && !dx_fetcher_load(c->fetcher, err))
        return false;
    dx_health_watch_pool(c->health, w->board, &w->pool);
    return true;
}

bool pools_watch(struct control *c, struct plan *p, struct dx_err *err)
{
    dx_health_hint_every(c->health, p->config->hints);
    for (unsigned i = 0; i < p->config->pools_n; i++)
        if (!watch(c, &p->pools[i], p->config->resolve, err))
            return false;
    routes_watch(c, p);
    c->on_board = p;
    return true;
}

void pools_forget(struct control *c, const struct plan *gone, const struct plan *kept)
{
    for (unsigned i = 0; i < gone->config->pools_n; i++) {
        const struct watched *w = &gone->pools[i];
        if (w->board == DX_BOARD_NONE || find_name(kept, w->pool.name))
            continue;
        forget(c, w->board);
        dx_board_pool_remove(c->board, w->board);
    }
    routes_forget(c, gone, kept);
}

static void inherit_order(struct control *c, uint32_t board, struct dx_slice order)
{
    struct dx_address address = {.len = 0};
    bool drained = heritage_number(&order) != 0;
    size_t n = dx_slice_find(order, ' ');
    bool all = n == 1 && order.p[0] == '-';
    char *name = n < order.n ? dx_slice_dup(dx_slice_of(order.p + n + 1, order.n - n - 1)) : NULL;
    bool ok = name && (all || dx_address_parse(dx_slice_of(order.p, n), false, &address));
    if (!ok || !dx_health_drain(c->health, board, name, all ? NULL : &address, drained))
        dx_log(DX_LOG_ERROR, "drain_lost", DX_KL("server", order));
    free(name);
}

void pools_inherit(struct control *c, struct dx_slice line)
{
    uint32_t hold = (uint32_t)heritage_number(&line);
    struct dx_slice rest = line;
    rest.n = dx_slice_find(line, '\t');
    char *name = dx_slice_dup(rest);
    uint32_t board = name ? dx_board_pool_find(c->board, name) : DX_BOARD_NONE;
    free(name);
    if (board == DX_BOARD_NONE || hold > DX_HOLD_ALL)
        return;
    dx_board_pool_hold_set(c->board, board, (enum dx_board_hold)hold);
    while (rest.n < line.n) {
        line = dx_slice_of(line.p + rest.n + 1, line.n - rest.n - 1);
        rest = dx_slice_of(line.p, dx_slice_find(line, '\t'));
        inherit_order(c, board, rest);
    }
}

void pools_settle(struct control *c)
{
    for (unsigned i = 0; i < c->on_board->config->pools_n; i++)
        dx_health_settle(c->health, c->on_board->pools[i].board);
}

void pools_on_change(void *control, uint32_t board_pool)
{
    struct control *c = control;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    for (unsigned i = 0; c->on_board && i < c->on_board->config->pools_n; i++)
        if (c->on_board->pools[i].board == board_pool)
            dx_health_watch_pool(c->health, board_pool, &c->on_board->pools[i].pool);
}

static uint64_t failures_of(struct control *c, uint32_t board, struct dx_board_server *servers)
{
    uint64_t sum = 0;
    uint32_t version;
    size_t n = dx_board_pool_read(c->board, board, servers, &version);
    for (size_t i = 0; i < n; i++) {
        struct dx_board_cell cell = dx_board_cell_sum(c->board, servers[i].id);
        sum += cell.connect_failures + cell.resets;
    }
    return sum;
}

void pools_news(struct control *c)
{
    dx_health_news(c->health);
    struct dx_board_server *servers = calloc(DX_BOARD_POOL_SERVERS, sizeof *servers);
    for (unsigned i = 0; servers && c->on_board && i < c->on_board->config->pools_n; i++) {
        struct watched *w = &c->on_board->pools[i];
        uint64_t failures = failures_of(c, w->board, servers);
        /* Any change: the sum falls when a server leaves the board. */
        if (failures != w->failures)
            dx_resolver_hurry(c->resolver, w->board);
        w->failures = failures;
    }
    free(servers);
}
