/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share. A client is a connection from outside; an exchange is one request and
 * its answer; the front is how an exchange speaks with its client without knowing the version of HTTP
 * (front.h).
 */
#ifndef PROXY_INTERNAL_H
#define PROXY_INTERNAL_H

#include "diplex/base/arena.h"
#include "diplex/base/hash.h"
#include "diplex/base/slab.h"
#include "diplex/board/routes.h"
#include "diplex/crowd.h"
#include "diplex/forward.h"
#include "diplex/http1.h"
#include "diplex/os/clock.h"
#include "diplex/os/comb.h"
#include "diplex/proxy.h"
#include "diplex/route.h"
#include "diplex/spool.h"
#include "diplex/upstream.h"
#include "proxy/stream.h"

#define SNAPSHOT_MAGIC 0x534e4150u
#define PROXY_MAGIC    0x50525859u
#define EXCHANGE_MAGIC 0x58434847u

struct dx_snapshot {
    uint32_t magic;
    _Atomic unsigned refs;
    int bell; /* of its keeper; -1: it has none */
    struct dx_config *config;
    struct dx_route_table *routes;
    uint32_t *board_pools; /* beside config->pools */
    uint16_t *places;      /* of the routes on the board; beside config->routes */
};

/* A worker's own count of who uses a snapshot, so that requests share no counter with other workers. */
struct view {
    struct dx_snapshot *snapshot;
    bool tells_slow, tells_timing; /* log.slow is not 0; server_timing */
    unsigned refs; /* the proxy's own and one per exchange */
    struct view_pool {
        struct dx_pool *pool;
        uint32_t epoch; /* of the pool when the view was made */
        struct dx_gate *gate;
    } * pools;      /* beside config->pools */
    struct bounds { /* `auto` resolved, and what has no limit the largest number */
        unsigned connections, per_client, tunnels, requests;
        uint64_t age_us; /* of a connection */
    } most;
};
void view_unref(struct view **v);
bool snapshot_has_pool(const struct dx_snapshot *s, uint32_t board_pool);

struct dx_proxy {
    uint32_t magic;
    struct dx_loop *loop;
    struct dx_board *board;
    unsigned worker;
    struct dx_upstream *upstream;
    struct dx_queues *queues;
    struct dx_desk *desk;
    struct view *view;
    struct dx_journal *access;
    struct dx_proxy_hints *hints;
    struct dx_crowd *crowd;
    unsigned descriptors; /* that the process may have; 0: nobody knows */
    _Atomic uint64_t *counters;
    struct dx_board_route *routes; /* this worker's copies, by place */
    struct dx_random random;
    struct dx_slab blocks, bulk, exchanges;
    struct dx_comb clients_short, clients_long; /* by the length of their addresses */
    struct dx_pipes pipes;
    struct dx_link clients; /* of those that are idle the one that has been so longest comes first */
    unsigned clients_n;
    bool stopping; /* each client is told with its next answer that it was the last */
    bool hurried;  /* and who says nothing for a moment is closed */
    /* connections refused: when that was said last, and how many were since */
    uint64_t refused_told_us;
    uint64_t refused_untold;
    struct { /* slow requests told in this second, and those that were not since the last one that was */
        uint64_t second;
        unsigned told, untold;
    } slow;
    struct tracing {
        uint64_t key[2], count;
    } tracing;
    /* the access log's lines since the last flush */
    char *lines;
    size_t lines_n;
    struct dx_timer lines_flush;
    /* the Date field's value, made once a second */
    uint64_t date_s;
    char date[DX_CLOCK_RFC3339];
    size_t date_n;
};

static inline void proxy_count(struct dx_proxy *p, enum dx_counter c, int64_t by)
{
    dx_count_add(&p->counters[c], (uint64_t)by);
}
struct dx_slice proxy_date(struct dx_proxy *p);
static inline const struct dx_config *view_config(const struct view *v) { return v->snapshot->config; }

