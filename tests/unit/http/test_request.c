/* SPDX-License-Identifier: MIT */
/* What requests mean: one row for each rule at the head of src/http/request.c, and what is decided when
 * nothing is refused. */
#include "diplex/http.h"

#include <check.h>
#include <stdlib.h>

#include "fields_of.h"

struct input {
    const char *method;
    unsigned minor;
    const char *lines[FIELDS_MAX];
};

static bool decide(const struct input *in, struct dx_request *r, struct dx_field *at,
                   struct dx_http_error *err)
{
    struct dx_slice method = dx_slice_str(in->method);

    *r = (struct dx_request){.method = method,
                             .method_id = dx_http_method(method),
                             .target = DX_SLICE("/"),
                             .path = DX_SLICE("/"),
                             .minor = in->minor,
                             .fields = fields_of(at, in->lines)};
    *err = (struct dx_http_error){0, NULL};
    return dx_http_request_meaning(r, err);
}

START_TEST(refusals)
{
    static const struct {
        unsigned status;
        struct input in;
    } rows[] = {
        {501, {"CONNECT", 1, {"Host: a"}}},
        {405, {"TRACE", 1, {"Host: a"}}},
        {400, {"GET", 1, {"Accept: */*"}}},
        {400, {"GET", 1, {"Host: a", "host: a"}}},
        {400, {"GET", 0, {"Host: a", "host: a"}}},
        {400, {"GET", 1, {"Host:"}}},
        {400, {"GET", 1, {"Host: a b"}}},
        {400, {"GET", 1, {"Host: a, b"}}},
        {400, {"GET", 1, {"Host: user@a"}}},
        {400, {"GET", 1, {"Host: a:99999"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5", "Content-Length: 5"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5", "Content-Length: 6"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5, 5"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5,"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length:"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: +5"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: -1"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 0x5"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5 5"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5.0"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 9223372036854775808"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 18446744073709551621"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 000000000000000000005"}}},
        {400, {"POST", 1, {"Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked, chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked, gzip"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked,"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: ,chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding:"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: identity"}}},
        {501, {"POST", 1, {"Host: a", "Transfer-Encoding: identity, chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked;q=1, chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked ; q=1"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: ;x=1, chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: gzip"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: xchunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: \"chunked\""}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunked;q=1"}}},
        {501, {"POST", 1, {"Host: a", "Transfer-Encoding: gzip;x=1, chunked"}}},
        {501, {"POST", 1, {"Host: a", "Transfer-Encoding: x;y=\"chunked, gzip\", chunked"}}},
        {400, {"POST", 1, {"Host: a", "Transfer-Encoding: chunk ed"}}},
        {501, {"POST", 1, {"Host: a", "Transfer-Encoding: gzip, chunked"}}},
        {400, {"POST", 0, {"Host: a", "Transfer-Encoding: chunked"}}},
        {400, {"POST", 1, {"Host: a", "Content-Type: a/b", "Content-Type: a/b"}}},
        {400, {"GET", 1, {"Host: a", "Connection: close, host"}}},
        {400, {"GET", 1, {"Host: a", "Connection: Content-Length"}}},
        {400, {"GET", 1, {"Host: a", "Connection: transfer-encoding"}}},
        {400, {"GET", 1, {"Host: a", "Connection: a b"}}},
        {400, {"GET", 1, {"Host: a", "Connection: \"x\""}}},
        {417, {"POST", 1, {"Host: a", "Content-Length: 5", "Expect: 200-ok"}}},
        {417, {"POST", 1, {"Host: a", "Content-Length: 5", "Expect: 100-continue", "Expect: x"}}},
        {417, {"POST", 1, {"Host: a", "Expect:"}}},
        {508,
         {"GET",
          1,
          {"Host: a", "Via: 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a",
           "Via: 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a, 1.1 a"}}},
        {400, {"OPTIONS", 1, {"Host: a", "Max-Forwards: 1", "Max-Forwards: 1"}}},
        {400, {"OPTIONS", 1, {"Host: a", "Max-Forwards: -1"}}},
        {400, {"OPTIONS", 1, {"Host: a", "Max-Forwards: 1, 1"}}},
        {400, {"OPTIONS", 1, {"Host: a", "Max-Forwards:"}}},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_request r;
        struct dx_http_error err;
        bool ok = decide(&rows[i].in, &r, at, &err);
        ck_assert_msg(!ok && err.status == rows[i].status, "row %zu: %u", i, err.status);
        ck_assert_ptr_nonnull(err.reason);
    }
}
END_TEST

START_TEST(connection_options_are_bounded)
{
    const struct input in = {"GET",
                             1,
                             {"Host: a", "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p",
                              "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"}};
    const struct input more = {"GET",
                               1,
                               {"Host: a", "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p",
                                "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}};
    struct dx_field at[FIELDS_MAX];
    struct dx_request r;
    struct dx_http_error err;

    ck_assert(decide(&in, &r, at, &err));
    ck_assert(!decide(&more, &r, at, &err));
    ck_assert_uint_eq(err.status, 400);
}
END_TEST

START_TEST(framing)
{
    static const struct {
        struct input in;
        enum dx_framing framing;
        uint64_t length;
    } rows[] = {
        {{"GET", 1, {"Host: a"}}, DX_FRAMING_NONE, 0},
        {{"POST", 1, {"Host: a"}}, DX_FRAMING_NONE, 0},
        {{"POST", 1, {"Host: a", "Content-Length: 0"}}, DX_FRAMING_LENGTH, 0},
        {{"POST", 1, {"Host: a", "content-length: 0042"}}, DX_FRAMING_LENGTH, 42},
        {{"GET", 1, {"Host: a", "Content-Length: 7"}}, DX_FRAMING_LENGTH, 7},
        {{"PUT", 1, {"Host: a", "Content-Length: 9223372036854775807"}}, DX_FRAMING_LENGTH, INT64_MAX},
        {{"POST", 1, {"Host: a", "Transfer-Encoding: chunked"}}, DX_FRAMING_CHUNKED, 0},
        {{"POST", 1, {"Host: a", "TRANSFER-ENCODING: Chunked"}}, DX_FRAMING_CHUNKED, 0},
        {{"POST", 0, {"Content-Length: 3"}}, DX_FRAMING_LENGTH, 3},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_request r;
        struct dx_http_error err;
        ck_assert_msg(decide(&rows[i].in, &r, at, &err), "row %zu: %s", i, err.reason);
        ck_assert_msg(r.framing == rows[i].framing, "row %zu", i);
        ck_assert_uint_eq(r.length, rows[i].length);
    }
}
END_TEST

START_TEST(connection_and_upgrade)
{
    static const struct {
        struct input in;
        bool keep_alive, upgrade, websocket, expect;
    } rows[] = {
        {{"GET", 1, {"Host: a"}}, true, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: close"}}, false, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: keep-alive, Close"}}, false, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: x", "Connection: close"}}, false, false, false, false},
        {{"GET", 0, {"Host: a"}}, false, false, false, false},
        {{"GET", 0, {"Connection: Keep-Alive"}}, true, false, false, false},
        {{"GET", 0, {"Connection: keep-alive, close"}}, false, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: Upgrade", "Upgrade: WebSocket"}}, true, true, true, false},
        {{"GET", 1, {"Host: a", "Upgrade: websocket", "Connection: keep-alive, Upgrade"}},
         true,
         true,
         true,
         false},
        {{"GET", 1, {"Host: a", "Upgrade: websocket"}}, true, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: upgrade"}}, true, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade:"}}, true, false, false, false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: h2c"}}, true, true, false, false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: h2c, websocket"}}, true, true, false, false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c"}},
         true,
         true,
         false,
         false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"}},
         true,
         true,
         false,
         false},
        {{"POST", 1, {"Host: a", "Connection: upgrade", "Upgrade: websocket"}}, true, true, false, false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 1"}},
         true,
         true,
         false,
         false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 0"}},
         true,
         true,
         true,
         false},
        {{"GET", 1, {"Host: a", "Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"}},
         true,
         true,
         false,
         false},
        {{"GET", 0, {"Host: a", "Connection: upgrade", "Upgrade: websocket"}}, false, false, false, false},
        {{"POST", 1, {"Host: a", "Content-Length: 1", "Expect: 100-Continue"}}, true, false, false, true},
        {{"POST", 1, {"Host: a", "Transfer-Encoding: chunked", "Expect: 100-continue"}},
         true,
         false,
         false,
         true},
        {{"POST", 1, {"Host: a", "Content-Length: 0", "Expect: 100-continue"}}, true, false, false, false},
        {{"POST", 0, {"Host: a", "Content-Length: 1", "Expect: 100-continue"}}, false, false, false, false},
        {{"POST", 0, {"Host: a", "Content-Length: 1", "Expect: nonsense"}}, false, false, false, false},
        {{"GET", 1, {"Host: a", "TE: deflate", "Connection: TE"}}, true, false, false, false},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_request r;
        struct dx_http_error err;
        ck_assert_msg(decide(&rows[i].in, &r, at, &err), "row %zu: %s", i, err.reason);
        ck_assert_msg(r.keep_alive == rows[i].keep_alive, "row %zu", i);
        ck_assert_msg(r.upgrade == rows[i].upgrade, "row %zu", i);
        ck_assert_msg(r.websocket == rows[i].websocket, "row %zu", i);
        ck_assert_msg(r.expect_continue == rows[i].expect, "row %zu", i);
    }
}
END_TEST

START_TEST(max_forwards_of_options)
{
    static const struct {
        struct input in;
        bool counted;
        uint64_t n;
    } rows[] = {
        {{"OPTIONS", 1, {"Host: a", "Max-Forwards: 0"}}, true, 0},
        {{"OPTIONS", 0, {"Max-Forwards: 007"}}, true, 7},
        {{"OPTIONS", 1, {"Host: a", "Max-Forwards: 99999999999999999999999999"}}, true, UINT64_MAX},
        {{"OPTIONS", 1, {"Host: a"}}, false, 0},
        {{"GET", 1, {"Host: a", "Max-Forwards: 0"}}, false, 0},
        {{"GET", 1, {"Host: a", "Max-Forwards: x"}}, false, 0},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_request r;
        struct dx_http_error err;
        ck_assert_msg(decide(&rows[i].in, &r, at, &err), "row %zu: %s", i, err.reason);
        ck_assert_msg(r.counted == rows[i].counted && r.max_forwards == rows[i].n, "row %zu", i);
        ck_assert_msg(at[r.fields.n - 1].drop == rows[i].counted, "row %zu", i); /* it is written anew */
    }
}
END_TEST

START_TEST(connection_takes_fields_away)
{
    const struct input in = {"GET",
                             1,
                             {"X-Secret: 1", "Host: a",
                              "Connection: x-SECRET, Cookie, X-Forwarded-For, Upgrade", "x-secret: 2",
                              "Cookie: a=b", "X-Forwarded-For: 192.0.2.1", "X-Secrets: 3"}};
    static const bool expected[] = {true, false, false, true, true, false, false};
    struct dx_field at[FIELDS_MAX];
    struct dx_request r;
    struct dx_http_error err;

    ck_assert(decide(&in, &r, at, &err));
    ck_assert_uint_eq(r.fields.n, DX_COUNT(expected));
    for (unsigned i = 0; i < r.fields.n; i++)
        ck_assert_msg(at[i].drop == expected[i], "%.*s", DX_SLICE_ARGS(at[i].name));
}
END_TEST

START_TEST(host_of_the_target)
{
    static const struct {
        const char *target, *target_host, *field;
        bool ok;
    } rows[] = {
        {"http://a.example/", "a.example", "Host: A.example", true},
        {"http://a.example:80/", "a.example:80", "Host: a.example", true},
        {"HTTPS://a.example/", "a.example", "Host: a.example:443", true},
        {"https://a.example/", "a.example", "Host: a.example:80", false},
        {"http://a.example:81/", "a.example:81", "Host: a.example", false},
        {"http://a.example/", "a.example", "Host: b.example", false},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        const char *lines[] = {rows[i].field, NULL};
        struct dx_field at[FIELDS_MAX];
        struct dx_request r = {.method_id = DX_METHOD_GET,
                               .minor = 1,
                               .form = DX_TARGET_ABSOLUTE,
                               .target = dx_slice_str(rows[i].target),
                               .host = dx_slice_str(rows[i].target_host),
                               .fields = fields_of(at, lines)};
        struct dx_http_error err;
        ck_assert_msg(dx_http_request_meaning(&r, &err) == rows[i].ok, "row %zu", i);
        ck_assert(dx_slice_eq(r.host, dx_slice_str(rows[i].target_host)));
    }
}
END_TEST

START_TEST(host_of_the_field)
{
    const struct input with = {"GET", 1, {"Host: A.example:8080"}}, without = {"GET", 0, {"Accept: */*"}};
    struct dx_field at[FIELDS_MAX];
    struct dx_request r;
    struct dx_http_error err;

    ck_assert(decide(&with, &r, at, &err));
    ck_assert(dx_slice_eq(r.host, DX_SLICE("A.example:8080")));
    ck_assert(decide(&without, &r, at, &err));
    ck_assert_uint_eq(r.host.n, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/request");
    TCase *cases = tcase_create("request");

    tcase_add_test(cases, refusals);
    tcase_add_test(cases, connection_options_are_bounded);
    tcase_add_test(cases, framing);
    tcase_add_test(cases, connection_and_upgrade);
    tcase_add_test(cases, max_forwards_of_options);
    tcase_add_test(cases, connection_takes_fields_away);
    tcase_add_test(cases, host_of_the_target);
    tcase_add_test(cases, host_of_the_field);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
