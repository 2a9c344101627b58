/* SPDX-License-Identifier: MIT */
/* The clocks go forward, and the three date forms are exact. */
#include "diplex/os/clock.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define EXAMPLE_US 1795366800123456u /* 2026-11-22 17:00:00.123456 */

START_TEST(monotonic_clock_never_goes_back)
{
    uint64_t before = dx_clock_us(), start = before;
    for (int i = 0; i < 10000; i++) {
        uint64_t now = dx_clock_us();
        if (now < before)
            ck_abort_msg("went back");
        before = now;
    }
    struct timespec rest = {0, 2000000};
    nanosleep(&rest, NULL);
    ck_assert_uint_ge(dx_clock_us(), start + 2000);
}
END_TEST

START_TEST(a_thread_that_rests_uses_no_time)
{
    uint64_t before = dx_clock_thread_us();
    struct timespec rest = {0, 50000000};
    nanosleep(&rest, NULL);
    ck_assert_uint_lt(dx_clock_thread_us() - before, 50000);
    uint64_t start = dx_clock_us();
    before = dx_clock_thread_us();
    while (dx_clock_thread_us() - before < 2000)
        ck_assert_uint_lt(dx_clock_us(), start + 10000000);
    ck_assert_uint_ge(dx_clock_us(), start + 1000);
}
END_TEST

START_TEST(wall_clock_is_the_time)
{
    time_t now = time(NULL);
    uint64_t us = dx_clock_wall_us();
    ck_assert_uint_ge(us / 1000000, (uint64_t)now - 1);
    ck_assert_uint_le(us / 1000000, (uint64_t)now + 5);
}
END_TEST

START_TEST(forms)
{
    char buf[DX_CLOCK_RFC3339];
    ck_assert_uint_eq(dx_clock_rfc3339(EXAMPLE_US, buf, sizeof buf), 24);
    ck_assert_str_eq(buf, "2026-11-22T17:00:00.123Z");
    ck_assert_uint_eq(dx_clock_http_date(EXAMPLE_US, buf, sizeof buf), 29);
    ck_assert_str_eq(buf, "Sun, 22 Nov 2026 17:00:00 GMT");
    ck_assert_uint_eq(dx_clock_common(EXAMPLE_US, buf, sizeof buf), 26);
    ck_assert_str_eq(buf, "22/Nov/2026:17:00:00 +0000");
}
END_TEST

START_TEST(every_day_of_a_leap_year_agrees_with_the_c_library)
{
    for (time_t day = 0; day < 366; day++) {
        char expected[64], buf[DX_CLOCK_RFC3339];
        time_t at = 1704067200 + day * 86400 + day * 61; /* from 2024-01-01 */
        struct tm tm;
        ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
        dx_clock_http_date((uint64_t)at * 1000000u, buf, sizeof buf);
        strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        ck_assert_str_eq(buf, expected);
        dx_clock_common((uint64_t)at * 1000000u, buf, sizeof buf);
        strftime(expected, sizeof expected, "%d/%b/%Y:%H:%M:%S +0000", &tm);
        ck_assert_str_eq(buf, expected);
    }
}
END_TEST

START_TEST(too_small_a_buffer_panics)
{
    char buf[29];
    dx_clock_http_date(0, buf, sizeof buf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("os/clock");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, monotonic_clock_never_goes_back);
    tcase_add_test(tests, a_thread_that_rests_uses_no_time);
    tcase_add_test(tests, wall_clock_is_the_time);
    tcase_add_test(tests, forms);
    tcase_add_test(tests, every_day_of_a_leap_year_agrees_with_the_c_library);
    tcase_add_test_raise_signal(tests, too_small_a_buffer_panics, SIGABRT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
