/* SPDX-License-Identifier: MIT */
/* Days to calendar by arithmetic on the 400-year cycle, counted from 1 March so that the leap day comes last.
 */
#include "diplex/base/date.h"

#define US_PER_MS        1000u
#define MS_PER_DAY       86400000ull
#define LAST_US          253402300799999999ull /* 9999-12-31T23:59:59.999999Z */
#define DAYS_PER_ERA     146097u               /* 400 years */
#define DAYS_BEFORE_1970 719468u               /* from 0000-03-01 */

static void set_day(struct dx_date *d, unsigned days_since_1970)
{
    unsigned days = days_since_1970 + DAYS_BEFORE_1970;
    unsigned era = days / DAYS_PER_ERA;
    unsigned doe = days % DAYS_PER_ERA;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned march_month = (5 * doy + 2) / 153;

    d->day = doy - (153 * march_month + 2) / 5 + 1;
    d->month = march_month < 10 ? march_month + 3 : march_month - 9;
    d->year = era * 400 + yoe + (d->month <= 2 ? 1 : 0);
    d->weekday = (days_since_1970 + 4) % 7; /* 1970-01-01 was a Thursday */
}

struct dx_date dx_date_of(uint64_t wall_us)
{
    uint64_t total_ms = (wall_us < LAST_US ? wall_us : LAST_US) / US_PER_MS;
    unsigned ms = (unsigned)(total_ms % MS_PER_DAY);
    struct dx_date d;

    set_day(&d, (unsigned)(total_ms / MS_PER_DAY));
    d.ms = ms % 1000;
    d.second = ms / 1000 % 60;
    d.minute = ms / 60000 % 60;
    d.hour = ms / 3600000;
    return d;
}

char *dx_date_put(char *p, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        p[i] = (char)('0' + value % 10);
    return p + digits;
}

void dx_date_rfc3339(uint64_t wall_us, char *buf)
{
    struct dx_date d = dx_date_of(wall_us);
    char *p = dx_date_put(buf, d.year, 4);

    *p++ = '-';
    p = dx_date_put(p, d.month, 2);
    *p++ = '-';
    p = dx_date_put(p, d.day, 2);
    *p++ = 'T';
    p = dx_date_put(p, d.hour, 2);
    *p++ = ':';
    p = dx_date_put(p, d.minute, 2);
    *p++ = ':';
    p = dx_date_put(p, d.second, 2);
    *p++ = '.';
    p = dx_date_put(p, d.ms, 3);
    *p++ = 'Z';
    *p = '\0';
}
