/* SPDX-License-Identifier: MIT */
/*
 * Moves of the table of states that no ordinary conversation makes: the client leaves or is slow at an
 * unusual moment, a connection breaks before its first byte; and the end of a worker, which cuts a request
 * off in each state that waits. tests/coverage/edges.py tells which moves are missing.
 */
#include "proxy/client.h"
#include "world.h"

#define GET_X    "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define MUCH     3000000u /* as in the answer below */

static struct exchange *newest(void)
{
    return dx_list_empty(&proxy->clients) ? NULL
                                          : DX_CONTAINER(proxy->clients.prev, struct client, link)->exchange;
}

static bool is_in(enum state s) { return newest() != NULL && newest()->state == s; }

static struct peer *asked(struct peer *c, const char *request)
{
    say(c, request);
    struct peer *s = server_accept(0);
    (void)head_of(s);
    return s;
}

/* A listener whose backlog is full: the handshake hangs. */
static void fill_backlog(int door)
{
    ck_assert_int_eq(listen(door, 0), 0);
    for (int i = 0; i < 3; i++) {
        struct dx_address a = bound_to(door);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fd, &a.u.sa, a.len);
        (void)peer_new(fd);
        usleep(10000);
    }
}

/* Asks so often for what is not there, without reading an answer, that the kernel has no room for the next.
 */
static void ask_until_full(struct peer *c)
{
    static const char request[] = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    uint64_t until_us = dx_clock_us() + WAIT_US;
    for (unsigned still = 0; still < 50; still = is_in(STATE_REPLY) ? still + 1 : 0) {
        ck_assert_msg(dx_clock_us() < until_us, "every answer was taken");
        (void)!send(c->fd, request, sizeof(request) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        step();
    }
}

/* --- unusual moments --- */

START_TEST(a_client_leaves_while_its_server_is_dialled)
{
    world_make("asgi", 1, "", "");
    fill_backlog(doors[0]);
    struct peer *c = client_new();
    say(c, GET_X);
    UNTIL(is_in(STATE_CONNECT));
    peer_close(c);
    UNTIL(dx_proxy_clients(proxy) == 0);
    world_end("client_left");
}
END_TEST

/* The request is read in the same turn of the loop in which the kernel hears of the end. */
START_TEST(a_connection_breaks_before_the_first_byte)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    pass_ms(2);
    say(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    peer_reset(s);
    s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    hears(s, "abc"); /* once: nothing of it had been sent */
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

START_TEST(a_client_that_was_told_to_go_on_and_does_not)
{
    world_make("asgi", 1, "", "timeouts: {body: 40ms}\n");
    struct peer *c = client_new();
    struct peer *s =
        asked(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 100 Continue");
    ck_assert(is_in(STATE_AWAIT_HEAD));
    (void)hears_head(c, "HTTP/1.1 408 Request Timeout");
    hears_end(s);
    world_end("body_timeout");
}
END_TEST

/* For which the kernel holds little at both ends. */
static struct peer *reluctant_new(void)
{
    int little = 16 * 1024;
    struct dx_address door = bound_to(front), from;
    small_buffers();
    struct peer *c = peer_new(socket(AF_INET, SOCK_STREAM, 0));
    ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    ck_assert_int_eq(connect(c->fd, &door.u.sa, door.len), 0);
    dx_proxy_accept(proxy, dx_listen_accept(front, &from), &from, false);
    return c;
}

static void sip(struct peer *c)
{
    char buf[4096];
    ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n > 0)
        dx_text_add(&c->got, dx_slice_of(buf, (size_t)n));
}

/* The client was not told to go on, got its answer, and sent its body all the same. Whether it would was not
 * known when the answer began, so the connection ends; but not before the client has read all. */
START_TEST(the_end_of_an_answer_for_a_client_that_was_not_told_to_go_on)
{
    static char much[MUCH];
    memset(much, 'x', sizeof(much));
    world_make("asgi", 1, "", "");
    struct peer *c = reluctant_new();
    struct peer *s =
        asked(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    UNTIL(is_in(STATE_RELAY));
    say(c, "hello");
    hears(s, "hello");
    size_t at = 0;
    for (uint64_t until_us = dx_clock_us() + WAIT_US; !is_in(STATE_DELIVER); step()) {
        ck_assert_msg(dx_clock_us() < until_us, "the client never lagged with the end");
        ssize_t n = send(s->fd, much + at, MUCH - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        sip(c);
    }
    (void)hears_head(c, "HTTP/1.1 200 OK");
    UNTIL((peer_pull(c), c->ended));
    ck_assert_int_eq(c->error, 0);
    ck_assert_uint_eq(c->got.n, MUCH);
    world_end("ok");
}
END_TEST

START_TEST(a_client_that_takes_no_answer_of_ours)
{
    world_make("asgi", 1, "", "log: off\ntimeouts: {send: 50ms}\n"); /* many, to be answered with 404 */
    ask_until_full(reluctant_new());
    UNTIL(dx_proxy_clients(proxy) == 0);
    world_end("");
}
END_TEST

/* --- the worker ends --- */

static void is_cut_in(enum state s)
{
    UNTIL(is_in(s));
    pass_ms(2);
    ck_assert(is_in(s));
    ck_assert_uint_ge(world_cut(), 1);
    ck_assert_uint_eq(dx_proxy_clients(proxy), 0);
}

START_TEST(a_body_is_cut_off)
{
    world_make("wsgi", 1, "", "");
    say(client_new(), "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhel");
    is_cut_in(STATE_READ_BODY);
    world_end("cut_off");
}
END_TEST

START_TEST(a_turn_is_cut_off)
{
    world_make("wsgi", 1, "    slots: 1\n", "");
    struct peer *first = client_new();
    (void)asked(first, GET_X);
    say(client_new(), GET_X);
    is_cut_in(STATE_PICK);
    hears_end(first);
    world_end("cut_off cut_off");
}
END_TEST

START_TEST(a_dial_is_cut_off)
{
    world_make("asgi", 1, "", "");
    fill_backlog(doors[0]);
    say(client_new(), GET_X);
    is_cut_in(STATE_CONNECT);
    world_end("cut_off");
}
END_TEST

START_TEST(a_tunnel_is_cut_off)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s =
        asked(c, "GET /app/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    say(s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 101 Switching Protocols");
    is_cut_in(STATE_TUNNEL);
    hears_end(c);
    hears_end(s);
    world_end("cut_off");
}
END_TEST

START_TEST(an_answer_of_ours_is_cut_off)
{
    world_make("asgi", 1, "", "log: off\n");
    ask_until_full(reluctant_new());
    is_cut_in(STATE_REPLY);
    world_end("");
}
END_TEST

/* It has its answer already, so that is what the log says. */
START_TEST(a_drain_is_cut_off)
{
    world_make("asgi", 1, "", "limits: {body: 10}\n");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    is_cut_in(STATE_DRAIN);
    world_end("body_too_large");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_client_leaves_while_its_server_is_dialled,
        a_connection_breaks_before_the_first_byte,
        a_client_that_was_told_to_go_on_and_does_not,
        the_end_of_an_answer_for_a_client_that_was_not_told_to_go_on,
        a_client_that_takes_no_answer_of_ours,
        a_body_is_cut_off,
        a_turn_is_cut_off,
        a_dial_is_cut_off,
        a_tunnel_is_cut_off,
        an_answer_of_ours_is_cut_off,
        a_drain_is_cut_off,
    };
    return run_tests("moves", tests, DX_COUNT(tests));
}
