/* SPDX-License-Identifier: MIT */
/* What gives a mistake away, and what looks like it and does not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "../http/fields_of.h"
#include "diplex/hint.h"

static struct dx_field request_fields[FIELDS_MAX], response_fields[FIELDS_MAX];
static struct dx_request request;
static struct dx_response response;
static struct dx_hint_facts facts;
static struct dx_text sent;

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING     ((const char *const[]){NULL})

static void setup(void)
{
    dx_text_init(&sent);
    request = (struct dx_request){.minor = 1};
    response = (struct dx_response){.minor = 1};
    facts = (struct dx_hint_facts){.request = &request, .response = &response, .wsgi = true};
}

static void teardown(void) { dx_text_fini(&sent); }

static void asked(const char *method, const char *path, const char *query, const char *host,
                  const char *const *fields)
{
    request.method = dx_slice_str(method);
    request.method_id = dx_http_method(request.method);
    request.path = dx_slice_str(path);
    request.query = dx_slice_str(query);
    request.host = dx_slice_str(host);
    request.fields = fields_of(request_fields, fields);
}

/* What diplex writes of a request, as far as it matters here. */
static void told(const char *proto, const char *host)
{
    dx_text_reset(&sent);
    dx_text_addf(&sent, "%.*s %.*s%.*s HTTP/1.1\r\nHost: %.*s\r\n", DX_SLICE_ARGS(request.method),
                 DX_SLICE_ARGS(request.path), DX_SLICE_ARGS(request.query), DX_SLICE_ARGS(request.host));
    dx_text_addf(&sent, "X-Forwarded-Proto: %s\r\nX-Forwarded-Host: %s\r\n\r\n", proto, host);
    facts.sent = dx_slice_of(sent.p, sent.n);
}

static enum dx_hint answered(unsigned status, const char *const *fields)
{
    response.status = status;
    response.fields = fields_of(response_fields, fields);
    const struct dx_field *type = dx_http_find(&response.fields, DX_FIELD_CONTENT_TYPE);
    response.stream = type != NULL && dx_http_is_stream_type(type->value);
    return dx_hint_of_answer(&facts);
}

START_TEST(streams)
{
    asked("GET", "/events/", "", "example.com", NOTHING);
    told("http", "example.com");
    ck_assert_int_eq(answered(200, FIELDS("Content-Type: text/event-stream; charset=utf-8")),
                     DX_HINT_STREAM_FROM_WSGI);
    ck_assert_int_eq(answered(200, FIELDS("Content-Type: application/jsonl")), DX_HINT_STREAM_FROM_WSGI);
    ck_assert_int_eq(answered(200, FIELDS("Content-Type: text/html")), DX_HINT_NONE);
    ck_assert_int_eq(answered(404, FIELDS("Content-Type: text/event-stream")), DX_HINT_NONE);
    response.stream = true; /* by X-Accel-Buffering: no */
    response.status = 200;
    response.fields = fields_of(response_fields, FIELDS("Content-Type: text/csv"));
    ck_assert_int_eq(dx_hint_of_answer(&facts), DX_HINT_NONE);
    facts.wsgi = false;
    ck_assert_int_eq(answered(200, FIELDS("Content-Type: text/event-stream")), DX_HINT_NONE);
}
END_TEST

START_TEST(websockets)
{
    asked("GET", "/ws", "", "example.com", NOTHING);
    told("http", "example.com");
    facts.wsgi = false;
    ck_assert_int_eq(answered(404, NOTHING), DX_HINT_NONE);
    request.websocket = true;
    ck_assert_int_eq(answered(404, NOTHING), DX_HINT_UPGRADE_IGNORED);
    ck_assert_int_eq(answered(200, NOTHING), DX_HINT_UPGRADE_IGNORED);
    ck_assert_int_eq(answered(500, NOTHING), DX_HINT_UPGRADE_IGNORED);
    ck_assert_int_eq(answered(401, NOTHING), DX_HINT_NONE);
    ck_assert_int_eq(answered(403, NOTHING), DX_HINT_NONE);
    ck_assert_int_eq(answered(302, FIELDS("Location: /login/")), DX_HINT_NONE);
    ck_assert_int_eq(answered(503, NOTHING), DX_HINT_NONE);
}
END_TEST

START_TEST(health_paths)
{
    asked("GET", "/healthz/", "", "10.0.0.7", NOTHING);
    told("http", "10.0.0.7");
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_NONE);
    facts.health_path = "/healthz/";
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_CHECK_HOST);
    ck_assert_int_eq(answered(200, NOTHING), DX_HINT_NONE);
    ck_assert_int_eq(answered(500, NOTHING), DX_HINT_NONE);
    asked("GET", "/healthz/more", "", "10.0.0.7", NOTHING);
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_NONE);
    ck_assert_int_eq(dx_hint_of_probe(400, false), DX_HINT_PROBE_HOST);
    ck_assert_int_eq(dx_hint_of_probe(301, false), DX_HINT_PROBE_REDIRECT);
    ck_assert_int_eq(dx_hint_of_probe(500, false), DX_HINT_NONE);
    ck_assert_int_eq(dx_hint_of_probe(0, false), DX_HINT_NONE);
}
END_TEST

