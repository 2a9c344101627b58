/* SPDX-License-Identifier: MIT */
/* What the steps of an exchange (exchange.c) and their runner (run.c) share. */
#ifndef PROXY_STEPS_H
#define PROXY_STEPS_H

#include "diplex/board/switches.h"
#include "proxy/internal.h"

extern enum state (*const exchange_steps[STATE_COUNT])(struct exchange *);

#define DRAIN_MAX (256u * 1024) /* unwanted body bytes that are read for the sake of a connection */

/* target.c: the route, or DX_ROUTE_NONE, in *route. False: refused, *err. */
bool target_find_route(struct exchange *x, const struct dx_forward_request *how, int *route,
                       struct dx_http_error *err) DX_CHECKED;
/* HTTP/1.0 without Host, as load balancers ask for their checks: to be asked as diplex's own checks ask, by a
 * name that the site has (RFC 9112 3.3). */
void target_lend_host(struct exchange *x);

/* maintenance.c: its route is being worked on, and the client is not let through. */
bool maintenance_holds(const struct exchange *x);
static inline bool maintenance_may_be_on(const struct exchange *x)
{
    return x->route->maintenance.on || dx_board_any_switch(x->proxy->board);
}

/* reply.c */
enum state exchange_step_reply(struct exchange *x);
enum state exchange_step_drain(struct exchange *x);

/* The body cannot be kept, for a reason in errno: without a descriptor or where the totals are reached for
 * now, else for good. */
enum state exchange_spool_failed(struct exchange *x) DX_CHECKED;

/* absorb.c */
enum state exchange_step_deliver(struct exchange *x);
/* The server is done with the answer and let go, and the client is not. */
enum state absorb_leave(struct exchange *x) DX_CHECKED;
/* The answer breaks off at the server's side, but what came of it is still delivered. */
enum state absorb_cut(struct exchange *x, enum outcome why, const char *reason) DX_CHECKED;
/* turn.c: the server for this request. GO: *server; its slot, if it has one, is in x->turn. */
enum dx_turn_answer exchange_take_turn(struct exchange *x, struct dx_server **server) DX_CHECKED;
enum state exchange_no_turn(struct exchange *x, enum dx_turn_answer why) DX_CHECKED; /* neither GO nor WAIT */
/* An answer with "come later" in it; none at all for who asks for events. */
enum state exchange_come_later(struct exchange *x, enum outcome o) DX_CHECKED;
enum state exchange_waited_in_vain(struct exchange *x) DX_CHECKED; /* the deadline */
/* The connection broke before a byte of an answer: once more, or an answer of our own. RFC 9110 9.2.2: what
 * was never sent may always go again; what was sent, only if it is idempotent or says itself that it may. */
enum state exchange_server_broke(struct exchange *x, const char *reason) DX_CHECKED;

/* expect.c: while x->asking the head has gone alone, and the body waits for the server's "continue". */
bool expect_wanted(const struct exchange *x);
enum pump expect_send(struct exchange *x);
void expect_continued(struct exchange *x);    /* the server says it */
void expect_answered(struct exchange *x);     /* or answers: what was not sent is not sent any more */
bool expect_gave_up(struct exchange *x);      /* or is silent: true if that was what x waited for */
uint64_t expect_ms(const struct exchange *x); /* ... for so long */

/* The two ways out. answer: diplex answers by itself; end: nothing more is said. Both return the state to go
 * to. */
enum state exchange_answer(struct exchange *x, enum outcome o, const char *reason) DX_CHECKED;
enum state exchange_end(struct exchange *x, enum outcome o) DX_CHECKED;

/* What forwarding has to know of the client's connection. */
void exchange_peer(const struct exchange *x, const struct dx_config *c, struct dx_forward_request *how);
/* Who the client is and what it says of itself, by trust. *how as by exchange_peer. */
void exchange_identify(struct exchange *x, struct dx_forward_request *how);
bool exchange_answer_storage(struct exchange *x) DX_CHECKED; /* room for the fields of a response */
static inline bool exchange_body_read(const struct exchange *x)
{
    return dx_http1_body_is_done(&x->client_body);
}
/* The client has left. True: the answer is still read to its end, so that the worker behind a wsgi server is
 * not disturbed. */
bool exchange_reads_off(struct exchange *x);
/* The client has the whole answer: the state to go to. */
enum state exchange_delivered(struct exchange *x) DX_CHECKED;
/* The answer is whole: keep the connection or close it at once. */
void exchange_release_connection(struct exchange *x);
void exchange_account(struct exchange *x); /* log and counters, once */

#endif
