/* SPDX-License-Identifier: MIT */
/*
 * Lets one allocation of a program fail, whoever asks for it: diplex itself or one of its libraries. Preloaded in front
 * of glibc, whose own functions do the work. In the directory FAIL_ALLOCATION_IN each kind of process (`data`, and all
 * others as `control`) has a file of three numbers, mapped and shared: how many were asked for, the one that is to fail
 * (0: none), and whether it has. A process that is started again counts on, so that only one fails. Built and used by
 * test_allocations.py alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

struct shared {
    _Atomic uint64_t asked, fails_at, failed;
};
static struct shared before_main, *shared = &before_main;

/* The subcommand decides: `diplex data`. */
static const char *kind(void)
{
    static char line[256];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (fd >= 0)
        close(fd);
    size_t first = n > 0 ? strlen(line) : 0;
    return n > 0 && first + 1 < (size_t)n && strcmp(line + first + 1, "data") == 0 ? "data" : "control";
}

__attribute__((constructor)) static void begin(void)
{
    const char *directory = getenv("FAIL_ALLOCATION_IN");
    char path[4096];
    if (!directory || snprintf(path, sizeof path, "%s/%s", directory, kind()) >= (int)sizeof path)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        shared = mapped;
}

static int fails(void)
{
    if (++shared->asked != shared->fails_at)
        return 0;
    shared->failed = 1;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *block, size_t size) { return fails() ? NULL : __libc_realloc(block, size); }
