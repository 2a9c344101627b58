/* SPDX-License-Identifier: MIT */
/* Turns and slots from the caller's side: asking, waiting, going, giving back. */
#include "diplex/board/seats.h"
#include "queue/internal.h"

#define REST_FIRST_MS 50u    /* in peace after the first refusal; */
#define REST_MOST_MS  200u   /* doubled with each further one up to this */
#define HAND_WAIT_MS  30000u /* what an operator holds in a pool whose own hold is off */

static uint64_t now_of(const struct dx_desk *d) { return dx_loop_now_ms(d->loop); }

static enum dx_turn_state state_of(const struct dx_turn *t)
{
    return (enum dx_turn_state)atomic_load_explicit(&t->state, memory_order_acquire);
}

static void set_state(struct dx_turn *t, enum dx_turn_state s)
{
    atomic_store_explicit(&t->state, s, memory_order_relaxed);
}

bool dx_gate_is_open(const struct dx_gate *g)
{
    return atomic_load_explicit(&g->strict, memory_order_relaxed) == 0 &&
           dx_board_pool_hold(g->queues->board, g->board_pool) == DX_HOLD_NONE;
}

/* --- for how long --- */

static bool is_held(const struct dx_gate *g, const struct dx_turn *t)
{
    return atomic_load_explicit(&g->down, memory_order_relaxed) != 0 || gate_holds(g, t);
}

/* 0: not at all. */
static uint64_t wait_of(const struct dx_gate *g, const struct dx_turn *t)
{
    if (!is_held(g, t))
        return atomic_load_explicit(&g->queue_wait, memory_order_relaxed);
    uint64_t wait = atomic_load_explicit(&g->hold_wait, memory_order_relaxed);
    return wait == 0 && gate_holds(g, t) ? HAND_WAIT_MS : wait;
}

/* How long it has waited, and may: for the reason of now, and in all. */
static uint64_t left_of(const struct dx_gate *g, const struct dx_turn *t, uint64_t now_ms)
{
    uint64_t wait = wait_of(g, t), all = g->queue_wait + (g->hold_wait > 0 ? g->hold_wait : HAND_WAIT_MS);
    uint64_t gone = now_ms - t->since_ms, gone_in_all = now_ms - t->first_ms;
    uint64_t left = gone < wait ? wait - gone : 0, left_in_all = gone_in_all < all ? all - gone_in_all : 0;
    return left < left_in_all ? left : left_in_all;
}

/* --- asking --- */

/* The turn begins to wait, or goes on waiting, for the reason of now. */
static void note_reason(struct dx_turn *t, uint64_t now_ms)
{
    uint32_t epoch = atomic_load_explicit(&t->gate->epoch, memory_order_relaxed);
    bool first = t->first_ms == 0;
    if (first)
        t->first_ms = now_ms;
    if (!first && t->epoch == epoch)
        return;
    t->since_ms = now_ms;
    t->epoch = epoch;
}

/* GO: it may wait. */
static enum dx_turn_answer may_wait(const struct dx_gate *g, const struct dx_turn *t, bool somebody,
                                    uint64_t now_ms)
{
    bool held = is_held(g, t), first = t->first_ms == 0;
    uint64_t wait = wait_of(g, t);

    if (wait == 0 || (!somebody && g->hold_wait == 0))
        return held || !somebody ? DX_TURN_DOWN : DX_TURN_FULL;
    if (!first && left_of(g, t, now_ms) == 0)
        return DX_TURN_LATE;
    if (!first)
        return DX_TURN_GO;
    if (held && g->bytes + t->bytes > g->hold_bytes)
        return DX_TURN_FULL;
    return g->waiting < (held ? g->hold_max : g->queue_max) ? DX_TURN_GO : DX_TURN_FULL;
}

static enum dx_turn_answer ask(struct dx_turn *t, struct dx_gate *g, uint64_t now_ms)
{
    bool somebody = true;

    if (g->forgotten)
        return DX_TURN_GONE;
    gate_look(g);
    gate_serve(g, now_ms, NULL); /* who came before is served before */
    t->in = gate_share_of(g, t);
    if (gate_choose(g, t, now_ms, &somebody))
        return DX_TURN_GO;
    enum dx_turn_answer answer = may_wait(g, t, somebody, now_ms);
    if (answer == DX_TURN_GO)
        answer = gate_put(g, t) ? DX_TURN_WAIT : DX_TURN_NO_MEMORY;
    if (answer != DX_TURN_WAIT) {
        gate_share_release(g, t->in);
        return answer;
    }
    set_state(t, DX_TURN_WAITING);
    note_reason(t, now_ms);
    return DX_TURN_WAIT;
}

enum dx_turn_answer dx_turn_ask(struct dx_turn *t, struct dx_gate *g, struct dx_desk *d)
{
    DX_MAGIC_OK(g, GATE_MAGIC);
    DX_MAGIC_OK(d, DESK_MAGIC);
    DX_ASSERT(!dx_turn_waits(t) && t->on_turn != NULL);
    t->gate = g;
    t->desk = d;
    desk_is_here(d);
    pthread_mutex_lock(&g->lock);
    enum dx_turn_answer answer = ask(t, g, now_of(d));
    pthread_mutex_unlock(&g->lock);
    if (answer == DX_TURN_WAIT)
        desk_wait(d, t);
    return answer;
}

