/* SPDX-License-Identifier: MIT */
/* Dialling, and what a transport knows of its readiness: short reads, ends, partial writes, resets. */
#include <netinet/tcp.h>

#include "support.h"

static struct dx_loop *loop;
static struct dx_timer end;
static struct dx_transport ours;
static unsigned edges;
static int listener, theirs;
static struct dx_address where;

static void on_end(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void on_event(struct dx_watch *w, unsigned what)
{
    struct dx_transport *t = DX_CONTAINER(w, struct dx_transport, watch);
    dx_transport_ready(t, what);
    edges++;
    dx_loop_stop(w->loop);
}

/* Until an edge came, or nothing for a while. */
static void turn(void)
{
    end.on_due = on_end;
    dx_timer_set(loop, &end, 20);
    dx_loop_run(loop);
}

#define TURN_UNTIL(condition)                              \
    do {                                                   \
        for (int turns = 0; !(condition); turns++, turn()) \
            ck_assert_msg(turns < 200, "%s", #condition);  \
    } while (0)

static void open_on(int fd, bool connected)
{
    ours = (struct dx_transport){.watch.on_event = on_event};
    ck_assert(dx_transport_open(&ours, loop, fd, connected));
}

static void setup(void)
{
    struct dx_address a = address_of("127.0.0.1:0"), peer;
    bool connected = false;
    int fd = -1;

    folder_make();
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    listener = listen_on(&a);
    where = bound_to(listener);
    ck_assert(dx_dial_start(&where, &fd, &connected));
    open_on(fd, connected);
    theirs = accept_soon(listener, &peer);
    TURN_UNTIL(ours.writable);
    ck_assert_int_eq(dx_dial_result(ours.watch.fd), 0);
}

static void teardown(void)
{
    dx_transport_close(&ours);
    dx_fd_close(&theirs);
    dx_fd_close(&listener);
    dx_timer_clear(&end);
    dx_loop_free(&loop);
    folder_remove();
}

static void put(const char *text) { ck_assert(dx_fd_write_all(theirs, dx_slice_str(text))); }

/* --- reading --- */

START_TEST(a_short_read_waits_for_the_next_edge)
{
    char buf[16];
    size_t got = 0;
    ck_assert(!ours.readable);
    put("hello");
    TURN_UNTIL(ours.readable);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, 2, &got), DX_IO_OK);
    ck_assert_uint_eq(got, 2);
    ck_assert(ours.readable); /* filled to the brim: there may be more */
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_OK);
    ck_assert_uint_eq(got, 3);
    ck_assert(!ours.readable);
    got = 77;
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_AGAIN);
    ck_assert_uint_eq(got, 77);
    put("again");
    TURN_UNTIL(ours.readable);
}
END_TEST

START_TEST(an_end_behind_data_is_read_after_it)
{
    char buf[64];
    size_t got = 0;
    put("last words");
    ck_assert_int_eq(shutdown(theirs, SHUT_WR), 0);
    TURN_UNTIL(ours.hung_up);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_OK);
    ck_assert_uint_eq(got, 10);
    ck_assert(ours.readable); /* the end was announced, and is announced only once */
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_EOF);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_EOF);
}
END_TEST

START_TEST(their_reset_is_an_error)
{
    char buf[64];
    size_t got = 0;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    dx_fd_close(&theirs);
    TURN_UNTIL(ours.readable);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_ERROR);
    ck_assert_int_eq(errno, ECONNRESET);
}
END_TEST

/* Both in one edge, which looks like bytes alone: nothing more would tell of the end. */
START_TEST(a_reset_behind_data_is_found)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    char buf[64];
    size_t got = 0;
    put("last words");
    ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    dx_fd_close(&theirs);
    TURN_UNTIL(ours.readable);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_OK);
    ck_assert_uint_eq(got, 10);
    ck_assert(dx_transport_may_read(&ours));
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_ERROR);
    ck_assert_int_eq(errno, ECONNRESET);
}
END_TEST

START_TEST(after_a_short_read_one_more_is_tried)
{
    char buf[64];
    size_t got = 0;
    ck_assert(!dx_transport_may_read(&ours));
    put("hello");
    TURN_UNTIL(ours.readable);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_OK);
    ck_assert(dx_transport_may_read(&ours));
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_AGAIN);
    ck_assert(!dx_transport_may_read(&ours));
}
END_TEST

