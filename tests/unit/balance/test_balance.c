/* SPDX-License-Identifier: MIT */
/* Whom the three ways choose: exact counts for the ones without chance, a fixed random sequence for the one
 * with. */
#include "diplex/balance.h"

#include <check.h>
#include <stdlib.h>

#include "diplex/base/check.h"
#include "diplex/base/hash.h"

#define MANY 100000

static struct dx_balance_server server(unsigned weight, uint32_t active)
{
    return (struct dx_balance_server){.weight = weight, .active = active, .usable = true};
}

static size_t pick_rr(struct dx_balance_server *s, size_t n)
{
    return dx_balance_pick(DX_BALANCE_ROUND_ROBIN, s, n, 0);
}

START_TEST(nobody_is_usable)
{
    struct dx_balance_server s[2] = {server(1, 0), server(1, 0)};

    s[0].usable = s[1].usable = false;
    for (enum dx_balance how = DX_BALANCE_ROUND_ROBIN; how <= DX_BALANCE_RANDOM; how++) {
        ck_assert_uint_eq(dx_balance_pick(how, s, 2, 77), DX_BALANCE_NONE);
        ck_assert_uint_eq(dx_balance_pick(how, s, 0, 77), DX_BALANCE_NONE);
    }
}
END_TEST

START_TEST(only_one_is_usable)
{
    struct dx_balance_server s[3] = {server(1000, 0), server(1, 900), server(1000, 0)};

    s[0].usable = s[2].usable = false;
    for (enum dx_balance how = DX_BALANCE_ROUND_ROBIN; how <= DX_BALANCE_RANDOM; how++)
        for (uint64_t i = 0; i < 20; i++)
            ck_assert_uint_eq(dx_balance_pick(how, s, 3, i * 0x123456789abcdefull), 1);
}
END_TEST

START_TEST(round_robin_takes_turns)
{
    struct dx_balance_server s[3] = {server(1, 9), server(1, 0), server(1, 5)};

    for (size_t i = 0; i < 12; i++)
        ck_assert_uint_eq(pick_rr(s, 3), i % 3);
}
END_TEST

START_TEST(round_robin_is_smooth)
{
    struct dx_balance_server s[3] = {server(5, 0), server(1, 0), server(1, 0)};
    const size_t expected[7] = {0, 0, 1, 0, 2, 0, 0};

    for (size_t i = 0; i < 21; i++)
        ck_assert_uint_eq(pick_rr(s, 3), expected[i % 7]);
}
END_TEST

START_TEST(round_robin_is_exact_over_the_sum_of_weights)
{
    struct dx_balance_server s[4] = {server(1000, 0), server(1, 0), server(337, 0), server(62, 0)};
    unsigned count[4] = {0};

    for (unsigned i = 0; i < 3 * 1400; i++)
        count[pick_rr(s, 4)]++;
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(count[i], 3 * s[i].weight);
        ck_assert_int_eq(s[i].current, 0);
    }
}
END_TEST

START_TEST(round_robin_shares_what_an_unusable_one_leaves)
{
    struct dx_balance_server s[3] = {server(2, 0), server(1, 0), server(1, 0)};
    unsigned count[3] = {0};

    for (unsigned i = 0; i < 5; i++)
        (void)pick_rr(s, 3);
    s[1].usable = false;
    for (unsigned i = 0; i < 300; i++)
        count[pick_rr(s, 3)]++;
    ck_assert_uint_eq(count[1], 0);
    ck_assert_uint_ge(count[0], 199);
    ck_assert_uint_le(count[0], 201);

    /* Back again: its share at once, no burst to make up for its absence. */
    s[1].usable = true;
    count[0] = count[1] = count[2] = 0;
    for (unsigned i = 0; i < 40; i++)
        count[pick_rr(s, 3)]++;
    ck_assert_uint_ge(count[1], 9);
    ck_assert_uint_le(count[1], 11);
    ck_assert_uint_ge(count[0], 19);
    ck_assert_uint_le(count[0], 21);
}
END_TEST

START_TEST(least_conn_takes_the_lowest_load_for_the_weight)
{
    struct dx_balance_server s[3] = {server(1, 3), server(4, 9), server(2, 5)};

    ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_LEAST_CONN, s, 3, 0), 1); /* 3, 2.25, 2.5 */
    s[1].active = 11;
    ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_LEAST_CONN, s, 3, 0), 2); /* 3, 2.75, 2.5 */
    s[2].usable = false;
    ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_LEAST_CONN, s, 3, 0), 1);
    s[0].active = UINT32_MAX;
    s[1].active = UINT32_MAX;
    ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_LEAST_CONN, s, 3, 0), 1);
}
END_TEST

