/* SPDX-License-Identifier: MIT */
/*
 * The configuration in force as YAML, each value with where it comes from. What is printed can be read again
 * and gives the same model: texts are quoted where YAML or ${} could take them for something else.
 */
#include "config/reader.h"

#include <stdio.h>

#define COMMENT_COLUMN 40u
#define SIMPLE_KEY_MAX 1000u

struct printer {
    struct dx_text *out;
    const struct dx_config_owned *own;
    const unsigned *lines; /* of the object that is being printed; NULL: nobody knows */
};

static bool is_plain(struct dx_slice s)
{
    if (s.n == 0 || s.p[s.n - 1] == ':' || dx_slice_eq_nocase(s, DX_SLICE("null")))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/';
        if (!good && (i == 0 || !strchr("_.:@+-", c) || c == '\0'))
            return false;
    }
    return true;
}

static unsigned code_point(const unsigned char *p, size_t *length)
{
    static const unsigned char first[] = {0x7f, 0x1f, 0x0f, 0x07};
    *length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    unsigned v = p[0] & first[*length - 1];
    for (size_t i = 1; i < *length; i++)
        v = v << 6 | (p[i] & 0x3fu);
    return v;
}

/* In double quotes; what is neither ASCII nor an ordinary letter is escaped, so that no line breaks hide in
 * it. */
static void put_quoted(struct dx_text *out, struct dx_slice s, bool dollars)
{
    dx_text_adds(out, "\"");
    for (size_t i = 0, length = 1; i < s.n; i += length) {
        unsigned v = code_point((const unsigned char *)s.p + i, &length);
        if (v == '"' || v == '\\')
            dx_text_addf(out, "\\%c", (int)v);
        else if (v == '$' && dollars)
            dx_text_adds(out, "$$");
        else if ((v >= 0x20 && v < 0x7f) || (v >= 0xc0 && v < 0x2000))
            dx_text_add(out, dx_slice_of(s.p + i, length));
        else
            dx_text_addf(out, "\\U%08X", v);
    }
    dx_text_adds(out, "\"");
}

static void put_text(struct dx_text *out, struct dx_slice s, bool dollars)
{
    if (is_plain(s))
        dx_text_add(out, s);
    else
        put_quoted(out, s, dollars);
}

static void put_comment(struct printer *p, size_t from, const char *comment)
{
    if (comment) {
        for (size_t n = p->out->n - from; n < COMMENT_COLUMN; n++)
            dx_text_adds(p->out, " ");
        dx_text_addf(p->out, " # %s", comment);
    }
    dx_text_adds(p->out, "\n");
}

static void put_key(struct printer *p, unsigned indent, const char *key, const char *comment)
{
    size_t from = p->out->n;
    dx_text_addf(p->out, "%*s%s:", (int)indent, "", key);
    put_comment(p, from, comment);
}

/* Where a value comes from. */
static const char *origin(const struct printer *p, const struct dx_config_setting *s, char buf[160])
{
    unsigned line = p->lines ? p->lines[dx_config_setting_index(s)] : 0;
    if (!p->lines)
        return NULL;
    if (line)
        (void)snprintf(buf, 160, "from line %u", line);
    else if (s->why == dx_config_required)
        (void)snprintf(buf, 160, "derived: said by the server's URL");
    else if (s->why)
        (void)snprintf(buf, 160, "derived: %s", s->why);
    else
        (void)snprintf(buf, 160, "default");
    return buf;
}

static void put_number(struct dx_text *out, const struct dx_config_setting *s, const void *place)
{
    uint64_t wide = 0;
    unsigned narrow = 0;
    char buf[32];
    if (s->type == TYPE_DURATION || s->type == TYPE_SIZE) {
        memcpy(&wide, place, sizeof wide);
    } else {
        memcpy(&narrow, place, sizeof narrow);
        wide = narrow;
    }
    dx_text_adds(out, s->type == TYPE_WORKERS && wide == 0 ? "auto" : dx_config_setting_number(s, wide, buf));
}

static void put_word(struct dx_text *out, const struct dx_config_setting *s, const void *place)
{
    unsigned at = 0;
    struct dx_slice rest = dx_slice_str(s->words), word = {NULL, 0};
    memcpy(&at, place, sizeof at);
    do
        DX_ASSERT(dx_config_next_word(&rest, &word));
    while (at--);
    dx_text_add(out, word);
}

