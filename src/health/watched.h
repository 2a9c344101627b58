/* SPDX-License-Identifier: MIT */
/* What the files of this room share: a watched server, its pool, and the log lines about both. */
#ifndef HEALTH_WATCHED_H
#define HEALTH_WATCHED_H

#include "diplex/base/hash.h"
#include "diplex/health.h"
#include "health/verdict.h"

struct watched_pool;

struct watched {
    struct dx_health *health;
    struct watched_pool *pool;
    struct dx_board_server server;
    struct dx_verdict verdict;
    struct dx_timer timer;
    struct dx_fetch *fetch; /* the probe under way */
    uint64_t probed_ms;     /* 0: never */
    unsigned last_status;   /* of the last probe; 0: no answer */
    char last_error[sizeof(((struct dx_health_view *)0)->last_error)];
};

struct watched_pool {
    struct dx_health *health;
    const struct dx_pool_config *config;
    bool told_down;
    bool ever_usable;
    size_t n;
    struct watched *servers[DX_BOARD_POOL_SERVERS];
};

struct dx_health {
    uint32_t magic;
    struct dx_loop *loop;
    struct dx_board *board;
    struct dx_fetcher *fetcher;
    struct dx_random random;
    struct watched *watched[DX_BOARD_SERVERS]; /* by place */
    struct watched_pool *pools[DX_BOARD_POOLS];
    struct dx_board_server list[DX_BOARD_POOL_SERVERS]; /* read into while a pool is put in order */
};

/* The server is UP or DOWN since now. */
void health_tell_server(const struct watched *w);
/* Tells when the pool's last usable server went or its first came back. */
void health_tell_pool(struct watched_pool *pool);

#endif
