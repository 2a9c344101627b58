/* SPDX-License-Identifier: MIT */
/* What a process can do and cannot do after it has locked itself in: each act is tried in a process of its
 * own, through the same door that data takes. Builds without filters show that they say so. */
#include "diplex/sandbox.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diplex/base/check.h"

#define DID_IT   0
#define NOT_IN   240 /* the sandbox could not be entered */
#define SURVIVED 241

static char folder[64], secret[96], door[96];
static int told[2]; /* a pipe: the forbidden call */

static void setup(void)
{
    strcpy(folder, "/tmp/diplex-sandbox-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0777), 0);
    snprintf(secret, sizeof secret, "%s-secret", folder);
    int fd = open(secret, O_CREAT | O_WRONLY, 0666);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fchmod(fd, 0666), 0);
    close(fd);
    snprintf(door, sizeof door, "%s-door", folder);
    ck_assert_int_eq(pipe2(told, O_NONBLOCK), 0);
}

static void teardown(void)
{
    unlink(secret);
    unlink(door);
    ck_assert_int_eq(rmdir(folder), 0);
    close(told[0]);
    close(told[1]);
}

static void on_forbidden(int call) { (void)!write(told[1], &call, sizeof call); }

static struct dx_sandbox_wish wish_of(enum dx_sandbox_mode mode)
{
    return (struct dx_sandbox_wish){
        .mode = mode, .user = "nobody", .folder = folder, .on_forbidden = on_forbidden};
}

static int result_of(long got) { return got >= 0 ? DID_IT : errno; }

/* The act's result: 0, its errno; or -signal. */
static int try_in(enum dx_sandbox_mode mode, int (*act)(void))
{
    struct dx_err err;
    struct dx_sandbox s;
    int status = 0;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct dx_sandbox_wish w = wish_of(mode);
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        _exit(dx_sandbox_enter(&w, &s, &err) ? act() : NOT_IN);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- acts ---- */

static int write_elsewhere(void) { return result_of(open(secret, O_WRONLY)); }
static int read_elsewhere(void) { return result_of(open("/etc/passwd", O_RDONLY)); }
static int list_a_directory(void) { return result_of(open("/", O_RDONLY | O_DIRECTORY)); }
static int new_file_elsewhere(void) { return result_of(open("/tmp", O_TMPFILE | O_RDWR, 0600)); }
static int named_file_elsewhere(void)
{
    return result_of(open("/tmp/diplex-sandbox-made", O_CREAT | O_EXCL | O_RDWR, 0600));
}
static int remove_elsewhere(void) { return result_of(unlink(secret)); }
static int spool(void) { return result_of(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); }

/* As mkostemp does it where a file system has no files without names. */
static int spool_by_name(void)
{
    char name[128];
    snprintf(name, sizeof name, "%s/diplex-XXXXXX", folder);
    int fd = mkostemp(name, O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && unlink(name) == 0;
    return ok ? DID_IT : errno;
}

static int reopen_a_spool(void)
{
    char name[128];
    snprintf(name, sizeof name, "%s/kept", folder);
    int fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
    int again = fd >= 0 ? result_of(open(name, O_RDONLY)) : NOT_IN;
    return unlink(name) == 0 ? again : NOT_IN;
}

static int tcp_socket(void) { return result_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int tcp6_socket(void)
{
    int result = result_of(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
    return result == EAFNOSUPPORT ? DID_IT : result; /* a machine without IPv6 says that, a filter EACCES */
}
static int unix_socket(void) { return result_of(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int udp_socket(void) { return result_of(socket(AF_INET, SOCK_DGRAM, 0)); }
static int raw_socket(void) { return result_of(socket(AF_INET, SOCK_RAW, 1)); }
static int netlink_socket(void) { return result_of(socket(AF_NETLINK, SOCK_RAW, 0)); }
static int packet_socket(void) { return result_of(socket(AF_PACKET, SOCK_RAW, 0)); }
static int bind_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    return result_of(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a));
}
static int listen_tcp(void) { return result_of(listen(socket(AF_INET, SOCK_STREAM, 0), 1)); }
static int bind_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, door);
    return result_of(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a));
}

static int run_a_program(void)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    execv("/bin/true", argv);
    return SURVIVED;
}
static int fork_a_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return SURVIVED;
}
static int trace(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? DID_IT : SURVIVED; }
static int mount_something(void) { return mount("none", folder, "tmpfs", 0, NULL) == 0 ? DID_IT : SURVIVED; }
static int read_another(void)
{
    return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) == 0 ? DID_IT : SURVIVED;
}
static int load_bpf(void) { return syscall(SYS_bpf, 0, NULL, 0) == 0 ? DID_IT : SURVIVED; }
static int become_root(void) { return setuid(0) == 0 ? DID_IT : SURVIVED; }
static int new_namespace(void) { return syscall(SYS_unshare, 0x10000000) == 0 ? DID_IT : SURVIVED; }

