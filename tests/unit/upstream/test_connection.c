/* SPDX-License-Identifier: MIT */
/* Connections to real listeners: dialled, kept, used again, ended; and what the board is told of it. */
#include "support.h"

struct guest { /* who uses a connection */
    struct dx_connection_user user;
    unsigned calls;
};

static int listener;
static struct dx_server *server;

static void on_ready(struct dx_connection_user *u) { DX_CONTAINER(u, struct guest, user)->calls++; }

#define GUEST                           \
    {                                   \
        .user = {.on_ready = on_ready } \
    }

static struct dx_server *the_server(void)
{
    struct dx_server *s = dx_pool_pick(pool(), &(struct dx_tried){.n = 0}, &(struct dx_wish){0});
    ck_assert_ptr_nonnull(s);
    return s;
}

static void setup(void)
{
    struct dx_address a, bound = {.len = sizeof(bound.u)};
    char text[DX_ADDRESS_TEXT];

    world_make();
    ck_assert(dx_address_parse(DX_SLICE("127.0.0.1:0"), false, &a));
    ck_assert(dx_listen_open(&a, false, 0, &listener, &err));
    ck_assert_int_eq(getsockname(listener, &bound.u.sa, &bound.len), 0);
    (void)dx_address_text(&bound, text, sizeof(text));
    (void)server_add(text, 1, false);
    publish();
    set_state(0, DX_SERVER_UP);
    server = the_server();
}

static void teardown(void)
{
    world_free();
    if (listener >= 0)
        close(listener);
}

static int accept_soon(void)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};
    struct dx_address peer;
    ck_assert_int_eq(poll(&p, 1, 5000), 1);
    int fd = dx_listen_accept(listener, &peer);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static bool is_ended(int fd)
{
    char byte;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 2000) == 1 && read(fd, &byte, 1) <= 0;
}

static struct dx_connection *dial(struct guest *g, int *far)
{
    struct dx_connection *c = dx_server_dial(server, &g->user);
    ck_assert_ptr_nonnull(c);
    RUN_UNTIL(dx_connection_state(c) != DX_DIAL_WAIT);
    ck_assert_int_eq(dx_connection_state(c), DX_DIAL_OPEN);
    ck_assert(!dx_connection_reused(c));
    ck_assert_ptr_eq(dx_connection_server(c), server);
    ck_assert(dx_connection_transport(c)->writable);
    *far = accept_soon();
    return c;
}

static struct dx_board_cell *cell(void) { return dx_board_cell(board, 0, servers[0].id); }

static uint64_t counted(enum dx_counter c) { return dx_board_counter_sum(board, c); }

static bool told_news(void)
{
    uint64_t n;
    return read(news, &n, sizeof(n)) == sizeof(n);
}

START_TEST(a_connection_is_counted_as_long_as_it_is_open)
{
    struct guest g = GUEST;
    int far;
    struct dx_connection *c = dial(&g, &far);
    ck_assert_uint_eq(cell()->connections, 1);
    ck_assert_uint_eq(counted(DX_COUNTER_SERVER_CONNECTS), 1);
    ck_assert_uint_gt(g.calls, 0);
    ck_assert_int_eq(write(far, "x", 1), 1);
    RUN_UNTIL(dx_connection_transport(c)->readable);
    dx_connection_close(&c);
    ck_assert_ptr_null(c);
    dx_connection_close(&c);
    ck_assert_uint_eq(cell()->connections, 0);
    ck_assert(is_ended(far));
    close(far);
    ck_assert(!told_news());
}
END_TEST

