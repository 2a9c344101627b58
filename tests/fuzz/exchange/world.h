/* SPDX-License-Identifier: MIT */
/*
 * A worker's proxy between sockets of our own, under a clock of our own. The linker puts the functions at the
 * end in front of the program's (tests/fuzz/CMakeLists.txt): time moves only when pass_ms says so, the tick
 * is not the kernel's but armed here, and what the access log would say of each request is noted for its
 * client.
 */
#ifndef TESTS_FUZZ_EXCHANGE_WORLD_H
#define TESTS_FUZZ_EXCHANGE_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/base/text.h"
#include "diplex/net.h"
#include "diplex/os/fd.h"
#include "failing.h"
#include "loop/internal.h"
#include "proxy/client.h"

#define DOORS        2 /* a Unix socket and a TCP port: the first connects at once, the second may wait */
#define VARIANTS     8
#define LIMITED      6 /* the variant in which clients may have few connections */
#define FD_LOOKED_AT 160

struct world {
    struct dx_loop *loop;
    struct dx_board *board;
    struct dx_snapshot *variants[VARIANTS];
    struct dx_board_server places[DOORS];
    uint32_t pool;
    int doors[DOORS];
    struct dx_queues *queues; /* these are new for each script */
    struct dx_crowd *crowd;
    struct dx_proxy *proxy;
    bool limited;             /* a variant with few connections was ever in force */
    uint64_t now_us, tick_us; /* tick_us 0: none is set */
};
extern struct world world;

/* What was said of a request that ended, in the order in which its client's requests ended. */
void on_logged(const struct exchange *x);

static const char *const variant_text[VARIANTS] = {
    "kind: wsgi\n    hold: off\n    retry: {ask_first: no}\n",
    "kind: asgi\n    hold: off\n",
    "kind: wsgi\n    hold: 700ms\n    slots: 1\n    queue: {max: 2, wait: 500ms}\n    keepalive: off\n",
    "kind: asgi\n    hold: {wait: 900ms, max: 2}\n    slots: 2\n    queue: {wait: 600ms, fair_by: "
    "client_ip}\n",
    "kind: wsgi\n    hold: 800ms\n    retry: 2\n    sticky: {cookie: at}\n    balance: least_conn\n",
    "kind: wsgi\n    hold: off\n    client_ip: proxy-protocol\n    slots: 1\n    queue: off\n",
    "kind: asgi\n    hold: off\n    retry: off\n    slots: 1\n    queue: {wait: 400ms}\n    sticky: "
    "client_ip\n",
    "kind: wsgi\n    hold: 500ms\n    slots: 1\n    queue: {wait: 300ms}\n    retry: {idempotency_key: no}\n",
};

static inline void on_step(struct dx_task *t)
{
    (void)t;
    dx_loop_stop(world.loop);
}

/* One turn of the loop: sockets that are ready, tasks. */
static inline void turn(void)
{
    static struct dx_task task = {.run = on_step};
    dx_loop_again(world.loop, &task);
    (void)failing_watch(true);
    dx_loop_run(world.loop);
    (void)failing_watch(false);
}

static inline void on_tick_task(struct dx_task *t)
{
    (void)t;
    loop_deadlines_due(world.loop);
}

static inline void call_from_loop(struct dx_task *task)
{
    dx_loop_again(world.loop, task);
    turn();
}

/* Time passes, and every deadline in it has its own moment. */
static inline void pass_ms(uint64_t ms, void (*between)(void))
{
    static struct dx_task tick = {.run = on_tick_task};
    uint64_t until_us = world.now_us + ms * 1000;

    for (unsigned ticks = 0; world.tick_us != 0 && world.tick_us <= until_us; ticks++) {
        DX_ASSERT(ticks < 100000);
        if (world.tick_us > world.now_us)
            world.now_us = world.tick_us;
        world.tick_us = 0;
        call_from_loop(&tick);
        between();
    }
    world.now_us = until_us;
}

