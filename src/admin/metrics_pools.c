/* SPDX-License-Identifier: MIT */
/*
 * What /metrics says of routes, pools and servers. All is read off the board once, then written family by
 * family. A table of ten thousand routes makes no ten thousand of each: those without a place of their own on
 * the board are `(other)` of their pool; what had no route at all is `(none)`.
 */
#include <stdlib.h>

#include "admin/metrics.h"

struct route {
    const char *host, *prefix, *pool;
    struct dx_board_route_sum sum;
};

struct server {
    const char *pool;
    struct dx_board_server of;
    enum dx_server_state state;
    enum dx_down_reason why;
    struct dx_board_cell cell;
    uint64_t ejections;
};

struct pool {
    const struct dx_pool_config *config;
    struct dx_board_route_sum sum;
    struct dx_board_waits waits;
    enum dx_board_hold hold;
    unsigned servers[3]; /* by state */
    uint64_t running, slots, slots_used;
};

struct all {
    struct route *routes; /* the last one is what has no route */
    struct pool *pools;
    struct server *servers;
    size_t routes_n, pools_n, servers_n;
};

/* ---- reading ---- */

static void read_routes(const struct dx_admin_facts *f, struct all *a)
{
    const struct dx_config *c = f->config;
    for (unsigned i = 0; i < c->routes_n && i < DX_BOARD_ROUTES_EACH; i++) {
        const struct dx_route_config *r = &c->routes[i];
        const char *pool = c->pools[r->pool].name;
        uint32_t place = dx_board_route_find(f->board, dx_board_route_key(r->host, r->path, pool));
        struct route *to = &a->routes[a->routes_n];
        if (place == DX_BOARD_NONE)
            continue;
        *to = (struct route){.host = r->host, .prefix = r->path, .pool = pool};
        dx_board_route_sum(f->board, place, &to->sum);
        a->routes_n++;
    }
    for (unsigned i = 0; i < c->pools_n && c->routes_n > DX_BOARD_ROUTES_EACH; i++) {
        uint32_t pool = dx_board_pool_find(f->board, c->pools[i].name);
        struct route *to = &a->routes[a->routes_n];
        if (pool == DX_BOARD_NONE)
            continue;
        *to = (struct route){.host = "", .prefix = "(other)", .pool = c->pools[i].name};
        dx_board_route_sum(f->board, DX_BOARD_PLACE_POOL + pool, &to->sum);
        a->routes_n++;
    }
    a->routes[a->routes_n] = (struct route){.host = "", .prefix = "(none)", .pool = "(none)"};
    dx_board_route_sum(f->board, DX_BOARD_NO_ROUTE, &a->routes[a->routes_n++].sum);
}

static bool is_there(const struct all *a, size_t from, const struct dx_board_server *s)
{
    for (size_t i = from; i < a->servers_n; i++)
        if (dx_address_eq(&a->servers[i].of.address, &s->address) && !strcmp(a->servers[i].of.name, s->name))
            return true;
    return false;
}

static void read_server(const struct dx_admin_facts *f, struct pool *p, struct server *s)
{
    struct dx_health_view view = {0};
    unsigned slots = p->config->slots;
    s->pool = p->config->name;
    s->state = dx_board_server_state(f->board, s->of.id);
    s->why = dx_board_server_why(f->board, s->of.id);
    s->cell = dx_board_cell_sum(f->board, s->of.id);
    if (f->health && dx_health_view(f->health, s->of.id, &view))
        s->ejections = view.ejections;
    uint32_t active = atomic_load_explicit(&s->cell.active, memory_order_relaxed);
    p->servers[s->state]++;
    p->running += active;
    if (s->state == DX_SERVER_DOWN)
        return;
    p->slots += slots;
    p->slots_used += active < slots ? active : slots;
}

static void read_pools(const struct dx_admin_facts *f, struct all *a, struct dx_board_server *list)
{
    for (unsigned i = 0; i < f->config->pools_n; i++) {
        uint32_t at = dx_board_pool_find(f->board, f->config->pools[i].name);
        struct pool *p = &a->pools[a->pools_n];
        if (at == DX_BOARD_NONE)
            continue;
        *p = (struct pool){.config = &f->config->pools[i],
                           .waits = dx_board_pool_waits(f->board, at),
                           .hold = dx_board_pool_hold(f->board, at)};
        dx_board_pool_sum(f->board, at, &p->sum);
        size_t n = dx_board_pool_read(f->board, at, list, NULL), from = a->servers_n;
        for (size_t k = 0; k < n && a->servers_n < DX_BOARD_SERVERS; k++) {
            if (is_there(a, from, &list[k])) /* named twice: one line would contradict the other */
                continue;
            a->servers[a->servers_n] = (struct server){.of = list[k]};
            read_server(f, p, &a->servers[a->servers_n++]);
        }
        a->pools_n++;
    }
}

