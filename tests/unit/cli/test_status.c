/* SPDX-License-Identifier: MIT */
/* What the command line reads and paints: JSON of any form, and texts that must not steer a terminal. */
#include <check.h>
#include <stdlib.h>

#include "cli/json.h"
#include "cli/paint.h"

static struct dx_arena arena;

static void setup(void) { dx_arena_init(&arena, NULL, 0); }
static void teardown(void) { dx_arena_reset(&arena); }

static const struct json *read_text(const char *text) { return json_read(&arena, dx_slice_str(text)); }

START_TEST(values_are_found)
{
    const struct json *v =
        read_text("{\"a\": 1.5e1, \"b\":[true,null,{\"c\":\"x\\\"\\u00e9\\ud83d\\ude00\\n\"}] , \"d\":{}}");
    ck_assert_ptr_nonnull(v);
    ck_assert_double_eq(json_number(v, "a"), 15);
    ck_assert_uint_eq(json_count(v, "b"), 3);
    const struct json *first = json_first(v, "b");
    ck_assert_int_eq(first->kind, JSON_TRUE);
    ck_assert(dx_slice_eq(json_text(first->next->next, "c"), DX_SLICE("x\"\xc3\xa9\xf0\x9f\x98\x80\n")));
    ck_assert(json_is_null(v, "nothing") && !json_flag(v, "a") && json_number(NULL, "a") == 0);
    ck_assert_uint_eq(json_text(first, "c").n, 0);
}
END_TEST

START_TEST(what_is_no_json_is_refused)
{
    static const char *const bad[] = {"",      "{",          "[1,]",    "{\"a\"}", "{a:1}", "\"",
                                      "\"\\",  "\"\\u12",    "\"\\x\"", "01x",     "nul",   "1 2",
                                      "[1 2]", "{\"a\":1,}", "-",       "1e"};
    char deep[200];
    for (size_t i = 0; i < DX_COUNT(bad); i++)
        ck_assert_msg(read_text(bad[i]) == NULL, "%s", bad[i]);
    memset(deep, '[', 100);
    memset(deep + 100, ']', 99);
    deep[199] = '\0';
    ck_assert_ptr_null(read_text(deep));
    ck_assert_ptr_nonnull(read_text("\"\\ud800\""));
}
END_TEST

START_TEST(nothing_steers_the_terminal)
{
    struct dx_text text;
    struct paint p = {.out = &text, .line_end = "\n"};
    dx_text_init(&text);
    paint_str(&p, PAINT_BAD, "a\033[2J\x7f\xc2\x9b\xe2\x80\xae\xff\tz\xc3\xa9");
    paint_end(&p);
    ck_assert_str_eq(text.p, "a?[2J?????z\xc3\xa9\n");
    dx_text_fini(&text);
}
END_TEST

START_TEST(lines_end_at_the_edge)
{
    struct dx_text text;
    struct paint p = {.out = &text, .line_end = "\n", .width = 12, .colour = true};
    dx_text_init(&text);
    paint_cell(&p, PAINT_PLAIN, 4, DX_SLICE("ab"));
    paint_right(&p, PAINT_PLAIN, 3, DX_SLICE("\xc3\xa9"));
    paint_str(&p, PAINT_GOOD, "0123456789");
    paint_end(&p);
    ck_assert_str_eq(text.p, "ab     \xc3\xa9 \033[32m012\033[0m\n");
    dx_text_reset(&text);
    p.width = 0;
    p.colour = false;
    paint_bar(&p, 8, 3, 4);
    paint_bar(&p, 4, 40, 40);
    paint_bar(&p, 4, 0, 2);
    paint_end(&p);
    ck_assert_str_eq(text.p, "[###.]     [####] [..]\n");
    dx_text_fini(&text);
}
END_TEST

START_TEST(numbers_for_people)
{
    static const struct {
        double ms;
        const char *text;
    } times[] = {{0, "0.0ms"},       {3.14, "3.1ms"},      {850, "850ms"},       {12340, "12.3s"},
                 {250000, "4m 10s"}, {12000000, "3h 20m"}, {187200000, "2d 4h"}, {-1, "0.0ms"}};
    char buf[PAINT_SMALL];
    for (size_t i = 0; i < DX_COUNT(times); i++)
        ck_assert(dx_slice_eq(paint_time(times[i].ms, buf), dx_slice_str(times[i].text)));
    ck_assert(dx_slice_eq(paint_count(0.25, buf), DX_SLICE("0.2")));
    ck_assert(dx_slice_eq(paint_count(1234, buf), DX_SLICE("1234")));
    ck_assert(dx_slice_eq(paint_count(123456, buf), DX_SLICE("123k")));
    ck_assert(dx_slice_eq(paint_count(4500000, buf), DX_SLICE("4.5M")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli status");
    TCase *tc = tcase_create("status");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, values_are_found);
    tcase_add_test(tc, what_is_no_json_is_refused);
    tcase_add_test(tc, nothing_steers_the_terminal);
    tcase_add_test(tc, lines_end_at_the_edge);
    tcase_add_test(tc, numbers_for_people);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
