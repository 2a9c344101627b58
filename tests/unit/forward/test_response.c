/* SPDX-License-Identifier: MIT */
/* The head for the client, and the trailers. */
#include "forwarded.h"

static struct head h;

#define DATE "Sun, 22 Nov 2026 17:00:00 GMT"

static struct dx_forward_response to_client(enum dx_framing framing, uint64_t length)
{
    return (struct dx_forward_response){
        .client_minor = 1, .framing = framing, .length = length, .keep_alive = true, .date = DX_SLICE(DATE)};
}

static const char *respond(const struct dx_forward_response *c, enum dx_method method, const char *text)
{
    char buf[TEXT_MAX];
    struct dx_out o = dx_out_of(buf, sizeof buf);
    struct dx_response r = parse_response(&h, method, text);

    ck_assert(dx_forward_write_response(&r, c, &o));
    return head_out(&h, &o);
}

START_TEST(a_whole_head)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 12);

    ck_assert_str_eq(
        respond(&c, DX_METHOD_GET,
                "HTTP/1.1 200 OK\nServer: gunicorn\nDate: Mon, 01 Jan 2024 00:00:00 GMT\nConnection: close\n"
                "Content-Type: application/json\nContent-Length: 12\nSet-Cookie: a=1\nSet-Cookie: b=2\n"
                "X-Frame-Options: DENY\n\n"),
        "HTTP/1.1 200 OK\nServer: gunicorn\nDate: Mon, 01 Jan 2024 00:00:00 GMT\n"
        "Content-Type: application/json\nSet-Cookie: a=1\nSet-Cookie: b=2\n"
        "X-Frame-Options: DENY\nContent-Length: 12\n\n");
}
END_TEST

START_TEST(the_status_line)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 0);

    c.date.n = 0;
    ck_assert_str_eq(respond(&c, DX_METHOD_GET, "HTTP/1.1 299 Odd  Reason\nContent-Length: 0\n\n"),
                     "HTTP/1.1 299 Odd  Reason\nContent-Length: 0\n\n");
    ck_assert_str_eq(respond(&c, DX_METHOD_GET, "HTTP/1.1 507 \nContent-Length: 0\n\n"),
                     "HTTP/1.1 507 \nContent-Length: 0\n\n");
    ck_assert_str_eq(respond(&c, DX_METHOD_GET, "HTTP/1.0 404 Not Found\nContent-Length: 0\n\n"),
                     "HTTP/1.1 404 Not Found\nContent-Length: 0\n\n");
}
END_TEST

START_TEST(hop_by_hop_fields_and_orders_stay_here)
{
    struct dx_forward_response c = to_client(DX_FRAMING_CHUNKED, 0);
    const char *out =
        respond(&c, DX_METHOD_GET,
                "HTTP/1.1 200 OK\nConnection: keep-alive, X-Hop\nKeep-Alive: timeout=5\nX-Hop: 1\n"
                "Transfer-Encoding: chunked\nUpgrade: h2c\nProxy-Authenticate: Basic\n"
                "X-Accel-Buffering: no\nX-Accel-Redirect: /secret\nx-accel-new: 1\n"
                "Via: 1.1 inner\nX_Under: 1\nCache-Control: no-cache\n\n");

    ck_assert_str_eq(out, "HTTP/1.1 200 OK\nVia: 1.1 inner\nX_Under: 1\nCache-Control: no-cache\nDate: " DATE
                          "\nTransfer-Encoding: chunked\n\n");
}
END_TEST

START_TEST(date_is_added_once)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 0);
    const char *out = respond(&c, DX_METHOD_GET, "HTTP/1.1 200 OK\nContent-Length: 0\n\n");

    LINE(out, "Date: " DATE);
    out = respond(&c, DX_METHOD_GET,
                  "HTTP/1.1 200 OK\ndate: Mon, 01 Jan 2024 00:00:00 GMT\nContent-Length: 0\n\n");
    LINE(out, "date: Mon, 01 Jan 2024 00:00:00 GMT");
    HAS_NOT(out, "Date:");
    out = respond(
        &c, DX_METHOD_GET,
        "HTTP/1.1 200 OK\nDate: Mon, 01 Jan 2024 00:00:00 GMT\nConnection: date\nContent-Length: 0\n\n");
    LINE(out, "Date: " DATE);
    ck_assert_uint_eq(count_of(out, "Date:"), 1);
}
END_TEST

START_TEST(framing_is_the_callers)
{
    struct dx_forward_response c = to_client(DX_FRAMING_CHUNKED, 0);
    const char *out =
        respond(&c, DX_METHOD_GET, "HTTP/1.1 200 OK\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n");

    LINE(out, "Transfer-Encoding: chunked");
    LINE(out, "Trailer: X-Sum");

    c = to_client(DX_FRAMING_CLOSE, 0);
    out = respond(&c, DX_METHOD_GET, "HTTP/1.1 200 OK\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n");
    HAS_NOT(out, "Transfer-Encoding");
    HAS_NOT(out, "Trailer");
    HAS_NOT(out, "Content-Length");
    LINE(out, "Connection: close");

    c = to_client(DX_FRAMING_LENGTH, 1234567890123);
    out = respond(&c, DX_METHOD_GET, "HTTP/1.0 200 OK\n\n");
    LINE(out, "Content-Length: 1234567890123");
    HAS_NOT(out, "Connection");
}
END_TEST

