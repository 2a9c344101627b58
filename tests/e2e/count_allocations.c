/* SPDX-License-Identifier: MIT */
/*
 * Counts what a program allocates: preloaded in front of glibc, whose own functions do the work. Each process
 * keeps its count as eight bytes of the file named by its id in the directory COUNT_ALLOCATIONS_IN, mapped,
 * so that it can be read at any moment and costs one atomic addition. Built and used by test_counts.py alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t before_main;
static _Atomic uint64_t *counter = &before_main;

__attribute__((constructor)) static void begin(void)
{
    const char *directory = getenv("COUNT_ALLOCATIONS_IN");
    char path[4096];
    if (!directory || snprintf(path, sizeof path, "%s/%ld", directory, (long)getpid()) >= (int)sizeof path)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    void *mapped = MAP_FAILED;
    if (ftruncate(fd, sizeof *counter) == 0)
        mapped = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        counter = mapped;
}

void *malloc(size_t size)
{
    ++*counter;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    ++*counter;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    ++*counter;
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    ++*counter;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    ++*counter;
    void *made = __libc_memalign(alignment, size);
    if (!made)
        return ENOMEM;
    *block = made;
    return 0;
}
