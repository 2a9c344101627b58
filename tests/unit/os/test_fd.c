/* SPDX-License-Identifier: MIT */
/* Descriptors: flags, whole writes through a slow pipe, bounded whole reads, sealed files in memory. */
#include "diplex/os/fd.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(flags)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert(dx_fd_set_nonblocking(ends[0]));
    ck_assert(dx_fd_set_nonblocking(ends[0]));
    ck_assert(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    ck_assert(dx_fd_set_cloexec(ends[0], true));
    ck_assert(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    ck_assert(dx_fd_set_cloexec(ends[0], false));
    ck_assert(!(fcntl(ends[0], F_GETFD) & FD_CLOEXEC));
    int closed = ends[0];
    errno = ENOENT;
    dx_fd_close(&ends[0]);
    dx_fd_close(&ends[0]);
    ck_assert_int_eq(ends[0], -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_lt(fcntl(closed, F_GETFD), 0);
    ck_assert(!dx_fd_set_nonblocking(-1));
    ck_assert(!dx_fd_set_cloexec(-1, true));
    dx_fd_close(&ends[1]);
}
END_TEST

START_TEST(write_all_waits_for_a_slow_reader)
{
    int ends[2];
    size_t n = 1 << 20;
    char *sent = malloc(n), *got = NULL;
    ck_assert_ptr_nonnull(sent);
    for (size_t i = 0; i < n; i++)
        sent[i] = (char)(i * 7);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert(dx_fd_set_nonblocking(ends[1]));
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        _exit(dx_fd_write_all(ends[1], dx_slice_of(sent, n)) ? 0 : 1);
    }
    dx_fd_close(&ends[1]);
    size_t received = 0;
    ck_assert(dx_fd_read_all(ends[0], n, &got, &received));
    ck_assert_uint_eq(received, n);
    ck_assert_int_eq(memcmp(got, sent, n), 0);
    ck_assert_int_eq(got[n], 0);
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    free(got);
    free(sent);
    dx_fd_close(&ends[0]);
}
END_TEST

START_TEST(write_all_reports_errors)
{
    errno = 0;
    ck_assert(!dx_fd_write_all(-1, DX_SLICE("x")));
    ck_assert_int_eq(errno, EBADF);
    ck_assert(dx_fd_write_all(-1, (struct dx_slice){NULL, 0}));
}
END_TEST

START_TEST(read_all_is_bounded_at_every_size)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 100000};
    for (size_t i = 0; i < DX_COUNT(sizes); i++) {
        size_t n = sizes[i], got_n = 0;
        char *content = calloc(1, n + 1), *got = NULL;
        ck_assert_ptr_nonnull(content);
        memset(content, 'a', n);
        int fd = dx_fd_memory_file("test", dx_slice_of(content, n));
        ck_assert_int_ge(fd, 0);
        ck_assert(dx_fd_read_all(fd, n, &got, &got_n));
        ck_assert_uint_eq(got_n, n);
        ck_assert_str_eq(got, content);
        free(got);
        /* Again: it is from offset 0 that files are read. */
        ck_assert(dx_fd_read_all(fd, n + 5000, &got, &got_n));
        ck_assert_uint_eq(got_n, n);
        free(got);
        if (n > 0) {
            got = content;
            errno = 0;
            ck_assert(!dx_fd_read_all(fd, n - 1, &got, &got_n));
            ck_assert_int_eq(errno, EFBIG);
            ck_assert_ptr_eq(got, content);
        }
        free(content);
        dx_fd_close(&fd);
    }
}
END_TEST

START_TEST(read_file)
{
    char path[] = "/tmp/diplex-test-fd-XXXXXX", *got = NULL;
    size_t n = 0;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert(dx_fd_write_all(fd, DX_SLICE("listen: :80\n")));
    dx_fd_close(&fd);
    ck_assert(dx_fd_read_file(path, 100, &got, &n));
    ck_assert_str_eq(got, "listen: :80\n");
    ck_assert_uint_eq(n, 12);
    free(got);
    ck_assert_int_eq(unlink(path), 0);
    errno = 0;
    ck_assert(!dx_fd_read_file(path, 100, &got, &n));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert(!dx_fd_read_file("/tmp", 100, &got, &n));
    ck_assert_int_eq(errno, EISDIR);
    /* Files that say they are empty and are not. */
    ck_assert(dx_fd_read_file("/proc/self/status", 1 << 20, &got, &n));
    ck_assert_uint_gt(n, 0);
    free(got);
}
END_TEST

START_TEST(memory_file_is_sealed)
{
    int fd = dx_fd_memory_file("test", DX_SLICE("abc"));
    ck_assert_int_ge(fd, 0);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
    ck_assert_int_lt(write(fd, "x", 1), 0);
    ck_assert_int_ne(ftruncate(fd, 0), 0);
    dx_fd_close(&fd);
}
END_TEST

START_TEST(limit_is_raised_to_the_hard_one)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(dx_fd_raise_limit(), limit.rlim_max);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("os/fd");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, flags);
    tcase_add_test(tests, write_all_waits_for_a_slow_reader);
    tcase_add_test(tests, write_all_reports_errors);
    tcase_add_test(tests, read_all_is_bounded_at_every_size);
    tcase_add_test(tests, read_file);
    tcase_add_test(tests, memory_file_is_sealed);
    tcase_add_test(tests, limit_is_raised_to_the_hard_one);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
