/* SPDX-License-Identifier: MIT */
/*
 * What a data process tells of its requests, as one would write it that a stranger has taken over: any bytes
 * in a part. Whoever reads them stays inside of them, comes to an end, and what was read whole is written and
 * read again as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "census/part.h"

#define AGAIN_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct dx_census_request *r)
{
    char buf[AGAIN_BYTES];
    struct dx_out out = dx_out_of(buf, sizeof buf);
    struct dx_census_request again;
    bool broken = false;
    if (!census_write(&out, r))
        abort();
    struct dx_slice rest = dx_out_slice(&out);
    if (!dx_census_next(&rest, &again, &broken) || broken || rest.n != 0)
        abort();
    if (again.age_us != r->age_us || again.pool != r->pool || again.server != r->server ||
        again.flags != r->flags)
        abort();
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++)
        if (!dx_slice_eq(again.words[i], r->words[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1); /* so that a byte too far is seen */
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    struct dx_slice rest = dx_slice_of(copy, size);
    struct dx_census_request r;
    bool broken = false;
    for (size_t before = rest.n; dx_census_next(&rest, &r, &broken); before = rest.n) {
        if (broken || rest.n >= before)
            abort();
        for (unsigned i = 0; i < DX_CENSUS_WORDS; i++)
            if (r.words[i].n && (r.words[i].p < copy || r.words[i].p + r.words[i].n > copy + size))
                abort();
        write_again(&r);
    }
    if (!broken && rest.n != 0)
        abort();
    free(copy);
    return 0;
}
