/* SPDX-License-Identifier: MIT */
/* What diplex answers by itself, and what it tries before: refused requests, servers that are down, stale
 * connections. */
#include <sys/resource.h>

#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: example.org\r\n\r\n"
#define POST_X   "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"

/* diplex's own answer, whole; its head. */
static const char *answered(struct peer *c, const char *first, bool keeps)
{
    char status[64];
    const char *head = hears_head(c, first);
    HAS(head, "Server: diplex");
    HAS(head, "Content-Type: text/plain; charset=utf-8");
    HAS(head, "Cache-Control: no-store");
    HAS(head, "Vary: Accept");
    HAS(head, "X-Content-Type-Options: nosniff");
    ck_assert_int_eq(strstr(head, "Connection: close\r\n") == NULL, keeps);
    (void)snprintf(status, sizeof(status), "%s\n", first + strlen("HTTP/1.1 "));
    hears(c, status);
    UNTIL((peer_pull(c), strstr(c->got.p, "request id: ")) != NULL || c->ended);
    char *id = strstr(c->got.p, "request id: ");
    ck_assert_ptr_nonnull(id);
    UNTIL(peer_has(c, (size_t)(id - c->got.p) + 12 + 32 + 1));
    peer_drop(c, (size_t)(strstr(c->got.p, "request id: ") - c->got.p) + 12 + 32 + 1);
    if (!keeps)
        hears_end(c);
    return head;
}

START_TEST(no_route)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "GET /application HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)answered(c, "HTTP/1.1 404 Not Found", true);
    say(c, "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    (void)answered(c, "HTTP/1.1 404 Not Found", false); /* its body was not read */
    server_untouched(0);
    world_end("no_route no_route");
}
END_TEST

START_TEST(rules_that_are_broken)
{
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {"GET /app/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"}, /* no Host */
        {"GET /app/ HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400 Bad Request"},
        {"GET /app/%zz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 Bad Request"},
        {"GET /app/ HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
        {"POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 Bad Request"},
        {"POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
         "HTTP/1.1 501 Not Implemented"},
    };
    world_make("wsgi", 1, "", "log: {access: off}\n");
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct peer *c = client_new();
        say(c, rows[i].request);
        const char *head = hears_head(c, rows[i].answer);
        HAS(head, "Connection: close");
        peer_close(c);
    }
    server_untouched(0);
    world_end("");
}
END_TEST

START_TEST(answers_to_what_is_refused)
{
    world_make("asgi", 1, "", "trusted_proxies: [192.0.2.1]\n");
    struct peer *c = client_new(), *d = client_new(), *e = client_new(), *f = client_new();
    say(c, "\r\nHEAD /app/ HTTP/1.1\r\n\r\n"); /* no Host */
    (void)hears_head(c, "HTTP/1.1 400 Bad Request");
    hears_end(c); /* no content */
    say(d, "TRACE /app/ HTTP/1.1\r\nHost: a\r\n\r\n");
    HAS(answered(d, "HTTP/1.1 405 Method Not Allowed", false),
        "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    say(e, "GET https://a/app/ HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)answered(e, "HTTP/1.1 421 Misdirected Request", false);
    say(f, "GET /app/ HTTP/3.0\r\nHost: a\r\n\r\n");
    (void)hears_head(f, "HTTP/1.1 505 HTTP Version Not Supported");
    hears(f, "505 HTTP Version Not Supported\nThe request is written in a version of HTTP that "
             "this site does not speak. (Exactly: not HTTP/1.)\n"); /* RFC 9110 15.6.6: why */
    server_untouched(0);
    world_end("bad_request bad_request bad_request bad_request");
}
END_TEST

START_TEST(options_that_go_no_further)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    HAS(answered(c, "HTTP/1.1 200 OK", true), "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    say(c, "OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    (void)answered(c, "HTTP/1.1 200 OK", true);
    server_untouched(0);
    say(c, "OPTIONS /app/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n");
    HAS(hears_head(server_accept(0), "OPTIONS /app/ HTTP/1.1"), "Max-Forwards: 0");
    peer_close(c);
    world_end("answered answered client_left");
}
END_TEST

/* Of a chunked body that is broken, nothing is forwarded as far as the fault is here already. */
START_TEST(broken_chunks_at_once)
{
    static const char *rows[] = {"x\r\n", "3\r\nabcd\r\n", "3\r\nabc\r\n0\r\nA : 1\r\n\r\n",
                                 "3\r\nabc\r\n0\r\nA\n"};
    world_make("asgi", 1, "", "log: {access: off}\n");
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct peer *c = client_new();
        char text[200];
        snprintf(text, sizeof(text), "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s",
                 rows[i]);
        say(c, text);
        (void)answered(c, "HTTP/1.1 400 Bad Request", false);
        peer_close(c);
    }
    server_untouched(0);
    world_end("");
}
END_TEST

