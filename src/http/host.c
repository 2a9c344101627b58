/* SPDX-License-Identifier: MIT */
/*
 * Hosts. Stricter than RFC 3986 3.2.2: a name is made of labels of letters, digits, '-' and '_' (containers
 * are named so), with no percent-encoding and no sub-delimiters, an IPv6 literal has no zone, and a port is 1
 * to 65535 without leading zeros.
 */
#include "http/host.h"

#include <arpa/inet.h>

#include "diplex/http/chars.h"

#define NAME_MAX_BYTES 255

/* Length of the labels and dots at the beginning, or 0 when a label is empty. */
static size_t name_length(struct dx_slice host)
{
    size_t i = 0;

    for (size_t label = 0; i < host.n; i++) {
        if (dx_http_char(host.p[i]) & DX_CHAR_HOST) {
            label++;
        } else if (host.p[i] == '.' && label > 0) {
            label = 0;
        } else {
            return host.p[i] == ':' ? i : 0;
        }
    }
    return i;
}

/* Length of the bracketed IPv6 literal at the beginning, or 0. */
static size_t literal_length(struct dx_slice host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    size_t close = dx_slice_find(host, ']');

    if (close == host.n || close < 3 || close > sizeof(text))
        return 0;
    memcpy(text, host.p + 1, close - 1);
    text[close - 1] = '\0';
    if (memchr(text, '\0', close) != text + close - 1 || inet_pton(AF_INET6, text, &ignored) != 1)
        return 0;
    return close + 1;
}

static bool parse_port(struct dx_slice s, uint16_t *out)
{
    unsigned port = 0;

    if (s.n == 0 || s.n > 5 || s.p[0] == '0')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(s.p[i] - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *out = (uint16_t)port;
    return true;
}

bool dx_http_host_parse(struct dx_slice host, struct dx_http_host *out)
{
    if (host.n == 0)
        return false;
    bool literal = host.p[0] == '[';
    size_t n = literal ? literal_length(host) : name_length(host);
    uint16_t port = 0;

    if (n == 0 || n > NAME_MAX_BYTES)
        return false;
    if (n < host.n && (host.p[n] != ':' || !parse_port(dx_slice_of(host.p + n + 1, host.n - n - 1), &port)))
        return false;
    if (!literal && host.p[n - 1] == '.')
        n--;
    out->name = dx_slice_of(host.p, n);
    out->port = port;
    return n > 0;
}

bool dx_http_host_same(struct dx_slice a, struct dx_slice b, uint16_t default_port)
{
    struct dx_http_host x, y;

    return dx_http_host_parse(a, &x) && dx_http_host_parse(b, &y) && dx_slice_eq_nocase(x.name, y.name) &&
           (x.port ? x.port : default_port) == (y.port ? y.port : default_port);
}

bool dx_http_host_split(struct dx_slice host, char *buf, size_t n, struct dx_slice *name, uint16_t *port)
{
    struct dx_http_host parsed;

    if (!dx_http_host_parse(host, &parsed) || parsed.name.n > n)
        return false;
    for (size_t i = 0; i < parsed.name.n; i++)
        buf[i] = dx_http_lower(parsed.name.p[i]);
    *name = dx_slice_of(buf, parsed.name.n);
    *port = parsed.port;
    return true;
}
