/* SPDX-License-Identifier: MIT */
/* The head for the server: what passes, what never does, and what is written in its place. Trust is in
 * test_claims.c. */
#include "forwarded.h"

static struct head h;

START_TEST(a_whole_head)
{
    struct dx_forward_request c = stranger();

    c.close = true;
    ck_assert_str_eq(forward_request(&h, &c,
                                     "GET /async/items?q=1&r=%20 HTTP/1.1\n"
                                     "Host: shop.example:8080\n"
                                     "User-Agent: test\n"
                                     "Accept: */*\n"
                                     "Connection: keep-alive\n"
                                     "Cookie: a=b; c=d\n\n"),
                     "GET /async/items?q=1&r=%20 HTTP/1.1\n"
                     "Host: shop.example:8080\n"
                     "User-Agent: test\n"
                     "Accept: */*\n"
                     "Cookie: a=b; c=d\n"
                     "Via: 1.1 diplex\n"
                     "X-Forwarded-For: 203.0.113.9\n"
                     "X-Real-IP: 203.0.113.9\n"
                     "X-Forwarded-Proto: http\n"
                     "X-Forwarded-Host: shop.example:8080\n"
                     "X-Forwarded-Port: 8080\n"
                     "X-Request-ID: own-id\n"
                     "X-Request-Start: t=1700000000123456\n"
                     "Connection: close\n\n");
}
END_TEST

START_TEST(the_target_becomes_origin_form)
{
    struct dx_forward_request c = stranger();

    ck_assert_ptr_eq(
        strstr(forward_request(&h, &c, "GET http://a.example/x/../y?z HTTP/1.1\nHost: a.example\n\n"),
               "GET /x/../y?z HTTP/1.1\nHost: a.example\n"),
        h.out);
    ck_assert_ptr_eq(strstr(forward_request(&h, &c, "GET http://a.example HTTP/1.1\nHost: a.example\n\n"),
                            "GET / HTTP/1.1\nHost: a.example\n"),
                     h.out);
    ck_assert_ptr_eq(strstr(forward_request(&h, &c, "OPTIONS * HTTP/1.1\nHost: a.example\n\n"),
                            "OPTIONS * HTTP/1.1\nHost: a.example\n"),
                     h.out);
    ck_assert_ptr_eq(strstr(forward_request(&h, &c, "OPTIONS http://a.example HTTP/1.1\nHost: a.example\n\n"),
                            "OPTIONS * HTTP/1.1\nHost: a.example\n"),
                     h.out);
    ck_assert_ptr_eq(
        strstr(forward_request(&h, &c, "OPTIONS http://a.example/ HTTP/1.1\nHost: a.example\n\n"),
               "OPTIONS / HTTP/1.1\nHost: a.example\n"),
        h.out);
}
END_TEST

START_TEST(a_path_passes_as_it_came)
{
    struct dx_forward_request c = stranger();

    HAS(forward_request(&h, &c, "GET //a/%2e%2E/%2f/./b;p=1?x=%00 HTTP/1.1\nHost: a.example\n\n"),
        "GET //a/%2e%2E/%2f/./b;p=1?x=%00 HTTP/1.1\n");
}
END_TEST

START_TEST(http_1_0_is_spoken_as_1_1)
{
    struct dx_forward_request c = stranger();
    const char *out = forward_request(&h, &c, "GET /x HTTP/1.0\n\n");

    ck_assert_ptr_eq(strstr(out, "GET /x HTTP/1.1\nHost: \n"), out);
    LINE(out, "Via: 1.0 diplex");
    HAS_NOT(out, "X-Forwarded-Host");
    LINE(out, "X-Forwarded-Port: 80");
}
END_TEST

START_TEST(hop_by_hop_fields_stay_here)
{
    struct dx_forward_request c = stranger();
    const char *out = forward_request(&h, &c,
                                      "GET / HTTP/1.1\nHost: a.example\n"
                                      "Keep-Alive: timeout=5\nProxy-Connection: keep-alive\n"
                                      "Proxy-Authorization: Basic eA==\nHTTP2-Settings: AAMAAABk\n"
                                      "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\n"
                                      "TE: gzip\nAuthorization: Basic eQ==\nX-Kept: 1\n\n");

    HAS_NOT(out, "Keep-Alive");
    HAS_NOT(out, "Proxy-");
    HAS_NOT(out, "HTTP2");
    HAS_NOT(out, "pgrade");
    HAS_NOT(out, "Connection");
    HAS_NOT(out, "TE:");
    LINE(out, "Authorization: Basic eQ==");
    LINE(out, "X-Kept: 1");
}
END_TEST

