/* SPDX-License-Identifier: MIT */
/* A request to bytes and back. What is read may be anybody's: each length is checked against what is there.
 */
#include "census/part.h"

#include "diplex/base/check.h"

struct wire {
    uint64_t age_us, bytes_in, bytes_out;
    uint32_t pool, server, status, flags;
    uint16_t lengths[DX_CENSUS_WORDS];
};

static const uint16_t most[DX_CENSUS_WORDS] = {
    [DX_CENSUS_ID] = 64,     [DX_CENSUS_METHOD] = 32, [DX_CENSUS_HOST] = 128, [DX_CENSUS_PATH] = 512,
    [DX_CENSUS_ROUTE] = 256, [DX_CENSUS_CLIENT] = 64, [DX_CENSUS_STATE] = 16,
};

bool census_write(struct dx_out *out, const struct dx_census_request *r)
{
    struct wire w = {.age_us = r->age_us,
                     .bytes_in = r->bytes_in,
                     .bytes_out = r->bytes_out,
                     .pool = r->pool,
                     .server = r->server,
                     .status = r->status,
                     .flags = r->flags};
    struct dx_out try = *out;
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++)
        w.lengths[i] = (uint16_t)(r->words[i].n < most[i] ? r->words[i].n : most[i]);
    char head[sizeof w];
    memcpy(head, &w, sizeof w);
    dx_out_add(&try, dx_slice_of(head, sizeof head));
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++)
        dx_out_add(&try, dx_slice_of(r->words[i].p, w.lengths[i]));
    if (try.overflow)
        return false;
    *out = try;
    return true;
}

bool dx_census_next(struct dx_slice *rest, struct dx_census_request *out, bool *broken)
{
    struct wire w;
    size_t all = 0;
    if (rest->n == 0)
        return false;
    *broken = true;
    if (rest->n < sizeof w)
        return false;
    memcpy(&w, rest->p, sizeof w);
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++) {
        if (w.lengths[i] > most[i])
            return false;
        all += w.lengths[i];
    }
    if (all > rest->n - sizeof w)
        return false;
    *broken = false;
    *out = (struct dx_census_request){.age_us = w.age_us,
                                      .bytes_in = w.bytes_in,
                                      .bytes_out = w.bytes_out,
                                      .pool = w.pool,
                                      .server = w.server,
                                      .status = w.status,
                                      .flags = w.flags};
    const char *p = rest->p + sizeof w;
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++) {
        out->words[i] = dx_slice_of(p, w.lengths[i]);
        p += w.lengths[i];
    }
    *rest = dx_slice_of(p, (size_t)(rest->p + rest->n - p));
    return true;
}
