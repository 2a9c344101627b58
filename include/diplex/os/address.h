/* SPDX-License-Identifier: MIT */
/* Socket addresses: IPv4, IPv6 and Unix paths as one value; and networks in CIDR form. */
#ifndef DIPLEX_OS_ADDRESS_H
#define DIPLEX_OS_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "diplex/base/slice.h"

#define DX_ADDRESS_TEXT 128 /* bytes enough for every formatted address */

struct dx_address {
    socklen_t len; /* 0: no address */
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
};

/* "1.2.3.4:80", "[::1]:80", "unix:/path"; ":80" is every IPv4 and IPv6 address when wildcard is true. No
 * names are looked up. */
bool dx_address_parse(struct dx_slice text, bool wildcard, struct dx_address *out) DX_CHECKED;
/* From a numeric host and a port, or false. */
bool dx_address_from_ip(struct dx_slice host, uint16_t port, struct dx_address *out) DX_CHECKED;
/* The form that dx_address_parse reads. Returns the length; always terminated. */
size_t dx_address_text(const struct dx_address *a, char *buf, size_t n);
/* Host alone: "1.2.3.4", "::1" (v4-mapped v6 as v4), and "unix" for Unix sockets. */
size_t dx_address_host_text(const struct dx_address *a, char *buf, size_t n);
/* 4 or 16 bytes of address, a mapped one as the IPv4 address it is; returns how many, 0 when it has none. */
unsigned dx_address_ip(const struct dx_address *a, unsigned char bytes[16]);
uint16_t dx_address_port(const struct dx_address *a); /* 0 for Unix */
void dx_address_set_port(struct dx_address *a, uint16_t port);
bool dx_address_eq(const struct dx_address *a, const struct dx_address *b);
static inline bool dx_address_is_unix(const struct dx_address *a) { return a->u.sa.sa_family == AF_UNIX; }

struct dx_cidr {
    int family; /* AF_INET or AF_INET6; AF_UNIX for the word "unix" */
    unsigned bits;
    unsigned char net[16];
};

/* "10.0.0.0/8", "::1", "fd00::/8", "unix". Host bits below the mask must be zero. */
bool dx_cidr_parse(struct dx_slice text, struct dx_cidr *out) DX_CHECKED;
bool dx_cidr_match(const struct dx_cidr *c, const struct dx_address *a); /* v4-mapped v6 matches as v4 */

#endif
