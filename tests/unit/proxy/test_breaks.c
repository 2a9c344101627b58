/* SPDX-License-Identifier: MIT */
/* Conversations that break: answers that are cut, clients that leave, answers that come early, a worker that
 * stops. */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: example.org\r\n\r\n"

/* A request that has arrived at the server. */
static struct peer *asked(struct peer *c, const char *request, const char *first)
{
    say(c, request);
    struct peer *s = server_accept(0);
    (void)hears_head(s, first);
    return s;
}

/* --- the server breaks off --- */

START_TEST(an_answer_with_a_length_is_cut)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    peer_close(s);
    hears_end(c); /* ninety-five bytes early: the client can tell */
    world_end("answer_cut");
}
END_TEST

START_TEST(a_chunked_answer_is_cut)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "5\r\nhello\r\n");
    peer_reset(s);
    hears_end(c); /* without the last chunk */
    world_end("answer_cut");
}
END_TEST

START_TEST(an_old_client_sees_a_cut_as_a_reset)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, "GET /app/x HTTP/1.0\r\n\r\n", "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    peer_close(s);
    UNTIL((peer_pull(c), c->ended));
    ck_assert_int_eq(c->error, ECONNRESET); /* an ordinary end would say that this was all */
    world_end("answer_cut");
}
END_TEST

START_TEST(chunks_that_break_the_rules)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "5\r\nhello\r\n");
    hears_end(c);
    world_end("answer_cut");
}
END_TEST

/* --- the client leaves --- */

START_TEST(a_client_leaves_an_asgi_server_waiting)
{
    void (*const ways[])(struct peer *) = {peer_close, peer_reset};
    for (size_t i = 0; i < DX_COUNT(ways); i++) {
        world_make("asgi", 1, "", "");
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
        ways[i](c);
        hears_end(s); /* at once */
        world_end("client_left");
    }
}
END_TEST

START_TEST(a_client_leaves_a_silent_stream)
{
    void (*const ways[])(struct peer *) = {peer_close, peer_reset};
    for (size_t i = 0; i < DX_COUNT(ways); i++) {
        world_make("asgi", 1, "", "");
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
        say(s, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
               "9\r\ndata: 1\n\n\r\n");
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "9\r\ndata: 1\n\n\r\n");
        ways[i](c);
        hears_end(s);
        world_end("client_left");
    }
}
END_TEST

START_TEST(a_client_leaves_in_the_middle_of_its_upload)
{
    void (*const ways[])(struct peer *) = {peer_close, peer_reset};
    for (size_t i = 0; i < DX_COUNT(ways); i++) {
        world_make("asgi", 1, "", "");
        struct peer *c = client_new();
        struct peer *s = asked(c, "PUT /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
                               "PUT /app/x HTTP/1.1");
        hears(s, "hello");
        ways[i](c);
        hears_end(s);
        world_end("client_left");
    }
}
END_TEST

START_TEST(a_client_leaves_before_wsgi_was_asked)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new(), *d = client_new(), *e = client_new();
    say(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    say(d, "POST /app/x HT");
    server_untouched(0);
    peer_close(c);
    peer_reset(d);
    peer_close(e); /* said nothing: no request at all */
    UNTIL(dx_proxy_clients(proxy) == 0);
    server_untouched(0);
    world_end("client_left client_left");
}
END_TEST

START_TEST(a_client_leaves_a_wsgi_worker_at_work)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new(), *d = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 300001\r\n\r\n.");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    peer_reset(c);
    hears_nothing(s); /* the worker is not disturbed */
    static char part[100000];
    for (int i = 0; i < 3; i++) /* its answer is read off */
        peer_send(s, part, sizeof(part));
    UNTIL(dx_proxy_clients(proxy) == 1);
    say(d, GET_X); /* and its connection serves the next */
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(d, "HTTP/1.1 200 OK");
    world_end("client_left ok");
}
END_TEST

START_TEST(an_endless_answer_is_not_read_off_for_ever)
{
    static char part[100000];
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n.");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    peer_reset(c);
    for (int i = 0; i < 100 && !s->ended; i++) {
        (void)!send(s->fd, part, sizeof(part), MSG_DONTWAIT | MSG_NOSIGNAL);
        step();
        peer_pull(s);
    }
    ck_assert(s->ended);
    world_end("client_left");
}
END_TEST

/* --- answers before the request is whole --- */

