/* SPDX-License-Identifier: MIT */
/* Paths as routes see them, and hosts: no dot segment, no NUL and no byte too many comes out, whatever goes
 * in. */
#include "fuzz_cuts.h"

#include <stdlib.h>

static void check_segments(struct dx_slice path)
{
    size_t start = 1;

    DX_ASSERT(path.n > 0 && path.p[0] == '/' && dx_slice_find(path, '\0') == path.n);
    for (size_t i = 1; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/')
            continue;
        struct dx_slice segment = dx_slice_of(path.p + start, i - start);
        DX_ASSERT(!dx_slice_eq(segment, DX_SLICE(".")) && !dx_slice_eq(segment, DX_SLICE("..")));
        start = i + 1;
    }
}

static void check_path(struct dx_slice path)
{
    char *buf = malloc(path.n + 1), *again = malloc(path.n + 1);
    struct dx_slice out, twice;

    DX_ASSERT(buf && again);
    if (dx_http_path_normalise(path, buf, path.n, &out) && !dx_slice_eq(out, DX_SLICE("*"))) {
        DX_ASSERT(out.n <= path.n && (fuzz_inside(out, buf, path.n) || (out.p == path.p && out.n == path.n)));
        check_segments(out);
        if (dx_slice_find(out, '%') == out.n) /* nothing left to decode: it is its own normal form */
            DX_ASSERT(dx_http_path_normalise(out, again, out.n, &twice) && dx_slice_eq(out, twice));
    }
    free(buf);
    free(again);
}

static void check_host(struct dx_slice host)
{
    char buf[256], again[256], copy[264];
    struct dx_slice name, twice;
    uint16_t port, none;

    if (!dx_http_host_split(host, buf, sizeof(buf), &name, &port))
        return;
    DX_ASSERT(name.n > 0 && name.n <= host.n && fuzz_inside(name, buf, sizeof(buf)));
    for (size_t i = 0; i < name.n; i++)
        DX_ASSERT(name.p[i] > ' ' && name.p[i] < 0x7f && !strchr("/?#@%,\\ABCXYZ", name.p[i]));
    DX_ASSERT(dx_http_host_split(name, again, sizeof(again), &twice, &none));
    DX_ASSERT(dx_slice_eq(name, twice) && none == 0);
    struct dx_out o = dx_out_of(copy, sizeof(copy));
    dx_out_add(&o, name);
    DX_OUT_LIT(&o, ":");
    dx_out_u64(&o, port ? port : 1);
    DX_ASSERT(!o.overflow && dx_http_host_split(dx_out_slice(&o), again, sizeof(again), &twice, &none));
    DX_ASSERT(dx_slice_eq(name, twice) && none == (port ? port : 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dx_slice s = dx_slice_of((const char *)data, size);

    check_path(s);
    check_host(s);
    return 0;
}
