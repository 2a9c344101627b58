/* SPDX-License-Identifier: MIT */
/* The gates of all pools: made with the first configuration that names the pool, kept as long as data runs.
 */
#include <stdlib.h>

#include "queue/internal.h"

struct dx_queues *dx_queues_new(struct dx_board *b, int news_fd)
{
    struct dx_queues *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->board = b;
    q->news_fd = news_fd;
    return q;
}

static struct dx_roster_server *server_appeared(void *arg, const struct dx_board_server *facts)
{
    struct gate_server *s = calloc(1, sizeof(*s));

    (void)arg;
    if (s == NULL)
        return NULL;
    s->of.facts = *facts;
    gate_server_well(s);
    return &s->of;
}

static void server_gone(void *arg, struct dx_roster_server *of)
{
    struct gate_server *s = DX_CONTAINER(of, struct gate_server, of);

    (void)arg;
    s->gone = true;
    gate_server_release(s);
}

static struct dx_gate *gate_new(struct dx_queues *q, uint32_t board_pool)
{
    struct dx_gate *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return NULL;
    struct dx_roster_owner owner = {.appeared = server_appeared, .gone = server_gone};
    DX_MAGIC_SET(g, GATE_MAGIC);
    g->queues = q;
    g->board_pool = board_pool;
    pthread_mutex_init(&g->lock, NULL);
    dx_list_init(&g->shares);
    dx_roster_init(&g->roster, q->board, board_pool, &owner, (uint64_t)(uintptr_t)g);
    q->gates[board_pool] = g;
    return g;
}

/* Whoever waits is told; its worker finds that it waited in vain. */
static void lose_all(struct dx_gate *g, struct gate_share *s)
{
    struct heap *heaps[] = {&s->safe, &s->unsafe};

    for (size_t i = 0; i < DX_COUNT(heaps); i++) {
        while (heaps[i]->n > 0) {
            struct dx_turn *t = heaps[i]->at[heaps[i]->n - 1];
            gate_take_out(g, t);
            if (t->ranked)
                fair_left(&g->fair, t->client);
            t->ranked = false;
            atomic_store_explicit(&t->state, DX_TURN_LOST, memory_order_release);
            desk_tell(t->desk, t);
        }
    }
    gate_share_release(g, s);
}

static void forget(struct dx_gate *g)
{
    lose_all(g, &g->whole);
    DX_LIST_FOR_SAFE (link, &g->shares)
        lose_all(g, DX_CONTAINER(link, struct gate_share, link));
    dx_roster_clear(&g->roster);
    g->forgotten = true;
}

static uint64_t name_of(const struct dx_pool_config *settings)
{
    uint64_t h = dx_hash_more(DX_HASH_START, dx_slice_str(settings->name));
    return dx_hash_finish(dx_hash_byte(h, (unsigned char)settings->kind));
}

bool dx_queues_set(struct dx_queues *q, uint32_t board_pool, const struct dx_pool_config *settings)
{
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct dx_gate *g = q->gates[board_pool];
    if (g == NULL)
        g = gate_new(q, board_pool);
    if (g == NULL)
        return false;
    pthread_mutex_lock(&g->lock);
    if (g->name != name_of(settings)) /* another pool has this place on the board now */
        forget(g);
    g->name = name_of(settings);
    g->forgotten = false;
    g->slots = settings->slots;
    g->queue_max = settings->queue.max;
    g->hold_max = settings->hold.max;
    g->hold_bytes = settings->hold.bytes;
    g->fair_by_client = settings->queue.fair_by == DX_FAIR_CLIENT_IP;
    dx_roster_use(&g->roster, settings);
    atomic_store_explicit(&g->queue_wait, settings->queue.wait, memory_order_relaxed);
    atomic_store_explicit(&g->hold_wait, settings->hold.wait, memory_order_relaxed);
    gate_look(g);
    gate_publish(g);
    pthread_mutex_unlock(&g->lock);
    return true;
}

void dx_queues_forget(struct dx_queues *q, uint32_t board_pool)
{
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    struct dx_gate *g = q->gates[board_pool];
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    if (!g->forgotten)
        forget(g);
    pthread_mutex_unlock(&g->lock);
}

struct dx_gate *dx_queues_gate(const struct dx_queues *q, uint32_t board_pool)
{
    DX_ASSERT(board_pool < DX_BOARD_POOLS);
    return q->gates[board_pool];
}

static void gate_free(struct dx_gate *g)
{
    DX_ASSERT(g->waiting == 0 && g->whole.used == 0 && dx_list_empty(&g->shares));
    dx_roster_clear(&g->roster);
    fair_clear(&g->fair);
    free(g->whole.safe.at);
    free(g->whole.unsafe.at);
    pthread_mutex_destroy(&g->lock);
    DX_MAGIC_CLEAR(g);
    free(g);
}

void dx_queues_free(struct dx_queues **qp)
{
    struct dx_queues *q = *qp;
    if (q == NULL)
        return;
    *qp = NULL;
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        if (q->gates[i] != NULL)
            gate_free(q->gates[i]);
    free(q);
}
