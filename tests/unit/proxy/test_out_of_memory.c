/* SPDX-License-Identifier: MIT */
/*
 * Requests for which there is no memory: they are refused as such, no server is blamed for it, and the next
 * one is served. tests/fuzz plays scripts in which each request for memory fails in turn.
 */
#include "failing.h"
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n"

/* The n-th request for memory from here on fails, and nobody sees any other. */
static void fail_from_here(unsigned n)
{
    failing_at(n);
    (void)failing_watch(true);
}

static void until_failed(void)
{
    for (unsigned i = 0; i < 1000 && !failing_has_failed(); i++)
        step();
    (void)failing_watch(false);
    ck_assert(failing_has_failed());
}

static void is_served(void)
{
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
}

/* A head that does not fit the block it began in. */
START_TEST(for_a_head)
{
    world_make("asgi", 1, "", "limits: {header_size: 64KB}\n");
    struct peer *c = client_new();
    say(c, "GET /app/x HTTP/1.1\r\nHost: a\r\n");
    char field[1024] = "X-Long: ";
    memset(field + 8, 'x', sizeof(field) - 8);
    memcpy(field + sizeof(field) - 2, "\r\n", 2);
    for (int i = 0; i < 15; i++) {
        peer_send(c, field, sizeof(field));
        step();
    }
    pass_ms(5);
    for (int i = 0; i < 4; i++)
        (void)!send(c->fd, field, sizeof(field), MSG_DONTWAIT);
    fail_from_here(1);
    until_failed();
    HAS(hears_head(c, "HTTP/1.1 503 Service Unavailable"), "Connection: close");
    is_served();
    world_end("ok no_memory"); /* it lingers, so that the answer can be read */
}
END_TEST

START_TEST(for_a_body)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    pass_ms(5);
    fail_from_here(1);
    (void)!send(c->fd, "hello", 5, MSG_DONTWAIT);
    until_failed();
    HAS(hears_head(c, "HTTP/1.1 503 Service Unavailable"), "Connection: close");
    is_served();
    world_end("ok no_memory"); /* it lingers, so that the answer can be read */
}
END_TEST

START_TEST(for_an_answer)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    fail_from_here(1);
    (void)!send(s->fd, OK_HELLO, strlen(OK_HELLO), MSG_DONTWAIT);
    until_failed();
    (void)hears_head(c, "HTTP/1.1 503 Service Unavailable");
    ck_assert_uint_eq(resets(0), 0); /* it was not the server's fault, and nobody asks again */
    is_served();
    world_end("no_memory ok");
}
END_TEST

START_TEST(to_wait_for_a_slot)
{
    world_make("wsgi", 1, "    slots: 1\n    queue: {fair_by: client_ip}\n", "");
    struct peer *first = client_new(), *c = client_new();
    say(first, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    pass_ms(2);
    (void)!send(c->fd, GET_X, strlen(GET_X), MSG_DONTWAIT);
    fail_from_here(4); /* the client's block, the exchange, the client's place among others, the queue */
    until_failed();
    (void)hears_head(c, "HTTP/1.1 503 Service Unavailable");
    say(s, OK_HELLO);
    (void)hears_head(first, "HTTP/1.1 200 OK");
    world_end("no_memory ok");
}
END_TEST

/* What cannot be begun without memory says so, and what there was before is still good. */
START_TEST(to_begin)
{
    unsigned n = 1;
    world_make("wsgi", 1, "", "");
    struct dx_queues *others = dx_queues_new(board, -1);
    struct dx_snapshot *s = snapshot_new("wsgi", "", "");
    ck_assert_ptr_nonnull(others);
    for (;; n++) {
        struct dx_proxy_setup setup = {.loop = loop, .board = board, .queues = others, .news_fd = -1};
        fail_from_here(n);
        struct dx_proxy *p = dx_proxy_new(&setup);
        bool used = p != NULL && dx_snapshot_open_gates(s, others) && dx_proxy_use(p, s);
        (void)failing_watch(false);
        ck_assert(used || failing_has_failed());
        dx_proxy_free(&p);
        if (!failing_has_failed())
            break;
    }
    ck_assert_uint_gt(n, 6);
    dx_queues_free(&others);
    dx_snapshot_unref(&s);
    is_served();
    world_end("ok");
}
END_TEST

START_TEST(to_take_a_configuration)
{
    const char *yaml =
        "pools:\n  app: {kind: wsgi, servers: [\"127.0.0.1:1\"], hold: off}\nroutes:\n  /app/: app\n";
    world_make("wsgi", 1, "", "");
    unsigned n = 1;
    for (;; n++) {
        struct dx_err err = {""};
        fail_from_here(n);
        struct dx_snapshot *s = dx_snapshot_new(dx_slice_str(yaml), "test.yaml", board, &err);
        (void)failing_watch(false);
        ck_assert((s == NULL) == failing_has_failed());
        ck_assert(s != NULL || err.text[0] != '\0');
        dx_snapshot_unref(&s);
        if (!failing_has_failed())
            break;
    }
    ck_assert_uint_gt(n, 6);
    is_served();
    world_end("ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {for_a_head,         for_a_body, for_an_answer,
                            to_wait_for_a_slot, to_begin,   to_take_a_configuration};
    failing_libevent();
    return run_tests("out of memory", tests, DX_COUNT(tests));
}