START_TEST(a_client_that_names_no_host)
{
    world_make("asgi", 1, "    health: {path: /up, host: shop.example}\n", "");
    struct peer *c = client_new();
    say(c, "GET /app/ HTTP/1.0\r\n\r\n");
    const char *head = hears_head(server_accept(0), "GET /app/ HTTP/1.1");
    HAS(head, "Host: shop.example");
    HAS(head, "X-Forwarded-Host: shop.example");
    peer_close(c);
    world_end("client_left");
}
END_TEST

START_TEST(too_much_of_a_head)
{
    static char long_path[600], many[4000];
    memset(long_path, 'x', sizeof(long_path) - 1);
    for (int i = 0; i < 200; i++)
        memcpy(many + (size_t)i * 6, "a: b\r\n", 6);
    world_make("wsgi", 1, "", "limits: {url: 500, header_count: 50, header_size: 4KB}\n");
    struct peer *c = client_new(), *d = client_new(), *e = client_new();
    say(c, "GET /app/"), say(c, long_path), say(c, " HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 414 URI Too Long");
    peer_close(c);
    say(d, "GET /app/ HTTP/1.1\r\n"), say(d, many);
    (void)hears_head(d, "HTTP/1.1 431 Request Header Fields Too Large");
    peer_close(d);
    say(e, "GET /app/ HTTP/1.1\r\nX: ");
    for (int i = 0; i < 10; i++)
        say(e, long_path);
    (void)hears_head(e, "HTTP/1.1 431 Request Header Fields Too Large");
    world_end("bad_request bad_request bad_request");
}
END_TEST

START_TEST(too_much_of_a_body)
{
    world_make("wsgi", 1, "", "limits: {body: 10}\n");
    struct peer *c = client_new(), *d = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large"); /* before a byte of it */
    say(c, "hello world"); /* the client sends it all the same and is not reset */
    peer_close(c);
    say(d, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n");
    server_untouched(0);
    say(d, "3\r\n9ab\r\n");
    (void)hears_head(d, "HTTP/1.1 413 Content Too Large");
    server_untouched(0);
    peer_close(d);
    UNTIL(dx_proxy_clients(proxy) == 0);
    struct peer *e = client_new();
    say(e, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    hears(s, "0123456789");
    say(s, OK_HELLO);
    (void)hears_head(e, "HTTP/1.1 200 OK");
    world_end("body_too_large body_too_large ok");
}
END_TEST

START_TEST(too_much_of_a_streamed_body)
{
    world_make("asgi", 1, "", "limits: {body: 10}\n");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    hears(s, "8\r\n12345678\r\n");
    say(c, "3\r\n9ab\r\n");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    hears_end(s); /* in the middle of its request: it is not taken for a whole one */
    world_end("body_too_large");
}
END_TEST

START_TEST(a_websocket_on_a_wsgi_pool)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "GET /app/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 501 Not Implemented");
    server_untouched(0);
    world_end("upgrade_refused");
}
END_TEST

START_TEST(a_body_that_cannot_be_kept)
{
    struct rlimit little = {5000, 5000}, before;
    static char body[20000];
    memset(body, 'x', sizeof(body) - 1);
    world_make("wsgi", 1, "", "buffer: {memory: 4KB, path: /tmp}\n");
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    say(c, body);
    (void)hears_head(c, "HTTP/1.1 507 Insufficient Storage");
    server_untouched(0);
    world_end("spool_failed");
}
END_TEST

/* --- servers --- */

