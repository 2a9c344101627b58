/* SPDX-License-Identifier: MIT */
/* The two clocks, and the three forms in which HTTP and logs write a date. */
#include "diplex/os/clock.h"

#include <string.h>
#include <time.h>

#include "diplex/base/check.h"
#include "diplex/base/date.h"

static uint64_t read_us(clockid_t id)
{
    struct timespec t;
    int result = clock_gettime(id, &t);
    DX_ASSERT(result == 0);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t dx_clock_us(void) { return read_us(CLOCK_MONOTONIC); }
uint64_t dx_clock_thread_us(void) { return read_us(CLOCK_THREAD_CPUTIME_ID); }
uint64_t dx_clock_wall_us(void) { return read_us(CLOCK_REALTIME); }

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char *put(char *p, const char *text, size_t n)
{
    memcpy(p, text, n);
    return p + n;
}

static char *put_time(char *p, const struct dx_date *d)
{
    p = dx_date_put(p, d->hour, 2);
    *p++ = ':';
    p = dx_date_put(p, d->minute, 2);
    *p++ = ':';
    return dx_date_put(p, d->second, 2);
}

size_t dx_clock_rfc3339(uint64_t wall_us, char *buf, size_t n)
{
    DX_ASSERT(n > DX_DATE_RFC3339_LEN);
    dx_date_rfc3339(wall_us, buf);
    return DX_DATE_RFC3339_LEN;
}

size_t dx_clock_http_date(uint64_t wall_us, char *buf, size_t n)
{
    const struct dx_date d = dx_date_of(wall_us);
    DX_ASSERT(n > sizeof("Sun, 22 Nov 2026 17:00:00 GMT") - 1);
    char *p = put(buf, weekdays + (size_t)3 * d.weekday, 3);
    p = put(p, ", ", 2);
    p = dx_date_put(p, d.day, 2);
    *p++ = ' ';
    p = put(p, months + (size_t)3 * (d.month - 1), 3);
    *p++ = ' ';
    p = dx_date_put(p, d.year, 4);
    *p++ = ' ';
    p = put(put_time(p, &d), " GMT", 4);
    *p = '\0';
    return (size_t)(p - buf);
}

size_t dx_clock_common(uint64_t wall_us, char *buf, size_t n)
{
    const struct dx_date d = dx_date_of(wall_us);
    DX_ASSERT(n > sizeof("22/Nov/2026:17:00:00 +0000") - 1);
    char *p = dx_date_put(buf, d.day, 2);
    *p++ = '/';
    p = put(p, months + (size_t)3 * (d.month - 1), 3);
    *p++ = '/';
    p = dx_date_put(p, d.year, 4);
    *p++ = ':';
    p = put(put_time(p, &d), " +0000", 6);
    *p = '\0';
    return (size_t)(p - buf);
}
