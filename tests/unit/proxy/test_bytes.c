/* SPDX-License-Identifier: MIT */
/*
 * The same conversations with every byte on its own, and with very many: what is said must not depend on how
 * it was cut, and blocks of every size must hold what they have to.
 */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* One byte, one turn of the loop. */
static void trickle(struct peer *p, const char *text)
{
    for (; *text != '\0'; text++) {
        peer_send(p, text, 1);
        step();
    }
}

static const struct {
    const char *kind, *request, *first, *body, *answer, *heard;
} rows[] = {
    {"asgi", "GET /app/%7Ex?y=1 HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n",
     "GET /app/%7Ex?y=1 HTTP/1.1", "", OK_HELLO, "hello"},
    {"wsgi", "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nworld", "POST /app/ HTTP/1.1",
     "world", OK_HELLO, "hello"},
    {"asgi", "PUT /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nworld", "PUT /app/ HTTP/1.1", "world",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nh\r\n0\r\nX-A: b\r\n\r\n",
     "1\r\nh\r\n0\r\nX-A: b\r\n\r\n"},
    {"wsgi",
     "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;ext=1\r\nworld\r\n2\r\n!!\r\n0\r\nX-Sum: 1\r\n\r\n",
     "POST /app/ HTTP/1.1", "world!!", "HTTP/1.1 100 Continue\r\n\r\n" OK_HELLO, "hello"},
    {"asgi",
     "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nw\r\n0\r\nX-Sum: 1\r\n\r\n",
     "POST /app/ HTTP/1.1", "1\r\nw\r\n0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n", ""},
    {"wsgi", "HEAD /app/ HTTP/1.0\r\nHost: a\r\n\r\n", "HEAD /app/ HTTP/1.1", "",
     "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n", ""},
};

START_TEST(byte_by_byte)
{
    world_make(rows[_i].kind, 1, "", "");
    struct peer *c = client_new();
    trickle(c, rows[_i].request);
    struct peer *s = server_accept(0);
    (void)hears_head(s, rows[_i].first);
    hears(s, rows[_i].body);
    trickle(s, rows[_i].answer);
    const char *head = head_of(c);
    if (strncmp(head, "HTTP/1.1 100 ", 13) == 0)
        head = head_of(c);
    ck_assert_msg(strncmp(head, "HTTP/1.1 20", 11) == 0, "%s", head);
    hears(c, rows[_i].heard);
    pass_ms(2);
    peer_pull(c);
    ck_assert_uint_eq(c->got.n, 0);
    world_end("ok");
}
END_TEST

START_TEST(refusals_byte_by_byte)
{
    static const char *const requests[] = {"GET /app/ HTTP/1.1\r\nHost: a\r\nX : y\r\n",
                                           "\r\nGET  / HTTP/1.1\r\n", "GET /app/ HTTP/3.0\r\n",
                                           "GET /app/ HTTP/1.1\r\n\n"};
    world_make("asgi", 1, "", "");
    for (size_t i = 0; i < DX_COUNT(requests); i++) {
        struct peer *c = client_new();
        trickle(c, requests[i]);
        const char *head = head_of(c);
        ck_assert_msg(strncmp(head, "HTTP/1.1 400 ", 13) == 0 || strncmp(head, "HTTP/1.1 505 ", 13) == 0,
                      "%s", head);
        peer_close(c);
    }
    world_end("bad_request bad_request bad_request bad_request");
}
END_TEST

START_TEST(a_tunnel_byte_by_byte)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    trickle(c, "GET /app/ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nearly");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/ws HTTP/1.1");
    trickle(s, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst");
    hears(s, "early");
    (void)hears_head(c, "HTTP/1.1 101 Switching Protocols");
    hears(c, "first");
    trickle(c, "\r\n\r\n0\r\n");
    hears(s, "\r\n\r\n0\r\n");
    peer_close(c);
    hears_end(s);
    world_end("ok");
}
END_TEST

/* --- much --- */

#define MUCH 3000000u

static char much[MUCH + 1];

static void make_much(void)
{
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)('a' + (i * 7 + i / 1000) % 26);
}

/* Sends it from one side while the other reads, and compares. */
static void carries_much(struct peer *from, struct peer *to, size_t *sent)
{
    uint64_t until_us = dx_clock_us() + WAIT_US;
    while (!peer_has(to, MUCH)) {
        ck_assert_msg(dx_clock_us() < until_us && !to->ended, "%zu bytes arrived", to->got.n);
        size_t left = MUCH - *sent;
        ssize_t n = left > 0 ? send(from->fd, much + *sent, left, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        *sent += n > 0 ? (size_t)n : 0;
        step();
    }
    ck_assert_int_eq(memcmp(to->got.p, much, MUCH), 0);
    peer_drop(to, MUCH);
}

START_TEST(a_large_upload_through_a_file)
{
    size_t sent = 0;
    world_make("wsgi", 1, "", "buffer: {memory: 4KB, path: /tmp}\n");
    make_much();
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    peer_send(c, much, MUCH);
    sent = MUCH;
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "POST /app/ HTTP/1.1"), "Content-Length: 3000000");
    carries_much(c, s, &sent);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_FILES), 1);
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

