/* SPDX-License-Identifier: MIT */
/* See failing.h. */
#include "failing.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_socket(int family, int type, int protocol);
int __real_pipe2(int ends[2], int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_socket(int family, int type, int protocol);
int __wrap_pipe2(int ends[2], int flags);

static _Thread_local bool watched, failed;
static _Thread_local unsigned asked, fails_at;

void failing_at(unsigned n)
{
    fails_at = n;
    asked = 0;
    failed = false;
}

bool failing_watch(bool on)
{
    bool before = watched;
    watched = on;
    return before;
}

unsigned failing_asked(void) { return asked; }
bool failing_has_failed(void) { return failed; }

static bool now(int why)
{
    if (!watched || ++asked != fails_at)
        return false;
    failed = true;
    errno = why;
    return true;
}

void *__wrap_malloc(size_t size) { return now(ENOMEM) ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return now(ENOMEM) ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *block, size_t size) { return now(ENOMEM) ? NULL : __real_realloc(block, size); }

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    return now(ENOMEM) ? MAP_FAILED : __real_mmap(at, size, prot, flags, fd, offset);
}

int __wrap_socket(int family, int type, int protocol)
{
    return now(EMFILE) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_pipe2(int ends[2], int flags) { return now(EMFILE) ? -1 : __real_pipe2(ends, flags); }

void failing_libevent(void) { event_set_mem_functions(__wrap_malloc, __wrap_realloc, free); }
