/* SPDX-License-Identifier: MIT */
/* Methods by name, and what may be done with them. */
#include "diplex/http.h"

static enum dx_method method_if(struct dx_slice name, struct dx_slice expected, enum dx_method m)
{
    return dx_slice_eq(name, expected) ? m : DX_METHOD_OTHER;
}

enum dx_method dx_http_method(struct dx_slice name)
{
    if (name.n < 3 || name.n > 7)
        return DX_METHOD_OTHER;
    switch (name.p[0]) {
    case 'G':
        return method_if(name, DX_SLICE("GET"), DX_METHOD_GET);
    case 'H':
        return method_if(name, DX_SLICE("HEAD"), DX_METHOD_HEAD);
    case 'P':
        if (name.n == 4)
            return method_if(name, DX_SLICE("POST"), DX_METHOD_POST);
        if (name.n == 3)
            return method_if(name, DX_SLICE("PUT"), DX_METHOD_PUT);
        return method_if(name, DX_SLICE("PATCH"), DX_METHOD_PATCH);
    case 'D':
        return method_if(name, DX_SLICE("DELETE"), DX_METHOD_DELETE);
    case 'O':
        return method_if(name, DX_SLICE("OPTIONS"), DX_METHOD_OPTIONS);
    case 'T':
        return method_if(name, DX_SLICE("TRACE"), DX_METHOD_TRACE);
    case 'C':
        return method_if(name, DX_SLICE("CONNECT"), DX_METHOD_CONNECT);
    default:
        return DX_METHOD_OTHER;
    }
}

bool dx_http_method_safe(enum dx_method m)
{
    return m == DX_METHOD_GET || m == DX_METHOD_HEAD || m == DX_METHOD_OPTIONS || m == DX_METHOD_TRACE;
}

bool dx_http_method_idempotent(enum dx_method m)
{
    return dx_http_method_safe(m) || m == DX_METHOD_PUT || m == DX_METHOD_DELETE;
}
