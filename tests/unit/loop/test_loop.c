/* SPDX-License-Identifier: MIT */
/* The loop on real descriptors: what edges and levels tell, when tasks run, when graves are buried, signals.
 * Time is in test_deadline.c. */
#include "diplex/loop.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/os/clock.h"

#define QUIET_MS 10 /* long enough for the loop to tell what it has to tell */

struct seen { /* what a watch was told since it was last looked at */
    struct dx_watch watch;
    unsigned what, calls;
};

static struct dx_loop *loop;
static struct dx_timer end;
static int pair[2];

static void on_end(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void run(uint64_t ms)
{
    end.on_due = on_end;
    dx_timer_set(loop, &end, ms);
    dx_loop_run(loop);
}

static void setup(void)
{
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void teardown(void)
{
    dx_timer_clear(&end);
    dx_loop_free(&loop);
    ck_assert_ptr_null(loop);
    dx_loop_free(&loop);
    close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
}

static void on_event(struct dx_watch *w, unsigned what)
{
    struct seen *s = DX_CONTAINER(w, struct seen, watch);
    s->what |= what;
    s->calls++;
}

static unsigned told(struct seen *s, unsigned *calls)
{
    run(QUIET_MS);
    unsigned what = s->what;
    *calls = s->calls;
    s->what = s->calls = 0;
    return what;
}

static void put(const char *text)
{
    ck_assert_int_eq(write(pair[1], text, strlen(text)), (ssize_t)strlen(text));
}

/* --- watches --- */

START_TEST(an_edge_is_told_once)
{
    struct seen s = {.watch = {.on_event = on_event}};
    unsigned calls;
    ck_assert(dx_watch_start_edge(loop, &s.watch, pair[0]));
    ck_assert_uint_eq(told(&s, &calls), DX_WRITE);
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(told(&s, &calls), 0);
    put("one");
    ck_assert_uint_eq(told(&s, &calls) & DX_READ, DX_READ);
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(told(&s, &calls), 0); /* unread, and told already */
    put("two");
    ck_assert_uint_eq(told(&s, &calls) & DX_READ, DX_READ);
    dx_watch_stop(&s.watch);
    put("three");
    ck_assert_uint_eq(told(&s, &calls), 0);
}
END_TEST

START_TEST(a_half_closed_side_is_hung_up)
{
    struct seen s = {.watch = {.on_event = on_event}};
    unsigned calls;
    ck_assert(dx_watch_start_edge(loop, &s.watch, pair[0]));
    (void)told(&s, &calls);
    put("last words");
    ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
    ck_assert_uint_eq(told(&s, &calls) & (DX_READ | DX_HUNG_UP), DX_READ | DX_HUNG_UP);
    dx_watch_stop(&s.watch);
}
END_TEST

START_TEST(a_closed_side_is_hung_up)
{
    struct seen s = {.watch = {.on_event = on_event}};
    unsigned calls;
    ck_assert(dx_watch_start_edge(loop, &s.watch, pair[0]));
    (void)told(&s, &calls);
    close(pair[1]);
    pair[1] = -1;
    ck_assert_uint_eq(told(&s, &calls) & DX_HUNG_UP, DX_HUNG_UP);
    dx_watch_stop(&s.watch);
}
END_TEST

START_TEST(a_level_is_told_until_it_is_read)
{
    struct seen s = {.watch = {.on_event = on_event}};
    unsigned calls;
    uint64_t rings;
    int bell = eventfd(1, EFD_NONBLOCK);
    ck_assert_int_ge(bell, 0);
    ck_assert(dx_watch_start_level(loop, &s.watch, bell));
    ck_assert_uint_eq(told(&s, &calls), DX_READ);
    ck_assert_uint_gt(calls, 1);
    ck_assert_int_eq(read(bell, &rings, sizeof(rings)), sizeof(rings));
    ck_assert_uint_eq(told(&s, &calls), 0);
    dx_watch_stop(&s.watch);
    close(bell);
}
END_TEST

START_TEST(a_watch_can_be_started_with_another_set)
{
    struct seen s = {.watch = {.on_event = on_event}};
    unsigned calls;
    ck_assert(dx_watch_start(loop, &s.watch, pair[0], DX_READ));
    ck_assert_uint_eq(told(&s, &calls), 0);
    ck_assert(dx_watch_start(loop, &s.watch, pair[0], DX_READ | DX_WRITE));
    ck_assert_uint_eq(told(&s, &calls), DX_WRITE);
    ck_assert_uint_gt(calls, 1);
    put("x");
    ck_assert(dx_watch_start(loop, &s.watch, pair[0], DX_READ));
    ck_assert_uint_eq(told(&s, &calls), DX_READ);
    dx_watch_stop(&s.watch);
    dx_watch_stop(&s.watch);
}
END_TEST

START_TEST(a_watch_that_never_started_can_be_stopped)
{
    struct seen s = {.watch = {.on_event = on_event}};
    dx_watch_stop(&s.watch);
    ck_assert_uint_eq(s.calls, 0);
}
END_TEST

/* Two watches are ready in the same turn; the first to be called stops both. */
static struct seen rivals[2];
static unsigned rival_calls;

static void stop_both(struct dx_watch *w, unsigned what)
{
    (void)w, (void)what;
    rival_calls++;
    dx_watch_stop(&rivals[0].watch);
    dx_watch_stop(&rivals[1].watch);
}

START_TEST(a_stopped_watch_is_not_told_what_was_ready)
{
    for (unsigned i = 0; i < 2; i++) {
        rivals[i] = (struct seen){.watch = {.on_event = stop_both}};
        ck_assert(dx_watch_start_edge(loop, &rivals[i].watch, pair[i]));
    }
    rival_calls = 0;
    run(QUIET_MS);
    ck_assert_uint_eq(rival_calls, 1);
}
END_TEST

/* --- the time of a callback --- */

static uint64_t first_us, second_us, refreshed_us;

static void read_times(struct dx_timer *t)
{
    first_us = dx_loop_now_us(t->loop);
    usleep(3000);
    second_us = dx_loop_now_us(t->loop);
    refreshed_us = dx_loop_refresh_us(t->loop);
}

START_TEST(time_stands_still_in_a_callback)
{
    struct dx_timer t = {.on_due = read_times};
    uint64_t before = dx_clock_us();
    dx_timer_set(loop, &t, 1);
    run(QUIET_MS);
    ck_assert_uint_ge(first_us, before);
    ck_assert_uint_eq(second_us, first_us);
    ck_assert_uint_ge(refreshed_us, first_us + 3000);
    ck_assert_uint_eq(dx_loop_now_ms(loop), dx_loop_now_us(loop) / 1000);
}
END_TEST

/* --- tasks --- */

struct job {
    struct dx_task task;
    unsigned runs, wanted;
    struct job *victim;
};

static void run_job(struct dx_task *t)
{
    struct job *j = DX_CONTAINER(t, struct job, task);
    j->runs++;
    if (j->victim != NULL)
        dx_task_cancel(&j->victim->task);
    if (j->runs < j->wanted)
        dx_loop_again(loop, t);
}

START_TEST(a_task_runs_once_for_each_time_it_is_put_in)
{
    struct job once = {.task = {.run = run_job}, .wanted = 1},
               thrice = {.task = {.run = run_job}, .wanted = 3};
    dx_loop_again(loop, &once.task);
    dx_loop_again(loop, &once.task);
    dx_loop_again(loop, &thrice.task);
    ck_assert_uint_eq(once.runs, 0);
    run(QUIET_MS);
    ck_assert_uint_eq(once.runs, 1);
    ck_assert_uint_eq(thrice.runs, 3);
    dx_loop_again(loop, &once.task);
    run(QUIET_MS);
    ck_assert_uint_eq(once.runs, 2);
}
END_TEST

START_TEST(a_cancelled_task_does_not_run)
{
    struct job victim = {.task = {.run = run_job}}, own = {.task = {.run = run_job}};
    struct job killer = {.task = {.run = run_job}, .victim = &victim};
    dx_loop_again(loop, &own.task);
    dx_task_cancel(&own.task);
    dx_task_cancel(&own.task);
    dx_loop_again(loop, &killer.task);
    dx_loop_again(loop, &victim.task); /* in the same turn, behind the one that cancels it */
    run(QUIET_MS);
    ck_assert_uint_eq(own.runs, 0);
    ck_assert_uint_eq(killer.runs, 1);
    ck_assert_uint_eq(victim.runs, 0);
}
END_TEST

/* A task that puts itself in for ever must not starve the sockets. */
static void run_for_ever(struct dx_task *t) { dx_loop_again(loop, t); }

START_TEST(sockets_have_their_turn_between_tasks)
{
    struct dx_task busy = {.run = run_for_ever};
    struct seen s = {.watch = {.on_event = on_event}};
    unsigned calls;
    ck_assert(dx_watch_start_edge(loop, &s.watch, pair[0]));
    dx_loop_again(loop, &busy);
    put("x");
    ck_assert_uint_eq(told(&s, &calls) & DX_READ, DX_READ);
    dx_task_cancel(&busy);
    dx_watch_stop(&s.watch);
}
END_TEST

/* --- graves --- */

struct mortal {
    struct dx_watch watch;
    struct dx_grave grave;
    unsigned value;
};
static unsigned buried, buried_during_callback;

static void bury(struct dx_grave *g)
{
    buried++;
    free(DX_CONTAINER(g, struct mortal, grave));
}

static void die(struct dx_watch *w, unsigned what)
{
    struct mortal *m = DX_CONTAINER(w, struct mortal, watch);
    (void)what;
    dx_watch_stop(w);
    dx_loop_bury(loop, &m->grave);
    buried_during_callback = buried;
    m->value = 1; /* it is still there: address sanitizer would tell */
}

static struct mortal *mortal_new(void)
{
    struct mortal *m = calloc(1, sizeof(*m));
    ck_assert_ptr_nonnull(m);
    m->watch.on_event = die;
    m->grave.bury = bury;
    return m;
}

START_TEST(a_grave_is_buried_when_the_callback_has_returned)
{
    struct mortal *m = mortal_new();
    buried = 0;
    ck_assert(dx_watch_start_edge(loop, &m->watch, pair[0]));
    run(QUIET_MS);
    ck_assert_uint_eq(buried_during_callback, 0);
    ck_assert_uint_eq(buried, 1);
}
END_TEST

START_TEST(graves_left_over_are_buried_with_the_loop)
{
    buried = 0;
    dx_loop_bury(loop, &mortal_new()->grave);
    dx_loop_bury(loop, &mortal_new()->grave);
    ck_assert_uint_eq(buried, 0);
    dx_loop_free(&loop);
    ck_assert_uint_eq(buried, 2);
}
END_TEST

/* --- signals --- */

static int got_signal;

static void on_signal(struct dx_signal *s, int number)
{
    got_signal = number;
    dx_loop_stop(s->loop);
}

START_TEST(a_signal_is_an_event)
{
    struct dx_signal s = {.on_signal = on_signal};
    ck_assert(dx_signal_start(loop, &s, SIGUSR1));
    ck_assert_int_eq(raise(SIGUSR1), 0);
    dx_loop_run(loop);
    ck_assert_int_eq(got_signal, SIGUSR1);
    got_signal = 0;
    ck_assert_int_eq(raise(SIGUSR1), 0);
    dx_loop_run(loop);
    ck_assert_int_eq(got_signal, SIGUSR1);
    dx_signal_stop(&s);
    dx_signal_stop(&s);
}
END_TEST

/* --- turns --- */

#define WORK_US 3000

struct work {
    struct dx_task task;
    unsigned left;
};

static void work(struct dx_task *t)
{
    struct work *w = DX_CONTAINER(t, struct work, task);
    for (uint64_t start = dx_clock_us(); dx_clock_us() - start < WORK_US;)
        continue;
    if (--w->left > 0)
        dx_loop_again(loop, t);
}

START_TEST(turns_are_timed_without_the_waiting)
{
    static _Atomic uint64_t longest_us, long_n;
    struct work w = {.task = {.run = work}, .left = 2};
    dx_loop_time_turns(loop, &(struct dx_loop_turns){.longest_us = &longest_us, .long_n = &long_n});
    run(500);
    ck_assert_uint_lt(longest_us, 400000); /* it has waited longer than that */
    dx_loop_again(loop, &w.task);
    run(QUIET_MS);
    ck_assert_uint_eq(w.left, 0);
    ck_assert_uint_ge(longest_us, WORK_US);
    ck_assert_uint_ge(long_n, 2);
    uint64_t longest = longest_us;
    run(QUIET_MS);
    ck_assert_uint_ge(longest_us, longest);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop");
    TCase *c = tcase_create("loop");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, an_edge_is_told_once);
    tcase_add_test(c, a_half_closed_side_is_hung_up);
    tcase_add_test(c, a_closed_side_is_hung_up);
    tcase_add_test(c, a_level_is_told_until_it_is_read);
    tcase_add_test(c, a_watch_can_be_started_with_another_set);
    tcase_add_test(c, a_watch_that_never_started_can_be_stopped);
    tcase_add_test(c, a_stopped_watch_is_not_told_what_was_ready);
    tcase_add_test(c, time_stands_still_in_a_callback);
    tcase_add_test(c, a_task_runs_once_for_each_time_it_is_put_in);
    tcase_add_test(c, a_cancelled_task_does_not_run);
    tcase_add_test(c, sockets_have_their_turn_between_tasks);
    tcase_add_test(c, a_grave_is_buried_when_the_callback_has_returned);
    tcase_add_test(c, graves_left_over_are_buried_with_the_loop);
    tcase_add_test(c, a_signal_is_an_event);
    tcase_add_test(c, turns_are_timed_without_the_waiting);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
