/* SPDX-License-Identifier: MIT */
/*
 * Large bodies that go from socket to socket through a pipe: they arrive as they were, whoever is slow; a
 * pipe is held only while bytes wait in it; and every end in the middle is the one that blocks of memory
 * would have given.
 */
#include "proxy/internal.h"
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n"
#define ANSWER   "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n"
#define UPLOAD   "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n"
#define MUCH     20000000u

static char much[MUCH];

static void make_much(const char *kind)
{
    world_make(kind, 1, "", "buffer: {memory: 4KB, path: /tmp}\n");
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)('a' + (i * 7 + i / 1000) % 26);
}

static struct peer *asked(struct peer *c, const char *request, const char *first)
{
    say(c, request);
    struct peer *s = server_accept(0);
    (void)hears_head(s, first);
    return s;
}

/* At most so many bytes from `from`; turns until the kernel takes no more. */
static size_t push(struct peer *from, size_t at, size_t most)
{
    for (unsigned still = 0; at < most && still < 50;) {
        ssize_t n = send(from->fd, much + at, most - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        still = n > 0 ? 0 : still + 1;
        step();
    }
    return at;
}

/* The rest from `at` on, read meanwhile by `to`: all of it is there, and as it was. */
static void carries(struct peer *from, struct peer *to, size_t at, size_t all)
{
    uint64_t until_us = dx_clock_us() + WAIT_US;
    while (!peer_has(to, all)) {
        ck_assert_msg(dx_clock_us() < until_us && !to->ended, "%zu bytes arrived", to->got.n);
        at = push(from, at, at + 100000 < all ? at + 100000 : all);
        step();
    }
    ck_assert_int_eq(memcmp(to->got.p, much, all), 0);
    peer_drop(to, all);
}

static void pipe_was_used(void)
{
    ck_assert_uint_gt(proxy->pipes.idle_n, 0);
    ck_assert_uint_eq(proxy->pipes.out, 0);
}

START_TEST(an_answer_and_the_next)
{
    static const char *const kinds[] = {"wsgi", "asgi"};
    for (size_t i = 0; i < DX_COUNT(kinds); i++) {
        make_much(kinds[i]);
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
        say(s, ANSWER);
        peer_send(s, much, 1);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        say(c, GET_X); /* pipelined: waits for its turn */
        carries(s, c, 1, MUCH);
        pipe_was_used();
        (void)hears_head(s, "GET /app/x HTTP/1.1"); /* the connection was kept */
        say(s, OK_HELLO);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "hello");
        world_end("ok ok");
    }
}
END_TEST

/* The client takes nothing for a while: its pipe is full, and then everybody waits. */
START_TEST(an_answer_for_a_slow_client)
{
    make_much("wsgi");
    small_buffers();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    peer_send(s, much, 1);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    size_t sent = push(s, 1, 3000000);
    ck_assert_uint_eq(proxy->pipes.out, 1);
    carries(s, c, sent, 3000000);
    ck_assert_uint_eq(proxy->pipes.out, 0);
    world_end("ok");
}
END_TEST

START_TEST(an_answer_without_a_pipe)
{
    make_much("asgi");
    proxy->pipes.most = 0;
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, ANSWER);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    carries(s, c, 0, MUCH);
    ck_assert_uint_eq(proxy->pipes.idle_n, 0);
    world_end("ok");
}
END_TEST

START_TEST(a_chunked_body_goes_in_blocks)
{
    make_much("asgi");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    peer_send(s, much, 1000000);
    say(s, "\r\n0\r\n\r\n");
    UNTIL(peer_has(c, 1000000) && memcmp(c->got.p + c->got.n - 7, "\r\n0\r\n\r\n", 7) == 0);
    ck_assert_uint_eq(proxy->pipes.idle_n, 0);
    peer_drop(c, c->got.n);
    world_end("ok");
}
END_TEST

START_TEST(an_answer_is_cut)
{
    void (*const ways[])(struct peer *) = {peer_close, peer_reset};
    for (size_t i = 0; i < DX_COUNT(ways); i++) {
        make_much("wsgi");
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
        say(s, ANSWER);
        peer_send(s, much, 1);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        ck_assert_uint_eq(push(s, 1, 1500000), 1500000);
        UNTIL(peer_has(c, 1500000));
        ways[i](s);
        UNTIL((peer_pull(c), c->ended));
        ck_assert_uint_eq(c->got.n, 1500000); /* the framing says that more was due */
        pipe_was_used();
        world_end("answer_cut");
    }
}
END_TEST

START_TEST(a_client_leaves_its_answer)
{
    make_much("asgi");
    small_buffers();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, ANSWER);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    (void)push(s, 0, MUCH);
    ck_assert_uint_eq(proxy->pipes.out, 1);
    peer_reset(c);
    UNTIL((peer_pull(s), s->ended));
    ck_assert_uint_eq(proxy->pipes.out, 0);
    ck_assert_uint_eq(proxy->pipes.idle_n, 0); /* what was in it is for nobody */
    world_end("client_left");
}
END_TEST

