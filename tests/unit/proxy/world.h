/* SPDX-License-Identifier: MIT */
/*
 * A whole worker without its thread: a proxy on a loop that is stepped turn by turn, a board with one pool,
 * and at both ends plain sockets that the test reads and writes as the client and the servers of a
 * conversation. When it ends, nothing may be left: no client, exchange, block, connection or running request;
 * and the outcomes are those expected.
 */
#ifndef DIPLEX_TEST_PROXY_WORLD_H
#define DIPLEX_TEST_PROXY_WORLD_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/base/text.h"
#include "diplex/net.h"
#include "diplex/os/clock.h"
#include "diplex/os/fd.h"
#include "diplex/proxy.h"

#define SERVERS_MAX 3
#define PEERS_MAX   64
#define WAIT_US     20000000u /* on a machine that has other things to do */

struct peer { /* one socket of the test: a client's, or a server's side of a connection */
    int fd;
    struct dx_text got; /* read and not looked at yet */
    bool ended;
    int error; /* errno of the end; 0: a plain one */
};

static struct dx_loop *loop;
static struct dx_board *board;
static struct dx_queues *queues;
static struct dx_crowd *crowd;
static struct dx_proxy_hints *said;
static unsigned descriptors; /* as the proxy is told; 0: nobody knows */
static struct dx_proxy *proxy;
static struct dx_journal *journal;
static int access_log[2], front, doors[SERVERS_MAX];
static struct dx_board_server places[SERVERS_MAX];
static struct peer *peers[PEERS_MAX];
static size_t peers_n, servers_n;

/* --- time --- */

static inline void on_step(struct dx_task *t)
{
    (void)t;
    dx_loop_stop(loop);
}

/* One turn of the loop: sockets that are ready, deadlines that are due. */
static inline void step(void)
{
    static struct dx_task task = {.run = on_step};
    dx_loop_again(loop, &task);
    dx_loop_run(loop);
}

static inline void peer_pull(struct peer *p)
{
    char buf[16 * 1024];
    while (!p->ended) {
        ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        p->ended = n <= 0;
        p->error = n < 0 ? errno : 0;
        if (n > 0)
            dx_text_add(&p->got, dx_slice_of(buf, (size_t)n));
    }
}

