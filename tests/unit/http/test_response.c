/* SPDX-License-Identifier: MIT */
/* What responses mean: framing by RFC 9112 6.3, and what a server may not say. */
#include "diplex/http.h"

#include <check.h>
#include <stdlib.h>

#include "fields_of.h"

struct input {
    unsigned status;
    unsigned minor;
    enum dx_method request;
    const char *lines[8];
};

static bool decide(const struct input *in, struct dx_response *r, struct dx_field *at,
                   struct dx_http_error *err)
{
    *r = (struct dx_response){.status = in->status, .minor = in->minor, .fields = fields_of(at, in->lines)};
    *err = (struct dx_http_error){0, NULL};
    return dx_http_response_meaning(r, in->request, err);
}

START_TEST(refusals)
{
    static const struct input rows[] = {
        {200, 1, DX_METHOD_GET, {"Content-Length: 5", "Content-Length: 5"}},
        {200, 1, DX_METHOD_GET, {"Content-Length: 5, 5"}},
        {200, 1, DX_METHOD_GET, {"Content-Length: x"}},
        {200, 1, DX_METHOD_HEAD, {"Content-Length: -1"}},
        {304, 1, DX_METHOD_GET, {"Content-Length:"}},
        {200, 1, DX_METHOD_GET, {"Content-Length: 5", "Transfer-Encoding: chunked"}},
        {200, 1, DX_METHOD_GET, {"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}},
        {200, 1, DX_METHOD_GET, {"Transfer-Encoding: gzip, chunked"}},
        {200, 1, DX_METHOD_GET, {"Transfer-Encoding: gzip"}},
        {200, 1, DX_METHOD_GET, {"Transfer-Encoding: identity"}},
        {200, 1, DX_METHOD_GET, {"Transfer-Encoding:"}},
        {200, 0, DX_METHOD_GET, {"Transfer-Encoding: chunked"}},
        {200, 1, DX_METHOD_GET, {"Connection: content-length", "Content-Length: 5"}},
        {200, 1, DX_METHOD_GET, {"Connection: a b"}},
        {103, 1, DX_METHOD_GET, {"Transfer-Encoding: chunked"}},
        {100, 1, DX_METHOD_GET, {"Content-Length: 1"}},
        {101, 1, DX_METHOD_GET, {"Content-Length: 1"}},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_response r;
        struct dx_http_error err;
        ck_assert_msg(!decide(&rows[i], &r, at, &err), "row %zu", i);
        ck_assert_uint_eq(err.status, 502);
        ck_assert_ptr_nonnull(err.reason);
    }
}
END_TEST

START_TEST(framing)
{
    static const struct {
        struct input in;
        enum dx_framing framing;
        uint64_t length;
        bool keep_alive;
    } rows[] = {
        {{200, 1, DX_METHOD_GET, {"Content-Length: 5"}}, DX_FRAMING_LENGTH, 5, true},
        {{200, 1, DX_METHOD_GET, {"Content-Length: 0"}}, DX_FRAMING_LENGTH, 0, true},
        {{200, 1, DX_METHOD_GET, {"Transfer-Encoding: Chunked"}}, DX_FRAMING_CHUNKED, 0, true},
        {{200, 1, DX_METHOD_GET, {NULL}}, DX_FRAMING_CLOSE, 0, false},
        {{200, 1, DX_METHOD_HEAD, {"Content-Length: 5"}}, DX_FRAMING_NONE, 5, true},
        {{200, 1, DX_METHOD_HEAD, {"Transfer-Encoding: chunked"}}, DX_FRAMING_NONE, 0, true},
        {{200, 1, DX_METHOD_HEAD, {NULL}}, DX_FRAMING_NONE, 0, true},
        {{304, 1, DX_METHOD_GET, {"Content-Length: 5"}}, DX_FRAMING_NONE, 5, true},
        {{204, 1, DX_METHOD_GET, {NULL}}, DX_FRAMING_NONE, 0, true},
        {{204, 1, DX_METHOD_GET, {"Content-Length: 0"}}, DX_FRAMING_NONE, 0, true},
        {{204, 1, DX_METHOD_GET, {"Content-Length: 5"}}, DX_FRAMING_NONE, 0, false},
        {{204, 1, DX_METHOD_GET, {"Transfer-Encoding: chunked"}}, DX_FRAMING_NONE, 0, false},
        {{100, 1, DX_METHOD_POST, {NULL}}, DX_FRAMING_NONE, 0, true},
        {{103, 1, DX_METHOD_GET, {"Link: </x>"}}, DX_FRAMING_NONE, 0, true},
        {{200, 1, DX_METHOD_GET, {"Content-Length: 5", "Connection: close"}}, DX_FRAMING_LENGTH, 5, false},
        {{200, 0, DX_METHOD_GET, {"Content-Length: 5"}}, DX_FRAMING_LENGTH, 5, false},
        {{200, 0, DX_METHOD_GET, {"Content-Length: 5", "Connection: keep-alive"}},
         DX_FRAMING_LENGTH,
         5,
         true},
        {{999, 1, DX_METHOD_GET, {"Content-Length: 5"}}, DX_FRAMING_LENGTH, 5, true},
        {{200, 1, DX_METHOD_CONNECT, {"Content-Length: 5"}}, DX_FRAMING_LENGTH, 5, true},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_field at[FIELDS_MAX];
        struct dx_response r;
        struct dx_http_error err;
        ck_assert_msg(decide(&rows[i].in, &r, at, &err), "row %zu: %s", i, err.reason);
        ck_assert_msg(r.framing == rows[i].framing, "row %zu", i);
        ck_assert_msg(r.length == rows[i].length, "row %zu", i);
        ck_assert_msg(r.keep_alive == rows[i].keep_alive, "row %zu", i);
    }
}
END_TEST

START_TEST(streams)
{
    static const struct {
        bool stream;
        const char *line;
    } rows[] = {
        {true, "Content-Type: text/event-stream"},
        {true, "Content-Type: Text/Event-Stream; charset=utf-8"},
        {true, "Content-Type: text/event-stream ;charset=utf-8"},
        {true, "Content-Type: application/jsonl"},
        {true, "Content-Type: application/x-ndjson"},
        {true, "Content-Type: application/ndjson"},
        {true, "Content-Type: application/json-seq"},
        {true, "Content-Type: multipart/x-mixed-replace; boundary=x"},
        {true, "Content-Type: application/grpc"},
        {true, "Content-Type: application/stream+json;charset=utf-8"},
        {true, "X-Accel-Buffering: no"},
        {true, "X-Accel-Buffering: No"},
        {false, "X-Accel-Buffering: yes"},
        {false, "Content-Type: application/json"},
        {false, "Content-Type: application/jsonlines"},
        {false, "Content-Type: text/html; x=text/event-stream"},
        {false, "Content-Type:"},
        {false, "Accept: text/event-stream"},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        const struct input in = {200, 1, DX_METHOD_GET, {rows[i].line}};
        struct dx_field at[FIELDS_MAX];
        struct dx_response r;
        struct dx_http_error err;
        ck_assert(decide(&in, &r, at, &err));
        ck_assert_msg(r.stream == rows[i].stream, "%s", rows[i].line);
    }
}
END_TEST

START_TEST(upgrades_and_dropped_fields)
{
    const struct input upgrade = {
        101, 1, DX_METHOD_GET, {"Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0"}};
    const struct input named = {
        200, 1, DX_METHOD_GET, {"Connection: keep-alive, x-hop", "X-Hop: 1", "Upgrade: h2c"}};
    const struct input other = {101, 1, DX_METHOD_GET, {"Connection: Upgrade", "Upgrade: h2c"}};
    const struct input asks = {426, 1, DX_METHOD_GET, {"Connection: upgrade", "Upgrade: WebSocket"}};
    const struct input asks_other = {426, 1, DX_METHOD_GET, {"Connection: upgrade", "Upgrade: TLS/1.0"}};
    struct dx_field at[FIELDS_MAX];
    struct dx_response r;
    struct dx_http_error err;

    ck_assert(decide(&other, &r, at, &err) && !r.upgrade && !r.offers_websocket);
    ck_assert(decide(&asks, &r, at, &err) && !r.upgrade && r.offers_websocket);
    ck_assert(decide(&asks_other, &r, at, &err) && !r.upgrade && !r.offers_websocket);
    ck_assert(decide(&upgrade, &r, at, &err));
    ck_assert(r.upgrade && at[2].drop && !at[1].drop);
    ck_assert(decide(&named, &r, at, &err));
    ck_assert(!r.upgrade && at[1].drop && !at[2].drop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/response");
    TCase *cases = tcase_create("response");

    tcase_add_test(cases, refusals);
    tcase_add_test(cases, framing);
    tcase_add_test(cases, streams);
    tcase_add_test(cases, upgrades_and_dropped_fields);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
