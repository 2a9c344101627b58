/* SPDX-License-Identifier: MIT */
/* What a process takes of the machine, as /proc tells. */
#ifndef DIPLEX_OS_USAGE_H
#define DIPLEX_OS_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "diplex/base/check.h"

struct dx_usage {
    uint64_t cpu_us;       /* user and system, all threads */
    uint64_t memory_bytes; /* resident */
    uint64_t threads;
    uint64_t descriptors;     /* open; 0: not to be seen (another user's process, before Linux 6.2) */
    uint64_t descriptors_max; /* it may open; 0: not to be seen, or no limit */
};

/* False: there is no such process, or no /proc. */
bool dx_usage_of(pid_t pid, struct dx_usage *out) DX_CHECKED;

#endif