/* --- waiting --- */

static void wait_no_more(struct dx_turn *t)
{
    struct dx_gate *g = t->gate;

    if (t->ranked)
        fair_left(&g->fair, t->client);
    t->ranked = false;
    gate_take_out(g, t);
    gate_share_release(g, t->in);
    set_state(t, DX_TURN_NONE);
}

static enum dx_turn_answer look_while_waiting(struct dx_turn *t)
{
    struct dx_gate *g = t->gate;
    uint64_t now_ms = now_of(t->desk);

    pthread_mutex_lock(&g->lock);
    enum dx_turn_state s = state_of(t); /* now that nobody changes it */
    bool in_vain = s == DX_TURN_WAITING && wait_of(g, t) == 0;
    if (in_vain)
        wait_no_more(t);
    else if (s == DX_TURN_WAITING)
        note_reason(t, now_ms);
    pthread_mutex_unlock(&g->lock);
    if (in_vain)
        desk_done(t->desk, t);
    return in_vain ? DX_TURN_DOWN : DX_TURN_WAIT;
}

enum dx_turn_answer dx_turn_look(struct dx_turn *t)
{
    switch (state_of(t)) {
    case DX_TURN_WAITING:
        return look_while_waiting(t);
    case DX_TURN_GRANTED:
        desk_done(t->desk, t);
        set_state(t, DX_TURN_NONE);
        return DX_TURN_GO;
    case DX_TURN_LOST:
        desk_done(t->desk, t);
        set_state(t, DX_TURN_NONE);
        return DX_TURN_GONE;
    case DX_TURN_NONE:
        break;
    }
    DX_NEVER("a turn that does not wait was looked at");
}

bool dx_turn_held(const struct dx_turn *t)
{
    pthread_mutex_lock(&t->gate->lock);
    bool held = is_held(t->gate, t);
    pthread_mutex_unlock(&t->gate->lock);
    return held;
}

uint64_t dx_turn_left(const struct dx_turn *t)
{
    pthread_mutex_lock(&t->gate->lock);
    uint64_t left = left_of(t->gate, t, now_of(t->desk));
    pthread_mutex_unlock(&t->gate->lock);
    return left > 0 ? left : 1;
}

void dx_turn_leave(struct dx_turn *t)
{
    struct dx_gate *g = t->gate;

    if (!dx_turn_waits(t))
        return;
    struct dx_slot slot = {.gate = NULL};
    pthread_mutex_lock(&g->lock);
    if (state_of(t) == DX_TURN_WAITING)
        wait_no_more(t);
    else if (state_of(t) == DX_TURN_GRANTED)
        slot = t->slot;
    set_state(t, DX_TURN_NONE);
    pthread_mutex_unlock(&g->lock);
    desk_done(t->desk, t);
    t->slot = (struct dx_slot){.gate = NULL};
    dx_slot_give_back(&slot);
}

/* --- slots --- */

void dx_slot_tried(struct dx_slot *s)
{
    struct dx_gate *g = s->gate;

    DX_ASSERT(s->trial);
    s->trial = false;
    pthread_mutex_lock(&g->lock);
    gate_server_well(s->server);
    gate_look(g);
    gate_serve(g, now_of(s->desk), NULL);
    gate_publish(g);
    pthread_mutex_unlock(&g->lock);
}

void dx_slot_end(struct dx_slot *s)
{
    struct dx_gate *g = s->gate;

    DX_MAGIC_OK(g, GATE_MAGIC);
    pthread_mutex_lock(&g->lock);
    DX_ASSERT(s->server->used > 0 && s->share->used > 0);
    s->server->used--;
    s->share->used--;
    if (s->counted)
        dx_board_slot_give_back(g->queues->board, s->id);
    if (s->trial)
        s->server->trying = false;
    else if (!s->counted && s->server->window < DX_HOLD_WINDOW_MOST)
        s->server->window++;
    gate_server_release(s->server);
    gate_look(g);
    gate_serve(g, now_of(s->desk), NULL);
    gate_share_release(g, s->share);
    gate_publish(g);
    pthread_mutex_unlock(&g->lock);
    s->gate = NULL;
}

void dx_gate_refused(struct dx_gate *g, uint32_t server, uint32_t generation, uint64_t now_ms)
{
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    struct dx_roster_server *of = dx_roster_find(&g->roster, server, generation);
    if (of != NULL && g->hold_wait > 0) {
        struct gate_server *s = DX_CONTAINER(of, struct gate_server, of);
        if (!s->trial || now_ms >= s->rest_until_ms) {
            s->rest_ms = s->rest_ms == 0 ? REST_FIRST_MS : 2 * s->rest_ms;
            s->rest_ms = s->rest_ms < REST_MOST_MS ? s->rest_ms : REST_MOST_MS;
            s->rest_until_ms = now_ms + s->rest_ms;
        }
        s->trial = true;
        gate_look(g);
        gate_publish(g);
    }
    pthread_mutex_unlock(&g->lock);
}
