/* SPDX-License-Identifier: MIT */
/* Shared memory as a sealed memory file: its size can never change, so a mapping can never fault because the
 * other side cut it. */
#include "diplex/os/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/os/fd.h"

void *dx_shm_map(int fd, size_t bytes)
{
    struct stat st;
    if (bytes == 0 || fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size < bytes) {
        errno = EINVAL;
        return NULL;
    }
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

void *dx_shm_create(const char *name, size_t bytes, int *fd)
{
    int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return NULL;
    void *p = NULL;
    if (ftruncate(made, (off_t)bytes) == 0 &&
        fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        p = dx_shm_map(made, bytes);
    if (!p) {
        dx_fd_close(&made);
        return NULL;
    }
    *fd = made;
    return p;
}

void dx_shm_unmap(void *p, size_t bytes)
{
    if (!p)
        return;
    int result = munmap(p, bytes);
    DX_ASSERT(result == 0);
}
