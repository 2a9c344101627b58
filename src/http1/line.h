/* SPDX-License-Identifier: MIT */
/*
 * Lines and field lines, shared by request heads, response heads and trailers. Private to http1.
 *
 * Why the answer is the same however the bytes come: a line that is not whole yet is only asked for octets
 * that no line may hold; everything else is decided when its LF is there, looking at no byte behind it. So
 * whatever is decided on some bytes is decided in the same way with more bytes behind them.
 */
#ifndef HTTP1_LINE_H
#define HTTP1_LINE_H

#include "diplex/http1.h"

/* The first control octet at or after p that is not HTAB, or end. */
const char *dx_http1_control(const char *p, const char *end);

/* DONE: the line at p ends with the CR at *eol, and an LF follows it. BAD: *reason is set. */
enum dx_parse dx_http1_line(const char *p, const char *end, const char **eol, const char **reason) DX_CHECKED;

/* True if the bytes p[seen..n), behind `seen` bytes that were not enough, end no line and hold nothing that
 * could be refused. */
bool dx_http1_nothing_new(const char *p, size_t n, size_t seen);

/* Field lines up to the empty line, which is included in *next. Fields beyond `max` are refused with 431,
 * everything else with 400. out->n is written in any case: those that stand whole and sound in front of what
 * is refused or missing. */
enum dx_parse dx_http1_fields(const char *p, const char *end, unsigned max, struct dx_fields *out,
                              const char **next, struct dx_http_error *err) DX_CHECKED;

static inline enum dx_parse dx_http1_refuse(struct dx_http_error *err, unsigned status, const char *reason)
{
    *err = (struct dx_http_error){status, reason};
    return DX_PARSE_BAD;
}

/* The minor version of "HTTP/1.x" (a higher one is read as 1), or -1: not a version, or -2: another major
 * version. */
int dx_http1_version(const char *p);
#define DX_HTTP1_VERSION_BYTES 8

#endif
