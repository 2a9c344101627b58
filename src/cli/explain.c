/* SPDX-License-Identifier: MIT */
/*
 * `diplex explain`: a request is written as a client would send it and taken through the very functions that
 * serve one: parsed, normalised, routed, and its head written for the server. What is printed is what is
 * sent.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "diplex/base/units.h"
#include "diplex/forward.h"
#include "diplex/http/trace.h"
#include "diplex/http1.h"
#include "diplex/os/clock.h"
#include "diplex/os/process.h"
#include "diplex/route.h"

#define DEFAULT_HOST     "localhost"
#define DEFAULT_PEER     "127.0.0.1"
#define HOST_BYTES       256
#define HEAD_EXTRA_BYTES 4096 /* what the proxy adds */
#define SHOWN_ROUTES     6
#define ID_BYTES         16

struct explained {
    const struct dx_config *config;
    const char *file;
    struct dx_text head; /* as the client sends it */
    char *path_buf;
    struct dx_field *fields;
    struct dx_request request;
    char host_buf[HOST_BYTES];
    struct dx_slice host, path; /* what routes are matched on */
    struct dx_address peer;
    char peer_text[DX_ADDRESS_TEXT];
    bool trusted;
};

static void line(const char *name, const char *fmt, ...) DX_PRINTF(2, 3);