enum state {
#define NEXT(s)                                   0
#define STATE(id, waits, deadline, outcome, next) STATE_##id,
#include "proxy/states.def"
    STATE_COUNT,
    STATE_WAIT /* not a state: the step waits where it is */
};

enum outcome {
#define OUTCOME(id, word, status, sentence) OUTCOME_##id,
#include "diplex/board/outcomes.def"
    OUTCOME_COUNT,
};
struct outcome_row {
    const char *word, *sentence;
    unsigned status;
};
const struct outcome_row *outcome_row(enum outcome o);

enum blocked { BLOCKED_NOT, BLOCKED_CLIENT, BLOCKED_SERVER };

/* Where the request body comes from. */
enum source { SOURCE_NONE, SOURCE_MEMORY, SOURCE_SPOOL, SOURCE_STREAM };

/* How fast a client is, while it is waited for: pace.c. */
struct pace {
    enum { PACE_NONE, PACE_BODY, PACE_SEND } of;
    uint64_t since_us; /* it has been waited for since then; 0: it is not */
    uint64_t seen;     /* bytes that it had sent or taken when that was reckoned last */
    int64_t credit_us; /* what is left of its time */
};

struct exchange {
    uint32_t magic;
    enum state state;
    enum outcome outcome;
    unsigned status;    /* told to the client; 0: none was */
    const char *reason; /* more than the outcome says; static; may be NULL */
    struct dx_proxy *proxy;
    struct front *front;
    struct view *view;

    /* the request */
    struct dx_request request;
    size_t request_head_bytes;
    const struct dx_route_config *route;
    const struct dx_pool_config *pool;
    unsigned place; /* of the route on the board */
    const char *traceparent; /* made here; NULL: what came goes on, if anything */
    struct dx_slice client_ip, request_id, proto;
    char id_text[32];
    char
        *head_block; /* the block that the request's slices point into, once the client reads on in another */
    bool head_block_bulk;

    /* the server */
    struct dx_tried tried;
    struct dx_wish wish; /* of a sticky pool */
    struct dx_turn turn;
    enum outcome connect_outcome; /* what to say when nobody is left to try */
    struct dx_connection *connection;
    struct dx_connection_user user;
    char server[DX_BOARD_NAME];
    bool reused, fresh_only;
    unsigned resent;       /* how often it was sent again after a server had (perhaps) got it */
    unsigned repeats;      /* ... and in all */
    bool asked;            /* the request was begun on this connection */
    bool asking, expected; /* ... with its head alone, still or at first (expect.c) */
    bool unheard;          /* ... and its body followed in the end without a "continue" */

    /* the request body on its way up */
    enum source source;
    struct dx_slice head;   /* as sent to the server; kept for another try */
    size_t head_at;         /* where it begins in these bytes, behind a PROXY protocol header */
    struct dx_slice memory; /* SOURCE_MEMORY */
    struct dx_spool spool;  /* SOURCE_SPOOL */
    bool spool_open;
    uint64_t spool_at;
    enum dx_framing up_framing;
    struct outlet up;
    struct dx_pipe *pipe_up; /* large pieces that go past the outlet */
    bool up_ended, up_broken;
    struct dx_http1_body client_body; /* HTTP/1 fronts: reading it */
    struct dx_fields trailers;        /* of either side; storage made when first needed */
    uint64_t body_limit;              /* 0: none */
    uint64_t body_in;                 /* body bytes taken from the client */

    /* the answer on its way down */
    struct dx_response response;
    struct inlet in; /* bytes of the server */
    size_t answer_seen, answer_head_bytes;
    size_t lone_head; /* bytes of a head that waits for its body */
    struct dx_http1_body answer;
    struct outlet down;
    struct dx_pipe *pipe_down;
    enum dx_framing down_framing;
    bool down_full, down_ended;
    bool discard;          /* the client left; a wsgi server's answer is read off and dropped */
    uint64_t discard_from; /* body_out then */
    struct page *page;     /* of diplex's own answer, once its head is queued */
    bool tunnel;
    bool tunnel_wanted; /* counted for limits.tunnels */
    unsigned interims;
    uint64_t body_out;