static void put_statuses(struct dx_text *out, const struct dx_health_config *h)
{
    dx_text_adds(out, "[");
    for (unsigned i = 0; i < h->expect_n; i++) {
        dx_text_addf(out, i ? ", %u" : "%u", h->expect[i].from);
        if (h->expect[i].to != h->expect[i].from)
            dx_text_addf(out, "-%u", h->expect[i].to);
    }
    dx_text_adds(out, "]");
}

static void put_trusted(struct printer *p)
{
    dx_text_adds(p->out, "[");
    for (unsigned i = 0; i < p->own->trusted_n; i++) {
        dx_text_adds(p->out, i ? ", " : "");
        put_quoted(p->out, dx_slice_str(p->own->trusted[i]), true);
    }
    dx_text_adds(p->out, "]");
}

static void put_networks(struct dx_text *out, const void *place)
{
    struct dx_networks n;
    memcpy(&n, place, sizeof n);
    dx_text_adds(out, "[");
    for (unsigned i = 0; i < n.words_n; i++) {
        dx_text_adds(out, i ? ", " : "");
        put_quoted(out, dx_slice_str(n.words[i]), true);
    }
    dx_text_adds(out, "]");
}

/* [file, file], or {404: [file, file], 5xx: [file]}. */
static void put_pages(struct printer *p, const void *place, bool statuses)
{
    struct dx_page_uses uses;
    memcpy(&uses, place, sizeof uses);
    dx_text_adds(p->out, statuses ? "{" : "[");
    for (unsigned i = 0; i < uses.n; i++) {
        const struct dx_page_use *u = &uses.at[i];
        bool more = i > 0 && u->from == u[-1].from && u->to == u[-1].to;
        dx_text_adds(p->out, more ? ", " : !statuses ? "" : i ? "], " : "");
        if (statuses && !more && u->from == u->to)
            dx_text_addf(p->out, "%u: [", u->from);
        else if (statuses && !more)
            dx_text_addf(p->out, "%uxx: [", u->from / 100);
        put_quoted(p->out, dx_slice_str(p->own->model.page_files[u->file].path), true);
    }
    dx_text_adds(p->out, statuses ? "]}" : "]");
}

static void put_names(struct dx_text *out, const void *place)
{
    struct dx_names names;
    memcpy(&names, place, sizeof names);
    dx_text_adds(out, "[");
    for (unsigned i = 0; i < names.n; i++) {
        dx_text_adds(out, i ? ", " : "");
        put_text(out, dx_slice_str(names.at[i]), true);
    }
    dx_text_adds(out, "]");
}

static void put_value(struct printer *p, const struct dx_config_setting *s, const void *base)
{
    const void *place = (const char *)base + s->place;
    const char *text = NULL;
    bool flag = false;
    switch ((unsigned)s->type) {
    case TYPE_DURATION:
    case TYPE_SIZE:
    case TYPE_COUNT:
    case TYPE_PERCENT:
    case TYPE_WORKERS:
    case TYPE_MODE:
        put_number(p->out, s, place);
        return;
    case TYPE_WORD:
        put_word(p->out, s, place);
        return;
    case TYPE_FLAG:
        memcpy(&flag, place, sizeof flag);
        dx_text_adds(p->out, flag ? "yes" : "no");
        return;
    case TYPE_STATUSES:
        put_statuses(p->out, &((const struct dx_pool_config *)base)->health);
        return;
    case TYPE_TRUSTED:
        put_trusted(p);
        return;
    case TYPE_NETWORKS:
        put_networks(p->out, place);
        return;
    case TYPE_PAGES:
    case TYPE_ERROR_PAGES:
        put_pages(p, place, s->type == TYPE_ERROR_PAGES);
        return;
    case TYPE_LISTEN_ADDRESS:
        text = ((const struct dx_listen_config *)base)->text;
        break;
    case TYPE_TCP_ADDRESS:
    case TYPE_DOOR_ADDRESS:
        memcpy(&text, (const char *)place + offsetof(struct dx_listen_config, text), sizeof text);
        break;
    case TYPE_HOST_NAMES:
        put_names(p->out, place);
        return;
    case TYPE_SERVER_ADDRESS:
        text = ((const struct dx_server_config *)base)->text;
        break;
    case TYPE_LOG_TARGET:
        text = ((const struct dx_log_target *)place)->text;
        break;
    case TYPE_SECRET:
        text = s->max ? "(not.shown.but.it.is.set)" : "(not shown)"; /* what may be read again */
        break;
    default: /* a text of its own */
        memcpy(&text, place, sizeof text);
    }
    put_text(p->out, dx_slice_str(text ? text : "off"), true);
}

static void print_scope(struct printer *p, enum dx_config_scope scope, const void *base, unsigned indent);

