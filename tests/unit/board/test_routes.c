/* SPDX-License-Identifier: MIT */
/* The places of routes: kept over reloads, given out again, summed over workers; and the buckets of times. */
#include "diplex/board/routes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct dx_err err;
static struct dx_board *control, *data;

static void setup(void)
{
    control = dx_board_new(2, &err);
    ck_assert_ptr_nonnull(control);
    data = dx_board_map(dx_board_fd(control), &err);
    ck_assert_ptr_nonnull(data);
}

static void teardown(void)
{
    dx_board_free(&data);
    dx_board_free(&control);
}

static uint64_t key(unsigned i)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof prefix, "/%u/", i);
    return dx_board_route_key("", prefix, "sync");
}

static uint32_t add(uint64_t route) { return dx_board_route_add(control, route, 0); }

static void count(unsigned worker, uint32_t place, uint64_t n)
{
    dx_count_add(&dx_board_routes(data, worker)[place].outcomes[DX_BOARD_OUTCOME_OK], n);
}

static uint64_t counted(uint32_t place)
{
    struct dx_board_route_sum sum;
    dx_board_route_sum(control, place, &sum);
    return sum.outcomes[DX_BOARD_OUTCOME_OK];
}

START_TEST(a_bucket_is_found_for_every_time)
{
    for (unsigned i = 0; i + 1 < DX_BOARD_BUCKETS; i++) {
        uint64_t bound = dx_board_bounds_us[i];
        ck_assert_uint_lt(bound, dx_board_bounds_us[i + 1]);
        ck_assert_uint_eq(dx_board_bucket(bound - 1), i);
        ck_assert_uint_eq(dx_board_bucket(bound), i);
        ck_assert_uint_eq(dx_board_bucket(bound + 1), i + 1);
    }
    for (unsigned bits = 0; bits < 64; bits++) {
        uint64_t us = UINT64_C(1) << bits, at = 0;
        while (us > dx_board_bounds_us[at])
            at++;
        ck_assert_uint_eq(dx_board_bucket(us), at);
    }
    ck_assert_uint_eq(dx_board_bucket(0), 0);
    ck_assert_uint_eq(dx_board_bucket(UINT64_MAX), DX_BOARD_BUCKETS - 1);
}
END_TEST

START_TEST(routes_are_found_by_both)
{
    uint64_t a = dx_board_route_key("", "/a/", "sync"), b = dx_board_route_key("", "/a/", "async");
    ck_assert_uint_ne(a, b);
    ck_assert_uint_ne(a, dx_board_route_key("/a", "/", "sync"));
    ck_assert_uint_eq(dx_board_route_find(data, a), DX_BOARD_NONE);
    uint32_t first = add(a), second = add(b);
    ck_assert_uint_ge(first, DX_BOARD_PLACE_OWN);
    ck_assert_uint_ne(first, second);
    ck_assert_uint_eq(dx_board_route_find(data, a), first);
    ck_assert_uint_eq(dx_board_route_find(data, b), second);
    ck_assert_uint_eq(add(a), first);
    dx_board_route_remove(control, a);
    dx_board_route_remove(control, a);
    ck_assert_uint_eq(dx_board_route_find(data, a), DX_BOARD_NONE);
    ck_assert_uint_eq(dx_board_route_find(data, b), second);
}
END_TEST

START_TEST(places_last_for_two_configurations)
{
    for (unsigned i = 0; i < DX_BOARD_ROUTES; i++)
        ck_assert_uint_lt(add(key(i)), DX_BOARD_PLACES);
    ck_assert_uint_eq(add(key(DX_BOARD_ROUTES)), DX_BOARD_NONE);
    uint32_t place = dx_board_route_find(control, key(7));
    dx_board_route_remove(control, key(7));
    ck_assert_uint_eq(add(key(DX_BOARD_ROUTES)), place);
}
END_TEST

START_TEST(a_place_that_goes_to_another_begins_with_nothing)
{
    uint32_t place = add(key(0));
    count(0, place, 5);
    count(1, place, 2);
    ck_assert_uint_eq(counted(place), 7);
    unsigned i = 1;
    do {
        ck_assert_uint_lt(i, DX_BOARD_ROUTES);
        dx_board_route_remove(control, key(i - 1));
        /* A route that stays away for a moment finds its place in nobody else's hands. */
        ck_assert(i > 1 || add(key(i)) != place);
    } while (add(key(i++)) != place);
    ck_assert_uint_eq(counted(place), 0);
    count(1, place, 3);
    ck_assert_uint_eq(counted(place), 3);
    ck_assert_uint_eq(add(key(i - 1)), place);
    ck_assert_uint_eq(counted(place), 3);
}
END_TEST

START_TEST(a_pool_of_another_name_begins_with_nothing)
{
    uint32_t pool = dx_board_pool_add(control, "sync"), place = DX_BOARD_PLACE_POOL + pool;
    count(0, place, 9);
    ck_assert_uint_eq(counted(place), 9);
    dx_board_pool_remove(control, pool);
    ck_assert_uint_eq(dx_board_pool_add(control, "other"), pool);
    ck_assert_uint_eq(counted(place), 0);
}
END_TEST

static uint64_t counted_of_pool(uint32_t pool)
{
    struct dx_board_route_sum sum;
    dx_board_pool_sum(control, pool, &sum);
    return sum.outcomes[DX_BOARD_OUTCOME_OK];
}

