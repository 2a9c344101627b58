/* SPDX-License-Identifier: MIT */
/*
 * For the tests of this room: text of a head in, text of the forwarded head out, through the real parser. A
 * test's fields end where "\n" stands in the literals of these tests: head() makes CRLF of it, so that heads
 * can be read.
 */
#ifndef FORWARDED_H
#define FORWARDED_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/base/check.h"
#include "diplex/forward.h"
#include "diplex/http1.h"

#define FIELDS_MAX 64
#define TEXT_MAX   16384

static const struct dx_http1_limits limits = {TEXT_MAX, 4096, FIELDS_MAX};

struct head {
    char text[TEXT_MAX]; /* as it came */
    struct dx_field fields[FIELDS_MAX];
    char out[TEXT_MAX]; /* as it goes on, terminated, with "\n" again */
};

/* "\n" to CRLF. */
static inline size_t head_text(struct head *h, const char *text)
{
    size_t n = 0;

    for (; *text; text++) {
        ck_assert_uint_lt(n + 2, sizeof h->text);
        if (*text == '\n')
            h->text[n++] = '\r';
        h->text[n++] = *text;
    }
    return n;
}

/* CRLF to "\n"; a bare CR or LF fails the test. */
static inline const char *head_out(struct head *h, const struct dx_out *o)
{
    struct dx_slice s = dx_out_slice(o);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r') {
            ck_assert_uint_lt(i + 1, s.n);
            ck_assert_int_eq(s.p[++i], '\n');
        } else {
            ck_assert_int_ne(s.p[i], '\n');
        }
        h->out[n++] = s.p[i];
    }
    h->out[n] = '\0';
    return h->out;
}

/* The request of a whole head (without a body). */
static inline struct dx_request parse_request(struct head *h, const char *text)
{
    struct dx_request r = {.fields = {.at = h->fields, .max = FIELDS_MAX}};
    struct dx_http_error err = {0, ""};
    size_t used, n = head_text(h, text);

    enum dx_parse parsed = dx_http1_request_head(h->text, n, 0, &limits, &r, &used, &err);
    ck_assert_msg(parsed == DX_PARSE_DONE, "%d: %s in: %s", (int)parsed, err.reason, text);
    ck_assert_uint_eq(used, n);
    return r;
}

static inline struct dx_response parse_response(struct head *h, enum dx_method method, const char *text)
{
    struct dx_response r = {.fields = {.at = h->fields, .max = FIELDS_MAX}};
    struct dx_http_error err = {0, ""};
    size_t used, n = head_text(h, text);

    enum dx_parse parsed = dx_http1_response_head(h->text, n, 0, &limits, method, &r, &used, &err);
    ck_assert_msg(parsed == DX_PARSE_DONE, "%d: %s in: %s", (int)parsed, err.reason, text);
    ck_assert_uint_eq(used, n);
    return r;
}

/* How a stranger's plain connection looks. */
static inline struct dx_forward_request stranger(void)
{
    return (struct dx_forward_request){
        .peer_ip = DX_SLICE("203.0.113.9"), .request_id = DX_SLICE("own-id"), .start_us = 1700000000123456};
}

static inline const char *forward_request(struct head *h, const struct dx_forward_request *c,
                                          const char *text)
{
    char buf[TEXT_MAX];
    struct dx_out o = dx_out_of(buf, sizeof buf);
    struct dx_request r = parse_request(h, text);

    ck_assert(dx_forward_write_request(&r, c, &o));
    return head_out(h, &o);
}

static inline unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

#define HAS(text, what)     ck_assert_msg(strstr((text), (what)) != NULL, "no '%s' in:\n%s", (what), (text))
#define HAS_NOT(text, what) ck_assert_msg(strstr((text), (what)) == NULL, "'%s' in:\n%s", (what), (text))
/* A line of exactly this text, once. */
#define LINE(text, line) \
    ck_assert_msg(count_of((text), "\n" line "\n") == 1, "not one line '%s' in:\n%s", (line), (text))

static inline int run_tests(const char *name, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);

    for (size_t i = 0; i < n; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
