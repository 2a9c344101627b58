/* SPDX-License-Identifier: MIT */
/*
 * The life of one request, from its first byte to its line in the log.
 *
 *   READ_HEAD* -> ROUTE -> (READ_BODY*) -> PICK* -> CONNECT* -> SEND* -> AWAIT_HEAD* -> RELAY* -> DRAIN* -+
 *       |           |          |            |  ^        |        |          |  |          |         ^     |
 *       | bad,slow  | 404      | 413    503 |  +-retry--+--------+----------+  |          +DELIVER*-+     v
 *       |           |          |            |                                  +- 101 -> TUNNEL* ----> FINISH
 *       +-----------+----------+------------+--------------> REPLY* -------------------------------------^
 *                                                                              * may wait for the loop
 *
 * The table of states (states.def) says for each what it waits for, how long, with which outcome that ends,
 * and where it may go. A step does what can be done now and names the next state, or STATE_WAIT. Whatever
 * happens outside (an edge of either side, a deadline) only sets facts and runs the exchange again. Three
 * laws: nothing below calls back while a step runs; only enter() assigns the state, and it asserts the edge;
 * an exchange is freed by its client when it has finished, never from inside.
 *
 * No edge leads from RELAY to REPLY, so nothing is answered twice; none from RELAY to PICK, so nothing is
 * sent again once the client saw a byte.
 */
#include <errno.h>

#include "diplex/http/trace.h"
#include "diplex/preamble.h"
#include "proxy/front.h"
#include "proxy/steps.h"

#define INTERIMS_MAX 16 /* 1xx heads that a server may send before its answer */
#define HEAD_GROWTH \
    1024 /* what our own fields may add to a request head, beside a copy of the host and of the addresses */

/* --- READ_HEAD --- */

static enum state refuse(struct exchange *x, const struct dx_http_error *err)
{
    enum outcome o = err->status == 413   ? OUTCOME_BODY_TOO_LARGE
                     : err->status == 503 ? OUTCOME_NO_MEMORY
                                          : OUTCOME_BAD_REQUEST;
    enum state next = exchange_answer(x, o, err->reason);
    x->status = err->status;
    x->keep_client = false;
    x->linger = x->raw_drain = true;
    return next;
}

static enum state step_read_head(struct exchange *x)
{
    struct dx_http_error err = {400, NULL};

    switch (x->front->ops->read_head(x->front, x, &err)) {
    case FRONT_OK:
        return STATE_ROUTE;
    case FRONT_WAIT:
        return STATE_WAIT;
    case FRONT_BAD:
        return refuse(x, &err);
    case FRONT_END:
    case FRONT_GONE:
        break;
    }
    return exchange_end(x, OUTCOME_CLIENT_LEFT);
}

/* --- ROUTE --- */

/* Where the body will come from, and in which framing it goes on (under WSGI Django reads no body that comes
 * without Content-Length). */
static enum state plan_body(struct exchange *x)
{
    const struct dx_request *r = &x->request;

    x->up_framing = r->framing;
    if (r->framing == DX_FRAMING_NONE || (r->framing == DX_FRAMING_LENGTH && r->length == 0)) {
        x->source = SOURCE_NONE;
        return STATE_PICK;
    }
    if (x->body_limit != 0 && r->framing == DX_FRAMING_LENGTH && r->length > x->body_limit)
        return refuse(x, &(struct dx_http_error){413, "Content-Length over the limit"});
    if (x->front->ops->whole_body(x->front, x, &x->memory)) {
        x->source = SOURCE_MEMORY;
        x->body_in = x->memory.n;
        return STATE_PICK;
    }
    if (x->pool->kind == DX_KIND_ASGI) {
        x->source = SOURCE_STREAM;
        return STATE_PICK;
    }
    x->source = SOURCE_SPOOL;
    x->up_framing = DX_FRAMING_LENGTH;
    return STATE_READ_BODY;
}