START_TEST(an_early_answer_and_a_small_rest)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello",
                           "POST /app/x HTTP/1.1");
    hears(s, "hello");
    say(s, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    (void)hears_head(c, "HTTP/1.1 403 Forbidden");
    hears(c, "no");
    hears_end(s); /* it never got its request whole */
    static char rest[996];
    memset(rest, 'x', 995);
    say(c, rest); /* is dropped, and the connection goes on */
    s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

START_TEST(an_early_answer_and_a_large_rest)
{
    static char part[64 * 1024];
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\nhello",
                           "POST /app/x HTTP/1.1");
    hears(s, "hello");
    say(s, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    hears(c, "no");
    for (int i = 0; i < 100 && !c->ended; i++) { /* the client goes on for a while */
        (void)!send(c->fd, part, sizeof(part), MSG_DONTWAIT | MSG_NOSIGNAL);
        step();
        peer_pull(c);
    }
    hears_end(c); /* it hears that no more comes, and is not reset */
    world_end("ok");
}
END_TEST

START_TEST(a_server_that_answers_and_closes_early)
{
    static char part[256 * 1024];
    world_make("wsgi", 1, "", "buffer: {memory: 4KB}\n");
    struct peer *c = client_new();
    say(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n");
    for (int i = 0; i < 32; i++)
        peer_send(c, part, sizeof(part));
    struct peer *s = server_accept(0);
    UNTIL(peer_has(s, 1000)); /* reads a little of it, answers and is gone */
    say(s, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    shutdown(s->fd, SHUT_WR);
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    hears(c, "no");
    world_end("ok");
}
END_TEST

/* --- the worker stops --- */

START_TEST(stopping_ends_idle_clients_and_finishes_requests)
{
    world_make("asgi", 1, "", "");
    struct peer *idle = client_new(), *busy = client_new();
    struct peer *s = asked(idle, GET_X, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(idle, "HTTP/1.1 200 OK");
    hears(idle, "hello");
    say(busy, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    dx_proxy_stop(proxy);
    hears_end(idle);
    say(s, OK_HELLO);
    HAS(hears_head(busy, "HTTP/1.1 200 OK"), "Connection: close");
    hears(busy, "hello");
    hears_end(busy);
    ck_assert_uint_eq(dx_proxy_clients(proxy), 0);
    world_end("ok ok");
}
END_TEST

START_TEST(who_asks_at_the_last_moment_is_answered)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    pass_ms(2); /* it is idle: the request that comes now was sent before it could know of the stop */
    dx_proxy_stop(proxy);
    pass_ms(2);
    s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    HAS(hears_head(c, "HTTP/1.1 200 OK"), "Connection: close");
    hears(c, "hello");
    hears_end(c);
    ck_assert_uint_eq(dx_proxy_clients(proxy), 0);
    world_end("ok ok");
}
END_TEST

START_TEST(what_still_runs_is_cut)
{
    world_make("asgi", 1, "", "");
    struct peer *idle = client_new(), *head = client_new(), *waiting = client_new(), *relay = client_new();
    struct peer *s = asked(waiting, GET_X, "GET /app/x HTTP/1.1");
    struct peer *t = asked(relay, GET_X, "GET /app/x HTTP/1.1");
    say(head, "GET /ap");
    say(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    (void)hears_head(relay, "HTTP/1.1 200 OK");
    hears(relay, "hello");
    pass_ms(2);
    ck_assert_uint_eq(world_cut(), 3);
    hears_end(relay);
    hears_end(waiting);
    hears_end(head);
    hears_end(idle);
    hears_end(s);
    hears_end(t);
    world_end("cut_off cut_off cut_off");
}
END_TEST

/* --- servers that are too talkative --- */

START_TEST(interim_answers_have_an_end)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    for (int i = 0; i < 40; i++)
        (void)!send(s->fd, "HTTP/1.1 103 Early Hints\r\n\r\n", 28, MSG_NOSIGNAL);
    UNTIL((peer_pull(s), s->ended));
    for (int i = 0; i < 16; i++)
        (void)hears_head(c, "HTTP/1.1 103 Early Hints");
    (void)hears_head(c, "HTTP/1.1 502 Bad Gateway");
    world_end("bad_answer");
}
END_TEST

/* The client takes nothing while the server sends one interim answer after the other. */
START_TEST(interim_answers_for_a_client_that_does_not_read)
{
    static char hints[61 * 1024];
    size_t n = (size_t)snprintf(hints, sizeof(hints), "HTTP/1.1 103 Early Hints\r\n");
    for (int i = 0; i < 60; i++)
        n += (size_t)snprintf(hints + n, sizeof(hints) - n, "Link: <%0*d>\r\n", 1000, i);
    n += (size_t)snprintf(hints + n, sizeof(hints) - n, "\r\n");
    world_make("asgi", 1, "", "limits: {header_size: 64KB}\n");
    small_buffers();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    for (int i = 0; i < 15; i++)
        peer_send(s, hints, n);
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    pass_ms(5);
    const char *head = head_of(c);
    for (int i = 0; i < 16 && strncmp(head, "HTTP/1.1 103 ", 13) == 0; i++)
        head = head_of(c);
    ck_assert_msg(strncmp(head, "HTTP/1.1 200 ", 13) == 0, "%.60s", head);
    hears(c, "5\r\nhello\r\n0\r\n\r\n");
    world_end("ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        an_answer_with_a_length_is_cut,
        a_chunked_answer_is_cut,
        an_old_client_sees_a_cut_as_a_reset,
        chunks_that_break_the_rules,
        a_client_leaves_an_asgi_server_waiting,
        a_client_leaves_a_silent_stream,
        a_client_leaves_in_the_middle_of_its_upload,
        a_client_leaves_before_wsgi_was_asked,
        a_client_leaves_a_wsgi_worker_at_work,
        an_endless_answer_is_not_read_off_for_ever,
        an_early_answer_and_a_small_rest,
        an_early_answer_and_a_large_rest,
        a_server_that_answers_and_closes_early,
        stopping_ends_idle_clients_and_finishes_requests,
        who_asks_at_the_last_moment_is_answered,
        what_still_runs_is_cut,
        interim_answers_have_an_end,
        interim_answers_for_a_client_that_does_not_read,
    };
    return run_tests("breaks", tests, DX_COUNT(tests));
}