START_TEST(fields_named_by_connection_stay_here)
{
    struct dx_forward_request c = stranger();
    const char *out = forward_request(&h, &c,
                                      "GET / HTTP/1.1\nHost: a.example\nX-Private: 1\nX-Public: 2\n"
                                      "x-other: 3\nVia: 1.1 elsewhere\n"
                                      "Connection: x-private, X-Other, close, via\n\n");

    HAS_NOT(out, "rivate");
    HAS_NOT(out, "other");
    HAS_NOT(out, "elsewhere");
    LINE(out, "X-Public: 2");
    LINE(out, "Via: 1.1 diplex");
}
END_TEST

/* Whoever names the proxy's own fields in Connection must not take them away. */
START_TEST(connection_does_not_remove_what_the_proxy_says)
{
    struct dx_forward_request c = stranger();
    const char *out =
        forward_request(&h, &c,
                        "GET / HTTP/1.1\nHost: a.example\nX-Forwarded-For: 1.1.1.1\n"
                        "X-Forwarded-Proto: https\nX-Real-IP: 2.2.2.2\n"
                        "Connection: close, X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Request-ID\n\n");

    LINE(out, "X-Forwarded-For: 203.0.113.9");
    LINE(out, "X-Real-IP: 203.0.113.9");
    LINE(out, "X-Forwarded-Proto: http");
    LINE(out, "X-Request-ID: own-id");
}
END_TEST

START_TEST(names_with_an_underscore_never_pass)
{
    struct dx_forward_request c = stranger();

    for (int trusted = 0; trusted < 2; trusted++) {
        c.peer_trusted = trusted != 0;
        const char *out =
            forward_request(&h, &c,
                            "GET / HTTP/1.1\nHost: a.example\nSCRIPT_NAME: /admin\nPATH_INFO: /x\n"
                            "REMOTE_USER: root\nX_Forwarded_For: 6.6.6.6\nX-Forwarded_Proto: https\n"
                            "X-Kept: under_score\n_: 1\nContent_Length: 5\n\n");
        HAS_NOT(out, "SCRIPT_NAME");
        HAS_NOT(out, "PATH_INFO");
        HAS_NOT(out, "REMOTE_USER");
        HAS_NOT(out, "6.6.6.6");
        HAS_NOT(out, "Forwarded_");
        HAS_NOT(out, "_:");
        HAS_NOT(out, "Content_");
        LINE(out, "X-Kept: under_score");
    }
}
END_TEST

START_TEST(orders_to_servers_never_pass)
{
    struct dx_forward_request c = stranger();

    for (int trusted = 0; trusted < 2; trusted++) {
        c.peer_trusted = trusted != 0;
        const char *out = forward_request(
            &h, &c,
            "GET / HTTP/1.1\nHost: a.example\nX-Accel-Redirect: /secret\n"
            "x-accel-unheard-of: 1\nX-Sendfile: /etc/passwd\nX-Sendfile-Type: X-Accel-Redirect\n"
            "X-SENDFILE-more: 1\nProxy: http://evil.example\nX-Request-Start: t=1\n"
            "X-Forwarded-Ssl: on\nX-Forwarded-Protocol: ssl\nX-Forwarded-Server: s\n"
            "X-Forwarded-Prefix: /p\nX-Url-Scheme: https\nForwarded: for=1.2.3.4\nX-Accelerate: 1\n\n");
        HAS_NOT(out, "ccel-");
        HAS_NOT(out, "endfile");
        HAS_NOT(out, "ENDFILE");
        HAS_NOT(out, "evil");
        HAS_NOT(out, "t=1\n");
        HAS_NOT(out, "Ssl");
        HAS_NOT(out, "Protocol");
        HAS_NOT(out, "Server");
        HAS_NOT(out, "Prefix");
        HAS_NOT(out, "Scheme");
        HAS_NOT(out, "\nForwarded:");
        LINE(out, "X-Accelerate: 1");
        LINE(out, "X-Request-Start: t=1700000000123456");
    }
}
END_TEST

START_TEST(expect_is_answered_here)
{
    struct dx_forward_request c = stranger();

    c.framing = DX_FRAMING_LENGTH;
    c.length = 5;
    const char *out = forward_request(
        &h, &c, "POST / HTTP/1.1\nHost: a.example\nContent-Length: 5\nExpect: 100-continue\n\n");
    HAS_NOT(out, "Expect");
    LINE(out, "Content-Length: 5");
}
END_TEST

START_TEST(framing_is_the_callers)
{
    struct dx_forward_request c = stranger();
    const char *chunked = "POST / HTTP/1.1\nHost: a.example\nTransfer-Encoding: chunked\nTrailer: X-Sum\n\n";
    const char *out;

    c.framing = DX_FRAMING_LENGTH;
    c.length = 18446744073709551615u;
    out = forward_request(&h, &c, chunked);
    LINE(out, "Content-Length: 18446744073709551615");
    HAS_NOT(out, "Transfer-Encoding");
    HAS_NOT(out, "Trailer");

    c.framing = DX_FRAMING_CHUNKED;
    out = forward_request(&h, &c, chunked);
    LINE(out, "Transfer-Encoding: chunked");
    HAS_NOT(out, "Trailer");
    HAS_NOT(out, "Content-Length");

    out = forward_request(&h, &c, "POST / HTTP/1.1\nHost: a.example\ncontent-length: 7\n\n");
    LINE(out, "Transfer-Encoding: chunked");
    HAS_NOT(out, "ength");
}
END_TEST

