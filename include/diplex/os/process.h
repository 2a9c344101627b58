/* SPDX-License-Identifier: MIT */
/* Processes, users and identity. */
#ifndef DIPLEX_OS_PROCESS_H
#define DIPLEX_OS_PROCESS_H

#include <sys/types.h>

#include "diplex/base/err.h"
#include "diplex/base/slice.h"

/* Starts this very program again (/proc/self/exe) with the arguments, keeping only descriptors 0, 1, 2 and
 * `keep` (which becomes 3; -1: none). Signal masks and dispositions are back to default in the child. Returns
 * the child's pid, or -1 with err set. */
pid_t dx_process_spawn_self(char *const argv[], int keep, struct dx_err *err) DX_CHECKED;

/* Another program file, in the same way. Its standard output and error are `out`. */
pid_t dx_process_spawn(const char *program, char *const argv[], int keep, int out,
                       struct dx_err *err) DX_CHECKED;
/* The file that this process was started from, as it was named then, with a whole path; NULL: it is not
 * known. Owned by the caller. Before the working directory changes. */
char *dx_process_program(void) DX_CHECKED;
/* From here on an exec leaves nothing open but 0, 1 and 2, whatever libraries have opened; who wants more to
 * stay says so afterwards. */
void dx_process_keep_nothing(void);
/* Makes another program of this process. Signals wait until that one lets them in. Returns errno, and all is
 * as it was. */
int dx_process_become(const char *program, char *const argv[]) DX_CHECKED;
void dx_process_unblock_signals(void);

/* Drops root for good: groups, gid, uid of the named user; verifies that it cannot come back. Does nothing
 * when not root. A user that is root itself is refused. */
bool dx_process_drop_to(const char *user, struct dx_err *err) DX_CHECKED;
bool dx_process_no_new_privileges(void);

/* That this process may run on (affinity, and cgroup v2 cpu.max rounded up); at least 1. */
unsigned dx_process_cores(void);
bool dx_process_random(void *buf, size_t n) DX_CHECKED;

#endif
