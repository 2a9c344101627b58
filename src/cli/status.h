/* SPDX-License-Identifier: MIT */
/* What `diplex status` and `diplex top` both paint of the document of GET /status. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "cli/json.h"
#include "cli/paint.h"

/* One request anywhere in the document, with where it is. */
struct status_request {
    const struct json *of;
    const struct json *pool, *server; /* NULL: none has it */
    bool waits;
    double age_ms;
};
/* All of them, the oldest first, in the arena; streams are among them only when asked for. NULL: there are
 * none. */
struct status_request *status_requests(const struct json *root, bool with_streams, struct dx_arena *a,
                                       size_t *n);

void status_requests_title(struct paint *p);
void status_request_line(struct paint *p, const struct status_request *r);
struct dx_slice status_where(const struct status_request *r, char *buf, size_t n); /* "sync web:8000" */

void status_head(struct paint *p, const struct json *root);
/* A pool's line, and with `servers` one for each of them. */
void status_pool(struct paint *p, const struct json *pool, bool servers);

#endif