START_TEST(requests_and_answers_are_counted)
{
    struct guest g = GUEST;
    int far;
    struct dx_connection *c = dial(&g, &far);
    dx_connection_asked(c);
    ck_assert_uint_eq(dx_board_server_active(board, servers[0].id), 1);
    dx_connection_answered(c, 503); /* an answer, and no sign of health */
    ck_assert_uint_eq(cell()->last_answer_ms, 0);
    dx_connection_answered(c, 404);
    ck_assert_uint_gt(cell()->last_answer_ms, 0);
    dx_connection_keep(&c);
    ck_assert_ptr_null(c);
    ck_assert_uint_eq(dx_board_server_active(board, servers[0].id), 0);
    c = dx_server_reuse(server, &g.user);
    ck_assert_ptr_nonnull(c);
    dx_connection_asked(c);
    ck_assert_uint_eq(dx_board_server_active(board, servers[0].id), 1);
    dx_connection_broke(c);
    ck_assert_uint_eq(cell()->resets, 1);
    ck_assert(told_news());
    ck_assert_uint_gt(cell()->last_failure_ms, 0);
    dx_connection_close(&c);
    ck_assert_uint_eq(dx_board_server_active(board, servers[0].id), 0);
    ck_assert_uint_eq(cell()->requests, 2);
    ck_assert_uint_eq(cell()->responses, 2);
    close(far);
}
END_TEST

START_TEST(a_refused_dial_is_a_failure)
{
    struct guest g = GUEST;
    close(listener);
    listener = -1;
    struct dx_connection *c = dx_server_dial(server, &g.user);
    ck_assert_ptr_nonnull(c);
    enum dx_dial state = DX_DIAL_WAIT;
    RUN_UNTIL((state = dx_connection_state(c)) != DX_DIAL_WAIT);
    ck_assert_int_eq(state, DX_DIAL_FAILED);
    ck_assert_int_eq(errno, ECONNREFUSED);
    dx_connection_close(&c);
    ck_assert_uint_eq(cell()->connect_failures, 1);
    ck_assert_uint_eq(cell()->connections, 0);
    ck_assert(told_news());
}
END_TEST

START_TEST(a_dial_that_fails_at_once_is_a_failure)
{
    struct guest g = GUEST;
    servers_n = 0;
    (void)server_add("unix:/nowhere/at/all", 1, false);
    publish();
    set_state(0, DX_SERVER_UP);
    server = the_server();
    errno = 0;
    ck_assert_ptr_null(dx_server_dial(server, &g.user));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_uint_eq(cell()->connect_failures, 1);
    ck_assert_uint_eq(cell()->connections, 0);
    ck_assert(told_news());
}
END_TEST

START_TEST(a_dial_that_timed_out_is_a_failure)
{
    struct guest g = GUEST;
    struct dx_connection *c = dx_server_dial(server, &g.user);
    ck_assert_ptr_nonnull(c);
    dx_connection_timed_out(c);
    dx_connection_close(&c);
    ck_assert_uint_eq(cell()->connect_failures, 1);
    ck_assert(told_news());
}
END_TEST

/* --- kept for the next request --- */

START_TEST(the_last_one_used_is_used_first)
{
    struct guest g = GUEST, h = GUEST;
    int far[2];
    ck_assert_ptr_null(dx_server_reuse(server, &g.user));
    struct dx_connection *one = dial(&g, &far[0]), *two = dial(&g, &far[1]);
    struct dx_connection *first = one, *second = two;
    dx_connection_keep(&one);
    dx_connection_keep(&two);
    ck_assert_uint_eq(cell()->connections, 2);
    unsigned before = g.calls;
    ck_assert_ptr_eq(dx_server_reuse(server, &h.user), second);
    ck_assert_ptr_eq(dx_server_reuse(server, &h.user), first);
    ck_assert_ptr_null(dx_server_reuse(server, &h.user));
    ck_assert(dx_connection_reused(first));
    ck_assert_int_eq(dx_connection_state(first), DX_DIAL_OPEN);
    ck_assert_uint_eq(counted(DX_COUNTER_SERVER_REUSES), 2);
    ck_assert_int_eq(write(far[0], "x", 1), 1);
    RUN_UNTIL(h.calls > 0); /* the new user is told, and not the old one */
    ck_assert_uint_eq(g.calls, before);
    dx_connection_close(&first);
    dx_connection_close(&second);
    close(far[0]), close(far[1]);
}
END_TEST

