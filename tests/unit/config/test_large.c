/* SPDX-License-Identifier: MIT */
/* Ten thousand routes are read in no time, and small files that stand for huge ones are refused in no more.
 */
#include "support.h"

#include <time.h>

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Generous, for sanitizers on a busy machine; what is quadratic takes minutes. */
#define LIMIT_SECONDS 2.0

START_TEST(ten_thousand_routes)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "pools:\n  sync: wsgi://w:1\n  async: asgi://w:2\nroutes:\n  /: sync\n");
    for (unsigned i = 0; i < 10000; i++)
        dx_text_addf(&t, "  /tenant/%u/: %s\n", i, i % 2 ? "async" : "sync");
    double start = seconds();
    struct dx_config *c = must_parse_slice(dx_slice_of(t.p, t.n));
    double took = seconds() - start;
    ck_assert_uint_eq(c->routes_n, 10001);
    ck_assert_str_eq(c->routes[10000].path, "/tenant/9999/");
    ck_assert_uint_eq(c->routes[10000].pool, 1);
    ck_assert_msg(took < LIMIT_SECONDS, "%.3f s", took);
    dx_config_free(&c);
    dx_text_fini(&t);
}
END_TEST

static void must_refuse(const struct dx_text *t, const char *why)
{
    struct dx_config_faults faults = {0};
    double start = seconds();
    const struct dx_config *c = dx_config_parse(dx_slice_of(t->p, t->n), "f", test_env, NULL, &faults);
    double took = seconds() - start;
    ck_assert_ptr_null(c);
    ck_assert_msg(strstr(faults.at[0].text, why) != NULL, "%s", faults.at[0].text);
    ck_assert_msg(took < LIMIT_SECONDS, "%.3f s", took);
    dx_config_faults_fini(&faults);
}

START_TEST(a_thousand_million_laughs)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "x-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (unsigned i = 1; i < 10; i++) {
        dx_text_addf(&t, "x-%u: &a%u [", i, i);
        for (unsigned k = 0; k < 10; k++)
            dx_text_addf(&t, "%s*a%u", k ? ", " : "", i - 1);
        dx_text_adds(&t, "]\n");
    }
    dx_text_adds(&t, "routes: {/: 'wsgi://w:1'}\n");
    must_refuse(&t, "stands for more than 1000000 values");
    dx_text_fini(&t);
}
END_TEST

START_TEST(merges_count_too)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "x-base: &base\n");
    for (unsigned i = 0; i < 2000; i++)
        dx_text_addf(&t, "  k%u: v\n", i);
    dx_text_adds(&t, "x-all:\n");
    for (unsigned i = 0; i < 2000; i++)
        dx_text_adds(&t, "  - <<: *base\n");
    must_refuse(&t, "stands for more than 1000000 values");
    dx_text_fini(&t);
}
END_TEST

START_TEST(deep)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "x-a: ");
    for (unsigned i = 0; i < 900; i++)
        dx_text_adds(&t, "[");
    for (unsigned i = 0; i < 900; i++)
        dx_text_adds(&t, "]");
    must_refuse(&t, "nested more than 64 deep");
    dx_text_fini(&t);
}
END_TEST

START_TEST(too_many_pools_or_servers)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "routes:\n");
    for (unsigned i = 1; i <= 257; i++)
        dx_text_addf(&t, "  /%u/: wsgi://w:%u\n", i, i);
    must_refuse(&t, "more than 256 pools");
    dx_text_reset(&t);
    dx_text_adds(&t, "pools:\n  a:\n    kind: wsgi\n    servers:\n");
    for (unsigned i = 1; i <= 129; i++)
        dx_text_addf(&t, "      - w:%u\n", i);
    must_refuse(&t, "'servers' needs between 1 and 128 servers");
    dx_text_fini(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config large");
    TCase *tc = tcase_create("large");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, ten_thousand_routes);
    tcase_add_test(tc, a_thousand_million_laughs);
    tcase_add_test(tc, merges_count_too);
    tcase_add_test(tc, deep);
    tcase_add_test(tc, too_many_pools_or_servers);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
