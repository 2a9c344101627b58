/* SPDX-License-Identifier: MIT */
/*
 * An allocator that fails once, when it is asked for the n-th time. A program that calls these functions has
 * to be linked with FAILING_LINK_OPTIONS (tests/CMakeLists.txt), which puts the ones in failing.c in front of
 * malloc, calloc, realloc, mmap, socket and pipe2; libevent is given them by failing_libevent. What asks
 * while it is not watched always gets.
 */
#ifndef DIPLEX_TEST_FAILING_H
#define DIPLEX_TEST_FAILING_H

#include <stdbool.h>

/* From now on one thread's requests are counted while it is watched, and the n-th fails; 0: none. */
void failing_at(unsigned n);
/* Returns whether it was watched before. */
bool failing_watch(bool on);
unsigned failing_asked(void); /* since failing_at */
bool failing_has_failed(void);
/* Before libevent is used. */
void failing_libevent(void);

#endif