START_TEST(a_client_leaves_a_wsgi_worker)
{
    make_much("wsgi");
    small_buffers();
    struct peer *c = client_new(), *d = client_new();
    struct peer *s = asked(c, GET_X, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 1200000\r\n\r\n");
    peer_send(s, much, 1);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    size_t sent = push(s, 1, 1000000); /* more than the client's side of the kernel takes */
    ck_assert_uint_eq(proxy->pipes.out, 1);
    peer_reset(c);
    while (sent < 1200000) /* the rest is read off: less than a megabyte */
        sent = push(s, sent, 1200000);
    UNTIL(dx_proxy_clients(proxy) == 1);
    say(d, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1"); /* on the same connection */
    say(s, OK_HELLO);
    (void)hears_head(d, "HTTP/1.1 200 OK");
    world_end("client_left ok");
}
END_TEST

/* --- up --- */

START_TEST(an_upload_ends_with_the_worker)
{
    make_much("asgi");
    struct peer *c = client_new();
    struct peer *s = asked(c, UPLOAD, "POST /app/x HTTP/1.1");
    ck_assert_uint_lt(push(c, 0, MUCH), MUCH); /* the server reads nothing */
    ck_assert_uint_eq(proxy->pipes.out, 1);
    world_cut(); /* the end of the worker, with a pipe full */
    ck_assert_uint_eq(proxy->pipes.out, 0);
    UNTIL((peer_pull(s), s->ended));
    world_end("cut_off");
}
END_TEST

START_TEST(an_upload_arrives)
{
    make_much("asgi");
    struct peer *c = client_new();
    struct peer *s = asked(c, UPLOAD, "POST /app/x HTTP/1.1");
    carries(c, s, 0, MUCH);
    pipe_was_used();
    say(c, GET_X); /* pipelined behind it */
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

START_TEST(an_upload_is_cut)
{
    void (*const ways[])(struct peer *) = {peer_close, peer_reset};
    for (size_t i = 0; i < DX_COUNT(ways); i++) {
        make_much("asgi");
        struct peer *c = client_new();
        struct peer *s = asked(c, UPLOAD, "POST /app/x HTTP/1.1");
        ck_assert_uint_eq(push(c, 0, 1000000), 1000000);
        UNTIL(peer_has(s, 1000000));
        ways[i](c);
        UNTIL((peer_pull(s), s->ended));
        pipe_was_used();
        world_end("client_left");
    }
}
END_TEST

START_TEST(an_early_answer)
{
    make_much("asgi");
    struct peer *c = client_new();
    struct peer *s = asked(c, UPLOAD, "POST /app/x HTTP/1.1");
    size_t sent = push(c, 0, MUCH);
    ck_assert_uint_lt(sent, MUCH);
    ck_assert_uint_eq(proxy->pipes.out, 1);
    say(s, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    hears(c, "no");
    UNTIL((peer_pull(s), s->ended)); /* its request will never be whole */
    (void)push(c, sent, MUCH);
    hears_end(c);
    world_end("ok");
}
END_TEST

/* --- into the spool --- */

START_TEST(an_upload_through_a_file)
{
    make_much("wsgi");
    struct peer *c = client_new();
    say(c, UPLOAD);
    peer_send(c, much, MUCH / 2);
    server_untouched(0);
    peer_send(c, much + MUCH / 2, MUCH / 2);
    struct peer *s = server_accept(0);
    pipe_was_used();
    HAS(hears_head(s, "POST /app/x HTTP/1.1"), "Content-Length: 20000000");
    UNTIL(peer_has(s, MUCH));
    ck_assert_int_eq(memcmp(s->got.p, much, MUCH), 0);
    ck_assert_uint_eq(s->got.n, MUCH);
    peer_drop(s, MUCH);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_FILES), 1);
    say(c, GET_X);
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

START_TEST(a_client_leaves_its_upload)
{
    make_much("wsgi");
    struct peer *c = client_new();
    say(c, UPLOAD);
    ck_assert_uint_eq(push(c, 0, 1000000), 1000000);
    pass_ms(5);
    peer_close(c);
    UNTIL(dx_proxy_clients(proxy) == 0);
    pipe_was_used();
    server_untouched(0);
    world_end("client_left");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        an_answer_and_the_next,
        an_answer_for_a_slow_client,
        an_answer_without_a_pipe,
        a_chunked_body_goes_in_blocks,
        an_answer_is_cut,
        a_client_leaves_its_answer,
        a_client_leaves_a_wsgi_worker,
        an_upload_ends_with_the_worker,
        an_upload_arrives,
        an_upload_is_cut,
        an_early_answer,
        an_upload_through_a_file,
        a_client_leaves_its_upload,
    };
    return run_tests("splice", tests, DX_COUNT(tests));
}