static int kill_another(void) { return result_of(kill(getppid(), 0)); }
static int stop_listening_to_sigsys(void) { return signal(SIGSYS, SIG_IGN) == SIG_ERR ? errno : DID_IT; }
static int make_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : DID_IT;
}
static int turn_into_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NOT_IN : result_of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int type_into_the_terminal(void) { return result_of(ioctl(0, TIOCSTI, "x")); }
static int own_signals_of_a_descriptor(void) { return result_of(fcntl(told[0], F_SETOWN, getppid())); }
static int raise_a_limit(void)
{
    struct rlimit l = {16, 16};
    return result_of(setrlimit(RLIMIT_NOFILE, &l));
}
static int look_at_a_limit(void)
{
    struct rlimit l;
    return result_of(getrlimit(RLIMIT_NOFILE, &l));
}
static int a_call_of_the_future(void) { return result_of(syscall(9999)); }
static int dump(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? DID_IT : errno; }
static int end_oneself(void) { abort(); }

static void *do_nothing(void *arg) { return arg; }
static int make_a_thread(void)
{
    pthread_t t;
    int error = pthread_create(&t, NULL, do_nothing, NULL);
    return error != 0 ? error : pthread_join(t, NULL);
}
static void *run_in_a_thread(void *arg)
{
    (void)arg;
    (void)run_a_program();
    return NULL;
}
static int run_a_program_in_a_thread(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, run_in_a_thread, NULL) == 0)
        pthread_join(t, NULL);
    return SURVIVED;
}

static bool status_says(const char *line)
{
    static char text[8192];
    FILE *f = fopen("/proc/self/status", "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f)
        fclose(f);
    return strstr(text, line) != NULL;
}
static int no_rights_left(void)
{
    bool bound =
        geteuid() != 0; /* an ordinary user's bounding set stays: it takes a capability to change it */
    return status_says("\nCapPrm:\t0000000000000000") && status_says("\nCapEff:\t0000000000000000") &&
                   status_says("\nCapAmb:\t0000000000000000") && status_says("\nNoNewPrivs:\t1") && bound
               ? DID_IT
               : SURVIVED;
}

/* ---- what comes of them ---- */

struct trial {
    const char *name;
    int (*act)(void);
    int expected; /* 0: done; an errno; -SIGSYS: the process was ended */
    int call;     /* with -SIGSYS: what was told */
};
#define T(act, result)       \
    {                        \
#act, act, result, 0 \
    }
#define ENDS(act, call)          \
    {                            \
#act, act, -SIGSYS, call \
    }

static void run_trials(const struct trial *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int call = -1, result = try_in(DX_SANDBOX_ON, t[i].act);
        ck_assert_msg(result == t[i].expected, "%s: %d and not %d", t[i].name, result, t[i].expected);
        (void)!read(told[0], &call, sizeof call);
        ck_assert_msg(call == (t[i].call ? t[i].call : -1), "%s: told of call %d", t[i].name, call);
    }
}

static bool no_filters(void)
{
    if (dx_sandbox_built_in())
        return false;
    struct dx_sandbox_wish w = wish_of(DX_SANDBOX_REQUIRE);
    struct dx_sandbox s;
    struct dx_err err;
    pid_t pid = fork();
    if (pid == 0)
        _exit(dx_sandbox_enter(&w, &s, &err) ? 1 : strstr(err.text, "this build") ? 0 : 2);
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    return true;
}

START_TEST(what_data_does_goes_on)
{
    static const struct trial trials[] = {T(spool, 0),           T(spool_by_name, 0),     T(tcp_socket, 0),
                                          T(tcp6_socket, 0),     T(unix_socket, 0),       T(make_a_thread, 0),
                                          T(look_at_a_limit, 0), T(end_oneself, -SIGABRT)};
    if (!no_filters())
        run_trials(trials, DX_COUNT(trials));
}
END_TEST

START_TEST(files_are_out_of_reach)
{
    static const struct trial trials[] = {
        T(write_elsewhere, EACCES),    T(read_elsewhere, EACCES),       T(list_a_directory, EACCES),
        T(new_file_elsewhere, EACCES), T(named_file_elsewhere, EACCES), T(remove_elsewhere, EACCES),
        T(reopen_a_spool, EACCES),
    };
    if (!no_filters())
        run_trials(trials, DX_COUNT(trials));
}
END_TEST