static void print_setting(struct printer *p, const struct dx_config_setting *s, const void *base,
                          unsigned indent)
{
    char buf[160];
    size_t from = p->out->n;
    dx_text_addf(p->out, "%*s%s: ", (int)indent, "", s->key);
    put_value(p, s, base);
    put_comment(p, from, origin(p, s, buf));
}

/* The first key of an entry stands behind its dash. */
static void print_entry(struct printer *p, enum dx_config_scope scope, const void *base, unsigned indent)
{
    struct dx_text entry, *out = p->out;
    struct printer q = {.out = &entry, .own = p->own};
    dx_text_init(&entry);
    print_scope(&q, scope, base, indent + 2);
    if (entry.n > indent && !entry.failed)
        entry.p[indent] = '-';
    dx_text_add(out, dx_slice_of(entry.p, entry.n));
    out->failed |= entry.failed;
    dx_text_fini(&entry);
}

static void print_listens(struct printer *p, const struct dx_config *c, const char *comment)
{
    put_key(p, 0, "listen", comment);
    for (unsigned i = 0; i < c->listen_n; i++)
        print_entry(p, SCOPE_LISTEN, &c->listen[i], 2);
}

static void print_servers(struct printer *p, const struct dx_pool_config *pool, const char *comment)
{
    put_key(p, 4, "servers", comment);
    for (unsigned i = 0; i < pool->servers_n; i++)
        print_entry(p, SCOPE_SERVER, &pool->servers[i], 6);
}

static void print_pools(struct printer *p, const struct dx_config *c)
{
    char comment[160];
    dx_text_adds(p->out, "pools:\n");
    for (unsigned i = 0; i < c->pools_n; i++) {
        const struct dx_pool_config *pool = &c->pools[i];
        size_t from = p->out->n;
        bool url = dx_config_is_url(dx_slice_str(pool->name));
        dx_text_adds(p->out, "  ");
        put_text(p->out, dx_slice_str(pool->name), false);
        dx_text_adds(p->out, ":");
        (void)snprintf(comment, sizeof comment, "from line %u%s", pool->line,
                       url ? "; kind and server are in its name" : "");
        put_comment(p, from, comment);
        p->lines = p->own->pool_lines[i];
        print_scope(p, SCOPE_POOL, pool, 4);
        p->lines = p->own->lines;
    }
}

/* A key of more than 1024 characters must say that it is one (YAML 1.1, 9.1.4). */
static void put_route_key(struct printer *p, const struct dx_route_config *route)
{
    struct dx_text plain, key;
    char comment[64] = "derived: the only pool answers everything";
    size_t from = p->out->n;
    dx_text_init(&plain);
    dx_text_init(&key);
    dx_text_addf(&plain, "%s%s", route->host, route->path);
    put_text(&key, dx_slice_of(plain.p, plain.n), false);
    if (route->line)
        (void)snprintf(comment, sizeof comment, "from line %u", route->line);
    dx_text_adds(p->out, key.n > SIMPLE_KEY_MAX ? "  ? " : "  ");
    dx_text_add(p->out, dx_slice_of(key.p, key.n));
    dx_text_adds(p->out, key.n > SIMPLE_KEY_MAX ? "\n  :" : ":");
    put_comment(p, from, comment);
    p->out->failed |= plain.failed || key.failed;
    dx_text_fini(&plain);
    dx_text_fini(&key);
}

/* What a route has said of it, beside the top level. */
static bool same_maintenance(const struct dx_maintenance_config *a, const struct dx_maintenance_config *b)
{
    return a->on == b->on && a->status == b->status && a->retry_after == b->retry_after &&
           a->pages.at == b->pages.at && a->allow.at == b->allow.at;
}

static void print_route_pages(struct printer *p, const struct dx_config *c,
                              const struct dx_route_config *route)
{
    const unsigned *lines = p->lines;
    p->lines = NULL;
    if (route->error_pages.n > 0)
        print_setting(p, dx_config_setting_find(SCOPE_ROUTE, DX_SLICE("error_pages")), route, 4);
    if (!same_maintenance(&route->maintenance, &c->maintenance)) {
        put_key(p, 4, "maintenance", NULL);
        print_scope(p, SCOPE_ROUTE_MAINTENANCE, route, 6);
    }
    p->lines = lines;
}

