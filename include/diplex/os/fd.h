/* SPDX-License-Identifier: MIT */
/* Small operations on descriptors. Errors are in errno. */
#ifndef DIPLEX_OS_FD_H
#define DIPLEX_OS_FD_H

#include "diplex/base/slice.h"

bool dx_fd_set_nonblocking(int fd) DX_CHECKED;
bool dx_fd_set_cloexec(int fd, bool on) DX_CHECKED;
void dx_fd_close(int *fd); /* closes if >= 0 and sets to -1 */
/* Writes all, through EINTR and short writes (waits with poll when the descriptor would block). */
bool dx_fd_write_all(int fd, struct dx_slice s) DX_CHECKED;
/* Reads a whole file of at most `max` bytes into a heap block, terminated, owned by the caller. errno is
 * EFBIG when larger. */
bool dx_fd_read_file(const char *path, size_t max, char **out, size_t *n) DX_CHECKED;
bool dx_fd_read_all(int fd, size_t max, char **out, size_t *n) DX_CHECKED; /* from offset 0 for files */
/* An anonymous sealed file in memory that holds the bytes; -1 on error. */
int dx_fd_memory_file(const char *name, struct dx_slice content) DX_CHECKED;
/* Raises the soft limit of descriptors to the hard one; returns what is in force. */
uint64_t dx_fd_raise_limit(void);

#endif
