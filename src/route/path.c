/* SPDX-License-Identifier: MIT */
/* From the path of a request, as it came, to its route; and the paths that could mean two. */
#include "diplex/route.h"

#include "diplex/http.h"

int dx_route_of_path(const struct dx_route_table *t, struct dx_slice host, struct dx_slice raw, char *buf,
                     struct dx_slice *path)
{
    if (raw.n > 0 && raw.p[0] == '/' && dx_http_path_is_normal(raw)) {
        *path = raw;
        return dx_route_find(t, host, raw);
    }
    if (!dx_http_path_decode(raw, buf, raw.n, path))
        return DX_ROUTE_UNDECODABLE;

    int as_it_stands = dx_route_find(t, host, *path);
    size_t n = dx_http_path_resolve(buf, path->n);
    if (n == path->n)
        return as_it_stands;
    path->n = n;
    int resolved = dx_route_find(t, host, *path);
    return resolved == as_it_stands ? resolved : DX_ROUTE_TWO_READINGS;
}
