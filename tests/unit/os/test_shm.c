/* SPDX-License-Identifier: MIT */
/* Shared memory: zeroed, seen by another process, of a size that cannot change. */
#include "diplex/os/shm.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES ((size_t)100000)

START_TEST(another_process_sees_what_is_written)
{
    int fd = -1;
    char *p = dx_shm_create("test", BYTES, &fd);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_ge(fd, 0);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(p[0], 0);
    ck_assert_int_eq(p[BYTES - 1], 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char *mine = dx_shm_map(fd, BYTES);
        if (mine)
            memcpy(mine + BYTES - 6, "hello", 6);
        _exit(mine ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_str_eq(p + BYTES - 6, "hello");
    dx_shm_unmap(p, BYTES);
    close(fd);
}
END_TEST

START_TEST(size_cannot_change)
{
    int fd = -1;
    void *p = dx_shm_create("test", BYTES, &fd);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_ne(ftruncate(fd, 0), 0);
    ck_assert_int_ne(ftruncate(fd, 2 * (off_t)BYTES), 0);
    ck_assert_ptr_null(dx_shm_map(fd, BYTES + 1));
    dx_shm_unmap(p, BYTES);
    close(fd);
}
END_TEST

START_TEST(failures_leave_the_output_alone)
{
    int fd = -7;
    ck_assert_ptr_null(dx_shm_create("test", 0, &fd));
    ck_assert_int_eq(fd, -7);
    ck_assert_ptr_null(dx_shm_map(-1, 1));
    dx_shm_unmap(NULL, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("os/shm");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, another_process_sees_what_is_written);
    tcase_add_test(tests, size_cannot_change);
    tcase_add_test(tests, failures_leave_the_output_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