START_TEST(a_large_upload_in_a_stream)
{
    size_t sent = 0;
    world_make("asgi", 1, "", "");
    make_much();
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    carries_much(c, s, &sent);
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

START_TEST(a_large_answer_for_a_slow_client)
{
    static const char *const kinds[] = {"wsgi", "asgi"};
    for (size_t i = 0; i < 2; i++) {
        size_t sent = 0;
        world_make(kinds[i], 1, "", "");
        make_much();
        small_buffers();
        struct peer *c = client_new();
        say(c, "GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n");
        struct peer *s = server_accept(0);
        (void)hears_head(s, "GET /app/ HTTP/1.1");
        say(s, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
        peer_send(s, much, sent = 1);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        carries_much(s, c, &sent);
        hears_nothing(c);
        world_end("ok");
    }
}
END_TEST

/* A head that fills the largest block to its end, and one that goes over it. */
START_TEST(the_largest_head)
{
    static char pad[66000];
    static const char begin[] = "GET /app/ HTTP/1.1\r\nHost: a\r\nX: ";
    size_t fits = 64 * 1024 - strlen(begin) - 4;
    for (size_t extra = 0; extra < 2; extra++) {
        world_make("asgi", 1, "", "limits: {header_size: 64KB}\n");
        memset(pad, 'x', sizeof(pad));
        memcpy(pad + fits + extra, "\r\n\r\n", 5);
        struct peer *c = client_new();
        say(c, begin);
        say(c, pad);
        if (extra == 0) {
            struct peer *s = server_accept(0);
            (void)hears_head(s, "GET /app/ HTTP/1.1");
            say(s, OK_HELLO);
            (void)hears_head(c, "HTTP/1.1 200 OK");
            hears(c, "hello");
        } else {
            (void)hears_head(c, "HTTP/1.1 431 Request Header Fields Too Large");
        }
        world_end(extra ? "bad_request" : "ok");
    }
}
END_TEST

/* The same for an answer's head, and for trailers behind a body. */
START_TEST(the_largest_answer)
{
    static char pad[66000];
    static const char begin[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: ";
    world_make("asgi", 1, "", "limits: {header_size: 64KB}\n");
    struct peer *c = client_new();
    memset(pad, 'x', sizeof(pad));
    memcpy(pad + 64 * 1024 - strlen(begin) - 4, "\r\n\r\n", 5);
    say(c, "GET /app/ HTTP/1.1\r\nHost: a\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/ HTTP/1.1");
    say(s, begin);
    say(s, pad);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    memset(pad, 'y', sizeof(pad));
    pad[65536] = '\0';
    say(s, "10000\r\n"), say(s, pad), say(s, "\r\n0\r\nX: ");
    memcpy(pad + 65536 - 3 - 4, "\r\n\r\n", 5);
    say(s, pad);
    size_t data = 0;
    UNTIL((peer_pull(c), c->got.n > 4 && strcmp(c->got.p + c->got.n - 4, "\r\n\r\n") == 0));
    for (size_t i = 0; i < c->got.n; i++)
        data += c->got.p[i] == 'y';
    ck_assert_uint_eq(data, 65536 + 65536 - 3 - 4);
    world_end("ok");
}
END_TEST

/* Names and values of a byte each: what is added to a field on its way must fit, however many there are. */
START_TEST(very_many_very_small_fields)
{
    world_make("asgi", 1, "", "limits: {header_count: 256}\n");
    struct peer *c = client_new();
    say(c, "GET /app/ HTTP/1.1\r\nHost:a\r\n");
    for (int i = 0; i < 255; i++)
        say(c, "a:\r\n");
    say(c, "\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/ HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 256; i++)
        say(s, "a:\r\n");
    say(s, "\r\nhello");
    peer_close(s);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "5\r\nhello\r\n0\r\n\r\n");
    world_end("ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        refusals_byte_by_byte,
        a_tunnel_byte_by_byte,
        a_large_upload_through_a_file,
        a_large_upload_in_a_stream,
        a_large_answer_for_a_slow_client,
        the_largest_head,
        the_largest_answer,
        very_many_very_small_fields,
    };
    Suite *s = suite_create("bytes");
    TCase *c = tcase_create("bytes");
    tcase_set_timeout(c, 10);
    tcase_add_loop_test(c, byte_by_byte, 0, (int)DX_COUNT(rows));
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
