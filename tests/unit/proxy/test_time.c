/* SPDX-License-Identifier: MIT */
/* Every deadline of an exchange and its outcome: who was slow, and what the other side is told. */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: example.org\r\n\r\n"

static struct peer *asked(struct peer *c, const char *request, const char *first)
{
    say(c, request);
    struct peer *s = server_accept(0);
    (void)hears_head(s, first);
    return s;
}

START_TEST(a_slow_head)
{
    world_make("asgi", 1, "", "timeouts: {header: 20ms, idle: 60s}\n");
    struct peer *c = client_new(), *silent = client_new();
    say(c, "GET /app/ HTTP/1.1\r\nHo");
    HAS(hears_head(c, "HTTP/1.1 408 Request Timeout"), "Connection: close");
    hears_end(silent); /* a new connection that says nothing is closed without a word */
    world_end("header_timeout");
}
END_TEST

START_TEST(a_head_that_trickles_gets_no_more_time)
{
    world_make("asgi", 1, "", "timeouts: {header: 60ms}\n");
    struct peer *c = client_new();
    say(c, "GET /app/ HTTP/1.1\r\nX: ");
    uint64_t start = dx_clock_us();
    while (!peer_has(c, 1) && dx_clock_us() - start < 2000000) {
        say(c, "x");
        pass_ms(5);
    }
    (void)hears_head(c, "HTTP/1.1 408 Request Timeout");
    world_end("header_timeout");
}
END_TEST

START_TEST(an_idle_client)
{
    world_make("asgi", 1, "", "timeouts: {header: 60s, idle: 20ms}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    hears_end(c);
    world_end("ok");
}
END_TEST

START_TEST(a_slow_body)
{
    for (int asgi = 0; asgi < 2; asgi++) {
        world_make(asgi ? "asgi" : "wsgi", 1, "", "timeouts: {body: 20ms}\n");
        struct peer *c = client_new();
        say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
        (void)hears_head(c, "HTTP/1.1 408 Request Timeout");
        world_end("body_timeout");
    }
}
END_TEST

START_TEST(a_body_that_trickles_gets_time_for_each_piece)
{
    world_make("wsgi", 1, "", "timeouts: {body: 100ms}\nlimits: {min_rate: {body: 10}}\n");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        pass_ms(20);
        say(c, "x");
    }
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    hears(s, "xxxxxxxxxx");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok");
}
END_TEST

START_TEST(a_slow_server)
{
    world_make("wsgi", 1, "    timeouts: {response: 20ms}\n", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    (void)hears_head(c, "HTTP/1.1 504 Gateway Timeout");
    hears_end(s);
    world_end("response_timeout");
}
END_TEST

START_TEST(deadlines_end_with_their_exchange)
{
    world_make("wsgi", 1, "    timeouts: {response: 30ms, idle: 30ms}\n",
               "timeouts: {header: 30ms, send: 30ms}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    pass_ms(80);
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

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

START_TEST(a_server_that_does_not_accept)
{
    world_make("wsgi", 1, "    timeouts: {connect: 30ms}\n", "");
    fill_backlog(doors[0]);
    struct peer *c = client_new();
    say(c, GET_X);
    (void)hears_head(c, "HTTP/1.1 504 Gateway Timeout");
    ck_assert_uint_eq(connect_failures(0), 1);
    world_end("connect_timeout");
}
END_TEST

/* The second wait in the same state has a deadline of its own. */
START_TEST(two_servers_that_do_not_accept)
{
    world_make("wsgi", 2, "    timeouts: {connect: 30ms}\n", "");
    fill_backlog(doors[0]);
    fill_backlog(doors[1]);
    struct peer *c = client_new();
    say(c, GET_X);
    (void)hears_head(c, "HTTP/1.1 504 Gateway Timeout");
    ck_assert_uint_eq(connect_failures(0), 1);
    ck_assert_uint_eq(connect_failures(1), 1);
    world_end("connect_timeout");
}
END_TEST

START_TEST(a_server_that_takes_nothing)
{
    static char part[64 * 1024];
    world_make("asgi", 1, "    timeouts: {response: 50ms}\n", "limits: {body: 0}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n",
                           "POST /app/ HTTP/1.1");
    for (int i = 0; i < 2000 && !c->ended && c->got.n == 0; i++) {
        (void)!send(c->fd, part, sizeof(part), MSG_DONTWAIT | MSG_NOSIGNAL);
        pass_ms(1);
        peer_pull(c);
    }
    (void)hears_head(c, "HTTP/1.1 504 Gateway Timeout");
    ck_assert(!s->ended);
    world_end("send_timeout");
}
END_TEST

START_TEST(an_answer_that_stops)
{
    world_make("wsgi", 1, "    timeouts: {idle: 20ms}\n", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    hears_end(c);
    hears_end(s);
    world_end("answer_timeout");
}
END_TEST

START_TEST(an_asgi_stream_may_be_silent)
{
    world_make("asgi", 1, "    timeouts: {response: 20ms}\n", "timeouts: {send: 20ms, body: 20ms}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    pass_ms(100);
    say(s, "5\r\nhello\r\n0\r\n\r\n");
    hears(c, "5\r\nhello\r\n0\r\n\r\n");
    world_end("ok");
}
END_TEST

START_TEST(a_client_that_takes_nothing)
{
    static char part[64 * 1024];
    world_make("asgi", 1, "", "timeouts: {send: 50ms}\n");
    small_buffers();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 2000 && !s->ended; i++) {
        (void)!send(s->fd, part, sizeof(part), MSG_DONTWAIT | MSG_NOSIGNAL);
        pass_ms(1);
        peer_pull(s);
    }
    ck_assert(s->ended);
    ck_assert_uint_eq(dx_proxy_clients(proxy), 0);
    world_end("client_slow");
}
END_TEST

#define UPGRADE                                                                        \
    "GET /app/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

START_TEST(a_silent_tunnel)
{
    world_make("asgi", 1, "    timeouts: {tunnel: 40ms}\n", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, UPGRADE, "GET /app/ws HTTP/1.1");
    say(s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 101 Switching Protocols");
    for (int i = 0; i < 5; i++) { /* what either side says gives it more time */
        pass_ms(15);
        say(i % 2 ? c : s, "x");
        hears(i % 2 ? s : c, "x");
    }
    hears_end(c);
    hears_end(s);
    world_end("tunnel_timeout");
}
END_TEST

START_TEST(a_drain_has_an_end)
{
    world_make("asgi", 1, "", "limits: {body: 10}\ntimeouts: {header: 40ms}\n");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    UNTIL(dx_proxy_clients(proxy) == 0); /* though the client neither sends nor closes */
    world_end("body_too_large");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_slow_head,
        a_head_that_trickles_gets_no_more_time,
        an_idle_client,
        a_slow_body,
        a_body_that_trickles_gets_time_for_each_piece,
        a_slow_server,
        deadlines_end_with_their_exchange,
        a_server_that_does_not_accept,
        two_servers_that_do_not_accept,
        a_server_that_takes_nothing,
        an_answer_that_stops,
        an_asgi_stream_may_be_silent,
        a_client_that_takes_nothing,
        a_silent_tunnel,
        a_drain_has_an_end,
    };
    return run_tests("time", tests, DX_COUNT(tests));
}
