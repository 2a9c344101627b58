/* SPDX-License-Identifier: MIT */
/* The pools of GET /status: each server with its verdict, its slots and what was counted of it. */
#include <stdatomic.h>
#include <stdlib.h>

#include "admin/status.h"

static const char *state_word(enum dx_server_state state)
{
    switch (state) {
    case DX_SERVER_STARTING:
        return "starting";
    case DX_SERVER_UP:
        return "up";
    case DX_SERVER_DOWN:
        return "down";
    }
    DX_NEVER("no such state");
}

static void add_probe(const struct dx_health *health, uint32_t server, struct dx_text *out)
{
    struct dx_health_view view;
    if (!health || !dx_health_view(health, server, &view)) {
        dx_text_adds(out, "null");
        return;
    }
    dx_text_adds(out, "{");
    if (view.last_probe_ms_ago == UINT64_MAX)
        dx_text_adds(out, "\"ms_ago\":null");
    else
        put_number(out, "ms_ago", view.last_probe_ms_ago);
    dx_text_adds(out, ",");
    put_number(out, "status", view.last_status);
    dx_text_adds(out, ",");
    put_string(out, "error", view.last_error[0] ? view.last_error : NULL);
    dx_text_adds(out, ",");
    put_string(out, "hint", view.hint);
    dx_text_adds(out, ",");
    put_number(out, "failures_in_row", view.failures_in_row);
    dx_text_adds(out, ",");
    put_number(out, "successes_in_row", view.successes_in_row);
    dx_text_adds(out, "}");
}

static void add_server(const struct status *s, const struct dx_pool_config *pool,
                       const struct dx_board_server *server)
{
    const struct dx_admin_facts *f = s->facts;
    struct dx_text *out = s->out;
    char address[DX_ADDRESS_TEXT];
    struct dx_board_cell cell = dx_board_cell_sum(f->board, server->id);
    enum dx_down_reason why = dx_board_server_why(f->board, server->id);
    dx_address_text(&server->address, address, sizeof address);
    dx_text_adds(out, "\n   {");
    put_string(out, "name", server->name);
    dx_text_adds(out, ",");
    put_string(out, "address", address);
    dx_text_adds(out, ",");
    put_string(out, "state", state_word(dx_board_server_state(f->board, server->id)));
    dx_text_adds(out, ",");
    put_string(out, "why", why == DX_WHY_NONE ? NULL : dx_down_reason_word(why));
    dx_text_adds(out, ",");
    put_number(out, "weight", server->weight);
    dx_text_addf(out, ",\"backup\":%s,", server->backup ? "true" : "false");
    if (pool->slots)
        put_number(out, "slots", pool->slots);
    else
        dx_text_adds(out, "\"slots\":null");
    dx_text_adds(out, ",");
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"active", atomic_load(&cell.active)},
        {"connections", atomic_load(&cell.connections)},
        {"requests_total", atomic_load(&cell.requests)},
        {"responses", atomic_load(&cell.responses)},
        {"connect_failures", atomic_load(&cell.connect_failures)},
        {"resets", atomic_load(&cell.resets)},
    };
    for (size_t i = 0; i < DX_COUNT(numbers); i++) {
        put_number(out, numbers[i].key, numbers[i].value);
        dx_text_adds(out, ",");
    }
    dx_text_adds(out, "\"probe\":");
    add_probe(f->health, server->id, out);
    dx_text_adds(out, ",");
    status_of_server(s, server->id);
    dx_text_adds(out, "}");
}

/* Who waits in the pool's queue, and what an operator has said of it. */
static void add_waits(const struct dx_admin_facts *f, const struct dx_pool_config *pool, uint32_t at,
                      struct dx_text *out)
{
    static const char *const words[] = {NULL, "unsafe", "all"};
    enum dx_board_hold hold = DX_HOLD_NONE;
    struct dx_board_waits waits = {.held = 0};
    if (at != DX_BOARD_NONE) {
        waits = dx_board_pool_waits(f->board, at);
        hold = dx_board_pool_hold(f->board, at);
    }
    put_number(out, "slots", pool->slots);
    dx_text_adds(out, ",");
    put_number(out, "queued", waits.queued);
    dx_text_adds(out, ",");
    put_number(out, "held", waits.held);
    dx_text_adds(out, ",");
    put_string(out, "hold", words[hold]);
}

static void add_pool(struct status *s, const struct dx_pool_config *pool, struct dx_board_server *servers)
{
    const struct dx_admin_facts *f = s->facts;
    struct dx_text *out = s->out;
    uint32_t at = dx_board_pool_find(f->board, pool->name), version;
    dx_text_adds(out, "\n  {");
    put_string(out, "name", pool->name);
    dx_text_adds(out, ",");
    put_string(out, "kind", pool->kind == DX_KIND_WSGI ? "wsgi" : "asgi");
    dx_text_adds(out, ",");
    add_waits(f, pool, at, out);
    dx_text_adds(out, ",");
    status_of_queue(s, at);
    dx_text_adds(out, ",\"servers\":[");
    size_t n = at == DX_BOARD_NONE ? 0 : dx_board_pool_read(f->board, at, servers, &version);
    for (size_t i = 0; i < n; i++) {
        dx_text_adds(out, i ? "," : "");
        if (servers[i].id < DX_BOARD_SERVERS)
            memcpy(s->servers[servers[i].id], servers[i].name, DX_BOARD_NAME);
        add_server(s, pool, &servers[i]);
    }
    dx_text_adds(out, "]}");
}

void status_pools(struct status *s)
{
    struct dx_board_server *servers = calloc(DX_BOARD_POOL_SERVERS, sizeof *servers);
    if (!servers) {
        s->out->failed = true;
        return;
    }
    for (unsigned i = 0; i < s->facts->config->pools_n; i++) {
        dx_text_adds(s->out, i ? "," : "");
        add_pool(s, &s->facts->config->pools[i], servers);
    }
    free(servers);
}