/* gunicorn's own pages have no date. */
START_TEST(connections_that_are_introduced)
{
    asked("GET", "/healthz/", "", "example.com", NOTHING);
    told("http", "example.com");
    facts.health_path = "/healthz/";
    facts.introduced = true;
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_PREAMBLE_REFUSED);
    ck_assert_int_eq(answered(403, FIELDS("Content-Type: text/html")), DX_HINT_PREAMBLE_REFUSED);
    ck_assert_int_eq(answered(404, NOTHING), DX_HINT_NONE);
    ck_assert_int_eq(answered(400, FIELDS("Server: gunicorn")), DX_HINT_CHECK_HOST);
    ck_assert_int_eq(answered(403, FIELDS("Date: Mon, 23 Nov 2026 00:00:00 GMT")), DX_HINT_NONE);
    ck_assert_int_eq(dx_hint_of_probe(400, true), DX_HINT_PROBE_PREAMBLE);
    ck_assert_int_eq(dx_hint_of_probe(403, true), DX_HINT_PROBE_PREAMBLE);
    ck_assert_int_eq(dx_hint_of_probe(403, false), DX_HINT_NONE);
    ck_assert_int_eq(dx_hint_of_probe(301, true), DX_HINT_PROBE_REDIRECT);
    facts.introduced = false;
    ck_assert_int_eq(answered(403, NOTHING), DX_HINT_NONE);
}
END_TEST

START_TEST(redirects)
{
    asked("GET", "/a/b", "?q=1", "example.com", NOTHING);
    told("https", "example.com");
    for (unsigned status = 301; status <= 308; status++) {
        bool known = status == 301 || status == 302 || status == 307 || status == 308;
        ck_assert_int_eq(answered(status, FIELDS("Location: https://example.com/a/b?q=1")),
                         known ? DX_HINT_REDIRECT_LOOP : DX_HINT_NONE);
    }
    ck_assert_int_eq(answered(301, FIELDS("Location: https://Example.com:443/a/b?q=1")),
                     DX_HINT_REDIRECT_LOOP);
    ck_assert_int_eq(answered(301, NOTHING), DX_HINT_NONE);
    static const char *const others[] = {"Location: https://example.com/a/b/?q=1",
                                         "Location: https://example.com/a/b",
                                         "Location: https://www.example.com/a/b?q=1",
                                         "Location: https://example.com.evil/a/b?q=1",
                                         "Location: https://example.com:8443/a/b?q=1",
                                         "Location: http://example.com/a/b?q=1",
                                         "Location: /a/b?q=1",
                                         "Location: https://example.com",
                                         "Location: https://"};
    for (size_t i = 0; i < DX_COUNT(others); i++)
        ck_assert_msg(answered(301, FIELDS(others[i])) == DX_HINT_NONE, "%s", others[i]);
}
END_TEST

START_TEST(redirects_behind_another_proxy)
{
    asked("GET", "/", "", "internal:8080", NOTHING);
    told("https", "www.example.com");
    ck_assert_int_eq(answered(301, FIELDS("Location: https://www.example.com/")), DX_HINT_REDIRECT_LOOP);
    ck_assert_int_eq(answered(301, FIELDS("Location: https://internal:8080/")), DX_HINT_REDIRECT_LOOP);
}
END_TEST

START_TEST(a_redirect_from_http_is_no_loop)
{
    asked("GET", "/", "", "example.com", NOTHING);
    told("http", "example.com");
    ck_assert_int_eq(answered(301, FIELDS("Location: https://example.com/")), DX_HINT_NONE);
    asked("GET", "/", "", "example.com", FIELDS("X-Forwarded-Proto: http"));
    ck_assert_int_eq(answered(301, FIELDS("Location: https://example.com/")), DX_HINT_NONE);
    asked("GET", "/", "", "example.com", FIELDS("X-Forwarded-Proto: https"));
    ck_assert_int_eq(answered(301, FIELDS("Location: https://example.com/")), DX_HINT_UNTRUSTED_PROXY);
    ck_assert_int_eq(answered(301, FIELDS("Location: https://example.com/login")), DX_HINT_NONE);
}
END_TEST

