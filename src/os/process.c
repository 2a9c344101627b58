/* SPDX-License-Identifier: MIT */
/* Starting oneself again, giving up root, and what the machine allows this process. */
#include "diplex/os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diplex/os/fd.h"

/* Both are the same on every architecture; older C libraries do not name them. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define MARK_CLOEXEC 4u /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */

#define KEPT_FD          3
#define SELF             "/proc/self/exe"
#define CGROUP_ROOT      "/sys/fs/cgroup"
#define SMALL_FILE_BYTES ((size_t)4096)

/* ---- spawning: between fork and exec only what is safe after a fork of a threaded program ---- */

static void mark_cloexec_from(int first)
{
    struct rlimit limit;
    if (syscall(SYS_close_range, (unsigned)first, ~0u, MARK_CLOEXEC) == 0)
        return;
    int end = 1 << 16;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (1u << 20))
        end = (int)limit.rlim_cur;
    for (int fd = first; fd < end; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &standard,
                  NULL); /* refused for SIGKILL, SIGSTOP and the C library's own: they need no reset */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

struct start {
    const char *program;
    char *const *argv;
    int keep, out;
};

static _Noreturn void child_exec(const struct start *s, int report)
{
    int keep = s->keep;
    reset_signals();
    bool placed = s->out < 0 || (dup2(s->out, STDOUT_FILENO) >= 0 && dup2(s->out, STDERR_FILENO) >= 0);
    placed = placed && (keep < 0 ||
                        (keep == KEPT_FD ? dx_fd_set_cloexec(keep, false) : dup2(keep, KEPT_FD) == KEPT_FD));
    if (placed) {
        mark_cloexec_from(keep < 0 ? KEPT_FD : KEPT_FD + 1);
        execv(s->program, s->argv);
    }
    int error = errno;
    /* If the parent cannot be told, it sees the exit status. */
    if (write(report, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* The report pipe closes itself on a successful exec: then nothing can be read from it. */
static bool exec_succeeded(int report, int *error)
{
    ssize_t n;
    do
        n = read(report, error, sizeof *error);
    while (n < 0 && errno == EINTR);
    return n != (ssize_t)sizeof *error;
}

/* A pipe whose writing end is above the place that the kept descriptor will take in the child. */
static bool open_report(int report[2])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    report[0] = ends[0];
    report[1] = fcntl(ends[1], F_DUPFD_CLOEXEC, KEPT_FD + 1);
    dx_fd_close(&ends[1]);
    if (report[1] >= 0)
        return true;
    dx_fd_close(&report[0]);
    return false;
}

static pid_t spawn(const struct start *s, struct dx_err *err)
{
    int report[2], error = 0;
    sigset_t all, before;
    if (!open_report(report)) {
        dx_err_sys(err, "cannot start the program again: no pipe");
        return -1;
    }
    /* No handler of the parent may run in the child. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child_exec(s, report[1]);
    int fork_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    dx_fd_close(&report[1]);
    if (pid < 0) {
        errno = fork_error;
        dx_err_sys(err, "cannot start the program again: fork");
    } else if (!exec_succeeded(report[0], &error)) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        pid = -1;
        errno = error;
        dx_err_sys(err, "cannot start the program from %s", s->program);
    }
    dx_fd_close(&report[0]);
    return pid;
}

pid_t dx_process_spawn_self(char *const argv[], int keep, struct dx_err *err)
{
    const struct start s = {.program = SELF, .argv = argv, .keep = keep, .out = -1};
    return spawn(&s, err);
}

pid_t dx_process_spawn(const char *program, char *const argv[], int keep, int out, struct dx_err *err)
{
    const struct start s = {.program = program, .argv = argv, .keep = keep, .out = out};
    return spawn(&s, err);
}

/* The kernel tells what was started, not what has become of it since. */
char *dx_process_program(void)
{
    const char *name = (const char *)getauxval(AT_EXECFN);
    char *here = name && name[0] != '/' ? getcwd(NULL, 0) : NULL, *path = NULL;
    if (!name || strncmp(name, "/proc/", 6) == 0 || strncmp(name, "/dev/fd/", 8) == 0)
        path = NULL;
    else if (name[0] == '/')
        path = strdup(name);
    else if (here && asprintf(&path, "%s/%s", here, name) < 0)
        path = NULL;
    free(here);
    return path;
}

void dx_process_keep_nothing(void) { mark_cloexec_from(KEPT_FD); }

int dx_process_become(const char *program, char *const argv[])
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    execv(program, argv);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}

void dx_process_unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- identity ---- */

bool dx_process_drop_to(const char *user, struct dx_err *err)
{
    if (geteuid() != 0 && getuid() != 0)
        return true;
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (!entry)
        return errno ? dx_err_sys(err, "cannot look up user \"%s\"", user)
                     : dx_err_set(err, "there is no user \"%s\"", user);
    uid_t uid = entry->pw_uid;
    gid_t gid = entry->pw_gid;
    if (uid == 0)
        return dx_err_set(err, "user \"%s\" is root itself: name an ordinary user", user);
    if (initgroups(user, gid) != 0)
        return dx_err_sys(err, "cannot take the groups of user \"%s\"", user);
    if (setresgid(gid, gid, gid) != 0)
        return dx_err_sys(err, "cannot take the group of user \"%s\"", user);
    if (setresuid(uid, uid, uid) != 0)
        return dx_err_sys(err, "cannot become user \"%s\"", user);
    if (setuid(0) == 0 || geteuid() != uid || getuid() != uid || getegid() != gid)
        return dx_err_set(err, "root could be taken back after becoming user \"%s\"", user);
    return true;
}

bool dx_process_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0; }

/* ---- cores ---- */

/* The quota of one cgroup, "max 100000" or "150000 100000", in whole cores; 0 when there is none. */
static unsigned quota_cores(const char *dir, size_t dir_bytes)
{
    char path[SMALL_FILE_BYTES], *text;
    size_t n;
    unsigned long long quota = 0, period = 0;
    int wrote = snprintf(path, sizeof path, CGROUP_ROOT "%.*s/cpu.max", (int)dir_bytes, dir);
    if (wrote < 0 || (size_t)wrote >= sizeof path || !dx_fd_read_file(path, SMALL_FILE_BYTES, &text, &n))
        return 0;
    int fields = sscanf(text, "%llu %llu", &quota, &period);
    free(text);
    if (fields != 2 || quota == 0 || period == 0)
        return 0;
    unsigned long long cores = quota / period + (quota % period ? 1 : 0);
    return cores < 0xffffu ? (unsigned)cores : 0xffffu;
}

/* The tightest quota from this process's cgroup up to the root that it can see; 0 when there is none. */
static unsigned cgroup_cores(void)
{
    char *text;
    size_t n;
    unsigned least = 0;
    if (!dx_fd_read_file("/proc/self/cgroup", SMALL_FILE_BYTES, &text, &n))
        return 0;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    const char *dir = line ? strchr(line, '/') : NULL;
    size_t dir_bytes = dir ? strcspn(dir, "\n") : 0;
    while (dir) {
        unsigned cores = quota_cores(dir, dir_bytes);
        if (cores && (!least || cores < least))
            least = cores;
        if (dir_bytes == 0)
            break;
        do
            dir_bytes--;
        while (dir_bytes > 0 && dir[dir_bytes] != '/');
    }
    free(text);
    return least;
}

unsigned dx_process_cores(void)
{
    cpu_set_t allowed;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned cores = online > 0 ? (unsigned)online : 1;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0)
        cores = (unsigned)CPU_COUNT(&allowed);
    unsigned quota = cgroup_cores();
    return quota && quota < cores ? quota : cores;
}

bool dx_process_random(void *buf, size_t n)
{
    unsigned char *p = buf;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
    return true;
}
