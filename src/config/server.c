/* SPDX-License-Identifier: MIT */
/* Servers: `web:8000`, `127.0.0.1:8000`, `[::1]:8000`, `unix:/path`, their long form, and URLs that name
 * their kind. */
#include "config/reader.h"

#define HOST_MAX 253u /* RFC 1035 2.3.4, as text */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_host_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
}

bool dx_config_name_is_host(struct dx_slice host)
{
    if (host.n == 0 || host.n > HOST_MAX || host.p[0] == '.' || host.p[0] == '-')
        return false;
    for (size_t i = 0; i < host.n; i++) {
        if (!is_host_char(host.p[i]) || (host.p[i] == '.' && i > 0 && host.p[i - 1] == '.'))
            return false;
    }
    return true;
}

bool dx_config_is_ipv6_literal(struct dx_slice s)
{
    struct dx_address ignored;
    return s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']' && dx_slice_find(s, ':') < s.n &&
           dx_address_from_ip(dx_slice_of(s.p + 1, s.n - 2), 0, &ignored);
}

bool dx_config_is_url(struct dx_slice text)
{
    size_t colon = dx_slice_find(text, ':');
    return colon > 0 && text.n - colon >= 3 && memcmp(text.p + colon, "://", 3) == 0;
}

/* 999.1.1.1 is a mistake and not a name: no top-level domain is a number. */
static bool ends_in_number(struct dx_slice host)
{
    size_t i = host.n;
    while (i > 0 && is_digit(host.p[i - 1]))
        i--;
    return i < host.n && (i == 0 || host.p[i - 1] == '.');
}

static const char *unix_server(struct dx_config_reader *r, struct dx_slice text, struct dx_server_config *out)
{
    struct dx_address address;
    if (!dx_slice_starts(text, DX_SLICE("unix:/")) || !dx_address_parse(text, false, &address))
        return "a Unix socket is written unix:/path, with at most 107 bytes of path";
    out->text = dx_config_keep(r, text);
    out->host = NULL;
    out->port = 0;
    out->address = address;
    return NULL;
}

static const char *split(struct dx_slice text, struct dx_slice *host, uint16_t *port)
{
    size_t colon = text.n;
    uint64_t number = 0;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return "a server needs its port, such as web:8000";
    struct dx_slice digits = dx_slice_of(text.p + colon, text.n - colon);
    if (!dx_slice_to_u64(digits, &number) || number == 0 || number > 65535)
        return "the port must be a number between 1 and 65535";
    *host = dx_slice_of(text.p, colon - 1);
    *port = (uint16_t)number;
    return NULL;
}

const char *dx_config_server_of(struct dx_config_reader *r, struct dx_slice text,
                                struct dx_server_config *out)
{
    struct dx_slice host = {NULL, 0};
    struct dx_address address = {0};
    uint16_t port = 0;
    if (dx_config_is_url(text))
        return "a server is written host:port; the pool's kind takes the place of a scheme";
    if (dx_slice_starts(text, DX_SLICE("unix:")))
        return unix_server(r, text, out);
    if (dx_slice_find(text, '@') < text.n)
        return "no user and no password is sent to a server";
    const char *wrong = split(text, &host, &port);
    if (wrong)
        return wrong;
    bool bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (bracketed)
        host = dx_slice_of(host.p + 1, host.n - 2);
    bool v6 = dx_slice_find(host, ':') < host.n;
    if (v6 && !bracketed)
        return "an IPv6 address is written in brackets, such as [::1]:8000";
    bool numeric = v6 == bracketed && dx_address_from_ip(host, port, &address);
    if (!numeric && (bracketed || ends_in_number(host)))
        return "it holds no IP address";
    if (!numeric && !dx_config_name_is_host(host))
        return "it holds no host name";
    out->text = dx_config_keep(r, text);
    out->host = dx_config_keep(r, host);
    out->port = port;
    out->address = address;
    return NULL;
}

