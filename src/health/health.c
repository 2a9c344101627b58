/* SPDX-License-Identifier: MIT */
/*
 * The verdicts' errands: probes go out by timers, the workers' cells are read when workers call, what the
 * rules say is put on the board, and each change is told once (told.c). One watched server per place on the
 * board; it belongs to the pool that was watched last with it.
 */
#include "health/watched.h"

#include <stdio.h>
#include <stdlib.h>

#include "diplex/os/clock.h"
#include "diplex/preamble.h"
#include "diplex/os/process.h"

#define HEALTH_MAGIC 0x4ea17401u
#define DEFAULT_HOST "localhost"
#define HELD_MS      100 /* between probes of a server that requests are held for */

static void arm_probe(struct watched *w, uint64_t ms) { dx_timer_set(w->health->loop, &w->timer, ms); }

/* Requests wait for this server to come back. */
static bool is_waited_for(const struct watched *w)
{
    return w->pool->config->health.enabled && w->verdict.state != DX_SERVER_UP &&
           dx_board_pool_waits(w->health->board, w->pool->board_pool).for_server;
}

static uint64_t delay_of(struct watched *w)
{
    uint64_t ms = verdict_probe_delay_ms(&w->verdict, w->pool->config, dx_random_next(&w->health->random));
    return ms > HELD_MS && is_waited_for(w) ? HELD_MS : ms;
}

static struct verdict_cells cells_of(const struct watched *w)
{
    struct dx_board_cell sum = dx_board_cell_sum(w->health->board, w->server.id);
    return (struct verdict_cells){.active = sum.active,
                                  .responses = sum.responses,
                                  .trouble = sum.connect_failures + sum.resets,
                                  .last_answer_ms = sum.last_answer_ms,
                                  .last_failure_ms = sum.last_failure_ms};
}

static struct verdict_pool around(const struct watched *w)
{
    struct verdict_pool p = {.servers = (unsigned)w->pool->n};
    for (size_t i = 0; i < w->pool->n; i++) {
        const struct watched *other = w->pool->servers[i];
        p.others_up += other != w && other->shown_state == DX_SERVER_UP;
        p.ejected += other->verdict.why == DX_WHY_PASSIVE;
    }
    return p;
}

/* It comes up. Those that a pool begins with have all the same to do; one that comes later, or comes back,
 * finds the others warm. */
static void rise(struct watched *w)
{
    struct watched_pool *pool = w->pool;
    uint64_t now_ms = dx_loop_now_ms(w->health->loop);
    bool late = pool->up_since_ms && now_ms - pool->up_since_ms >= pool->config->slow_start;
    dx_board_server_set_risen(w->health->board, w->server.id, w->was_up || late ? now_ms : 0);
    w->was_up = true;
    if (!pool->up_since_ms)
        pool->up_since_ms = now_ms;
}

static void put_on_board(struct watched *w)
{
    enum dx_server_state state = w->drained ? DX_SERVER_DOWN : w->verdict.state;
    if (state == DX_SERVER_UP && w->shown_state != DX_SERVER_UP)
        rise(w);
    w->shown_state = state;
    w->shown_why = w->drained ? DX_WHY_DRAINED : w->verdict.why;
    dx_board_server_set(w->health->board, w->server.id, w->shown_state, w->shown_why);
}

/* The one door through which a change reaches the board and the log. */
void health_show(struct watched *w)
{
    enum dx_server_state state = w->shown_state;
    enum dx_down_reason why = w->shown_why;
    put_on_board(w);
    if ((w->shown_why == DX_WHY_DRAINED) != (why == DX_WHY_DRAINED))
        health_tell_drained(w);
    else if (w->shown_state != state)
        health_tell_server(w);
    if (w->shown_state != state)
        health_tell_pool(w->pool);
}

/* --- probes --- */

static bool introduces(const struct dx_pool_config *pool)
{
    return pool->client_ip == DX_CLIENT_IP_PROXY_PROTOCOL;
}

static void remember(struct watched *w, const struct dx_fetch_result *r)
{
    bool ok = r->status && verdict_expects(&w->pool->config->health, r->status);
    w->probed_ms = dx_loop_now_ms(w->health->loop);
    w->last_status = r->status;
    w->hint = ok ? DX_HINT_NONE : dx_hint_of_probe(r->status, introduces(w->pool->config));
    if (ok)
        w->last_error[0] = '\0';
    else if (r->status)
        (void)snprintf(w->last_error, sizeof w->last_error, "status %u", r->status);
    else
        (void)snprintf(w->last_error, sizeof w->last_error, "%s", r->error);
}

static void on_probed(void *arg, const struct dx_fetch_result *r)
{
    struct watched *w = arg;
    const struct dx_pool_config *pool = w->pool->config;
    struct verdict_cells cells = cells_of(w);
    w->fetch = NULL;
    if (r->unable) { /* says nothing about the server */
        arm_probe(w, pool->health.interval);
        return;
    }
    remember(w, r);
    struct verdict_probe probe = {.ok = w->last_error[0] == '\0', .timed_out = r->timed_out};
    verdict_probed(&w->verdict, pool, &cells, w->probed_ms, probe, around(w).others_up);
    health_show(w);
    if (w->hint != DX_HINT_NONE)
        health_tell_hint(w);
    arm_probe(w, delay_of(w));
}

