/* SPDX-License-Identifier: MIT */
#ifndef DIPLEX_OS_CLOCK_H
#define DIPLEX_OS_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t dx_clock_us(void);        /* monotonic; never goes back */
uint64_t dx_clock_thread_us(void); /* processor time of the calling thread; a system call */
uint64_t dx_clock_wall_us(void);   /* since 1970, for logs and headers only */

#define DX_CLOCK_RFC3339 32
/* "2026-11-22T17:00:00.123Z", terminated; returns the length (24). */
size_t dx_clock_rfc3339(uint64_t wall_us, char *buf, size_t n);
/* IMF-fixdate, RFC 9110 5.6.7: "Sun, 22 Nov 2026 17:00:00 GMT" (29). */
size_t dx_clock_http_date(uint64_t wall_us, char *buf, size_t n);
/* "22/Nov/2026:17:00:00 +0000" as in common access logs. */
size_t dx_clock_common(uint64_t wall_us, char *buf, size_t n);

#endif