/* Steps until the condition holds, for at most WAIT_US. */
#define UNTIL(condition)                                                      \
    do {                                                                      \
        uint64_t until_us = dx_clock_us() + WAIT_US;                          \
        for (unsigned turns = 0; !(condition); turns++) {                     \
            ck_assert_msg(dx_clock_us() < until_us, "never: %s", #condition); \
            step();                                                           \
            if (turns > 20)                                                   \
                usleep(500);                                                  \
        }                                                                     \
    } while (0)

static inline void pass_ms(uint64_t ms)
{
    uint64_t until_us = dx_clock_us() + ms * 1000;
    while (dx_clock_us() < until_us) {
        step();
        usleep(500);
    }
}

/* --- the two ends --- */

static inline struct peer *peer_new(int fd)
{
    struct peer *p = calloc(1, sizeof(*p));
    ck_assert(p != NULL && fd >= 0 && peers_n < PEERS_MAX);
    p->fd = fd;
    dx_text_init(&p->got);
    peers[peers_n++] = p;
    return p;
}

static inline struct dx_address bound_to(int listener)
{
    struct dx_address a = {.len = sizeof(a.u)};
    ck_assert_int_eq(getsockname(listener, &a.u.sa, &a.len), 0);
    return a;
}

static inline int open_door(void)
{
    struct dx_address a;
    struct dx_err err = {""};
    int fd = -1;
    ck_assert(dx_address_parse(DX_SLICE("127.0.0.1:0"), false, &a));
    ck_assert_msg(dx_listen_open(&a, false, 0, &fd, &err), "%s", err.text);
    return fd;
}

static inline struct peer *client_new(void)
{
    struct dx_address a = bound_to(front), from;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    int inside = dx_listen_accept(front, &from);
    ck_assert_int_ge(inside, 0);
    (void)dx_loop_refresh_us(loop);
    dx_proxy_accept(proxy, inside, &from, false);
    return peer_new(fd);
}

/* For clients from now on: the kernel holds little of what they do not take. */
static inline void small_buffers(void)
{
    int little = 16 * 1024;
    ck_assert_int_eq(setsockopt(front, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
}

static inline int accept_now(size_t server)
{
    return accept4(doors[server], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* The next connection that the proxy opens to a server. */
static inline struct peer *server_accept(size_t server)
{
    int fd = -1;
    UNTIL((fd = accept_now(server)) >= 0);
    return peer_new(fd);
}

/* No connection to the server is opened while some time passes. */
static inline void server_untouched(size_t server)
{
    pass_ms(5);
    ck_assert_int_lt(accept_now(server), 0);
}

/* The server stops: further connections are refused. */
static inline void server_dies(size_t server) { dx_fd_close(&doors[server]); }

static inline void peer_send(struct peer *p, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t sent = -1;
        UNTIL((sent = send(p->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0);
        text += sent;
        n -= (size_t)sent;
    }
}

static inline void say(struct peer *p, const char *text) { peer_send(p, text, strlen(text)); }

static inline void peer_close(struct peer *p)
{
    dx_fd_close(&p->fd);
    p->ended = true;
}

static inline void peer_reset(struct peer *p)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    ck_assert_int_eq(setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    peer_close(p);
}

static inline bool peer_has(struct peer *p, size_t n)
{
    peer_pull(p);
    return p->got.n >= n;
}

static inline void peer_drop(struct peer *p, size_t n)
{
    memmove(p->got.p, p->got.p + n, p->got.n - n + 1);
    p->got.n -= n;
}

/* Exactly these bytes come next. */
static inline void hears(struct peer *p, const char *text)
{
    size_t n = strlen(text);
    UNTIL(peer_has(p, n) || p->ended);
    ck_assert_msg(p->got.n >= n && memcmp(p->got.p, text, n) == 0, "heard '%s' and not '%s'",
                  p->got.n ? p->got.p : "", text);
    peer_drop(p, n);
}

static inline void hears_nothing(struct peer *p)
{
    pass_ms(5);
    peer_pull(p);
    ck_assert_msg(p->got.n == 0, "heard '%s'", p->got.p);
    ck_assert(!p->ended);
}

/* The connection ends, and nothing more comes before that. */
static inline void hears_end(struct peer *p)
{
    UNTIL((peer_pull(p), p->ended));
    ck_assert_msg(p->got.n == 0, "heard '%s'", p->got.p);
    ck_assert_msg(p->error == 0, "%s", strerror(p->error));
}

/* The next head, up to its empty line; until the next call. */
static inline const char *head_of(struct peer *p)
{
    static char head[80 * 1024];
    char *at = NULL;
    UNTIL((peer_pull(p), p->got.n > 0 && (at = strstr(p->got.p, "\r\n\r\n")) != NULL) || p->ended);
    ck_assert_msg(at != NULL, "ended with '%s'", p->got.n ? p->got.p : "");
    size_t n = (size_t)(at - p->got.p) + 4;
    ck_assert_uint_lt(n, sizeof(head));
    memcpy(head, p->got.p, n);
    head[n] = '\0';
    peer_drop(p, n);
    return head;
}

static inline bool has_line(const char *head, const char *line)
{
    size_t n = strlen(line);
    for (const char *at = head; (at = strstr(at, line)) != NULL; at += n)
        if ((at == head || at[-1] == '\n') && at[n] == '\r')
            return true;
    return false;
}

#define HAS(head, line)   ck_assert_msg(has_line(head, line), "no line '%s' in:\n%s", line, head)
#define LACKS(head, text) ck_assert_msg(strstr(head, text) == NULL, "'%s' in:\n%s", text, head)

/* A head that begins with this line. */
static inline const char *hears_head(struct peer *p, const char *first)
{
    const char *head = head_of(p);
    size_t n = strlen(first);
    ck_assert_msg(strncmp(head, first, n) == 0 && head[n] == '\r', "no '%s' but:\n%s", first, head);
    return head;
}

/* --- the world --- */

static inline uint64_t counted(enum dx_counter c) { return dx_board_counter_sum(board, c); }

static inline uint64_t connect_failures(size_t i)
{
    struct dx_board_cell sum = dx_board_cell_sum(board, places[i].id);
    return sum.connect_failures;
}

static inline uint64_t resets(size_t i)
{
    struct dx_board_cell sum = dx_board_cell_sum(board, places[i].id);
    return sum.resets;
}

static inline uint32_t connections(size_t i)
{
    struct dx_board_cell sum = dx_board_cell_sum(board, places[i].id);
    return sum.connections;
}

static inline void server_state(size_t i, enum dx_server_state state)
{
    dx_board_server_set(board, places[i].id, state, state == DX_SERVER_DOWN ? DX_WHY_PROBE : DX_WHY_NONE);
}

/* One pool `app` of a kind behind /app/, without a hold and without asking first unless it is said, `pool`
 * and `top` being more lines of its mapping ("    key: value\n") and of the file ("key: value\n"). */
static inline struct dx_snapshot *snapshot_new(const char *kind, const char *pool, const char *top)
{
    struct dx_text yaml;
    struct dx_err err = {""};
    dx_text_init(&yaml);
    dx_text_addf(&yaml, "%spools:\n  app:\n    kind: %s\n%s%s%s    servers:\n", top, kind,
                 strstr(pool, "hold:") == NULL ? "    hold: off\n" : "",
                 strstr(pool, "retry:") == NULL ? "    retry: {ask_first: no}\n" : "", pool);
    for (size_t i = 0; i < servers_n; i++)
        dx_text_addf(&yaml, "      - %s\n", places[i].name);
    dx_text_adds(&yaml, "routes:\n  /app/: app\n");
    struct dx_snapshot *s = dx_snapshot_new(dx_slice_of(yaml.p, yaml.n), "test.yaml", board, &err);
    ck_assert_msg(s != NULL, "%s\n%s", err.text, yaml.p);
    dx_text_fini(&yaml);
    return s;
}

static inline void world_use(const char *kind, const char *pool, const char *top)
{
    struct dx_snapshot *s = snapshot_new(kind, pool, top);
    ck_assert(dx_snapshot_open_gates(s, queues));
    ck_assert(dx_proxy_use(proxy, s));
    dx_snapshot_close_gates(s, queues);
    dx_snapshot_unref(&s);
}

static inline void world_make(const char *kind, size_t servers, const char *pool, const char *top)
{
    struct dx_err err = {""};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    loop = dx_loop_new();
    board = dx_board_new(1, &err);
    ck_assert(loop != NULL && board != NULL);
    ck_assert_int_eq(pipe2(access_log, O_CLOEXEC), 0);
    const struct dx_journal_way way = dx_journal_stream(access_log[1]);
    journal = dx_journal_new(&way, 60 * 1024, 1);
    ck_assert_ptr_nonnull(journal);
    front = open_door();
    ck_assert(dx_fd_set_nonblocking(front));
    servers_n = servers;
    for (size_t i = 0; i < servers; i++) {
        doors[i] = open_door();
        places[i] = (struct dx_board_server){.id = DX_BOARD_NONE, .weight = 1, .address = bound_to(doors[i])};
        (void)dx_address_text(&places[i].address, places[i].name, sizeof(places[i].name));
    }
    uint32_t app = dx_board_pool_add(board, "app");
    ck_assert(dx_board_pool_write(board, app, places, servers));
    for (size_t i = 0; i < servers; i++)
        server_state(i, DX_SERVER_UP);
    queues = dx_queues_new(board, -1);
    ck_assert_ptr_nonnull(queues);
    crowd = dx_crowd_new(1000);
    ck_assert_ptr_nonnull(crowd);
    struct dx_proxy_setup setup = {.loop = loop,
                                   .board = board,
                                   .queues = queues,
                                   .news_fd = -1,
                                   .access = journal,
                                   .hints = said,
                                   .crowd = crowd,
                                   .descriptors = descriptors};
    proxy = dx_proxy_new(&setup);
    ck_assert_ptr_nonnull(proxy);
    world_use(kind, pool, top);
}

static struct dx_task cut_task;
static unsigned cut_n;

static inline void on_cut(struct dx_task *t)
{
    (void)t;
    cut_n = dx_proxy_cut(proxy);
    dx_loop_stop(loop);
}

/* As a worker does at its end: from a callback, so that graves are buried after it. */
static inline unsigned world_cut(void)
{
    cut_task.run = on_cut;
    dx_loop_again(loop, &cut_task);
    dx_loop_run(loop);
    return cut_n;
}

/* The `outcome` words of the access log, in order, each followed by a space. */
static inline void read_outcomes(struct dx_text *words)
{
    static char lines[64 * 1024];
    ssize_t n = read(access_log[0], lines, sizeof(lines) - 1);
    lines[n > 0 ? n : 0] = '\0';
    for (char *at = lines; (at = strstr(at, "\"outcome\":\"")) != NULL;) {
        at += strlen("\"outcome\":\"");
        dx_text_add(words, dx_slice_of(at, strcspn(at, "\"")));
        dx_text_adds(words, " ");
    }
}

/* Everybody leaves; nothing is left; and this is what the log says of each request. */
static inline void world_end(const char *outcomes)
{
    struct dx_text words;
    for (size_t i = 0; i < peers_n; i++) {
        dx_fd_close(&peers[i]->fd);
        dx_text_fini(&peers[i]->got);
        free(peers[i]);
    }
    peers_n = 0;
    UNTIL(dx_proxy_clients(proxy) == 0);
    ck_assert_uint_eq(world_cut(), 0);
    dx_proxy_free(&proxy);   /* asserts that every block, exchange and client came back */
    dx_queues_free(&queues); /* and every slot and turn */
    ck_assert_uint_eq(counted(DX_COUNTER_REQUESTS_RUNNING), 0);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_OPEN), 0);
    ck_assert_uint_eq(counted(DX_COUNTER_TUNNELS_OPEN), 0);
    ck_assert_uint_eq(counted(DX_COUNTER_TUNNELS_WANTED), 0);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_MEMORY), 0);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_DISK), 0);
    struct dx_address here;
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), 0, &here));
    ck_assert_uint_eq(dx_crowd_of(crowd, &here), 0);
    dx_crowd_free(&crowd);
    for (size_t i = 0; i < servers_n; i++) {
        struct dx_board_cell sum = dx_board_cell_sum(board, places[i].id);
        ck_assert_uint_eq(sum.active, 0);
        ck_assert_uint_eq(sum.connections, 0);
        dx_fd_close(&doors[i]);
    }
    dx_journal_free(&journal);
    dx_fd_close(&access_log[1]);
    dx_text_init(&words);
    read_outcomes(&words);
    size_t n = strlen(outcomes);
    bool same = n == 0 ? words.n == 0 : words.n == n + 1 && memcmp(words.p, outcomes, n) == 0;
    ck_assert_msg(same, "the outcomes were '%s' and not '%s'", words.n ? words.p : "", outcomes);
    dx_text_fini(&words);
    dx_fd_close(&access_log[0]);
    dx_fd_close(&front);
    dx_loop_free(&loop);
    dx_board_free(&board);
}

static inline int run_tests(const char *name, const TTest **tests, size_t n)
{
    Suite *s = suite_create(name);
    TCase *c = tcase_create(name);
    tcase_set_timeout(c, 30);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
