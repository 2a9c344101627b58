/* SPDX-License-Identifier: MIT */
/*
 * The filters of system calls. That of data is a list of what it needs, calls.def and the blocks here; that
 * of control, which loads libraries and starts programs, is a list of what nobody there needs, and comes into
 * force in data as well.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/internal.h"
#include "sandbox/program.h"

/* Older headers do not name these; they are the same on every architecture. */
#define NAME_A_MAPPING 0x53564d41u /* PR_SET_VMA: glibc names its heaps */
#define THREAD_FLAG    0x00010000u /* CLONE_THREAD */
#define PLAIN_TYPE     0xfu        /* of a socket, without SOCK_CLOEXEC and SOCK_NONBLOCK */
#define ALL            UINT32_MAX
#define PASS           SECCOMP_RET_ALLOW

/* ---- what looks at arguments ---- */

/* Only files that are not there yet: those without a name, and, where a file system has none such, new names.
 * So data opens nothing that exists, Landlock or not; what a C library would like to read it does without. */
static void files(struct program *p)
{
    unsigned short block = block_begin(p, __NR_openat);
    block_if(p, 2, O_TMPFILE, O_TMPFILE, PASS);
    block_if(p, 2, O_CREAT | O_EXCL, O_CREAT | O_EXCL, PASS);
    block_end(p, block, VERDICT(EACCES));
}

/* To servers. */
static void sockets(struct program *p)
{
    unsigned short block = block_begin(p, __NR_socket);
    block_unless(p, 1, PLAIN_TYPE, SOCK_STREAM, VERDICT(EACCES));
    block_if(p, 0, ALL, AF_INET, PASS);
    block_if(p, 0, ALL, AF_INET6, PASS);
    block_if(p, 0, ALL, AF_UNIX, PASS);
    block_end(p, block, VERDICT(EACCES));
}

/* What is data is never code. */
static void memory(struct program *p)
{
    static const int calls[] = {__NR_mmap, __NR_mprotect};
    for (size_t i = 0; i < DX_COUNT(calls); i++) {
        unsigned short block = block_begin(p, calls[i]);
        block_if(p, 2, PROT_EXEC, 0, PASS);
        block_end(p, block, VERDICT(EPERM));
    }
}

/* Threads, no processes. clone3 has its flags where a filter cannot see them; the C library then uses clone.
 */
static void threads(struct program *p)
{
    unsigned short block = block_begin(p, __NR_clone);
    block_if(p, 0, THREAD_FLAG, THREAD_FLAG, PASS);
    block_end(p, block, SECCOMP_RET_TRAP);
}

/* An assertion ends this process, and no other one; and nobody takes the handler away that tells of forbidden
 * calls. */
static void signals(struct program *p)
{
    unsigned short block = block_begin(p, __NR_tgkill);
    block_if(p, 0, ALL, (uint32_t)getpid(), PASS);
    block_end(p, block, VERDICT(EPERM));
    block = block_begin(p, __NR_rt_sigaction);
    block_if(p, 0, ALL, SIGSYS, VERDICT(EPERM));
    block_end(p, block, PASS);
}

static void options(struct program *p)
{
    static const uint32_t requests[] = {FIONREAD, FIONBIO, TIOCOUTQ};
    static const uint32_t commands[] = {F_GETFD,      F_SETFD,      F_GETFL,     F_SETFL,    F_DUPFD_CLOEXEC,
                                        F_SETPIPE_SZ, F_GETPIPE_SZ, F_GET_SEALS, F_ADD_SEALS};
    unsigned short block = block_begin(p, __NR_ioctl);
    for (size_t i = 0; i < DX_COUNT(requests); i++)
        block_if(p, 1, ALL, requests[i], PASS);
    block_end(p, block, VERDICT(ENOTTY));
    block = block_begin(p, __NR_fcntl);
    for (size_t i = 0; i < DX_COUNT(commands); i++)
        block_if(p, 1, ALL, commands[i], PASS);
    block_end(p, block, VERDICT(EPERM));
    block = block_begin(p, __NR_prctl);
    block_if(p, 0, ALL, PR_SET_NAME, PASS);
    block_if(p, 0, ALL, NAME_A_MAPPING, PASS);
    block_end(p, block, VERDICT(EPERM));
    block = block_begin(p, __NR_prlimit64); /* to look */
    block_unless_null(p, 2, VERDICT(EPERM));
    block_end(p, block, PASS);
}

/* ---- the programs ---- */

static void write_data(struct program *p)
{
    program_begin(p);
#define ALLOW(name)         program_answer(p, __NR_##name, PASS);
#define FORBID(name)        program_answer(p, __NR_##name, SECCOMP_RET_TRAP);
#define REFUSE(name, error) program_answer(p, __NR_##name, VERDICT(error));
#include "sandbox/calls.def"
    sockets(p);
    memory(p);
    files(p);
    threads(p);
    signals(p);
    options(p);
    program_end(p, VERDICT(ENOSYS));
}

static void write_control(struct program *p)
{
    program_begin(p);
#define DENY(name) program_answer(p, __NR_##name, VERDICT(EPERM));
#include "sandbox/denied.def"
    program_end(p, PASS);
}

/* A filter is no reason to distrust the processor more than without one, which is what kernels before 5.16
 * would do: data runs no code of strangers. All threads there are get it. */
static bool install(const struct program *p)
{
    static const unsigned long flags[] = {SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                                          SECCOMP_FILTER_FLAG_TSYNC, 0};
    /* The kernel only reads it, but its interface does not say so. */
    struct sock_filter copy[PROGRAM_MAX];
    memcpy(copy, p->at, p->n * sizeof(copy[0]));
    const struct sock_fprog program = {.len = p->n, .filter = copy};
    for (size_t i = 0; i < DX_COUNT(flags); i++) {
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], &program) == 0)
            return true;
        if (errno != EINVAL) /* EINVAL: a kernel that does not know one of the flags */
            break;
    }
    return false;
}

/* On the stack: for want of memory nobody goes without a filter. */
static bool write_and_install(void (*write_it)(struct program *p))
{
    struct program p;
    write_it(&p);
    return install(&p);
}

/* ---- the last words ---- */

static void (*tell)(int call);

/* The call was not made. The handler is gone already (SA_RESETHAND), so the signal that is sent now ends the
 * process. */
static void on_sigsys(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (tell != NULL)
        tell(info->si_syscall);
    (void)syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), number);
    _exit(128 + SIGSYS); /* nobody comes here */
}

static bool handle_sigsys(void (*on_forbidden)(int call))
{
    struct sigaction action = {.sa_flags = (int)(SA_SIGINFO | SA_NODEFER | SA_RESETHAND)};
    action.sa_sigaction = on_sigsys;
    sigemptyset(&action.sa_mask);
    tell = on_forbidden;
    return sigaction(SIGSYS, &action, NULL) == 0;
}

#if SANDBOX_INSTRUMENTED || \
    !(defined(__x86_64__) || defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64))
bool dx_sandbox_built_in(void) { return false; }
#else
bool dx_sandbox_built_in(void) { return true; }
#endif

bool filter_data(void (*on_forbidden)(int call))
{
    return handle_sigsys(on_forbidden) && write_and_install(write_data);
}

bool filter_control(void) { return write_and_install(write_control); }
