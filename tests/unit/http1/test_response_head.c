/* SPDX-License-Identifier: MIT */
/* Response heads and trailers, each whole and cut at every point. */
#include "diplex/http1.h"

#include <check.h>
#include <stdlib.h>

#define FIELDS_MAX 8
#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

static const struct dx_http1_limits limits = {.head_bytes = 200, .target_bytes = 1, .fields = 3};

struct answer {
    enum dx_parse parse;
    struct dx_response r;
    struct dx_field at[FIELDS_MAX];
    size_t used;
    struct dx_http_error err;
};

static void parse(struct answer *a, const char *p, size_t n, size_t seen)
{
    a->r.fields = (struct dx_fields){a->at, 0, FIELDS_MAX};
    a->err = (struct dx_http_error){0, NULL};
    a->parse = dx_http1_response_head(p, n, seen, &limits, DX_METHOD_GET, &a->r, &a->used, &a->err);
}

static void answer_to(struct answer *whole, struct dx_slice text)
{
    parse(whole, text.p, text.n, 0);
    for (size_t at = 0; at < text.n; at++) {
        struct answer a;
        parse(&a, text.p, at, 0);
        if (a.parse == DX_PARSE_MORE)
            parse(&a, text.p, text.n, at);
        ck_assert_msg(a.parse == whole->parse, "cut at %zu: %s", at, text.p);
        ck_assert(a.parse != DX_PARSE_DONE || a.used == whole->used);
        ck_assert(a.parse != DX_PARSE_BAD || strcmp(a.err.reason, whole->err.reason) == 0);
    }
}

START_TEST(status_lines)
{
    static const struct {
        const char *text;
        unsigned status, minor;
        const char *reason;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", 200, 1, "OK"},
        {"HTTP/1.1 200 \r\n\r\n", 200, 1, ""},
        {"HTTP/1.1 200\r\n\r\n", 200, 1, ""},
        {"HTTP/1.0 404 Not  Found\t!\r\n\r\n", 404, 0, "Not  Found\t!"},
        {"HTTP/1.9 599 \xe9\r\n\r\n", 599, 1, "\xe9"},
        {"HTTP/1.1 100 Continue\r\n\r\n", 100, 1, "Continue"},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct answer a;
        answer_to(&a, dx_slice_str(rows[i].text));
        ck_assert_msg(a.parse == DX_PARSE_DONE, "%s", rows[i].text);
        ck_assert_uint_eq(a.used, strlen(rows[i].text));
        ck_assert_uint_eq(a.r.status, rows[i].status);
        ck_assert_uint_eq(a.r.minor, rows[i].minor);
        ck_assert(dx_slice_eq(a.r.reason, dx_slice_str(rows[i].reason)));
    }
}
END_TEST