START_TEST(nobody_is_up)
{
    world_make("asgi", 2, "", "");
    server_state(0, DX_SERVER_DOWN);
    server_state(1, DX_SERVER_DOWN);
    struct peer *c = client_new();
    say(c, GET_X);
    HAS(answered(c, "HTTP/1.1 503 Service Unavailable", true), "Retry-After: 5");
    server_state(1, DX_SERVER_UP); /* the client's connection goes on */
    say(c, GET_X);
    struct peer *s = server_accept(1);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("pool_down ok");
}
END_TEST

START_TEST(a_refused_one_is_followed_by_another)
{
    world_make("wsgi", 2, "", "");
    server_dies(0);
    for (int i = 0; i < 2; i++) { /* round robin: one of the two begins at the dead one */
        struct peer *c = client_new();
        say(c, POST_X);
        struct peer *s = server_accept(1);
        (void)hears_head(s, "POST /app/x HTTP/1.1");
        hears(s, "abc");
        say(s, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "hello");
    }
    ck_assert_uint_eq(connect_failures(0), 1);
    ck_assert_uint_eq(connect_failures(1), 0);
    world_end("ok ok");
}
END_TEST

START_TEST(all_are_refused)
{
    world_make("wsgi", 3, "", "");
    for (size_t i = 0; i < 3; i++)
        server_dies(i);
    struct peer *c = client_new();
    say(c, GET_X);
    (void)answered(c, "HTTP/1.1 502 Bad Gateway", true);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(connect_failures(i), 1);
    world_end("connect_failed");
}
END_TEST

