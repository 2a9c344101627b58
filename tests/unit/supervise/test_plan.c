/* SPDX-License-Identifier: MIT */
/* A plan from a file: where the text comes from, what its faults look like, what probes call the host. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "supervise/control.h"

static char directory[] = "/tmp/diplex-plan-XXXXXX";
static struct dx_text report;
static struct dx_err err;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    dx_text_init(&report);
    err.text[0] = '\0';
}

static void teardown(void)
{
    dx_text_fini(&report);
    unlink("diplex.yaml");
    unlink("other.yaml");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(directory), 0);
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(without_a_file_it_is_built_in)
{
    struct plan *p = plan_read(NULL, &report, &err);
    ck_assert_ptr_nonnull(p);
    /* A file in /etc would be a default too, on a machine where diplex is installed. */
    if (access("/etc/diplex/diplex.yaml", F_OK) != 0)
        ck_assert_str_eq(p->source.name, "(built in)");
    ck_assert_uint_ge(p->config->pools_n, 1);
    plan_free(&p);
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(the_file_of_this_directory_comes_first)
{
    write_file("diplex.yaml", "routes:\n  /: asgi://127.0.0.1:1\n");
    struct plan *p = plan_read(NULL, &report, &err);
    ck_assert_ptr_nonnull(p);
    ck_assert_str_eq(p->source.name, "diplex.yaml");
    ck_assert_uint_eq(p->config->routes_n, 1);
    plan_free(&p);
}
END_TEST

START_TEST(a_named_file_is_taken_or_nothing)
{
    write_file("diplex.yaml", "routes:\n  /: asgi://127.0.0.1:1\n");
    ck_assert_ptr_null(plan_read("other.yaml", &report, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "other.yaml"));
    ck_assert_ptr_nonnull(strstr(report.p, "No such file"));
}
END_TEST

START_TEST(faults_are_counted_in_one_line_and_shown_in_full)
{
    write_file("other.yaml", "lisen: 1\nroutes:\n  /: nowhere\n");
    ck_assert_ptr_null(plan_read("other.yaml", &report, &err));
    ck_assert_ptr_eq(strstr(err.text, "other.yaml:1:1: "), err.text);
    ck_assert_ptr_nonnull(strstr(err.text, "more)"));
    ck_assert_ptr_nonnull(strstr(report.p, "other.yaml:1:1: error: "));
    ck_assert_ptr_nonnull(strstr(report.p, "other.yaml:3:"));
}
END_TEST

static const char *host_of(const struct plan *p, const char *pool)
{
    for (unsigned i = 0; i < p->config->pools_n; i++)
        if (strcmp(p->pools[i].pool.name, pool) == 0)
            return p->pools[i].pool.health.host;
    return NULL;
}

START_TEST(probes_speak_as_the_first_client_would)
{
    write_file("other.yaml", "pools:\n"
                             "  hosted: {kind: wsgi, servers: [web:1]}\n"
                             "  starred: {kind: wsgi, servers: [web:2]}\n"
                             "  bare: {kind: asgi, servers: [web:3]}\n"
                             "  told: {kind: asgi, servers: [web:4], health: {path: /h, host: told.test}}\n"
                             "routes:\n"
                             "  \"*.example.com/\": hosted\n"
                             "  \"shop.example.com/\": hosted\n"
                             "  \"*.example.org/\": starred\n"
                             "  /told/: told\n"
                             "  /: bare\n");
    struct plan *p = plan_read("other.yaml", &report, &err);
    ck_assert_msg(p != NULL, "%s", report.p ? report.p : "");
    ck_assert_str_eq(host_of(p, "hosted"), "shop.example.com");
    ck_assert_str_eq(host_of(p, "starred"), "localhost");
    ck_assert_str_eq(host_of(p, "bare"), "localhost");
    ck_assert_str_eq(host_of(p, "told"), "told.test");
    plan_free(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tc = tcase_create("plan");
    const TTest *const tests[] = {
        without_a_file_it_is_built_in,          the_file_of_this_directory_comes_first,
        a_named_file_is_taken_or_nothing,       faults_are_counted_in_one_line_and_shown_in_full,
        probes_speak_as_the_first_client_would,
    };
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