const char *health_host(const struct dx_pool_config *pool)
{
    return pool->health.host ? pool->health.host : DEFAULT_HOST;
}

/* What a connection of the pool begins with when it is made for nobody. */
static struct dx_slice preamble_of(const struct dx_pool_config *pool, char buf[DX_PREAMBLE_WRITTEN])
{
    struct dx_out o = dx_out_of(buf, DX_PREAMBLE_WRITTEN);
    if (introduces(pool))
        dx_preamble_write(NULL, NULL, &o);
    return dx_out_slice(&o);
}

static void probe_start(struct watched *w)
{
    const struct dx_health_config *h = &w->pool->config->health;
    char preamble[DX_PREAMBLE_WRITTEN];
    struct dx_fetch_request r = {.address = w->server.address,
                                 .first = preamble_of(w->pool->config, preamble),
                                 .host = health_host(w->pool->config),
                                 .path = h->path,
                                 .timeout_ms = h->timeout,
                                 .on_done = on_probed,
                                 .arg = w};
    w->fetch = dx_fetch_start(w->health->fetcher, &r);
    if (!w->fetch) /* out of memory: as above */
        arm_probe(w, h->interval);
}

/* The timer of a checked server asks for a probe, that of an unchecked one ends its ejection. */
static void on_time(struct dx_timer *t)
{
    struct watched *w = DX_CONTAINER(t, struct watched, timer);
    struct dx_health *h = w->health;
    const struct dx_pool_config *pool = w->pool->config;
    if (!pool->health.enabled) {
        health_look(w);
        return;
    }
    struct verdict_cells cells = cells_of(w);
    if (w->fetch)
        return;
    if (verdict_skips_probe(&w->verdict, pool, &cells, dx_loop_now_ms(h->loop)))
        arm_probe(w, delay_of(w));
    else
        probe_start(w);
}

/* --- passive signs --- */

/* An unchecked server comes back by time, a checked one by a probe, which is asked for at once. */
static void see_to_ejected(struct watched *w, bool since_now)
{
    const struct dx_pool_config *pool = w->pool->config;
    uint64_t gone = dx_loop_now_ms(w->health->loop) - w->verdict.ejected_ms;
    uint64_t away = verdict_away_ms(&w->verdict, pool);
    if (!pool->health.enabled)
        arm_probe(w, gone < away ? away - gone : 1);
    else if (since_now && !w->fetch)
        arm_probe(w, 0);
}

void health_look(struct watched *w)
{
    enum dx_down_reason before = w->verdict.why;
    struct verdict_cells cells = cells_of(w);
    verdict_look(&w->verdict, w->pool->config, &cells, dx_loop_now_ms(w->health->loop), around(w));
    health_show(w);
    if (w->verdict.why != DX_WHY_PASSIVE)
        return;
    w->ejections += before != DX_WHY_PASSIVE;
    see_to_ejected(w, before != DX_WHY_PASSIVE);
}

void dx_health_news(struct dx_health *h)
{
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    for (uint32_t i = 0; i < DX_BOARD_SERVERS; i++) {
        struct watched *w = h->watched[i];
        if (!w)
            continue;
        health_look(w);
        if (is_waited_for(w) && !w->fetch)
            arm_probe(w, HELD_MS);
    }
}

/* --- who is watched --- */

static void watched_free(struct watched *w)
{
    dx_fetch_cancel(&w->fetch);
    dx_timer_clear(&w->timer);
    w->health->watched[w->server.id] = NULL;
    free(w);
}

/* That it is drained is said by an order. */
static void believe(struct watched *w)
{
    enum dx_server_state state = dx_board_server_state(w->health->board, w->server.id);
    enum dx_down_reason why = dx_board_server_why(w->health->board, w->server.id);
    if (state == DX_SERVER_STARTING || why == DX_WHY_DRAINED)
        return;
    verdict_believe(&w->verdict, state, why, dx_loop_now_ms(w->health->loop));
    w->was_up = state == DX_SERVER_UP;
}

void dx_health_believe(struct dx_health *h, bool on)
{
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    h->believing = on;
}

static struct watched *watched_new(struct watched_pool *pool, const struct dx_board_server *server)
{
    struct watched *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->health = pool->health;
    w->pool = pool;
    w->server = *server;
    w->timer.on_due = on_time;
    w->health->watched[server->id] = w;
    struct verdict_cells cells = cells_of(w);
    verdict_init(&w->verdict, pool->config, &cells, dx_loop_now_ms(w->health->loop));
    if (w->health->believing)
        believe(w);
    w->drained = health_is_drained(pool, server);
    put_on_board(w);
    if (pool->config->health.enabled)
        arm_probe(w, 0);
    return w;
}

