/* SPDX-License-Identifier: MIT */
/* Reading by the table: which key a mapping may hold, what its value becomes, what it is when nobody says. */
#include "config/reader.h"

/* Pools and routes need what the rest of the top level says, wherever it stands: they are read last. */
static void later_pools(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                        void *base)
{
    (void)s, (void)base;
    r->pools = v;
}

static void later_routes(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base)
{
    (void)s, (void)base;
    r->routes = v;
}

static void read_nested(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                        void *base)
{
    dx_config_read_group(r, s->nested, v, v, base);
}

static const dx_config_read readers[] = {
    [TYPE_DURATION] = dx_config_read_number,
    [TYPE_SIZE] = dx_config_read_number,
    [TYPE_COUNT] = dx_config_read_number,
    [TYPE_PERCENT] = dx_config_read_number,
    [TYPE_WORKERS] = dx_config_read_number,
    [TYPE_MODE] = dx_config_read_number,
    [TYPE_FLAG] = dx_config_read_flag,
    [TYPE_WORD] = dx_config_read_word,
    [TYPE_TEXT] = dx_config_read_text,
    [TYPE_TOKEN] = dx_config_read_text,
    [TYPE_SECRET] = dx_config_read_text,
    [TYPE_PATH] = dx_config_read_text,
    [TYPE_ADMIN] = dx_config_read_text,
    [TYPE_TCP_ADDRESS] = dx_config_read_tcp_address,
    [TYPE_DOOR_ADDRESS] = dx_config_read_tcp_address,
    [TYPE_HOST_NAMES] = dx_config_read_host_names,
    [TYPE_URL_PATH] = dx_config_read_text,
    [TYPE_HOST_NAME] = dx_config_read_text,
    [TYPE_LOG_TARGET] = dx_config_read_log_target,
    [TYPE_STATUSES] = dx_config_read_statuses,
    [TYPE_TRUSTED] = dx_config_read_trusted,
    [TYPE_NETWORKS] = dx_config_read_networks,
    [TYPE_PAGES] = dx_config_read_pages,
    [TYPE_ERROR_PAGES] = dx_config_read_error_pages,
    [TYPE_LISTEN_ADDRESS] = dx_config_read_listen_address,
    [TYPE_SERVER_ADDRESS] = dx_config_read_server_address,
    [TYPE_ROUTE_PATH] = dx_config_read_route_path,
    [TYPE_ROUTE_HOST] = dx_config_read_route_host,
    [TYPE_ROUTE_POOL] = dx_config_read_route_pool,
    [TYPE_GROUP] = read_nested,
    [TYPE_HEALTH] = dx_config_read_health,
    [TYPE_LISTENS] = dx_config_read_listens,
    [TYPE_SERVERS] = dx_config_read_servers,
    [TYPE_POOLS] = later_pools,
    [TYPE_ROUTES] = later_routes,
};

void dx_config_read_value(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                          void *base)
{
    if (r->lines)
        r->lines[dx_config_setting_index(s)] = v->line;
    readers[s->type](r, s, v, base);
}

/* The scopes that a key belongs to, when it is not this one: the commonest mistake is the wrong indentation.
 */
static void elsewhere(enum dx_config_scope scope, struct dx_slice key, struct dx_text *out)
{
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (s->scope == scope || !dx_slice_eq(key, dx_slice_str(s->key)))
            continue;
        dx_text_adds(out, out->n ? ", or: " : "; it belongs to: ");
        dx_text_adds(out, dx_config_scopes[s->scope].heading);
    }
}

static void unknown_key(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *key)
{
    struct dx_config_nearest near = {.word = key->text};
    char hint[128];
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        if (dx_config_settings[i].scope == scope)
            dx_config_nearest_try(&near, dx_slice_str(dx_config_settings[i].key));
    }
    struct dx_text other;
    dx_text_init(&other);
    if (!near.best.n || near.distance > 1) /* a whole word in the wrong place is likelier than two slips */
        elsewhere(scope, key->text, &other);
    dx_config_fault(r, key, "unknown key '%.*s'%s", DX_SLICE_ARGS(key->text),
                    other.n ? other.p : dx_config_nearest_hint(&near, hint));
    dx_text_fini(&other);
}

static bool is_extension(enum dx_config_scope scope, struct dx_slice key)
{
    return (scope == SCOPE_TOP || scope == SCOPE_POOL) && dx_slice_starts(key, DX_SLICE("x-"));
}

void dx_config_read_map(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *map,
                        void *base)
{
    for (size_t i = 0; i < map->n; i++) {
        struct dx_pair p = map->pairs[i];
        const struct dx_config_setting *s = dx_config_setting_find(scope, p.key->text);
        if (s)
            dx_config_read_value(r, s, p.value, base);
        else if (!is_extension(scope, p.key->text))
            unknown_key(r, scope, p.key);
    }
}

/* `map` NULL: nothing was given. */
void dx_config_need(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *at,
                    const struct dx_node *map)
{
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (s->scope != scope || s->why != dx_config_required || (map && dx_node_find(map, s->key)))
            continue;
        dx_config_fault(r, at, "'%s' is missing%s%s", s->key, s->words ? ": one of " : "",
                        s->words ? s->words : "");
    }
}

/* `keepalive: off`: the same as `keepalive: {max: 0}`. */
static bool read_off(struct dx_config_reader *r, enum dx_config_scope scope, struct dx_node *v, void *base)
{
    const char *key = dx_config_scopes[scope].off_key;
    if (!key || v->kind != DX_NODE_TEXT || !dx_slice_eq_nocase(v->text, DX_SLICE("off")))
        return false;
    struct dx_node zero = *v;
    zero.text = DX_SLICE("0");
    dx_config_read_value(r, dx_config_setting_find(scope, dx_slice_str(key)), &zero, base);
    return true;
}

void dx_config_read_group(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *at,
                          struct dx_node *v, void *base)
{
    const struct dx_config_scope_row *row = &dx_config_scopes[scope];
    if (v->kind == DX_NODE_MAP) {
        dx_config_read_map(r, scope, v, base);
        dx_config_need(r, scope, at, v);
        return;
    }
    if (v->kind == DX_NODE_TEXT && dx_config_is_null(v)) {
        dx_config_fault(r, v, "no value here; leave the key out for its default");
        return;
    }
    if (read_off(r, scope, v, base))
        return;
    if (v->kind == DX_NODE_TEXT && row->short_key)
        dx_config_read_value(r, dx_config_setting_find(scope, dx_slice_str(row->short_key)), v, base);
    else
        dx_config_fault(r, v, "must be a mapping%s%s%s", row->short_key ? " or a text for its '" : "",
                        row->short_key ? row->short_key : "", row->short_key ? "'" : "");
}

void dx_config_read_defaults(struct dx_config_reader *r, enum dx_config_scope owner, enum dx_kind kind,
                             void *base)
{
    unsigned *lines = r->lines;
    r->lines = NULL;
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (!s->fallback || dx_config_scopes[s->scope].owner != owner)
            continue;
        struct dx_slice text = DX_SLICE("");
        struct dx_node v = {.kind = DX_NODE_TEXT, .plain = true, .inset = -1, .weight = 1};
        if (!dx_arena_copy(&r->scratch, dx_config_setting_fallback(s, kind), &text))
            r->no_memory = true;
        v.text = text;
        if (text.n)
            dx_config_read_value(r, s, &v, base);
    }
    r->lines = lines;
}
