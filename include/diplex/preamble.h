/* SPDX-License-Identifier: MIT */
/*
 * The header of the PROXY protocol, which stands once before everything else on a connection and says for
 * whom it was made. Pure: bytes in, addresses out, and the other way round. The sections are those of
 * HAProxy's doc/proxy-protocol.txt.
 */
#ifndef DIPLEX_PREAMBLE_H
#define DIPLEX_PREAMBLE_H

#include "diplex/base/text.h"
#include "diplex/os/address.h"

#define DX_PREAMBLE_LINE_MAX 107 /* of version 1, CRLF included (2.1) */
#define DX_PREAMBLE_BYTES_MAX \
    4096 /* of version 2 as it is read, additional fields included: ours to choose */
#define DX_PREAMBLE_WRITTEN \
    52 /* what is written at most: 16 bytes, two addresses of IPv6 and two ports (2.2) */

enum dx_preamble_parse { DX_PREAMBLE_DONE, DX_PREAMBLE_MORE, DX_PREAMBLE_BAD };

struct dx_preamble {
    bool known; /* false: the header names nobody (UNKNOWN, LOCAL, AF_UNSPEC, AF_UNIX), the connection speaks
                   for itself */
    struct dx_address client, local; /* when known: who connected, and the address that was connected to */
};

/*
 * Looks for a header of version 1 or 2 at the beginning of p[0..n). DONE: *out, and *used bytes belong to it.
 * MORE: what is there may become one; never with DX_PREAMBLE_BYTES_MAX bytes or more. BAD: *reason, a word
 * for a log; the first byte that cannot be of a header is enough, for the receiver must not guess whether
 * there is one (2, 5).
 *
 * Version 1 (2.1) is read as it is written there: one space between the words, no zeroes in front of a
 * number, no bare CR or LF. Behind UNKNOWN everything up to the CRLF is ignored. In version 2 (2.2) the
 * command and the pair of family and transport must be among those listed; the family of LOCAL is ignored.
 * UDP is taken as TCP is, the address is the client's in both. Additional fields are skipped and not looked
 * at, a checksum (2.2.3) neither.
 */
enum dx_preamble_parse dx_preamble_read(const char *p, size_t n, struct dx_preamble *out, size_t *used,
                                        const char **reason) DX_CHECKED;

/*
 * Writes a header of version 2. A client without an IP address (a Unix socket's, NULL) makes it LOCAL,
 * without addresses: the one form of "nobody" that every receiver must accept (2.2). An IPv4 address in IPv6
 * form is written as the IPv4 address it is; a local address of another family than the client's, or none, as
 * zeroes and its port.
 */
void dx_preamble_write(const struct dx_address *client, const struct dx_address *local, struct dx_out *o);

#endif