START_TEST(a_pool_keeps_what_its_routes_counted)
{
    uint32_t pool = dx_board_pool_add(control, "sync"), other = dx_board_pool_add(control, "other");
    uint32_t place = dx_board_route_add(control, key(0), pool);
    count(0, DX_BOARD_PLACE_POOL + pool, 1);
    count(1, place, 2);
    count(0, dx_board_route_add(control, key(1), other), 40);
    ck_assert_uint_eq(counted_of_pool(pool), 3);
    ck_assert_uint_eq(counted_of_pool(other), 40);
    dx_board_route_remove(control, key(0));
    ck_assert_uint_eq(counted_of_pool(pool), 3);
    count(0, place, 10); /* a request that had begun before */
    ck_assert_uint_eq(counted_of_pool(pool), 13);
    for (unsigned i = 2; dx_board_route_add(control, key(i), other) != place; i++) {
        ck_assert_uint_lt(i, DX_BOARD_ROUTES);
        dx_board_route_remove(control, key(i));
    }
    ck_assert_uint_eq(counted_of_pool(pool), 13);
    count(0, place, 100);
    ck_assert_uint_eq(counted_of_pool(pool), 13);
    ck_assert_uint_eq(counted_of_pool(other), 140);
    dx_board_pool_remove(control, other);
    dx_board_pool_remove(control, pool);
    ck_assert_uint_eq(dx_board_pool_add(control, "third"), pool);
    ck_assert_uint_eq(counted_of_pool(pool), 0);
    ck_assert_uint_eq(dx_board_pool_add(control, "fourth"), other);
    ck_assert_uint_eq(counted_of_pool(other), 0);
}
END_TEST

START_TEST(all_is_summed_over_the_workers)
{
    struct dx_board_route_sum sum, twice;
    struct dx_board_route *a = &dx_board_routes(data, 0)[DX_BOARD_NO_ROUTE];
    struct dx_board_route *b = &dx_board_routes(data, 1)[DX_BOARD_NO_ROUTE];
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    ck_assert_uint_eq((uintptr_t)(a + 1) % 64, 0);
    dx_board_observe(&a->times[DX_TIME_TOTAL], 900);
    dx_board_observe(&b->times[DX_TIME_TOTAL], 1000);
    dx_board_observe(&b->times[DX_TIME_TOTAL], UINT64_C(200000000));
    dx_count_add(&a->saved_answer_us, 3);
    dx_count_add(&b->statuses[2], 4);
    dx_count_add(&b->bytes_in, 5);
    dx_board_route_sum(control, DX_BOARD_NO_ROUTE, &sum);
    ck_assert_uint_eq(sum.times[DX_TIME_TOTAL].buckets[0], 2);
    ck_assert_uint_eq(sum.times[DX_TIME_TOTAL].buckets[DX_BOARD_BUCKETS - 1], 1);
    ck_assert_uint_eq(sum.times[DX_TIME_TOTAL].sum_us, 200001900);
    ck_assert_uint_eq(dx_board_histogram_count(&sum.times[DX_TIME_TOTAL]), 3);
    ck_assert_uint_eq(dx_board_histogram_count(&sum.times[DX_TIME_QUEUED]), 0);
    ck_assert(sum.saved_answer_us == 3 && sum.statuses[2] == 4 && sum.bytes_in == 5);
    twice = sum;
    dx_board_route_add_up(&twice, &sum);
    ck_assert_uint_eq(twice.times[DX_TIME_TOTAL].sum_us, 400003800);
    ck_assert_uint_eq(twice.statuses[2], 8);
}
END_TEST

START_TEST(a_worker_that_goes_back_is_not_believed)
{
    uint32_t pool = dx_board_pool_add(control, "sync"), place = DX_BOARD_PLACE_POOL + pool;
    count(0, place, 9);
    dx_board_pool_remove(control, pool);
    ck_assert_uint_eq(dx_board_pool_add(control, "other"), pool);
    atomic_store(&dx_board_routes(data, 0)[place].outcomes[DX_BOARD_OUTCOME_OK], 1);
    ck_assert_uint_eq(counted(place), 0);
}
END_TEST

START_TEST(quantiles_are_estimated)
{
    struct dx_board_histogram_sum h = {0};
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 50), 0);
    h.buckets[3] = 100; /* within 5..10 ms */
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 50), 7500);
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 99), 9950);
    h.buckets[0] = 900; /* up to 1 ms */
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 90), 1000);
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 99), 9500);
    h.buckets[DX_BOARD_BUCKETS - 1] = 1000;
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 99), 120000000);
    h = (struct dx_board_histogram_sum){.buckets = {[1] = 1}};
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 1), 2500);
    ck_assert_uint_eq(dx_board_histogram_quantile_us(&h, 100), 2500);
}
END_TEST

START_TEST(every_outcome_has_its_word)
{
    ck_assert_str_eq(dx_board_outcome_word(DX_BOARD_OUTCOME_OK), "ok");
    for (unsigned i = 0; i < DX_BOARD_OUTCOMES; i++)
        ck_assert_uint_gt(strlen(dx_board_outcome_word(i)), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("routes");
    TCase *c = tcase_create("routes");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_bucket_is_found_for_every_time);
    tcase_add_test(c, routes_are_found_by_both);
    tcase_add_test(c, places_last_for_two_configurations);
    tcase_add_test(c, a_place_that_goes_to_another_begins_with_nothing);
    tcase_add_test(c, a_pool_of_another_name_begins_with_nothing);
    tcase_add_test(c, a_pool_keeps_what_its_routes_counted);
    tcase_add_test(c, all_is_summed_over_the_workers);
    tcase_add_test(c, a_worker_that_goes_back_is_not_believed);
    tcase_add_test(c, quantiles_are_estimated);
    tcase_add_test(c, every_outcome_has_its_word);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
