/* SPDX-License-Identifier: MIT */
/* Socket addresses and networks as text and back. Numbers only: names belong to the resolver. */
#include "diplex/os/address.h"

#include <arpa/inet.h>

#include "diplex/base/text.h"

#define PORT_MAX 65535u

static struct dx_address address_v4(struct in_addr ip, uint16_t port)
{
    struct dx_address a = {.len = sizeof(struct sockaddr_in)};
    a.u.in4.sin_family = AF_INET;
    a.u.in4.sin_addr = ip;
    a.u.in4.sin_port = htons(port);
    return a;
}

static struct dx_address address_v6(struct in6_addr ip, uint16_t port)
{
    struct dx_address a = {.len = sizeof(struct sockaddr_in6)};
    a.u.in6.sin6_family = AF_INET6;
    a.u.in6.sin6_addr = ip;
    a.u.in6.sin6_port = htons(port);
    return a;
}

bool dx_address_from_ip(struct dx_slice host, uint16_t port, struct dx_address *out)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    if (host.n == 0 || host.n >= sizeof text || dx_slice_find(host, '\0') < host.n)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (inet_pton(AF_INET, text, &v4) == 1)
        *out = address_v4(v4, port);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        *out = address_v6(v6, port);
    else
        return false;
    return true;
}

static bool parse_unix(struct dx_slice path, struct dx_address *out)
{
    struct dx_address a = {0};
    if (path.n == 0 || path.n >= sizeof a.u.un.sun_path || dx_slice_find(path, '\0') < path.n)
        return false;
    a.u.un.sun_family = AF_UNIX;
    memcpy(a.u.un.sun_path, path.p, path.n);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    *out = a;
    return true;
}

/* Cuts at the last colon: what precedes it may hold colons of its own. */
static bool split_port(struct dx_slice text, struct dx_slice *host, uint16_t *port)
{
    size_t colon = text.n;
    uint64_t number = 0;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon == 0 || text.n - colon > 5)
        return false;
    if (!dx_slice_to_u64(dx_slice_of(text.p + colon, text.n - colon), &number) || number > PORT_MAX)
        return false;
    *host = dx_slice_of(text.p, colon - 1);
    *port = (uint16_t)number;
    return true;
}

bool dx_address_parse(struct dx_slice text, bool wildcard, struct dx_address *out)
{
    struct dx_slice host = {0}, prefix = DX_SLICE("unix:");
    uint16_t port = 0;
    if (dx_slice_starts(text, prefix))
        return parse_unix(dx_slice_of(text.p + prefix.n, text.n - prefix.n), out);
    if (!split_port(text, &host, &port))
        return false;
    if (host.n == 0) {
        if (wildcard)
            *out = address_v6((struct in6_addr)IN6ADDR_ANY_INIT, port);
        return wildcard;
    }
    bool bracketed = host.p[0] == '[' && host.p[host.n - 1] == ']' && host.n > 2;
    if (bracketed)
        host = dx_slice_of(host.p + 1, host.n - 2);
    /* "::1:80" could be read in two ways, "[1.2.3.4]:80" is nothing that anybody writes. */
    bool is_v6 = dx_slice_find(host, ':') < host.n;
    return bracketed == is_v6 && dx_address_from_ip(host, port, out);
}

static struct dx_slice unix_path(const struct dx_address *a)
{
    size_t at = offsetof(struct sockaddr_un, sun_path);
    size_t n = a->len > at ? a->len - at : 0;
    return dx_slice_of(a->u.un.sun_path, strnlen(a->u.un.sun_path, n));
}

static size_t finish(struct dx_out *o)
{
    *o->p = '\0';
    return (size_t)(o->p - o->start);
}

static void out_ip(struct dx_out *o, const struct dx_address *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    const void *ip =
        a->u.sa.sa_family == AF_INET ? (const void *)&a->u.in4.sin_addr : (const void *)&a->u.in6.sin6_addr;
    if (inet_ntop(a->u.sa.sa_family, ip, text, sizeof text))
        dx_out_add(o, dx_slice_str(text));
}

static bool is_inet(const struct dx_address *a)
{
    return a->len && (a->u.sa.sa_family == AF_INET || a->u.sa.sa_family == AF_INET6);
}

size_t dx_address_text(const struct dx_address *a, char *buf, size_t n)
{
    DX_ASSERT(n > 0);
    struct dx_out o = dx_out_of(buf, n - 1);
    if (a->len && dx_address_is_unix(a)) {
        DX_OUT_LIT(&o, "unix:");
        dx_out_add(&o, unix_path(a));
    } else if (is_inet(a)) {
        bool is_v6 = a->u.sa.sa_family == AF_INET6;
        dx_out_add(&o, is_v6 ? DX_SLICE("[") : DX_SLICE(""));
        out_ip(&o, a);
        dx_out_add(&o, is_v6 ? DX_SLICE("]:") : DX_SLICE(":"));
        dx_out_u64(&o, dx_address_port(a));
    }
    return finish(&o);
}

