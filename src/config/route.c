/* SPDX-License-Identifier: MIT */
/* Routes: `prefix: pool` as a mapping, with the host in front of the path where one is meant; or a list of
 * mappings. */
#include "config/reader.h"

#define UNSET UINT64_MAX

/* The route as it is read: the pool's place in the array is known, its limits are looked up at the end. */
struct reading {
    struct dx_config_reader *r;
    struct dx_config_index seen; /* host and prefix without its last '/', to where it stands */
};

static const char *path_fault(struct dx_slice path)
{
    if (path.n == 0 || path.p[0] != '/')
        return "a prefix begins with '/'";
    if (dx_slice_find(path, '%') < path.n)
        return "a prefix is written decoded, without '%'";
    if (dx_slice_find(path, '?') < path.n || dx_slice_find(path, '#') < path.n)
        return "a prefix is a path alone, without '?' and '#'";
    struct dx_slice rest = path;
    while (rest.n) {
        rest = dx_slice_of(rest.p + 1, rest.n - 1);
        size_t n = dx_slice_find(rest, '/');
        struct dx_slice segment = dx_slice_of(rest.p, n);
        if (n == 0 && rest.n)
            return "a prefix has no empty segments ('//')";
        if (dx_slice_eq(segment, DX_SLICE(".")) || dx_slice_eq(segment, DX_SLICE("..")))
            return "a prefix has no '.' and '..' segments";
        if (dx_config_has_control(segment))
            return "a prefix has no control characters";
        rest = dx_slice_of(rest.p + n, rest.n - n);
    }
    return NULL;
}

const char *dx_config_route_host(struct dx_config_reader *r, struct dx_slice text, const char **host)
{
    struct dx_slice name = text;
    if (dx_slice_starts(text, DX_SLICE("*.")))
        name = dx_slice_of(text.p + 2, text.n - 2);
    if (dx_slice_find(name, '_') < name.n)
        return "Django refuses host names with '_' (RFC 1034 3.5)";
    bool literal = name.p == text.p && dx_config_is_ipv6_literal(name);
    if (!literal && dx_slice_find(name, ':') < name.n)
        return "a route's host has no port";
    if (!literal && !dx_config_name_is_host(name))
        return "a host is a name, or *.example.com for every name below it";
    char *lower = dx_config_take(r, &r->own->arena, text.n + 1, 1);
    if (!lower)
        return "out of memory";
    for (size_t i = 0; i < text.n; i++)
        lower[i] = text.p[i] >= 'A' && text.p[i] <= 'Z' ? (char)(text.p[i] + 32) : text.p[i];
    if (text.n > 1 && lower[text.n - 1] == '.')
        lower[text.n - 1] = '\0'; /* the root's dot, which requests lose too */
    *host = lower;
    return NULL;
}

void dx_config_read_route_path(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base)
{
    struct dx_route_config *route = base;
    struct dx_slice text;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    const char *wrong = path_fault(text);
    if (wrong)
        dx_config_fault(r, v, "'%.*s': %s", DX_SLICE_ARGS(text), wrong);
    else
        route->path = dx_config_keep(r, text);
}

void dx_config_read_route_host(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base)
{
    struct dx_route_config *route = base;
    struct dx_slice text;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    const char *wrong = dx_config_route_host(r, text, &route->host);
    if (wrong)
        dx_config_fault(r, v, "'%.*s': %s", DX_SLICE_ARGS(text), wrong);
}

void dx_config_read_route_pool(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base)
{
    struct dx_route_config *route = base;
    struct dx_slice text;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    const struct dx_config_pool_entry *e = dx_config_pool_named(r, v, text);
    if (e)
        route->pool = e->index;
}

static void check_twice(struct reading *g, const struct dx_node *at, const struct dx_route_config *route)
{
    struct dx_slice host = dx_slice_str(route->host), path = dx_slice_str(route->path);
    if (path.n && path.p[path.n - 1] == '/')
        path.n--;
    char *key = dx_config_take(g->r, &g->r->scratch, host.n + path.n + 1, 1);
    if (!key)
        return;
    if (host.n)
        memcpy(key, host.p, host.n);
    if (path.n)
        memcpy(key + host.n, path.p, path.n);
    struct dx_slice whole = dx_slice_of(key, host.n + path.n);
    const struct dx_route_config *first = dx_config_index_get(&g->seen, whole);
    if (first)
        dx_config_fault(g->r, at, "duplicate prefix '%s%s': it is on line %u already", route->host,
                        route->path, first->line);
    else if (!dx_config_index_put(&g->seen, whole, (void *)(uintptr_t)route))
        g->r->no_memory = true;
}

