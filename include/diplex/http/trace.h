/* SPDX-License-Identifier: MIT */
/* The `traceparent` field (W3C Trace Context, levels 1 and 2): which trace a request belongs to. A part of
 * diplex/http.h. */
#ifndef DIPLEX_HTTP_TRACE_H
#define DIPLEX_HTTP_TRACE_H

#include "diplex/http.h"

#define DX_TRACE_ID     32 /* hexadecimal digits */
#define DX_TRACE_PARENT 55 /* of a whole value of version 00 */

/* The trace id in a value that is valid (3.2.2 there), as a slice of it. False: it is not, and counts as
 * none. Of versions to come what they begin with is read. */
bool dx_http_trace_id(struct dx_slice traceparent, struct dx_slice *id) DX_CHECKED;
/* The field of a request that will be forwarded, when there is exactly one and it is valid; NULL else. */
const struct dx_field *dx_http_trace_find(const struct dx_fields *f, struct dx_slice *id);
/* A value of version 00 from 24 random bytes: 16 for the trace, 8 for the parent. */
void dx_http_trace_write(const uint64_t random[3], bool sampled, char out[DX_TRACE_PARENT]);

#endif