START_TEST(least_conn_breaks_ties_by_turns)
{
    struct dx_balance_server s[4] = {server(1, 2), server(1, 7), server(1, 2), server(2, 4)};
    unsigned count[4] = {0};

    for (unsigned i = 0; i < 40; i++)
        count[dx_balance_pick(DX_BALANCE_LEAST_CONN, s, 4, 0)]++;
    ck_assert_uint_eq(count[0], 10);
    ck_assert_uint_eq(count[1], 0);
    ck_assert_uint_eq(count[2], 10);
    ck_assert_uint_eq(count[3], 20);
}
END_TEST

START_TEST(least_conn_levels_the_loads)
{
    struct dx_balance_server s[3] = {server(1, 30), server(2, 0), server(3, 6)};

    for (unsigned i = 0; i < 120 - 36; i++)
        s[dx_balance_pick(DX_BALANCE_LEAST_CONN, s, 3, 0)].active++;
    ck_assert_uint_eq(s[0].active, 30);
    ck_assert_uint_eq(s[1].active, 36);
    ck_assert_uint_eq(s[2].active, 54);
}
END_TEST

START_TEST(random_follows_the_weights)
{
    struct dx_balance_server s[3] = {server(700, 0), server(200, 0), server(100, 0)};
    struct dx_random random = {1};
    unsigned count[3] = {0};

    for (unsigned i = 0; i < MANY; i++)
        count[dx_balance_pick(DX_BALANCE_RANDOM, s, 3, dx_random_next(&random))]++;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_ge(count[i], s[i].weight * (MANY / 1000) - MANY / 100);
        ck_assert_uint_le(count[i], s[i].weight * (MANY / 1000) + MANY / 100);
    }
}
END_TEST

/* Two different ones are compared, so the busiest is never taken, and the idlest in two thirds of all pairs
 * of three. */
START_TEST(random_avoids_the_busiest_of_two)
{
    struct dx_balance_server s[3] = {server(1, 10), server(1, 5), server(1, 0)};
    struct dx_random random = {2};
    unsigned count[3] = {0};

    for (unsigned i = 0; i < MANY; i++)
        count[dx_balance_pick(DX_BALANCE_RANDOM, s, 3, dx_random_next(&random))]++;
    ck_assert_uint_eq(count[0], 0);
    ck_assert_uint_ge(count[2], MANY * 2 / 3 - MANY / 100);
    ck_assert_uint_le(count[2], MANY * 2 / 3 + MANY / 100);
}
END_TEST

START_TEST(random_compares_loads_by_weight)
{
    struct dx_balance_server s[2] = {server(10, 50), server(1, 6)};
    struct dx_random random = {3};

    for (unsigned i = 0; i < 1000; i++)
        ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_RANDOM, s, 2, dx_random_next(&random)), 0);
}
END_TEST

START_TEST(random_never_takes_an_unusable_one)
{
    struct dx_balance_server s[4] = {server(1, 0), server(3, 9), server(1, 0), server(2, 9)};
    struct dx_random random = {4};
    unsigned count[4] = {0};

    s[0].usable = s[2].usable = false;
    for (unsigned i = 0; i < 1000; i++)
        count[dx_balance_pick(DX_BALANCE_RANDOM, s, 4, dx_random_next(&random))]++;
    ck_assert_uint_eq(count[0] + count[2], 0);
    ck_assert_uint_eq(count[1], 1000); /* 3 against 4.5 */
    ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_RANDOM, s, 4, 0), 1);
    ck_assert_uint_eq(dx_balance_pick(DX_BALANCE_RANDOM, s, 4, UINT64_MAX), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balance");
    TCase *tc = tcase_create("balance");
    const TTest *const tests[] = {
        nobody_is_usable,
        only_one_is_usable,
        round_robin_takes_turns,
        round_robin_is_smooth,
        round_robin_is_exact_over_the_sum_of_weights,
        round_robin_shares_what_an_unusable_one_leaves,
        least_conn_takes_the_lowest_load_for_the_weight,
        least_conn_breaks_ties_by_turns,
        least_conn_levels_the_loads,
        random_follows_the_weights,
        random_avoids_the_busiest_of_two,
        random_compares_loads_by_weight,
        random_never_takes_an_unusable_one,
    };

    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