static inline void door_open(size_t i)
{
    struct dx_address *a = &world.places[i].address;
    if (world.doors[i] >= 0)
        return;
    if (dx_address_is_unix(a))
        (void)unlink(a->u.un.sun_path);
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    DX_ASSERT(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    DX_ASSERT(bind(fd, &a->u.sa, a->len) == 0 && listen(fd, 3) == 0);
    a->len = sizeof(a->u);
    DX_ASSERT(getsockname(fd, &a->u.sa, &a->len) == 0);
    world.doors[i] = fd;
}

static inline unsigned count_fds(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < FD_LOOKED_AT; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static inline void hear_nothing(struct dx_slice line) { (void)line; }

static inline struct dx_snapshot *variant_new(size_t i)
{
    static const char *const room[VARIANTS] = {
        "1MB", "1MB", "1MB", "1MB", "64KB, total_disk: 100KB", "0", "1MB", "1MB, total_memory: 8KB"};
    struct dx_text yaml;
    struct dx_err err = {""};

    dx_text_init(&yaml);
    dx_text_addf(&yaml,
                 "timeouts: {header: 3s, body: 4s, send: 5s, idle: 6s}\n"
                 "limits: {header_size: 4KB, header_count: 20, url: 300, body: 400KB%s}\n"
                 "buffer: {memory: 4KB, path: /tmp, response_size: %s}\n"
                 "trusted_proxies: [10.0.0.0/8]\n"
                 "pools:\n  app:\n    %s"
                 "    timeouts: {connect: 2s, response: 8s, idle: 9s, tunnel: 10s}\n    servers:\n",
                 i == LIMITED ? ", connections: 8, tunnels: 1, connection_requests: 4" : "", room[i],
                 variant_text[i]);
    for (size_t k = 0; k < DOORS; k++)
        dx_text_addf(&yaml, "      - %s\n", world.places[k].name);
    dx_text_adds(&yaml, "routes:\n  /app/: app\n");
    struct dx_snapshot *s = dx_snapshot_new(dx_slice_of(yaml.p, yaml.n), "fuzz.yaml", world.board, &err);
    if (s == NULL)
        dx_panic(err.text, 0, yaml.p);
    dx_text_fini(&yaml);
    return s;
}

/* Once for all scripts. */
static inline void world_init(void)
{
    struct dx_err err = {""};
    char at[64];

    signal(SIGPIPE, SIG_IGN);
    failing_libevent();
    dx_log_set_sink(hear_nothing);
    world.now_us = 1000000000;
    world.loop = dx_loop_new();
    world.board = dx_board_new(1, &err);
    DX_ASSERT(world.loop != NULL && world.board != NULL);
    (void)snprintf(at, sizeof(at), "unix:/tmp/diplex-fuzz-%ld.sock", (long)getpid());
    for (size_t i = 0; i < DOORS; i++) {
        struct dx_board_server *s = &world.places[i];
        *s = (struct dx_board_server){.id = DX_BOARD_NONE, .weight = 1};
        DX_ASSERT(dx_address_parse(i == 0 ? dx_slice_str(at) : DX_SLICE("127.0.0.1:0"), false, &s->address));
        world.doors[i] = -1;
        door_open(i);
        (void)dx_address_text(&s->address, s->name, sizeof(s->name));
    }
    world.pool = dx_board_pool_add(world.board, "app");
    DX_ASSERT(dx_board_pool_write(world.board, world.pool, world.places, DOORS));
    for (size_t i = 0; i < VARIANTS; i++)
        world.variants[i] = variant_new(i);
}

/* False: out of memory, and the one before is still in force. */
static inline bool world_use(size_t variant)
{
    struct dx_snapshot *s = world.variants[variant % VARIANTS];
    world.limited |= variant % VARIANTS == LIMITED;
    (void)failing_watch(true);
    bool used = dx_snapshot_open_gates(s, world.queues) && dx_proxy_use(world.proxy, s);
    (void)failing_watch(false);
    if (used)
        dx_snapshot_close_gates(s, world.queues);
    DX_ASSERT(used || failing_has_failed());
    return used;
}

static inline void world_begin(size_t variant)
{
    static char no_journal; /* lines are caught before they would be written to it */

    for (size_t i = 0; i < DOORS; i++) {
        door_open(i);
        dx_board_server_set(world.board, world.places[i].id, DX_SERVER_UP, DX_WHY_NONE);
    }
    dx_board_pool_hold_set(world.board, world.pool, DX_HOLD_NONE);
    failing_at(0);
    world.queues = dx_queues_new(world.board, -1);
    world.crowd = dx_crowd_new(64);
    DX_ASSERT(world.queues != NULL && world.crowd != NULL);
    world.limited = false;
    struct dx_proxy_setup setup = {.loop = world.loop,
                                   .board = world.board,
                                   .queues = world.queues,
                                   .news_fd = -1,
                                   .crowd = world.crowd,
                                   .access = (struct dx_journal *)(void *)&no_journal};
    world.proxy = dx_proxy_new(&setup);
    DX_ASSERT(world.proxy != NULL);
    world.proxy->random.state = 1;
    DX_ASSERT(world_use(variant));
}

/* Nothing is left: no client, exchange, block, pipe, slot, turn, connection or request. */
static inline void world_end(void)
{
    for (size_t i = 0; i < DOORS; i++) {
        struct dx_board_cell sum = dx_board_cell_sum(world.board, world.places[i].id);
        DX_ASSERT(sum.active == 0 && sum.connections == 0);
    }
    DX_ASSERT(dx_board_counter_sum(world.board, DX_COUNTER_REQUESTS_RUNNING) == 0);
    DX_ASSERT(dx_board_counter_sum(world.board, DX_COUNTER_CLIENTS_OPEN) == 0);
    DX_ASSERT(dx_board_counter_sum(world.board, DX_COUNTER_TUNNELS_OPEN) == 0);
    DX_ASSERT(dx_board_counter_sum(world.board, DX_COUNTER_TUNNELS_WANTED) == 0);
    DX_ASSERT(dx_board_counter_sum(world.board, DX_COUNTER_SPOOL_MEMORY) == 0);
    DX_ASSERT(dx_board_counter_sum(world.board, DX_COUNTER_SPOOL_DISK) == 0);
    struct dx_board_waits waits = dx_board_pool_waits(world.board, world.pool);
    DX_ASSERT(waits.held == 0 && waits.queued == 0);
    dx_proxy_free(&world.proxy);
    dx_queues_free(&world.queues);
    dx_crowd_free(&world.crowd);
}

#endif
