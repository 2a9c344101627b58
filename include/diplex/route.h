/* SPDX-License-Identifier: MIT */
/*
 * The prefix table. Longest prefix wins, order never matters; a prefix matches whole segments: "/async/" matches "/async/x" and "/async", not
 * "/asyncx". Routes with a host are tried first, then those without. A lookup costs the same with ten routes and ten thousand.
 * The table is immutable once made and may be read from any thread.
 */
#ifndef DIPLEX_ROUTE_H
#define DIPLEX_ROUTE_H

#include "diplex/base/err.h"
#include "diplex/base/slice.h"

struct dx_route_table;

struct dx_route_key {
    struct dx_slice host;   /* lower case, without port; empty: every host; "*.example.com": every name below it */
    struct dx_slice prefix; /* decoded and normalised, begins with '/' */
};

#define DX_ROUTE_NONE         (-1)
#define DX_ROUTE_UNDECODABLE  (-2)
#define DX_ROUTE_TWO_READINGS (-3)

/* Copies the keys; the result of a lookup is the index into them. NULL with err: out of memory, a prefix that does not begin with '/', a duplicate
 * (prefixes that differ only in their trailing '/' are duplicates). */
struct dx_route_table *dx_route_new(const struct dx_route_key *keys, size_t n, struct dx_err *err) DX_CHECKED;
void dx_route_free(struct dx_route_table **t);

/* host: lower case, without port (dx_http_host_split); path: normalised (dx_http_path_normalise). */
int dx_route_find(const struct dx_route_table *t, struct dx_slice host, struct dx_slice path);

/* The route of a path as it came, which is in *path then as it was compared (a slice of raw, or of buf, which has at least raw.n bytes). No server
 * behind diplex resolves dot segments, and not every one need be so: a path that leads to one route as it stands, decoded, and to another with its
 * dot segments resolved, is DX_ROUTE_TWO_READINGS. */
int dx_route_of_path(const struct dx_route_table *t, struct dx_slice host, struct dx_slice raw, char *buf, struct dx_slice *path);

#endif