START_TEST(closed_without_an_answer)
{
    world_make("asgi", 2, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    peer_close(s);
    (void)answered(c, "HTTP/1.1 502 Bad Gateway", true); /* nobody knows what became of it */
    server_untouched(1);
    ck_assert_uint_eq(resets(0), 1);
    world_end("server_closed");
}
END_TEST

/* What may be repeated goes to the other server; and not for ever. */
START_TEST(closed_without_an_answer_is_tried_again)
{
    world_make("asgi", 2, "    retry: 1\n", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    peer_close(s);
    s = server_accept(1);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    peer_close(s);
    (void)answered(c, "HTTP/1.1 502 Bad Gateway", true);
    world_end("server_closed");
}
END_TEST

/* Until the first of its body is there, the head of a wsgi server's answer waits, and the client has seen
 * nothing. */
START_TEST(a_head_without_its_body_is_no_answer_yet)
{
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"};
    for (size_t i = 0; i < DX_COUNT(heads); i++) {
        world_make("wsgi", 2, "", "");
        struct peer *c = client_new();
        say(c, GET_X);
        struct peer *s = server_accept(0);
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        say(s, heads[i]);
        hears_nothing(c);
        peer_close(s);
        s = server_accept(1);
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        say(s, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        hears_nothing(c);
        say(s, "hello");
        HAS(hears_head(c, "HTTP/1.1 200 OK"), "Content-Length: 5");
        hears(c, "hello");
        world_end("ok");
    }
}
END_TEST

/* A POST's head goes alone, and its body when the server wants it: so it is known not to have run before. */
START_TEST(a_post_asks_first)
{
    world_make("wsgi", 2, "    retry: 3\n", "");
    struct peer *c = client_new();
    say(c, POST_X);
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "POST /app/x HTTP/1.1"), "Expect: 100-continue");
    hears_nothing(s);
    peer_close(s); /* its worker never took it */
    s = server_accept(1);
    HAS(hears_head(s, "POST /app/x HTTP/1.1"), "Expect: 100-continue");
    hears_nothing(s);
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    hears(s, "abc");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK"); /* nothing of the 100: the client did not ask */
    hears(c, "hello");
    say(c, POST_X); /* on the connection that was kept */
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    hears(s, "abc");
    peer_close(s); /* now nobody knows */
    (void)answered(c, "HTTP/1.1 502 Bad Gateway", true);
    world_end("ok server_closed");
}
END_TEST

START_TEST(a_post_that_is_answered_before_its_body)
{
    world_make("wsgi", 1, "    retry: 3\n", "");
    struct peer *c = client_new();
    say(c, POST_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    say(s, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nhello");
    (void)hears_head(c, "HTTP/1.1 413 Content Too Large");
    hears(c, "hello");
    UNTIL((peer_pull(s), s->ended)); /* which cannot serve another: its request was never whole */
    ck_assert_uint_eq(s->got.n, 0);
    say(c, GET_X);
    s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

START_TEST(a_server_that_says_no_continue_is_asked_once)
{
    world_make("wsgi", 1, "    retry: 3\n", "");
    struct peer *c = client_new();
    say(c, POST_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    hears(s, "abc"); /* after a second */
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    say(c, POST_X);
    const char *head = hears_head(s, "POST /app/x HTTP/1.1");
    ck_assert_ptr_null(strstr(head, "Expect"));
    hears(s, "abc");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    world_end("ok ok");
}
END_TEST

/* One that has said it once and is silent now is busy or about to end: the body is not sent into its backlog.
 */
START_TEST(a_server_that_has_said_continue_is_waited_for)
{
    world_make("wsgi", 1, "    retry: 3\n", "");
    struct peer *c = client_new();
    say(c, POST_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    hears(s, "abc");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    say(c, POST_X);
    HAS(hears_head(s, "POST /app/x HTTP/1.1"), "Expect: 100-continue");
    pass_ms(1200); /* longer than one is waited for of whom nothing is known */
    hears_nothing(s);
    peer_close(s);
    s = server_accept(0);
    HAS(hears_head(s, "POST /app/x HTTP/1.1"), "Expect: 100-continue");
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    hears(s, "abc");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

/* It was replaced by one that never says it: past the pool's own time the body goes, and soon without asking.
 */
START_TEST(a_server_that_says_continue_no_more)
{
    world_make("wsgi", 1, "    timeouts: {response: 300ms}\n    retry: 3\n", "");
    struct peer *c = client_new();
    say(c, POST_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    say(s, "HTTP/1.1 100 Continue\r\n\r\n");
    hears(s, "abc");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    for (unsigned i = 0; i < 2; i++) {
        say(c, POST_X);
        const char *head = hears_head(s, "POST /app/x HTTP/1.1");
        ck_assert_int_eq(strstr(head, "Expect") != NULL, i == 0);
        hears(s, "abc");
        say(s, OK_HELLO);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "hello");
    }
    world_end("ok ok ok");
}
END_TEST

/* The client says itself that the request may come twice. */
START_TEST(an_idempotency_key_lets_a_post_be_tried_again)
{
    world_make("asgi", 2, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/x HTTP/1.1\r\nHost: h\r\nidempotency-key: 7\r\nContent-Length: 2\r\n\r\nab");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    peer_close(s);
    s = server_accept(1);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    hears(s, "ab");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    hears(c, "HTTP/1.1 200 OK\r\n");
    world_end("ok");
}
END_TEST

START_TEST(answers_that_break_the_rules)
{
    static const char *const answers[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \x01\r\n\r\n",
    };
    world_make("asgi", 1, "", "");
    for (size_t i = 0; i < DX_COUNT(answers); i++) {
        struct peer *c = client_new();
        say(c, GET_X);
        struct peer *s = server_accept(0);
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        say(s, answers[i]);
        (void)answered(c, "HTTP/1.1 502 Bad Gateway", true);
        UNTIL((peer_pull(s), s->ended));
    }
    world_end("bad_answer bad_answer bad_answer bad_answer");
}
END_TEST

START_TEST(a_head_that_is_cut)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Le");
    peer_close(s);
    (void)answered(c, "HTTP/1.1 502 Bad Gateway", true);
    world_end("bad_answer");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        no_route,
        rules_that_are_broken,
        answers_to_what_is_refused,
        options_that_go_no_further,
        broken_chunks_at_once,
        a_client_that_names_no_host,
        too_much_of_a_head,
        too_much_of_a_body,
        too_much_of_a_streamed_body,
        a_websocket_on_a_wsgi_pool,
        a_body_that_cannot_be_kept,
        nobody_is_up,
        a_refused_one_is_followed_by_another,
        all_are_refused,
        closed_without_an_answer,
        closed_without_an_answer_is_tried_again,
        a_head_without_its_body_is_no_answer_yet,
        a_post_asks_first,
        a_post_that_is_answered_before_its_body,
        a_server_that_says_no_continue_is_asked_once,
        a_server_that_has_said_continue_is_waited_for,
        a_server_that_says_continue_no_more,
        an_idempotency_key_lets_a_post_be_tried_again,
        answers_that_break_the_rules,
        a_head_that_is_cut,
    };
    return run_tests("refusals", tests, DX_COUNT(tests));
}
