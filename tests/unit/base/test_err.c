/* SPDX-License-Identifier: MIT */
/* Error sentences: formatting, cutting, errno. */
#include "diplex/base/err.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(set_writes_and_returns_false)
{
    struct dx_err err;
    ck_assert(!dx_err_set(&err, "line %d: %s", 3, "bad"));
    ck_assert_str_eq(err.text, "line 3: bad");
    ck_assert(!dx_err_set(&err, "in %s", err.text));
    ck_assert_str_eq(err.text, "in line 3: bad");
}
END_TEST

START_TEST(sys_adds_errno_and_keeps_it)
{
    struct dx_err err;
    char expected[100];
    snprintf(expected, sizeof expected, "cannot open x: %s", strerror(ENOENT));
    errno = ENOENT;
    ck_assert(!dx_err_sys(&err, "cannot open %s", "x"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_str_eq(err.text, expected);
}
END_TEST

START_TEST(nobody_to_tell_is_fine)
{
    ck_assert(!dx_err_set(NULL, "x"));
    ck_assert(!dx_err_sys(NULL, "x"));
}
END_TEST

START_TEST(long_sentences_are_cut_and_terminated)
{
    struct dx_err err;
    char text[1000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert(!dx_err_set(&err, "%s", text));
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
    errno = EIO;
    ck_assert(!dx_err_sys(&err, "%s", text));
    ck_assert_uint_eq(strlen(err.text), sizeof err.text - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/err");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, set_writes_and_returns_false);
    tcase_add_test(tests, sys_adds_errno_and_keeps_it);
    tcase_add_test(tests, nobody_to_tell_is_fine);
    tcase_add_test(tests, long_sentences_are_cut_and_terminated);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