unsigned dx_address_ip(const struct dx_address *a, unsigned char bytes[16])
{
    if (!is_inet(a))
        return 0;
    if (a->u.sa.sa_family == AF_INET) {
        memcpy(bytes, &a->u.in4.sin_addr, 4);
        return 4;
    }
    const unsigned char *ip = a->u.in6.sin6_addr.s6_addr;
    bool mapped = IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr);
    memcpy(bytes, mapped ? ip + 12 : ip, mapped ? 4 : 16);
    return mapped ? 4 : 16;
}

size_t dx_address_host_text(const struct dx_address *a, char *buf, size_t n)
{
    DX_ASSERT(n > 0);
    struct dx_out o = dx_out_of(buf, n - 1);
    unsigned char bytes[16];
    if (a->len && dx_address_is_unix(a)) {
        DX_OUT_LIT(&o, "unix");
    } else if (dx_address_ip(a, bytes) == 4) {
        for (size_t i = 0; i < 4; i++) {
            dx_out_add(&o, i ? DX_SLICE(".") : DX_SLICE(""));
            dx_out_u64(&o, bytes[i]);
        }
    } else if (is_inet(a)) {
        out_ip(&o, a);
    }
    return finish(&o);
}

uint16_t dx_address_port(const struct dx_address *a)
{
    if (!is_inet(a))
        return 0;
    return ntohs(a->u.sa.sa_family == AF_INET ? a->u.in4.sin_port : a->u.in6.sin6_port);
}

void dx_address_set_port(struct dx_address *a, uint16_t port)
{
    if (!is_inet(a))
        return;
    if (a->u.sa.sa_family == AF_INET)
        a->u.in4.sin_port = htons(port);
    else
        a->u.in6.sin6_port = htons(port);
}

bool dx_address_eq(const struct dx_address *a, const struct dx_address *b)
{
    if (a->len == 0 || b->len == 0)
        return a->len == b->len;
    if (a->u.sa.sa_family != b->u.sa.sa_family)
        return false;
    if (dx_address_is_unix(a))
        return dx_slice_eq(unix_path(a), unix_path(b));
    if (dx_address_port(a) != dx_address_port(b))
        return false;
    if (a->u.sa.sa_family == AF_INET)
        return a->u.in4.sin_addr.s_addr == b->u.in4.sin_addr.s_addr;
    return memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof a->u.in6.sin6_addr) == 0 &&
           a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id;
}

/* ---- networks ---- */

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    size_t whole = bits / 8;
    unsigned mask = 0xff00u >> (bits % 8) & 0xffu;
    return memcmp(a, b, whole) == 0 && (mask == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

static bool host_bits_zero(const struct dx_cidr *c, unsigned total)
{
    for (unsigned bit = c->bits; bit < total; bit++) {
        if (c->net[bit / 8] & (0x80u >> (bit % 8)))
            return false;
    }
    return true;
}

bool dx_cidr_parse(struct dx_slice text, struct dx_cidr *out)
{
    size_t slash = dx_slice_find(text, '/');
    struct dx_cidr c = {.family = AF_UNIX};
    struct dx_address a;
    if (dx_slice_eq(text, DX_SLICE("unix"))) {
        *out = c;
        return true;
    }
    if (!dx_address_from_ip(dx_slice_of(text.p, slash), 0, &a))
        return false;
    /* A mapped network is measured in the bits of the IPv6 form that it was written in. */
    unsigned written = a.u.sa.sa_family == AF_INET ? 32 : 128;
    unsigned total = dx_address_ip(&a, c.net) * 8;
    uint64_t bits = written;
    if (slash < text.n && (!dx_slice_to_u64(dx_slice_of(text.p + slash + 1, text.n - slash - 1), &bits)))
        return false;
    if (bits > written || bits < written - total)
        return false;
    c.family = total == 32 ? AF_INET : AF_INET6;
    c.bits = (unsigned)bits - (written - total);
    if (!host_bits_zero(&c, total))
        return false;
    *out = c;
    return true;
}

bool dx_cidr_match(const struct dx_cidr *c, const struct dx_address *a)
{
    unsigned char bytes[16] = {0};
    if (c->family == AF_UNIX)
        return a->len && dx_address_is_unix(a);
    unsigned total = dx_address_ip(a, bytes) * 8;
    return total == (c->family == AF_INET ? 32u : 128u) && same_bits(c->net, bytes, c->bits);
}