static void line(const char *name, const char *fmt, ...)
{
    va_list args;
    printf("%-10s ", name);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static int refused(unsigned status, const char *reason)
{
    line("answer", "%u %s, from diplex itself: %s", status, dx_http_reason(status), reason);
    return CLI_FAILED;
}

/* ---- the request, from the command line ---- */

static bool has_field(const struct cli_options *o, struct dx_slice name)
{
    for (unsigned i = 0; i < o->fields_n; i++) {
        struct dx_slice field = dx_slice_str(o->fields[i]);
        if (dx_slice_eq_nocase(dx_slice_of(field.p, dx_slice_find(field, ':')), name))
            return true;
    }
    return false;
}

/* "http://host/path?query#fragment" or "/path": what a client makes of it. */
static void write_head(const struct cli_options *o, struct dx_text *head)
{
    struct dx_slice url = dx_slice_str(o->rest[1]), host = DX_SLICE(DEFAULT_HOST);
    static const struct dx_slice schemes[] = {{"http://", 7}, {"https://", 8}};
    for (size_t i = 0; i < DX_COUNT(schemes); i++) {
        if (!dx_slice_starts(url, schemes[i]))
            continue;
        url = dx_slice_of(url.p + schemes[i].n, url.n - schemes[i].n);
        size_t end = 0;
        while (end < url.n && !strchr("/?#", url.p[end]))
            end++;
        host = dx_slice_of(url.p, end);
        url = dx_slice_of(url.p + end, url.n - end);
    }
    url.n = dx_slice_find(url, '#');
    dx_text_addf(head, "%s ", o->rest[0]);
    if (url.n == 0 || url.p[0] == '?')
        dx_text_adds(head, "/");
    dx_text_add(head, url);
    dx_text_adds(head, " HTTP/1.1\r\n");
    if (!has_field(o, DX_SLICE("Host")))
        dx_text_addf(head, "Host: %.*s\r\n", DX_SLICE_ARGS(host));
    for (unsigned i = 0; i < o->fields_n; i++)
        dx_text_addf(head, "%s\r\n", o->fields[i]);
    dx_text_adds(head, "\r\n");
}

static bool find_peer(const char *from, struct explained *e)
{
    struct dx_slice text = dx_slice_str(from ? from : DEFAULT_PEER);
    if (dx_slice_eq(text, DX_SLICE("unix"))) {
        e->peer = (struct dx_address){.len = sizeof(sa_family_t)};
        e->peer.u.sa.sa_family = AF_UNIX;
    } else if (!dx_address_from_ip(text, 0, &e->peer)) {
        return false;
    }
    dx_address_host_text(&e->peer, e->peer_text, sizeof e->peer_text);
    for (unsigned i = 0; i < e->config->trusted_n && !e->trusted; i++)
        e->trusted = dx_cidr_match(&e->config->trusted[i], &e->peer);
    return true;
}

/* As the worker does with bytes from a client. */
static bool parse(struct explained *e, struct dx_http_error *err)
{
    const struct dx_http1_limits limits = {
        .head_bytes = e->config->limits.header_size,
        .target_bytes = e->config->limits.url,
        .fields = e->config->limits.header_count,
    };
    uint16_t port;
    size_t used;
    e->request.fields.at = e->fields;
    e->request.fields.max = e->config->limits.header_count;
    enum dx_parse done = dx_http1_request_head(e->head.p, e->head.n, 0, &limits, &e->request, &used, err);
    if (done == DX_PARSE_MORE || (done == DX_PARSE_DONE && used != e->head.n))
        *err = (struct dx_http_error){400, "the request is not whole, or is more than one"};
    if (done != DX_PARSE_DONE || used != e->head.n)
        return false;
    *err = (struct dx_http_error){400, "the Host is none"};
    if (e->request.host.n &&
        !dx_http_host_split(e->request.host, e->host_buf, sizeof e->host_buf, &e->host, &port))
        return false;
    *err = (struct dx_http_error){400, "a bad escape in the path"};
    if (e->request.path.p[0] == '*')
        e->path = DX_SLICE("/");
    else if (!dx_http_path_normalise(e->request.path, e->path_buf, e->request.path.n, &e->path))
        return false;
    return true;
}

/* ---- the route ---- */

static struct dx_route_key key_of(const struct dx_route_config *route)
{
    return (struct dx_route_key){dx_slice_str(route->host), dx_slice_str(route->path)};
}

static int find_route(const struct explained *e, struct dx_err *err)
{
    int found = DX_ROUTE_NONE;
    struct dx_route_key *keys = calloc(e->config->routes_n ? e->config->routes_n : 1, sizeof *keys);
    for (unsigned i = 0; keys && i < e->config->routes_n; i++)
        keys[i] = key_of(&e->config->routes[i]);
    struct dx_route_table *table = keys ? dx_route_new(keys, e->config->routes_n, err) : NULL;
    struct dx_slice path;
    if (table && e->request.path.p[0] == '*')
        found = dx_route_find(table, e->host, e->path);
    else if (table)
        found = dx_route_of_path(table, e->host, e->request.path, e->path_buf, &path);
    dx_route_free(&table);
    if (!keys)
        (void)dx_err_set(err, "out of memory");
    free(keys);
    return found;
}

/* Whether a route alone would match. */
static bool matches(const struct explained *e, const struct dx_route_config *route)
{
    struct dx_route_key key = key_of(route);
    struct dx_route_table *table = dx_route_new(&key, 1, NULL);
    bool found = table && dx_route_find(table, e->host, e->path) != DX_ROUTE_NONE;
    dx_route_free(&table);
    return found;
}

static void explain_choice(const struct explained *e, const struct dx_route_config *chosen)
{
    struct dx_text others;
    unsigned n = 0;
    dx_text_init(&others);
    for (unsigned i = 0; i < e->config->routes_n; i++) {
        const struct dx_route_config *route = &e->config->routes[i];
        if (route == chosen || !matches(e, route))
            continue;
        if (n++ < SHOWN_ROUTES)
            dx_text_addf(&others, "%s%s%s", n > 1 ? ", " : "", route->host, route->path);
    }
    const char *host =
        chosen->host[0] ? "its host is this one, which goes before routes for every host; " : "";
    if (n == 0)
        line("why", "%sit is the only one of %u that matches", host, e->config->routes_n);
    else
        line("why", "%sthe longest prefix of those that match; %u other%s: %s%s", host, n, n > 1 ? "s" : "",
             others.p ? others.p : "", n > SHOWN_ROUTES ? ", ..." : "");
    dx_text_fini(&others);
}

static int explain_no_route(const struct explained *e)
{
    struct dx_text near;
    unsigned n = 0;
    dx_text_init(&near);
    for (unsigned i = 0; i < e->config->routes_n && n < SHOWN_ROUTES; i++) {
        struct dx_route_config route = e->config->routes[i];
        route.host = "";
        if (matches(e, &route))
            dx_text_addf(&near, "%s%s%s", n++ ? ", " : "", e->config->routes[i].host, route.path);
    }
    line("route", "none of %u matches", e->config->routes_n);
    if (n)
        line("why", "the path would match, were it for another host: %s", near.p);
    else
        line("why", "no prefix of this path is routed, and there is no route for /");
    dx_text_fini(&near);
    return refused(404, "no route (outcome no_route in the access log)");
}

/* ---- the pool, and what is sent to it ---- */

static const char *silence(uint64_t ms, char buf[32])
{
    return ms ? dx_units_duration_text(ms, buf, 32) : "never";
}

static void explain_sticky(const struct dx_pool_config *pool)
{
    switch (pool->sticky.by) {
    case DX_STICKY_OFF:
        return;
    case DX_STICKY_COOKIE:
        line("sticky", "to the server that the cookie %s names", pool->sticky.cookie);
        return;
    case DX_STICKY_CLIENT_IP:
        line("sticky", "by the client's address");
        return;
    case DX_STICKY_HEADER:
        line("sticky", "by the field %s", pool->sticky.header);
    }
}

static void explain_pool(const struct explained *e, const struct dx_route_config *route)
{
    const struct dx_pool_config *pool = &e->config->pools[route->pool];
    static const char *const balances[] = {
        [DX_BALANCE_ROUND_ROBIN] = "round_robin",
        [DX_BALANCE_LEAST_CONN] = "least_conn",
        [DX_BALANCE_RANDOM] = "random",
    };
    char a[32], b[32], c[32], d[32];
    line("pool", "%s, kind %s: %s", pool->name, pool->kind == DX_KIND_WSGI ? "wsgi" : "asgi",
         pool->kind == DX_KIND_WSGI ? "the whole request is taken before a server is touched"
                                    : "streamed both ways, WebSockets pass");
    for (unsigned i = 0; i < pool->servers_n; i++) {
        const struct dx_server_config *server = &pool->servers[i];
        printf("%-10s %s", i ? "" : "servers", server->text);
        if (server->weight != 1)
            printf(", weight %u", server->weight);
        puts(server->backup ? ", backup" : "");
    }
    if (pool->servers_n > 1)
        line("balance", "%s", balances[pool->balance]);
    explain_sticky(pool);
    line("limits", "head %s in %u fields, URL %s, body %s",
         dx_units_size_text(e->config->limits.header_size, a, sizeof a), e->config->limits.header_count,
         dx_units_size_text(e->config->limits.url, b, sizeof b),
         route->body_limit ? dx_units_size_text(route->body_limit, c, sizeof c) : "any");
    line("time-outs", "connect %s, response %s, silence within the answer %s, silence of a tunnel %s",
         silence(pool->timeouts.connect, a), silence(pool->timeouts.response, b),
         silence(pool->timeouts.idle, c), silence(pool->timeouts.tunnel, d));
}

static void example_id(char out[2 * ID_BYTES + 1])
{
    unsigned char bytes[ID_BYTES] = {0};
    if (!dx_process_random(bytes, sizeof bytes))
        memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* What a connection to such a pool begins with. */
static void explain_preamble(const struct dx_forward_request *forward, const struct dx_request *r,
                             const struct dx_pool_config *pool)
{
    struct dx_slice ip = dx_forward_client_ip(&r->fields, forward);
    if (pool->client_ip != DX_CLIENT_IP_PROXY_PROTOCOL)
        return;
    if (dx_slice_eq(ip, DX_SLICE("unix")))
        puts("(first a PROXY protocol header, version 2, LOCAL: a client on a Unix socket has no address)");
    else
        printf("(first a PROXY protocol header, version 2, for %.*s)\n", DX_SLICE_ARGS(ip));
}

/* One as a request gets it that brings none to be believed; of those that do, nothing. */
static struct dx_slice example_trace(struct explained *e, char value[DX_TRACE_PARENT])
{
    uint64_t random[3] = {0};
    if (dx_forward_keep_trace(&e->request.fields, e->config->trace.mode, e->trusted))
        return dx_slice_of(NULL, 0);
    (void)!dx_process_random(random, sizeof random);
    dx_http_trace_write(random, e->config->trace.sample > 0, value);
    return dx_slice_of(value, DX_TRACE_PARENT);
}

/* By the file; whether somebody switched it on besides, only the running diplex knows. */
static bool explain_maintenance(const struct explained *e, const struct dx_route_config *route)
{
    const struct dx_maintenance_config *m = &route->maintenance;
    const struct dx_forward_request who = {.peer_ip = dx_slice_str(e->peer_text),
                                           .peer_trusted = e->trusted,
                                           .trusted = e->config->trusted,
                                           .trusted_n = e->config->trusted_n};
    struct dx_slice ip = dx_forward_client_ip(&e->request.fields, &who);
    if (!m->on)
        return false;
    bool passes = dx_config_networks_have(&m->allow, ip);
    line("closed", "the file has `maintenance: on` for this route; this client, %.*s, is %s",
         DX_SLICE_ARGS(ip), passes ? "in `allow`, and passes" : "not in `allow`");
    return !passes;
}

static int explain_head(struct explained *e, const struct dx_pool_config *pool)
{
    char id[2 * ID_BYTES + 1], traceparent[DX_TRACE_PARENT] = "";
    const struct dx_request *r = &e->request;
    bool measured = pool->kind == DX_KIND_WSGI && r->framing == DX_FRAMING_CHUNKED;
    example_id(id);
    const struct dx_forward_request forward = {
        .peer_ip = dx_slice_str(e->peer_text),
        .peer_trusted = e->trusted,
        .trusted = e->config->trusted,
        .trusted_n = e->config->trusted_n,
        .request_id = dx_slice_str(id),
        .start_us = dx_clock_wall_us(),
        .framing = measured ? DX_FRAMING_LENGTH : r->framing,
        .length = r->length,
        .close = pool->keepalive.max == 0,
        .traceparent = example_trace(e, traceparent),
    };
    size_t cap = 2 * e->head.n + HEAD_EXTRA_BYTES;
    char *buf = malloc(cap);
    struct dx_out out = dx_out_of(buf, buf ? cap : 0);
    if (!buf) {
        fputs("diplex explain: out of memory\n", stderr);
        return CLI_FAILED;
    }
    if (!dx_forward_write_request(r, &forward, &out)) {
        free(buf);
        return refused(431, "the head does not fit");
    }
    puts("\nsent to the server (X-Request-ID, X-Request-Start and a new traceparent are examples):");
    explain_preamble(&forward, r, pool);
    if (measured)
        puts("(Content-Length becomes the size of the body, once all of it is here)");
    struct dx_slice rest = dx_out_slice(&out);
    while (rest.n > 2) {
        size_t end = dx_slice_find(rest, '\r');
        printf("    %.*s\n", (int)end, rest.p);
        rest = dx_slice_of(rest.p + end + 2, rest.n - end - 2);
    }
    free(buf);
    return CLI_OK;
}

static int explain_request(struct explained *e)
{
    struct dx_err err = {{0}};
    const struct dx_request *r = &e->request;
    line("request", "%.*s %.*s", DX_SLICE_ARGS(r->method), DX_SLICE_ARGS(r->target));
    line("host", "%.*s", DX_SLICE_ARGS(e->host));
    line("path", "%.*s%s", DX_SLICE_ARGS(e->path),
         dx_slice_eq(e->path, r->path) ? "" : " (decoded and normalised; forwarded as it came)");
    line("client", "%s, %s", e->peer_text,
         e->trusted ? "in trusted_proxies: its X-Forwarded-* are believed"
                    : "not in trusted_proxies: what it claims in X-Forwarded-* is overwritten");
    int found = find_route(e, &err);
    if (found == DX_ROUTE_TWO_READINGS)
        return refused(400, "with its dot segments the path is another route's than without (bad_request)");
    if (r->counted && r->max_forwards == 0)
        return refused(200, "OPTIONS that may not be forwarded (answered)");
    if (err.text[0] != '\0') {
        fprintf(stderr, "diplex explain: %s\n", err.text);
        return CLI_FAILED;
    }
    if (found == DX_ROUTE_NONE)
        return explain_no_route(e);
    const struct dx_route_config *route = &e->config->routes[found];
    const struct dx_pool_config *pool = &e->config->pools[route->pool];
    if (route->line)
        line("route", "%s%s (%s:%u)", route->host, route->path, e->file, route->line);
    else
        line("route", "%s%s (built in)", route->host, route->path);
    explain_choice(e, route);
    explain_pool(e, route);
    if (explain_maintenance(e, route))
        return refused(route->maintenance.status, "the page of `maintenance` (outcome maintenance)");
    if (r->websocket && pool->kind == DX_KIND_WSGI)
        return refused(
            501, "a wsgi pool cannot speak WebSocket: route the path to an asgi pool (upgrade_refused)");
    if (r->framing == DX_FRAMING_LENGTH && route->body_limit && r->length > route->body_limit)
        return refused(413, "the body is larger than the limit (body_too_large)");
    return explain_head(e, pool);
}

static int explain_with(const struct cli_options *o, struct explained *e)
{
    struct dx_http_error err = {0, NULL};
    if (!find_peer(o->from, e)) {
        fprintf(stderr, "diplex explain: \"%s\" is no IP address, and not \"unix\"\n", o->from);
        return CLI_USAGE;
    }
    write_head(o, &e->head);
    e->fields = calloc(e->config->limits.header_count, sizeof *e->fields);
    e->path_buf = malloc(e->head.n);
    if (!e->fields || !e->path_buf || e->head.failed) {
        fputs("diplex explain: out of memory\n", stderr);
        return CLI_FAILED;
    }
    if (!parse(e, &err))
        return refused(err.status, err.reason);
    return explain_request(e);
}

int cli_explain(const struct cli_options *o)
{
    struct cli_loaded loaded;
    struct dx_text faults;
    struct explained e = {0};
    dx_text_init(&faults);
    bool ok = cli_load(o->file, &loaded, &faults);
    fputs(faults.failed ? "diplex: out of memory\n" : faults.p ? faults.p : "", stderr);
    dx_text_fini(&faults);
    if (!ok)
        return CLI_USAGE;
    e.config = loaded.config;
    e.file = loaded.source.name;
    dx_text_init(&e.head);
    int exit_code = explain_with(o, &e);
    dx_text_fini(&e.head);
    free(e.fields);
    free(e.path_buf);
    cli_loaded_fini(&loaded);
    return exit_code;
}