static void print_routes(struct printer *p, const struct dx_config *c)
{
    const struct dx_config_setting *body = dx_config_setting_find(SCOPE_ROUTE, DX_SLICE("body"));
    dx_text_adds(p->out, "routes:\n");
    for (unsigned i = 0; i < c->routes_n; i++) {
        const struct dx_route_config *route = &c->routes[i];
        const struct dx_pool_config *pool = &c->pools[route->pool];
        char size[32];
        put_route_key(p, route);
        dx_text_adds(p->out, "    pool: ");
        put_text(p->out, dx_slice_str(pool->name), true);
        size_t from = p->out->n + 1;
        dx_text_addf(p->out, "\n    body: %s", dx_config_setting_number(body, route->body_limit, size));
        put_comment(p, from, route->body_limit == pool->body_limit ? "that of its pool" : NULL);
        if (pool->slots > 0)
            dx_text_addf(p->out, "    share: %u%%\n", route->share);
        if (route->log != DX_ROUTE_LOG_ON) {
            dx_text_adds(p->out, "    log: ");
            put_word(p->out, dx_config_setting_find(SCOPE_ROUTE, DX_SLICE("log")), &route->log);
            dx_text_adds(p->out, "\n");
        }
        print_route_pages(p, c, route);
    }
}

static void print_health(struct printer *p, const struct dx_pool_config *pool, const char *comment)
{
    if (pool->health.enabled) {
        put_key(p, 4, "health", NULL);
        print_scope(p, SCOPE_HEALTH, pool, 6);
        return;
    }
    size_t from = p->out->n;
    dx_text_adds(p->out, "    health: off");
    put_comment(p, from, comment);
}

/* Not everything is printed: what the name of a pool says already, and what has no meaning here. */
static bool is_hidden(const struct dx_config_setting *s, const void *base)
{
    const char *text = NULL;
    if (s->type == TYPE_TOKEN || s->type == TYPE_SECRET) {
        memcpy(&text, (const char *)base + s->place, sizeof text);
        return text == NULL;
    }
    if (s->scope == SCOPE_ADMIN && s->type != TYPE_ADMIN && s->type != TYPE_TCP_ADDRESS)
        return ((const struct dx_config *)base)->admin.listen.text == NULL ||
               (s->type == TYPE_HOST_NAMES && ((const struct dx_config *)base)->admin.hosts.n == 0);
    if (s->type == TYPE_PAGES || s->type == TYPE_ERROR_PAGES)
        return ((const struct dx_page_uses *)(const void *)((const char *)base + s->place))->n == 0;
    if (s->type == TYPE_NETWORKS)
        return ((const struct dx_networks *)(const void *)((const char *)base + s->place))->words_n == 0;
    if (s->type == TYPE_MODE)
        return !dx_address_is_unix(&((const struct dx_listen_config *)base)->address);
    if (s->nested == SCOPE_QUEUE && ((const struct dx_pool_config *)base)->slots == 0)
        return true;
    if (s->scope == SCOPE_POOL && s->nested == SCOPE_KEEPALIVE)
        return ((const struct dx_pool_config *)base)->client_ip == DX_CLIENT_IP_PROXY_PROTOCOL;
    bool said = s->scope == SCOPE_POOL && (s->type == TYPE_SERVERS || !strcmp(s->key, "kind"));
    return said && dx_config_is_url(dx_slice_str(((const struct dx_pool_config *)base)->name));
}

static void print_scope(struct printer *p, enum dx_config_scope scope, const void *base, unsigned indent)
{
    char comment[160];
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (s->scope != scope || is_hidden(s, base))
            continue;
        switch ((unsigned)s->type) {
        case TYPE_GROUP:
            put_key(p, indent, s->key, NULL);
            print_scope(p, s->nested, base, indent + 2);
            break;
        case TYPE_LISTENS:
            print_listens(p, base, origin(p, s, comment));
            break;
        case TYPE_SERVERS:
            print_servers(p, base, origin(p, s, comment));
            break;
        case TYPE_HEALTH:
            print_health(p, base, origin(p, s, comment));
            break;
        case TYPE_POOLS:
            print_pools(p, base);
            break;
        case TYPE_ROUTES:
            print_routes(p, base);
            break;
        default:
            print_setting(p, s, base, indent);
        }
    }
}

void dx_config_print(const struct dx_config *c, struct dx_text *out)
{
    const struct dx_config_owned *own = dx_config_owned_of(c);
    struct printer p = {.out = out, .own = own, .lines = own->lines};
    DX_ASSERT(c->file != NULL);
    struct dx_slice file = dx_slice_str(c->file);
    dx_text_adds(out, "# The configuration in force, read from ");
    put_quoted(out, dx_slice_of(file.p, dx_config_utf8_check(file)), false);
    dx_text_adds(out, "\n");
    print_scope(&p, SCOPE_TOP, c, 0);
}
