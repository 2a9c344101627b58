/* SPDX-License-Identifier: MIT */
/* A worker's thread and its mailbox: listening where it is told to, another configuration, orders that
 * overtake each other, stopping in peace and at once. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "diplex/base/text.h"
#include "diplex/os/fd.h"
#include "worker/internal.h"

#define WAIT_MS 5000
#define MANY    40 /* listeners: twice as many are more than one configuration may have */

static struct dx_err err;
static struct dx_board *board;
static struct dx_queues *queues;
static struct worker *worker;
static int report, doors[2 * MANY], server;
static char names[2 * MANY][DX_ADDRESS_TEXT];
static uint64_t number;

static int open_door(char name[DX_ADDRESS_TEXT])
{
    struct dx_address a, bound = {.len = sizeof(bound.u)};
    int fd = -1;
    ck_assert(dx_address_parse(DX_SLICE("127.0.0.1:0"), false, &a));
    ck_assert_msg(dx_listen_open(&a, false, 0, &fd, &err), "%s", err.text);
    ck_assert_int_eq(getsockname(fd, &bound.u.sa, &bound.len), 0);
    (void)dx_address_text(&bound, name, DX_ADDRESS_TEXT);
    return fd;
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    board = dx_board_new(1, &err);
    ck_assert_ptr_nonnull(board);
    report = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    queues = dx_queues_new(board, -1);
    ck_assert_ptr_nonnull(queues);
    struct worker_setup s = {.board = board, .queues = queues, .news_fd = -1, .report_fd = report};
    worker = worker_new(&s);
    ck_assert_ptr_nonnull(worker);
    for (int i = 0; i < 2 * MANY; i++)
        doors[i] = -1;
    server = -1;
}

static void teardown(void)
{
    worker_free(&worker);
    ck_assert_ptr_null(worker);
    worker_free(&worker);
    for (int i = 0; i < 2 * MANY; i++)
        dx_fd_close(&doors[i]);
    dx_fd_close(&server);
    dx_queues_free(&queues);
    dx_board_free(&board);
    close(report);
}

