/* SPDX-License-Identifier: MIT */
/* Arenas: alignment, lent memory first, growth, large requests, reset. */
#include "diplex/base/arena.h"

#include <check.h>
#include <stdlib.h>

static bool inside(const void *p, const void *block, size_t n)
{
    return (uintptr_t)p >= (uintptr_t)block && (uintptr_t)p < (uintptr_t)block + n;
}

START_TEST(everything_is_aligned_and_apart)
{
    _Alignas(16) char lent[256];
    struct dx_arena a;
    dx_arena_init(&a, lent + 1, sizeof lent - 1);
    char *blocks[200];
    for (size_t i = 0; i < DX_COUNT(blocks); i++) {
        blocks[i] = dx_arena_alloc(&a, i);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i);
    }
    for (size_t i = 0; i < DX_COUNT(blocks); i++) {
        for (size_t k = 0; k < i; k++) {
            if ((unsigned char)blocks[i][k] != i)
                ck_abort_msg("block %zu was written over", i);
        }
    }
    dx_arena_reset(&a);
}
END_TEST

START_TEST(lent_memory_is_used_first_and_again_after_reset)
{
    _Alignas(16) char lent[64];
    struct dx_arena a;
    dx_arena_init(&a, lent, sizeof lent);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++)
            ck_assert(inside(dx_arena_alloc(&a, 16), lent, sizeof lent));
        ck_assert_ptr_null(a.extra);
        ck_assert(!inside(dx_arena_alloc(&a, 1), lent, sizeof lent));
        ck_assert_ptr_nonnull(a.extra);
        dx_arena_reset(&a);
        ck_assert_ptr_null(a.extra);
    }
}
END_TEST

START_TEST(lent_memory_too_small_to_align_is_left_alone)
{
    _Alignas(16) char lent[32];
    struct dx_arena a;
    dx_arena_init(&a, lent + 1, 14);
    ck_assert(!inside(dx_arena_alloc(&a, 1), lent, sizeof lent));
    dx_arena_reset(&a);
}
END_TEST

START_TEST(no_memory_is_lent)
{
    struct dx_arena a;
    dx_arena_init(&a, NULL, 0);
    ck_assert_ptr_null(a.extra);
    ck_assert_ptr_nonnull(dx_arena_alloc(&a, 0));
    ck_assert_ptr_nonnull(dx_arena_alloc(&a, 100));
    dx_arena_reset(&a);
}
END_TEST

START_TEST(large_request_leaves_the_current_chunk_in_use)
{
    struct dx_arena a;
    dx_arena_init(&a, NULL, 0);
    char *first = dx_arena_alloc(&a, 16);
    char *large = dx_arena_alloc(&a, 1 << 20);
    ck_assert_ptr_nonnull(large);
    memset(large, 7, 1 << 20);
    char *second = dx_arena_alloc(&a, 16);
    ck_assert_ptr_eq(second, first + 16);
    dx_arena_reset(&a);
}
END_TEST

START_TEST(the_end_of_the_last_is_free_again)
{
    _Alignas(16) char lent[256];
    struct dx_arena a;
    dx_arena_init(&a, lent, sizeof lent);
    char *first = dx_arena_alloc(&a, 100);
    dx_arena_shrink(&a, first + 17, first + 100);
    char *second = dx_arena_alloc(&a, 16);
    ck_assert_ptr_eq(second, first + 32);
    dx_arena_shrink(&a, first + 1, first + 17);
    ck_assert_ptr_eq(dx_arena_alloc(&a, 1), second + 16); /* too late: something stands behind it */
    char *own = dx_arena_alloc(&a, 1 << 20);
    dx_arena_shrink(&a, own + 1, own + (1 << 20));
    ck_assert_ptr_eq(dx_arena_alloc(&a, 1), second + 32);
    dx_arena_reset(&a);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    struct dx_arena a;
    dx_arena_init(&a, NULL, 0);
    ck_assert_ptr_null(dx_arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(dx_arena_alloc(&a, SIZE_MAX - 15));
    ck_assert_ptr_nonnull(dx_arena_alloc(&a, 1));
    dx_arena_reset(&a);
}
END_TEST

START_TEST(zalloc_is_zero_in_used_memory)
{
    _Alignas(16) char lent[64];
    memset(lent, 0xff, sizeof lent);
    struct dx_arena a;
    dx_arena_init(&a, lent, sizeof lent);
    const char *p = dx_arena_zalloc(&a, 64);
    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(p[i], 0);
}
END_TEST

START_TEST(copy_is_terminated)
{
    char lent[64];
    struct dx_arena a;
    struct dx_slice copy = {0};
    dx_arena_init(&a, lent, sizeof lent);
    ck_assert(dx_arena_copy(&a, DX_SLICE("abc"), &copy));
    ck_assert_uint_eq(copy.n, 3);
    ck_assert_str_eq(copy.p, "abc");
    ck_assert(dx_arena_copy(&a, (struct dx_slice){NULL, 0}, &copy));
    ck_assert_uint_eq(copy.n, 0);
    ck_assert_str_eq(copy.p, "");
    dx_arena_reset(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/arena");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, everything_is_aligned_and_apart);
    tcase_add_test(tests, lent_memory_is_used_first_and_again_after_reset);
    tcase_add_test(tests, lent_memory_too_small_to_align_is_left_alone);
    tcase_add_test(tests, no_memory_is_lent);
    tcase_add_test(tests, large_request_leaves_the_current_chunk_in_use);
    tcase_add_test(tests, the_end_of_the_last_is_free_again);
    tcase_add_test(tests, impossible_sizes_are_refused);
    tcase_add_test(tests, zalloc_is_zero_in_used_memory);
    tcase_add_test(tests, copy_is_terminated);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
