/* SPDX-License-Identifier: MIT */
/* Deadlines and timers: in order, replaced, cleared, many durations at once, never early. */
#include <check.h>
#include <stdlib.h>

#include "diplex/loop.h"
#include "diplex/os/clock.h"

#define MANY 150 /* different durations: more than the loop has lanes for */

struct alarm {
    struct dx_deadline deadline;
    uint64_t set_us, duration_ms;
    unsigned rings, order;
    struct alarm *clears, *sets; /* what it does when it rings */
};

static struct dx_loop *loop;
static struct dx_timer end;
static unsigned rung, stop_at;

static void setup(void)
{
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    rung = stop_at = 0;
}

static void teardown(void)
{
    dx_timer_clear(&end);
    dx_loop_free(&loop);
}

static void on_end(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void run(uint64_t ms)
{
    end.on_due = on_end;
    dx_timer_set(loop, &end, ms);
    dx_loop_run(loop);
}

static void set(struct alarm *a, uint64_t ms)
{
    a->set_us = dx_loop_refresh_us(loop);
    a->duration_ms = ms;
    dx_deadline_set(loop, &a->deadline, ms);
}

static void on_due(struct dx_deadline *d)
{
    struct alarm *a = DX_CONTAINER(d, struct alarm, deadline);
    ck_assert_msg(dx_clock_us() >= a->set_us + a->duration_ms * 1000, "%u ms: early by %u us",
                  (unsigned)a->duration_ms, (unsigned)(a->set_us + a->duration_ms * 1000 - dx_clock_us()));
    a->rings++;
    a->order = ++rung;
    if (a->clears != NULL)
        dx_deadline_clear(&a->clears->deadline);
    if (a->sets != NULL)
        set(a->sets, 5);
    if (rung == stop_at)
        dx_loop_stop(loop);
}

#define ALARM                           \
    {                                   \
        .deadline = {.on_due = on_due } \
    }

START_TEST(they_come_in_the_order_of_their_time)
{
    struct alarm a[4] = {ALARM, ALARM, ALARM, ALARM};
    set(&a[0], 600); /* apart, because what is due in one turn of the loop comes in no order */
    set(&a[1], 200);
    set(&a[2], 400);
    set(&a[3], 200);
    stop_at = 4;
    dx_loop_run(loop);
    ck_assert_uint_eq(a[1].order, 1);
    ck_assert_uint_eq(a[3].order, 2); /* of equal durations the one that was set first */
    ck_assert_uint_eq(a[2].order, 3);
    ck_assert_uint_eq(a[0].order, 4);
}
END_TEST

START_TEST(the_newest_setting_counts)
{
    struct alarm later = ALARM, sooner = ALARM;
    set(&later, 10);
    set(&later, 200);
    set(&sooner, 5000);
    set(&sooner, 10);
    run(300);
    ck_assert_uint_eq(later.rings, 1);
    ck_assert_uint_eq(sooner.rings, 1);
    ck_assert_uint_eq(sooner.order, 1);
}
END_TEST

START_TEST(a_cleared_one_never_comes)
{
    struct alarm cleared = ALARM, zeroed = ALARM, never = ALARM, victim = ALARM, killer = ALARM;
    dx_deadline_clear(&never.deadline);
    set(&cleared, 10);
    set(&zeroed, 10);
    killer.clears = &victim;
    set(&killer, 10);
    set(&victim, 10); /* due in the same tick, behind the one that clears it */
    dx_deadline_clear(&cleared.deadline);
    dx_deadline_clear(&cleared.deadline);
    dx_deadline_set(loop, &zeroed.deadline, 0);
    run(40);
    ck_assert_uint_eq(rung, 1);
    ck_assert_uint_eq(killer.rings, 1);
}
END_TEST

START_TEST(one_may_set_the_next)
{
    struct alarm first = ALARM, second = ALARM, itself = ALARM;
    first.sets = &second;
    set(&first, 10);
    itself.sets = &itself;
    set(&itself, 5);
    run(300);
    ck_assert_uint_eq(first.rings, 1);
    ck_assert_uint_eq(second.rings, 1);
    ck_assert_uint_gt(itself.rings, 2);
    dx_deadline_clear(&itself.deadline);
}
END_TEST

START_TEST(more_durations_than_lanes_are_never_early)
{
    static struct alarm a[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        a[i] = (struct alarm)ALARM;
        set(&a[i], (i * 37) % MANY + 1); /* every duration from 1 to MANY once, in no order */
    }
    stop_at = MANY;
    dx_loop_run(loop);
    for (unsigned i = 0; i < MANY; i++)
        ck_assert_uint_eq(a[i].rings, 1);
}
END_TEST

START_TEST(a_duration_longer_than_all_lanes_is_kept)
{
    static struct alarm a[70];
    for (unsigned i = 0; i < 70; i++) {
        a[i] = (struct alarm)ALARM;
        set(&a[i], i + 1); /* the last ones find every lane taken by something shorter */
    }
    struct alarm far = ALARM;
    set(&far, 120);
    stop_at = 71;
    dx_loop_run(loop);
    ck_assert_uint_eq(far.order, 71);
}
END_TEST

START_TEST(a_short_one_does_not_wait_for_long_lanes)
{
    static struct alarm a[70];
    for (unsigned i = 0; i < 70; i++) {
        a[i] = (struct alarm)ALARM;
        set(&a[i], 60000 + i);
    }
    struct alarm near = ALARM;
    set(&near, 10);
    run(200);
    ck_assert_uint_eq(near.rings, 1);
    ck_assert_uint_eq(rung, 1);
    for (unsigned i = 0; i < 70; i++)
        dx_deadline_clear(&a[i].deadline);
}
END_TEST

START_TEST(lanes_are_used_again)
{
    struct alarm a = ALARM;
    for (unsigned i = 1; i <= 500; i++) { /* as after many reloads with other time-outs */
        set(&a, 100000 + i);
        dx_deadline_clear(&a.deadline);
    }
    set(&a, 10);
    stop_at = 1;
    dx_loop_run(loop);
    ck_assert_uint_eq(a.rings, 1);
}
END_TEST

/* --- timers --- */

static unsigned ticks;
static uint64_t tick_us;

static void on_tick(struct dx_timer *t)
{
    ck_assert(!t->set);
    ticks++;
    tick_us = dx_clock_us();
}

START_TEST(a_timer_comes_once)
{
    struct dx_timer t = {.on_due = on_tick};
    uint64_t start = dx_clock_us();
    dx_timer_set(loop, &t, 10);
    ck_assert(t.set);
    run(50);
    ck_assert_uint_eq(ticks, 1);
    ck_assert_uint_ge(tick_us + 1000, start + 10000); /* libevent counts in milliseconds */
}
END_TEST

START_TEST(a_timer_is_replaced_and_cleared)
{
    struct dx_timer replaced = {.on_due = on_tick}, cleared = {.on_due = on_tick};
    uint64_t start = dx_clock_us();
    dx_timer_set(loop, &replaced, 5);
    dx_timer_set(loop, &replaced, 40);
    dx_timer_set(loop, &cleared, 5);
    dx_timer_clear(&cleared);
    dx_timer_clear(&cleared);
    run(100);
    ck_assert_uint_eq(ticks, 1);
    ck_assert_uint_ge(tick_us + 1000, start + 40000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("deadline");
    TCase *c = tcase_create("deadline");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, they_come_in_the_order_of_their_time);
    tcase_add_test(c, the_newest_setting_counts);
    tcase_add_test(c, a_cleared_one_never_comes);
    tcase_add_test(c, one_may_set_the_next);
    tcase_add_test(c, more_durations_than_lanes_are_never_early);
    tcase_add_test(c, a_duration_longer_than_all_lanes_is_kept);
    tcase_add_test(c, a_short_one_does_not_wait_for_long_lanes);
    tcase_add_test(c, lanes_are_used_again);
    tcase_add_test(c, a_timer_comes_once);
    tcase_add_test(c, a_timer_is_replaced_and_cleared);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