static bool make(const struct dx_config *c, struct all *a, struct dx_board_server **list)
{
    size_t routes = c->routes_n < DX_BOARD_ROUTES_EACH ? c->routes_n : DX_BOARD_ROUTES_EACH;
    a->routes = calloc(routes + c->pools_n + 1, sizeof *a->routes);
    a->pools = calloc(c->pools_n + 1, sizeof *a->pools);
    a->servers = calloc(DX_BOARD_SERVERS, sizeof *a->servers); /* touched as far as there are some */
    *list = calloc(DX_BOARD_POOL_SERVERS, sizeof **list);
    return a->routes && a->pools && a->servers && *list;
}

/* ---- routes ---- */

static void route_labels(const struct route *r, struct labels *l)
{
    labels_begin(l);
    labels_add_route(l, r->host, r->prefix);
    labels_add(l, "pool", r->pool);
}

static void write_times(struct writer *w, const struct all *a, enum family f, enum dx_board_time t)
{
    struct labels l;
    write_family(w, f);
    for (size_t i = 0; i < a->routes_n; i++) {
        const struct dx_board_histogram_sum *h = &a->routes[i].sum.times[t];
        /* Most routes never see most of these. */
        if (t != DX_TIME_TOTAL && dx_board_histogram_count(h) == 0)
            continue;
        route_labels(&a->routes[i], &l);
        write_histogram(w, &l, h);
    }
}

static void write_bytes(struct writer *w, const struct all *a, enum family f)
{
    struct labels l;
    write_family(w, f);
    for (size_t i = 0; i < a->routes_n; i++) {
        const struct dx_board_route_sum *sum = &a->routes[i].sum;
        route_labels(&a->routes[i], &l);
        write_value(w, &l, f == FAMILY_BYTES_IN ? sum->bytes_in : sum->bytes_out);
    }
}

