/* SPDX-License-Identifier: MIT */
/*
 * Pools: those of `pools`, and those that a route makes by naming a server's URL, which have that URL as
 * their name. Both are collected in a list and become the model's array at the end.
 */
#include "config/reader.h"

#define POOLS_MAX 256u /* as many as the board has places for */
#define NAME_MAX_ 63u

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_name(struct dx_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_name_char(s.p[i]))
            return false;
    }
    return s.n > 0 && s.n <= NAME_MAX_;
}

static bool is_url_name(struct dx_slice s)
{
    return dx_config_is_url(s) && s.n <= NAME_MAX_ && !dx_config_has_control(s);
}

static struct dx_config_pool_entry *add_pool(struct dx_config_reader *r, const struct dx_node *at,
                                             struct dx_slice name)
{
    struct dx_config_pool_entry *e = dx_config_take(r, &r->scratch, 1, sizeof *e);
    if (!e)
        return NULL;
    if (r->pool_names.n == POOLS_MAX)
        dx_config_fault(r, at, "more than %u pools", POOLS_MAX);
    e->lines = dx_config_take(r, &r->own->arena, dx_config_settings_n, sizeof *e->lines);
    e->index = (unsigned)r->pool_names.n;
    e->pool.name = dx_config_keep(r, name);
    e->pool.line = at->line;
    if (!e->lines || !dx_config_index_put(&r->pool_names, dx_slice_str(e->pool.name), e)) {
        r->no_memory = true;
        return NULL;
    }
    *r->last = e;
    r->last = &e->next;
    return e;
}

static void pool_defaults(struct dx_config_reader *r, struct dx_pool_config *pool, enum dx_kind kind)
{
    dx_config_read_defaults(r, SCOPE_POOL, kind, pool);
    pool->kind = kind;
    pool->body_limit = r->own->model.limits.body;
}

/* A server's URL says what a pool cannot do without; everything else is its default. */
static void pool_from_url(struct dx_config_reader *r, const struct dx_node *at, struct dx_slice url,
                          struct dx_pool_config *pool)
{
    enum dx_kind kind = DX_KIND_WSGI;
    struct dx_slice text = {NULL, 0};
    const char *wrong = dx_config_url_split(r, url, &kind, &text);
    struct dx_server_config *server = dx_config_take(r, &r->own->arena, 1, sizeof *server);
    if (!server)
        return;
    pool_defaults(r, pool, kind);
    dx_config_read_defaults(r, SCOPE_SERVER, kind, server);
    if (!wrong)
        wrong = dx_config_server_of(r, text, server);
    if (wrong)
        dx_config_fault(r, at, "'%.*s': %s", DX_SLICE_ARGS(url), wrong);
    pool->servers = server;
    pool->servers_n = 1;
}

static enum dx_kind kind_of(struct dx_config_reader *r, const struct dx_node *map)
{
    struct dx_node *kind = dx_node_find(map, "kind");
    struct dx_slice text;
    if (!kind || kind->kind != DX_NODE_TEXT || dx_config_is_null(kind) ||
        !dx_config_text(r, kind, "kind", &text))
        return DX_KIND_WSGI;
    return dx_slice_eq(text, DX_SLICE("asgi")) ? DX_KIND_ASGI : DX_KIND_WSGI;
}

/* Settings of a pool that is named by its server's URL. */
static void read_url_pool(struct dx_config_reader *r, struct dx_pair p, struct dx_pool_config *pool)
{
    pool_from_url(r, p.key, p.key->text, pool);
    for (size_t i = 0; i < p.value->n; i++) {
        struct dx_slice key = p.value->pairs[i].key->text;
        if (dx_slice_eq(key, DX_SLICE("kind")) || dx_slice_eq(key, DX_SLICE("servers"))) {
            dx_config_fault(r, p.value->pairs[i].key, "'%.*s' of this pool is said by its name",
                            DX_SLICE_ARGS(key));
            return;
        }
    }
    dx_config_read_map(r, SCOPE_POOL, p.value, pool);
}

/* A connection that was opened for one client serves nobody else, so none is kept. */
static void settle_client_ip(struct dx_config_reader *r, const struct dx_node *map,
                             struct dx_pool_config *pool)
{
    const struct dx_node *keepalive = dx_node_find(map, "keepalive");
    if (pool->client_ip != DX_CLIENT_IP_PROXY_PROTOCOL)
        return;
    if (pool->kind == DX_KIND_ASGI)
        dx_config_fault(
            r, dx_node_find(map, "client_ip"),
            "'client_ip: proxy-protocol' is for wsgi pools: uvicorn does not speak the PROXY protocol; "
            "it takes the address from X-Forwarded-For (uvicorn --forwarded-allow-ips)");
    if (keepalive && pool->keepalive.max > 0)
        dx_config_fault(
            r, keepalive,
            "'keepalive' has no meaning with 'client_ip: proxy-protocol': each connection carries "
            "one request of one client");
    pool->keepalive.max = 0;
}