START_TEST(no_content_has_no_framing_of_ours)
{
    struct dx_forward_response c = to_client(DX_FRAMING_NONE, 0);

    LINE(respond(&c, DX_METHOD_HEAD, "HTTP/1.1 200 OK\nContent-Length: 512\n\n"), "Content-Length: 512");
    LINE(respond(&c, DX_METHOD_GET, "HTTP/1.1 304 Not Modified\nETag: \"x\"\nContent-Length: 512\n\n"),
         "Content-Length: 512");
    HAS_NOT(respond(&c, DX_METHOD_GET, "HTTP/1.1 204 No Content\nContent-Length: 0\n\n"), "Content-Length");
    HAS_NOT(respond(&c, DX_METHOD_HEAD, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"),
            "Transfer-Encoding");
    HAS_NOT(respond(&c, DX_METHOD_HEAD, "HTTP/1.1 200 OK\n\n"), "Content-Length");
}
END_TEST

START_TEST(the_connection_is_the_clients)
{
    static const struct {
        unsigned minor;
        bool keep_alive;
        const char *line;
    } cases[] = {{1, true, NULL}, {1, false, "close"}, {0, true, "keep-alive"}, {0, false, "close"}};

    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 0);
        char line[64];
        c.client_minor = cases[i].minor;
        c.keep_alive = cases[i].keep_alive;
        const char *out =
            respond(&c, DX_METHOD_GET, "HTTP/1.1 200 OK\nConnection: Keep-Alive\nContent-Length: 0\n\n");
        ck_assert_uint_eq(count_of(out, "Connection"), cases[i].line ? 1 : 0);
        snprintf(line, sizeof line, "\nConnection: %s\n", cases[i].line ? cases[i].line : "");
        if (cases[i].line)
            HAS(out, line);
    }
}
END_TEST

START_TEST(interim_heads)
{
    struct dx_forward_response c = to_client(DX_FRAMING_NONE, 0);

    c.keep_alive = false;
    ck_assert_str_eq(
        respond(&c, DX_METHOD_GET,
                "HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\nConnection: x\nX: 1\n\n"),
        "HTTP/1.1 103 Early Hints\nLink: </a.css>; rel=preload\n\n");
    ck_assert_str_eq(respond(&c, DX_METHOD_POST, "HTTP/1.1 100 Continue\n\n"), "HTTP/1.1 100 Continue\n\n");
}
END_TEST

START_TEST(switching_protocols)
{
    struct dx_forward_response c = to_client(DX_FRAMING_NONE, 0);
    const char *head = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n"
                       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n";

    c.upgrade = true;
    ck_assert_str_eq(respond(&c, DX_METHOD_GET, head),
                     "HTTP/1.1 101 Switching Protocols\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"
                     "Connection: Upgrade\nUpgrade: websocket\n\n");
    c.upgrade = false;
    HAS_NOT(respond(&c, DX_METHOD_GET, head), "pgrade");
}
END_TEST

START_TEST(upgrade_required)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 0);
    const char *text = "HTTP/1.1 426 Upgrade Required\nConnection: Upgrade, X\nUpgrade: websocket\nX: 1\n"
                       "Sec-WebSocket-Version: 13\nContent-Length: 0\n\n";

    c.date.n = 0;
    ck_assert_str_eq(respond(&c, DX_METHOD_GET, text),
                     "HTTP/1.1 426 Upgrade Required\nSec-WebSocket-Version: 13\nContent-Length: 0\n"
                     "Connection: Upgrade\nUpgrade: websocket\n\n");
    c.keep_alive = false;
    HAS(respond(&c, DX_METHOD_GET, text), "Connection: Upgrade\nUpgrade: websocket\nConnection: close\n");
    HAS_NOT(respond(&c, DX_METHOD_GET,
                    "HTTP/1.1 426 Upgrade Required\nConnection: Upgrade\nUpgrade: h2c\n"
                    "Content-Length: 0\n\n"),
            "Upgrade:");
}
END_TEST

START_TEST(a_cookie_of_ours_is_one_more)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 0);

    c.date.n = 0;
    c.set_cookie = DX_SLICE("where=1f; Path=/");
    ck_assert_str_eq(respond(&c, DX_METHOD_GET, "HTTP/1.1 200 OK\nSet-Cookie: a=1\nContent-Length: 0\n\n"),
                     "HTTP/1.1 200 OK\nSet-Cookie: a=1\nSet-Cookie: where=1f; Path=/\nContent-Length: 0\n\n");
    c.upgrade = true;
    c.framing = DX_FRAMING_NONE;
    ck_assert_str_eq(respond(&c, DX_METHOD_GET,
                             "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\n"),
                     "HTTP/1.1 101 Switching Protocols\nSet-Cookie: where=1f; Path=/\nConnection: Upgrade\n"
                     "Upgrade: websocket\n\n");
}
END_TEST

