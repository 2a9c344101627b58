/* SPDX-License-Identifier: MIT */
/* What the files of this room share: a watched server, its pool, and the log lines about both. */
#ifndef HEALTH_WATCHED_H
#define HEALTH_WATCHED_H

#include "diplex/base/hash.h"
#include "diplex/health.h"
#include "diplex/hint.h"
#include "health/verdict.h"

struct watched_pool;

struct watched {
    struct dx_health *health;
    struct watched_pool *pool;
    struct dx_board_server server;
    struct dx_verdict verdict;
    bool drained;                     /* by the operator: covers the verdict */
    enum dx_server_state shown_state; /* on the board */
    enum dx_down_reason shown_why;
    bool was_up;
    uint64_t ejections;
    struct dx_timer timer;
    struct dx_fetch *fetch; /* the probe under way */
    uint64_t probed_ms;     /* 0: never */
    unsigned last_status;   /* of the last probe; 0: no answer */
    enum dx_hint hint;      /* what it gave away */
    char last_error[sizeof(((struct dx_health_view *)0)->last_error)];
};

/* What an operator wants of a name's servers; of one address, if it has one. */
struct order {
    char name[DX_BOARD_NAME];
    struct dx_address address; /* len 0: of all that no other order is about */
    bool drained;
};

struct watched_pool {
    struct dx_health *health;
    uint32_t board_pool;
    const struct dx_pool_config *config;
    bool told_down;
    bool ever_usable;
    uint64_t up_since_ms; /* when its first server came up; 0: none has yet */
    struct order *orders;
    size_t orders_n;
    struct dx_hint_gate gates[DX_HINT_COUNT];
    size_t n;
    struct watched *servers[DX_BOARD_POOL_SERVERS];
};

struct dx_health {
    uint32_t magic;
    struct dx_loop *loop;
    struct dx_board *board;
    struct dx_fetcher *fetcher;
    struct dx_random random;
    uint64_t hint_every_ms;
    bool believing;                            /* what the board says of servers that are new to us */
    struct watched *watched[DX_BOARD_SERVERS]; /* by place */
    struct watched_pool *pools[DX_BOARD_POOLS];
    struct dx_board_server list[DX_BOARD_POOL_SERVERS]; /* read into while a pool is put in order */
};

/* The Host that probes send. */
const char *health_host(const struct dx_pool_config *pool);

/* The server is UP or DOWN since now; or drained, or not any more. */
void health_tell_server(const struct watched *w);
void health_tell_drained(const struct watched *w);
/* Tells when the pool's last usable server went or its first came back. */
void health_tell_pool(struct watched_pool *pool);
/* Tells w->hint, unless its pool has been told of it lately. */
void health_tell_hint(struct watched *w);

/* drain.c: whether an order says so. */
bool health_is_drained(const struct watched_pool *pool, const struct dx_board_server *server);
/* health.c: puts on the board, and tells, what has changed. */
void health_show(struct watched *w);
void health_look(struct watched *w);

#endif
