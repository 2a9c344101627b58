/* SPDX-License-Identifier: MIT */
/* Capabilities, no_new_privs and core dumps. libcap would be a library for three system calls. */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/internal.h"

#define CAPABILITIES_MAX                                                              \
    64 /* what the interface has room for; those the kernel does not know are refused \
        */

void rights_bound(uint64_t kept)
{
    for (unsigned long c = 0; c < CAPABILITIES_MAX; c++)
        if ((kept >> c & 1) == 0 && prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
            (void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
}

bool rights_keep(uint64_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &header, now) != 0)
        return false;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t half = (uint32_t)(kept >> (32 * i));
        now[i].permitted &= half;
        now[i].effective &= half;
        now[i].inheritable = 0;
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
                0); /* of a kernel before 4.3 there are none */
    return syscall(SYS_capset, &header, now) == 0;
}

void rights_pass_on(uint64_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capget, &header, now) != 0)
        return;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        now[i].inheritable = now[i].permitted;
    if (syscall(SYS_capset, &header, now) != 0)
        return;
    for (unsigned long c = 0; c < CAPABILITIES_MAX; c++)
        if (kept >> c & 1)
            (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0); /* those that it has */
}

/* The leak sanitizer traces its own process in the end, which needs the same. */
void rights_core_dumps(bool allowed)
{
    (void)prctl(PR_SET_DUMPABLE, allowed || SANDBOX_INSTRUMENTED ? 1 : 0, 0, 0, 0);
}