/* "example.com/path/": the host is what stands before the first '/'. */
static bool read_key(struct reading *g, const struct dx_node *key, struct dx_route_config *route)
{
    struct dx_config_reader *r = g->r;
    struct dx_slice text = key->text;
    size_t slash = dx_slice_find(text, '/');
    struct dx_slice host = dx_slice_of(text.p, slash), path = dx_slice_of(text.p + slash, text.n - slash);
    const char *wrong = path_fault(path);
    if (!wrong && host.n)
        wrong = dx_config_route_host(r, host, &route->host);
    if (wrong) {
        dx_config_fault(r, key, "'%.*s': %s", DX_SLICE_ARGS(text), wrong);
        return false;
    }
    route->path = dx_config_keep(r, path);
    return true;
}

static struct dx_route_config empty_route(const struct dx_config_reader *r, unsigned line)
{
    return (struct dx_route_config){.host = "",
                                    .path = "",
                                    .share = 100,
                                    .body_limit = UNSET,
                                    .maintenance = r->own->model.maintenance,
                                    .line = line};
}

static void read_pair(struct reading *g, struct dx_pair p, struct dx_route_config *route)
{
    static const char *const of_list[] = {"path", "host"};
    struct dx_config_reader *r = g->r;
    *route = empty_route(r, p.key->line);
    bool good = read_key(g, p.key, route);
    struct dx_route_config read = *route;
    if (p.value->kind != DX_NODE_MAP) {
        dx_config_read_group(r, SCOPE_ROUTE, p.value, p.value, &read);
    } else {
        dx_config_read_map(r, SCOPE_ROUTE, p.value, &read);
        if (!dx_node_find(p.value, "pool"))
            dx_config_fault(r, p.key, "'pool' is missing");
    }
    for (size_t i = 0; i < DX_COUNT(of_list); i++) {
        const struct dx_node *extra = dx_node_find(p.value, of_list[i]);
        if (extra)
            dx_config_fault(r, extra, "'%s' is said by the key '%.*s' already", of_list[i],
                            DX_SLICE_ARGS(p.key->text));
    }
    route->pool = read.pool;
    route->body_limit = read.body_limit;
    route->share = read.share;
    route->log = read.log;
    route->error_pages = read.error_pages;
    route->maintenance = read.maintenance;
    if (good)
        check_twice(g, p.key, route);
}

static void read_item(struct reading *g, struct dx_node *item, struct dx_route_config *route)
{
    *route = empty_route(g->r, item->line);
    if (item->kind != DX_NODE_MAP) {
        dx_config_fault(g->r, item, "a route in a list is a mapping: {path: /async/, pool: async}");
        return;
    }
    dx_config_read_group(g->r, SCOPE_ROUTE, item, item, route);
    if (*route->path)
        check_twice(g, item, route);
}

static bool allocate(struct dx_config_reader *r, size_t n)
{
    struct dx_config *c = &r->own->model;
    c->routes = dx_config_take(r, &r->own->arena, n, sizeof *c->routes);
    c->routes_n = c->routes ? (unsigned)n : 0;
    return c->routes != NULL;
}

/* Without `routes`, one pool answers everything; with several there is nothing to guess. */
static bool route_to_the_only_pool(struct dx_config_reader *r)
{
    if (r->pool_names.n > 1)
        dx_config_fault(r, r->pools,
                        "'routes' is missing: with more than one pool, say which paths go to which");
    else if (r->pool_names.n == 0 && r->faults->n == 0)
        dx_config_fault(r, r->pools, "'pools' holds no pool, and there are no routes");
    if (r->pool_names.n != 1)
        return true;
    if (!allocate(r, 1))
        return false;
    r->own->model.routes[0] = empty_route(r, 0);
    r->own->model.routes[0].path = "/";
    return true;
}

bool dx_config_read_routes(struct dx_config_reader *r)
{
    struct dx_node *v = r->routes;
    struct reading g = {.r = r, .seen = {.arena = &r->scratch}};
    if (!v)
        return route_to_the_only_pool(r);
    if (v->kind == DX_NODE_TEXT || v->n == 0) {
        dx_config_fault(r, v,
                        "'routes' must be a mapping of paths to pools, such as /async/: async, or a list");
        return true;
    }
    if (!allocate(r, v->n))
        return false;
    for (size_t i = 0; i < v->n; i++) {
        struct dx_route_config *route = &r->own->model.routes[i];
        if (v->kind == DX_NODE_MAP)
            read_pair(&g, v->pairs[i], route);
        else
            read_item(&g, v->items[i], route);
    }
    return true;
}
