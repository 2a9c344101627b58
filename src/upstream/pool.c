/* SPDX-License-Identifier: MIT */
/* Pools and servers as one worker sees them: their settings, and choosing. */
#include <stdlib.h>

#include "upstream/internal.h"

struct dx_upstream *dx_upstream_new(struct dx_loop *l, struct dx_board *b, struct dx_queues *q,
                                    unsigned worker, int news_fd)
{
    struct dx_upstream *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return NULL;
    DX_MAGIC_SET(u, UPSTREAM_MAGIC);
    u->loop = l;
    u->board = b;
    u->queues = q;
    u->worker = worker;
    u->news_fd = news_fd;
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

static bool is_drained(const struct dx_server *s)
{
    return dx_board_server_why(s->pool->upstream->board, s->of.facts.id) == DX_WHY_DRAINED;
}

static struct dx_roster_server *server_appeared(void *arg, const struct dx_board_server *facts)
{
    struct dx_pool *p = arg;
    struct dx_server *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    DX_MAGIC_SET(s, SERVER_MAGIC);
    s->of.facts = *facts;
    s->pool = p;
    s->cell = dx_board_cell(p->upstream->board, p->upstream->worker, facts->id);
    upstream_server_begin(s);
    s->drained = is_drained(s);
    return &s->of;
}

static void server_gone(void *arg, struct dx_roster_server *of)
{
    struct dx_server *s = DX_CONTAINER(of, struct dx_server, of);

    (void)arg;
    s->gone = true;
    s->open_n++; /* held while its idle connections go */
    upstream_server_drop_idle(s);
    s->open_n--;
    upstream_server_release(s);
}

static struct dx_pool *pool_new(struct dx_upstream *u, uint32_t board_pool)
{
    struct dx_pool *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    DX_MAGIC_SET(p, POOL_MAGIC);
    p->upstream = u;
    struct dx_roster_owner owner = {.appeared = server_appeared, .gone = server_gone, .arg = p};
    dx_roster_init(&p->roster, u->board, board_pool, &owner, dx_loop_refresh_us(u->loop) + u->worker);
    u->pools[board_pool] = p;
    return p;
}

struct dx_pool *dx_upstream_pool(struct dx_upstream *u, uint32_t board_pool,
                                 const struct dx_pool_config *settings)
{
    DX_MAGIC_OK(u, UPSTREAM_MAGIC);
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct dx_pool *p = u->pools[board_pool];
    if (p == NULL)
        p = pool_new(u, board_pool);
    if (p == NULL)
        return NULL;
    p->gate = u->queues != NULL ? dx_queues_gate(u->queues, board_pool) : NULL;
    p->idle_ms = settings->keepalive.idle;
    p->idle_max = settings->keepalive.max;
    dx_roster_use(&p->roster, settings);
    return p;
}

void dx_upstream_forget_pool(struct dx_upstream *u, uint32_t board_pool)
{
    struct dx_pool *p = u->pools[board_pool];
    if (p == NULL)
        return;
    p->epoch++;
    dx_roster_clear(&p->roster);
}

uint32_t dx_pool_epoch(const struct dx_pool *p) { return p->epoch; }

static void drop_idle(struct dx_pool *p)
{
    for (size_t i = 0; i < p->roster.n; i++)
        upstream_server_drop_idle(DX_CONTAINER(p->roster.servers[i], struct dx_server, of));
}

void dx_upstream_close_idle(struct dx_upstream *u)
{
    for (size_t i = 0; i < DX_BOARD_POOLS; i++)
        if (u->pools[i] != NULL)
            drop_idle(u->pools[i]);
}

bool dx_upstream_close_an_idle(struct dx_upstream *u)
{
    DX_MAGIC_OK(u, UPSTREAM_MAGIC);
    for (size_t i = 0; i < DX_BOARD_POOLS; i++)
        for (size_t k = 0; u->pools[i] != NULL && k < u->pools[i]->roster.n; k++)
            if (upstream_server_drop_one(DX_CONTAINER(u->pools[i]->roster.servers[k], struct dx_server, of)))
                return true;
    return false;
}

void dx_upstream_look_at_drains(struct dx_upstream *u)
{
    for (size_t i = 0; i < DX_BOARD_POOLS; i++) {
        for (size_t k = 0; u->pools[i] != NULL && k < u->pools[i]->roster.n; k++) {
            struct dx_server *s = DX_CONTAINER(u->pools[i]->roster.servers[k], struct dx_server, of);
            s->drained = is_drained(s);
            if (s->drained)
                upstream_server_drop_idle(s);
        }
    }
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
            dx_roster_clear(&u->pools[i]->roster);
        free(u->pools[i]);
    }
    DX_MAGIC_CLEAR(u);
    free(u);
}

struct dx_server *dx_pool_pick(struct dx_pool *p, const struct dx_tried *tried, const struct dx_wish *wish)
{
    DX_MAGIC_OK(p, POOL_MAGIC);
    struct dx_roster_ask ask = {.tried = tried, .wish = *wish, .now_ms = dx_loop_now_ms(p->upstream->loop)};
    struct dx_roster_server *s = dx_roster_pick(&p->roster, &ask, NULL);
    return s != NULL ? DX_CONTAINER(s, struct dx_server, of) : NULL;
}

struct dx_server *dx_pool_server(struct dx_pool *p, const struct dx_slot *slot)
{
    DX_MAGIC_OK(p, POOL_MAGIC);
    dx_roster_look(&p->roster);
    struct dx_roster_server *s = dx_roster_find(&p->roster, slot->id, slot->generation);
    return s != NULL ? DX_CONTAINER(s, struct dx_server, of) : NULL;
}

void dx_server_set_continue(struct dx_server *s, enum dx_continue known) { s->says_continue = known; }
enum dx_continue dx_server_continue(const struct dx_server *s) { return s->says_continue; }
uint32_t dx_server_id(const struct dx_server *s) { return s->of.facts.id; }
uint64_t dx_server_mark(const struct dx_server *s) { return s->of.mark; }
bool dx_server_has_beside(const struct dx_server *s, uint64_t mark)
{
    const struct dx_roster *r = &s->pool->roster;
    for (size_t i = 0; i < r->n; i++)
        if (r->servers[i]->mark == mark)
            return dx_board_server_state(r->board, r->servers[i]->facts.id) == DX_SERVER_UP;
    return false;
}

const char *dx_server_name(const struct dx_server *s) { return s->of.facts.name; }
const struct dx_address *dx_server_address(const struct dx_server *s) { return &s->of.facts.address; }