    /* the answer ahead of a client that lags: absorb.c */
    bool absorbing;                    /* there is something in `absorbed` */
    bool held, lagged, answer_in_file; /* the spool takes no more; it has ever lagged, ever been in a file */
    bool timed;                        /* the client's deadline was set before the server was done */
    enum outcome broken;      /* how the server's side ended, while the client still takes; OK: well */
    struct dx_spool absorbed; /* as it will be sent */
    uint64_t absorbed_at;
    struct dx_deadline silence; /* of the server, while the client is waited for too */
    uint64_t whole_us;          /* DELIVER was entered */

    bool keep_client; /* the client's connection serves another request after this one */
    bool linger;      /* unread request bytes: close in a way that lets the client read the answer */
    bool raw_drain, said_no_more;
    uint64_t drained;

    enum blocked blocked;
    bool progress;
    struct pace pace;
    enum state armed_for;
    enum blocked armed_blocked;
    size_t armed_pending; /* what the kernel held for the client then */
    struct dx_deadline deadline;
    struct dx_deadline hang; /* only with log.slow */
    struct dx_task again;
    uint64_t start_us, start_wall_us, queued_us, picked_us, connected_us, first_byte_us;
    uint64_t spool_us;     /* READ_BODY was entered */
    struct waited {        /* for its turn: tally.c */
        uint64_t since_us; /* it waits; 0: it does not */
        uint64_t queued_us, held_us;
        bool for_server; /* not for a slot */
        bool was_queued, was_held, any;
    } waited;

    struct dx_arena arena;
    _Alignas(16) char lent[12 * 1024];
};

/* --- exchange.c --- */
struct exchange *exchange_new(struct dx_proxy *p, struct front *front);
void exchange_run(struct exchange *x); /* as far as it goes; then look at exchange_finished */
static inline bool exchange_finished(const struct exchange *x) { return x->state == STATE_FINISH; }
/* Bytes of the client are taken as they come; false: they wait for the next exchange. */
bool exchange_reads_client(const struct exchange *x);
void exchange_free(struct exchange *x); /* after it finished */
void exchange_print_at_hand(void);      /* the panic hook */
const char *exchange_state_name(const struct exchange *x);
/* Breaks it off where it stands: shutdown. */
void exchange_cut(struct exchange *x, enum outcome why);

/* A head is whole: what of its fields' storage stayed empty is free for the heads that are to be written. */
static inline void exchange_settle_fields(struct exchange *x, struct dx_fields *f)
{
    dx_arena_shrink(&x->arena, f->at + f->n, f->at + f->max);
    f->max = f->n;
}

/* Room for x->trailers; false: out of memory. */
bool exchange_trailer_storage(struct exchange *x) DX_CHECKED;

/* --- pumps.c --- */
enum pump {
    PUMP_DONE,
    PUMP_WAIT,
    PUMP_CLIENT_GONE,
    PUMP_CLIENT_BAD,
    PUMP_SERVER_BROKE,
    PUMP_WHOLE, /* down: the server is done, and the client has yet to take the rest */
    PUMP_NO_MEMORY,
    PUMP_SPOOL
};
enum pump pump_up(struct exchange *x, struct dx_http_error *err);
enum pump pump_down(struct exchange *x, struct dx_http_error *err);
/* Parts of the pump down. take_piece: the next piece into the outlet, or the end; *more: the inlet has no
 * whole one. fill: more bytes of the server; the outlet is empty, so nothing points into the inlet;
 * PUMP_DONE: look again. */
