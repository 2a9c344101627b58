/* SPDX-License-Identifier: MIT */
/* What diplex's own answers look like: the form by Accept, the words, ids escaped, and what is logged of a
 * head that was refused. */
#include "world.h"

#define SAYS(text, part) ck_assert_msg(strstr(text, part) != NULL, "no '%s' in:\n%s", part, text)
#define NOWHERE          "GET /nowhere HTTP/1.1\r\nHost: a\r\n"

/* The whole answer; its length is what the head says. */
static const char *page(struct peer *c, const char *request, const char *type)
{
    static char body[8192];
    char line[100];
    say(c, request);
    const char *head = head_of(c);
    (void)snprintf(line, sizeof(line), "Content-Type: %s\r\n", type);
    ck_assert_msg(strstr(head, line) != NULL, "%s\n%s", request, head);
    ck_assert_int_eq(strstr(head, "Content-Security-Policy: default-src 'none'; style-src 'sha256-") != NULL,
                     strncmp(type, "text/html", 9) == 0);
    const char *length = strstr(head, "Content-Length: ");
    ck_assert_ptr_nonnull(length);
    size_t n = strtoul(length + 16, NULL, 10);
    ck_assert_uint_lt(n, sizeof(body));
    UNTIL(peer_has(c, n));
    memcpy(body, c->got.p, n);
    body[n] = '\0';
    peer_drop(c, n);
    return body;
}

START_TEST(the_form_is_the_clients)
{
    static const struct {
        const char *accept, *type;
    } rows[] = {
        {"", "text/plain; charset=utf-8"},
        {"Accept: */*\r\n", "text/plain; charset=utf-8"},
        {"Accept:\r\n", "text/plain; charset=utf-8"},
        {"Accept: application/xml\r\n", "text/plain; charset=utf-8"},
        {"Accept: text/event-stream\r\n", "text/plain; charset=utf-8"},
        {"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
         "text/html; charset=utf-8"},
        {"Accept: application/json, text/plain, */*\r\n", "application/problem+json"},
        {"Accept: application/problem+json\r\n", "application/problem+json"},
        {"Accept: application/problem+json;q=0.5, text/html;q=0.4\r\n", "application/problem+json"},
        {"Accept: text/plain;q=0.5\r\nAccept: application/json\r\n", "application/problem+json"},
        {"Accept: application/json, text/html\r\n", "application/problem+json"},
        {"Accept: text/html, application/json\r\n", "text/html; charset=utf-8"},
        {"Accept: application/json;q=0.9, text/html\r\n", "text/html; charset=utf-8"},
        {"Accept: text/plain;q=0, */*\r\n", "application/problem+json"},
        {"Accept: text/*\r\n", "text/plain; charset=utf-8"},
        {"Accept: */*;q=0\r\n", "text/plain; charset=utf-8"},
    };
    world_make("wsgi", 1, "", "log: {access: off}\n");
    struct peer *c = client_new();
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char request[300];
        (void)snprintf(request, sizeof(request), NOWHERE "%s\r\n", rows[i].accept);
        (void)page(c, request, rows[i].type);
    }
    world_end("");
}
END_TEST

START_TEST(the_words)
{
    world_make("wsgi", 1, "", "trusted_proxies: [loopback, 192.0.2.1]\n");
    struct peer *c = client_new();
    ck_assert_str_eq(
        page(c, NOWHERE "X-Request-ID: abc-1\r\n\r\n", "text/plain; charset=utf-8"),
        "404 Not Found\nNo page belongs to this address. Please check the address, or go back to where "
        "you came from.\nrequest id: abc-1\n");
    ck_assert_str_eq(
        page(c, NOWHERE "X-Request-ID: abc-1\r\nAccept: application/json\r\n\r\n",
             "application/problem+json"),
        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"No page belongs to "
        "this address. Please check the address, or go back to where you came from.\","
        "\"request_id\":\"abc-1\",\"retry_after\":null}\n");
    const char *html =
        page(c, NOWHERE "X-Request-ID: abc-1\r\nAccept: text/html\r\n\r\n", "text/html; charset=utf-8");
    SAYS(html, "<title>There is nothing here</title>");
    SAYS(html, "<p class=\"s\">404 Not Found</p>");
    SAYS(html, "<code>abc-1</code>");
    ck_assert_ptr_null(strstr(html, "diplex"));
    /* what is no id is not repeated in any form */
    html = page(c, NOWHERE "X-Request-ID: <b>\"{status}\\\r\nAccept: text/html\r\n\r\n",
                "text/html; charset=utf-8");
    ck_assert_ptr_null(strstr(html, "<b>"));
    world_end("no_route no_route no_route no_route");
}
END_TEST

