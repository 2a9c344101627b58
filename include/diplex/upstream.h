/* SPDX-License-Identifier: MIT */
/*
 * One worker's connections to servers: which server takes a request, which open connection is used again, when idle ones end. A pool here is the
 * worker's view of a pool on the board; it follows the board's list by itself.
 */
#ifndef DIPLEX_UPSTREAM_H
#define DIPLEX_UPSTREAM_H

#include "diplex/board.h"
#include "diplex/config.h"
#include "diplex/net.h"
#include "diplex/queue.h"

struct dx_upstream;
struct dx_pool;
struct dx_server;
struct dx_connection;

/* news_fd (borrowed): an eventfd that is written when a server failed. Queues (borrowed) hear of servers that refuse. */
struct dx_upstream *dx_upstream_new(struct dx_loop *l, struct dx_board *b, struct dx_queues *q, unsigned worker, int news_fd) DX_CHECKED;
/* Closes idle connections and frees; no connection may be in use. */
void dx_upstream_free(struct dx_upstream **u);
/* Servers have been drained, or are not any more: closes the idle connections to those that are, and keeps none of theirs. */
void dx_upstream_look_at_drains(struct dx_upstream *u);
/* Closes every idle connection now (stopping). */
/* Of all servers, one idle connection, to make room; false: none is. */
bool dx_upstream_close_an_idle(struct dx_upstream *u) DX_CHECKED;
void dx_upstream_close_idle(struct dx_upstream *u);

/* The worker's view of a board pool; made at first use, lives as long as u. NULL: out of memory. Settings are copied. */
struct dx_pool *dx_upstream_pool(struct dx_upstream *u, uint32_t board_pool, const struct dx_pool_config *settings) DX_CHECKED;
/* The pool left the configuration: its idle connections are closed, running ones finish. */
void dx_upstream_forget_pool(struct dx_upstream *u, uint32_t board_pool);
/* Another number each time the pool is forgotten. Its place on the board may then be another pool's: who took it before must not pick. */
uint32_t dx_pool_epoch(const struct dx_pool *p);

/* --- choosing --- */

/* A server that may take a request now: up (or, when none is, starting, or else ejected), primaries before backups, not tried yet. NULL: there is none. */
struct dx_server *dx_pool_pick(struct dx_pool *p, const struct dx_tried *tried, const struct dx_wish *wish);
/* The server that a slot is for; NULL: it has left the pool meanwhile. */
struct dx_server *dx_pool_server(struct dx_pool *p, const struct dx_slot *slot);
/* What it does when it is asked to say "100 Continue": not asked yet, it says it, it never does. */
enum dx_continue { DX_CONTINUE_UNKNOWN, DX_CONTINUE_SAID, DX_CONTINUE_NEVER };
void dx_server_set_continue(struct dx_server *s, enum dx_continue known);
enum dx_continue dx_server_continue(const struct dx_server *s);
uint32_t dx_server_id(const struct dx_server *s);
uint64_t dx_server_mark(const struct dx_server *s); /* of a sticky pool's server: see dx_roster_server */
bool dx_server_has_beside(const struct dx_server *s, uint64_t mark); /* the server with that mark, of the same pool, is up */
const char *dx_server_name(const struct dx_server *s); /* DX_BOARD_NAME bytes, terminated */
const struct dx_address *dx_server_address(const struct dx_server *s);

/* --- connections --- */

/* Who uses a connection now. on_ready is called when the transport's readiness changed; set once by the owner. */
struct dx_connection_user {
    void (*on_ready)(struct dx_connection_user *u);
};

/* An idle connection of the server, the most recently used, now in use; NULL when there is none. */
struct dx_connection *dx_server_reuse(struct dx_server *s, struct dx_connection_user *user);
/* A new one, perhaps still connecting (dx_connection_state). NULL: it failed at once; errno. A failure is noted on the board. */
struct dx_connection *dx_server_dial(struct dx_server *s, struct dx_connection_user *user) DX_CHECKED;

enum dx_dial { DX_DIAL_WAIT, DX_DIAL_OPEN, DX_DIAL_FAILED };
/* DIAL_FAILED: errno says why; it was noted on the board; the caller still closes. */
enum dx_dial dx_connection_state(struct dx_connection *c);

struct dx_transport *dx_connection_transport(struct dx_connection *c);
struct dx_server *dx_connection_server(struct dx_connection *c);
bool dx_connection_reused(const struct dx_connection *c);

/* The slot is the connection's from now on and ends with the request on it; *slot is empty afterwards. */
void dx_connection_take_slot(struct dx_connection *c, struct dx_slot *slot);

/* Notes for health, for balancing and for the counters. */
void dx_connection_asked(struct dx_connection *c);                     /* a request was sent */
void dx_connection_answered(struct dx_connection *c, unsigned status); /* a response head was read */
void dx_connection_broke(struct dx_connection *c);                     /* it ended before a response head; not for reused ones that were stale */
void dx_connection_timed_out(struct dx_connection *c);                 /* the dial did: a connect failure */

/* Ends the use: kept idle if the pool keeps connections, else closed at once. The caller says that the exchange on it is whole on both sides and
 * that the server keeps it. */
void dx_connection_keep(struct dx_connection **c);
void dx_connection_close(struct dx_connection **c); /* NULL is fine */
/* Nobody wants the answer any more, but a worker of the server is still busy with it: the connection stays open, and its slot taken, until the server says
 * something or closes, for `ms` at most. */
void dx_connection_abandon(struct dx_connection **c, uint64_t ms);

#endif
