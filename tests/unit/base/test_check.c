/* SPDX-License-Identifier: MIT */
/* The panic: aborts, says where, calls the hook once. */
#include "diplex/base/check.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct thing {
    uint32_t magic;
    int tail;
};

START_TEST(true_assertion_goes_on)
{
    struct thing t = {0};
    DX_MAGIC_SET(&t, 0x1234u);
    DX_MAGIC_OK(&t, 0x1234u);
    DX_ASSERT(t.magic == 0x1234u);
    ck_assert_ptr_eq(DX_CONTAINER(&t.tail, struct thing, tail), &t);
}
END_TEST

START_TEST(false_assertion_aborts) { DX_ASSERT(1 + 1 == 3); }
END_TEST

START_TEST(wrong_magic_aborts)
{
    struct thing t = {.magic = 1};
    DX_MAGIC_OK(&t, 2u);
}
END_TEST

START_TEST(cleared_magic_aborts)
{
    struct thing t = {.magic = 1};
    DX_MAGIC_CLEAR(&t);
    DX_MAGIC_OK(&t, 1u);
}
END_TEST

static void hook_that_panics(void)
{
    static const char said[] = "the hook ran\n";
    if (write(STDERR_FILENO, said, sizeof said - 1) > 0)
        dx_panic("hook.c", 2, "again");
}

START_TEST(panic_says_where_and_calls_the_hook_once)
{
    int ends[2];
    char text[512] = "";
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        dx_panic_set_hook(hook_that_panics);
        dx_panic("some.c", 77, "this cannot be");
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_str_eq(text, "diplex: panic: some.c:77: this cannot be\n"
                           "the hook ran\n"
                           "diplex: panic: hook.c:2: again\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/check");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, true_assertion_goes_on);
    tcase_add_test_raise_signal(tests, false_assertion_aborts, SIGABRT);
    tcase_add_test_raise_signal(tests, wrong_magic_aborts, SIGABRT);
    tcase_add_test_raise_signal(tests, cleared_magic_aborts, SIGABRT);
    tcase_add_test(tests, panic_says_where_and_calls_the_hook_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
