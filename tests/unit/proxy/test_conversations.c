/* SPDX-License-Identifier: MIT */
/* Conversations that go well: requests and answers of every framing, through a wsgi and an asgi pool. */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: example.org\r\n\r\n"

START_TEST(get_and_get_again)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "GET /app/x?y=1 HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    struct peer *s = server_accept(0);
    const char *head = hears_head(s, "GET /app/x?y=1 HTTP/1.1");
    HAS(head, "Host: example.org");
    HAS(head, "X-Forwarded-For: 127.0.0.1");
    HAS(head, "X-Forwarded-Proto: http");
    LACKS(head, "Connection: close");
    say(s, OK_HELLO);
    head = hears_head(c, "HTTP/1.1 200 OK");
    HAS(head, "Content-Length: 5");
    LACKS(head, "Connection: close");
    hears(c, "hello");
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1"); /* on the same connection */
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    ck_assert_uint_eq(counted(DX_COUNTER_SERVER_REUSES), 1);
    ck_assert_uint_eq(counted(DX_COUNTER_SERVER_CONNECTS), 1);
    world_end("ok ok");
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "GET /app/1 HTTP/1.1\r\nHost: a\r\n\r\n"
           "POST /app/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwo"
           "GET /app/3 HTTP/1.1\r\nHost: a\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/1 HTTP/1.1");
    hears_nothing(s); /* one at a time */
    say(s, OK_HELLO);
    (void)hears_head(s, "POST /app/2 HTTP/1.1");
    hears(s, "two");
    say(s, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    (void)hears_head(s, "GET /app/3 HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    (void)hears_head(c, "HTTP/1.1 201 Created");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok ok");
}
END_TEST

START_TEST(many_pipelined_requests_of_one_client)
{
    world_make("asgi", 1, "", "log: {access: off}\n");
    struct peer *c = client_new();
    for (int i = 0; i < 100; i++)
        say(c, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        (void)hears_head(c, "HTTP/1.1 404 Not Found");
        hears(c, "404 Not Found\nNo page belongs to this address. Please check the address, or go back to "
                 "where you "
                 "came from.\nrequest id: ");
        UNTIL(peer_has(c, 33));
        peer_drop(c, 33);
    }
    hears_nothing(c);
    world_end("");
}
END_TEST

/* --- request bodies --- */

START_TEST(a_body_that_came_with_its_head)
{
    for (int asgi = 0; asgi < 2; asgi++) {
        world_make(asgi ? "asgi" : "wsgi", 1, "", "");
        struct peer *c = client_new();
        say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nworld");
        struct peer *s = server_accept(0);
        HAS(hears_head(s, "POST /app/ HTTP/1.1"), "Content-Length: 5");
        hears(s, "world");
        say(s, OK_HELLO);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "hello");
        world_end("ok");
    }
}
END_TEST

START_TEST(wsgi_gets_the_request_when_it_is_whole)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nworld");
    server_untouched(0);
    say(c, "worl");
    server_untouched(0);
    say(c, "d");
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "POST /app/ HTTP/1.1"), "Content-Length: 10");
    hears(s, "worldworld");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

START_TEST(wsgi_gets_a_length_for_chunks)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
           "5;x=y\r\nhello\r\n1\r\n \r\n");
    server_untouched(0);
    say(c, "5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n" GET_X);
    struct peer *s = server_accept(0);
    const char *head = hears_head(s, "POST /app/ HTTP/1.1");
    HAS(head, "Content-Length: 11");
    LACKS(head, "chunked");
    hears(s, "hello world");
    say(s, OK_HELLO);
    (void)hears_head(s, "GET /app/x HTTP/1.1"); /* what follows the body is the next request */
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

START_TEST(wsgi_gets_a_length_of_zero)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "POST /app/ HTTP/1.1"), "Content-Length: 0");
    say(s, "HTTP/1.1 204 No Content\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 204 No Content");
    world_end("ok");
}
END_TEST

START_TEST(asgi_gets_chunks_as_they_come)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    struct peer *s = server_accept(0);
    const char *head = hears_head(s, "POST /app/ HTTP/1.1");
    HAS(head, "Transfer-Encoding: chunked");
    LACKS(head, "Content-Length");
    say(c, "5\r\nhello\r\n");
    hears(s, "5\r\nhello\r\n");
    say(c, "1\r\n \r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n");
    hears(s, "1\r\n \r\n5\r\nworld\r\n0\r\n\r\n");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

