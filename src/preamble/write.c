/* SPDX-License-Identifier: MIT */
/* Writing a header of version 2 of the PROXY protocol. */
#include "preamble/bytes.h"

static void put_u16(struct dx_out *o, size_t v)
{
    dx_out_byte(o, (char)(v >> 8));
    dx_out_byte(o, (char)(v & 0xff));
}

static void put_start(struct dx_out *o, int command, int pair, size_t length)
{
    dx_out_add(o, V2_SIGNATURE);
    dx_out_byte(o, (char)command);
    dx_out_byte(o, (char)pair);
    put_u16(o, length);
}

/* The address in so many bytes; zeroes when it has none of that size. */
static void put_ip(struct dx_out *o, const struct dx_address *a, unsigned size)
{
    char zeroes[IPV6_BYTES] = {0};
    unsigned char ip[IPV6_BYTES];
    unsigned has = a != NULL ? dx_address_ip(a, ip) : 0;
    dx_out_add(o, dx_slice_of(has == size ? (const char *)ip : zeroes, size));
}

void dx_preamble_write(const struct dx_address *client, const struct dx_address *local, struct dx_out *o)
{
    unsigned char unused[IPV6_BYTES];
    unsigned size = client != NULL ? dx_address_ip(client, unused) : 0;

    if (size == 0) {
        put_start(o, V2_LOCAL, V2_UNSPEC, 0);
        return;
    }
    put_start(o, V2_PROXY, size == IPV4_BYTES ? V2_TCP4 : V2_TCP6, 2 * (size + PORT_BYTES));
    put_ip(o, client, size);
    put_ip(o, local, size);
    put_u16(o, dx_address_port(client));
    put_u16(o, local != NULL ? dx_address_port(local) : 0);
}
