/* SPDX-License-Identifier: MIT */
/* Combs: blocks apart and aligned, reuse, chunks that go back when nothing stands in them. */
#include "diplex/os/comb.h"

#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MANY 2000

static void get_many(struct dx_comb *s, void **blocks)
{
    for (size_t i = 0; i < MANY; i++)
        ck_assert_ptr_nonnull(blocks[i] = dx_comb_get(s));
}

START_TEST(blocks_are_aligned_and_apart)
{
    struct dx_comb s;
    unsigned char *blocks[MANY];
    dx_comb_init(&s, 273);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_ptr_nonnull(blocks[i] = dx_comb_get(&s));
        ck_assert_uint_eq((uintptr_t)blocks[i] % 8, 0);
        memset(blocks[i], (int)(i % 251), 273);
    }
    ck_assert_uint_eq(s.out, MANY);
    for (size_t i = 0; i < MANY; i++) {
        for (size_t k = 0; k < 273; k++)
            if (blocks[i][k] != i % 251)
                ck_abort_msg("block %zu was written over", i);
        dx_comb_put(&s, blocks[i]);
    }
    dx_comb_fini(&s);
}
END_TEST

START_TEST(blocks_stand_side_by_side)
{
    struct dx_comb s;
    dx_comb_init(&s, 288);
    char *a = dx_comb_get(&s), *b = dx_comb_get(&s);
    ck_assert_ptr_eq(b, a + 288);
    ck_assert_uint_ge(s.most, 64 * 1024 / 288 - 1);
    dx_comb_put(&s, a);
    ck_assert_ptr_eq(dx_comb_get(&s), a);
    dx_comb_put(&s, a);
    dx_comb_put(&s, b);
    dx_comb_fini(&s);
}
END_TEST

START_TEST(chunks_go_back_when_all_have_left)
{
    struct dx_comb s;
    void *blocks[MANY];
    dx_comb_init(&s, 288);
    for (unsigned round = 0; round < 3; round++) {
        get_many(&s, blocks);
        ck_assert_uint_eq(s.chunks, (MANY + s.most - 1) / s.most);
        for (size_t i = 0; i < MANY; i++)
            dx_comb_put(&s, blocks[round == 1 ? MANY - 1 - i : i]);
        ck_assert_uint_eq(s.chunks, 1);
        ck_assert_uint_eq(s.out, 0);
    }
    dx_comb_fini(&s);
    ck_assert_uint_eq(s.chunks, 0);
}
END_TEST

START_TEST(who_stays_keeps_one_chunk_and_gaps_are_filled_first)
{
    struct dx_comb s;
    void *blocks[MANY];
    dx_comb_init(&s, 288);
    get_many(&s, blocks);
    for (size_t i = 0; i < MANY; i++)
        if (i != MANY / 2)
            dx_comb_put(&s, blocks[i]);
    ck_assert_uint_le(s.chunks, 2);
    unsigned before = s.chunks;
    for (size_t i = 0; i < s.most - 1; i++)
        ck_assert_ptr_nonnull(blocks[i] = dx_comb_get(&s));
    ck_assert_uint_eq(s.chunks, before);
    ck_assert_uint_eq(s.empty, before - 1);
    for (size_t i = 0; i < s.most - 1; i++)
        dx_comb_put(&s, blocks[i]);
    dx_comb_put(&s, blocks[MANY / 2]);
    dx_comb_fini(&s);
}
END_TEST

/* Around the end of a full chunk: nothing is mapped and unmapped again and again. */
START_TEST(one_empty_chunk_is_kept)
{
    struct dx_comb s;
    void *blocks[MANY];
    dx_comb_init(&s, 288);
    for (size_t i = 0; i < s.most + 1; i++)
        ck_assert_ptr_nonnull(blocks[i] = dx_comb_get(&s));
    ck_assert_uint_eq(s.chunks, 2);
    for (size_t i = s.most + 1; i > 0; i--)
        dx_comb_put(&s, blocks[i - 1]);
    ck_assert_uint_eq(s.chunks, 1);
    dx_comb_put(&s, NULL);
    dx_comb_fini(&s);
}
END_TEST

START_TEST(fini_with_a_block_out_panics)
{
    struct dx_comb s;
    dx_comb_init(&s, 64);
    ck_assert_ptr_nonnull(dx_comb_get(&s));
    dx_comb_fini(&s);
}
END_TEST

START_TEST(putting_what_was_never_out_panics)
{
    struct dx_comb s;
    dx_comb_init(&s, 64);
    char *p = dx_comb_get(&s);
    ck_assert_ptr_nonnull(p);
    dx_comb_put(&s, p);
    dx_comb_put(&s, p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("os/comb");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, blocks_are_aligned_and_apart);
    tcase_add_test(tests, blocks_stand_side_by_side);
    tcase_add_test(tests, chunks_go_back_when_all_have_left);
    tcase_add_test(tests, who_stays_keeps_one_chunk_and_gaps_are_filled_first);
    tcase_add_test(tests, one_empty_chunk_is_kept);
    tcase_add_test_raise_signal(tests, fini_with_a_block_out_panics, SIGABRT);
    tcase_add_test_raise_signal(tests, putting_what_was_never_out_panics, SIGABRT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
