/* SPDX-License-Identifier: MIT */
/* Slabs: reuse, the bound on what is kept, the count of what is out. */
#include "diplex/base/slab.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

START_TEST(returned_block_is_given_again)
{
    struct dx_slab s;
    dx_slab_init(&s, 100, 4);
    void *a = dx_slab_get(&s), *b = dx_slab_get(&s);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_nonnull(b);
    ck_assert_ptr_ne(a, b);
    memset(a, 1, 100);
    memset(b, 2, 100);
    ck_assert_uint_eq(s.out, 2);
    dx_slab_put(&s, a);
    dx_slab_put(&s, b);
    ck_assert_uint_eq(s.out, 0);
    ck_assert_uint_eq(s.kept, 2);
    ck_assert_ptr_eq(dx_slab_get(&s), b);
    ck_assert_ptr_eq(dx_slab_get(&s), a);
    ck_assert_uint_eq(s.kept, 0);
    memset(a, 3, 100);
    dx_slab_put(&s, a);
    dx_slab_put(&s, b);
    dx_slab_fini(&s);
    ck_assert_uint_eq(s.kept, 0);
}
END_TEST

START_TEST(no_more_than_keep_are_kept)
{
    struct dx_slab s;
    void *blocks[5];
    dx_slab_init(&s, 1, 2);
    for (size_t i = 0; i < DX_COUNT(blocks); i++)
        ck_assert_ptr_nonnull(blocks[i] = dx_slab_get(&s));
    for (size_t i = 0; i < DX_COUNT(blocks); i++)
        dx_slab_put(&s, blocks[i]);
    ck_assert_uint_eq(s.kept, 2);
    dx_slab_fini(&s);
}
END_TEST

START_TEST(nothing_kept_and_null_put)
{
    struct dx_slab s;
    dx_slab_init(&s, 64, 0);
    dx_slab_put(&s, NULL);
    void *p = dx_slab_get(&s);
    dx_slab_put(&s, p);
    ck_assert_uint_eq(s.kept, 0);
    dx_slab_fini(&s);
}
END_TEST

START_TEST(fini_with_a_block_out_panics)
{
    struct dx_slab s;
    dx_slab_init(&s, 64, 1);
    void *p = dx_slab_get(&s);
    ck_assert_ptr_nonnull(p);
    dx_slab_fini(&s);
}
END_TEST

START_TEST(putting_what_was_never_out_panics)
{
    struct dx_slab s;
    char block[64];
    dx_slab_init(&s, 64, 1);
    dx_slab_put(&s, block);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/slab");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, returned_block_is_given_again);
    tcase_add_test(tests, no_more_than_keep_are_kept);
    tcase_add_test(tests, nothing_kept_and_null_put);
    tcase_add_test_raise_signal(tests, fini_with_a_block_out_panics, SIGABRT);
    tcase_add_test_raise_signal(tests, putting_what_was_never_out_panics, SIGABRT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