/* A configuration whose pool has one server, which the test plays. */
static struct dx_snapshot *snapshot_new(void)
{
    struct dx_text yaml;
    char name[DX_ADDRESS_TEXT];
    if (server < 0) {
        server = open_door(name);
        struct dx_board_server s = {.id = DX_BOARD_NONE, .weight = 1};
        ck_assert(dx_address_parse(dx_slice_str(name), false, &s.address));
        uint32_t pool = dx_board_pool_add(board, "app");
        ck_assert(dx_board_pool_write(board, pool, &s, 1));
    }
    dx_text_init(&yaml);
    dx_text_adds(&yaml, "pools: {app: {kind: asgi, servers: [\"127.0.0.1:1\"]}}\nroutes: {/app/: app}\n");
    struct dx_snapshot *s = dx_snapshot_new(dx_slice_of(yaml.p, yaml.n), "test.yaml", board, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    ck_assert(dx_snapshot_open_gates(s, queues));
    dx_text_fini(&yaml);
    return s;
}

/* Orders to listen at doors [from, from + n). */
static void order(unsigned from, unsigned n)
{
    struct orders o = {.snapshot = snapshot_new(), .number = ++number, .listen_n = n};
    for (unsigned i = 0; i < n; i++) {
        if (doors[from + i] < 0)
            doors[from + i] = open_door(names[from + i]);
        o.listen[i].text = names[from + i];
        o.listen[i].fd = doors[from + i];
    }
    worker_order(worker, &o);
}

static void wait_report(void)
{
    uint64_t n;
    struct pollfd p = {.fd = report, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    ck_assert_int_eq(read(report, &n, sizeof(n)), sizeof(n));
}

static void wait_done(void)
{
    while (worker->done != number)
        wait_report();
    ck_assert(!worker->failed);
}

static void wait_ended(void)
{
    while (!worker->ended)
        wait_report();
}

static int client(unsigned door)
{
    struct dx_address a;
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(dx_address_parse(dx_slice_str(names[door]), false, &a));
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

/* Not waiting. */
static int begin(unsigned door)
{
    struct dx_address a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    ck_assert(dx_address_parse(dx_slice_str(names[door]), false, &a));
    ck_assert(connect(fd, &a.u.sa, a.len) == 0 || errno == EINPROGRESS);
    return fd;
}

static bool nobody_answers(unsigned door)
{
    int fd = begin(door);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    bool silence = poll(&p, 1, 20) == 0;
    close(fd);
    return silence;
}

static void ask(int fd, const char *path)
{
    char request[128];
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    ck_assert_int_eq(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
}

static void hears(int fd, const char *first)
{
    char buf[1024] = "";
    ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
    ck_assert_msg(n > 0 && strncmp(buf, first, strlen(first)) == 0, "heard '%s'", buf);
}

static bool hears_end(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

static void start(unsigned listeners)
{
    ck_assert(worker_start(worker));
    order(0, listeners);
    wait_done();
}

static void stop(bool cut)
{
    worker_order(worker, &(struct orders){.number = ++number, .stop = true, .cut = cut});
}

START_TEST(it_answers_where_it_was_told_to_listen)
{
    start(2);
    for (unsigned i = 0; i < 2; i++) {
        int c = client(i);
        ask(c, "/nowhere");
        hears(c, "HTTP/1.1 404 Not Found\r\n");
        close(c);
    }
    stop(false);
    wait_ended();
    ck_assert_uint_eq(worker->cut, 0);
}
END_TEST

START_TEST(it_follows_to_other_addresses)
{
    start(2);
    int c = client(0);
    ask(c, "/nowhere");
    hears(c, "HTTP/1.1 404 Not Found\r\n");
    order(1, 2); /* the first is gone, the second stays, a third is new */
    wait_done();
    ask(c, "/nowhere"); /* who is connected stays so */
    hears(c, "HTTP/1.1 404 Not Found\r\n");
    close(c);
    ck_assert(nobody_answers(0)); /* the socket is open still: it belongs to the main thread */
    c = client(2);
    ask(c, "/nowhere");
    hears(c, "HTTP/1.1 404 Not Found\r\n");
    close(c);
    stop(false);
    wait_ended();
}
END_TEST

START_TEST(who_has_connected_before_a_door_is_closed_is_served)
{
    int c[8];
    start(1);
    worker_order(worker, &(struct orders){.number = ++number, .leave = true});
    for (int i = 0; i < 8; i++) { /* at any moment of it, perhaps too late */
        c[i] = begin(0);
        usleep(100);
    }
    wait_done();
    ck_assert(nobody_answers(0));
    for (int i = 0; i < 8; i++) {
        struct pollfd p = {.fd = c[i], .events = POLLOUT};
        if (poll(&p, 1, 0) == 1) {
            ask(c[i], "/nowhere");
            p.events = POLLIN;
            ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
            hears(c[i], "HTTP/1.1 404 Not Found\r\n");
        }
        close(c[i]);
    }
    wait_ended();
    ck_assert_uint_eq(worker->cut, 0);
}
END_TEST

START_TEST(one_that_leaves_ends_with_its_last_client)
{
    char buf[1024] = "";
    start(1);
    int idle = client(0), second = client(0);
    ask(idle, "/nowhere");
    hears(idle, "HTTP/1.1 404 Not Found\r\n");
    worker_order(worker, &(struct orders){.number = ++number, .snapshot = snapshot_new(), .leave = true});
    wait_done();
    ck_assert(!worker->ended);
    ask(idle, "/nowhere"); /* idle clients are not closed: what they send is answered, for the last time */
    ck_assert_int_gt(recv(idle, buf, sizeof(buf) - 1, 0), 0);
    ck_assert_ptr_nonnull(strstr(buf, "Connection: close\r\n"));
    ck_assert(hears_end(idle));
    close(idle);
    ask(second, "/nowhere");
    hears(second, "HTTP/1.1 404 Not Found\r\n");
    ck_assert(hears_end(second));
    close(second);
    wait_ended();
    ck_assert_uint_eq(worker->cut, 0);
}
END_TEST

START_TEST(shared_doors_are_left_as_they_are)
{
    start(1);
    worker_order(worker, &(struct orders){.number = ++number, .leave = true, .shared = true});
    wait_ended();
    int c = client(0), fd = accept(doors[0], NULL, NULL); /* another process lets in who comes now */
    ck_assert_int_ge(fd, 0);
    close(c), close(fd);
}
END_TEST

START_TEST(all_addresses_may_change_at_once)
{
    start(MANY);
    order(MANY, MANY);
    wait_done();
    int c = client(2 * MANY - 1);
    ask(c, "/nowhere");
    hears(c, "HTTP/1.1 404 Not Found\r\n");
    close(c);
    stop(false);
    wait_ended();
}
END_TEST

START_TEST(orders_may_overtake_each_other)
{
    ck_assert(worker_start(worker));
    for (int i = 0; i < 50; i++)
        order(0, 1);
    wait_done(); /* of the newest; snapshots of overtaken ones are let go */
    order(0, 1);
    stop(false);
    wait_ended();
}
END_TEST

static int server_accept(void)
{
    struct pollfd p = {.fd = server, .events = POLLIN};
    struct timeval patience = {.tv_sec = 5};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    int fd = accept(server, NULL, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

START_TEST(it_stops_when_the_last_request_is_done)
{
    start(1);
    int idle = client(0), busy = client(0);
    ask(busy, "/app/");
    int far = server_accept();
    stop(false);
    ck_assert(hears_end(idle));
    hears(far, "GET /app/ HTTP/1.1\r\n");
    ck_assert(!worker->ended);
    ck_assert_int_eq(write(far, "HTTP/1.1 204 No Content\r\n\r\n", 27), 27);
    hears(busy, "HTTP/1.1 204 No Content\r\n");
    ck_assert(hears_end(busy));
    wait_ended();
    ck_assert_uint_eq(worker->cut, 0);
    close(idle), close(busy), close(far);
}
END_TEST

START_TEST(it_cuts_when_it_is_told_to)
{
    start(1);
    int busy = client(0);
    ask(busy, "/app/");
    int far = server_accept();
    hears(far, "GET /app/ HTTP/1.1\r\n");
    stop(false);
    wait_done();
    stop(true);
    wait_ended();
    ck_assert_uint_eq(worker->cut, 1);
    ck_assert(hears_end(busy));
    ck_assert(hears_end(far));
    close(busy), close(far);
}
END_TEST

START_TEST(one_that_never_started_is_freed) { order(0, 1); /* with orders in its mailbox */ }
END_TEST

int main(void)
{
    Suite *s = suite_create("worker");
    TCase *c = tcase_create("worker");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, it_answers_where_it_was_told_to_listen);
    tcase_add_test(c, it_follows_to_other_addresses);
    tcase_add_test(c, who_has_connected_before_a_door_is_closed_is_served);
    tcase_add_test(c, one_that_leaves_ends_with_its_last_client);
    tcase_add_test(c, shared_doors_are_left_as_they_are);
    tcase_add_test(c, all_addresses_may_change_at_once);
    tcase_add_test(c, orders_may_overtake_each_other);
    tcase_add_test(c, it_stops_when_the_last_request_is_done);
    tcase_add_test(c, it_cuts_when_it_is_told_to);
    tcase_add_test(c, one_that_never_started_is_freed);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
