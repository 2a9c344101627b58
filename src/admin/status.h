/* SPDX-License-Identifier: MIT */
/* The parts of the document of GET /status, one file for each, and what they share: JSON written piece by
 * piece. */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "admin/inside.h"

void put_string(struct dx_text *out, const char *key, const char *value); /* "key":"value"; NULL: null */
void put_number(struct dx_text *out, const char *key, uint64_t value);
void put_flag(struct dx_text *out, const char *key, bool value);

/* status_pools.c */
void status_pools(const struct dx_admin_facts *f, struct dx_text *out);

#endif
