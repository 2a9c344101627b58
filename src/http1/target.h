/* SPDX-License-Identifier: MIT */
/* Request targets (RFC 9112 3.2). Private to http1. */
#ifndef HTTP1_TARGET_H
#define HTTP1_TARGET_H

#include "diplex/http.h"

/* r->method_id and r->target (visible ASCII without '#', not empty) are set; sets form, path, query, and host
 * of an absolute target. */
bool dx_http1_target(struct dx_request *r, const char **reason) DX_CHECKED;

#endif