START_TEST(timings_of_ours_stand_beside_the_servers)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 0);

    c.date.n = 0;
    c.server_timing = DX_SLICE("queue;dur=1.000");
    ck_assert_str_eq(
        respond(&c, DX_METHOD_GET, "HTTP/1.1 200 OK\nServer-Timing: db;dur=5\nContent-Length: 0\n\n"),
        "HTTP/1.1 200 OK\nServer-Timing: db;dur=5\nServer-Timing: queue;dur=1.000\nContent-Length: 0\n\n");
    c.framing = DX_FRAMING_NONE;
    HAS_NOT(respond(&c, DX_METHOD_GET, "HTTP/1.1 103 Early Hints\nLink: </a>\n\n"), "Server-Timing");
}
END_TEST

START_TEST(odd_spacing_becomes_plain)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 3);

    c.date.n = 0;
    ck_assert_str_eq(respond(&c, DX_METHOD_GET,
                             "HTTP/1.1 200 OK\nA:1\nB:\t2 \nC: 3\nD: 4\nContent-Length:3\nE:\nF: 6\n\n"),
                     "HTTP/1.1 200 OK\nA: 1\nB: 2\nC: 3\nD: 4\nE: \nF: 6\nContent-Length: 3\n\n");
}
END_TEST

START_TEST(overflow_is_told)
{
    struct dx_forward_response c = to_client(DX_FRAMING_LENGTH, 3);
    struct dx_response r =
        parse_response(&h, DX_METHOD_GET, "HTTP/1.1 200 OK\nA: 1\nB:2\nContent-Length: 3\n\n");
    char buf[512];
    struct dx_out o = dx_out_of(buf, sizeof buf);

    ck_assert(dx_forward_write_response(&r, &c, &o));
    size_t whole = dx_out_slice(&o).n;
    for (size_t n = 0; n < whole; n++) {
        buf[n] = '!';
        o = dx_out_of(buf, n);
        ck_assert(!dx_forward_write_response(&r, &c, &o));
        ck_assert_int_eq(buf[n], '!');
    }
    o = dx_out_of(buf, whole);
    ck_assert(dx_forward_write_response(&r, &c, &o));
}
END_TEST

static const char *trailers(const char *text)
{
    struct dx_fields f = {.at = h.fields, .max = FIELDS_MAX};
    struct dx_http_error err = {0, ""};
    char buf[1024];
    struct dx_out o = dx_out_of(buf, sizeof buf);
    size_t used, n = head_text(&h, text);

    ck_assert_int_eq(dx_http1_trailers(h.text, n, &limits, &f, &used, &err), DX_PARSE_DONE);
    ck_assert(dx_forward_write_trailers(&f, &o));
    return head_out(&h, &o);
}

START_TEST(trailers_pass_without_what_belongs_in_a_head)
{
    ck_assert_str_eq(trailers("\n"), "\n");
    ck_assert_str_eq(trailers("X-Sum:abc\nServer-Timing: db;dur=53\n\n"),
                     "X-Sum: abc\nServer-Timing: db;dur=53\n\n");
    ck_assert_str_eq(
        trailers("Content-Length: 5\nTransfer-Encoding: chunked\nHost: evil.example\nConnection: close\n"
                 "Authorization: x\nSet-Cookie: a=b\nX-Forwarded-For: 6.6.6.6\nX-Accel-Redirect: /s\n"
                 "x-accel-new: 1\nSCRIPT_NAME: /admin\nX-Sum: 1\nX-Forwarded-Ssl: on\nIf-None-Match: *\n"
                 "Origin: null\nX-CSRFToken: 1\nVary: *\n\n"),
        "X-Sum: 1\n\n");
}
END_TEST

START_TEST(trailers_marked_or_too_many_do_not_pass)
{
    struct dx_field fields[] = {{.name = DX_SLICE("A"), .value = DX_SLICE("1"), .drop = true},
                                {.name = DX_SLICE("B"), .value = DX_SLICE("2")}};
    const struct dx_fields f = {fields, DX_COUNT(fields), DX_COUNT(fields)};
    char buf[8];
    struct dx_out o = dx_out_of(buf, sizeof buf);

    ck_assert(dx_forward_write_trailers(&f, &o));
    ck_assert_str_eq(head_out(&h, &o), "B: 2\n\n");
    o = dx_out_of(buf, 7);
    ck_assert(!dx_forward_write_trailers(&f, &o));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_head,
        the_status_line,
        hop_by_hop_fields_and_orders_stay_here,
        date_is_added_once,
        framing_is_the_callers,
        no_content_has_no_framing_of_ours,
        the_connection_is_the_clients,
        interim_heads,
        switching_protocols,
        upgrade_required,
        a_cookie_of_ours_is_one_more,
        timings_of_ours_stand_beside_the_servers,
        odd_spacing_becomes_plain,
        overflow_is_told,
        trailers_pass_without_what_belongs_in_a_head,
        trailers_marked_or_too_many_do_not_pass,
    };
    return run_tests("forward/response", tests, DX_COUNT(tests));
}
