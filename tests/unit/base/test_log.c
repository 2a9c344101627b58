/* SPDX-License-Identifier: MIT */
/* Log lines: form, levels, forging, cutting, one write, errno kept. */
#include "diplex/base/log.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static char line[4096];
static size_t lines;

static void keep_line(struct dx_slice s)
{
    ck_assert_uint_le(s.n, 2048);
    memcpy(line, s.p, s.n);
    line[s.n] = '\0';
    lines++;
    errno = EBADF;
}

/* The line without its time. */
static const char *rest(void)
{
    ck_assert_uint_gt(strlen(line), 25);
    return line + 25;
}

static void start(void)
{
    lines = 0;
    dx_log_set_sink(keep_line);
}

START_TEST(line_has_time_level_event_and_pairs)
{
    start();
    dx_log(DX_LOG_INFO, "started");
    ck_assert_str_eq(rest(), "info started\n");
    ck_assert_int_eq(line[4], '-');
    ck_assert_int_eq(line[10], 'T');
    ck_assert_int_eq(line[19], '.');
    ck_assert_int_eq(line[23], 'Z');
    ck_assert_int_eq(line[24], ' ');
    dx_log_set_source("control");
    dx_log(DX_LOG_WARN, "server_up", DX_KS("pool", "sync"), DX_KI("after_ms", 12), DX_KI("n", INT64_MIN));
    ck_assert_str_eq(rest(), "warn server_up from=control pool=sync after_ms=12 n=-9223372036854775808\n");
}
END_TEST

START_TEST(levels_filter)
{
    enum dx_log_level level = DX_LOG_INFO;
    start();
    dx_log(DX_LOG_DEBUG, "quiet");
    ck_assert_uint_eq(lines, 0);
    ck_assert(dx_log_level_parse(DX_SLICE("debug"), &level));
    dx_log_set_level(level);
    dx_log(DX_LOG_DEBUG, "loud");
    ck_assert_uint_eq(lines, 1);
    ck_assert(dx_log_level_parse(DX_SLICE("error"), &level));
    dx_log_set_level(level);
    dx_log(DX_LOG_WARN, "quiet");
    ck_assert_uint_eq(lines, 1);
    ck_assert(!dx_log_level_parse(DX_SLICE("Error"), &level));
    ck_assert(!dx_log_level_parse(DX_SLICE(""), &level));
    ck_assert_int_eq((int)level, (int)DX_LOG_ERROR);
}
END_TEST

START_TEST(no_value_forges_a_line_or_a_pair)
{
    start();
    dx_log(DX_LOG_INFO, "seen", DX_KS("path", "/a\n2026 error fake x=1 \"q\" \\"), DX_KS("none", NULL));
    ck_assert_str_eq(rest(), "info seen path=\"/a\\x0a2026 error fake x=1 \\x22q\\x22 \\x5c\" none=\"\"\n");
}
END_TEST

START_TEST(long_value_is_cut_and_marked)
{
    char big[4000];
    start();
    for (int c = 'a'; c <= 'b'; c++) {
        memset(big, c == 'a' ? 'a' : '\n', sizeof big);
        dx_log(DX_LOG_INFO, "big", DX_KL("v", dx_slice_of(big, sizeof big)), DX_KI("never", 1));
        size_t n = strlen(line);
        ck_assert_uint_le(n, 2048);
        ck_assert_str_eq(line + n - 7, " cut=1\n");
        ck_assert_ptr_null(strstr(line, "never"));
        ck_assert_ptr_eq(strchr(line, '\n'), line + n - 1);
    }
}
END_TEST

START_TEST(every_length_is_whole_or_marked)
{
    char big[2100];
    start();
    memset(big, 'a', sizeof big);
    for (size_t n = 1900; n < sizeof big; n++) {
        dx_log(DX_LOG_INFO, "e", DX_KL("v", dx_slice_of(big, n)), DX_KI("w", 7));
        size_t length = strlen(line);
        bool cut = strcmp(line + length - 7, " cut=1\n") == 0;
        bool whole = strcmp(line + length - 5, " w=7\n") == 0 && length == 25 + 6 + 3 + n + 5;
        ck_assert_msg(cut != whole, "%zu", n);
    }
}
END_TEST

START_TEST(without_a_sink_it_is_one_write_to_standard_error)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    dx_log_set_sink(NULL);
    dx_log(DX_LOG_ERROR, "out", DX_KI("x", 0));
    dup2(saved, STDERR_FILENO);
    ssize_t n = read(ends[0], line, sizeof line - 1);
    ck_assert_int_gt(n, 0);
    line[n] = '\0';
    ck_assert_str_eq(rest(), "error out x=0\n");
}
END_TEST

START_TEST(errno_is_kept)
{
    start();
    errno = ENOENT;
    dx_log(DX_LOG_INFO, "x");
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/log");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, line_has_time_level_event_and_pairs);
    tcase_add_test(tests, levels_filter);
    tcase_add_test(tests, no_value_forges_a_line_or_a_pair);
    tcase_add_test(tests, long_value_is_cut_and_marked);
    tcase_add_test(tests, every_length_is_whole_or_marked);
    tcase_add_test(tests, without_a_sink_it_is_one_write_to_standard_error);
    tcase_add_test(tests, errno_is_kept);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
