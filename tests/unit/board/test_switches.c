/* SPDX-License-Identifier: MIT */
/* Switches on the board: on and off by name, names in two parts, and no more than there is room for. */
#include "diplex/board/switches.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

START_TEST(on_and_off)
{
    const struct dx_slice none = {NULL, 0};
    struct dx_err err;
    struct dx_board *b = dx_board_new(1, &err);
    ck_assert_ptr_nonnull(b);
    ck_assert(!dx_board_any_switch(b) && !dx_board_switch(b, none, none));
    ck_assert(dx_board_switch_set(b, DX_SLICE("host/path"), true));
    ck_assert(dx_board_switch_set(b, DX_SLICE("host/path"), true)); /* once is enough */
    ck_assert(dx_board_any_switch(b));
    ck_assert(dx_board_switch(b, DX_SLICE("host"), DX_SLICE("/path")));
    ck_assert(!dx_board_switch(b, DX_SLICE("host"), DX_SLICE("/pat")) && !dx_board_switch(b, none, none));
    ck_assert(dx_board_switch_set(b, none, true));
    ck_assert(dx_board_switch(b, none, none));
    ck_assert(dx_board_switch_set(b, DX_SLICE("host/path"), false));
    ck_assert(dx_board_switch_set(b, DX_SLICE("never was on"), false));
    ck_assert(!dx_board_switch(b, DX_SLICE("host/path"), none) && dx_board_any_switch(b));
    ck_assert(dx_board_switch_set(b, none, false));
    ck_assert(!dx_board_any_switch(b));
    dx_board_free(&b);
}
END_TEST

START_TEST(as_many_as_there_is_room_for)
{
    struct dx_err err;
    struct dx_board *b = dx_board_new(1, &err);
    char name[16];
    ck_assert_ptr_nonnull(b);
    for (unsigned i = 0; i <= DX_BOARD_SWITCHES; i++) {
        (void)snprintf(name, sizeof(name), "/%u/", i);
        ck_assert_int_eq(dx_board_switch_set(b, dx_slice_str(name), true), i < DX_BOARD_SWITCHES);
    }
    ck_assert(dx_board_switch_set(b, DX_SLICE("/7/"), false));
    ck_assert(dx_board_switch_set(b, dx_slice_str(name), true)); /* in its place */
    ck_assert(dx_board_switch(b, dx_slice_str(name), dx_slice_of(NULL, 0)));
    ck_assert(!dx_board_switch(b, DX_SLICE("/7/"), dx_slice_of(NULL, 0)));
    dx_board_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("switches");
    TCase *c = tcase_create("switches");
    tcase_add_test(c, on_and_off);
    tcase_add_test(c, as_many_as_there_is_room_for);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
