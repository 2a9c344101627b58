/* SPDX-License-Identifier: MIT */
/* The calendar, compared with the C library over four centuries. */
#include "diplex/base/date.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

START_TEST(every_day_agrees_with_the_c_library)
{
    for (time_t day = 0; day < (time_t)400 * 366; day++) {
        time_t at = day * 86400 + day % 86400;
        struct tm tm;
        if (!gmtime_r(&at, &tm))
            ck_abort_msg("%lld", (long long)at);
        struct dx_date d = dx_date_of((uint64_t)at * 1000000u + 999999u);
        bool same = (int)d.year == tm.tm_year + 1900 && (int)d.month == tm.tm_mon + 1 &&
                    (int)d.day == tm.tm_mday && (int)d.hour == tm.tm_hour && (int)d.minute == tm.tm_min &&
                    (int)d.second == tm.tm_sec && (int)d.weekday == tm.tm_wday && d.ms == 999;
        if (!same)
            ck_abort_msg("%lld", (long long)at);
    }
}
END_TEST

START_TEST(text_has_fixed_width)
{
    char buf[DX_DATE_RFC3339_LEN + 1];
    dx_date_rfc3339(0, buf);
    ck_assert_str_eq(buf, "1970-01-01T00:00:00.000Z");
    dx_date_rfc3339(951782400000000u + 1999u, buf);
    ck_assert_str_eq(buf, "2000-02-29T00:00:00.001Z");
}
END_TEST

START_TEST(time_past_9999_is_its_last_moment)
{
    char buf[DX_DATE_RFC3339_LEN + 1];
    dx_date_rfc3339(253402300799999999u, buf);
    ck_assert_str_eq(buf, "9999-12-31T23:59:59.999Z");
    dx_date_rfc3339(UINT64_MAX, buf);
    ck_assert_str_eq(buf, "9999-12-31T23:59:59.999Z");
}
END_TEST

START_TEST(put_pads_with_zeros)
{
    char buf[8] = "xxxxxxx";
    ck_assert_ptr_eq(dx_date_put(buf, 42, 4), buf + 4);
    ck_assert_str_eq(buf, "0042xxx");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/date");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_day_agrees_with_the_c_library);
    tcase_add_test(tests, text_has_fixed_width);
    tcase_add_test(tests, time_past_9999_is_its_last_moment);
    tcase_add_test(tests, put_pads_with_zeros);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
