/* SPDX-License-Identifier: MIT */
/* What the tests of upstream share: a board with one pool, servers on it, a loop, and the worker's view. */
#ifndef DIPLEX_TEST_UPSTREAM_SUPPORT_H
#define DIPLEX_TEST_UPSTREAM_SUPPORT_H

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "diplex/upstream.h"

#define SERVERS_MAX 8

static struct dx_err err;
static struct dx_loop *loop;
static struct dx_timer end;
static struct dx_board *board;
static struct dx_upstream *upstream;
static struct dx_pool_config settings;
static uint32_t board_pool;
static struct dx_board_server servers[SERVERS_MAX];
static size_t servers_n;
static int news;

static inline void world_make(void)
{
    loop = dx_loop_new();
    board = dx_board_new(2, &err);
    news = eventfd(0, EFD_NONBLOCK);
    ck_assert(loop != NULL && board != NULL && news >= 0);
    upstream = dx_upstream_new(loop, board, NULL, 0, news);
    ck_assert_ptr_nonnull(upstream);
    board_pool = dx_board_pool_add(board, "pool");
    settings = (struct dx_pool_config){.balance = DX_BALANCE_ROUND_ROBIN, .keepalive = {60000, 4}};
    servers_n = 0;
}

static inline void world_free(void)
{
    dx_upstream_free(&upstream);
    ck_assert_ptr_null(upstream);
    dx_upstream_free(&upstream);
    dx_timer_clear(&end);
    dx_loop_free(&loop);
    dx_board_free(&board);
    close(news);
}

/* One more server in the list, not published yet. */
static inline struct dx_board_server *server_add(const char *address, unsigned weight, bool backup)
{
    struct dx_board_server *s = &servers[servers_n++];
    *s = (struct dx_board_server){.id = DX_BOARD_NONE, .weight = weight, .backup = backup};
    (void)snprintf(s->name, sizeof(s->name), "%.63s", address);
    ck_assert(dx_address_parse(dx_slice_str(address), false, &s->address));
    return s;
}

static inline void publish(void) { ck_assert(dx_board_pool_write(board, board_pool, servers, servers_n)); }

static inline void set_state(size_t i, enum dx_server_state state)
{
    dx_board_server_set(board, servers[i].id, state, state == DX_SERVER_DOWN ? DX_WHY_PROBE : DX_WHY_NONE);
}

static inline struct dx_pool *pool(void)
{
    struct dx_pool *p = dx_upstream_pool(upstream, board_pool, &settings);
    ck_assert_ptr_nonnull(p);
    return p;
}

static inline void on_end(struct dx_timer *t) { dx_loop_stop(t->loop); }

static inline void run(uint64_t ms)
{
    end.on_due = on_end;
    dx_timer_set(loop, &end, ms);
    dx_loop_run(loop);
}

#define RUN_UNTIL(condition)                               \
    do {                                                   \
        for (int turns = 0; !(condition); turns++, run(2)) \
            ck_assert_msg(turns < 1000, "%s", #condition); \
    } while (0)

#endif
