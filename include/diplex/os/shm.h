/* SPDX-License-Identifier: MIT */
/* Memory shared between processes, carried by a descriptor. Pages cost nothing until they are touched. */
#ifndef DIPLEX_OS_SHM_H
#define DIPLEX_OS_SHM_H

#include <stddef.h>

#include "diplex/base/check.h"

/* A new zeroed region; *fd is close-on-exec and owned by the caller, the mapping by dx_shm_unmap. NULL on
 * error (errno). */
void *dx_shm_create(const char *name, size_t bytes, int *fd) DX_CHECKED;
void *dx_shm_map(int fd, size_t bytes) DX_CHECKED; /* NULL on error or when the file is shorter */
void dx_shm_unmap(void *p, size_t bytes);

#endif