enum pump pump_take_piece(struct exchange *x, bool *more, struct dx_http_error *err);
enum pump pump_fill_down(struct exchange *x);
enum pump pump_flush_down(struct exchange *x);
/* Reads the request body into the spool. */
enum pump pump_spool(struct exchange *x, struct dx_http_error *err);
enum pump pump_wait(struct exchange *x, enum blocked who); /* for an edge of that side */
enum pump pump_pause(struct exchange *x);                  /* enough for one turn: the others first */
/* The end of a body in its framing, trailers and all. False: out of memory. */
bool exchange_queue_end(struct exchange *x, struct outlet *o, enum dx_framing framing,
                        const struct dx_fields *trailers) DX_CHECKED;
/* Everything again from the start, for another connection. */
void pump_up_rewind(struct exchange *x);

/* --- splice.c: large bodies from socket to socket. False: not this one or not now, it goes in blocks. True:
 * *how; PUMP_DONE: the body has passed whole. --- */
bool splice_up(struct exchange *x, enum pump *how);
bool splice_down(struct exchange *x, enum pump *how);
bool splice_spool(struct exchange *x, enum pump *how); /* into the spool's file, once its memory is full */
void splice_drop(struct exchange *x);                  /* what is on its way is lost */

/* What is in the pipe, to the client; nothing more is taken. The pipe is given back with its last byte. */
enum pump splice_rest_down(struct exchange *x, struct dx_transport *to);

/* --- absorb.c: answers ahead of clients that lag --- */
/* The client did not take all of the outlet or of the pipe. PUMP_WHOLE: the server is done with the answer.
 */
enum pump absorb_lag(struct exchange *x, struct dx_http_error *err);
/* While x->absorbing. PUMP_DONE: the client has caught up. */
enum pump absorb_down(struct exchange *x, struct dx_http_error *err);
void absorb_drop(struct exchange *x); /* what was absorbed is for nobody, or sent */
/* Bytes of the answer that are counted in body_out and that the client has not got. */
uint64_t absorb_unsent(const struct exchange *x);

/* --- pace.c: limits.min_rate --- */
/* At the beginning of a wait and after each piece: x->armed_pending is fresh. False: the client has been too
 * slow for too long. Only where a client is waited for, or was. */
bool pace_reckon(struct exchange *x) DX_CHECKED;
static inline bool pace_keeps(struct exchange *x)
{
    return DX_LIKELY(x->blocked != BLOCKED_CLIENT && x->pace.since_us == 0) || pace_reckon(x);
}
const char *pace_reason(const struct exchange *x); /* for the log, after false */

/* --- shelf.c: spools, counted over all exchanges of all workers --- */
/* As dx_spool_append and its like. errno SHELF_FULL: buffer.total_disk is reached. */
#define SHELF_FULL ENOBUFS
bool shelf_append(struct exchange *x, struct dx_spool *s, struct dx_slice bytes) DX_CHECKED;
bool shelf_append_pipe(struct exchange *x, struct dx_spool *s, struct dx_pipe *pipe) DX_CHECKED;
void shelf_cut(struct exchange *x, struct dx_spool *s, uint64_t bytes);
void shelf_clear(struct exchange *x, struct dx_spool *s); /* dx_spool_fini */

/* --- room.c: how many connections there may be --- */
enum limit {
#define LIMIT(id, word, effect, change) LIMIT_##id,
#include "proxy/limits.def"
    LIMIT_COUNT
};
void room_bounds(const struct dx_proxy *p, const struct dx_config *c, struct bounds *out);
/* It was reached once more: said once a minute, over all workers. */
void room_said(struct dx_proxy *p, enum limit what, struct dx_slice client);
/* A connection is closed at once for it: counted, and said. */
void room_turned_away(struct dx_proxy *p, enum limit what, struct dx_slice client);
/* For one more connection of a client; false: it was turned away. *counted: to be left again. */
bool room_for_client(struct dx_proxy *p, const struct dx_address *a, struct dx_slice ip,
                     bool *counted) DX_CHECKED;
