/* SPDX-License-Identifier: MIT */
/* Methods, reason phrases, the table of characters and the table of field names. */
#include "diplex/http.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>

#include "diplex/http/chars.h"

START_TEST(methods_by_exact_name)
{
    static const struct {
        const char *name;
        enum dx_method id;
        bool safe, idempotent;
    } rows[] = {
        {"GET", DX_METHOD_GET, true, true},           {"HEAD", DX_METHOD_HEAD, true, true},
        {"POST", DX_METHOD_POST, false, false},       {"PUT", DX_METHOD_PUT, false, true},
        {"DELETE", DX_METHOD_DELETE, false, true},    {"OPTIONS", DX_METHOD_OPTIONS, true, true},
        {"PATCH", DX_METHOD_PATCH, false, false},     {"TRACE", DX_METHOD_TRACE, true, true},
        {"CONNECT", DX_METHOD_CONNECT, false, false}, {"get", DX_METHOD_OTHER, false, false},
        {"GETS", DX_METHOD_OTHER, false, false},      {"PROPFIND", DX_METHOD_OTHER, false, false},
        {"PURGE", DX_METHOD_OTHER, false, false},     {"", DX_METHOD_OTHER, false, false},
        {"Post", DX_METHOD_OTHER, false, false},      {"QUERY", DX_METHOD_OTHER, false, false},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        enum dx_method id = dx_http_method(dx_slice_str(rows[i].name));
        ck_assert_msg(id == rows[i].id, "%s", rows[i].name);
        ck_assert_msg(dx_http_method_safe(id) == rows[i].safe, "%s", rows[i].name);
        ck_assert_msg(dx_http_method_idempotent(id) == rows[i].idempotent, "%s", rows[i].name);
    }
}
END_TEST

START_TEST(reasons)
{
    ck_assert_str_eq(dx_http_reason(200), "OK");
    ck_assert_str_eq(dx_http_reason(404), "Not Found");
    ck_assert_str_eq(dx_http_reason(431), "Request Header Fields Too Large");
    ck_assert_str_eq(dx_http_reason(505), "HTTP Version Not Supported");
    ck_assert_str_eq(dx_http_reason(299), "");
    ck_assert_str_eq(dx_http_reason(0), "");
    ck_assert_str_eq(dx_http_reason(99999), "");
}
END_TEST

START_TEST(characters_follow_the_grammar)
{
    for (int c = 0; c < 256; c++) {
        bool alnum = c < 128 && isalnum(c);
        unsigned expected = 0;
        if (alnum || (c && strchr("!#$%&'*+-.^_`|~", c)))
            expected |= DX_CHAR_TOKEN;
        if (c > ' ' && c < 0x7f && c != '#')
            expected |= DX_CHAR_TARGET;
        if (alnum || c == '-' || c == '_')
            expected |= DX_CHAR_HOST;
        if (c == '\t' || (c >= ' ' && c != 0x7f))
            expected |= DX_CHAR_TEXT;
        if (c == '_')
            expected |= DX_CHAR_UNDERSCORE;
        ck_assert_msg(dx_http_char((char)c) == expected, "byte %d", c);
        ck_assert_int_eq((unsigned char)dx_http_lower((char)c), c < 128 ? tolower(c) : c);
    }
}
END_TEST

START_TEST(every_known_field_is_found_in_any_case)
{
    for (unsigned id = 1; id < DX_FIELD_COUNT; id++) {
        const char *name = dx_http_field_name((enum dx_field_id)id);
        size_t n = strlen(name);
        char upper[64], mixed[64];
        ck_assert(n > 0 && n < sizeof(upper));
        for (size_t i = 0; i < n; i++) {
            ck_assert_msg(!isupper((unsigned char)name[i]), "%s is not in lower case", name);
            upper[i] = (char)toupper((unsigned char)name[i]);
            mixed[i] = i % 2 ? upper[i] : name[i];
        }
        ck_assert_msg(dx_http_field_id(dx_slice_of(name, n)) == id, "%s has no slot in src/http/field.c",
                      name);
        ck_assert_uint_eq(dx_http_field_id(dx_slice_of(upper, n)), id);
        ck_assert_uint_eq(dx_http_field_id(dx_slice_of(mixed, n)), id);
    }
}
END_TEST

START_TEST(no_other_name_is_taken_for_a_known_one)
{
    for (unsigned id = 1; id < DX_FIELD_COUNT; id++) {
        struct dx_slice name = dx_slice_str(dx_http_field_name((enum dx_field_id)id));
        char copy[64];
        for (size_t i = 0; i < name.n; i++) { /* each byte replaced by each other one */
            for (int c = 0; c < 256; c++) {
                if (tolower(c) == name.p[i])
                    continue;
                memcpy(copy, name.p, name.n);
                copy[i] = (char)c;
                enum dx_field_id got = dx_http_field_id(dx_slice_of(copy, name.n));
                ck_assert_msg(got == DX_FIELD_OTHER, "%.*s is taken for %s", (int)name.n, copy,
                              dx_http_field_name(got));
            }
        }
        memcpy(copy, name.p, name.n);
        copy[name.n] = 's';
        ck_assert(dx_http_field_id(dx_slice_of(copy, name.n + 1)) == DX_FIELD_OTHER);
    }
    ck_assert(dx_http_field_id(DX_SLICE("")) == DX_FIELD_OTHER);
    ck_assert(dx_http_field_id(DX_SLICE("h")) == DX_FIELD_OTHER);
    ck_assert(dx_http_field_id(DX_SLICE("accept-ranges")) == DX_FIELD_OTHER);
    ck_assert(dx_http_field_id(DX_SLICE("content_length")) == DX_FIELD_OTHER);
    ck_assert_str_eq(dx_http_field_name(DX_FIELD_OTHER), "");
}
END_TEST

START_TEST(rules_of_fields)
{
    ck_assert_uint_eq(dx_http_field_rules(DX_FIELD_OTHER), 0);
    ck_assert(dx_http_field_rules(DX_FIELD_CONNECTION) & DX_RULE_HOP);
    ck_assert(dx_http_field_rules(DX_FIELD_X_FORWARDED_FOR) & DX_RULE_CLAIM);
    ck_assert(dx_http_field_rules(DX_FIELD_PROXY) & DX_RULE_STRIP_REQ);
    ck_assert(dx_http_field_rules(DX_FIELD_X_ACCEL_REDIRECT) & DX_RULE_STRIP_RES);
    ck_assert(dx_http_field_rules(DX_FIELD_CONTENT_LENGTH) & DX_RULE_NO_TRAILER);
}
END_TEST

START_TEST(find_gives_the_first)
{
    struct dx_field at[3] = {{.name = DX_SLICE("a"), .id = DX_FIELD_OTHER},
                             {.name = DX_SLICE("Via"), .id = DX_FIELD_VIA},
                             {.name = DX_SLICE("via"), .id = DX_FIELD_VIA}};
    struct dx_fields f = {at, 3, 3};

    ck_assert_ptr_eq(dx_http_find(&f, DX_FIELD_VIA), &at[1]);
    ck_assert_ptr_null(dx_http_find(&f, DX_FIELD_HOST));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/names");
    TCase *cases = tcase_create("names");

    tcase_add_test(cases, methods_by_exact_name);
    tcase_add_test(cases, reasons);
    tcase_add_test(cases, characters_follow_the_grammar);
    tcase_add_test(cases, every_known_field_is_found_in_any_case);
    tcase_add_test(cases, no_other_name_is_taken_for_a_known_one);
    tcase_add_test(cases, rules_of_fields);
    tcase_add_test(cases, find_gives_the_first);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