START_TEST(a_look_tells_who_is_gone_and_takes_nothing)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    char buf[16];
    size_t got = 0;
    dx_transport_look(&ours);
    ck_assert(!ours.hung_up);
    put("unread");
    TURN_UNTIL(ours.readable);
    dx_transport_look(&ours);
    ck_assert(!ours.hung_up);
    ck_assert_int_eq(dx_transport_receive(&ours, buf, sizeof(buf), &got), DX_IO_OK);
    ck_assert_uint_eq(got, 6);
    ck_assert_int_eq(setsockopt(theirs, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    dx_fd_close(&theirs);
    TURN_UNTIL(ours.readable); /* a reset looks like something to read */
    dx_transport_look(&ours);
    ck_assert(ours.hung_up);
}
END_TEST

/* --- writing --- */

static size_t read_all_of(size_t want)
{
    static char buf[256 * 1024];
    size_t all = 0;
    struct pollfd p = {.fd = theirs, .events = POLLIN};
    while (all < want && poll(&p, 1, WAIT_MS) == 1) {
        ssize_t n = read(theirs, buf, sizeof(buf));
        if (n <= 0)
            break;
        all += (size_t)n;
    }
    return all;
}

START_TEST(slices_are_gathered)
{
    char one[] = "one ", two[] = "two ", three[] = "three", got[32];
    struct iovec iov[3] = {{one, 4}, {two, 4}, {three, 5}};
    size_t sent = 0;
    ck_assert_int_eq(dx_transport_send(&ours, iov, 3, false, &sent), DX_IO_OK);
    ck_assert_uint_eq(sent, 13);
    ck_assert(ours.writable);
    struct pollfd p = {.fd = theirs, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    ck_assert_int_eq(read(theirs, got, sizeof(got)), 13);
    ck_assert_mem_eq(got, "one two three", 13);
}
END_TEST

START_TEST(a_full_socket_takes_a_part)
{
    static char big[8 * 1024 * 1024];
    struct iovec iov = {big, sizeof(big)};
    size_t sent = 0, all = 0, got = 0;
    ck_assert_int_eq(dx_transport_send(&ours, &iov, 1, false, &sent), DX_IO_OK);
    ck_assert_uint_lt(sent, sizeof(big));
    ck_assert(!ours.writable);
    all = sent;
    while (ours.writable || dx_transport_send(&ours, &iov, 1, false, &sent) != DX_IO_AGAIN)
        all += sent;
    edges = 0;
    turn();
    ck_assert_uint_eq(edges, 0);
    for (int turns = 0; !ours.writable; turns++) {
        ck_assert_int_lt(turns, 200);
        got += read_all_of(got + 1024 * 1024 < all ? 1024 * 1024 : all - got);
        turn();
    }
    got += read_all_of(all - got);
    ck_assert_uint_eq(got, all);
}
END_TEST

START_TEST(writing_to_nobody_is_an_error_and_no_signal)
{
    char text[] = "hello?";
    struct iovec iov = {text, 6};
    size_t sent;
    enum dx_io io = DX_IO_OK;
    dx_fd_close(&theirs);
    TURN_UNTIL(ours.hung_up);
    for (int i = 0; i < 100 && io == DX_IO_OK; i++, usleep(1000))
        io = dx_transport_send(&ours, &iov, 1, false, &sent);
    ck_assert_int_eq(io, DX_IO_ERROR);
}
END_TEST

static ssize_t their_read(void)
{
    char byte;
    struct pollfd p = {.fd = theirs, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    return read(theirs, &byte, 1);
}

START_TEST(shutdown_and_close_are_an_end)
{
    dx_transport_shutdown(&ours);
    ck_assert_int_eq(their_read(), 0);
    put("still heard");
    TURN_UNTIL(ours.readable);
    dx_transport_close(&ours);
    ck_assert(!dx_transport_is_open(&ours));
    dx_transport_close(&ours);
    dx_transport_reset(&ours);
    dx_transport_shutdown(&ours);
}
END_TEST

START_TEST(a_reset_is_seen_by_the_other_side)
{
    dx_transport_reset(&ours);
    ck_assert(!dx_transport_is_open(&ours));
    ck_assert_int_eq(their_read(), -1);
    ck_assert_int_eq(errno, ECONNRESET);
}
END_TEST

/* --- dialling --- */

START_TEST(nobody_there_is_refused)
{
    bool connected = false;
    int fd = -1;
    dx_fd_close(&listener);
    dx_transport_close(&ours);
    ck_assert(dx_dial_start(&where, &fd, &connected));
    ck_assert(!connected);
    open_on(fd, connected);
    ck_assert(!ours.writable);
    TURN_UNTIL(ours.hung_up || ours.readable || ours.writable);
    ck_assert_int_eq(dx_dial_result(ours.watch.fd), ECONNREFUSED);
}
END_TEST

START_TEST(a_dial_may_stay_under_way)
{
    /* A listener whose backlog is full leaves further handshakes without an answer. */
    struct dx_address a = address_of("127.0.0.1:0");
    int busy = socket(AF_INET, SOCK_STREAM, 0), waiting[8];
    bool connected = true;
    unsigned n = 0;
    ck_assert_int_eq(bind(busy, &a.u.sa, a.len), 0);
    ck_assert_int_eq(listen(busy, 0), 0);
    struct dx_address full = bound_to(busy);
    for (int result = 0; result == 0 && n < 8; n++) {
        ck_assert(dx_dial_start(&full, &waiting[n], &connected));
        struct pollfd p = {.fd = waiting[n], .events = POLLOUT};
        result = poll(&p, 1, 50) == 1 ? dx_dial_result(waiting[n]) : EINPROGRESS;
        ck_assert_msg(result == 0 || result == EINPROGRESS, "%s", strerror(result));
    }
    ck_assert_int_eq(dx_dial_result(waiting[n - 1]), EINPROGRESS);
    ck_assert(!connected);
    for (unsigned i = 0; i < n; i++)
        close(waiting[i]);
    close(busy);
}
END_TEST

START_TEST(a_unix_socket_is_connected_at_once)
{
    struct dx_address a = unix_address("s"), peer;
    bool connected = false;
    int fd = -1, door = listen_on(&a);
    ck_assert(dx_dial_start(&a, &fd, &connected));
    ck_assert(connected);
    ck_assert_int_eq(dx_dial_result(fd), 0);
    int other = accept_soon(door, &peer);
    close(other), close(fd), close(door);
    fd = -7;
    ck_assert(!dx_dial_start(&a, &fd, &connected)); /* the file without a listener */
    ck_assert_int_eq(errno, ECONNREFUSED);
    (void)unlink(a.u.un.sun_path);
    ck_assert(!dx_dial_start(&a, &fd, &connected));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(fd, -7);
}
END_TEST

START_TEST(a_unix_socket_with_a_full_backlog_says_so)
{
    struct dx_address a = unix_address("s");
    int busy = socket(AF_UNIX, SOCK_STREAM, 0), waiting[8];
    bool connected;
    unsigned n = 0;
    ck_assert_int_eq(bind(busy, &a.u.sa, a.len), 0);
    ck_assert_int_eq(listen(busy, 0), 0);
    while (n < 8 && dx_dial_start(&a, &waiting[n], &connected))
        n++;
    ck_assert_uint_lt(n, 8);
    ck_assert_int_eq(errno, EAGAIN);
    for (unsigned i = 0; i < n; i++)
        close(waiting[i]);
    close(busy);
    (void)unlink(a.u.un.sun_path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("transport");
    TCase *c = tcase_create("transport");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, a_short_read_waits_for_the_next_edge);
    tcase_add_test(c, an_end_behind_data_is_read_after_it);
    tcase_add_test(c, their_reset_is_an_error);
    tcase_add_test(c, a_reset_behind_data_is_found);
    tcase_add_test(c, after_a_short_read_one_more_is_tried);
    tcase_add_test(c, a_look_tells_who_is_gone_and_takes_nothing);
    tcase_add_test(c, slices_are_gathered);
    tcase_add_test(c, a_full_socket_takes_a_part);
    tcase_add_test(c, writing_to_nobody_is_an_error_and_no_signal);
    tcase_add_test(c, shutdown_and_close_are_an_end);
    tcase_add_test(c, a_reset_is_seen_by_the_other_side);
    tcase_add_test(c, nobody_there_is_refused);
    tcase_add_test(c, a_dial_may_stay_under_way);
    tcase_add_test(c, a_unix_socket_is_connected_at_once);
    tcase_add_test(c, a_unix_socket_with_a_full_backlog_says_so);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
