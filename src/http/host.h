/* SPDX-License-Identifier: MIT */
/* A host with its port, taken apart where it stands. Private to http. */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include "diplex/http.h"

struct dx_http_host {
    struct dx_slice name; /* as it came, without a trailing dot; an IPv6 literal with its brackets */
    uint16_t port;        /* 0: none was given */
};

bool dx_http_host_parse(struct dx_slice host, struct dx_http_host *out) DX_CHECKED;

/* The same host and port; a missing port is default_port. */
bool dx_http_host_same(struct dx_slice a, struct dx_slice b, uint16_t default_port);

#endif