START_TEST(asgi_gets_a_body_of_known_length_as_it_comes)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "PUT /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhe");
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "PUT /app/ HTTP/1.1"), "Content-Length: 10");
    hears(s, "he");
    say(c, "llowo");
    hears(s, "llowo");
    say(c, "rld");
    hears(s, "rld");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok");
}
END_TEST

/* --- answers --- */

START_TEST(answers_without_a_body)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "HEAD /app/ HTTP/1.1\r\nHost: a\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "HEAD /app/ HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
    HAS(hears_head(c, "HTTP/1.1 200 OK"), "Content-Length: 12345");
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 204 No Content\r\n\r\n");
    LACKS(hears_head(c, "HTTP/1.1 204 No Content"), "Transfer-Encoding");
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n");
    HAS(hears_head(c, "HTTP/1.1 304 Not Modified"), "ETag: \"x\"");
    hears_nothing(c);
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok ok ok");
}
END_TEST

START_TEST(a_chunked_answer_and_its_trailers)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n");
    HAS(hears_head(c, "HTTP/1.1 200 OK"), "Transfer-Encoding: chunked");
    say(s, "9\r\ndata: 1\n\n\r\n");
    hears(c, "9\r\ndata: 1\n\n\r\n"); /* event by event */
    hears_nothing(c);
    say(s, "9\r\ndata: 2\n\n\r\n0\r\nX-Sum: 9\r\n\r\n");
    hears(c, "9\r\ndata: 2\n\n\r\n0\r\nX-Sum: 9\r\n\r\n");
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

START_TEST(an_answer_that_ends_with_its_connection)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
    const char *head = hears_head(c, "HTTP/1.1 200 OK");
    HAS(head, "Transfer-Encoding: chunked");
    LACKS(head, "Connection: close"); /* that was between the server and diplex */
    hears(c, "5\r\nhello\r\n");
    peer_close(s);
    hears(c, "0\r\n\r\n");
    say(c, GET_X);
    s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    world_end("ok ok");
}
END_TEST

START_TEST(a_server_that_closes_is_not_kept)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    hears_end(s); /* at once: gunicorn's worker waits for it */
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    hears_nothing(c);
    world_end("ok");
}
END_TEST

START_TEST(old_clients_get_what_they_understand)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "GET /app/ HTTP/1.0\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/ HTTP/1.1");
    say(s, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    const char *head = hears_head(c, "HTTP/1.1 200 OK");
    LACKS(head, "chunked");
    HAS(head, "Connection: close");
    hears(c, "hello");
    hears_end(c);
    world_end("ok");
}
END_TEST

START_TEST(a_client_that_wants_to_close)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "GET /app/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    struct peer *s = server_accept(0);
    LACKS(hears_head(s, "GET /app/ HTTP/1.1"), "Connection: close");
    say(s, OK_HELLO);
    HAS(hears_head(c, "HTTP/1.1 200 OK"), "Connection: close");
    hears(c, "hello");
    hears_end(c);
    hears_nothing(s); /* kept all the same */
    world_end("ok");
}
END_TEST

START_TEST(a_snapshot_in_use_lives_on)
{
    world_make("asgi", 1, "", "");
    struct peer *c = client_new(), *other = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    world_use("wsgi", "", "limits: {url: 100}\n"); /* a reload in the middle */
    say(other, "POST /app/y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    server_untouched(0); /* new requests run on the new one */
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
    say(other, "ab");
    (void)hears_head(s, "POST /app/y HTTP/1.1"); /* on the connection that was kept */
    hears(s, "ab");
    say(s, OK_HELLO);
    (void)hears_head(other, "HTTP/1.1 200 OK");
    hears(other, "hello");
    world_end("ok ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        get_and_get_again,
        pipelined_requests_are_answered_in_order,
        many_pipelined_requests_of_one_client,
        a_body_that_came_with_its_head,
        wsgi_gets_the_request_when_it_is_whole,
        wsgi_gets_a_length_for_chunks,
        wsgi_gets_a_length_of_zero,
        asgi_gets_chunks_as_they_come,
        asgi_gets_a_body_of_known_length_as_it_comes,
        answers_without_a_body,
        a_chunked_answer_and_its_trailers,
        an_answer_that_ends_with_its_connection,
        a_server_that_closes_is_not_kept,
        old_clients_get_what_they_understand,
        a_client_that_wants_to_close,
        a_snapshot_in_use_lives_on,
    };
    return run_tests("conversations", tests, DX_COUNT(tests));
}
