/* SPDX-License-Identifier: MIT */
/* Request heads. Every case is parsed whole, byte by byte, and cut in two at every point: always with the
 * same answer. */
#include "diplex/http1.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 8

static const struct dx_http1_limits limits = {.head_bytes = 400, .target_bytes = 100, .fields = 4};

struct answer {
    enum dx_parse parse;
    struct dx_request r;
    struct dx_field at[FIELDS_MAX];
    size_t used;
    struct dx_http_error err;
};

static void parse(struct answer *a, const char *p, size_t n, size_t seen)
{
    a->r.fields = (struct dx_fields){a->at, 0, FIELDS_MAX};
    a->err = (struct dx_http_error){0, NULL};
    a->parse = dx_http1_request_head(p, n, seen, &limits, &a->r, &a->used, &a->err);
}

static bool same(const struct answer *a, const struct answer *b)
{
    if (a->parse != b->parse)
        return false;
    if (a->parse == DX_PARSE_BAD)
        return a->err.status == b->err.status && strcmp(a->err.reason, b->err.reason) == 0;
    return a->parse == DX_PARSE_MORE || (a->used == b->used && a->r.fields.n == b->r.fields.n &&
                                         a->r.target.p == b->r.target.p && a->r.host.n == b->r.host.n);
}

/* The bytes p[0..n) in two pieces: what is decided on the first stays decided. */
static void cut(const struct answer *whole, const char *p, size_t n, size_t at)
{
    struct answer a;

    parse(&a, p, at, 0);
    if (a.parse == DX_PARSE_MORE)
        parse(&a, p, n, at);
    if (!same(whole, &a))
        ck_abort_msg("cut at %zu of %zu: %d %u %s, not %d %u %s\n%.*s", at, n, (int)a.parse, a.err.status,
                     a.err.reason ? a.err.reason : "", (int)whole->parse, whole->err.status,
                     whole->err.reason ? whole->err.reason : "", (int)n, p);
}

/* Byte by byte: at each byte what is known of it is what a parser that sees it for the first time knows. */
static void slowly(const struct answer *whole, const char *p, size_t n)
{
    struct answer a = {.parse = DX_PARSE_MORE}, fresh;

    for (size_t i = 1; i <= n && a.parse == DX_PARSE_MORE; i++) {
        parse(&a, p, i, i - 1);
        parse(&fresh, p, i, 0);
        ck_assert_msg(same(&fresh, &a), "at byte %zu: %u, not %u\n%.*s", i, a.err.status, fresh.err.status,
                      (int)n, p);
    }
    ck_assert_msg(same(whole, &a), "byte by byte: %u, not %u\n%.*s", a.err.status, whole->err.status, (int)n,
                  p);
}

/* A heap copy of exactly n bytes, so that a sanitizer sees any byte read beyond. */
static void answer_to(struct answer *whole, const char *text, size_t n, char **copy)
{
    char *p = malloc(n ? n : 1);

    ck_assert_ptr_nonnull(p);
    memcpy(p, text, n);
    parse(whole, p, n, 0);
    slowly(whole, p, n);
    for (size_t at = 0; at < n; at++)
        cut(whole, p, n, at);
    *copy = p;
}

static void expect_bad(unsigned status, const char *text, size_t n)
{
    struct answer a;
    char *copy;

    answer_to(&a, text, n, &copy);
    ck_assert_msg(a.parse == DX_PARSE_BAD && a.err.status == status, "%d %u, not %u: %s", (int)a.parse,
                  a.err.status, status, text);
    free(copy);
}

#define H "Host: a\r\n"

#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

