/* SPDX-License-Identifier: MIT */
/* Reason phrases, for the answers that diplex gives itself. A server's own phrase is passed on as it came. */
#include "diplex/http.h"

const char *dx_http_reason(unsigned status)
{
    switch (status) {
#define REASON(status, phrase) \
    case status:               \
        return phrase;
#include "http/reasons.def"
    default:
        return "";
    }
}
