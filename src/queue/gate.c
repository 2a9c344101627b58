/* SPDX-License-Identifier: MIT */
/*
 * A pool's gate: its servers with their slots, and whose turn is next. Everything here happens under the
 * gate's lock.
 *
 * Whose turn is next: of each route with a share that is not used up, and of all other routes together, the
 * turn of the lowest rank; of those the lowest again. The first whose server has no room stops the round:
 * nobody overtakes.
 *
 * A server that refused a connection is left in peace for a moment (turn.c), then tried with one request, and
 * only when that got its connection do others follow; when control has seen it down as well, its probe
 * decides instead. While every server is in that state the pool is down, and who waits is held.
 */
#include <stdlib.h>
#include <unistd.h>

#include "diplex/board/seats.h"
#include "queue/internal.h"

/* --- servers --- */

static struct gate_server *server_of(struct dx_roster_server *of)
{
    return DX_CONTAINER(of, struct gate_server, of);
}

static const struct gate_server *server_of_const(const struct dx_roster_server *of)
{
    return (const struct gate_server *)(const void *)((const char *)of - offsetof(struct gate_server, of));
}

static bool has_room(const struct dx_gate *g, const struct gate_server *s, uint64_t now_ms)
{
    uint32_t most = g->slots, busy = s->used;

    if (s->trial && (s->trying || now_ms < s->rest_until_ms))
        return false;
    if (most == 0)
        return busy < s->window;
    /* Requests that began before slots were counted count as well, and those of a data process that is
     * leaving. */
    uint32_t active = dx_board_server_active(g->queues->board, s->of.facts.id);
    busy += dx_board_slots_of_others(g->queues->board, s->of.facts.id);
    return (busy > active ? busy : active) < most;
}

struct asked {
    const struct dx_gate *gate;
    uint64_t now_ms;
};

static bool may_take(const struct dx_roster_server *of, void *arg)
{
    const struct asked *a = arg;
    return has_room(a->gate, server_of_const(of), a->now_ms);
}

void gate_server_well(struct gate_server *s)
{
    s->trial = s->trying = s->seen_down = false;
    s->rest_ms = 0;
    s->rest_until_ms = 0;
    s->window = WINDOW_FIRST;
}

void gate_server_release(struct gate_server *s)
{
    if (s->gone && s->used == 0)
        free(s);
}

/* True: the server takes requests, as far as is known. */
static bool look_at_server(struct dx_gate *g, struct gate_server *s)
{
    const struct dx_board *b = g->queues->board;
    bool good = dx_roster_may_serve(b, s->of.facts.id);

    if (!good)
        s->seen_down = true;
    else if (s->seen_down)
        gate_server_well(s);
    return good && !s->trial;
}

void gate_look(struct dx_gate *g)
{
    bool down = true;

    dx_roster_look(&g->roster);
    for (size_t i = 0; i < g->roster.n; i++)
        down &= !look_at_server(g, server_of(g->roster.servers[i]));
    enum dx_board_hold hand = dx_board_pool_hold(g->queues->board, g->board_pool);
    bool was_down = atomic_load_explicit(&g->down, memory_order_relaxed) != 0;
    if (down == was_down && hand == g->hand)
        return;
    for (size_t i = 0; i < g->roster.n && hand != g->hand; i++)
        server_of(g->roster.servers[i])->window = WINDOW_FIRST; /* what is released begins gently, too */
    g->hand = hand;
    atomic_store_explicit(&g->down, down, memory_order_relaxed);
    atomic_fetch_add_explicit(&g->epoch, 1, memory_order_relaxed);
}

/* --- shares --- */

static struct gate_share *share_find(struct dx_gate *g, uint64_t key)
{
    DX_LIST_FOR (link, &g->shares) {
        struct gate_share *s = DX_CONTAINER(link, struct gate_share, link);
        if (s->key == key)
            return s;
    }
    return NULL;
}

struct gate_share *gate_share_of(struct dx_gate *g, const struct dx_turn *t)
{
    if (t->share == 0 || t->share >= 100 || g->slots == 0)
        return &g->whole;
    struct gate_share *s = share_find(g, t->share_key);
    if (s == NULL) {
        s = calloc(1, sizeof(*s));
        if (s == NULL)
            return &g->whole; /* out of memory: its share is not watched for once */
        s->key = t->share_key;
        dx_list_push_tail(&g->shares, &s->link);
    }
    s->percent = t->share;
    return s;
}

void gate_share_release(struct dx_gate *g, struct gate_share *s)
{
    if (s == &g->whole || s->used > 0 || s->safe.n > 0 || s->unsafe.n > 0)
        return;
    dx_list_remove(&s->link);
    free(s->safe.at);
    free(s->unsafe.at);
    free(s);
}

/* A part of all slots of the servers that can be used; at least one. */
static bool share_used_up(const struct dx_gate *g, const struct gate_share *s)
{
    uint64_t slots = 0;

    if (s == &g->whole)
        return false;
    for (size_t i = 0; i < g->roster.n; i++)
        slots += dx_roster_may_serve(g->queues->board, g->roster.servers[i]->facts.id) ? g->slots : 0;
    uint64_t most = slots * s->percent / 100;
    return s->used >= (most > 0 ? most : 1);
}