START_TEST(refusals)
{
    static const struct dx_slice rows[] = {
        TEXT("HTTP/1.1 200 OK\n\r\n"),
        TEXT("HTTP/1.1 20 OK\r\n\r\n"),
        TEXT("HTTP/1.1 2000 OK\r\n\r\n"),
        TEXT("HTTP/1.1 099 OK\r\n\r\n"),
        TEXT("HTTP/1.1 600 x\r\n\r\n"),
        TEXT("HTTP/1.1 999 x\r\n\r\n"),
        TEXT("HTTP/1.1 000 x\r\n\r\n"),
        TEXT("HTTP/1.1 2x0 OK\r\n\r\n"),
        TEXT("HTTP/1.1  200 OK\r\n\r\n"),
        TEXT("HTTP/1.1\t200 OK\r\n\r\n"),
        TEXT("HTTP/1.1 200\tOK\r\n\r\n"),
        TEXT("HTTP/1.1 -20 OK\r\n\r\n"),
        TEXT("HTTP/2.0 200 OK\r\n\r\n"),
        TEXT("http/1.1 200 OK\r\n\r\n"),
        TEXT("HTTP/1.1\r\n\r\n"),
        TEXT("\r\nHTTP/1.1 200 OK\r\n\r\n"),
        TEXT("hello world, hello\r\n"),
        TEXT("\r\n"),
        TEXT("HTTP/1.1 200 a\0b\r\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nA: 1\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nA : 1\r\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nA\r\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        TEXT("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct answer a;
        answer_to(&a, rows[i]);
        ck_assert_msg(a.parse == DX_PARSE_BAD, "%d: %s", (int)a.parse, rows[i].p);
        ck_assert_uint_eq(a.err.status, 502);
    }
}
END_TEST

START_TEST(a_whole_head)
{
    struct dx_slice text = DX_SLICE("HTTP/1.1 200 OK\r\nset_cookie: a\r\nContent-Type: text/event-stream\r\n"
                                    "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    struct answer a;

    answer_to(&a, text);
    ck_assert_int_eq(a.parse, DX_PARSE_DONE);
    ck_assert_uint_eq(a.used, text.n - 10);
    ck_assert_int_eq(a.r.framing, DX_FRAMING_CHUNKED);
    ck_assert(a.r.stream && a.r.keep_alive);
    ck_assert_uint_eq(a.r.fields.n, 3);
    ck_assert(!a.at[0].drop); /* a name with '_' is a danger to servers only */
}
END_TEST

START_TEST(heads_are_bounded)
{
    char text[400] = "HTTP/1.1 200 OK\r\nA: ";
    struct answer a;

    memset(text + 20, 'x', sizeof(text) - 20);
    answer_to(&a, dx_slice_of(text, sizeof(text)));
    ck_assert(a.parse == DX_PARSE_BAD && a.err.status == 502);
    answer_to(&a, dx_slice_of(text, limits.head_bytes - 1));
    ck_assert_int_eq(a.parse, DX_PARSE_MORE);
    memcpy(text + limits.head_bytes - 4, "\r\n\r\n", 4);
    answer_to(&a, dx_slice_of(text, sizeof(text)));
    ck_assert(a.parse == DX_PARSE_DONE && a.used == limits.head_bytes);
}
END_TEST

static enum dx_parse trailers(struct dx_slice s, struct dx_fields *f, size_t *used, struct dx_http_error *err)
{
    return dx_http1_trailers(s.p, s.n, &limits, f, used, err);
}

START_TEST(trailer_sections)
{
    struct dx_slice text = DX_SLICE("X-Sum: 1\r\nContent-Length: 5\r\nx_y: 2\r\n\r\nGET");
    struct dx_field at[FIELDS_MAX];
    struct dx_fields f = {at, 0, FIELDS_MAX};
    struct dx_http_error err;
    size_t used = 0;

    for (size_t n = 0; n < text.n - 3; n++)
        ck_assert_int_eq(trailers(dx_slice_of(text.p, n), &f, &used, &err), DX_PARSE_MORE);
    ck_assert_int_eq(trailers(text, &f, &used, &err), DX_PARSE_DONE);
    ck_assert_uint_eq(used, text.n - 3);
    ck_assert_uint_eq(f.n, 3);
    ck_assert(!at[0].drop && at[1].drop && at[2].drop);

    ck_assert_int_eq(trailers(DX_SLICE("\r\n"), &f, &used, &err), DX_PARSE_DONE);
    ck_assert(used == 2 && f.n == 0);
}
END_TEST

START_TEST(trailers_are_as_strict_as_heads)
{
    static const struct dx_slice rows[] = {
        TEXT("\n"),          TEXT("A: 1\n\r\n"),    TEXT("A: 1\r\n 2\r\n\r\n"), TEXT("A : 1\r\n\r\n"),
        TEXT(": 1\r\n\r\n"), TEXT("A: \0\r\n\r\n"),
    };
    struct dx_field at[FIELDS_MAX];
    struct dx_fields f = {at, 0, FIELDS_MAX};
    struct dx_http_error err;
    size_t used;
    char big[300];

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        ck_assert_msg(trailers(rows[i], &f, &used, &err) == DX_PARSE_BAD, "row %zu", i);
        ck_assert_uint_eq(err.status, 400);
    }
    ck_assert(trailers(DX_SLICE("A:\r\nB:\r\nC:\r\nD:\r\n"), &f, &used, &err) == DX_PARSE_BAD &&
              err.status == 431);
    memset(big, 'a', sizeof(big));
    ck_assert(trailers(dx_slice_of(big, limits.head_bytes), &f, &used, &err) == DX_PARSE_BAD &&
              err.status == 431);
    ck_assert(trailers(dx_slice_of(big, limits.head_bytes - 1), &f, &used, &err) == DX_PARSE_MORE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1/response_head");
    TCase *cases = tcase_create("response_head");

    tcase_add_test(cases, status_lines);
    tcase_add_test(cases, refusals);
    tcase_add_test(cases, a_whole_head);
    tcase_add_test(cases, heads_are_bounded);
    tcase_add_test(cases, trailer_sections);
    tcase_add_test(cases, trailers_are_as_strict_as_heads);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
