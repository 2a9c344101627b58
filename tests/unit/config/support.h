/* SPDX-License-Identifier: MIT */
/* What the tests of the configuration share: parsing under a small environment, and what the faults say. */
#ifndef DIPLEX_TEST_CONFIG_SUPPORT_H
#define DIPLEX_TEST_CONFIG_SUPPORT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/config.h"

/* The environment of the tests, as NAME=value. */
static const char *const test_environment[] = {"PORT=8123", "EMPTY=",  "POOL=async", "DOLLAR=a$b${c}",
                                               "BAD=\xff",  "BELL=\a", NULL};

static inline const char *test_env(const char *name, void *arg)
{
    const char *const *all = arg ? arg : test_environment;
    for (; *all; all++) {
        size_t n = strlen(name);
        if (strncmp(*all, name, n) == 0 && (*all)[n] == '=')
            return *all + n + 1;
    }
    return NULL;
}

static inline void print_faults(const struct dx_config_faults *faults, struct dx_slice text)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_config_faults_print(faults, text, "test.yaml", &t);
    (void)fprintf(stderr, "%s", t.n ? t.p : "");
    dx_text_fini(&t);
}

/* A model, or the test fails with its faults. */
static inline struct dx_config *must_parse_slice(struct dx_slice text)
{
    struct dx_config_faults faults = {0};
    struct dx_config *c = dx_config_parse(text, "test.yaml", test_env, NULL, &faults);
    if (!c)
        print_faults(&faults, text);
    ck_assert_ptr_nonnull(c);
    ck_assert_uint_eq(faults.n, 0);
    dx_config_faults_fini(&faults);
    return c;
}

static inline struct dx_config *must_parse(const char *text) { return must_parse_slice(dx_slice_str(text)); }

/* The file's content, terminated; the caller frees p. */
static inline struct dx_slice read_file(const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", DIPLEX_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    char *p = malloc(1 << 20);
    ck_assert_ptr_nonnull(p);
    size_t n = fread(p, 1, (1 << 20) - 1, f);
    (void)fclose(f);
    p[n] = '\0';
    return dx_slice_of(p, n);
}

/* Runs one suite; the exit status of the program. */
static inline int run_suite(Suite *s)
{
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
