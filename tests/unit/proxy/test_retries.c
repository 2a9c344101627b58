/* SPDX-License-Identifier: MIT */
/* Connections that went stale: what may be asked a second time, where, and what never (RFC 9110 9.2.2). */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: example.org\r\n\r\n"
#define POST_X   "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"

/* One request is done; the connection that it leaves behind. */
static struct peer *used(struct peer *c)
{
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    return s;
}

START_TEST(a_stale_connection_and_a_get)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new(), *s = used(c);
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    peer_close(s); /* its idle time was over while the request was on its way */
    struct peer *fresh = server_accept(0);
    (void)hears_head(fresh, "GET /app/x HTTP/1.1");
    say(fresh, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    ck_assert_uint_eq(counted(DX_COUNTER_RETRIES), 1);
    ck_assert_uint_eq(resets(0), 0); /* no sign of illness */
    world_end("ok ok");
}
END_TEST

START_TEST(a_stale_connection_is_retried_once)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new(), *s = used(c);
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    peer_reset(s);
    s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    peer_close(s);
    (void)hears_head(c, "HTTP/1.1 502 Bad Gateway");
    world_end("ok server_closed");
}
END_TEST

START_TEST(a_second_try_is_made_on_a_fresh_connection)
{
    world_make("asgi", 1, "", "");
    struct peer *c[2] = {client_new(), client_new()}, *s[2];
    for (int i = 0; i < 2; i++) {
        say(c[i], GET_X);
        s[i] = server_accept(0);
        (void)hears_head(s[i], "GET /app/x HTTP/1.1");
    }
    for (int i = 0; i < 2; i++) {
        say(s[i], OK_HELLO);
        (void)hears_head(c[i], "HTTP/1.1 200 OK");
        hears(c[i], "hello");
    }
    say(c[0], GET_X); /* on the one that was used last; the other may be as stale */
    (void)hears_head(s[1], "GET /app/x HTTP/1.1");
    peer_close(s[1]);
    struct peer *fresh = server_accept(0);
    hears_nothing(s[0]);
    (void)hears_head(fresh, "GET /app/x HTTP/1.1");
    say(fresh, OK_HELLO);
    (void)hears_head(c[0], "HTTP/1.1 200 OK");
    hears(c[0], "hello");
    world_end("ok ok ok");
}
END_TEST

START_TEST(a_stale_connection_and_a_post)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new(), *s = used(c);
    say(c, POST_X);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    hears(s, "abc");
    peer_close(s); /* who knows what it did with it */
    (void)hears_head(c, "HTTP/1.1 502 Bad Gateway");
    server_untouched(0);
    ck_assert_uint_eq(counted(DX_COUNTER_RETRIES), 0);
    world_end("ok server_closed");
}
END_TEST

START_TEST(an_idle_connection_that_was_closed_is_not_used)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new(), *s = used(c);
    peer_close(s);
    UNTIL(connections(0) == 0);
    say(c, POST_X);
    s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    hears(s, "abc");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

START_TEST(a_body_that_was_kept_is_sent_again_whole)
{
    world_make("wsgi", 1, "", "buffer: {memory: 4KB}\n");
    struct peer *c = client_new(), *s = used(c);
    static char body[10001];
    memset(body, 'x', sizeof(body) - 1);
    say(c, "PUT /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n");
    say(c, body);
    (void)hears_head(s, "PUT /app/x HTTP/1.1");
    hears(s, body);
    peer_close(s);
    struct peer *fresh = server_accept(0);
    HAS(hears_head(fresh, "PUT /app/x HTTP/1.1"), "Content-Length: 10000");
    hears(fresh, body);
    say(fresh, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

START_TEST(a_streamed_body_cannot_be_sent_again)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new(), *s = used(c);
    say(c, "PUT /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    (void)hears_head(s, "PUT /app/x HTTP/1.1");
    say(c, "hello");
    hears(s, "hello");
    peer_close(s);
    (void)hears_head(c, "HTTP/1.1 502 Bad Gateway");
    server_untouched(0);
    world_end("ok server_closed");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_stale_connection_and_a_get,
        a_stale_connection_is_retried_once,
        a_second_try_is_made_on_a_fresh_connection,
        a_stale_connection_and_a_post,
        an_idle_connection_that_was_closed_is_not_used,
        a_body_that_was_kept_is_sent_again_whole,
        a_streamed_body_cannot_be_sent_again,
    };
    return run_tests("retries", tests, DX_COUNT(tests));
}
