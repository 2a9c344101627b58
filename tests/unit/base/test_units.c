/* SPDX-License-Identifier: MIT */
/* Durations and sizes: what is read, what is refused, and that what is written reads back. */
#include "diplex/base/units.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

struct row {
    const char *text;
    uint64_t value;
};

START_TEST(durations_are_read)
{
    static const struct row rows[] = {
        {"0", 0},          {"0s", 0},           {"500ms", 500},
        {"10s", 10000},    {"5m", 300000},      {"1h", 3600000},
        {"2d", 172800000}, {"1m30s", 90000},    {"1d1ms", 86400001},
        {"90s", 90000},    {"2h0m1s", 7201000}, {"18446744073709551615ms", UINT64_MAX}};
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        uint64_t got = 1;
        ck_assert_msg(dx_units_duration_ms(dx_slice_str(rows[i].text), &got), "%s", rows[i].text);
        ck_assert_uint_eq(got, rows[i].value);
    }
}
END_TEST

START_TEST(durations_are_refused)
{
    static const char *const bad[] = {"",
                                      "10",
                                      "s",
                                      "-1s",
                                      "1.5s",
                                      "1 s",
                                      " 1s",
                                      "1s ",
                                      "1S",
                                      "1M",
                                      "00",
                                      "1w",
                                      "1us",
                                      "30s1m",
                                      "1s1s",
                                      "1m30",
                                      "1ms1s",
                                      "0x1s",
                                      "1sm",
                                      "m1",
                                      "18446744073709551616ms",
                                      "18446744073709551615s",
                                      "18446744073709551s999ms",
                                      "213503982335d"};
    uint64_t got = 7;
    for (size_t i = 0; i < DX_COUNT(bad); i++)
        ck_assert_msg(!dx_units_duration_ms(dx_slice_str(bad[i]), &got), "%s", bad[i]);
    ck_assert_uint_eq(got, 7);
}
END_TEST

START_TEST(sizes_are_read)
{
    static const struct row rows[] = {{"0", 0},
                                      {"512", 512},
                                      {"512B", 512},
                                      {"64KB", 65536},
                                      {"64k", 65536},
                                      {"64K", 65536},
                                      {"64kb", 65536},
                                      {"100MB", 104857600},
                                      {"1m", 1048576},
                                      {"1GB", 1073741824},
                                      {"1g", 1073741824},
                                      {"1TB", 1099511627776},
                                      {"16777215TB", 18446742974197923840u}};
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        uint64_t got = 1;
        ck_assert_msg(dx_units_size_bytes(dx_slice_str(rows[i].text), &got), "%s", rows[i].text);
        ck_assert_uint_eq(got, rows[i].value);
    }
}
END_TEST

START_TEST(sizes_are_refused)
{
    static const char *const bad[] = {
        "", "KB", "-1", "1.5MB", "1 KB", "1KiB", "1KBB", "1K1", "1PB", "16777216TB", "18446744073709551616"};
    uint64_t got = 7;
    for (size_t i = 0; i < DX_COUNT(bad); i++)
        ck_assert_msg(!dx_units_size_bytes(dx_slice_str(bad[i]), &got), "%s", bad[i]);
    ck_assert_uint_eq(got, 7);
}
END_TEST

START_TEST(texts_are_the_shortest)
{
    char buf[32];
    ck_assert_str_eq(dx_units_duration_text(0, buf, sizeof buf), "0");
    ck_assert_str_eq(dx_units_duration_text(1500, buf, sizeof buf), "1500ms");
    ck_assert_str_eq(dx_units_duration_text(10000, buf, sizeof buf), "10s");
    ck_assert_str_eq(dx_units_duration_text(90000, buf, sizeof buf), "90s");
    ck_assert_str_eq(dx_units_duration_text(300000, buf, sizeof buf), "5m");
    ck_assert_str_eq(dx_units_duration_text(86401000, buf, sizeof buf), "1d1s");
    ck_assert_str_eq(dx_units_size_text(0, buf, sizeof buf), "0");
    ck_assert_str_eq(dx_units_size_text(1000, buf, sizeof buf), "1000");
    ck_assert_str_eq(dx_units_size_text(65536, buf, sizeof buf), "64KB");
    ck_assert_str_eq(dx_units_size_text(1536 * 1024, buf, sizeof buf), "1536KB");
    ck_assert_str_eq(dx_units_size_text(1ull << 30, buf, sizeof buf), "1GB");
}
END_TEST

START_TEST(texts_read_back)
{
    uint64_t v = 1;
    for (int i = 0; i < 20000; i++) {
        char buf[32];
        uint64_t got = 0, value = i % 3 ? v >> (i % 64) : UINT64_MAX - v % 7;
        ck_assert(dx_units_duration_ms(dx_slice_str(dx_units_duration_text(value, buf, sizeof buf)), &got));
        ck_assert_msg(got == value, "%s", buf);
        ck_assert_uint_lt(strlen(buf), sizeof buf);
        ck_assert(dx_units_size_bytes(dx_slice_str(dx_units_size_text(value, buf, sizeof buf)), &got));
        ck_assert_msg(got == value, "%s", buf);
        v = v * 6364136223846793005u + 1442695040888963407u;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/units");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, durations_are_read);
    tcase_add_test(tests, durations_are_refused);
    tcase_add_test(tests, sizes_are_read);
    tcase_add_test(tests, sizes_are_refused);
    tcase_add_test(tests, texts_are_the_shortest);
    tcase_add_test(tests, texts_read_back);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