static enum state step_route(struct exchange *x)
{
    struct dx_forward_request how;
    struct dx_http_error err;
    int at;

    exchange_identify(x, &how);
    if (!target_find_route(x, &how, &at, &err))
        return refuse(x, &err);
    if (DX_UNLIKELY(x->request.counted && x->request.max_forwards == 0))
        return exchange_answer(x, OUTCOME_ANSWERED, "Max-Forwards: 0");
    if (at == DX_ROUTE_NONE)
        return exchange_answer(x, OUTCOME_NO_ROUTE, NULL);
    const struct dx_config *c = view_config(x->view);
    x->route = &c->routes[at];
    x->pool = &c->pools[x->route->pool];
    x->place = x->view->snapshot->places[at];
    x->body_limit = x->route->body_limit;
    if (DX_UNLIKELY(maintenance_may_be_on(x)) && maintenance_holds(x))
        return exchange_come_later(x, OUTCOME_MAINTENANCE);
    if (DX_UNLIKELY(x->request.host.n == 0))
        target_lend_host(x);
    if (DX_UNLIKELY(c->trace.mode != DX_TRACE_PASS))
        trace_see(x, how.peer_trusted);
    if (x->pool->sticky.by != DX_STICKY_OFF)
        sticky_wish(x);
    x->fresh_only = x->pool->keepalive.max == 0;
    if (x->request.websocket && x->pool->kind == DX_KIND_WSGI)
        return exchange_answer(x, OUTCOME_UPGRADE_REFUSED, "a wsgi pool cannot speak WebSocket");
    if (x->request.websocket && !room_for_tunnel(x))
        return exchange_answer(x, OUTCOME_TUNNELS_FULL, NULL);
    return plan_body(x);
}

/* --- READ_BODY --- */

/* "Go on": asked for by clients that hold their body back until somebody wants it. */
static bool say_continue(struct exchange *x)
{
    static struct dx_field none;
    struct dx_response go_on = {
        .status = 100, .reason = DX_SLICE("Continue"), .minor = 1, .fields = {.at = &none}};

    if (!x->request.expect_continue || x->request.minor == 0)
        return true;
    x->request.expect_continue = false;
    return x->front->ops->write_interim(x->front, x, &go_on);
}

static enum state step_read_body(struct exchange *x)
{
    struct dx_http_error err = {400, NULL};
    const struct dx_config *c = view_config(x->view);

    if (!x->spool_open) {
        dx_spool_init(&x->spool, (size_t)c->buffer.memory, c->buffer.path);
        x->spool_open = true;
        x->spool_us = dx_loop_now_us(x->proxy->loop);
        if (!say_continue(x))
            return exchange_answer(x, OUTCOME_NO_MEMORY, NULL);
    }
    if (!outlet_empty(&x->down) && x->front->ops->flush(x->front, x) == FRONT_GONE)
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    switch (pump_spool(x, &err)) {
    case PUMP_DONE:
        if (dx_spool_in_file(&x->spool))
            proxy_count(x->proxy, DX_COUNTER_SPOOL_FILES, 1);
        return STATE_PICK;
    case PUMP_WAIT:
        return STATE_WAIT;
    case PUMP_CLIENT_BAD:
        return refuse(x, &err);
    case PUMP_NO_MEMORY:
        return exchange_answer(x, OUTCOME_NO_MEMORY, NULL);
    case PUMP_SPOOL:
        return exchange_spool_failed(x);
    case PUMP_SERVER_BROKE:
    case PUMP_WHOLE:
    case PUMP_CLIENT_GONE:
        break;
    }
    return exchange_end(x, OUTCOME_CLIENT_LEFT);
}

/* --- PICK --- */

static void went_to(struct exchange *x, struct dx_server *s)
{
    if (x->tried.n < DX_TRIED_MAX)
        x->tried.id[x->tried.n++] = dx_server_id(s);
    memcpy(x->server, dx_server_name(s), sizeof(x->server));
}

