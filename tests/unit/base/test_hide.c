/* SPDX-License-Identifier: MIT */
/* What is shown of texts that hold secrets, and that nothing else is changed. */
#include "diplex/base/hide.h"

#include <check.h>
#include <stdlib.h>

struct row {
    const char *text, *shown;
};

static void show(const struct row *r)
{
    char buf[256];
    struct dx_out o = dx_out_of(buf, sizeof buf);
    dx_hide(&o, dx_slice_str(r->text));
    struct dx_slice got = dx_out_slice(&o);
    ck_assert_msg(!o.overflow && dx_slice_eq(got, dx_slice_str(r->shown)), "%s: %.*s", r->text,
                  DX_SLICE_ARGS(got));
}

START_TEST(secrets_are_hidden)
{
    static const struct row rows[] = {
        {"/?token=abc", "/?token=***"},
        {"/a?x=1&access_token=abc&y=2", "/a?x=1&access_token=***&y=2"},
        {"/a?PassWord=abc;y=2", "/a?PassWord=***;y=2"},
        {"/s3?X-Amz-Signature=00ff&X-Amz-Credential=AK%2F1", "/s3?X-Amz-Signature=***&X-Amz-Credential=***"},
        {"/back?code=1&state=2", "/back?code=***&state=2"},
        {"/?token=a=b=c", "/?token=***"},
        {"/?token=a?b", "/?token=***"},
        {"/?a=1?token=b", "/?a=1?token=***"},
        {"/#access_token=abc", "/#access_token=***"},
        {"http://user:word@host/a?key=b#c", "http://***@host/a?key=***#c"},
        {"wsgi://user:w@rd@host:80", "wsgi://***@host:80"},
        {"said 'http://me@a/' and \"http://me@b/\"", "said 'http://***@a/' and \"http://***@b/\""},
        {"?sessionid=1", "?sessionid=***"},
        {"/?csrfmiddlewaretoken=1 HTTP", "/?csrfmiddlewaretoken=*** HTTP"},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++)
        show(&rows[i]);
}
END_TEST

START_TEST(the_rest_is_left_alone)
{
    static const struct row rows[] = {
        {"", ""},
        {"/", "/"},
        {"/token=abc", "/token=abc"}, /* a path */
        {"/?token", "/?token"},
        {"/?token=", "/?token="},
        {"/?token=&a=b", "/?token=&a=b"},
        {"/?page=2&monkey=yes&author=me", "/?page=2&monkey=yes&author=me"},
        {"http://host/a@b", "http://host/a@b"},
        {"http://host?a@b", "http://host?a@b"},
        {"a://", "a://"},
        {"/?&&;;=&=", "/?&&;;=&="},
        {"me@host", "me@host"},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++)
        show(&rows[i]);
}
END_TEST

START_TEST(logins_in_a_file_are_hidden)
{
    static const struct row rows[] = {
        {"servers: [me:word@web:8000, \"you:w@rd@web\"]", "servers: [***@web:8000, \"***@web\"]"},
        {"/: wsgi://me:word@web:1", "/: wsgi://***@web:1"},
        {"a: b@c", "a: b@c"},
        {"a: :@c", "a: :@c"},
        {"web:8000", "web:8000"},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char buf[256];
        struct dx_out o = dx_out_of(buf, sizeof buf);
        dx_hide_line(&o, dx_slice_str(rows[i].text));
        struct dx_slice got = dx_out_slice(&o);
        ck_assert_msg(dx_slice_eq(got, dx_slice_str(rows[i].shown)), "%.*s", DX_SLICE_ARGS(got));
    }
}
END_TEST

START_TEST(what_does_not_fit_is_cut)
{
    static const char text[] = "/?token=abc&a=b";
    char buf[sizeof text + 4];
    for (size_t n = 0; n < sizeof text; n++) {
        memset(buf, '!', sizeof buf);
        struct dx_out o = dx_out_of(buf, n);
        dx_hide(&o, dx_slice_str(text));
        ck_assert_int_eq(o.overflow, n < sizeof text - 1);
        ck_assert_int_eq(buf[n], '!');
        ck_assert(dx_slice_eq(dx_out_slice(&o), dx_slice_of("/?token=***&a=b", n < 15 ? n : 15)));
    }
}
END_TEST

/* Zeroes and all. */
START_TEST(any_bytes_may_come)
{
    unsigned seed = 1;
    char in[64], out[256];
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(seed = seed * 1103515245u + 12345u) % sizeof in;
        for (size_t i = 0; i < n; i++)
            in[i] = "?&;#=:/@ pwd\0\"\xff"[(seed = seed * 1103515245u + 12345u) / 65536 % 16];
        struct dx_out o = dx_out_of(out, sizeof out);
        dx_hide(&o, dx_slice_of(in, n));
        ck_assert(!o.overflow);
        o = dx_out_of(out, 2 * n + 8); /* as much as faults of a configuration reckon with */
        dx_hide_line(&o, dx_slice_of(in, n));
        ck_assert(!o.overflow);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hide");
    TCase *t = tcase_create("hide");
    tcase_add_test(t, secrets_are_hidden);
    tcase_add_test(t, the_rest_is_left_alone);
    tcase_add_test(t, logins_in_a_file_are_hidden);
    tcase_add_test(t, what_does_not_fit_is_cut);
    tcase_add_test(t, any_bytes_may_come);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
