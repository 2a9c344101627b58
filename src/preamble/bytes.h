/* SPDX-License-Identifier: MIT */
/* The bytes of the PROXY protocol (2.1, 2.2), for the two directions of this room. */
#ifndef PREAMBLE_BYTES_H
#define PREAMBLE_BYTES_H

#include "diplex/preamble.h"

#define PREAMBLE_WORD DX_SLICE("PROXY ")

#define V2_SIGNATURE  DX_SLICE("\r\n\r\n\0\r\nQUIT\n")
#define V2_COMMAND_AT 12 /* and version */
#define V2_PAIR_AT    13 /* family and transport */
#define V2_LENGTH_AT  14
#define V2_FIXED      16 /* what is always there; the length counts what comes behind it */

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum {
    V2_UNSPEC = 0x00,
    V2_TCP4 = 0x11,
    V2_UDP4 = 0x12,
    V2_TCP6 = 0x21,
    V2_UDP6 = 0x22,
    V2_UNIX_STREAM = 0x31,
    V2_UNIX_DATAGRAM = 0x32
};
enum { IPV4_BYTES = 4, IPV6_BYTES = 16, PORT_BYTES = 2, UNIX_BYTES = 108 };

#endif