/* No connection could even be begun. */
static enum state dial_failed(struct exchange *x)
{
    bool ours = room_lacking(errno);

    x->connect_outcome = ours ? OUTCOME_NO_MEMORY : OUTCOME_CONNECT_FAILED;
    x->reason = dx_err_text(errno);
    dx_slot_give_back(&x->turn.slot);
    return ours ? exchange_answer(x, OUTCOME_NO_MEMORY, x->reason) : STATE_PICK;
}

static enum state step_pick(struct exchange *x)
{
    uint64_t now = dx_loop_now_us(x->proxy->loop);
    struct dx_server *s = NULL;

    if (x->queued_us == 0) {
        x->queued_us = now;
        if (DX_UNLIKELY(x->view->tells_slow))
            slow_begin(x);
    }
    if (dx_turn_waits(&x->turn) && x->front->ops->gone(x->front)) {
        dx_turn_leave(&x->turn);
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    }
    enum dx_turn_answer answer = exchange_take_turn(x, &s);
    if (answer == DX_TURN_WAIT)
        return STATE_WAIT;
    if (answer != DX_TURN_GO)
        return exchange_no_turn(x, answer);
    x->picked_us = now;
    x->connection = x->fresh_only ? NULL : dx_server_reuse(s, &x->user);
    if (x->connection == NULL)
        x->connection = room_dial(x, s);
    went_to(x, s);
    if (x->connection == NULL)
        return dial_failed(x);
    if (!dx_slot_is_none(&x->turn.slot))
        dx_connection_take_slot(x->connection, &x->turn.slot);
    x->reused = dx_connection_reused(x->connection);
    return x->reused ? STATE_SEND : STATE_CONNECT;
}

/* --- CONNECT --- */

static enum state step_connect(struct exchange *x)
{
    if (x->front->ops->gone(x->front) && x->pool->kind == DX_KIND_ASGI)
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    switch (dx_connection_state(x->connection)) {
    case DX_DIAL_WAIT:
        return STATE_WAIT;
    case DX_DIAL_OPEN:
        return STATE_SEND;
    case DX_DIAL_FAILED:
        break;
    }
    x->connect_outcome = OUTCOME_CONNECT_FAILED;
    x->reason = dx_err_text(errno);
    dx_connection_close(&x->connection);
    return STATE_PICK;
}

/* --- SEND --- */

static bool make_head(struct exchange *x)
{
    const struct dx_config *c = view_config(x->view);
    struct dx_forward_request how;

    if (x->head.n > 0)
        return true;
    exchange_peer(x, c, &how);
    how.framing = x->up_framing;
    how.length = x->source == SOURCE_SPOOL ? dx_spool_bytes(&x->spool) : x->request.length;
    how.expect_continue = x->asking || (x->source == SOURCE_STREAM && x->request.expect_continue);
    how.close = x->pool->keepalive.max == 0;
    if (DX_UNLIKELY(x->traceparent != NULL))
        how.traceparent = dx_slice_of(x->traceparent, DX_TRACE_PARENT);
    size_t cap = DX_PREAMBLE_WRITTEN + x->request_head_bytes + HEAD_GROWTH + 2 * x->request.host.n;
    char *p = dx_arena_alloc(&x->arena, cap);
    if (p == NULL)
        return false;
    struct dx_out out = dx_out_of(p, cap);
    exchange_introduce(x, &out);
    x->head_at = dx_out_slice(&out).n;
    if (!dx_forward_write_request(&x->request, &how, &out))
        return false;
    x->head = dx_out_slice(&out);
    return true;
}