START_TEST(an_idle_one_ends_in_time)
{
    struct guest g = GUEST;
    int far;
    settings.keepalive.idle = 20;
    struct dx_connection *c = dial(&g, &far);
    (void)pool();
    dx_connection_keep(&c);
    RUN_UNTIL(cell()->connections == 0);
    ck_assert(is_ended(far));
    ck_assert_ptr_null(dx_server_reuse(server, &g.user));
    close(far);
}
END_TEST

START_TEST(a_used_one_does_not_end_in_time)
{
    struct guest g = GUEST;
    int far;
    settings.keepalive.idle = 20;
    (void)pool();
    struct dx_connection *c = dial(&g, &far);
    dx_connection_keep(&c);
    c = dx_server_reuse(server, &g.user);
    ck_assert_ptr_nonnull(c);
    run(60);
    ck_assert_uint_eq(cell()->connections, 1);
    dx_connection_close(&c);
    close(far);
}
END_TEST

START_TEST(none_is_kept_to_a_drained_server)
{
    struct guest g = GUEST, h = GUEST;
    int far[3];
    struct dx_connection *idle = dial(&g, &far[0]), *busy = dial(&h, &far[1]);
    dx_connection_keep(&idle);
    dx_board_server_set(board, servers[0].id, DX_SERVER_DOWN, DX_WHY_DRAINED);
    dx_upstream_look_at_drains(upstream);
    ck_assert_uint_eq(cell()->connections, 1);
    ck_assert(is_ended(far[0]));
    dx_connection_keep(&busy);
    ck_assert_uint_eq(cell()->connections, 0);
    ck_assert(is_ended(far[1]));
    set_state(0, DX_SERVER_UP);
    dx_upstream_look_at_drains(upstream);
    struct dx_connection *again = dial(&g, &far[2]);
    dx_connection_keep(&again);
    ck_assert_uint_eq(cell()->connections, 1);
    close(far[0]), close(far[1]), close(far[2]);
}
END_TEST

START_TEST(an_idle_one_that_the_server_closed_is_gone)
{
    struct guest g = GUEST;
    int far;
    struct dx_connection *c = dial(&g, &far);
    dx_connection_keep(&c);
    unsigned before = g.calls;
    close(far);
    RUN_UNTIL(cell()->connections == 0);
    ck_assert_uint_eq(g.calls, before);
    ck_assert_ptr_null(dx_server_reuse(server, &g.user));
    ck_assert(!told_news()); /* that is no failure */
}
END_TEST

START_TEST(an_idle_one_that_speaks_is_ended)
{
    struct guest g = GUEST;
    int far;
    struct dx_connection *c = dial(&g, &far);
    dx_connection_keep(&c);
    ck_assert_int_eq(write(far, "HTTP/1.1 408 Request Timeout\r\n\r\n", 32), 32);
    RUN_UNTIL(cell()->connections == 0);
    close(far);
}
END_TEST

START_TEST(one_that_was_closed_already_is_not_kept)
{
    struct guest g = GUEST;
    int far;
    struct dx_connection *c = dial(&g, &far);
    close(far);
    RUN_UNTIL(dx_connection_transport(c)->hung_up);
    dx_connection_keep(&c);
    ck_assert_uint_eq(cell()->connections, 0);
}
END_TEST

START_TEST(the_one_that_waited_longest_makes_room)
{
    struct guest g = GUEST;
    struct dx_connection *c[3], *third;
    int far[3];
    settings.keepalive.max = 2;
    (void)pool();
    for (unsigned i = 0; i < 3; i++)
        c[i] = dial(&g, &far[i]);
    third = c[2];
    for (unsigned i = 0; i < 3; i++)
        dx_connection_keep(&c[i]);
    ck_assert_uint_eq(cell()->connections, 2);
    ck_assert(is_ended(far[0]));
    ck_assert_ptr_eq(dx_server_reuse(server, &g.user), third);
    dx_connection_close(&third);
    dx_upstream_close_idle(upstream);
    ck_assert_uint_eq(cell()->connections, 0);
    ck_assert(is_ended(far[1]));
    for (unsigned i = 0; i < 3; i++)
        close(far[i]);
}
END_TEST

