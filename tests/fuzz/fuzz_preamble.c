/* SPDX-License-Identifier: MIT */
/*
 * Headers of the PROXY protocol: the answer is the same however the bytes come, nothing behind a header
 * changes it, and who is named in one is named in the one that we write of it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "diplex/preamble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answer {
    enum dx_preamble_parse parse;
    struct dx_preamble h;
    size_t used;
    const char *reason;
};

static struct answer parse(const char *p, size_t n)
{
    struct answer a = {.used = 0, .reason = NULL};
    char *copy = malloc(n + (n == 0));
    DX_ASSERT(copy != NULL);
    if (n > 0)
        memcpy(copy, p, n);
    a.parse = dx_preamble_read(copy, n, &a.h, &a.used, &a.reason);
    free(copy);
    return a;
}

static void check_same(const struct answer *a, const struct answer *b)
{
    DX_ASSERT(a->parse == b->parse && a->used == b->used);
    DX_ASSERT(a->parse != DX_PREAMBLE_BAD || strcmp(a->reason, b->reason) == 0);
    DX_ASSERT(a->parse != DX_PREAMBLE_DONE || a->h.known == b->h.known);
    if (a->parse == DX_PREAMBLE_DONE && a->h.known)
        DX_ASSERT(dx_address_eq(&a->h.client, &b->h.client) && dx_address_eq(&a->h.local, &b->h.local));
}

static void check_done(const struct answer *a, size_t size)
{
    char text[DX_PREAMBLE_WRITTEN], before[DX_ADDRESS_TEXT], after[DX_ADDRESS_TEXT];
    struct dx_out o = dx_out_of(text, sizeof(text));

    DX_ASSERT(a->used >= sizeof("PROXY UNKNOWN\r\n") - 1 && a->used <= size &&
              a->used <= DX_PREAMBLE_BYTES_MAX);
    if (!a->h.known)
        return;
    dx_preamble_write(&a->h.client, &a->h.local, &o);
    DX_ASSERT(!o.overflow);
    struct answer again = parse(text, dx_out_slice(&o).n);
    DX_ASSERT(again.parse == DX_PREAMBLE_DONE && again.h.known && again.used == dx_out_slice(&o).n);
    (void)dx_address_host_text(&a->h.client, before, sizeof(before));
    (void)dx_address_host_text(&again.h.client, after, sizeof(after));
    DX_ASSERT(strcmp(before, after) == 0 &&
              dx_address_port(&a->h.client) == dx_address_port(&again.h.client));
    DX_ASSERT(dx_address_port(&a->h.local) == dx_address_port(&again.h.local));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct answer whole = parse(p, size);

    DX_ASSERT(whole.parse != DX_PREAMBLE_MORE || size < DX_PREAMBLE_BYTES_MAX);
    for (size_t n = 0; n < size; n += n < 256 ? 1 : 61) {
        struct answer cut = parse(p, n);
        if (cut.parse != DX_PREAMBLE_MORE)
            check_same(&whole, &cut);
        if (whole.parse == DX_PREAMBLE_DONE)
            DX_ASSERT(cut.parse == (n < whole.used ? DX_PREAMBLE_MORE : DX_PREAMBLE_DONE));
    }
    if (whole.parse == DX_PREAMBLE_DONE)
        check_done(&whole, size);
    return 0;
}