/* What a pump up says that is not about the server. STATE_WAIT: nothing that ends the exchange. */
static enum state after_pump_up(struct exchange *x, enum pump how, const struct dx_http_error *err)
{
    switch (how) {
    case PUMP_CLIENT_GONE:
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    case PUMP_CLIENT_BAD:
        return refuse(x, err);
    case PUMP_NO_MEMORY:
        return exchange_answer(x, OUTCOME_NO_MEMORY, NULL);
    case PUMP_SPOOL:
        return exchange_answer(x, OUTCOME_SPOOL_FAILED, dx_err_text(errno));
    case PUMP_SERVER_BROKE:
        x->up_ended = x->up_broken = true;
        outlet_clear(&x->up);
        break;
    case PUMP_DONE:
    case PUMP_WAIT:
    case PUMP_WHOLE:
        break;
    }
    return STATE_WAIT;
}

static bool left(const struct exchange *x)
{
    return x->pool->kind == DX_KIND_ASGI && x->front->ops->gone(x->front);
}

static enum state step_send(struct exchange *x)
{
    struct dx_http_error err = {400, NULL};

    if (left(x))
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    if (!x->asked) {
        x->asking = expect_wanted(x);
        x->expected |= x->asking;
        if (!make_head(x))
            return exchange_answer(x, OUTCOME_NO_MEMORY, NULL);
        x->asked = true;
        x->connected_us = dx_loop_now_us(x->proxy->loop);
        dx_connection_asked(x->connection);
        outlet_add(&x->up, x->head);
    }
    enum pump pumped = x->asking ? expect_send(x) : pump_up(x, &err);
    if (pumped == PUMP_DONE)
        return STATE_AWAIT_HEAD;
    if (pumped == PUMP_SERVER_BROKE && (x->up.sent == 0 || x->asking))
        return exchange_server_broke(x, "the connection was closed before the request could be sent");
    enum state next = after_pump_up(x, pumped, &err);
    if (next != STATE_WAIT)
        return next;
    /* An early answer, or the reason why the server takes no more. */
    if (x->up_broken || dx_connection_transport(x->connection)->readable)
        return STATE_AWAIT_HEAD;
    return STATE_WAIT;
}

/* --- AWAIT_HEAD --- */

static enum state bad_answer(struct exchange *x, const char *reason)
{
    dx_connection_close(&x->connection);
    return exchange_answer(x, OUTCOME_BAD_ANSWER, reason);
}

static enum state begin_tunnel(struct exchange *x)
{
    if (!x->request.websocket || !x->response.upgrade)
        return bad_answer(x, "101 without a request for it");
    x->keep_client = false;
    x->status = 101;
    if (!x->front->ops->write_head(x->front, x, &x->response, x->answer_head_bytes))
        return exchange_end(x, OUTCOME_NO_MEMORY);
    x->front->ops->go_raw(x->front, x);
    dx_http1_body_init(&x->answer, DX_FRAMING_CLOSE, 0);
    x->source = SOURCE_STREAM;
    x->up_framing = DX_FRAMING_NONE;
    x->up_ended = false;
    x->body_limit = 0;
    x->tunnel = true;
    proxy_count(x->proxy, DX_COUNTER_TUNNELS_OPEN, 1);
    return STATE_TUNNEL;
}

/* A whole response head is parsed. STATE_WAIT: it was an interim one, look for the next. */
static enum state head_arrived(struct exchange *x)
{
    if (x->response.status == 101)
        return begin_tunnel(x);
    if (x->response.status < 200) {
        if (x->response.status == 100 && x->expected) { /* by us, not by the client */
            expect_continued(x);
            return STATE_WAIT;
        }
        if (++x->interims > INTERIMS_MAX)
            return bad_answer(x, "too many interim answers");
        if (x->response.status == 100)
            x->request.expect_continue = false; /* the client has its word and will send */
        if (!x->front->ops->write_interim(x->front, x, &x->response))
            return exchange_answer(x, OUTCOME_NO_MEMORY, NULL);
        return x->front->ops->flush(x->front, x) == FRONT_GONE && !exchange_reads_off(x)
                   ? exchange_end(x, OUTCOME_CLIENT_LEFT)
                   : STATE_WAIT;
    }
    exchange_settle_fields(x, &x->response.fields);
    x->status = x->response.status;
    if (x->expected)
        expect_answered(x);
    x->first_byte_us = dx_loop_now_us(x->proxy->loop);
    hints_answer(x);
    dx_connection_answered(x->connection, x->status);
    /* An answer before the request's end. A client that still waits for "Continue" may never send the body,
     * and then nobody could say where its next request begins. */
    if (!exchange_body_read(x) && x->request.expect_continue)
        x->keep_client = false, x->linger = true;
    dx_http1_body_init(&x->answer, x->response.framing, x->response.length);
    if (!x->front->ops->write_head(x->front, x, &x->response, x->answer_head_bytes))
        return exchange_end(x, OUTCOME_NO_MEMORY);
    return STATE_RELAY;
}

