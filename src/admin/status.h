/* SPDX-License-Identifier: MIT */
/* The parts of the document of GET /status, one file for each, and what they share: JSON written piece by
 * piece. */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "admin/inside.h"

void put_string(struct dx_text *out, const char *key, const char *value); /* "key":"value"; NULL: null */
void put_number(struct dx_text *out, const char *key, uint64_t value);
void put_flag(struct dx_text *out, const char *key, bool value);

struct status {
    const struct dx_admin_facts *facts;
    const struct dx_census_list *running; /* NULL: nobody was asked */
    char (*servers)[DX_BOARD_NAME];       /* names by place on the board, as far as they were written */
    struct dx_text *out;
};

/* status_pools.c */
void status_pools(struct status *s);

/* status_requests.c: lists of what runs, each with how many were left out of it. */
void status_of_server(const struct status *s, uint32_t server); /* "requests" */
void status_of_queue(const struct status *s, uint32_t pool);    /* "waiting" */
void status_of_rest(const struct status *s);                    /* "streams", "elsewhere", "snapshot" */

#endif