bool room_for_connection(struct dx_proxy *p, struct dx_slice ip) DX_CHECKED; /* ... of anybody */
void room_leave(struct dx_proxy *p, struct dx_slice ip);
bool room_for_tunnel(struct exchange *x) DX_CHECKED;
/* A new connection to the server. Out of descriptors, idle ones are closed for it. */
struct dx_connection *room_dial(struct exchange *x, struct dx_server *s);
bool room_lacking(int why); /* errno: out of descriptors or memory */

/* --- hints.c: mistakes of configuration that give themselves away --- */
void hints_see_answer(struct exchange *x);
void hints_see_end(struct exchange *x);
/* The gate of one of the limits; NULL: nothing is said. */
struct dx_hint_gate *hints_limit_gate(struct dx_proxy *p, enum limit what);
/* buffer.path could not take a body: counted, and said once a minute at most. Returns the reason, by errno.
 */
const char *hints_spool_failed(struct exchange *x, const char *what, const char *effect);
/* A server's final head is here. */
static inline void hints_answer(struct exchange *x)
{
    if (DX_UNLIKELY(x->response.status >= 300 || x->response.stream || x->request.websocket))
        hints_see_answer(x);
}
/* The exchange has ended, by diplex's own answer or otherwise. */
static inline void hints_end(struct exchange *x)
{
    if (DX_UNLIKELY(x->outcome != OUTCOME_OK || x->request.framing == DX_FRAMING_CHUNKED))
        hints_see_end(x);
}

/* --- sticky.c: for requests to sticky pools --- */
void sticky_wish(struct exchange *x); /* once, when the pool is known */
/* What the client is to be told with the answer, for pools that are sticky by cookie; mostly nothing. */
struct dx_slice sticky_cookie(struct exchange *x);

/* --- address.c: who the client is --- */
bool proxy_trusts(const struct dx_config *c, const struct dx_address *a);
/* Counts a connection that is closed before it could ask anything, and says so now and then. */
void proxy_refused(struct dx_proxy *p, struct dx_slice ip, const char *reason);
/* What servers are told before the head, in pools that tell them the client so. */
void exchange_write_preamble(const struct exchange *x, struct dx_out *o);
static inline void exchange_introduce(const struct exchange *x, struct dx_out *o)
{
    if (DX_UNLIKELY(x->pool->client_ip == DX_CLIENT_IP_PROXY_PROTOCOL))
        exchange_write_preamble(x, o);
}

/* --- tally.c: what the board keeps for each route --- */
/* It waits for its turn, still or for another reason; or not any more. */
void tally_wait(struct exchange *x, bool waits);
void tally_exchange(struct exchange *x); /* the exchange has ended */

/* --- slow.c: log.slow --- */
bool slow_is(const struct exchange *x);
void slow_begin(struct exchange *x); /* it is ready for a server, and the setting is not 0 */
void slow_end(struct exchange *x);

/* --- trace.c --- */
void trace_see(struct exchange *x, bool trusted); /* unless the setting says to pass what comes */
struct dx_slice trace_id(const struct exchange *x); /* empty: it is in none */
/* The value of Server-Timing, as far as it is known; may be empty. */
struct dx_slice trace_timing(struct exchange *x);

/* --- access.c --- */
void access_write(struct exchange *x);
void access_flush(struct dx_proxy *p);
/* Path and query as the log may show them, perhaps in buf. limits.url is at most this, the method and the
 * version included. */
#define ACCESS_TARGET_BYTES 8192u
struct dx_slice access_target(const struct exchange *x, char buf[static ACCESS_TARGET_BYTES]);

/* --- client.c --- */
void client_combs_init(struct dx_proxy *p);
bool client_start(struct dx_proxy *p, int fd, const struct dx_address *peer, bool preamble,
                  bool counted) DX_CHECKED;
bool client_make_room(struct dx_proxy *p); /* closes the one that has been idle longest; false: none is */
void client_stop_all(struct dx_proxy *p);
unsigned client_cut_all(struct dx_proxy *p);

#endif
