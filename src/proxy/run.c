/* SPDX-License-Identifier: MIT */
/*
 * The runner of exchanges: birth, the walk from state to state, deadlines, death. What the states do is in
 * exchange.c.
 */
#include "proxy/edges.h"
#include "proxy/front.h"
#include "proxy/steps.h"

enum deadline {
    DEADLINE_NONE,
    DEADLINE_HEADER,
    DEADLINE_BODY,
    DEADLINE_TURN,
    DEADLINE_CONNECT,
    DEADLINE_TRANSFER,
    DEADLINE_RESPONSE,
    DEADLINE_RELAY,
    DEADLINE_TUNNEL,
    DEADLINE_SEND,
    DEADLINE_DRAIN
};

struct row {
    const char *name, *waits, *deadline_name;
    enum deadline deadline;
    enum outcome outcome;
    unsigned next;
};

#define NEXT(s) (1u << STATE_##s)
static const struct row rows[STATE_COUNT] = {
#define STATE(id, waits, deadline, outcome, next) \
    {#id, waits, #deadline, DEADLINE_##deadline, OUTCOME_##outcome, next},
#include "proxy/states.def"
};

static const struct outcome_row outcomes[OUTCOME_COUNT] = {
#define OUTCOME(id, word, status, sentence) {word, sentence, status},
#include "diplex/board/outcomes.def"
};

const struct outcome_row *outcome_row(enum outcome o)
{
    DX_ASSERT(o < OUTCOME_COUNT);
    return &outcomes[o];
}

const char *exchange_state_name(const struct exchange *x) { return rows[x->state].name; }

static void enter(struct exchange *x, enum state next, enum mover by)
{
    DX_ASSERT(next < STATE_COUNT && (rows[x->state].next & (1u << next)) != 0);
    edges_count(x, next, by);
    x->state = next;
    x->armed_for = STATE_COUNT; /* a wait in it is a new one, even where it was before */
}

/* --- deadlines --- */

static uint64_t duration_of(const struct exchange *x)
{
    const struct dx_config *c = view_config(x->view);

    switch (rows[x->state].deadline) {
    case DEADLINE_NONE:
        return 0;
    case DEADLINE_HEADER:
    case DEADLINE_DRAIN:
        return c->timeouts.header;
    case DEADLINE_BODY:
        return c->timeouts.body;
    case DEADLINE_TURN:
        return dx_turn_left(&x->turn);
    case DEADLINE_CONNECT:
        return x->pool->timeouts.connect;
    case DEADLINE_RESPONSE:
    case DEADLINE_TRANSFER:
        if (x->asking)
            return expect_ms(x);
        return x->blocked == BLOCKED_CLIENT ? c->timeouts.body : x->pool->timeouts.response;
    case DEADLINE_RELAY:
        return x->blocked == BLOCKED_CLIENT ? c->timeouts.send : x->pool->timeouts.idle;
    case DEADLINE_TUNNEL:
        return x->pool->timeouts.tunnel;
    case DEADLINE_SEND:
        return c->timeouts.send;
    }
    return 0;
}

/* The kernel takes megabytes for a client, and says that there is room when a good part of them has gone: for
 * a slow reader that is much later than its deadline. So what it holds tells whether the client takes. */
static size_t pending(const struct exchange *x)
{
    const struct dx_transport *t = x->front->ops->sink(x->front);
    bool asked = x->blocked == BLOCKED_CLIENT && (x->state == STATE_RELAY || x->state == STATE_DELIVER);

    return asked && t != NULL ? dx_transport_pending(t) : 0;
}

/* A wait begins, or goes on after progress. The head's time and the drain's are for the whole of it. False:
 * the client's time is over at once, because all its pieces were too small. */
static bool arm(struct exchange *x)
{
    bool whole = x->state == STATE_READ_HEAD || x->state == STATE_DRAIN;
    bool same = x->armed_for == x->state && x->armed_blocked == x->blocked;

    if (same && (whole || !x->progress))
        return true;
    x->armed_for = x->state;
    x->armed_blocked = x->blocked;
    x->progress = false;
    if (x->blocked == BLOCKED_CLIENT)
        x->armed_pending = pending(x);
    if (!pace_keeps(x))
        return false;
    uint64_t ms = duration_of(x);
    if (ms == 0 && x->connection != NULL) /* for ever, but not for a host that has vanished */
        dx_transport_watch_over(dx_connection_transport(x->connection));
    dx_deadline_set(x->proxy->loop, &x->deadline, ms);
    return true;
}

static enum outcome outcome_of_deadline(const struct exchange *x)
{
    if (x->blocked == BLOCKED_CLIENT && (x->state == STATE_SEND || x->state == STATE_AWAIT_HEAD))
        return OUTCOME_BODY_TIMEOUT;
    if (x->blocked == BLOCKED_CLIENT && x->state == STATE_RELAY)
        return OUTCOME_CLIENT_SLOW;
    return rows[x->state].outcome;
}

/* The deadline's own way on: another server, an answer, or the end. */
static enum state after_deadline(struct exchange *x)
{
    enum outcome o = outcome_of_deadline(x);

    if (x->state == STATE_PICK)
        return exchange_waited_in_vain(x);
    if (x->state == STATE_CONNECT) {
        dx_connection_timed_out(x->connection);
        dx_connection_close(&x->connection);
        x->connect_outcome = o;
        return STATE_PICK;
    }
    /* The worker behind a slot is busy with the request still. */
    if (o == OUTCOME_RESPONSE_TIMEOUT && x->pool->slots > 0)
        dx_connection_abandon(&x->connection, x->pool->timeouts.response);
    if (x->state == STATE_RELAY || x->state == STATE_DELIVER)
        x->front->ops->break_off(x->front, x);
    if (x->state == STATE_DRAIN)
        return exchange_end(x, x->outcome);
    if (rows[x->state].next & (1u << STATE_REPLY)) {
        enum state next = exchange_answer(x, o, NULL);
        if (o == OUTCOME_HEADER_TIMEOUT || o == OUTCOME_BODY_TIMEOUT)
            x->keep_client = false;
        return next;
    }
    return exchange_end(x, o);
}

/* Never silent for so long, but slower than limits.min_rate. */
static void too_slow(struct exchange *x)
{
    const char *reason = pace_reason(x);
    enter(x, after_deadline(x), MOVED_BY_DEADLINE);
    x->reason = reason;
}

static void on_deadline(struct dx_deadline *d)
{
    struct exchange *x = DX_CONTAINER(d, struct exchange, deadline);
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    if (x->blocked == BLOCKED_CLIENT && pending(x) < x->armed_pending) {
        x->progress = true; /* the client takes, if slowly */
        if (arm(x))
            return;
        too_slow(x);
    } else if (!expect_gave_up(x)) {
        enter(x, after_deadline(x), MOVED_BY_DEADLINE);
    }
    x->front->ops->wake(x->front);
}

/* The server's own deadline, where the client is waited for at the same time. */
static void on_silence(struct dx_deadline *d)
{
    struct exchange *x = DX_CONTAINER(d, struct exchange, silence);
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    enter(x, absorb_cut(x, OUTCOME_ANSWER_TIMEOUT, NULL), MOVED_BY_DEADLINE);
    x->front->ops->wake(x->front);
}

/* --- the walk --- */

static _Thread_local const struct exchange *at_hand;

/* Its path, for a query may hold secrets. */
void exchange_print_at_hand(void)
{
    if (at_hand != NULL && at_hand->magic == EXCHANGE_MAGIC)
        dx_log(DX_LOG_ERROR, "panic_exchange", DX_KS("state", rows[at_hand->state].name),
               DX_KL("method", at_hand->request.method), DX_KL("path", at_hand->request.path),
               DX_KS("server", at_hand->server));
}

void exchange_run(struct exchange *x)
{
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    at_hand = x;
    for (;;) {
        x->blocked = BLOCKED_NOT;
        enum state next = exchange_steps[x->state](x);
        if (next != STATE_WAIT)
            enter(x, next, MOVED_BY_STEP);
        else if (x->state == STATE_FINISH || DX_LIKELY(arm(x)))
            break;
        else
            too_slow(x);
    }
    at_hand = NULL;
}

static void on_server_ready(struct dx_connection_user *u)
{
    struct exchange *x = DX_CONTAINER(u, struct exchange, user);
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    x->front->ops->wake(x->front);
}

static void on_again(struct dx_task *t)
{
    struct exchange *x = DX_CONTAINER(t, struct exchange, again);
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    x->front->ops->wake(x->front);
}

/* --- birth and death --- */

/* Eight hexadecimal digits at once: each byte of `wide` holds one nibble. */
static void hex_eight(uint32_t word, char out[8])
{
    uint64_t wide = word;
    wide = (wide | wide << 16) & 0x0000ffff0000ffffull;
    wide = (wide | wide << 8) & 0x00ff00ff00ff00ffull;
    wide = (wide | wide << 4) & 0x0f0f0f0f0f0f0f0full;
    uint64_t letters = ((wide + 0x0606060606060606ull) >> 4) & 0x0101010101010101ull; /* 1 where above 9 */
    wide += 0x3030303030303030ull + letters * ('a' - '0' - 10);
    memcpy(out, &wide, sizeof(wide));
}

static void make_id(struct exchange *x)
{
    for (unsigned half = 0; half < 2; half++) {
        uint64_t bits = dx_random_next(&x->proxy->random);
        hex_eight((uint32_t)bits, x->id_text + half * 16);
        hex_eight((uint32_t)(bits >> 32), x->id_text + half * 16 + 8);
    }
}

struct exchange *exchange_new(struct dx_proxy *p, struct front *front)
{
    struct exchange *x = dx_slab_get(&p->exchanges);
    if (x == NULL)
        return NULL;
    memset(x, 0, offsetof(struct exchange, lent));
    DX_MAGIC_SET(x, EXCHANGE_MAGIC);
    x->proxy = p;
    x->front = front;
    x->view = p->view;
    x->view->refs++;
    x->state = STATE_READ_HEAD;
    x->armed_for = STATE_COUNT;
    x->keep_client = true;
    x->deadline.on_due = on_deadline;
    x->silence.on_due = on_silence;
    x->again.run = on_again;
    x->user.on_ready = on_server_ready;
    dx_arena_init(&x->arena, x->lent, sizeof(x->lent));
    x->request.fields.max = view_config(x->view)->limits.header_count;
    x->request.fields.at = dx_arena_alloc(&x->arena, x->request.fields.max * sizeof(struct dx_field));
    x->start_us = dx_loop_now_us(p->loop);
    x->start_wall_us = dx_clock_wall_us();
    make_id(x);
    x->request_id = dx_slice_of(x->id_text, sizeof(x->id_text));
    x->client_ip = front->ip;
    proxy_count(p, DX_COUNTER_REQUESTS_RUNNING, 1);
    if (x->request.fields.at != NULL)
        return x;
    exchange_free(x);
    return NULL;
}

void exchange_free(struct exchange *x)
{
    DX_MAGIC_OK(x, EXCHANGE_MAGIC);
    struct dx_proxy *p = x->proxy;
    struct blocks b = {.small = &p->blocks, .bulk = &p->bulk};
    dx_deadline_clear(&x->deadline);
    dx_task_cancel(&x->again);
    if (dx_turn_waits(&x->turn))
        dx_turn_leave(&x->turn);
    dx_connection_close(&x->connection);
    inlet_release(&x->in, &b);
    if (x->head_block != NULL)
        inlet_put_block(x->head_block, x->head_block_bulk, &b);
    splice_drop(x);
    if (x->absorbing)
        absorb_drop(x);
    if (x->spool_open)
        shelf_clear(x, &x->spool);
    dx_arena_reset(&x->arena);
    if (x->tunnel)
        proxy_count(p, DX_COUNTER_TUNNELS_OPEN, -1);
    if (x->tunnel_wanted)
        proxy_count(p, DX_COUNTER_TUNNELS_WANTED, -1);
    proxy_count(p, DX_COUNTER_REQUESTS_RUNNING, -1);
    view_unref(&x->view);
    DX_MAGIC_CLEAR(x);
    dx_slab_put(&p->exchanges, x);
}

void exchange_cut(struct exchange *x, enum outcome why)
{
    if (x->state == STATE_FINISH)
        return;
    x->front->ops->break_off(x->front, x);
    if (x->state != STATE_DRAIN)
        x->outcome = why;
    exchange_account(x);
    edges_count(x, STATE_FINISH, MOVED_BY_CUT);
    x->state = STATE_FINISH; /* from anywhere: the one move that is not in the table, when the worker ends */
}

/* --- what steps share --- */

enum state exchange_answer(struct exchange *x, enum outcome o, const char *reason)
{
    x->outcome = o;
    x->reason = reason;
    x->status = o == OUTCOME_MAINTENANCE ? x->route->maintenance.status : outcome_row(o)->status;
    if (x->state == STATE_READ_HEAD)
        x->front->ops->known(x->front, x);
    if (!exchange_body_read(x)) {
        x->keep_client = false;
        x->linger = true;
    }
    return STATE_REPLY;
}

enum state exchange_end(struct exchange *x, enum outcome o)
{
    x->outcome = o;
    x->keep_client = false;
    return STATE_FINISH;
}

static bool storage(struct exchange *x, struct dx_fields *f)
{
    if (f->at == NULL) {
        f->max = view_config(x->view)->limits.header_count;
        f->at = dx_arena_alloc(&x->arena, f->max * sizeof(struct dx_field));
    }
    return f->at != NULL;
}

bool exchange_answer_storage(struct exchange *x) { return storage(x, &x->response.fields); }
bool exchange_trailer_storage(struct exchange *x) { return storage(x, &x->trailers); }

bool exchange_reads_off(struct exchange *x)
{
    if (x->pool->kind == DX_KIND_ASGI || x->discard)
        return false;
    x->discard = true;
    x->body_out -= absorb_unsent(x);
    x->discard_from = x->body_out;
    x->keep_client = false;
    outlet_clear(&x->down);
    splice_drop(x);
    absorb_drop(x);
    x->down_full = false;
    return true;
}

bool exchange_reads_client(const struct exchange *x)
{
    return x->state == STATE_READ_HEAD || x->tunnel || !exchange_body_read(x);
}

void exchange_release_connection(struct exchange *x)
{
    bool whole = x->up_ended && !x->up_broken && outlet_empty(&x->up) && inlet_empty(&x->in);

    bool kept = x->response.keep_alive && x->answer.framing != DX_FRAMING_CLOSE && x->pool->keepalive.max > 0;

    if (whole && kept)
        dx_connection_keep(&x->connection);
    else
        dx_connection_close(&x->connection);
}

enum state exchange_delivered(struct exchange *x)
{
    x->outcome = OUTCOME_OK;
    x->reason = NULL;
    return exchange_body_read(x) && !x->linger ? STATE_FINISH : STATE_DRAIN;
}

/* The client lagged: it may not have all that was taken from the server. */
static void account_lag(struct exchange *x)
{
    x->body_out -= absorb_unsent(x);
    if (x->whole_us == 0)
        return;
    uint64_t saved = dx_loop_now_us(x->proxy->loop) - x->whole_us;
    proxy_count(x->proxy, DX_COUNTER_SERVER_TIME_SAVED, (int64_t)saved);
    dx_count_add(&x->proxy->routes[x->place].saved_answer_us, saved);
}

void exchange_account(struct exchange *x)
{
    struct dx_proxy *p = x->proxy;
    if (x->lagged)
        account_lag(x);
    proxy_count(p, DX_COUNTER_REQUESTS, 1);
    proxy_count(p, DX_COUNTER_BYTES_IN, (int64_t)x->body_in);
    proxy_count(p, DX_COUNTER_BYTES_OUT, (int64_t)x->body_out);
    tally_exchange(x);
    access_write(x);
    if (DX_UNLIKELY(x->view->tells_slow))
        slow_end(x);
    hints_end(x);
}

/* --- the tables as text --- */

void dx_proxy_print_states(struct dx_text *out)
{
    dx_text_adds(out,
                 "| state | waits for | deadline | when it passes | may go on to |\n|---|---|---|---|---|\n");
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        bool timed = rows[i].deadline != DEADLINE_NONE;
        dx_text_addf(out, "| %s | %s | %s | %s |", rows[i].name, rows[i].waits,
                     timed ? rows[i].deadline_name : "-", timed ? outcomes[rows[i].outcome].word : "-");
        for (unsigned k = 0; k < STATE_COUNT; k++)
            if (rows[i].next & (1u << k))
                dx_text_addf(out, " %s", rows[k].name);
        dx_text_adds(out, " |\n");
    }
}

void dx_proxy_print_outcomes(struct dx_text *out)
{
    dx_text_adds(out, "| outcome | status | meaning |\n|---|---|---|\n");
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
        dx_text_addf(out, "| `%s` | ", outcomes[i].word);
        if (outcomes[i].status != 0)
            dx_text_addf(out, "%u", outcomes[i].status);
        else
            dx_text_adds(out, "-");
        dx_text_addf(out, " | %s |\n", outcomes[i].sentence);
    }
}
