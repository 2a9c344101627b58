/* SPDX-License-Identifier: MIT */
/* Which of four media types a client wants, by Accept: weights, ranges, what is broken, and any bytes at all.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/base/hash.h"
#include "diplex/http.h"

enum { TEXT, JSON, HTML, OFFERS };

static struct dx_http_offer offers[OFFERS];
static unsigned ranges;

static void weigh(struct dx_slice value)
{
    static const struct dx_slice types[OFFERS] = {
        {"text/plain", 10}, {"application/json", 16}, {"text/html", 9}};
    for (unsigned i = 0; i < OFFERS; i++)
        offers[i] = (struct dx_http_offer){.type = types[i]};
    ranges = 0;
    dx_http_accept(value, offers, OFFERS, &ranges);
}

START_TEST(weights_and_ranges)
{
    static const struct {
        const char *value;
        unsigned text, json, html, ranges;
    } rows[] = {
        {"", 0, 0, 0, 0},
        {"*/*", 1000, 1000, 1000, 1},
        {"text/html", 0, 0, 1000, 1},
        {"TEXT/Html", 0, 0, 1000, 1},
        {"text/*", 1000, 0, 1000, 1},
        {"text/*;q=0.5, text/html;q=0", 500, 0, 0, 2},
        {"text/html;q=0, */*", 1000, 1000, 0, 2},
        {"*/*;q=0", 0, 0, 0, 1},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", 800, 800, 1000, 5},
        {"application/json, text/plain, */*", 1000, 1000, 1000, 3},
        {"application/json ; q=0.001", 0, 1, 0, 1},
        {"application/json;Q=1.000", 0, 1000, 0, 1},
        {"application/json; charset=utf-8", 0, 1000, 0, 1},
        {"application/json;charset=utf-8;q=0.2, application/json;q=0.7", 0, 700, 0, 2},
        {"application/json;q=0.7, application/json;charset=utf-8;q=0.2", 0, 700, 0, 2},
        {"application/json;q=0.2, application/json;q=0.7", 0, 700, 0, 2},
        {"text/html;level=\"1,2;q=0\"", 0, 0, 1000, 1},
        {"text/html;level=\"\\\",\", text/plain;q=0.3", 300, 0, 1000, 2},
        {" , ,text/html,, \t,", 0, 0, 1000, 1},
        {"text/html;", 0, 0, 1000, 1},
        {"text/html;;q=0.5", 0, 0, 500, 1},
        {"text/html;q=0.5;ext=1", 0, 0, 500, 1},
        /* broken: they say nothing, the others count */
        {"text", 0, 0, 0, 0},
        {"text/", 0, 0, 0, 0},
        {"/html", 0, 0, 0, 0},
        {"*/html", 0, 0, 0, 0},
        {"text/html q=0.5, text/plain", 1000, 0, 0, 1},
        {"text/html;q=2, text/plain", 1000, 0, 0, 1},
        {"text/html;q=1.001", 0, 0, 0, 0},
        {"text/html;q=0.1234", 0, 0, 0, 0},
        {"text/html;q=", 0, 0, 0, 0},
        {"text/html;q=.5", 0, 0, 0, 0},
        {"text/html;q=-1", 0, 0, 0, 0},
        {"text/html;q=0,5", 0, 0, 0, 1},
        {"text/html;level", 0, 0, 0, 0},
        {"text/html;level=", 0, 0, 0, 0},
        {"text/html;level=\"1", 0, 0, 0, 0},
        {"text/html;level=\"1\\", 0, 0, 0, 0},
        {"text/html;q=0.5 text/plain", 0, 0, 0, 0},
        {"te xt/html", 0, 0, 0, 0},
        {"text/htm", 0, 0, 0, 1},
        {"text/html5", 0, 0, 0, 1},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        weigh(dx_slice_str(rows[i].value));
        ck_assert_msg(offers[TEXT].q == rows[i].text && offers[JSON].q == rows[i].json &&
                          offers[HTML].q == rows[i].html && ranges == rows[i].ranges,
                      "%s: %u %u %u, %u ranges", rows[i].value, offers[TEXT].q, offers[JSON].q,
                      offers[HTML].q, ranges);
    }
}
END_TEST

START_TEST(how_closely_and_where)
{
    weigh(dx_slice_str("application/json, text/plain;format=x, text/*, */*"));
    ck_assert_uint_eq(offers[JSON].at, 1);
    ck_assert_uint_eq(offers[TEXT].at, 2);
    ck_assert_uint_eq(offers[HTML].at, 3);
    ck_assert_uint_gt(offers[JSON].close, offers[TEXT].close);
    ck_assert_uint_gt(offers[TEXT].close, offers[HTML].close);
    ck_assert_uint_eq(offers[HTML].close, 2);
    dx_http_accept(dx_slice_str("text/html"), offers, OFFERS, &ranges); /* another field */
    ck_assert_uint_eq(offers[HTML].at, 5);
    ck_assert_uint_eq(offers[HTML].close, offers[JSON].close);
}
END_TEST

/* Whatever the bytes are: weights stay in bounds, and no byte behind the value is looked at (it ends where
 * the block does, so that a sanitizer would see). */
START_TEST(any_bytes)
{
    static const char from[] = "text/html;q=01.59*,application json\"\\ \t\x80\x01\0plain";
    struct dx_random random = {.state = 1};

    for (unsigned i = 0; i < 200000; i++) {
        size_t n = dx_random_next(&random) % 40;
        char *bytes = malloc(n ? n : 1);
        ck_assert_ptr_nonnull(bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = from[dx_random_next(&random) % sizeof(from)];
        weigh(dx_slice_of(bytes, n));
        for (unsigned k = 0; k < OFFERS; k++) {
            ck_assert_uint_le(offers[k].q, 1000);
            ck_assert_uint_le(offers[k].at, ranges);
            ck_assert_int_eq(offers[k].close == 0, offers[k].at == 0);
        }
        ck_assert_uint_le(ranges, n);
        free(bytes);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("accept");
    TCase *c = tcase_create("accept");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, weights_and_ranges);
    tcase_add_test(c, how_closely_and_where);
    tcase_add_test(c, any_bytes);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
