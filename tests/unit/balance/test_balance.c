/* SPDX-License-Identifier: MIT */
/* Whom the ways choose: exact counts for the ones without chance, a fixed random sequence for the one
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

/* Servers come, go, fall out, return and change their weights at random. Between two changes nobody gets more
 * than a few requests more or less than its share, whatever was before. */
START_TEST(round_robin_keeps_shares_while_servers_come_and_go)
{
    struct dx_random random = {5};
    struct dx_balance_server s[8];
    size_t n = 0;

    for (unsigned round = 0; round < 20000; round++) {
        uint64_t r = dx_random_next(&random);
        unsigned most = (unsigned[]){1, 10, 1000, DX_BALANCE_WEIGHT_MAX}[round / 5000];
        size_t at = n ? (r >> 8) % n : 0;
        if (n == 0 || (r % 4 == 0 && n < 8))
            s[n++] = server(1 + (unsigned)((r >> 16) % most), 0);
        else if (r % 4 == 1)
            s[at] = s[--n];
        else if (r % 4 == 2)
            s[at].usable = !s[at].usable;
        else
            s[at].weight = 1 + (unsigned)((r >> 16) % most);
        double total = 0, count[8] = {0};
        for (size_t i = 0; i < n; i++)
            total += s[i].usable ? s[i].weight : 0;
        for (unsigned k = 1; total > 0 && k <= 40; k++) {
            count[pick_rr(s, n)]++;
            for (size_t i = 0; i < n; i++) {
                double owed = s[i].usable ? k * s[i].weight / total : 0;
                if (count[i] - owed >= 4 || owed - count[i] >= 4)
                    ck_abort_msg("round %u: %g of %u, and its share is %g", round, count[i], k, owed);
            }
        }
    }
}
END_TEST

/* A light server has saved for long beside a heavy one, which leaves. */
START_TEST(round_robin_spends_no_fortune_when_a_heavy_one_leaves)
{
    struct dx_balance_server s[3] = {server(1000, 0), server(1, 0), server(1, 0)};
    unsigned in_a_row = 0;
    size_t last = 2;

    for (unsigned i = 0; i < 499; i++)
        (void)pick_rr(s, 3);
    s[0].usable = false;
    for (unsigned i = 0; i < 100; i++) {
        size_t now = pick_rr(s, 3);
        in_a_row = now == last ? in_a_row + 1 : 1;
        last = now;
        ck_assert_uint_le(in_a_row, 5);
    }
}
END_TEST

/* --- by key --- */

#define KEYS 40000

static void give_marks(struct dx_balance_server *s, size_t n)
{
    struct dx_random random = {77};
    for (size_t i = 0; i < n; i++)
        s[i].mark = dx_random_next(&random);
}

/* The servers of all keys 1 to KEYS. */
static void place(const struct dx_balance_server *s, size_t n, unsigned char at[KEYS])
{
    for (uint64_t key = 1; key <= KEYS; key++) {
        size_t i = dx_balance_pick_key(s, n, key);
        if (i >= n || !s[i].usable)
            ck_abort_msg("key %u has nobody", (unsigned)key);
        at[key - 1] = (unsigned char)i;
    }
}

/* Each server has its share by weight of the keys. */
static void check_shares(const struct dx_balance_server *s, size_t n, const unsigned char at[KEYS])
{
    double total = 0, count[16] = {0};

    for (size_t i = 0; i < n; i++)
        total += s[i].usable ? s[i].weight : 0;
    for (size_t k = 0; k < KEYS; k++)
        count[at[k]]++;
    for (size_t i = 0; i < n; i++) {
        double owed = s[i].usable ? (double)KEYS * s[i].weight / total : 0;
        ck_assert_msg(count[i] > owed * 0.97 - 60 && count[i] < owed * 1.03 + 60,
                      "server %zu has %g keys, and its share is %g", i, count[i], owed);
    }
}

