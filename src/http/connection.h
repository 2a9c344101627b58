/* SPDX-License-Identifier: MIT */
/* What requests and responses have in common in their meaning: Connection, Transfer-Encoding, Content-Length.
 * Private to http. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "diplex/http.h"

struct dx_http_connection {
    bool close, keep_alive, upgrade;
    bool names;       /* it names fields that end here only because of that */
    unsigned options; /* how many so far, over all Connection fields of the message: bounded */
};

/* Reads one Connection field and marks with `drop` the fields that it names. NULL, or the reason of a
 * refusal. */
const char *dx_http_connection_read(struct dx_http_connection *c, struct dx_slice value,
                                    struct dx_fields *f) DX_CHECKED;

enum dx_http_coding {
    DX_CODING_CHUNKED, /* chunked and nothing else */
    DX_CODING_UNKNOWN, /* well-formed, chunked last, but with other codings before */
    DX_CODING_BAD
};

enum dx_http_coding dx_http_coding_read(struct dx_slice value);

/* Strict Content-Length: digits only, no list, within a signed 64-bit number. */
bool dx_http_length_read(struct dx_slice value, uint64_t *out) DX_CHECKED;

#endif
