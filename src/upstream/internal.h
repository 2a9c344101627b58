/* SPDX-License-Identifier: MIT */
/* What the files of this room share: upstream -> pools -> servers -> connections; each knows its parent. */
#ifndef UPSTREAM_INTERNAL_H
#define UPSTREAM_INTERNAL_H

#include "diplex/upstream.h"

#define UPSTREAM_MAGIC   0x55505354u
#define POOL_MAGIC       0x504f4f4cu
#define SERVER_MAGIC     0x53525652u
#define CONNECTION_MAGIC 0x434f4e4eu

struct dx_upstream {
    uint32_t magic;
    struct dx_loop *loop;
    struct dx_board *board;
    struct dx_queues *queues;
    unsigned worker;
    int news_fd;
    _Atomic uint64_t *counters;
    struct dx_pool *pools[DX_BOARD_POOLS];
};

struct dx_pool {
    uint32_t magic;
    uint32_t epoch; /* counts how often the pool has left the configuration */
    struct dx_upstream *upstream;
    struct dx_gate *gate; /* NULL: it has none */
    uint64_t idle_ms;
    unsigned idle_max;
    struct dx_roster roster; /* of struct dx_server */
};

struct dx_server {
    uint32_t magic;
    struct dx_roster_server of;
    struct dx_pool *pool;
    struct dx_board_cell *cell;
    struct dx_link idle;     /* of connections, the most recently used first */
    struct dx_link left;     /* of connections whose answer nobody waits for */
    unsigned idle_n, open_n; /* open: all connections, idle ones too */
    bool drained;            /* its connections are not kept */
    bool gone;               /* no longer on the board: freed with its last connection */
    enum dx_continue says_continue;
};

struct dx_connection {
    uint32_t magic;
    bool connecting, reused;
    bool asked; /* a request is running on it */
    struct dx_transport transport;
    struct dx_server *server;
    struct dx_connection_user *user; /* NULL: idle, or left */
    struct dx_slot slot;
    struct dx_link idle; /* among the idle ones, or the left ones */
    bool left;
    struct dx_deadline idle_end;
    struct dx_grave grave;
};

void upstream_server_begin(struct dx_server *s);   /* without a connection */
void upstream_server_release(struct dx_server *s); /* frees it when it is gone and has no connection */
bool upstream_server_drop_one(struct dx_server *s) DX_CHECKED; /* false: none is idle */
void upstream_server_drop_idle(struct dx_server *s);

#endif