/* The head of a wsgi server's answer goes on with the first of its body, which is on its way (PEP 3333 has no
 * head without): one system call instead of two, and should the server die between the two, as it does when
 * it is killed, the client has not seen anything yet. */
static bool waits_for_body(const struct exchange *x)
{
    const struct dx_response *r = &x->response;
    bool body = r->framing == DX_FRAMING_CHUNKED || (r->framing == DX_FRAMING_LENGTH && r->length > 0);
    return body && !r->stream && r->status >= 200 && x->pool->kind == DX_KIND_WSGI;
}

static enum state parse_answer(struct exchange *x, bool *more)
{
    const struct dx_config *c = view_config(x->view);
    struct dx_http1_limits limits = {.head_bytes = c->limits.header_size, .fields = c->limits.header_count};
    struct dx_http_error err = {502, NULL};
    struct dx_slice in = inlet_bytes(&x->in);
    size_t used = 0;

    *more = true;
    if (in.n <= x->answer_seen || in.n == x->lone_head)
        return STATE_WAIT;
    switch (dx_http1_response_head(in.p, in.n, x->answer_seen, &limits, x->request.method_id, &x->response,
                                   &used, &err)) {
    case DX_PARSE_MORE:
        x->answer_seen = in.n;
        return STATE_WAIT;
    case DX_PARSE_BAD:
        return bad_answer(x, err.reason);
    case DX_PARSE_DONE:
        break;
    }
    x->answer_seen = 0;
    if (in.n == used && waits_for_body(x)) {
        x->lone_head = used;
        return STATE_WAIT;
    }
    inlet_use(&x->in, used);
    x->answer_head_bytes = used;
    *more = false;
    return head_arrived(x);
}

static enum state step_await_head(struct exchange *x)
{
    struct dx_http_error err = {400, NULL};
    struct dx_transport *t = dx_connection_transport(x->connection);
    struct blocks b = {.small = &x->proxy->blocks, .bulk = &x->proxy->bulk};

    if (left(x))
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    if (!exchange_answer_storage(x))
        return exchange_answer(x, OUTCOME_NO_MEMORY, NULL);
    for (;;) {
        bool more;
        enum state next = STATE_WAIT;
        if (!x->asking && (!x->up_ended || !outlet_empty(&x->up)))
            next = after_pump_up(x, pump_up(x, &err), &err);
        if (next == STATE_WAIT)
            next = parse_answer(x, &more);
        if (next != STATE_WAIT)
            return next;
        if (!more)
            continue;
        if (!dx_transport_may_read(t))
            return STATE_WAIT;
        enum dx_io io = inlet_fill(&x->in, t, &b, true);
        if (io == DX_IO_AGAIN)
            return STATE_WAIT;
        if (io == DX_IO_OK)
            continue;
        if (io == DX_IO_ERROR && errno == ENOMEM) /* ours, and no sign of the server's health */
            return exchange_answer(x, OUTCOME_NO_MEMORY, dx_err_text(errno));
        if ((inlet_empty(&x->in) || x->lone_head > 0) && x->interims == 0)
            return exchange_server_broke(x, io == DX_IO_EOF ? "the server closed without an answer"
                                                            : dx_err_text(errno));
        dx_connection_broke(x->connection);
        return bad_answer(x, "the server closed in the middle of its response head");
    }
}

