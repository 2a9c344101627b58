/* SPDX-License-Identifier: MIT */
/* Pools and servers as one worker sees them: following the board's list, and choosing. */
#include <stdlib.h>

#include "upstream/internal.h"

struct dx_upstream *dx_upstream_new(struct dx_loop *l, struct dx_board *b, unsigned worker, int news_fd)
{
    struct dx_upstream *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return NULL;
    DX_MAGIC_SET(u, UPSTREAM_MAGIC);
    u->loop = l;
    u->board = b;
    u->worker = worker;
    u->news_fd = news_fd;
    u->random.state = dx_loop_refresh_us(l) + worker;
    u->counters = dx_board_counters(b, worker);
    return u;
}

void upstream_server_release(struct dx_server *s)
{
    if (!s->gone || s->open_n > 0)
        return;
    DX_MAGIC_CLEAR(s);
    free(s);
}

static void server_gone(struct dx_server *s)
{
    s->gone = true;
    s->open_n++; /* held while its idle connections go */
    upstream_server_drop_idle(s);
    s->open_n--;
    upstream_server_release(s);
}

static struct dx_server *server_new(struct dx_pool *p, const struct dx_board_server *facts)
{
    struct dx_server *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    DX_MAGIC_SET(s, SERVER_MAGIC);
    s->facts = *facts;
    s->pool = p;
    s->cell = dx_board_cell(p->upstream->board, p->upstream->worker, facts->id);
    dx_list_init(&s->idle);
    return s;
}

/* Takes the server out of the old list if it is the same one. */
static struct dx_server *take_same(struct dx_server **old, size_t n, const struct dx_board_server *facts,
                                   size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        struct dx_server *s = old[i];
        if (s == NULL || s->facts.id != facts->id || s->facts.generation != facts->generation)
            continue;
        old[i] = NULL;
        *at = i;
        return s;
    }
    return NULL;
}

static void pool_follow(struct dx_pool *p)
{
    struct dx_board_server list[DX_BOARD_POOL_SERVERS];
    struct dx_server *old[DX_BOARD_POOL_SERVERS];
    struct dx_balance_server old_scales[DX_BOARD_POOL_SERVERS];
    size_t old_n = p->n, at = 0;
    uint32_t version;
    size_t n = dx_board_pool_read(p->upstream->board, p->board_pool, list, &version);

    memcpy(old, p->servers, old_n * sizeof(struct dx_server *));
    memcpy(old_scales, p->scales, old_n * sizeof(old_scales[0]));
    p->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct dx_server *s = take_same(old, old_n, &list[i], &at);
        struct dx_balance_server scale = s != NULL ? old_scales[at] : (struct dx_balance_server){0};
        if (s == NULL)
            s = server_new(p, &list[i]);
        if (s == NULL)
            continue; /* out of memory: the others serve, and the next change tries again */
        s->facts = list[i];
        scale.weight = list[i].weight;
        p->scales[p->n] = scale;
        p->servers[p->n++] = s;
    }
    for (size_t i = 0; i < old_n; i++)
        if (old[i] != NULL)
            server_gone(old[i]);
    p->version = version;
}

struct dx_pool *dx_upstream_pool(struct dx_upstream *u, uint32_t board_pool,
                                 const struct dx_pool_config *settings)
{
    DX_MAGIC_OK(u, UPSTREAM_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct dx_pool *p = u->pools[board_pool];
    if (p == NULL) {
        p = calloc(1, sizeof(*p));
        if (p == NULL)
            return NULL;
        DX_MAGIC_SET(p, POOL_MAGIC);
        p->board_pool = board_pool;
        p->upstream = u;
        u->pools[board_pool] = p;
    }
    p->balance = settings->balance;
    p->idle_ms = settings->keepalive.idle;
    p->idle_max = settings->keepalive.max;
    pool_follow(p);
    return p;
}

static void pool_empty(struct dx_pool *p)
{
    for (size_t i = 0; i < p->n; i++)
        server_gone(p->servers[i]);
    p->n = 0;
}

void dx_upstream_forget_pool(struct dx_upstream *u, uint32_t board_pool)
{
    struct dx_pool *p = u->pools[board_pool];
    if (p == NULL)
        return;
    p->epoch++;
    pool_empty(p);
}

uint32_t dx_pool_epoch(const struct dx_pool *p) { return p->epoch; }

void dx_upstream_close_idle(struct dx_upstream *u)
{
    for (size_t i = 0; i < DX_BOARD_POOLS; i++)
        for (size_t k = 0; u->pools[i] != NULL && k < u->pools[i]->n; k++)
            upstream_server_drop_idle(u->pools[i]->servers[k]);
}

void dx_upstream_free(struct dx_upstream **up)
{
    struct dx_upstream *u = *up;
    if (u == NULL)
        return;
    *up = NULL;
    DX_MAGIC_OK(u, UPSTREAM_MAGIC);
    for (size_t i = 0; i < DX_BOARD_POOLS; i++) {
        if (u->pools[i] != NULL)
            pool_empty(u->pools[i]);
        free(u->pools[i]);
    }
    DX_MAGIC_CLEAR(u);
    free(u);
}

/* --- choosing --- */

static bool was_tried(const struct dx_tried *t, uint32_t id)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->id[i] == id)
            return true;
    return false;
}

/* Marks who may be chosen in this state and tier; false when nobody may. */
static bool mark_usable(struct dx_pool *p, const struct dx_tried *tried, enum dx_server_state state,
                        bool backup)
{
    const struct dx_board *b = p->upstream->board;
    bool any = false;

    for (size_t i = 0; i < p->n; i++) {
        const struct dx_server *s = p->servers[i];
        bool usable = s->facts.backup == backup && dx_board_server_state(b, s->facts.id) == state &&
                      !was_tried(tried, s->facts.id);
        p->scales[i].usable = usable;
        any |= usable;
    }
    return any;
}

static void weigh(struct dx_pool *p)
{
    if (p->balance == DX_BALANCE_ROUND_ROBIN)
        return;
    for (size_t i = 0; i < p->n; i++)
        if (p->scales[i].usable)
            p->scales[i].active = dx_board_server_active(p->upstream->board, p->servers[i]->facts.id);
}

struct dx_server *dx_pool_pick(struct dx_pool *p, const struct dx_tried *tried)
{
    DX_MAGIC_OK(p, POOL_MAGIC);
    if (dx_board_pool_version(p->upstream->board, p->board_pool) != p->version)
        pool_follow(p);
    if (tried->n == DX_TRIED_MAX)
        return NULL;
    if (!mark_usable(p, tried, DX_SERVER_UP, false) && !mark_usable(p, tried, DX_SERVER_UP, true) &&
        !mark_usable(p, tried, DX_SERVER_STARTING, false) && !mark_usable(p, tried, DX_SERVER_STARTING, true))
        return NULL;
    weigh(p);
    size_t at = dx_balance_pick(p->balance, p->scales, p->n, dx_random_next(&p->upstream->random));
    return at == DX_BALANCE_NONE ? NULL : p->servers[at];
}

uint32_t dx_server_id(const struct dx_server *s) { return s->facts.id; }
const char *dx_server_name(const struct dx_server *s) { return s->facts.name; }
const struct dx_address *dx_server_address(const struct dx_server *s) { return &s->facts.address; }
