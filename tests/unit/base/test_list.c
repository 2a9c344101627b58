/* SPDX-License-Identifier: MIT */
/* Intrusive lists: order, removal while walking, twice linked is a panic. */
#include "diplex/base/list.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

struct item {
    int value;
    struct dx_link link;
};

static int value_of(struct dx_link *l)
{
    DX_ASSERT(l != NULL);
    return DX_CONTAINER(l, struct item, link)->value;
}

START_TEST(tail_and_head_keep_order)
{
    struct dx_link head;
    struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    dx_list_init(&head);
    ck_assert(dx_list_empty(&head));
    ck_assert_ptr_null(dx_list_pop_head(&head));
    dx_list_push_tail(&head, &items[1].link);
    dx_list_push_tail(&head, &items[3].link);
    dx_list_push_head(&head, &items[0].link);
    dx_list_insert_before(&items[3].link, &items[2].link);
    int expected = 0;
    DX_LIST_FOR (l, &head)
        ck_assert_int_eq(value_of(l), expected++);
    ck_assert_int_eq(expected, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(value_of(dx_list_pop_head(&head)), i);
    ck_assert(dx_list_empty(&head));
    ck_assert(!dx_list_linked(&items[0].link));
}
END_TEST

START_TEST(removal_while_walking)
{
    struct dx_link head;
    struct item items[6] = {0};
    dx_list_init(&head);
    for (int i = 0; i < 6; i++) {
        items[i].value = i;
        dx_list_push_tail(&head, &items[i].link);
    }
    DX_LIST_FOR_SAFE (l, &head) {
        if (value_of(l) % 2)
            dx_list_remove(l);
    }
    int expected = 0;
    DX_LIST_FOR (l, &head) {
        ck_assert_int_eq(value_of(l), expected);
        expected += 2;
    }
    ck_assert_int_eq(expected, 6);
}
END_TEST

START_TEST(removing_what_is_not_linked_is_nothing)
{
    struct item item = {0};
    dx_list_remove(&item.link);
    ck_assert(!dx_list_linked(&item.link));
}
END_TEST

START_TEST(linking_twice_panics)
{
    struct dx_link head;
    struct item item = {0};
    dx_list_init(&head);
    dx_list_push_tail(&head, &item.link);
    dx_list_push_tail(&head, &item.link);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/list");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, tail_and_head_keep_order);
    tcase_add_test(tests, removal_while_walking);
    tcase_add_test(tests, removing_what_is_not_linked_is_nothing);
    tcase_add_test_raise_signal(tests, linking_twice_panics, SIGABRT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