START_TEST(no_body_is_said_where_one_is_usual)
{
    struct dx_forward_request c = stranger();
    static const struct {
        const char *head;
        bool said;
    } cases[] = {
        {"POST / HTTP/1.1\nHost: a.example\n\n", true},    {"PUT / HTTP/1.1\nHost: a.example\n\n", true},
        {"PATCH / HTTP/1.1\nHost: a.example\n\n", true},   {"GET / HTTP/1.1\nHost: a.example\n\n", false},
        {"DELETE / HTTP/1.1\nHost: a.example\n\n", false}, {"PURGE / HTTP/1.1\nHost: a.example\n\n", false},
    };

    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        const char *out = forward_request(&h, &c, cases[i].head);
        ck_assert_uint_eq(count_of(out, "\nContent-Length: 0\n"), cases[i].said ? 1 : 0);
        ck_assert_uint_eq(count_of(out, "Content-Length"), cases[i].said ? 1 : 0);
    }
}
END_TEST

START_TEST(websocket)
{
    struct dx_forward_request c = stranger();
    const char *out = forward_request(&h, &c,
                                      "GET /ws HTTP/1.1\nHost: a.example\nConnection: keep-alive, Upgrade\n"
                                      "Upgrade: WebSocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
                                      "Sec-WebSocket-Version: 13\n\n");

    LINE(out, "Connection: Upgrade");
    LINE(out, "Upgrade: websocket");
    LINE(out, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    LINE(out, "Sec-WebSocket-Version: 13");
    ck_assert_uint_eq(count_of(out, "\nConnection:"), 1);
    ck_assert_uint_eq(count_of(out, "\nUpgrade:"), 1);
}
END_TEST

/* TE says what the client's own connection can take; ours with the server asks for nothing. */
START_TEST(te_stays_here)
{
    struct dx_forward_request c = stranger();
    const char *head = "GET / HTTP/1.1\nHost: a.example\nTE: trailers, gzip\nConnection: TE\n\n";
    const char *out = forward_request(&h, &c, head);

    HAS_NOT(out, "TE:");
    HAS_NOT(out, "Connection:");
    c.close = true;
    out = forward_request(&h, &c, head);
    LINE(out, "Connection: close");
    HAS_NOT(out, "TE:");
}
END_TEST

START_TEST(via_is_one_field)
{
    struct dx_forward_request c = stranger();
    const char *out = forward_request(&h, &c,
                                      "GET / HTTP/1.1\nHost: a.example\nVia: 1.0 fred, 1.1 p.example\nX: 1\n"
                                      "via: HTTP/2 other (comment)\nVia:\n\n");

    LINE(out, "Via: 1.0 fred, 1.1 p.example, HTTP/2 other (comment), 1.1 diplex");
    ck_assert_uint_eq(count_of(out, "ia: "), 1);
}
END_TEST

/* Runs of neighbours are copied at once: whatever breaks a run must break it cleanly. */
START_TEST(max_forwards_is_counted_down)
{
    struct dx_forward_request c = stranger();
    const char *out =
        forward_request(&h, &c, "OPTIONS /x HTTP/1.1\nHost: a.example\nMax-Forwards: 10\nX: y\n\n");

    HAS(out, "\nMax-Forwards: 9\n");
    HAS_NOT(out, "10");
    HAS(forward_request(&h, &c, "GET /x HTTP/1.1\nHost: a.example\nMax-Forwards: 10\n\n"),
        "\nMax-Forwards: 10\n");
}
END_TEST

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

START_TEST(a_trace_goes_on_or_begins_anew)
{
    static const struct {
        enum dx_trace_mode mode;
        const char *value;
        bool trusted, kept;
    } rows[] = {
        {DX_TRACE_PASS, PARENT, false, true},     {DX_TRACE_PASS, "nonsense", false, true},
        {DX_TRACE_MAKE, PARENT, false, true},     {DX_TRACE_MAKE, PARENT, true, true},
        {DX_TRACE_MAKE, "nonsense", true, false}, {DX_TRACE_RESTART, PARENT, false, false},
        {DX_TRACE_RESTART, PARENT, true, true},   {DX_TRACE_RESTART, "nonsense", true, false},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[] = {
            {.name = DX_SLICE("traceparent"),
             .value = dx_slice_str(rows[i].value),
             .id = DX_FIELD_TRACEPARENT},
            {.name = DX_SLICE("tracestate"), .value = DX_SLICE("a=1"), .id = DX_FIELD_TRACESTATE},
            {.name = DX_SLICE("accept"), .value = DX_SLICE("*"), .id = DX_FIELD_ACCEPT}};
        struct dx_fields f = {at, DX_COUNT(at), DX_COUNT(at)};
        ck_assert_int_eq(dx_forward_keep_trace(&f, rows[i].mode, rows[i].trusted), rows[i].kept);
        ck_assert_int_eq(at[0].drop, !rows[i].kept);
        ck_assert_int_eq(at[1].drop, !rows[i].kept);
        ck_assert(!at[2].drop);
    }
    struct dx_forward_request c = stranger();
    c.traceparent = DX_SLICE(PARENT);
    HAS(forward_request(&h, &c, "GET / HTTP/1.1\nHost: a.example\n\n"), "\ntraceparent: " PARENT "\n");
}
END_TEST

START_TEST(odd_spacing_and_gaps)
{
    struct dx_forward_request c = stranger();
    const char *out =
        forward_request(&h, &c,
                        "GET / HTTP/1.1\nA: 1\nB:2\nC:  3  \nD:\t4\nE:\nF: \nG: 7\nHost: a.example\nI: 9\n"
                        "X_Y: 1\nJ: 10 : 10\nK: k \nTE: gzip\nL: l\n\n");

    ck_assert_ptr_eq(strstr(out,
                            "GET / HTTP/1.1\nHost: a.example\nA: 1\nB: 2\nC: 3\nD: 4\nE: \nF: \nG: 7\nI: 9\n"
                            "J: 10 : 10\nK: k\nL: l\nVia: 1.1 diplex\n"),
                     out);
}
END_TEST

/* Fields that were not parsed from one buffer, as `explain` makes them; nobody has marked the bad one. */
START_TEST(fields_from_anywhere)
{
    struct dx_field fields[] = {{.name = DX_SLICE("Accept"), .value = DX_SLICE("*/*"), .id = DX_FIELD_ACCEPT},
                                {.name = DX_SLICE("X-Empty")},
                                {.name = DX_SLICE("SCRIPT_NAME"), .value = DX_SLICE("/admin")}};
    const struct dx_request r = {.method_id = DX_METHOD_GET,
                                 .method = DX_SLICE("GET"),
                                 .target = DX_SLICE("/"),
                                 .path = DX_SLICE("/"),
                                 .host = DX_SLICE("a.example"),
                                 .minor = 1,
                                 .fields = {fields, DX_COUNT(fields), DX_COUNT(fields)}};
    struct dx_forward_request c = stranger();
    char buf[1024];
    struct dx_out o = dx_out_of(buf, sizeof buf);

    ck_assert(dx_forward_write_request(&r, &c, &o));
    HAS(head_out(&h, &o), "GET / HTTP/1.1\nHost: a.example\nAccept: */*\nX-Empty: \nVia: 1.1 diplex\n");
}
END_TEST

/* Every size that is too small says so and writes nothing past the end; the right size is exactly enough. */
START_TEST(overflow_is_told)
{
    struct dx_forward_request c = stranger();
    struct dx_request r = parse_request(
        &h, "POST /some/path?q HTTP/1.1\nHost: a.example\nAccept: */*\nX: \t y\nVia: 1.1 v\n\n");
    char buf[1024];
    struct dx_out o = dx_out_of(buf, sizeof buf);

    ck_assert(dx_forward_write_request(&r, &c, &o));
    size_t whole = dx_out_slice(&o).n;
    for (size_t n = 0; n < whole; n++) {
        buf[n] = '!';
        o = dx_out_of(buf, n);
        ck_assert(!dx_forward_write_request(&r, &c, &o));
        ck_assert_int_eq(buf[n], '!');
    }
    o = dx_out_of(buf, whole);
    ck_assert(dx_forward_write_request(&r, &c, &o));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_head,
        the_target_becomes_origin_form,
        a_path_passes_as_it_came,
        http_1_0_is_spoken_as_1_1,
        hop_by_hop_fields_stay_here,
        fields_named_by_connection_stay_here,
        connection_does_not_remove_what_the_proxy_says,
        names_with_an_underscore_never_pass,
        orders_to_servers_never_pass,
        expect_is_answered_here,
        framing_is_the_callers,
        no_body_is_said_where_one_is_usual,
        websocket,
        te_stays_here,
        via_is_one_field,
        max_forwards_is_counted_down,
        a_trace_goes_on_or_begins_anew,
        odd_spacing_and_gaps,
        fields_from_anywhere,
        overflow_is_told,
    };
    return run_tests("forward/request", tests, DX_COUNT(tests));
}
