/* SPDX-License-Identifier: MIT */
/* The panic: aborts, says where, calls the hook once. */
#include "diplex/base/check.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diplex/base/log.h"

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

static void drop(struct dx_slice line) { (void)line; }

static void hook_that_logs(void) { dx_log(DX_LOG_ERROR, "at_hand", DX_KI("number", 7)); }

START_TEST(what_the_hook_logs_is_said_although_the_log_has_a_sink)
{
    int ends[2];
    char text[512] = "";
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        dx_log_set_sink(drop);
        dx_panic_set_hook(hook_that_logs);
        dx_panic("some.c", 78, "nor this");
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_ptr_nonnull(strstr(text, "some.c:78: nor this\n"));
    ck_assert_ptr_nonnull(strstr(text, "at_hand number=7\n"));
    close(ends[0]);
}
END_TEST

START_TEST(a_panic_ends_although_nobody_reads_what_it_says)
{
    int ends[2], status = 0;
    static const char junk[4096];
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], junk, sizeof junk) > 0)
        continue;
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        dx_panic_set_hook(hook_that_panics);
        dx_panic("some.c", 79, "unheard");
    }
    pid_t ended = 0;
    for (int i = 0; i < 300 && ended == 0; i++) {
        usleep(10000);
        ended = waitpid(pid, &status, WNOHANG);
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(ended, pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    close(ends[0]);
    close(ends[1]);
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
    tcase_add_test(tests, what_the_hook_logs_is_said_although_the_log_has_a_sink);
    tcase_add_test(tests, a_panic_ends_although_nobody_reads_what_it_says);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
