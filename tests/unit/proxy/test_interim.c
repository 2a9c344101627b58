/* SPDX-License-Identifier: MIT */
/* Heads that are not the answer: hints, "Continue", and the switch to a tunnel. */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: example.org\r\n\r\n"

START_TEST(interim_answers_pass)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    HAS(hears_head(c, "HTTP/1.1 103 Early Hints"), "Link: </style.css>");
    say(s, "HTTP/1.1 102 Processing\r\n\r\n" OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 102 Processing");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

#define EXPECTING "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

START_TEST(wsgi_is_not_asked_whether_to_continue)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, EXPECTING);
    (void)hears_head(c, "HTTP/1.1 100 Continue");
    server_untouched(0);
    say(c, "world");
    struct peer *s = server_accept(0);
    LACKS(hears_head(s, "POST /app/ HTTP/1.1"), "Expect");
    hears(s, "world");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

START_TEST(asgi_says_itself_whether_to_continue)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, EXPECTING);
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "POST /app/ HTTP/1.1"), "Expect: 100-continue");
    hears_nothing(c);
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 100 Continue");
    say(c, "world");
    hears(s, "world");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

START_TEST(a_client_that_may_never_send_its_body)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, EXPECTING);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    say(s, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"); /* instead of "Continue" */
    HAS(hears_head(c, "HTTP/1.1 403 Forbidden"),
        "Connection: close"); /* where would the next request begin? */
    hears(c, "no");
    hears_end(c);
    hears_end(s);
    world_end("ok");
}
END_TEST

#define UPGRADE                                                                        \
    "GET /app/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

static struct peer *tunnel(struct peer *c, const char *early, const char *first)
{
    say(c, UPGRADE);
    say(c, early);
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "GET /app/ws HTTP/1.1"), "Upgrade: websocket");
    say(s, SWITCHING);
    say(s, first);
    HAS(hears_head(c, "HTTP/1.1 101 Switching Protocols"), "Upgrade: websocket");
    hears(c, first);
    hears(s, early);
    return s;
}

START_TEST(a_tunnel_carries_bytes_both_ways)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = tunnel(c, "early bytes", "first bytes");
    ck_assert_uint_eq(counted(DX_COUNTER_TUNNELS_OPEN), 1);
    say(c, "ping");
    hears(s, "ping");
    say(s, "pong");
    hears(c, "pong");
    say(s, "bye");
    peer_close(s);
    hears(c, "bye");
    hears_end(c);
    world_end("ok");
}
END_TEST

START_TEST(a_tunnel_ends_with_its_client)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = tunnel(c, "", "");
    say(c, "last");
    peer_close(c);
    hears(s, "last");
    hears_end(s);
    world_end("ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        interim_answers_pass,
        wsgi_is_not_asked_whether_to_continue,
        asgi_says_itself_whether_to_continue,
        a_client_that_may_never_send_its_body,
        a_tunnel_carries_bytes_both_ways,
        a_tunnel_ends_with_its_client,
    };
    return run_tests("interim", tests, DX_COUNT(tests));
}
