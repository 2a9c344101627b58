/* SPDX-License-Identifier: MIT */
/* Reading a header of the PROXY protocol, of either version. Nothing is kept between two calls: a header is
 * short, and the answer depends on its bytes alone, so it is the same however they come. */
#include "preamble/bytes.h"

static enum dx_preamble_parse bad(const char *why, const char **reason)
{
    *reason = why;
    return DX_PREAMBLE_BAD;
}

/* Whether p[0..n) begins as the word does, as far as both go. */
static bool may_begin(const char *p, size_t n, struct dx_slice word)
{
    return memcmp(p, word.p, n < word.n ? n : word.n) == 0;
}

/* --- version 1 --- */

/* What stands before the next space; there must be one. */
static bool take_word(struct dx_slice *rest, struct dx_slice *word)
{
    size_t n = dx_slice_find(*rest, ' ');
    if (n == rest->n)
        return false;
    *word = dx_slice_of(rest->p, n);
    *rest = dx_slice_of(rest->p + n + 1, rest->n - n - 1);
    return true;
}

static bool read_port(struct dx_slice s, uint16_t *port)
{
    uint64_t v = 0;
    bool padded = s.n > 1 && s.p[0] == '0';
    if (padded || !dx_slice_to_u64(s, &v) || v > UINT16_MAX)
        return false;
    *port = (uint16_t)v;
    return true;
}

static bool read_address(struct dx_slice ip, uint16_t port, int family, struct dx_address *out)
{
    return dx_address_from_ip(ip, port, out) && out->u.sa.sa_family == family;
}

/* "TCP4 192.0.2.1 198.51.100.1 56324 443" */
static bool read_line(struct dx_slice line, struct dx_preamble *out)
{
    struct dx_slice protocol, from, to, from_port;
    struct dx_preamble h = {.known = true};
    uint16_t client_port = 0, local_port = 0;

    if (!take_word(&line, &protocol) || !take_word(&line, &from) || !take_word(&line, &to) ||
        !take_word(&line, &from_port) || !read_port(from_port, &client_port) || !read_port(line, &local_port))
        return false;
    int family = dx_slice_eq(protocol, DX_SLICE("TCP4"))   ? AF_INET
                 : dx_slice_eq(protocol, DX_SLICE("TCP6")) ? AF_INET6
                                                           : AF_UNSPEC;
    if (!read_address(from, client_port, family, &h.client) ||
        !read_address(to, local_port, family, &h.local))
        return false;
    *out = h;
    return true;
}

static bool is_unknown(struct dx_slice line)
{
    return dx_slice_eq(line, DX_SLICE("UNKNOWN")) || dx_slice_starts(line, DX_SLICE("UNKNOWN "));
}

static enum dx_preamble_parse read_v1(const char *p, size_t n, struct dx_preamble *out, size_t *used,
                                      const char **reason)
{
    const size_t last = DX_PREAMBLE_LINE_MAX - 2; /* where the CR may stand at the latest */
    size_t end = 0;

    while (end < n && end <= last && p[end] != '\r' && p[end] != '\n')
        end++;
    if (end > last)
        return bad("a PROXY line of more than 107 bytes", reason);
    if (end == n || (p[end] == '\r' && end + 1 == n))
        return DX_PREAMBLE_MORE;
    if (p[end] != '\r' || p[end + 1] != '\n')
        return bad("a bare CR or LF in the PROXY line", reason);
    struct dx_slice line = dx_slice_of(p + PREAMBLE_WORD.n, end - PREAMBLE_WORD.n);
    if (is_unknown(line))
        *out = (struct dx_preamble){.known = false};
    else if (!read_line(line, out))
        return bad("a malformed PROXY line", reason);
    *used = end + 2;
    return DX_PREAMBLE_DONE;
}

/* --- version 2 --- */

static struct dx_address address_of(const char *ip, const char *port, bool v6)
{
    struct dx_address a = {.len = v6 ? sizeof(a.u.in6) : sizeof(a.u.in4)};
    if (v6) {
        a.u.in6.sin6_family = AF_INET6;
        memcpy(&a.u.in6.sin6_addr, ip, IPV6_BYTES);
        memcpy(&a.u.in6.sin6_port, port, PORT_BYTES);
    } else {
        a.u.in4.sin_family = AF_INET;
        memcpy(&a.u.in4.sin_addr, ip, IPV4_BYTES);
        memcpy(&a.u.in4.sin_port, port, PORT_BYTES);
    }
    return a;
}

static void read_addresses(const char *block, bool v6, struct dx_preamble *out)
{
    size_t ip = v6 ? IPV6_BYTES : IPV4_BYTES;
    const char *ports = block + 2 * ip;
    out->known = true;
    out->client = address_of(block, ports, v6);
    out->local = address_of(block + ip, ports + PORT_BYTES, v6);
}

/* How many bytes of addresses a pair of family and transport has; -1: there is no such pair. */
static int addresses_bytes(unsigned char pair)
{
    switch (pair) {
    case V2_UNSPEC:
        return 0;
    case V2_TCP4:
    case V2_UDP4:
        return 2 * (IPV4_BYTES + PORT_BYTES);
    case V2_TCP6:
    case V2_UDP6:
        return 2 * (IPV6_BYTES + PORT_BYTES);
    case V2_UNIX_STREAM:
    case V2_UNIX_DATAGRAM:
        return 2 * UNIX_BYTES;
    default:
        return -1;
    }
}

static enum dx_preamble_parse read_v2(const char *p, size_t n, struct dx_preamble *out, size_t *used,
                                      const char **reason)
{
    if (n < V2_FIXED)
        return DX_PREAMBLE_MORE;
    unsigned char command = (unsigned char)p[V2_COMMAND_AT], pair = (unsigned char)p[V2_PAIR_AT];
    size_t length = (size_t)(unsigned char)p[V2_LENGTH_AT] << 8 | (unsigned char)p[V2_LENGTH_AT + 1];
    int needed = command == V2_LOCAL ? 0 : addresses_bytes(pair);

    if (command != V2_LOCAL && command != V2_PROXY)
        return bad("an unknown version or command in the PROXY header", reason);
    if (needed < 0)
        return bad("an unknown address family in the PROXY header", reason);
    if (length < (size_t)needed)
        return bad("a PROXY header that is too short for its addresses", reason);
    if (length > DX_PREAMBLE_BYTES_MAX - V2_FIXED)
        return bad("a PROXY header of more than 4096 bytes", reason);
    if (n < V2_FIXED + length)
        return DX_PREAMBLE_MORE;
    struct dx_preamble h = {.known = false};
    bool v4 = pair == V2_TCP4 || pair == V2_UDP4, v6 = pair == V2_TCP6 || pair == V2_UDP6;
    if (command == V2_PROXY && (v4 || v6))
        read_addresses(p + V2_FIXED, v6, &h);
    *out = h;
    *used = V2_FIXED + length;
    return DX_PREAMBLE_DONE;
}

enum dx_preamble_parse dx_preamble_read(const char *p, size_t n, struct dx_preamble *out, size_t *used,
                                        const char **reason)
{
    if (n == 0)
        return DX_PREAMBLE_MORE;
    if (may_begin(p, n, V2_SIGNATURE))
        return read_v2(p, n, out, used, reason);
    if (!may_begin(p, n, PREAMBLE_WORD))
        return bad("no PROXY header", reason);
    return n < PREAMBLE_WORD.n ? DX_PREAMBLE_MORE : read_v1(p, n, out, used, reason);
}
