/* SPDX-License-Identifier: MIT */
/* Processes: this program starts itself again and says what it inherited; dropping root; cores; randomness.
 */
#include "diplex/os/process.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what the started child does ---- */

static int highest_fd(void)
{
    int highest = -1;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return -1;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        int fd = atoi(e->d_name);
        if (fd > highest && fd != dirfd(dir))
            highest = fd;
    }
    closedir(dir);
    return highest;
}

static bool signals_are_reset(void)
{
    sigset_t mask;
    struct sigaction now;
    if (sigprocmask(SIG_SETMASK, NULL, &mask) != 0)
        return false;
    for (int s = 1; s < 32; s++) {
        if (sigismember(&mask, s) != 0 || sigaction(s, NULL, &now) != 0)
            return false;
        /* The sanitizers take these for themselves when the program starts. */
        if (s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL || s == SIGABRT)
            continue;
        if (now.sa_handler != SIG_DFL)
            return false;
    }
    return true;
}

/* Exit status 0 when all is as promised, else the number of the broken promise. */
static int child(const char *highest_expected, const char *argument)
{
    if (highest_fd() != atoi(highest_expected))
        return 11;
    if (!signals_are_reset())
        return 12;
    if (strcmp(argument, "an argument with spaces") != 0)
        return 13;
    if (strcmp(highest_expected, "3") == 0 && write(3, "hello", 5) != 5)
        return 14;
    return 0;
}

/* ---- the tests ---- */

static int wait_status(pid_t pid)
{
    int status = -1;
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "%x", (unsigned)status);
    return WEXITSTATUS(status);
}

static void ignored(int s) { (void)s; }

static pid_t spawn(int keep, const char *highest_expected)
{
    char self[] = "test", mode[] = "--child", argument[] = "an argument with spaces", highest[4];
    snprintf(highest, sizeof highest, "%s", highest_expected);
    char *argv[] = {self, mode, highest, argument, NULL};
    struct dx_err err = {""};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, ignored);
    pid_t pid = dx_process_spawn_self(argv, keep, &err);
    ck_assert_msg(pid > 0, "%s", err.text);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    ck_assert_int_eq(sigismember(&blocked, SIGUSR1), 1);
    ck_assert_int_eq(sigismember(&blocked, SIGUSR2), 0);
    return pid;
}

START_TEST(child_keeps_one_descriptor_as_3)
{
    for (int place = 3; place < 40; place += 12) {
        int ends[2];
        char got[8] = "";
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        int keep = fcntl(ends[1], F_DUPFD_CLOEXEC, place);
        ck_assert_int_ge(keep, place);
        int leak = dup(ends[0]);
        int high_leak = fcntl(ends[0], F_DUPFD, 60);
        ck_assert_int_eq(wait_status(spawn(keep, "3")), 0);
        ck_assert_int_eq(read(ends[0], got, sizeof got - 1), 5);
        ck_assert_str_eq(got, "hello");
        int fds[] = {ends[0], ends[1], keep, leak, high_leak};
        for (size_t i = 0; i < DX_COUNT(fds); i++)
            close(fds[i]);
    }
}
END_TEST

/* Apart from the test, whose framework may have a descriptor 3 of its own. */
static int spawn_with_3(int writer)
{
    char self[] = "test", mode[] = "--child", argument[] = "an argument with spaces", highest[] = "3";
    char *argv[] = {self, mode, highest, argument, NULL};
    int status = -1;
    if (dup3(writer, 3, O_CLOEXEC) != 3)
        return 21;
    pid_t pid = dx_process_spawn_self(argv, 3, NULL);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 22;
    return WEXITSTATUS(status);
}

START_TEST(descriptor_that_is_3_already_stays)
{
    int ends[2];
    char got[8] = "";
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(spawn_with_3(ends[1]));
    ck_assert_int_eq(wait_status(pid), 0);
    ck_assert_int_eq(read(ends[0], got, sizeof got - 1), 5);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(child_keeps_nothing_when_there_is_nothing_to_keep)
{
    int leak = fcntl(1, F_DUPFD, 3);
    ck_assert_int_ge(leak, 3);
    ck_assert_int_eq(wait_status(spawn(-1, "2")), 0);
}
END_TEST

START_TEST(failure_is_told_and_leaves_no_child)
{
    char self[] = "test";
    char *argv[] = {self, NULL};
    struct dx_err err = {""};
    ck_assert_int_eq(dx_process_spawn_self(argv, 1000, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, strerror(EBADF)));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(root_is_dropped_for_good)
{
    struct dx_err err = {""};
    if (geteuid() != 0) {
        /* An ordinary user just runs, whatever the name. */
        ck_assert(dx_process_drop_to("no such user", &err));
        return;
    }
    const struct passwd *nobody = getpwnam("nobody");
    ck_assert_ptr_nonnull(nobody);
    uid_t uid = nobody->pw_uid;
    ck_assert(!dx_process_drop_to("no such user", &err));
    ck_assert_str_eq(err.text, "there is no user \"no such user\"");
    ck_assert(!dx_process_drop_to("root", &err));
    ck_assert_uint_eq(geteuid(), 0);
    ck_assert_msg(dx_process_drop_to("nobody", &err), "%s", err.text);
    ck_assert_uint_eq(getuid(), uid);
    ck_assert_uint_eq(geteuid(), uid);
    ck_assert_int_ne(setuid(0), 0);
    ck_assert_int_ne(setgid(0), 0);
    gid_t groups[64];
    int n = getgroups(64, groups);
    for (int i = 0; i < n; i++)
        ck_assert_uint_ne(groups[i], 0);
    ck_assert(dx_process_drop_to("nobody", &err));
}
END_TEST

START_TEST(no_new_privileges)
{
    ck_assert(dx_process_no_new_privileges());
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
END_TEST

START_TEST(cores_follow_the_affinity)
{
    cpu_set_t all, one;
    unsigned cores = dx_process_cores();
    ck_assert_uint_ge(cores, 1);
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    ck_assert_uint_le(cores, (unsigned)CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(dx_process_cores(), 1);
}
END_TEST

START_TEST(random_bytes_differ)
{
    unsigned char a[1000] = {0}, b[1000] = {0};
    size_t zeros = 0;
    ck_assert(dx_process_random(a, sizeof a));
    ck_assert(dx_process_random(b, sizeof b));
    ck_assert_int_ne(memcmp(a, b, sizeof a), 0);
    for (size_t i = 0; i < sizeof a; i++)
        zeros += a[i] == 0;
    ck_assert_uint_lt(zeros, 50);
    ck_assert(dx_process_random(NULL, 0));
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return child(argv[2], argv[3]);
    Suite *suite = suite_create("os/process");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, child_keeps_one_descriptor_as_3);
    tcase_add_test(tests, descriptor_that_is_3_already_stays);
    tcase_add_test(tests, child_keeps_nothing_when_there_is_nothing_to_keep);
    tcase_add_test(tests, failure_is_told_and_leaves_no_child);
    tcase_add_test(tests, root_is_dropped_for_good);
    tcase_add_test(tests, no_new_privileges);
    tcase_add_test(tests, cores_follow_the_affinity);
    tcase_add_test(tests, random_bytes_differ);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
