/* SPDX-License-Identifier: MIT */
/* Durations and sizes as people write them: 500ms 10s 5m 1h 2d, and 512 64KB 100MB 1GB (powers of 1024; B is
 * optional, case is not). */
#ifndef DIPLEX_BASE_UNITS_H
#define DIPLEX_BASE_UNITS_H

#include "diplex/base/slice.h"

/* Whole numbers with a unit; compound forms such as 1m30s; a bare 0 is a duration too. */
bool dx_units_duration_ms(struct dx_slice s, uint64_t *out_ms) DX_CHECKED;
bool dx_units_size_bytes(struct dx_slice s, uint64_t *out_bytes) DX_CHECKED;

/* The shortest exact form; returns the terminated string in buf (at least 32 bytes). */
const char *dx_units_duration_text(uint64_t ms, char *buf, size_t n);
const char *dx_units_size_text(uint64_t bytes, char *buf, size_t n);

#endif
