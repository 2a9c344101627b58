/* SPDX-License-Identifier: MIT */
/* What /status says of each route; for status.c. */
#ifndef ADMIN_ROUTES_H
#define ADMIN_ROUTES_H

#include "diplex/admin.h"

#define ROUTES_SHOWN 100u

/* A JSON array, the routes with the most requests first, at most ROUTES_SHOWN of them; how many more there
 * are. Routes without a place of their own on the board stand together, for each pool, as "(other)"; what had
 * no route at all has prefix and pool null. */
unsigned routes_write(const struct dx_admin_facts *f, struct dx_text *out);

#endif