START_TEST(doors_and_other_families_are_closed)
{
    static const struct trial trials[] = {
        T(udp_socket, EACCES), T(raw_socket, EACCES), T(netlink_socket, EACCES), T(packet_socket, EACCES),
        T(bind_tcp, EACCES),   T(listen_tcp, EACCES), T(bind_unix, EACCES),
    };
    if (!no_filters())
        run_trials(trials, DX_COUNT(trials));
}
END_TEST

START_TEST(some_acts_end_the_process)
{
    static const struct trial trials[] = {
        ENDS(run_a_program, SYS_execve),  ENDS(run_a_program_in_a_thread, SYS_execve),
        ENDS(fork_a_child, SYS_clone),    ENDS(trace, SYS_ptrace),
        ENDS(mount_something, SYS_mount), ENDS(read_another, SYS_process_vm_readv),
        ENDS(load_bpf, SYS_bpf),          ENDS(become_root, SYS_setuid),
        ENDS(new_namespace, SYS_unshare),
    };
    if (!no_filters())
        run_trials(trials, DX_COUNT(trials));
}
END_TEST

START_TEST(others_are_refused)
{
    static const struct trial trials[] = {
        T(kill_another, EPERM),   T(stop_listening_to_sigsys, EPERM), T(make_code, EPERM),
        T(turn_into_code, EPERM), T(type_into_the_terminal, ENOTTY),  T(own_signals_of_a_descriptor, EPERM),
        T(raise_a_limit, EPERM),  T(a_call_of_the_future, ENOSYS),    T(dump, EPERM),
    };
    if (!no_filters())
        run_trials(trials, DX_COUNT(trials));
}
END_TEST

/* With and without filters. */
START_TEST(no_rights_are_left)
{
    ck_assert_int_eq(try_in(DX_SANDBOX_OFF, no_rights_left), DID_IT);
    ck_assert_int_eq(try_in(DX_SANDBOX_OFF, read_elsewhere), DID_IT);
    ck_assert_int_eq(try_in(DX_SANDBOX_OFF, run_a_program), 0);
}
END_TEST

static int says(enum dx_sandbox_mode mode, const char *folder_of, const char *words)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct dx_err err;
        struct dx_sandbox s;
        struct dx_sandbox_wish w = wish_of(mode);
        w.folder = folder_of;
        if (!dx_sandbox_enter(&w, &s, &err))
            _exit(2);
        _exit(strstr(s.text, words) == NULL || s.folder != (folder_of == folder) ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

START_TEST(it_says_what_is_in_force)
{
    if (no_filters())
        return;
    ck_assert_int_eq(says(DX_SANDBOX_ON, folder, "no-new-privileges, no capabilities, seccomp, landlock "),
                     0);
    ck_assert_int_eq(says(DX_SANDBOX_REQUIRE, folder, "seccomp, landlock "), 0);
    ck_assert_int_eq(says(DX_SANDBOX_ON, "/nowhere", "landlock "), 0);
}
END_TEST

static int guarded(int (*act)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct dx_err err;
        struct dx_sandbox_wish w = wish_of(DX_SANDBOX_ON);
        _exit(dx_sandbox_guard(&w, &err) ? act() : NOT_IN);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int mount_refused(void) { return mount("none", folder, "tmpfs", 0, NULL) == 0 ? DID_IT : errno; }
static int trace_refused(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? DID_IT : errno; }
static int few_rights(void)
{
    return status_says("\nNoNewPrivs:\t1") && (status_says("\nCapPrm:\t00000000000005e2") || geteuid() != 0)
               ? DID_IT
               : SURVIVED;
}

START_TEST(control_keeps_what_it_needs)
{
    ck_assert_int_eq(guarded(few_rights), DID_IT);
    ck_assert_int_eq(guarded(read_elsewhere), DID_IT);
    ck_assert_int_eq(guarded(bind_unix), DID_IT);
    ck_assert_int_eq(guarded(run_a_program), DID_IT);
    if (!dx_sandbox_built_in())
        return;
    ck_assert_int_eq(guarded(mount_refused), EPERM);
    ck_assert_int_eq(guarded(trace_refused), EPERM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *t = tcase_create("sandbox");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_data_does_goes_on);
    tcase_add_test(t, files_are_out_of_reach);
    tcase_add_test(t, doors_and_other_families_are_closed);
    tcase_add_test(t, some_acts_end_the_process);
    tcase_add_test(t, others_are_refused);
    tcase_add_test(t, no_rights_are_left);
    tcase_add_test(t, it_says_what_is_in_force);
    tcase_add_test(t, control_keeps_what_it_needs);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
