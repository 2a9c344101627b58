/* SPDX-License-Identifier: MIT */
/*
 * What a request is aimed at: its route, what has to be refused because of its target, and the host of a
 * request that names none.
 */
#include "diplex/http/chars.h"
#include "proxy/front.h"
#include "proxy/steps.h"

/* RFC 9110 7.4: a request for an https resource that came unsecured was not meant for this port. A peer that
 * is trusted may have taken the TLS off. */
static bool is_misdirected(const struct dx_request *r, const struct dx_forward_request *how)
{
    bool https = r->form == DX_TARGET_ABSOLUTE && r->target.n > 4 && (r->target.p[4] | 0x20) == 's';

    return https && !how->https && !how->peer_trusted;
}

/* DX_ROUTE_UNDECODABLE too when there is no memory for a long path. */
static int find(struct exchange *x)
{
    char host[256], small[512], *buf = small;
    struct dx_slice name = x->request.host_name, path;

    DX_ASSERT(name.n <= sizeof(host));
    for (size_t i = 0; i < name.n; i++)
        host[i] = dx_http_lower(name.p[i]);
    name.p = host;
    if (x->request.path.p[0] == '*') /* or an absolute target that means it */
        return dx_route_find(x->view->snapshot->routes, name, DX_SLICE("/"));
    if (x->request.path.n > sizeof(small))
        buf = dx_arena_alloc(&x->arena, x->request.path.n);
    if (buf == NULL)
        return DX_ROUTE_UNDECODABLE;
    return dx_route_of_path(x->view->snapshot->routes, name, x->request.path, buf, &path);
}

bool target_find_route(struct exchange *x, const struct dx_forward_request *how, int *route,
                       struct dx_http_error *err)
{
    int found = find(x);

    *err = (struct dx_http_error){400, NULL};
    if (found == DX_ROUTE_UNDECODABLE)
        err->reason = "path cannot be decoded";
    else if (found == DX_ROUTE_TWO_READINGS)
        err->reason = "with its dot segments the path is another route's than without";
    else if (DX_UNLIKELY(is_misdirected(&x->request, how)))
        *err = (struct dx_http_error){421, "an https URL on a connection without TLS"};
    else
        *route = found;
    return err->reason == NULL;
}

void target_lend_host(struct exchange *x) { x->request.host = dx_slice_str(x->pool->health.host); }