static void read_pool(struct dx_config_reader *r, struct dx_pair p, struct dx_config_pool_entry *e)
{
    struct dx_slice text;
    r->lines = e->lines;
    bool named_by_url = dx_config_is_url(p.key->text);
    if (named_by_url && p.value->kind != DX_NODE_MAP) {
        dx_config_fault(r, p.value, "a pool that is named by its URL takes a mapping of settings");
    } else if (named_by_url) {
        read_url_pool(r, p, &e->pool);
    } else if (p.value->kind == DX_NODE_MAP) {
        pool_defaults(r, &e->pool, kind_of(r, p.value));
        dx_config_read_map(r, SCOPE_POOL, p.value, &e->pool);
        dx_config_need(r, SCOPE_POOL, p.key, p.value);
    } else if (p.value->kind == DX_NODE_LIST) {
        dx_config_fault(r, p.value, "a pool must be a mapping with 'kind' and 'servers', or a server's URL");
    } else if (dx_config_text(r, p.value, e->pool.name, &text)) {
        if (dx_config_is_url(text))
            pool_from_url(r, p.value, text, &e->pool);
        else
            dx_config_fault(r, p.value,
                            "'%.*s' is no URL: write wsgi://%.*s or asgi://%.*s, or a mapping with 'kind' "
                            "and 'servers'",
                            DX_SLICE_ARGS(text), DX_SLICE_ARGS(text), DX_SLICE_ARGS(text));
    }
    if (p.value->kind == DX_NODE_MAP)
        dx_config_sticky_finish(r, p.value, &e->pool);
    r->lines = NULL;
    if (p.value->kind == DX_NODE_MAP)
        settle_client_ip(r, p.value, &e->pool);
}

void dx_config_read_pools(struct dx_config_reader *r)
{
    const struct dx_node *map = r->pools;
    if (!map)
        return;
    if (map->kind != DX_NODE_MAP) {
        dx_config_fault(r, map, "'pools' must be a mapping of names to pools");
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        struct dx_pair p = map->pairs[i];
        struct dx_slice name = p.key->text;
        if (dx_slice_starts(name, DX_SLICE("x-")))
            continue;
        if (!is_name(name) && !is_url_name(name))
            dx_config_fault(r, p.key,
                            "'%.*s' is no name for a pool: it takes 1 to %u letters, digits, '_' and '-'",
                            DX_SLICE_ARGS(name), NAME_MAX_);
        struct dx_config_pool_entry *e = add_pool(r, p.key, name);
        if (e)
            read_pool(r, p, e);
    }
}

static void no_such_pool(struct dx_config_reader *r, const struct dx_node *at, struct dx_slice name)
{
    struct dx_config_nearest near = {.word = name};
    struct dx_server_config ignored;
    char hint[128];
    for (struct dx_config_pool_entry *e = r->first; e && !dx_config_faults_full(r->faults); e = e->next)
        dx_config_nearest_try(&near, dx_slice_str(e->pool.name));
    if (!near.best.n && !is_name(name) && !dx_config_server_of(r, name, &ignored))
        dx_config_fault(r, at, "no pool '%.*s'; for a server write wsgi://%.*s or asgi://%.*s",
                        DX_SLICE_ARGS(name), DX_SLICE_ARGS(name), DX_SLICE_ARGS(name));
    else
        dx_config_fault(r, at, "no pool '%.*s'%s", DX_SLICE_ARGS(name), dx_config_nearest_hint(&near, hint));
}

struct dx_config_pool_entry *dx_config_pool_named(struct dx_config_reader *r, const struct dx_node *at,
                                                  struct dx_slice name)
{
    struct dx_config_pool_entry *e = dx_config_index_get(&r->pool_names, name);
    if (e)
        return e;
    if (!dx_config_is_url(name)) {
        no_such_pool(r, at, name);
        return NULL;
    }
    if (name.n > NAME_MAX_) {
        dx_config_fault(r, at, "a URL in a route has at most %u bytes: give the pool a name below 'pools'",
                        NAME_MAX_);
        return NULL;
    }
    e = add_pool(r, at, name);
    if (e)
        pool_from_url(r, at, name, &e->pool);
    return e;
}

bool dx_config_pools_finish(struct dx_config_reader *r)
{
    struct dx_config_owned *own = r->own;
    size_t n = r->pool_names.n;
    own->model.pools = dx_config_take(r, &own->arena, n + 1, sizeof *own->model.pools);
    own->pool_lines = dx_config_take(r, &own->arena, n + 1, sizeof(unsigned *));
    if (!own->model.pools || !own->pool_lines)
        return false;
    for (struct dx_config_pool_entry *e = r->first; e; e = e->next) {
        own->model.pools[e->index] = e->pool;
        own->pool_lines[e->index] = e->lines;
    }
    own->model.pools_n = (unsigned)n;
    return true;
}