START_TEST(refusals)
{
    static const struct {
        unsigned status;
        struct dx_slice text;
    } rows[] = {
        /* lines */
        {400, TEXT("GET / HTTP/1.1\n" H "\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\nHost: a\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "\rX: y\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n")},
        {400, TEXT("\nGET / HTTP/1.1\r\n" H "\r\n")},
        {400, TEXT("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n")},
        {400, TEXT("\rGET / HTTP/1.1\r\n" H "\r\n")},
        {400, TEXT("\x16\x03\x01\x02")}, /* TLS */
        {400, TEXT("\r\n\x16\x03\x01")},
        {400, TEXT("GET / HTTP/1.1\0")},
        /* methods */
        {400, TEXT(" GET / HTTP/1.1\r\n")},
        {400, TEXT("GET\r\n")},
        {400, TEXT("G(T / HTTP/1.1\r\n")},
        {400, TEXT("GET\t/ HTTP/1.1\r\n")},
        {501, TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n")},
        {501, TEXT("CONNECT a:80 HTTP/1.1\r\n" H "\r\n")},
        {405, TEXT("TRACE / HTTP/1.1\r\n" H "\r\n")},
        /* targets */
        {400, TEXT("GET  / HTTP/1.1\r\n")},
        {400, TEXT("GET /\r\n")},
        {400, TEXT("GET /a b HTTP/1.1\r\n")},
        {400, TEXT("GET /#a HTTP/1.1\r\n")},
        {400, TEXT("GET /\xc3\xa9 HTTP/1.1\r\n")},
        {400, TEXT("GET /a\tb HTTP/1.1\r\n")},
        {400, TEXT("GET a HTTP/1.1\r\n")},
        {400, TEXT("GET ?a HTTP/1.1\r\n")},
        {400, TEXT("GET * HTTP/1.1\r\n")},
        {400, TEXT("OPTIONS ** HTTP/1.1\r\n")},
        {400, TEXT("GET a:80 HTTP/1.1\r\n")},
        {400, TEXT("GET http:// HTTP/1.1\r\n")},
        {400, TEXT("GET http:///x HTTP/1.1\r\n")},
        {400, TEXT("GET http://?x HTTP/1.1\r\n")},
        {400, TEXT("GET http://u@a/ HTTP/1.1\r\n")},
        {400, TEXT("GET http://u:p@a/ HTTP/1.1\r\n")},
        {400, TEXT("GET http://a:x/ HTTP/1.1\r\n")},
        {400, TEXT("GET ftp://a/ HTTP/1.1\r\n")},
        {400, TEXT("GET http:/a HTTP/1.1\r\n")},
        {400, TEXT("GET http://b/ HTTP/1.1\r\n" H "\r\n")},
        /* versions */
        {400, TEXT("GET / HTTP/1.1 \r\n")},
        {400, TEXT("GET /  HTTP/1.1\r\n")},
        {400, TEXT("GET / HTTP/1\r\n")},
        {400, TEXT("GET / HTTP/1.10\r\n")},
        {400, TEXT("GET / HTTP/11\r\n")},
        {400, TEXT("GET / http/1.1\r\n")},
        {400, TEXT("GET / HTTP/a.1\r\n")},
        {400, TEXT("GET / HTTP/1.x\r\n")},
        {400, TEXT("GET / XTTP/1.1\r\n")},
        {505, TEXT("GET / HTTP/2.0\r\n")},
        {505, TEXT("GET / HTTP/0.9\r\n")},
        {505, TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
        /* fields */
        {400, TEXT("GET / HTTP/1.1\r\nHost : a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H ": a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X y: a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "X\xe9: a\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H "\"X\": a\r\n\r\n")},
        {431, TEXT("GET / HTTP/1.1\r\n" H "A:\r\nB:\r\nC:\r\nD:\r\n\r\n")},
        /* meaning */
        {400, TEXT("GET / HTTP/1.1\r\n\r\n")},
        {400, TEXT("GET / HTTP/1.1\r\n" H H "\r\n")},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")},
        {400, TEXT("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
                   "chunked\r\n\r\n")},
        {417, TEXT("POST / HTTP/1.1\r\n" H "Expect: more\r\n\r\n")},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++)
        expect_bad(rows[i].status, rows[i].text.p, rows[i].text.n);
}
END_TEST

static void expect_done(struct answer *a, const char *text, size_t n, char **copy)
{
    answer_to(a, text, n, copy);
    ck_assert_msg(a->parse == DX_PARSE_DONE, "%d %u %s: %s", (int)a->parse, a->err.status,
                  a->err.reason ? a->err.reason : "", text);
}

START_TEST(targets)
{
    static const struct {
        const char *text;
        enum dx_target_form form;
        const char *path, *query, *host;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", DX_TARGET_ORIGIN, "/", "", "a"},
        {"GET /x/y?q=/?&r HTTP/1.1\r\n" H "\r\n", DX_TARGET_ORIGIN, "/x/y", "?q=/?&r", "a"},
        {"GET /? HTTP/1.1\r\n" H "\r\n", DX_TARGET_ORIGIN, "/", "?", "a"},
        {"GET //b/c HTTP/1.1\r\n" H "\r\n", DX_TARGET_ORIGIN, "//b/c", "", "a"},
        {"GET /%7e|{}\"<>^`\\ HTTP/1.1\r\n" H "\r\n", DX_TARGET_ORIGIN, "/%7e|{}\"<>^`\\", "", "a"},
        {"GET http://a/x?y HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "/x", "?y", "a"},
        {"GET HTTP://A:80/x HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "/x", "", "A:80"},
        {"GET https://a HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "/", "", "a"},
        {"GET http://a?x HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "/", "?x", "a"},
        {"GET http://[::1]:8000/ HTTP/1.0\r\n\r\n", DX_TARGET_ABSOLUTE, "/", "", "[::1]:8000"},
        {"OPTIONS http://a HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "*", "", "a"},
        {"OPTIONS http://a/ HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "/", "", "a"},
        {"OPTIONS http://a?x HTTP/1.1\r\n" H "\r\n", DX_TARGET_ABSOLUTE, "/", "?x", "a"},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", DX_TARGET_ASTERISK, "*", "", "a"},
        {"OPTIONS /x HTTP/1.1\r\n" H "\r\n", DX_TARGET_ORIGIN, "/x", "", "a"},
        {"GET / HTTP/1.0\r\n\r\n", DX_TARGET_ORIGIN, "/", "", ""},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct answer a;
        char *copy;
        expect_done(&a, rows[i].text, strlen(rows[i].text), &copy);
        ck_assert_msg(a.r.form == rows[i].form, "%s", rows[i].text);
        ck_assert_msg(dx_slice_eq(a.r.path, dx_slice_str(rows[i].path)), "%s", rows[i].text);
        ck_assert_msg(dx_slice_eq(a.r.query, dx_slice_str(rows[i].query)), "%s", rows[i].text);
        ck_assert_msg(dx_slice_eq(a.r.host, dx_slice_str(rows[i].host)), "%s", rows[i].text);
        free(copy);
    }
}
END_TEST

START_TEST(a_whole_head)
{
    const char text[] = "\r\nPOST /upload?x=1 HTTP/1.3\r\nhOST:example.com\r\nContent-Length: \t 5 \t\r\n"
                        "X_Under: \xc3\xa9 \t\x80 \"q\"\r\nEmpty:\r\n\r\nHELLO";
    struct answer a;
    char *copy;

    expect_done(&a, text, sizeof(text) - 1, &copy);
    ck_assert_uint_eq(a.used, sizeof(text) - 1 - 5);
    ck_assert_int_eq(a.r.method_id, DX_METHOD_POST);
    ck_assert(dx_slice_eq(a.r.method, DX_SLICE("POST")));
    ck_assert(dx_slice_eq(a.r.target, DX_SLICE("/upload?x=1")));
    ck_assert_uint_eq(a.r.minor, 1);
    ck_assert_int_eq(a.r.framing, DX_FRAMING_LENGTH);
    ck_assert_uint_eq(a.r.length, 5);
    ck_assert(a.r.keep_alive);
    ck_assert_uint_eq(a.r.fields.n, 4);
    ck_assert(a.r.fields.at == a.at);
    ck_assert(dx_slice_eq(a.at[0].name, DX_SLICE("hOST")) && a.at[0].id == DX_FIELD_HOST);
    ck_assert(dx_slice_eq(a.at[0].value, DX_SLICE("example.com")) && !a.at[0].drop);
    ck_assert(dx_slice_eq(a.at[1].value, DX_SLICE("5")));
    ck_assert(dx_slice_eq(a.at[2].value, DX_SLICE("\xc3\xa9 \t\x80 \"q\"")));
    ck_assert(a.at[2].id == DX_FIELD_OTHER && a.at[2].drop);
    ck_assert(a.at[3].value.n == 0 && !a.at[3].drop);
    free(copy);
}
END_TEST

START_TEST(unknown_methods_pass)
{
    struct answer a;
    char *copy;
    const char text[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\n" H "\r\n";

    expect_done(&a, text, sizeof(text) - 1, &copy);
    ck_assert_int_eq(a.r.method_id, DX_METHOD_OTHER);
    ck_assert_uint_eq(a.r.method.n, 32);
    free(copy);
}
END_TEST

START_TEST(pipelined_heads_end_where_they_end)
{
    const char text[] = "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n";
    size_t half = (sizeof(text) - 1) / 2;
    struct answer a;

    parse(&a, text, sizeof(text) - 1, 0);
    ck_assert(a.parse == DX_PARSE_DONE && a.used == half);
    parse(&a, text + half, half, 0);
    ck_assert(a.parse == DX_PARSE_DONE && dx_slice_eq(a.r.path, DX_SLICE("/2")));
}
END_TEST

/* A request of `path` letters in its path and `value` letters in a field. */
static size_t request_of(char *buf, size_t size, unsigned path, unsigned value)
{
    char letters[512];

    memset(letters, 'x', sizeof(letters));
    int n = snprintf(buf, size, "GET /%.*s HTTP/1.1\r\n" H "V: %.*s\r\n\r\n", (int)path, letters, (int)value,
                     letters);
    ck_assert(n > 0 && (size_t)n < size);
    return (size_t)n;
}

START_TEST(limits_are_exact)
{
    char buf[1200];
    struct answer a;
    char *copy;
    size_t n = request_of(buf, sizeof(buf), 99, 0); /* a target of 100 */
    expect_done(&a, buf, n, &copy);
    free(copy);
    expect_bad(414, buf, request_of(buf, sizeof(buf), 100, 0));
    expect_bad(414, buf, request_of(buf, sizeof(buf), 300, 0));
    expect_bad(414, buf, request_of(buf, sizeof(buf), 500, 0));

    unsigned rest = (unsigned)request_of(buf, sizeof(buf), 0, 0);
    n = request_of(buf, sizeof(buf), 0, (unsigned)limits.head_bytes - rest);
    ck_assert_uint_eq(n, limits.head_bytes);
    expect_done(&a, buf, n, &copy);
    free(copy);
    expect_bad(431, buf, request_of(buf, sizeof(buf), 0, (unsigned)limits.head_bytes - rest + 1));
    n = request_of(buf, sizeof(buf), 0, 500);
    expect_bad(431, buf, n);
    expect_bad(431, buf, limits.head_bytes); /* as soon as it cannot end in time */
    answer_to(&a, buf, limits.head_bytes - 1, &copy);
    ck_assert_int_eq(a.parse, DX_PARSE_MORE);
    free(copy);
}
END_TEST

START_TEST(endless_heads_are_refused)
{
    char buf[1000];

    memset(buf, 'A', sizeof(buf));
    expect_bad(414, buf, sizeof(buf));
    memcpy(buf, "GET /", 5);
    expect_bad(414, buf, sizeof(buf));
    memcpy(buf, "GET / HTTP/1.1\r\nX", 17);
    expect_bad(431, buf, sizeof(buf));
    for (size_t i = 16; i + 3 < sizeof(buf); i += 3)
        memcpy(buf + i, "a\r\n", 3);
    expect_bad(400, buf, sizeof(buf));
}
END_TEST

START_TEST(the_smallest_limit_on_fields_counts)
{
    const char text[] = "GET / HTTP/1.1\r\n" H "A: 1\r\nB: 2\r\n\r\n";
    struct dx_field at[2];
    struct dx_request r = {.fields = {at, 0, 2}};
    struct dx_http_error err;
    size_t used;

    ck_assert(dx_http1_request_head(text, sizeof(text) - 1, 0, &limits, &r, &used, &err) == DX_PARSE_BAD);
    ck_assert_uint_eq(err.status, 431);
}
END_TEST

START_TEST(long_names_are_refused)
{
    static const struct dx_http1_limits wide = {.head_bytes = 4096, .target_bytes = 100, .fields = 4};
    char buf[400] = "GET / HTTP/1.1\r\n" H;
    size_t start = strlen(buf), used;
    struct dx_field at[4];
    struct dx_http_error err;

    for (size_t name = 256; name <= 257; name++) {
        struct dx_request r = {.fields = {at, 0, 4}};
        memset(buf + start, 'n', name);
        memcpy(buf + start + name, ":\r\n\r\n", 5);
        enum dx_parse got = dx_http1_request_head(buf, start + name + 5, 0, &wide, &r, &used, &err);
        ck_assert(got == (name == 256 ? DX_PARSE_DONE : DX_PARSE_BAD));
        ck_assert(got == DX_PARSE_DONE || err.status == 431);
    }
}
END_TEST

START_TEST(outputs_are_left_alone_unless_done)
{
    const char text[] = "GET / HTTP/1.1\r\nHost:";
    struct dx_field at[4];
    struct dx_request r = {.method = DX_SLICE("before"), .fields = {at, 3, 4}};
    struct dx_http_error err = {7, "before"};
    size_t used = 77;

    ck_assert(dx_http1_request_head(text, sizeof(text) - 1, 0, &limits, &r, &used, &err) == DX_PARSE_MORE);
    ck_assert(dx_slice_eq(r.method, DX_SLICE("before")) && r.fields.n == 3 && used == 77 && err.status == 7);
    ck_assert(dx_http1_request_head(NULL, 0, 0, &limits, &r, &used, &err) == DX_PARSE_MORE);
}
END_TEST

/* What is told of heads that were refused, or that never became whole. */
START_TEST(what_is_known)
{
    static const struct {
        const char *text;
        enum dx_http1_known known;
        const char *method, *target, *path, *host;
        unsigned minor, fields;
    } rows[] = {
        {"GET /a?b HTTP/1.1\r\n" H "Transfer-Encoding: x\r\n\r\n", DX_HTTP1_KNOWN, "GET", "/a?b", "/a", "a",
         1, 2},
        {"\r\nGET /a HTTP/1.0\r\nA: b\r\nC : d\r\n" H "\r\n", DX_HTTP1_KNOWN, "GET", "/a", "/a", "", 0, 1},
        {"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", DX_HTTP1_KNOWN, "GET", "/a", "/a", "", 1, 2},
        {"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", DX_HTTP1_KNOWN, "GET", "/a", "/a", "", 1, 1},
        {"GET http://x:8/a HTTP/1.1\r\nHost: y\r\n\r\n", DX_HTTP1_KNOWN, "GET", "http://x:8/a", "", "y", 1,
         1},
        {"GET relative HTTP/1.1\r\n" H "\r\n", DX_HTTP1_KNOWN, "GET", "relative", "", "a", 1, 1},
        {"GET /a HTTP/3.0\r\n" H "\r\n", DX_HTTP1_KNOWN, "GET", "/a", "/a", "", 0, 0},
        {"GET /a \r\n" H "\r\n", DX_HTTP1_KNOWN, "GET", "/a", "/a", "", 0, 0},
        {"GET /a HTTP/1.1\r\nHost: h", DX_HTTP1_KNOWN, "GET", "/a", "/a", "", 1, 0},
        {"GET /a HTTP/1.1\r\n" H, DX_HTTP1_KNOWN, "GET", "/a", "/a", "a", 1, 1},
        {"GET /a\x01/b HTTP/1.1\r\n", DX_HTTP1_TARGET_CUT, "GET", "/a", "", "", 0, 0},
        {"GET /a#b HTTP/1.1\r\n", DX_HTTP1_TARGET_CUT, "GET", "/a", "", "", 0, 0},
        {"GET /a\r\n\r\n", DX_HTTP1_TARGET_CUT, "GET", "/a", "", "", 0, 0},
        {"GET /a", DX_HTTP1_TARGET_CUT, "GET", "/a", "", "", 0, 0},
        {"GET  /a HTTP/1.1\r\n", DX_HTTP1_TARGET_CUT, "GET", "", "", "", 0, 0},
        {"GET ", DX_HTTP1_TARGET_CUT, "GET", "", "", "", 0, 0},
        {"GET", DX_HTTP1_METHOD_CUT, "GET", "", "", "", 0, 0},
        {"GE\"T / HTTP/1.1\r\n", DX_HTTP1_METHOD_CUT, "GE", "", "", "", 0, 0},
        {"\x16\x03\x01", DX_HTTP1_METHOD_CUT, "", "", "", "", 0, 0},
        {"\r\n", DX_HTTP1_METHOD_CUT, "", "", "", "", 0, 0},
        {"\r", DX_HTTP1_METHOD_CUT, "", "", "", "", 0, 0},
        {"", DX_HTTP1_METHOD_CUT, "", "", "", "", 0, 0},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_request r = {.fields = {at, 0, FIELDS_MAX}};
        size_t n = strlen(rows[i].text);
        char *p = malloc(n ? n : 1);
        ck_assert_ptr_nonnull(p);
        memcpy(p, rows[i].text, n);
        enum dx_http1_known known = dx_http1_request_known(p, n, &limits, &r);
        ck_assert_msg(known == rows[i].known && dx_slice_eq(r.method, dx_slice_str(rows[i].method)) &&
                          dx_slice_eq(r.target, dx_slice_str(rows[i].target)) &&
                          dx_slice_eq(r.path, dx_slice_str(rows[i].path)) &&
                          dx_slice_eq(r.host, dx_slice_str(rows[i].host)) && r.minor == rows[i].minor &&
                          r.fields.n == rows[i].fields && r.framing == DX_FRAMING_NONE && !r.keep_alive,
                      "%s: %d '%.*s' '%.*s' '%.*s' %u %u", rows[i].text, (int)known, DX_SLICE_ARGS(r.method),
                      DX_SLICE_ARGS(r.target), DX_SLICE_ARGS(r.host), r.minor, r.fields.n);
        free(p);
    }
}
END_TEST

START_TEST(what_is_known_stays_within_the_limits)
{
    char text[800] = "GET /";
    struct dx_field at[FIELDS_MAX];
    struct dx_request r = {.fields = {at, 0, FIELDS_MAX}};

    memset(text + 5, 'a', sizeof(text) - 5);
    ck_assert(dx_http1_request_known(text, sizeof(text), &limits, &r) == DX_HTTP1_TARGET_CUT);
    ck_assert_uint_eq(r.target.n, limits.target_bytes);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    for (size_t i = 16; i + 4 <= sizeof(text); i += 4)
        memcpy(text + i, "a:\r\n", 4);
    ck_assert(dx_http1_request_known(text, sizeof(text), &limits, &r) == DX_HTTP1_KNOWN);
    ck_assert_uint_eq(r.fields.n, limits.fields);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1/request_head");
    TCase *cases = tcase_create("request_head");

    tcase_add_test(cases, refusals);
    tcase_add_test(cases, targets);
    tcase_add_test(cases, a_whole_head);
    tcase_add_test(cases, unknown_methods_pass);
    tcase_add_test(cases, pipelined_heads_end_where_they_end);
    tcase_add_test(cases, limits_are_exact);
    tcase_add_test(cases, endless_heads_are_refused);
    tcase_add_test(cases, the_smallest_limit_on_fields_counts);
    tcase_add_test(cases, long_names_are_refused);
    tcase_add_test(cases, outputs_are_left_alone_unless_done);
    tcase_add_test(cases, what_is_known);
    tcase_add_test(cases, what_is_known_stays_within_the_limits);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
