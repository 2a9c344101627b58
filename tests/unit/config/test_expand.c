/* SPDX-License-Identifier: MIT */
/* Variables in texts. */
#include "support.h"

#include <unistd.h>

static const struct row {
    const char *written, *becomes;
} rows[] = {
    {"plain", "plain"},
    {"${PORT}", "8123"},
    {"a${PORT}b${PORT}", "a8123b8123"},
    {"${NOPE:-x}", "x"},
    {"${NOPE-x}", "x"},
    {"${EMPTY:-x}", "x"},
    {"a${EMPTY-x}", "a"},
    {"a${EMPTY}", "a"},
    {"${PORT:-x}", "8123"},
    {"${PORT:?must be}", "8123"},
    {"a${EMPTY?must be}", "a"},
    {"${NOPE:-:8080}", ":8080"},
    {"a${NOPE:-}", "a"},
    {"${NOPE:-${PORT}}", "8123"},
    {"${NOPE:-${ALSO:-<${PORT}>}}", "<8123>"},
    {"${NOPE:-{}}", "{}"}, /* the first brace closes, the second is text */
    {"$$", "$"},
    {"$${PORT}", "${PORT}"},
    {"$$$$", "$$"},
    {"${NOPE:-$$}", "$"},
    {"${NOPE:-$${x}", "${x"},
    {"${DOLLAR}", "a$b${c}"}, /* what a variable holds is not looked at again */
    {"${_a1:-under}", "under"},
};

START_TEST(becomes)
{
    static const char *const quotes[] = {"\"", "'"};
    for (size_t i = 0; i < DX_COUNT(quotes); i++) {
        struct dx_text t;
        dx_text_init(&t);
        dx_text_addf(&t, "routes: {/: 'wsgi://w:1'}\nuser: %s%s%s\n", quotes[i], rows[_i].written, quotes[i]);
        struct dx_config *c = must_parse_slice(dx_slice_of(t.p, t.n));
        ck_assert_str_eq(c->user, rows[_i].becomes);
        dx_config_free(&c);
        dx_text_fini(&t);
    }
}
END_TEST

START_TEST(everywhere_but_in_keys)
{
    struct dx_config *c = must_parse(
        "listen: ${LISTEN:-:8080}\nworkers: ${N:-3}\npools:\n  async: {kind: \"${K:-asgi}\", servers: "
        "[\"w:${PORT}\"], health: \"/${POOL}/up\"}\nroutes:\n  /$x/: ${POOL}\n  /${y}/: ${POOL}\n");
    ck_assert_str_eq(c->listen[0].text, ":8080");
    ck_assert_uint_eq(c->workers, 3);
    ck_assert_uint_eq(c->pools[0].servers[0].port, 8123);
    ck_assert_str_eq(c->pools[0].health.path, "/async/up");
    ck_assert_str_eq(c->routes[0].path, "/$x/");
    ck_assert_str_eq(c->routes[1].path, "/${y}/");
    dx_config_free(&c);
}
END_TEST

START_TEST(what_nobody_reads_is_not_asked_for)
{
    struct dx_config *c = must_parse("x-a: ${NOPE}\nroutes: {/: 'wsgi://w:1'}\n");
    dx_config_free(&c);
}
END_TEST

START_TEST(the_admin_socket_follows_the_environment)
{
    const char *env[] = {"XDG_RUNTIME_DIR=/run/user/7", NULL};
    struct dx_config_faults faults = {0};
    struct dx_config *c =
        dx_config_parse(DX_SLICE("routes: {/: 'wsgi://w:1'}\n"), "f", test_env, env, &faults);
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->admin.socket, geteuid() == 0 ? "/run/diplex/admin.sock" : "/run/user/7/diplex/admin.sock");
    dx_config_free(&c);
}
END_TEST

/* Without an environment every variable is unset. */
START_TEST(no_environment)
{
    struct dx_config_faults faults = {0};
    struct dx_config *c = dx_config_parse(DX_SLICE("user: \"${PORT:-none}\"\nroutes: {/: 'wsgi://w:1'}\n"),
                                          "f", NULL, NULL, &faults);
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->user, "none");
    dx_config_free(&c);
}
END_TEST

START_TEST(nested_too_deep_or_too_long)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "routes: {/: 'wsgi://w:1'}\nuser: '");
    for (unsigned i = 0; i < 20; i++)
        dx_text_addf(&t, "${N%u:-", i);
    for (unsigned i = 0; i < 20; i++)
        dx_text_adds(&t, "}");
    dx_text_adds(&t, "'\nbuffer: {path: '/");
    for (unsigned i = 0; i < 20000; i++)
        dx_text_adds(&t, "${PORT}");
    dx_text_adds(&t, "'}\n");
    struct dx_config_faults faults = {0};
    const struct dx_config *c = dx_config_parse(dx_slice_of(t.p, t.n), "f", test_env, NULL, &faults);
    ck_assert_ptr_null(c);
    ck_assert_uint_eq(faults.n, 2);
    ck_assert_ptr_nonnull(strstr(faults.at[0].text, "nested too deep"));
    ck_assert_ptr_nonnull(strstr(faults.at[1].text, "longer than 64KB"));
    dx_config_faults_fini(&faults);
    dx_text_fini(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config variables");
    TCase *tc = tcase_create("variables");
    tcase_add_loop_test(tc, becomes, 0, (int)DX_COUNT(rows));
    tcase_add_test(tc, everywhere_but_in_keys);
    tcase_add_test(tc, what_nobody_reads_is_not_asked_for);
    tcase_add_test(tc, the_admin_socket_follows_the_environment);
    tcase_add_test(tc, no_environment);
    tcase_add_test(tc, nested_too_deep_or_too_long);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