void dx_config_read_server_address(struct dx_config_reader *r, const struct dx_config_setting *s,
                                   struct dx_node *v, void *base)
{
    struct dx_slice text;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    const char *wrong = dx_config_server_of(r, text, base);
    if (wrong)
        dx_config_fault(r, v, "'%.*s' is no server: %s", DX_SLICE_ARGS(text), wrong);
}

#define SERVERS_MAX 128u /* of one pool; the board has room for as many addresses */

static bool put_new(struct dx_config_reader *r, struct dx_config_index *seen, struct dx_node *v,
                    const struct dx_server_config *server)
{
    struct dx_slice text = dx_slice_str(server->text);
    if (!server->text)
        return true;
    if (dx_config_index_get(seen, text))
        dx_config_fault(r, v, "'%s' is listed twice; 'weight' gives a server a larger share", server->text);
    return dx_config_index_put(seen, text, v);
}

void dx_config_read_servers(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                            void *base)
{
    struct dx_pool_config *pool = base;
    struct dx_node *only[1] = {v}, **items = v->kind == DX_NODE_LIST ? v->items : only;
    size_t n = v->kind == DX_NODE_LIST ? v->n : 1;
    struct dx_config_index seen = {.arena = &r->scratch};
    unsigned *lines = r->lines;
    if (n == 0 || n > SERVERS_MAX) {
        dx_config_fault(r, v, "'%s' needs between 1 and %u servers", s->key, SERVERS_MAX);
        return;
    }
    struct dx_server_config *servers = dx_config_take(r, &r->own->arena, n, sizeof *servers);
    if (!servers)
        return;
    r->lines = NULL;
    for (size_t i = 0; i < n; i++) {
        dx_config_read_defaults(r, SCOPE_SERVER, pool->kind, &servers[i]);
        dx_config_read_group(r, SCOPE_SERVER, items[i], items[i], &servers[i]);
        if (!put_new(r, &seen, items[i], &servers[i]))
            r->no_memory = true;
    }
    r->lines = lines;
    pool->servers = servers;
    pool->servers_n = (unsigned)n;
}

/* wsgi://web:8000, asgi://unix:/run/web.sock, asgi+unix:///run/web.sock */
const char *dx_config_url_split(struct dx_config_reader *r, struct dx_slice url, enum dx_kind *kind,
                                struct dx_slice *server)
{
    size_t colon = dx_slice_find(url, ':');
    struct dx_slice scheme = dx_slice_of(url.p, colon), plain = scheme,
                    rest = dx_slice_of(url.p + colon + 3, url.n - colon - 3);
    size_t plus = dx_slice_find(scheme, '+');
    bool with_unix =
        plus < scheme.n && dx_slice_eq(dx_slice_of(scheme.p + plus, scheme.n - plus), DX_SLICE("+unix"));
    if (with_unix)
        plain = dx_slice_of(scheme.p, plus);
    bool wsgi = dx_slice_eq(plain, DX_SLICE("wsgi"));
    if (!wsgi && !dx_slice_eq(plain, DX_SLICE("asgi")))
        return "the scheme says the kind of the server: wsgi:// (gunicorn) or asgi:// (uvicorn)";
    if (!with_unix && !dx_slice_starts(rest, DX_SLICE("unix:")) && dx_slice_find(rest, '/') < rest.n)
        return "a path behind the port does nothing: the request's own path is kept as it is";
    *kind = wsgi ? DX_KIND_WSGI : DX_KIND_ASGI;
    *server = rest;
    if (!with_unix)
        return NULL;
    char *text = dx_config_take(r, &r->scratch, rest.n + sizeof "unix:", 1);
    if (!text)
        return "out of memory";
    memcpy(text, "unix:", 5);
    memcpy(text + 5, rest.p, rest.n);
    *server = dx_slice_of(text, rest.n + 5);
    return NULL;
}
