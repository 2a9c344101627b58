/* SPDX-License-Identifier: MIT */
/* The calendar, in UTC and without locale: shared by the log below and by os/clock above. Pure; it never asks
 * what time it is. */
#ifndef DIPLEX_BASE_DATE_H
#define DIPLEX_BASE_DATE_H

#include <stddef.h>
#include <stdint.h>

struct dx_date {
    unsigned year, month, day; /* 1970-9999, 1-12, 1-31 */
    unsigned hour, minute, second, ms;
    unsigned weekday; /* 0 is Sunday */
};

/* From microseconds since 1970 (Unix time, no leap seconds). What lies past the year 9999 is its last
 * moment. */
struct dx_date dx_date_of(uint64_t wall_us);

#define DX_DATE_RFC3339_LEN 24
/* "2026-11-22T17:00:00.123Z", terminated: `buf` holds DX_DATE_RFC3339_LEN + 1 bytes. */
void dx_date_rfc3339(uint64_t wall_us, char *buf);

/* `digits` decimal digits with leading zeros; returns the end. */
char *dx_date_put(char *p, unsigned value, unsigned digits);

#endif
