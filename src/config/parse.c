/* SPDX-License-Identifier: MIT */
/*
 * From text to model: load the tree, put the defaults in, read the top level, then the pools, then the
 * routes, and fill in what follows from the rest. There is a model only when there was no fault.
 */
#include "config/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWNED_MAGIC 0x0c0f160du
#define SMALLEST \
    "the smallest file is:  routes: {/async/: 'asgi://127.0.0.1:8001', /: 'wsgi://127.0.0.1:8000'}"

static struct dx_config_owned *owned_of(const struct dx_config *c)
{
    struct dx_config_owned *own =
        (struct dx_config_owned *)((uintptr_t)c - offsetof(struct dx_config_owned, model));
    DX_MAGIC_OK(own, OWNED_MAGIC);
    return own;
}

const struct dx_config_owned *dx_config_owned_of(const struct dx_config *c) { return owned_of(c); }
struct dx_config_owned *dx_config_owned_mutable(struct dx_config *c) { return owned_of(c); }

void dx_config_free(struct dx_config **c)
{
    if (!*c)
        return;
    struct dx_config_owned *own = owned_of(*c);
    DX_MAGIC_CLEAR(own);
    dx_arena_reset(&own->arena);
    free(own);
    *c = NULL;
}

/* Where other commands of the same user find the running program without being told. */
static void default_admin(struct dx_config_reader *r)
{
    char path[sizeof((struct sockaddr_un){0}.sun_path)];
    struct dx_slice runtime = dx_slice_str(r->env ? r->env("XDG_RUNTIME_DIR", r->arg) : NULL);
    bool usable = dx_slice_starts(runtime, DX_SLICE("/")) && !dx_config_has_control(runtime) &&
                  dx_config_utf8_check(runtime) == runtime.n;
    int n = -1;
    if (geteuid() == 0)
        n = snprintf(path, sizeof path, "/run/diplex/admin.sock");
    else if (usable)
        n = snprintf(path, sizeof path, "%.*s/diplex/admin.sock", DX_SLICE_ARGS(runtime));
    if (n < 0 || (size_t)n >= sizeof path)
        n = snprintf(path, sizeof path, "/tmp/diplex-%lu/admin.sock", (unsigned long)geteuid());
    r->own->model.admin.socket = dx_config_keep(r, dx_slice_of(path, (size_t)n));
}

/* What is about slots is of no use without them. */
static void check_slots(struct dx_config_reader *r)
{
    const struct dx_config *c = &r->own->model;
    const struct dx_config_setting *queue = dx_config_setting_find(SCOPE_POOL, DX_SLICE("queue"));
    size_t at = dx_config_setting_index(queue);

    for (unsigned i = 0; i < c->pools_n; i++) {
        unsigned line = r->own->pool_lines[i][at];
        if (c->pools[i].slots == 0 && line != 0)
            dx_config_fault_at(r, line, 1,
                               "'queue' needs 'slots' in the pool '%s': without them nobody waits",
                               c->pools[i].name);
    }
    for (unsigned i = 0; i < c->routes_n; i++) {
        const struct dx_pool_config *pool = &c->pools[c->routes[i].pool];
        if (pool->slots == 0 && c->routes[i].share < 100)
            dx_config_fault_at(r, c->routes[i].line, 1, "'share' needs 'slots' in the pool '%s'", pool->name);
    }
}

static void read_top(struct dx_config_reader *r, const struct dx_node *root)
{
    if (!root || (root->kind == DX_NODE_TEXT && dx_config_is_null(root))) {
        dx_config_fault_at(r, 1, 1, "the file is empty; " SMALLEST);
        return;
    }
    if (root->kind != DX_NODE_MAP) {
        dx_config_fault(r, root, "a configuration is a mapping; " SMALLEST);
        return;
    }
    dx_config_read_map(r, SCOPE_TOP, root, &r->own->model);
    r->lines = NULL;
    dx_config_check_listens(r, root);
    dx_config_check_admin(r, root);
    dx_config_check_metrics(r, root);
    if (!r->pools && !r->routes) {
        dx_config_fault(r, root, "neither 'pools' nor 'routes'; " SMALLEST);
        return;
    }
    dx_config_read_pools(r);
    if (!dx_config_read_routes(r) || !dx_config_pools_finish(r))
        r->no_memory = true;
    else if (r->faults->n == 0)
        check_slots(r);
}

/* A check names a host that the site has, never a server: Django refuses what is not in ALLOWED_HOSTS. */
static const char *health_host(const struct dx_config *c, unsigned pool)
{
    for (unsigned i = 0; i < c->routes_n; i++) {
        const char *host = c->routes[i].host;
        if (c->routes[i].pool == pool && *host && *host != '*')
            return host;
    }
    return "localhost";
}

static void derive(struct dx_config *c)
{
    for (unsigned i = 0; i < c->routes_n; i++) {
        if (c->routes[i].body_limit == UINT64_MAX)
            c->routes[i].body_limit = c->pools[c->routes[i].pool].body_limit;
    }
    for (unsigned i = 0; i < c->pools_n; i++) {
        if (!c->pools[i].health.host)
            c->pools[i].health.host = health_host(c, i);
    }
}

static struct dx_config_owned *new_owned(void)
{
    struct dx_config_owned *own = calloc(1, sizeof *own);
    if (!own)
        return NULL;
    DX_MAGIC_SET(own, OWNED_MAGIC);
    dx_arena_init(&own->arena, NULL, 0);
    return own;
}

static void read_all(struct dx_config_reader *r, struct dx_slice text, const char *file)
{
    struct dx_config_owned *own = r->own;
    struct dx_node *root = NULL;
    own->model.file = dx_config_keep(r, dx_slice_str(file));
    own->lines = dx_config_take(r, &own->arena, dx_config_settings_n, sizeof *own->lines);
    if (!own->lines || !dx_config_load(r, text, &root))
        return;
    dx_config_read_defaults(r, SCOPE_TOP, DX_KIND_WSGI, &own->model);
    default_admin(r);
    r->lines = own->lines;
    read_top(r, root);
}

struct dx_config *dx_config_parse(struct dx_slice text, const char *file, dx_config_env env, void *arg,
                                  struct dx_config_faults *faults)
{
    struct dx_config_reader r = {.own = new_owned(), .faults = faults, .env = env, .arg = arg};
    dx_arena_init(&r.scratch, NULL, 0);
    r.pool_names.arena = &r.scratch;
    r.last = &r.first;
    if (r.own)
        read_all(&r, text, file);
    if (!r.own || r.no_memory)
        dx_config_fault_at(&r, 0, 0, "out of memory");
    dx_config_faults_sort(faults);
    dx_arena_reset(&r.scratch);
    struct dx_config *c = r.own ? &r.own->model : NULL;
    if (c && !r.no_memory && faults->n == 0)
        derive(c);
    else if (c)
        dx_config_free(&c);
    return c;
}
