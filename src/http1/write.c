/* SPDX-License-Identifier: MIT */
/* Writing HTTP/1.1: chunk heads and field lines. */
#include "diplex/http1.h"

size_t dx_http1_chunk_head(char buf[DX_HTTP1_CHUNK_HEAD], size_t data_bytes)
{
    struct dx_out o = dx_out_of(buf, DX_HTTP1_CHUNK_HEAD);

    DX_ASSERT(data_bytes > 0); /* the empty chunk ends the body */
    dx_out_hex(&o, data_bytes);
    DX_OUT_LIT(&o, "\r\n");
    DX_ASSERT(!o.overflow);
    return dx_out_slice(&o).n;
}

void dx_http1_write_field(struct dx_out *o, struct dx_slice name, struct dx_slice value)
{
    dx_out_add(o, name);
    DX_OUT_LIT(o, ": ");
    dx_out_add(o, value);
    DX_OUT_LIT(o, "\r\n");
}
