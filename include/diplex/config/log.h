/* SPDX-License-Identifier: MIT */
/* What a configuration says of the two logs: a part of diplex/config.h. */
#ifndef DIPLEX_CONFIG_LOG_H
#define DIPLEX_CONFIG_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum dx_log_query { DX_QUERY_HIDDEN, DX_QUERY_FULL, DX_QUERY_OFF };
enum dx_access_format { DX_ACCESS_JSON, DX_ACCESS_COMBINED, DX_ACCESS_COMMON, DX_ACCESS_OFF };
enum dx_route_log { DX_ROUTE_LOG_ON, DX_ROUTE_LOG_ERRORS, DX_ROUTE_LOG_OFF };
enum dx_log_facility {
    DX_FACILITY_USER,
    DX_FACILITY_DAEMON,
    DX_FACILITY_LOCAL0
}; /* LOCAL1 to LOCAL7 follow */

enum dx_log_to { DX_LOG_STDOUT, DX_LOG_STDERR, DX_LOG_FILE, DX_LOG_SYSLOG, DX_LOG_JOURNALD };
struct dx_log_target {
    enum dx_log_to to;
    const char *text; /* as written, after ${} */
    const char *path; /* of the file or of the socket; NULL: it has none */
};

struct dx_log_config {
    struct dx_log_target access, error; /* where they go */
    enum dx_log_facility facility;      /* of syslog and journald, as the next */
    const char *tag;
    unsigned sample; /* of ordinary requests, in per cent */
    uint64_t slow;   /* milliseconds; 0: nothing is */
};

/* What becomes of `traceparent`: it goes on as it came; one is made where none came; nobody's but that of
 * trusted proxies is believed. */
enum dx_trace_mode { DX_TRACE_PASS, DX_TRACE_MAKE, DX_TRACE_RESTART };
struct dx_trace_config {
    enum dx_trace_mode mode;
    unsigned sample;    /* of the traces that begin here, in per cent */
    bool server_timing; /* clients are told where the time went */
};

#endif
