/* SPDX-License-Identifier: MIT */
/*
 * docs/configuration.md and config/diplex.schema.json are what the table makes: this fails when they differ,
 * and `diplex manual` and `diplex schema` write them anew.
 */
#include "support.h"

#include "config/table.h"

static void check_same(const char *name, void (*make)(struct dx_text *out))
{
    struct dx_slice committed = read_file(name);
    struct dx_text t;
    dx_text_init(&t);
    make(&t);
    ck_assert(!t.failed);
    size_t at = 0;
    while (at < t.n && at < committed.n && t.p[at] == committed.p[at])
        at++;
    ck_assert_msg(at == t.n && at == committed.n,
                  "%s differs from the table at byte %zu: '%.60s' is not '%.60s'", name, at, committed.p + at,
                  t.p + at);
    dx_text_fini(&t);
    free((void *)(uintptr_t)committed.p);
}

START_TEST(the_manual) { check_same("docs/configuration.md", dx_config_manual); }
END_TEST
START_TEST(the_schema) { check_same("config/diplex.schema.json", dx_config_schema); }
END_TEST

/* A value of JSON at p: the end of it, or NULL. Strings without checking their escapes. */
static const char *skip_json(const char *p, unsigned depth);

static const char *blanks(const char *p) { return p + strspn(p, " \n"); }

static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
    }
    return *p ? p + 1 : NULL;
}

static const char *skip_members(const char *p, char close, unsigned depth)
{
    p = blanks(p + 1);
    if (*p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            p = *p == '"' ? skip_string(p) : NULL;
            p = p ? blanks(p) : NULL;
            if (!p || *p != ':')
                return NULL;
            p = blanks(p + 1);
        }
        p = skip_json(p, depth + 1);
        p = p ? blanks(p) : NULL;
        if (!p || (*p != ',' && *p != close))
            return NULL;
        if (*p == close)
            return p + 1;
        p = blanks(p + 1);
    }
}

static const char *skip_json(const char *p, unsigned depth)
{
    if (depth > 32)
        return NULL;
    if (*p == '{' || *p == '[')
        return skip_members(p, *p == '{' ? '}' : ']', depth);
    if (*p == '"')
        return skip_string(p);
    size_t n = strspn(p, "0123456789truefalsn");
    return n ? p + n : NULL;
}

START_TEST(the_schema_is_json)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_config_schema(&t);
    const char *end = skip_json(t.p, 0);
    ck_assert_ptr_nonnull(end);
    ck_assert_str_eq(end, "\n");
    dx_text_fini(&t);
}
END_TEST

/* Each key is in both, and no sentence breaks the manual's tables. */
START_TEST(every_key_is_told)
{
    struct dx_text manual, schema;
    char row[128];
    dx_text_init(&manual);
    dx_text_init(&schema);
    dx_config_manual(&manual);
    dx_config_schema(&schema);
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        ck_assert_ptr_null(strpbrk(s->sentence, "|\n"));
        (void)snprintf(row, sizeof row, "\n| `%s` | ", s->key);
        ck_assert_ptr_nonnull(strstr(manual.p, row));
        (void)snprintf(row, sizeof row, "\"%s\": {\n          \"description\"", s->key);
        ck_assert_ptr_nonnull(strstr(schema.p, row));
    }
    dx_text_fini(&manual);
    dx_text_fini(&schema);
}
END_TEST

/* config/examples/long.yaml is where people look things up: it shows every key. */
START_TEST(the_long_example_has_every_key)
{
    struct dx_slice text = read_file("config/examples/long.yaml");
    char key[64];
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        (void)snprintf(key, sizeof key, " %s:", dx_config_settings[i].key);
        bool indented = strstr(text.p, key) != NULL;
        key[0] = '\n';
        ck_assert_msg(indented || strstr(text.p, key), "no '%s'", dx_config_settings[i].key);
    }
    free((void *)(uintptr_t)text.p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config generated");
    TCase *tc = tcase_create("generated");
    tcase_add_test(tc, the_manual);
    tcase_add_test(tc, the_schema);
    tcase_add_test(tc, the_schema_is_json);
    tcase_add_test(tc, every_key_is_told);
    tcase_add_test(tc, the_long_example_has_every_key);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
