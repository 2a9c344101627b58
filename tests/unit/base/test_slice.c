/* SPDX-License-Identifier: MIT */
/* Slices: comparison, trimming, numbers, comma-separated lists. */
#include "diplex/base/slice.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NONE ((struct dx_slice){NULL, 0})

START_TEST(equality)
{
    ck_assert(dx_slice_eq(NONE, DX_SLICE("")));
    ck_assert(dx_slice_eq(DX_SLICE("ab"), dx_slice_str("ab")));
    ck_assert(!dx_slice_eq(DX_SLICE("ab"), DX_SLICE("aB")));
    ck_assert(!dx_slice_eq(DX_SLICE("ab"), DX_SLICE("abc")));
    ck_assert(dx_slice_starts(DX_SLICE("abc"), DX_SLICE("ab")));
    ck_assert(dx_slice_starts(DX_SLICE("abc"), NONE));
    ck_assert(!dx_slice_starts(DX_SLICE("a"), DX_SLICE("ab")));
    ck_assert(dx_slice_eq(dx_slice_str(NULL), NONE));
}
END_TEST

START_TEST(case_folds_letters_only)
{
    ck_assert(dx_slice_eq_nocase(DX_SLICE("Content-LENGTH"), DX_SLICE("content-length")));
    ck_assert(dx_slice_eq_nocase(NONE, DX_SLICE("")));
    ck_assert(!dx_slice_eq_nocase(DX_SLICE("a"), DX_SLICE("ab")));
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char x = (char)a, y = (char)b;
            bool letter_pair = (a ^ b) == 0x20 && (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
            bool same = dx_slice_eq_nocase(dx_slice_of(&x, 1), dx_slice_of(&y, 1));
            if (same != (a == b || letter_pair))
                ck_abort_msg("%02x %02x", (unsigned)a, (unsigned)b);
        }
    }
}
END_TEST

START_TEST(trim_takes_only_ows)
{
    ck_assert(dx_slice_eq(dx_slice_trim(DX_SLICE(" \t a b \t")), DX_SLICE("a b")));
    ck_assert(dx_slice_eq(dx_slice_trim(DX_SLICE(" \t ")), NONE));
    ck_assert(dx_slice_eq(dx_slice_trim(NONE), NONE));
    ck_assert(dx_slice_eq(dx_slice_trim(DX_SLICE("\na\r")), DX_SLICE("\na\r")));
}
END_TEST

START_TEST(numbers_are_strict)
{
    static const char *const bad[] = {"",
                                      "+1",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1.0",
                                      "1,1",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "000000000000000000001"};
    uint64_t v = 7;
    for (size_t i = 0; i < DX_COUNT(bad); i++)
        ck_assert_msg(!dx_slice_to_u64(dx_slice_str(bad[i]), &v), "%s", bad[i]);
    ck_assert_uint_eq(v, 7);
    ck_assert(dx_slice_to_u64(DX_SLICE("18446744073709551615"), &v));
    ck_assert(v == UINT64_MAX);
    ck_assert(dx_slice_to_u64(DX_SLICE("0"), &v));
    ck_assert_uint_eq(v, 0);
    ck_assert(dx_slice_to_u64(DX_SLICE("00000000000000000042"), &v));
    ck_assert_uint_eq(v, 42);
}
END_TEST

/* The members joined with '|'. */
static const char *members(const char *list)
{
    static char out[256];
    size_t n = 0;
    struct dx_slice rest = dx_slice_str(list), item;
    out[0] = '\0';
    while (dx_slice_next_item(&rest, &item))
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s|", DX_SLICE_ARGS(item));
    ck_assert_uint_eq(rest.n, 0);
    return out;
}

START_TEST(list_members)
{
    ck_assert_str_eq(members("a, b ,\tc"), "a|b|c|");
    ck_assert_str_eq(members(""), "");
    ck_assert_str_eq(members(" , ,, "), "");
    ck_assert_str_eq(members(",a,"), "a|");
    ck_assert_str_eq(members("a=\"x,y\", b"), "a=\"x,y\"|b|");
    ck_assert_str_eq(members("a=\"x\\\",y\",b"), "a=\"x\\\",y\"|b|");
    ck_assert_str_eq(members("a=\"x,y"), "a=\"x,y|");
    ck_assert_str_eq(members("\"\\"), "\"\\|");
    ck_assert_str_eq(members("a\\,b"), "a\\|b|");
}
END_TEST

START_TEST(list_tokens)
{
    ck_assert(dx_slice_has_token(DX_SLICE("keep-alive, Upgrade"), DX_SLICE("upgrade")));
    ck_assert(dx_slice_has_token(DX_SLICE("close"), DX_SLICE("close")));
    ck_assert(!dx_slice_has_token(DX_SLICE("closed, not-close"), DX_SLICE("close")));
    ck_assert(!dx_slice_has_token(NONE, DX_SLICE("close")));
    ck_assert(!dx_slice_has_token(DX_SLICE("\"a, close, b\""), DX_SLICE("close")));
}
END_TEST

START_TEST(find_and_dup)
{
    ck_assert_uint_eq(dx_slice_find(DX_SLICE("a:b:c"), ':'), 1);
    ck_assert_uint_eq(dx_slice_find(DX_SLICE("abc"), ':'), 3);
    ck_assert_uint_eq(dx_slice_find(NONE, ':'), 0);
    char *copy = dx_slice_dup(DX_SLICE("abc"));
    ck_assert_str_eq(copy, "abc");
    free(copy);
    copy = dx_slice_dup(NONE);
    ck_assert_str_eq(copy, "");
    free(copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/slice");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, equality);
    tcase_add_test(tests, case_folds_letters_only);
    tcase_add_test(tests, trim_takes_only_ows);
    tcase_add_test(tests, numbers_are_strict);
    tcase_add_test(tests, list_members);
    tcase_add_test(tests, list_tokens);
    tcase_add_test(tests, find_and_dup);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
