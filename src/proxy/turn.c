/* SPDX-License-Identifier: MIT */
/*
 * An exchange's turn at a server: asking the pool's gate, waiting there, and what is said when the wait was
 * in vain; and whether a request may be sent once more.
 */
#include "proxy/front.h"
#include "proxy/steps.h"

#define REPEATS_MOST 16 /* of a request that connections broke under before a byte of it was sent */
#define ASKS_MOST    8  /* a server may leave the pool between the choice and the connection */

static void on_turn(struct dx_turn *t)
{
    struct exchange *x = DX_CONTAINER(t, struct exchange, turn);
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    x->progress = true; /* the wait may be for another reason now, and as long as that one's */
    x->front->ops->wake(x->front);
}

/* --- asking --- */

/* Who takes turns with whom: an address, or an IPv6 network of the size that one customer is given. */
static uint64_t client_key(const struct exchange *x)
{
    struct dx_address a;
    unsigned char ip[16];

    if (x->pool->queue.fair_by == DX_FAIR_NONE)
        return 0;
    if (!dx_address_from_ip(x->client_ip, 0, &a))
        return dx_hash_finish(dx_hash_more(DX_HASH_START, x->client_ip));
    unsigned n = dx_address_ip(&a, ip);
    return dx_hash_finish(
        dx_hash_more(DX_HASH_START, dx_slice_of((const char *)ip, n == sizeof(ip) ? n / 2 : n)));
}

static uint64_t share_key(const struct exchange *x)
{
    uint64_t h = dx_hash_more(DX_HASH_START, dx_slice_str(x->route->host));
    return dx_hash_finish(dx_hash_more(h, dx_slice_str(x->route->path)));
}

static void describe(struct exchange *x)
{
    struct dx_turn *t = &x->turn;

    t->on_turn = on_turn;
    t->tried = &x->tried;
    t->wish = x->wish;
    t->client = client_key(x);
    t->share = x->route->share;
    t->share_key = share_key(x);
    t->unsafe = !dx_http_method_safe(x->request.method_id);
    t->bytes = x->request_head_bytes + (x->spool_open ? dx_spool_bytes(&x->spool) : x->memory.n);
}

static enum dx_turn_answer ask(struct exchange *x, const struct view_pool *at, struct dx_server **server)
{
    if (dx_turn_waits(&x->turn))
        return dx_turn_look(&x->turn);
    if (dx_gate_is_open(at->gate)) {
        *server = dx_pool_pick(at->pool, &x->tried, &x->wish);
        if (*server != NULL)
            return DX_TURN_GO;
    }
    describe(x);
    return dx_turn_ask(&x->turn, at->gate, x->proxy->desk);
}

static enum dx_turn_answer take(struct exchange *x, struct dx_server **server)
{
    const struct view_pool *at = &x->view->pools[x->route->pool];

    for (unsigned asks = 0; asks < ASKS_MOST; asks++) {
        /* A request may outlive its pool: a reload took the pool away while the body was read. */
        if (dx_pool_epoch(at->pool) != at->epoch) {
            dx_turn_leave(&x->turn);
            return DX_TURN_GONE;
        }
        enum dx_turn_answer answer = ask(x, at, server);
        if (answer != DX_TURN_GO || *server != NULL)
            return answer;
        *server = dx_pool_server(at->pool, &x->turn.slot);
        if (*server != NULL)
            return DX_TURN_GO;
        dx_slot_give_back(&x->turn.slot);
    }
    return DX_TURN_DOWN;
}

enum dx_turn_answer exchange_take_turn(struct exchange *x, struct dx_server **server)
{
    enum dx_turn_answer answer = take(x, server);
    if (answer == DX_TURN_WAIT || x->waited.since_us != 0)
        tally_wait(x, answer == DX_TURN_WAIT);
    return answer;
}

/* --- in vain --- */

/* A browser's EventSource comes back by itself when its connection ends, and never again after an answer that
 * is no stream (HTML 9.2.3): so where it would be told to come later, it is told nothing. */