static void write_routes(struct writer *w, const struct all *a)
{
    static const char *const codes[DX_BOARD_STATUSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct labels l;
    write_family(w, FAMILY_REQUESTS);
    for (size_t i = 0; i < a->routes_n; i++) {
        for (unsigned k = 0; k < DX_BOARD_STATUSES; k++) {
            route_labels(&a->routes[i], &l);
            labels_add(&l, "code", codes[k]);
            write_value(w, &l, a->routes[i].sum.statuses[k]);
        }
    }
    write_bytes(w, a, FAMILY_BYTES_IN);
    write_bytes(w, a, FAMILY_BYTES_OUT);
    write_times(w, a, FAMILY_TOTAL, DX_TIME_TOTAL);
    write_times(w, a, FAMILY_FIRST_BYTE, DX_TIME_FIRST_BYTE);
    write_times(w, a, FAMILY_CONNECT, DX_TIME_CONNECT);
    write_times(w, a, FAMILY_QUEUED, DX_TIME_QUEUED);
    write_times(w, a, FAMILY_HELD, DX_TIME_HELD);
}

/* ---- pools ---- */

static void pool_labels(const char *pool, struct labels *l)
{
    labels_begin(l);
    labels_add(l, "pool", pool);
}

static void write_outcomes(struct writer *w, const struct all *a)
{
    write_family(w, FAMILY_OUTCOMES);
    for (size_t i = 0; i <= a->pools_n; i++) {
        bool none = i == a->pools_n;
        const struct dx_board_route_sum *sum = none ? &a->routes[a->routes_n - 1].sum : &a->pools[i].sum;
        for (unsigned k = 0; k < DX_BOARD_OUTCOMES; k++) {
            struct labels l;
            pool_labels(none ? "(none)" : a->pools[i].config->name, &l);
            labels_add(&l, "outcome", dx_board_outcome_word(k));
            write_value(w, &l, sum->outcomes[k]);
        }
    }
}

static void write_saved(struct writer *w, const struct all *a)
{
    struct labels l;
    write_family(w, FAMILY_SAVED);
    for (size_t i = 0; i < a->pools_n; i++) {
        const struct pool *p = &a->pools[i];
        if (p->config->kind != DX_KIND_WSGI)
            continue;
        pool_labels(p->config->name, &l);
        labels_add(&l, "by", "request");
        write_seconds(w, &l, p->sum.saved_request_us);
        pool_labels(p->config->name, &l);
        labels_add(&l, "by", "answer");
        write_seconds(w, &l, p->sum.saved_answer_us);
    }
}

static uint64_t pool_value(const struct pool *p, enum family f, bool *has)
{
    const struct dx_pool_config *c = p->config;
    bool slots = f == FAMILY_SLOTS || f == FAMILY_SLOTS_USED || f == FAMILY_QUEUE || f == FAMILY_QUEUE_MAX;
    *has = !slots || c->slots > 0;
    if (f == FAMILY_RETRIES)
        return p->sum.retries;
    if (f == FAMILY_RUNNING)
        return p->running;
    if (f == FAMILY_SLOTS || f == FAMILY_SLOTS_USED)
        return f == FAMILY_SLOTS ? p->slots : p->slots_used;
    if (f == FAMILY_QUEUE || f == FAMILY_HOLD)
        return f == FAMILY_HOLD ? p->waits.held : p->waits.queued;
    if (f == FAMILY_HOLD_ORDERED)
        return p->hold != DX_HOLD_NONE;
    return f == FAMILY_QUEUE_MAX ? c->queue.max : c->hold.max;
}

static void write_each_pool(struct writer *w, const struct all *a, enum family f)
{
    struct labels l;
    write_family(w, f);
    for (size_t i = 0; i < a->pools_n; i++) {
        bool has;
        uint64_t value = pool_value(&a->pools[i], f, &has);
        pool_labels(a->pools[i].config->name, &l);
        if (has)
            write_value(w, &l, value);
    }
}

static void write_states(struct writer *w, const struct all *a)
{
    static const char *const words[] = {
        [DX_SERVER_STARTING] = "starting", [DX_SERVER_UP] = "up", [DX_SERVER_DOWN] = "down"};
    struct labels l;
    write_family(w, FAMILY_SERVERS);
    for (size_t i = 0; i < a->pools_n; i++) {
        for (size_t k = 0; k < DX_COUNT(words); k++) {
            pool_labels(a->pools[i].config->name, &l);
            labels_add(&l, "state", words[k]);
            write_value(w, &l, a->pools[i].servers[k]);
        }
    }
}

/* ---- servers ---- */

static void server_labels(const struct server *s, struct labels *l)
{
    char address[DX_ADDRESS_TEXT];
    dx_address_text(&s->of.address, address, sizeof address);
    pool_labels(s->pool, l);
    labels_add(l, "server", s->of.name);
    labels_add(l, "address", address);
}

static uint64_t server_value(const struct server *s, enum family f)
{
    if (f == FAMILY_SERVER_UP)
        return s->state == DX_SERVER_UP;
    if (f == FAMILY_SERVER_RUNNING)
        return atomic_load_explicit(&s->cell.active, memory_order_relaxed);
    if (f == FAMILY_SERVER_CONNECTIONS)
        return atomic_load_explicit(&s->cell.connections, memory_order_relaxed);
    if (f == FAMILY_SERVER_REQUESTS)
        return atomic_load_explicit(&s->cell.requests, memory_order_relaxed);
    if (f == FAMILY_SERVER_ANSWERS)
        return atomic_load_explicit(&s->cell.responses, memory_order_relaxed);
    if (f == FAMILY_SERVER_FAILURES)
        return atomic_load_explicit(&s->cell.connect_failures, memory_order_relaxed);
    return f == FAMILY_SERVER_RESETS ? atomic_load_explicit(&s->cell.resets, memory_order_relaxed)
                                     : s->ejections;
}

static void write_each_server(struct writer *w, const struct all *a, enum family f)
{
    struct labels l;
    write_family(w, f);
    for (size_t i = 0; i < a->servers_n; i++) {
        server_labels(&a->servers[i], &l);
        write_value(w, &l, server_value(&a->servers[i], f));
    }
}

static void write_reasons(struct writer *w, const struct all *a)
{
    struct labels l;
    write_family(w, FAMILY_SERVER_DOWN);
    for (size_t i = 0; i < a->servers_n; i++) {
        for (unsigned why = DX_WHY_NONE + 1; why <= DX_WHY_NAME_GONE; why++) {
            server_labels(&a->servers[i], &l);
            labels_add(&l, "reason", dx_down_reason_word((enum dx_down_reason)why));
            write_value(w, &l, a->servers[i].why == why);
        }
    }
}

void write_pools(struct writer *w, const struct dx_admin_facts *f)
{
    static const enum family of_pools[] = {FAMILY_RETRIES,    FAMILY_RUNNING,  FAMILY_SLOTS,
                                           FAMILY_SLOTS_USED, FAMILY_QUEUE,    FAMILY_QUEUE_MAX,
                                           FAMILY_HOLD,       FAMILY_HOLD_MAX, FAMILY_HOLD_ORDERED};
    static const enum family of_servers[] = {
        FAMILY_SERVER_UP,      FAMILY_SERVER_RUNNING,  FAMILY_SERVER_CONNECTIONS, FAMILY_SERVER_REQUESTS,
        FAMILY_SERVER_ANSWERS, FAMILY_SERVER_FAILURES, FAMILY_SERVER_RESETS,      FAMILY_SERVER_EJECTIONS};
    struct all a = {0};
    struct dx_board_server *list = NULL;
    if (make(f->config, &a, &list)) {
        read_routes(f, &a);
        read_pools(f, &a, list);
        write_routes(w, &a);
        write_outcomes(w, &a);
        write_saved(w, &a);
        write_states(w, &a);
        for (size_t i = 0; i < DX_COUNT(of_pools); i++)
            write_each_pool(w, &a, of_pools[i]);
        for (size_t i = 0; i < DX_COUNT(of_servers); i++)
            write_each_server(w, &a, of_servers[i]);
        write_reasons(w, &a);
    } else {
        w->out->failed = true;
    }
    free(list);
    free(a.servers);
    free(a.pools);
    free(a.routes);
}