/* --- whose turn is next --- */

bool gate_holds(const struct dx_gate *g, const struct dx_turn *t)
{
    return g->hand == DX_HOLD_ALL || (g->hand == DX_HOLD_WRITES && t->unsafe);
}

static struct dx_turn *sooner(struct dx_turn *a, struct dx_turn *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    return heap_before(b, a) ? b : a;
}

static struct dx_turn *next_of_share(const struct dx_gate *g, const struct gate_share *s)
{
    if (g->hand == DX_HOLD_ALL || (s->safe.n == 0 && s->unsafe.n == 0) || share_used_up(g, s))
        return NULL;
    return sooner(heap_top(&s->safe), g->hand == DX_HOLD_WRITES ? NULL : heap_top(&s->unsafe));
}

static struct dx_turn *next_turn(const struct dx_gate *g)
{
    struct dx_turn *best = next_of_share(g, &g->whole);

    DX_LIST_FOR (link, &g->shares)
        best = sooner(best, next_of_share(g, DX_CONTAINER(link, struct gate_share, link)));
    return best;
}

static struct heap *heap_of(struct dx_turn *t) { return t->unsafe ? &t->in->unsafe : &t->in->safe; }

bool gate_put(struct dx_gate *g, struct dx_turn *t)
{
    if (t->order == 0)
        t->order = ++g->order;
    if (t->rank == 0 && g->fair_by_client) {
        t->rank = fair_rank(&g->fair, t->client, g->rank);
        t->ranked = true;
    } else if (t->rank == 0) {
        t->rank = t->order;
    }
    if (!heap_push(heap_of(t), t)) {
        if (t->ranked)
            fair_left(&g->fair, t->client);
        t->ranked = false;
        return false;
    }
    g->waiting++;
    g->waiting_unsafe += t->unsafe;
    g->bytes += t->bytes;
    gate_publish(g);
    return true;
}

void gate_take_out(struct dx_gate *g, struct dx_turn *t)
{
    heap_remove(heap_of(t), t);
    g->waiting--;
    g->waiting_unsafe -= t->unsafe;
    g->bytes -= t->bytes;
    gate_publish(g);
}

void gate_publish(struct dx_gate *g)
{
    uint64_t one = 1;
    bool down = atomic_load_explicit(&g->down, memory_order_relaxed) != 0;
    struct dx_board_queue q = {.waiting = g->waiting, .unsafe = g->waiting_unsafe, .down = down};
    bool wanted = down && g->waiting > 0, news = wanted && !g->told_down;

    atomic_store_explicit(&g->strict, g->slots > 0 || g->waiting > 0, memory_order_relaxed);
    if (g->forgotten)
        return;
    dx_board_pool_queue_set(g->queues->board, g->board_pool, q);
    g->told_down = wanted;
    if (news && g->queues->news_fd >= 0 && write(g->queues->news_fd, &one, sizeof(one)) < 0)
        return; /* a full eventfd has told control already */
}

static struct dx_roster_server *pick(struct dx_gate *g, struct dx_turn *t, uint64_t now_ms, bool *somebody)
{
    static const struct dx_tried nobody;
    struct asked asked = {.gate = g, .now_ms = now_ms};
    struct dx_roster_ask ask = {
        .tried = t->tried, .wish = t->wish, .now_ms = now_ms, .may = may_take, .arg = &asked};

    struct dx_roster_server *of = dx_roster_pick(&g->roster, &ask, somebody);
    if (of != NULL || t->tried->n == 0 || g->hold_wait == 0)
        return of;
    ask.tried = &nobody; /* those that it has been to may be well again */
    return dx_roster_pick(&g->roster, &ask, somebody);
}

bool gate_choose(struct dx_gate *g, struct dx_turn *t, uint64_t now_ms, bool *somebody)
{
    *somebody = true;
    if (gate_holds(g, t) || share_used_up(g, t->in))
        return false;
    struct dx_roster_server *of = pick(g, t, now_ms, somebody);
    if (of == NULL)
        return false;
    struct gate_server *s = server_of(of);
    if (g->slots > 0 && !dx_board_slot_take(g->queues->board, of->facts.id, g->slots))
        return false; /* another data process was faster */
    s->used++;
    s->trying = s->trial;
    t->in->used++;
    t->slot = (struct dx_slot){
        .gate = g,
        .desk = t->desk,
        .server = s,
        .share = t->in,
        .id = of->facts.id,
        .generation = of->facts.generation,
        .counted = g->slots > 0,
        .trial = s->trial,
    };
    if (t->ranked)
        fair_left(&g->fair, t->client);
    if (t->rank > g->rank)
        g->rank = t->rank;
    t->ranked = false;
    return true;
}

void gate_serve(struct dx_gate *g, uint64_t now_ms, const struct dx_turn *self)
{
    bool somebody;

    while (g->waiting > 0) {
        struct dx_turn *t = next_turn(g);
        if (t == NULL || !gate_choose(g, t, now_ms, &somebody))
            break;
        gate_take_out(g, t);
        atomic_store_explicit(&t->state, DX_TURN_GRANTED, memory_order_release);
        if (t != self)
            desk_tell(t->desk, t);
    }
}
