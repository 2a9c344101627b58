/* SPDX-License-Identifier: MIT */
/*
 * Servers drained by hand: which one is meant, what is still running there. A server is called by its name in
 * the configuration, by its address, or by name@address, each with POOL/ in front where that alone does not
 * say which one.
 */
#include <stdlib.h>

#include "supervise/control.h"

#define CALLED_BYTES (2 * DX_BOARD_NAME + DX_ADDRESS_TEXT + 4)

struct meant {
    const struct watched *pool;
    const char *name;
    struct dx_address address; /* len 0: all of the name */
};

struct search {
    struct control *c;
    struct dx_slice wanted;
    struct dx_board_server *list; /* DX_BOARD_POOL_SERVERS of room */
    struct meant found;
    size_t found_n;
    struct dx_text ways; /* how those found are called without doubt */
};

/* Is the text what is wanted, with or without the pool before it? */
static bool is_wanted(const struct search *s, const struct watched *pool, struct dx_slice text)
{
    struct dx_slice name = dx_slice_str(pool->pool.name), rest = s->wanted;
    if (dx_slice_eq(rest, text))
        return true;
    if (rest.n <= name.n || !dx_slice_starts(rest, name) || rest.p[name.n] != '/')
        return false;
    return dx_slice_eq(dx_slice_of(rest.p + name.n + 1, rest.n - name.n - 1), text);
}

static void found(struct search *s, const struct watched *pool, const char *name,
                  const struct dx_address *address)
{
    char text[DX_ADDRESS_TEXT] = "";
    s->found = (struct meant){.pool = pool, .name = name};
    s->found_n++;
    if (address) {
        s->found.address = *address;
        (void)dx_address_text(address, text, sizeof text);
    }
    dx_text_addf(&s->ways, "  %s/%s%s%s\n", pool->pool.name, name, address ? "@" : "", text);
}

static const char *configured(const struct watched *pool, const char *name)
{
    for (unsigned i = 0; i < pool->pool.servers_n; i++) {
        if (strncmp(pool->pool.servers[i].text, name, DX_BOARD_NAME - 1) == 0)
            return pool->pool.servers[i].text;
    }
    return NULL;
}

/* By name first: a server that is configured by its address is found once. */
static void search_pool(struct search *s, const struct watched *pool)
{
    char text[DX_ADDRESS_TEXT], called[CALLED_BYTES];
    size_t before = s->found_n;
    for (unsigned i = 0; i < pool->pool.servers_n; i++) {
        if (is_wanted(s, pool, dx_slice_str(pool->pool.servers[i].text)))
            found(s, pool, pool->pool.servers[i].text, NULL);
    }
    size_t n = s->found_n > before ? 0 : dx_board_pool_read(s->c->board, pool->board, s->list, NULL);
    for (size_t i = 0; i < n; i++) {
        const char *name = configured(pool, s->list[i].name);
        struct dx_out out = dx_out_of(called, sizeof called);
        (void)dx_address_text(&s->list[i].address, text, sizeof text);
        dx_out_add(&out, dx_slice_str(s->list[i].name));
        dx_out_byte(&out, '@');
        dx_out_add(&out, dx_slice_str(text));
        if (name && (is_wanted(s, pool, dx_slice_str(text)) || is_wanted(s, pool, dx_out_slice(&out))))
            found(s, pool, name, &s->list[i].address);
    }
}

/* All there are, with the addresses behind each name. */
static void list_known(const struct search *s, struct dx_text *out)
{
    const struct plan *p = s->c->on_board;
    char text[DX_ADDRESS_TEXT];
    for (unsigned i = 0; i < p->config->pools_n; i++) {
        const struct watched *pool = &p->pools[i];
        size_t n = dx_board_pool_read(s->c->board, pool->board, s->list, NULL);
        for (unsigned k = 0; k < pool->pool.servers_n; k++) {
            const struct dx_server_config *server = &pool->pool.servers[k];
            dx_text_addf(out, "  %s/%s", pool->pool.name, server->text);
            for (size_t m = 0; m < n && server->address.len == 0; m++) {
                if (configured(pool, s->list[m].name) != server->text)
                    continue;
                (void)dx_address_text(&s->list[m].address, text, sizeof text);
                dx_text_addf(out, " %s", text);
            }
            dx_text_adds(out, "\n");
        }
    }
}

static bool search(struct search *s, struct dx_text *out)
{
    const struct plan *p = s->c->on_board;
    for (unsigned i = 0; i < p->config->pools_n; i++)
        search_pool(s, &p->pools[i]);
    if (s->found_n == 1)
        return true;
    if (s->found_n == 0) {
        dx_text_adds(out, "no server is called so; there are:\n");
        list_known(s, out);
    } else {
        dx_text_adds(out, "more than one server is called so; say which one:\n");
        dx_text_adds(out, s->ways.p);
    }
    return false;
}

static bool is_meant(const struct meant *m, const struct dx_board_server *server)
{
    return strncmp(m->name, server->name, DX_BOARD_NAME - 1) == 0 &&
           (m->address.len == 0 || dx_address_eq(&m->address, &server->address));
}

static void report(const struct search *s, struct dx_text *out)
{
    const struct meant *m = &s->found;
    const struct dx_board *b = s->c->board;
    size_t n = dx_board_pool_read(b, m->pool->board, s->list, NULL), drained = 0, meant = 0, up = 0;
    uint64_t active = 0, connections = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = s->list[i].id;
        up += dx_board_server_state(b, id) == DX_SERVER_UP;
        if (!is_meant(m, &s->list[i]))
            continue;
        struct dx_board_cell cell = dx_board_cell_sum(b, id);
        active += atomic_load(&cell.active);
        connections += atomic_load(&cell.connections);
        drained += dx_board_server_why(b, id) == DX_WHY_DRAINED;
        meant++;
    }
    dx_text_adds(out, "{\"pool\":");
    dx_text_add_json(out, dx_slice_str(m->pool->pool.name));
    dx_text_adds(out, ",\"server\":");
    dx_text_add_json(out, dx_slice_str(m->name));
    dx_text_addf(out,
                 ",\"addresses\":%zu,\"drained\":%zu,\"active\":%llu,\"connections\":%llu,"
                 "\"pool_up\":%zu}\n",
                 meant, drained, (unsigned long long)active, (unsigned long long)connections, up);
}

static bool order(struct control *c, const struct meant *m, bool drained)
{
    const struct dx_address *address = m->address.len ? &m->address : NULL;
    if (!dx_health_drain(c->health, m->pool->board, m->name, address, drained))
        return false;
    const struct dx_letter letter = {.type = DX_LETTER_DRAINS, .fd = -1};
    letters_send(c, &letter);
    leavers_send(c, &letter);
    return true;
}

bool drain_server(struct control *c, enum dx_admin_drain what, struct dx_slice server, struct dx_text *out)
{
    struct search s = {.c = c, .wanted = server};
    dx_text_init(&s.ways);
    s.list = calloc(DX_BOARD_POOL_SERVERS, sizeof *s.list);
    bool ok = s.list && search(&s, out);
    if (ok && what != DX_ADMIN_DRAIN_LOOK)
        ok = order(c, &s.found, what == DX_ADMIN_DRAIN);
    if (ok)
        report(&s, out);
    else if (out->n == 0)
        dx_text_adds(out, "out of memory\n");
    free(s.list);
    dx_text_fini(&s.ways);
    return ok;
}