START_TEST(keys_are_shared_by_weight)
{
    struct dx_balance_server s[6] = {server(1, 9),   server(2, 0),      server(1000, 0),
                                     server(256, 0), server(256000, 0), server(30000, 0)};
    static unsigned char at[KEYS];

    give_marks(s, 6);
    for (size_t n = 1; n <= 6; n++) {
        place(s, n, at);
        check_shares(s, n, at);
    }
    s[4].usable = false;
    place(s, 6, at);
    check_shares(s, 6, at);
    for (size_t i = 0; i < 6; i++)
        s[i].usable = false;
    ck_assert_uint_eq(dx_balance_pick_key(s, 6, 5), DX_BALANCE_NONE);
}
END_TEST

/* Nobody's key moves but to the newcomer, who gets its share of everybody's. */
START_TEST(a_newcomer_takes_its_share_of_the_keys_and_no_other_moves)
{
    struct dx_random random = {6};
    struct dx_balance_server s[16];
    static unsigned char before[KEYS], after[KEYS];

    for (size_t i = 0; i < 16; i++)
        s[i] = server(1 + (unsigned)(dx_random_next(&random) % 10), 0);
    give_marks(s, 16);
    place(s, 1, before);
    for (size_t n = 2; n <= 16; n++) {
        place(s, n, after);
        for (size_t k = 0; k < KEYS; k++)
            if (after[k] != before[k] && after[k] != n - 1)
                ck_abort_msg("key %zu moved from %u to %u", k + 1, before[k], after[k]);
        check_shares(s, n, after);
        memcpy(before, after, KEYS);
    }
}
END_TEST

START_TEST(keys_of_one_that_falls_out_go_to_the_others_and_come_back)
{
    struct dx_balance_server s[5] = {server(1, 0), server(3, 0), server(2, 0), server(1, 0), server(2, 0)};
    static unsigned char before[KEYS], without[KEYS], after[KEYS];

    give_marks(s, 5);
    place(s, 5, before);
    s[1].usable = false;
    place(s, 5, without);
    check_shares(s, 5, without);
    for (size_t k = 0; k < KEYS; k++)
        if (before[k] != 1 && without[k] != before[k])
            ck_abort_msg("key %zu moved from %u to %u", k + 1, before[k], without[k]);
    s[1].usable = true;
    place(s, 5, after);
    ck_assert_int_eq(memcmp(before, after, KEYS), 0);
}
END_TEST

/* A slow start: its keys come home one after the other, each once. */
START_TEST(a_weight_that_grows_moves_keys_to_its_server_alone)
{
    struct dx_balance_server s[3] = {server(256, 0), server(256, 0), server(1, 0)};
    static unsigned char before[KEYS], after[KEYS];

    give_marks(s, 3);
    place(s, 3, before);
    for (unsigned weight = 26; weight <= 256; weight += 23) {
        s[2].weight = weight;
        place(s, 3, after);
        check_shares(s, 3, after);
        for (size_t k = 0; k < KEYS; k++)
            if (after[k] != before[k] && after[k] != 2)
                ck_abort_msg("key %zu moved from %u to %u", k + 1, before[k], after[k]);
        memcpy(before, after, KEYS);
    }
}
END_TEST

/* Other processes, other machines, other orders of the list come to the same. */
START_TEST(a_key_goes_by_marks_and_not_by_places)
{
    struct dx_balance_server s[3] = {server(1, 0), server(2, 0), server(1, 0)}, t[3];

    give_marks(s, 3);
    t[0] = s[2], t[1] = s[0], t[2] = s[1];
    for (uint64_t key = 1; key < 1000; key++)
        ck_assert_uint_eq(s[dx_balance_pick_key(s, 3, key)].mark, t[dx_balance_pick_key(t, 3, key)].mark);
    ck_assert_uint_eq(dx_balance_pick_key(s, 3, 1), 2); /* and in versions to come */
    ck_assert_uint_eq(dx_balance_pick_key(s, 3, 2), 1);
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
        round_robin_keeps_shares_while_servers_come_and_go,
        round_robin_spends_no_fortune_when_a_heavy_one_leaves,
        keys_are_shared_by_weight,
        a_newcomer_takes_its_share_of_the_keys_and_no_other_moves,
        keys_of_one_that_falls_out_go_to_the_others_and_come_back,
        a_weight_that_grows_moves_keys_to_its_server_alone,
        a_key_goes_by_marks_and_not_by_places,
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