START_TEST(no_content_for_head)
{
    world_make("wsgi", 1, "", "");
    struct peer *c = client_new();
    say(c, "HEAD /nowhere HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n" NOWHERE "\r\n");
    const char *head = hears_head(c, "HTTP/1.1 404 Not Found");
    HAS(head, "Content-Type: text/html; charset=utf-8");
    SAYS(head, "Content-Length: ");
    HAS(hears_head(c, "HTTP/1.1 404 Not Found"), "Content-Type: text/plain; charset=utf-8");
    world_end("no_route no_route");
}
END_TEST

START_TEST(a_refused_head_has_its_form_too)
{
    world_make("wsgi", 1, "", "limits: {header_count: 3}\n");
    struct peer *c = client_new(), *d = client_new();
    const char *html =
        page(c,
             "GET /app/ HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nCookie: a\r\nCookie: b\r\nCookie: "
             "c\r\n\r\n",
             "text/html; charset=utf-8");
    SAYS(html, "431 Request Header Fields Too Large");
    hears_end(c);
    const char *json = page(d, "GET /app/ HTTP/1.1\r\nAccept: application/json\r\nHost: \"\r\n\r\n",
                            "application/problem+json");
    SAYS(json, "(Exactly: Host is not a host.)");
    hears_end(d);
    world_end("bad_request bad_request");
}
END_TEST

/* The next line of the access log. */
static const char *logged(void)
{
    static char line[4096];
    ssize_t n = 0;
    ck_assert(dx_fd_set_nonblocking(access_log[0]));
    UNTIL((n = read(access_log[0], line, sizeof(line) - 1)) > 0);
    line[n] = '\0';
    return line;
}

/* The access line has method, host and path of what could be read. */
START_TEST(a_refused_head_is_logged)
{
    static const struct {
        const char *request, *line;
    } rows[] = {
        {"POST /app/a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: x, chunked\r\n\r\n",
         "\"method\":\"POST\",\"host\":\"shop.example\",\"path\":\"/app/a\",\"status\":501"},
        {"GET /app/a?token=1234&b=c HTTP/1.1\r\nHost: shop.example\r\nX y: z\r\n\r\n",
         "\"method\":\"GET\",\"host\":\"shop.example\",\"path\":\"/app/a?token=***&b=c\",\"status\":400"},
        {"GET /app/a\"\x01/b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
         "\"method\":\"GET\",\"host\":\"\",\"path\":\"/app/a\\\"[?]\",\"status\":400"},
        {"GET /app/?token=12\x01"
         "34 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
         "\"method\":\"GET\",\"host\":\"\",\"path\":\"/app/?token=***\",\"status\":400"},
        {"G<T / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
         "\"method\":\"G[?]\",\"host\":\"\",\"path\":\"\",\"status\":400"},
        {"GET /app/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
         "\"method\":\"GET\",\"host\":\"\",\"path\":\"/app/\",\"status\":400"},
        {"\x16\x03\x01\x02", "\"method\":\"\",\"host\":\"\",\"path\":\"\",\"status\":400"},
    };
    world_make("wsgi", 1, "", "");
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct peer *c = client_new();
        say(c, rows[i].request);
        (void)head_of(c);
        peer_close(c);
        const char *line = logged();
        ck_assert_msg(strstr(line, rows[i].line) != NULL, "%s is not in %s", rows[i].line, line);
    }
    world_end("");
}
END_TEST

/* A chunk that is too large is refused when its size is read, whatever is still to come of it. */
START_TEST(a_chunk_that_will_be_too_large)
{
    static const char *const kinds[] = {"wsgi", "asgi"};
    for (size_t i = 0; i < DX_COUNT(kinds); i++) {
        world_make(kinds[i], 1, "", "limits: {body: 1000}\n");
        struct peer *c = client_new(), *d = client_new();
        say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
        hears_nothing(c);
        say(d, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n3e8\r\n");
        (void)hears_head(d, "HTTP/1.1 413 Content Too Large");
        peer_close(c);
        peer_close(d);
        world_end("body_too_large client_left");
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {the_form_is_the_clients,  the_words,
                            no_content_for_head,      a_refused_head_has_its_form_too,
                            a_refused_head_is_logged, a_chunk_that_will_be_too_large};
    return run_tests("pages", tests, DX_COUNT(tests));
}