/* --- RELAY --- */

/* The server is done; has the client it all? */
static enum state relayed(struct exchange *x, bool all)
{
    exchange_release_connection(x);
    if (!all)
        return absorb_leave(x);
    if (x->discard)
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    return exchange_delivered(x);
}

/* The answer cannot be completed: the client must see that. */
static enum state answer_cut(struct exchange *x, const char *reason)
{
    if (x->absorbing)
        return absorb_cut(x, OUTCOME_ANSWER_CUT, reason);
    x->reason = reason;
    x->front->ops->break_off(x->front, x);
    return exchange_end(x, OUTCOME_ANSWER_CUT);
}

static enum state step_relay(struct exchange *x)
{
    struct dx_http_error err = {502, "the server closed in the middle of its answer"};

    if (left(x))
        return exchange_end(x, OUTCOME_CLIENT_LEFT);
    if (!x->up_ended || !outlet_empty(&x->up)) {
        struct dx_http_error bad = {400, NULL};
        enum pump up = pump_up(x, &bad);
        if (up == PUMP_SERVER_BROKE || up == PUMP_CLIENT_BAD || up == PUMP_CLIENT_GONE || up == PUMP_SPOOL ||
            up == PUMP_NO_MEMORY) {
            x->up_ended = x->up_broken = true;
            x->raw_drain = up == PUMP_CLIENT_BAD;
            outlet_clear(&x->up);
        }
    }
    enum pump down = pump_down(x, &err);
    switch (down) {
    case PUMP_DONE:
    case PUMP_WHOLE:
        return relayed(x, down == PUMP_DONE);
    case PUMP_WAIT:
        return STATE_WAIT;
    case PUMP_CLIENT_GONE:
        if (!exchange_reads_off(x))
            return exchange_end(x, OUTCOME_CLIENT_LEFT);
        dx_loop_again(x->proxy->loop, &x->again);
        return STATE_WAIT;
    case PUMP_NO_MEMORY:
        err.reason = "out of memory";
        break;
    case PUMP_SERVER_BROKE:
    case PUMP_CLIENT_BAD:
    case PUMP_SPOOL:
        break;
    }
    return answer_cut(x, err.reason);
}

/* --- TUNNEL --- */

static enum state step_tunnel(struct exchange *x)
{
    struct dx_http_error err = {0, NULL};

    enum pump up = x->up_ended ? PUMP_DONE : pump_up(x, &err);
    enum pump down = pump_down(x, &err);
    if (up == PUMP_NO_MEMORY || up == PUMP_CLIENT_BAD || down == PUMP_NO_MEMORY)
        return exchange_end(x, OUTCOME_NO_MEMORY); /* bytes of a tunnel cannot be bad */
    if (down != PUMP_WAIT || up != PUMP_WAIT || x->up_ended)
        return exchange_end(x, OUTCOME_OK);
    return STATE_WAIT;
}

/* --- REPLY, DRAIN: reply.c --- */

/* --- FINISH --- */

static enum state step_finish(struct exchange *x)
{
    exchange_account(x);
    return STATE_WAIT;
}

enum state (*const exchange_steps[STATE_COUNT])(struct exchange *) = {
    [STATE_READ_HEAD] = step_read_head,
    [STATE_ROUTE] = step_route,
    [STATE_READ_BODY] = step_read_body,
    [STATE_PICK] = step_pick,
    [STATE_CONNECT] = step_connect,
    [STATE_SEND] = step_send,
    [STATE_AWAIT_HEAD] = step_await_head,
    [STATE_RELAY] = step_relay,
    [STATE_DELIVER] = exchange_step_deliver,
    [STATE_TUNNEL] = step_tunnel,
    [STATE_REPLY] = exchange_step_reply,
    [STATE_DRAIN] = exchange_step_drain,
    [STATE_FINISH] = step_finish,
};