/* The server goes on under another configuration. A new one passes here too: it is asked once, at once. */
static void reconsider(struct watched *w)
{
    const struct dx_pool_config *config = w->pool->config;
    dx_fetch_cancel(&w->fetch); /* it asked what the old configuration wanted to know */
    dx_timer_clear(&w->timer);
    verdict_adapt(&w->verdict, config);
    health_show(w);
    if (config->health.enabled)
        arm_probe(w, 0);
    else if (w->verdict.why == DX_WHY_PASSIVE)
        see_to_ejected(w, false);
}

static struct watched *take_known(struct watched_pool *pool, const struct dx_board_server *server)
{
    struct watched *w = pool->health->watched[server->id];
    if (!w || w->pool != pool || w->server.generation != server->generation)
        return NULL;
    w->server = *server; /* weight and backup may be others */
    return w;
}

static void drop_missing(struct watched_pool *pool, const struct dx_board_server *list, size_t n)
{
    for (size_t i = 0; i < pool->n; i++) {
        struct watched *w = pool->servers[i];
        bool stays = false;
        for (size_t k = 0; k < n && !stays; k++)
            stays = list[k].id == w->server.id && list[k].generation == w->server.generation;
        if (!stays)
            watched_free(w);
    }
    pool->n = 0;
}

/* A place that another pool had before belongs to whom the board says. */
static void evict(struct dx_health *h, uint32_t id)
{
    struct watched *w = h->watched[id];
    if (!w)
        return;
    struct watched_pool *pool = w->pool;
    for (size_t i = 0; i < pool->n; i++) {
        if (pool->servers[i] == w)
            pool->servers[i] = pool->servers[--pool->n];
    }
    watched_free(w);
}

static struct watched_pool *pool_of(struct dx_health *h, uint32_t board_pool)
{
    struct watched_pool *pool = h->pools[board_pool];
    if (pool)
        return pool;
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->health = h;
    pool->board_pool = board_pool;
    h->pools[board_pool] = pool;
    return pool;
}

void dx_health_watch_pool(struct dx_health *h, uint32_t board_pool, const struct dx_pool_config *config)
{
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct watched_pool *pool = pool_of(h, board_pool);
    if (!pool) /* out of memory: the servers stay STARTING, which is usable */
        return;
    bool config_changed = pool->config != config;
    pool->config = config;
    size_t n = dx_board_pool_read(h->board, board_pool, h->list, NULL);
    drop_missing(pool, h->list, n);
    for (size_t i = 0; i < n; i++) {
        struct watched *w = take_known(pool, &h->list[i]);
        if (!w) {
            evict(h, h->list[i].id);
            w = watched_new(pool, &h->list[i]);
        }
        if (w)
            pool->servers[pool->n++] = w;
    }
    for (size_t i = 0; i < pool->n && config_changed; i++)
        reconsider(pool->servers[i]);
    health_tell_pool(pool);
}

void dx_health_forget_pool(struct dx_health *h, uint32_t board_pool)
{
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct watched_pool *pool = h->pools[board_pool];
    if (!pool)
        return;
    for (size_t i = 0; i < pool->n; i++)
        watched_free(pool->servers[i]);
    h->pools[board_pool] = NULL;
    free(pool->orders);
    free(pool);
}

bool dx_health_view(const struct dx_health *h, uint32_t server, struct dx_health_view *out)
{
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    const struct watched *w = server < DX_BOARD_SERVERS ? h->watched[server] : NULL;
    if (!w)
        return false;
    *out = (struct dx_health_view){.last_probe_ms_ago = UINT64_MAX,
                                   .last_status = w->last_status,
                                   .failures_in_row = w->verdict.failures_in_row,
                                   .successes_in_row = w->verdict.successes_in_row,
                                   .ejections = w->ejections};
    if (w->probed_ms)
        out->last_probe_ms_ago = dx_loop_now_ms(h->loop) - w->probed_ms;
    out->hint = w->hint == DX_HINT_NONE ? NULL : dx_hint_row(w->hint)->word;
    memcpy(out->last_error, w->last_error, sizeof out->last_error);
    return true;
}

void dx_health_hint_every(struct dx_health *h, uint64_t ms)
{
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    h->hint_every_ms = ms;
}

struct dx_health *dx_health_new(struct dx_loop *l, struct dx_board *b, struct dx_fetcher *f)
{
    struct dx_health *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    DX_MAGIC_SET(h, HEALTH_MAGIC);
    h->loop = l;
    h->board = b;
    h->fetcher = f;
    if (!dx_process_random(&h->random.state, sizeof h->random.state))
        h->random.state = dx_clock_us();
    return h;
}

void dx_health_free(struct dx_health **hp)
{
    struct dx_health *h = *hp;
    if (!h)
        return;
    DX_MAGIC_OK(h, HEALTH_MAGIC);
    *hp = NULL;
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        dx_health_forget_pool(h, i);
    DX_MAGIC_CLEAR(h);
    free(h);
}