static bool wants_events(const struct exchange *x)
{
    for (unsigned i = 0; i < x->request.fields.n; i++) {
        const struct dx_field *f = &x->request.fields.at[i];
        struct dx_slice rest = f->value, item;
        if (f->id != DX_FIELD_ACCEPT)
            continue;
        while (dx_slice_next_item(&rest, &item))
            if (dx_slice_eq_nocase(dx_slice_trim(dx_slice_of(item.p, dx_slice_find(item, ';'))),
                                   DX_SLICE("text/event-stream")))
                return true;
    }
    return false;
}

enum state exchange_come_later(struct exchange *x, enum outcome o)
{
    if (!wants_events(x))
        return exchange_answer(x, o, x->reason); /* why the last connection failed, if one did */
    x->reason = outcome_row(o)->word;
    return exchange_end(x, OUTCOME_EVENTS_LATER);
}

enum state exchange_waited_in_vain(struct exchange *x)
{
    bool held = dx_turn_held(&x->turn);
    tally_wait(x, false);
    dx_turn_leave(&x->turn);
    return exchange_come_later(x, held ? OUTCOME_HOLD_TIMEOUT : OUTCOME_QUEUE_TIMEOUT);
}

enum state exchange_no_turn(struct exchange *x, enum dx_turn_answer why)
{
    if (why == DX_TURN_LATE)
        return exchange_waited_in_vain(x);
    if (why == DX_TURN_FULL)
        return exchange_come_later(x, dx_turn_held(&x->turn) ? OUTCOME_HOLD_FULL : OUTCOME_QUEUE_FULL);
    if (why == DX_TURN_NO_MEMORY)
        return exchange_come_later(x, OUTCOME_NO_MEMORY);
    if (why == DX_TURN_GONE)
        return exchange_answer(x, OUTCOME_POOL_DOWN, "the pool has left the configuration");
    return exchange_answer(x, x->tried.n == 0 ? OUTCOME_POOL_DOWN : x->connect_outcome, x->reason);
}

/* --- once more --- */

static bool has_idempotency_key(const struct exchange *x)
{
    for (unsigned i = 0; i < x->request.fields.n; i++)
        if (dx_slice_eq_nocase(x->request.fields.at[i].name, DX_SLICE("idempotency-key")))
            return true;
    return false;
}

static bool may_repeat(const struct exchange *x)
{
    bool whole = x->source != SOURCE_STREAM || x->body_in == 0;
    bool unsent = x->up.sent == 0 || x->asking; /* the head alone is no request yet */

    if (!whole || unsent)
        return whole && x->repeats < REPEATS_MOST;
    if (x->resent >= x->pool->retry.max)
        return false;
    return dx_http_method_idempotent(x->request.method_id) ||
           (x->pool->retry.idempotency_key && has_idempotency_key(x));
}

enum state exchange_server_broke(struct exchange *x, const char *reason)
{
    bool again = may_repeat(x);

    if (!x->reused)
        dx_connection_broke(x->connection);
    dx_connection_close(&x->connection);
    if (!again)
        return exchange_answer(x, OUTCOME_SERVER_CLOSED, reason);
    if (x->up.sent > 0 && !x->asking) {
        x->resent++;
        dx_turn_renew(&x->turn);
    }
    x->repeats++;
    proxy_count(x->proxy, DX_COUNTER_RETRIES, 1);
    if (x->reused)
        x->tried.n--; /* only the connection was stale: the server may be asked again on a fresh one */
    x->fresh_only = true;
    x->asked = x->asking = x->unheard = false;
    x->connect_outcome = OUTCOME_SERVER_CLOSED;
    x->reason = reason;
    inlet_release(&x->in, &(struct blocks){.small = &x->proxy->blocks, .bulk = &x->proxy->bulk});
    x->answer_seen = x->lone_head = 0;
    pump_up_rewind(x);
    return STATE_PICK;
}
