/* SPDX-License-Identifier: MIT */
/* How often a hint is said, also by many threads at once; and that docs/operations.md has the table as it is.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/hint.h"

#define DOC      DIPLEX_SOURCE_DIR "/docs/operations.md"
#define THREADS  4
#define EACH     5000
#define EVERY_MS 60000

START_TEST(once_in_a_while_with_the_count)
{
    struct dx_hint_gate g = {0};
    uint64_t times = 99;

    ck_assert(dx_hint_due(&g, 5, EVERY_MS, &times));
    ck_assert_uint_eq(times, 1);
    times = 99;
    for (uint64_t i = 0; i < 100; i++)
        ck_assert(!dx_hint_due(&g, 5 + i, EVERY_MS, &times));
    ck_assert(!dx_hint_due(&g, 4 + EVERY_MS, EVERY_MS, &times));
    ck_assert_uint_eq(times, 99);
    ck_assert(dx_hint_due(&g, 5 + EVERY_MS, EVERY_MS, &times));
    ck_assert_uint_eq(times, 102);
    ck_assert(!dx_hint_due(&g, 6 + EVERY_MS, EVERY_MS, &times));
}
END_TEST

START_TEST(a_clock_a_little_behind)
{
    struct dx_hint_gate g = {0};
    uint64_t times;

    ck_assert(dx_hint_due(&g, 1000, EVERY_MS, &times));
    ck_assert(!dx_hint_due(&g, 999, EVERY_MS, &times));
    ck_assert(!dx_hint_due(&g, 0, EVERY_MS, &times));
}
END_TEST

START_TEST(never)
{
    struct dx_hint_gate g = {0};
    uint64_t times;

    for (uint64_t i = 0; i < 10; i++)
        ck_assert(!dx_hint_due(&g, i * EVERY_MS, 0, &times));
    ck_assert(dx_hint_due(&g, 1, 1, &times));
    ck_assert_uint_eq(times, 11);
}
END_TEST

struct visitor {
    pthread_t thread;
    struct dx_hint_gate *gate;
    uint64_t lines, times;
};

static void *visit(void *arg)
{
    struct visitor *v = arg;
    uint64_t times;
    for (uint64_t i = 0; i < EACH; i++) {
        if (dx_hint_due(v->gate, 1 + i / 1000 * EVERY_MS, EVERY_MS, &times)) {
            v->lines++;
            v->times += times;
        }
    }
    return NULL;
}

START_TEST(many_threads_say_it_once)
{
    struct dx_hint_gate g = {0};
    struct visitor visitors[THREADS] = {{0}};
    uint64_t lines = 0, times = 0, last;

    for (unsigned i = 0; i < THREADS; i++) {
        visitors[i].gate = &g;
        ck_assert_int_eq(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(visitors[i].thread, NULL), 0);
        lines += visitors[i].lines;
        times += visitors[i].times;
    }
    ck_assert_uint_le(lines, EACH / 1000);
    ck_assert_uint_ge(lines, 1);
    ck_assert(dx_hint_due(&g, UINT64_MAX / 2, EVERY_MS, &last));
    ck_assert_uint_eq(times + last, THREADS * EACH + 1); /* none is lost */
}
END_TEST

START_TEST(the_manual)
{
    static char doc[256 * 1024];
    struct dx_text table;
    FILE *f = fopen(DOC, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(doc, 1, sizeof(doc) - 1, f);
    (void)fclose(f);
    doc[n] = '\0';
    dx_text_init(&table);
    dx_hint_print(&table);
    dx_text_adds(&table, "<!-- /hints -->");
    const char *from = strstr(doc, "<!-- hints -->\n");
    bool same = from && strncmp(from + strlen("<!-- hints -->\n"), table.p, table.n) == 0;
    if (!same)
        (void)fprintf(stderr, "between <!-- hints --> and <!-- /hints --> there should be:\n%s\n", table.p);
    dx_text_fini(&table);
    ck_assert_msg(same, "%s differs from include/diplex/hints.def", DOC);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate");
    TCase *c = tcase_create("gate");
    tcase_add_test(c, once_in_a_while_with_the_count);
    tcase_add_test(c, a_clock_a_little_behind);
    tcase_add_test(c, never);
    tcase_add_test(c, many_threads_say_it_once);
    tcase_add_test(c, the_manual);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
