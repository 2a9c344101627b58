/* SPDX-License-Identifier: MIT */
/*
 * The four forms of a target. Only http and https are absolute schemes here, user information is refused (RFC
 * 9110 4.2.4), and the authority form is left to be refused with its method, CONNECT.
 */
#include "http1/target.h"

#define HOST_MAX_BYTES 255

static void split_query(struct dx_request *r, struct dx_slice rest)
{
    size_t n = dx_slice_find(rest, '?');

    r->path = dx_slice_of(rest.p, n);
    r->query = dx_slice_of(rest.p + n, rest.n - n);
}

static struct dx_slice after_scheme(struct dx_slice target)
{
    static const struct dx_slice schemes[] = {{"http://", 7}, {"https://", 8}};

    for (size_t i = 0; i < DX_COUNT(schemes); i++) {
        struct dx_slice s = schemes[i];
        if (target.n > s.n && dx_slice_eq_nocase(dx_slice_of(target.p, s.n), s))
            return dx_slice_of(target.p + s.n, target.n - s.n);
    }
    return (struct dx_slice){NULL, 0};
}

static bool read_absolute(struct dx_request *r, const char **reason)
{
    struct dx_slice rest = after_scheme(r->target);
    char lower[HOST_MAX_BYTES];
    struct dx_slice name;
    uint16_t port;
    size_t n = 0;

    if (rest.n == 0) {
        *reason = "the target is neither a path nor an http URL";
        return false;
    }
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    r->form = DX_TARGET_ABSOLUTE;
    r->host = dx_slice_of(rest.p, n);
    if (!dx_http_host_split(r->host, lower, sizeof(lower), &name, &port)) { /* '@' is in no host either */
        *reason = "the target's host is not a host";
        return false;
    }
    split_query(r, dx_slice_of(rest.p + n, rest.n - n));
    if (r->path.n == 0) /* RFC 9112 3.2.1, and 3.2.4 for OPTIONS */
        r->path = r->method_id == DX_METHOD_OPTIONS && r->query.n == 0 ? DX_SLICE("*") : DX_SLICE("/");
    return true;
}

bool dx_http1_target(struct dx_request *r, const char **reason)
{
    struct dx_slice none = {NULL, 0};

    r->host = none;
    if (r->method_id == DX_METHOD_CONNECT) {
        r->form = DX_TARGET_AUTHORITY;
        r->path = r->target;
        r->query = none;
        return true;
    }
    if (r->target.p[0] == '/') {
        r->form = DX_TARGET_ORIGIN;
        split_query(r, r->target);
        return true;
    }
    if (dx_slice_eq(r->target, DX_SLICE("*"))) {
        r->form = DX_TARGET_ASTERISK;
        r->path = r->target;
        r->query = none;
        *reason = "the target * is for OPTIONS";
        return r->method_id == DX_METHOD_OPTIONS;
    }
    return read_absolute(r, reason);
}
