/* SPDX-License-Identifier: MIT */
/* The three parts of a sandbox: rights (rights.c), the filter of system calls (filter.c), files (landlock.c).
 */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include <stdint.h>

#include "diplex/sandbox.h"

/* A sanitizer's runtime traces, forks, maps and reads files when it likes: there is no filter in such a
 * build. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_INSTRUMENTED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_INSTRUMENTED 1
#endif
#ifndef SANDBOX_INSTRUMENTED
#define SANDBOX_INSTRUMENTED 0
#endif

/* Capabilities beyond `kept`, a set of bits, can never come back. The bounding set needs CAP_SETPCAP: without
 * it, it stays, and no_new_privileges sees to it that it is worth nothing. */
void rights_bound(uint64_t kept);
bool rights_keep(uint64_t kept) DX_CHECKED;
void rights_pass_on(uint64_t kept); /* over exec, also of an ordinary user; root has them anyhow */
void rights_core_dumps(bool allowed);

/* errno on failure. */
bool filter_data(void (*on_forbidden)(int call)) DX_CHECKED;
bool filter_control(void) DX_CHECKED;

/* The version in force in *version. False with errno: ENOSYS or EOPNOTSUPP where the kernel has none. */
bool landlock_enter(int folder, unsigned *version) DX_CHECKED;

#endif
