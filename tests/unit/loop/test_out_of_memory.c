/* SPDX-License-Identifier: MIT */
/* A loop without memory: what was to run runs all the same, and what cannot be watched is said to be so. */
#include <check.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "diplex/loop.h"
#include "failing.h"

#define HEAP_FIRST 8 /* timers that libevent makes room for at once */

static struct dx_loop *loop;
static struct dx_timer timers[HEAP_FIRST + 1], end;
static unsigned rang;

static void on_rang(struct dx_timer *t)
{
    (void)t;
    rang++;
}

static void on_end(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void on_task(struct dx_task *t)
{
    (void)t;
    dx_loop_stop(loop);
}

/* As many timers as there is room for. */
static void fill(uint64_t ms)
{
    for (size_t i = 0; i < HEAP_FIRST; i++) {
        timers[i].on_due = on_rang;
        dx_timer_set(loop, &timers[i], ms);
    }
}

static void clear(void)
{
    for (size_t i = 0; i <= HEAP_FIRST; i++)
        dx_timer_clear(&timers[i]);
}

static void without_memory(void)
{
    failing_at(1);
    (void)failing_watch(true);
}

static void with_memory(void)
{
    (void)failing_watch(false);
    ck_assert(failing_has_failed());
}

START_TEST(no_loop)
{
    unsigned n = 1;
    for (;; n++) {
        failing_at(n);
        (void)failing_watch(true);
        struct dx_loop *l = dx_loop_new();
        (void)failing_watch(false);
        ck_assert((l == NULL) == failing_has_failed());
        if (l == NULL)
            continue;
        dx_loop_free(&l);
        break;
    }
    ck_assert_uint_gt(n, 3);
}
END_TEST

START_TEST(a_timer)
{
    fill(60000);
    timers[HEAP_FIRST].on_due = on_rang;
    without_memory();
    dx_timer_set(loop, &timers[HEAP_FIRST], 10);
    with_memory();
    end.on_due = on_end;
    dx_timer_set(loop, &end, 40);
    dx_loop_run(loop);
    ck_assert_uint_eq(rang, 1);
    clear();
}
END_TEST

START_TEST(a_timer_that_is_cleared_or_set_anew)
{
    fill(60000);
    timers[HEAP_FIRST].on_due = on_rang;
    for (int anew = 0; anew < 2; anew++) {
        rang = 0;
        without_memory();
        dx_timer_set(loop, &timers[HEAP_FIRST], 5);
        with_memory();
        if (anew)
            dx_timer_set(loop, &timers[HEAP_FIRST], 60000);
        else
            dx_timer_clear(&timers[HEAP_FIRST]);
        end.on_due = on_end;
        dx_timer_set(loop, &end, 30);
        dx_loop_run(loop);
        ck_assert_uint_eq(rang, 0);
        dx_timer_clear(&timers[HEAP_FIRST]);
        dx_timer_clear(&end);
        dx_loop_free(&loop); /* the heap has grown */
        loop = dx_loop_new();
        for (size_t i = 0; i < HEAP_FIRST; i++)
            timers[i].set = false;
        fill(60000);
    }
    clear();
}
END_TEST

START_TEST(a_task)
{
    struct dx_task task = {.run = on_task};
    fill(60000);
    without_memory();
    dx_loop_again(loop, &task);
    with_memory();
    dx_loop_run(loop); /* until it has run */
    dx_loop_again(loop, &task);
    dx_loop_run(loop);
    clear();
}
END_TEST

static void on_event(struct dx_watch *w, unsigned what)
{
    (void)w, (void)what;
    dx_loop_stop(loop);
}

START_TEST(a_watch)
{
    struct dx_watch w = {.on_event = on_event};
    int fd = eventfd(1, EFD_NONBLOCK);
    without_memory();
    ck_assert(!dx_watch_start_level(loop, &w, fd));
    with_memory();
    dx_watch_stop(&w);
    ck_assert(dx_watch_start_level(loop, &w, fd));
    dx_loop_run(loop);
    dx_watch_stop(&w);
    close(fd);
}
END_TEST

static void setup(void)
{
    failing_libevent();
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
}

static void teardown(void) { dx_loop_free(&loop); }

int main(void)
{
    const TTest *tests[] = {no_loop, a_timer, a_timer_that_is_cleared_or_set_anew, a_task, a_watch};
    Suite *s = suite_create("out of memory");
    TCase *c = tcase_create("loop");
    tcase_add_checked_fixture(c, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