START_TEST(none_is_kept_when_the_pool_keeps_none)
{
    struct guest g = GUEST;
    int far;
    settings.keepalive.max = 0;
    (void)pool();
    struct dx_connection *c = dial(&g, &far);
    dx_connection_keep(&c);
    ck_assert_uint_eq(cell()->connections, 0);
    ck_assert(is_ended(far));
    close(far);
}
END_TEST

/* --- servers that leave --- */

START_TEST(a_server_that_left_lives_as_long_as_its_connections)
{
    struct guest g = GUEST;
    int far[2];
    struct dx_connection *busy = dial(&g, &far[0]), *idle = dial(&g, &far[1]);
    struct dx_board_cell *old = cell();
    dx_connection_asked(busy);
    dx_connection_keep(&idle);
    servers_n = 0;
    publish();
    ck_assert_ptr_null(dx_pool_pick(pool(), &(struct dx_tried){.n = 0}, &(struct dx_wish){0}));
    ck_assert(is_ended(far[1])); /* idle ones end with it */
    ck_assert_uint_eq(old->connections, 1);
    ck_assert_str_ne(dx_server_name(dx_connection_server(busy)), "");
    dx_connection_keep(&busy); /* nobody will use it again */
    ck_assert(is_ended(far[0]));
    ck_assert_uint_eq(old->connections, 0);
    ck_assert_uint_eq(old->active, 0);
    close(far[0]), close(far[1]);
}
END_TEST

START_TEST(another_server_in_its_place_gets_connections_of_its_own)
{
    struct guest g = GUEST;
    int far;
    struct dx_connection *c = dial(&g, &far);
    uint32_t id = dx_server_id(server);
    dx_connection_keep(&c);
    ck_assert(dx_address_parse(DX_SLICE("127.0.0.1:1"), false, &servers[0].address));
    publish(); /* the same place, another generation */
    server = the_server();
    ck_assert_uint_eq(dx_server_id(server), id);
    ck_assert_ptr_null(dx_server_reuse(server, &g.user));
    ck_assert(is_ended(far));
    close(far);
}
END_TEST

START_TEST(a_forgotten_pool_ends_idle_connections_only)
{
    struct guest g = GUEST;
    int far[2];
    struct dx_connection *busy = dial(&g, &far[0]), *idle = dial(&g, &far[1]);
    dx_connection_keep(&idle);
    dx_upstream_forget_pool(upstream, board_pool);
    ck_assert(is_ended(far[1]));
    ck_assert_uint_eq(cell()->connections, 1);
    ck_assert_int_eq(write(far[0], "x", 1), 1);
    g.calls = 0;
    RUN_UNTIL(g.calls > 0);
    dx_connection_close(&busy);
    ck_assert_uint_eq(cell()->connections, 0);
    close(far[0]), close(far[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("connection");
    TCase *c = tcase_create("connection");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, a_connection_is_counted_as_long_as_it_is_open);
    tcase_add_test(c, requests_and_answers_are_counted);
    tcase_add_test(c, a_refused_dial_is_a_failure);
    tcase_add_test(c, a_dial_that_fails_at_once_is_a_failure);
    tcase_add_test(c, a_dial_that_timed_out_is_a_failure);
    tcase_add_test(c, the_last_one_used_is_used_first);
    tcase_add_test(c, an_idle_one_ends_in_time);
    tcase_add_test(c, a_used_one_does_not_end_in_time);
    tcase_add_test(c, none_is_kept_to_a_drained_server);
    tcase_add_test(c, an_idle_one_that_the_server_closed_is_gone);
    tcase_add_test(c, an_idle_one_that_speaks_is_ended);
    tcase_add_test(c, one_that_was_closed_already_is_not_kept);
    tcase_add_test(c, the_one_that_waited_longest_makes_room);
    tcase_add_test(c, none_is_kept_when_the_pool_keeps_none);
    tcase_add_test(c, a_server_that_left_lives_as_long_as_its_connections);
    tcase_add_test(c, another_server_in_its_place_gets_connections_of_its_own);
    tcase_add_test(c, a_forgotten_pool_ends_idle_connections_only);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