START_TEST(origins)
{
    static const struct {
        const char *method, *host, *origin, *proto, *forwarded;
        enum dx_hint hint;
    } cases[] = {
        {"POST", "example.com", "https://example.com", "http", "example.com", DX_HINT_CSRF_SCHEME},
        {"POST", "example.com", "http://example.com", "https", "example.com", DX_HINT_CSRF_SCHEME},
        {"DELETE", "Example.com:81", "https://example.com:81", "http", "Example.com:81", DX_HINT_CSRF_SCHEME},
        {"POST", "example.com", "https://example.com", "https", "example.com", DX_HINT_NONE},
        {"POST", "example.com", "http://example.com", "http", "example.com", DX_HINT_NONE},
        {"POST", "example.com", "http://example.com:8080", "http", "example.com", DX_HINT_CSRF_HOST},
        {"POST", "example.com:8080", "http://example.com", "http", "example.com:8080", DX_HINT_CSRF_HOST},
        {"POST", "web:8000", "https://example.com", "https", "example.com", DX_HINT_CSRF_HOST},
        {"POST", "api.example.com", "https://example.com", "https", "api.example.com", DX_HINT_CSRF_ORIGIN},
        {"POST", "example.com", "https://example.co", "https", "example.com", DX_HINT_CSRF_ORIGIN},
        {"GET", "api.example.com", "https://example.com", "https", "api.example.com", DX_HINT_NONE},
        {"HEAD", "example.com", "https://example.com", "http", "example.com", DX_HINT_NONE},
        {"OPTIONS", "example.com", "https://example.com", "http", "example.com", DX_HINT_NONE},
        {"POST", "example.com", "null", "http", "example.com", DX_HINT_NONE},
        {"POST", "example.com", "", "http", "example.com", DX_HINT_NONE},
        {"POST", "", "https://example.com", "http", "", DX_HINT_NONE},
    };
    char line[64];
    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        (void)snprintf(line, sizeof(line), "Origin: %s", cases[i].origin);
        asked(cases[i].method, "/", "", cases[i].host, FIELDS(line));
        told(cases[i].proto, cases[i].forwarded);
        ck_assert_msg(answered(403, NOTHING) == cases[i].hint, "case %zu", i);
        ck_assert_int_eq(answered(200, NOTHING), DX_HINT_NONE);
        asked(cases[i].method, "/", "", cases[i].host, FIELDS(line, "Authorization: Bearer x"));
        ck_assert_int_eq(answered(403, NOTHING), DX_HINT_NONE);
    }
    asked("POST", "/", "", "example.com", NOTHING);
    told("http", "example.com");
    ck_assert_int_eq(answered(403, NOTHING), DX_HINT_NONE);
}
END_TEST

static void sent_head(size_t line, size_t fields, size_t value)
{
    dx_text_reset(&sent);
    dx_text_addf(&sent, "GET /%0*d HTTP/1.1\r\n", (int)(line - sizeof("GET / HTTP/1.1") + 1), 0);
    for (size_t i = 0; i < fields; i++)
        dx_text_addf(&sent, "X: %0*d\r\n", (int)value, 0);
    dx_text_adds(&sent, "\r\n");
    facts.sent = dx_slice_of(sent.p, sent.n);
}

START_TEST(limits_of_servers)
{
    static const unsigned statuses[] = {400, 414, 431};
    for (size_t i = 0; i < DX_COUNT(statuses); i++) {
        sent_head(4095, 1, 1);
        ck_assert_int_eq(answered(statuses[i], NOTHING), DX_HINT_SERVER_LINE);
        sent_head(4094, 100, 1);
        ck_assert_int_eq(answered(statuses[i], NOTHING), DX_HINT_NONE);
        sent_head(100, 101, 1);
        ck_assert_int_eq(answered(statuses[i], NOTHING), DX_HINT_SERVER_FIELDS);
        sent_head(100, 1, 8190 - sizeof("X: ") + 1);
        ck_assert_int_eq(answered(statuses[i], NOTHING), DX_HINT_NONE);
        sent_head(100, 1, 8191 - sizeof("X: ") + 1);
        ck_assert_int_eq(answered(statuses[i], NOTHING), DX_HINT_SERVER_FIELDS);
    }
    ck_assert_int_eq(answered(404, NOTHING), DX_HINT_NONE);
    facts.wsgi = false;
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_NONE);
    sent_head(100, 20, 900);
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_SERVER_HEAD);
    facts.sent = dx_slice_of(NULL, 0);
    facts.wsgi = true;
    ck_assert_int_eq(answered(400, NOTHING), DX_HINT_NONE);
    ck_assert_int_eq(dx_hint_of_refusal(414), DX_HINT_URL_LIMIT);
    ck_assert_int_eq(dx_hint_of_refusal(431), DX_HINT_HEADER_LIMIT);
    ck_assert_int_eq(dx_hint_of_refusal(400), DX_HINT_NONE);
}
END_TEST

START_TEST(the_sentences_fit_the_log)
{
    for (unsigned h = DX_HINT_NONE + 1; h < DX_HINT_COUNT; h++) {
        const struct dx_hint_row *row = dx_hint_row((enum dx_hint)h);
        ck_assert_ptr_null(strpbrk(row->seen, "\"\\|"));
        ck_assert_ptr_null(strpbrk(row->change, "\"\\|"));
        ck_assert_uint_lt(strlen(row->seen) + strlen(row->change),
                          700); /* with all else a line is 2048 bytes */
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("recognise");
    TCase *c = tcase_create("recognise");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, streams);
    tcase_add_test(c, websockets);
    tcase_add_test(c, health_paths);
    tcase_add_test(c, connections_that_are_introduced);
    tcase_add_test(c, redirects);
    tcase_add_test(c, redirects_behind_another_proxy);
    tcase_add_test(c, a_redirect_from_http_is_no_loop);
    tcase_add_test(c, origins);
    tcase_add_test(c, limits_of_servers);
    tcase_add_test(c, the_sentences_fit_the_log);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
