/* SPDX-License-Identifier: MIT */
/* What /status says of each route: how often it was asked for and how long that took, as the board counted
 * it. */
#include "admin/routes.h"

#include <stdlib.h>

#include "diplex/board/routes.h"

struct row {
    const char *prefix, *host, *pool; /* prefix NULL: what has no route */
    uint32_t place;
    uint64_t requests;
};

#define ROWS_MOST (1 + DX_BOARD_POOLS + DX_BOARD_ROUTES_EACH)

static uint64_t requests_of(const struct dx_board_route_sum *sum)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < DX_BOARD_OUTCOMES; i++)
        n += sum->outcomes[i];
    return n;
}

/* One that shares a place is shown when there is something to show. */
static void put(const struct dx_admin_facts *f, struct row *rows, size_t *n, struct row row, bool always)
{
    struct dx_board_route_sum sum;
    dx_board_route_sum(f->board, row.place, &sum);
    row.requests = requests_of(&sum);
    if (always || row.requests > 0)
        rows[(*n)++] = row;
}

static size_t rows_of(const struct dx_admin_facts *f, struct row *rows)
{
    const struct dx_config *c = f->config;
    size_t n = 0;
    for (unsigned i = 0; i < c->routes_n && i < DX_BOARD_ROUTES_EACH; i++) {
        const struct dx_route_config *r = &c->routes[i];
        const char *pool = c->pools[r->pool].name;
        uint32_t place = dx_board_route_find(f->board, dx_board_route_key(r->host, r->path, pool));
        if (place != DX_BOARD_NONE)
            put(f, rows, &n, (struct row){r->path, r->host, pool, place, 0}, true);
    }
    for (unsigned i = 0; i < c->pools_n && i < DX_BOARD_POOLS && c->routes_n > DX_BOARD_ROUTES_EACH; i++) {
        uint32_t pool = dx_board_pool_find(f->board, c->pools[i].name);
        if (pool != DX_BOARD_NONE)
            put(f, rows, &n, (struct row){"(other)", "", c->pools[i].name, DX_BOARD_PLACE_POOL + pool, 0},
                false);
    }
    put(f, rows, &n, (struct row){NULL, "", NULL, DX_BOARD_NO_ROUTE, 0}, false);
    return n;
}

static int busier_first(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    return (left->requests < right->requests) - (left->requests > right->requests);
}

static void add_ms(struct dx_text *out, const char *key, uint64_t us)
{
    dx_text_addf(out, "\"%s\":%llu.%03u", key, (unsigned long long)(us / 1000), (unsigned)(us % 1000));
}

static void add_times(struct dx_text *out, const char *key, const struct dx_board_histogram_sum *h)
{
    uint64_t count = dx_board_histogram_count(h);
    if (count == 0) {
        dx_text_addf(out, ",\"%s\":null", key);
        return;
    }
    dx_text_addf(out, ",\"%s\":{\"count\":%llu,", key, (unsigned long long)count);
    add_ms(out, "sum_ms", h->sum_us);
    dx_text_adds(out, ",");
    add_ms(out, "p50_ms", dx_board_histogram_quantile_us(h, 50));
    dx_text_adds(out, ",");
    add_ms(out, "p99_ms", dx_board_histogram_quantile_us(h, 99));
    dx_text_adds(out, "}");
}

static void add_name(struct dx_text *out, const char *key, const char *name)
{
    dx_text_addf(out, "\"%s\":", key);
    if (name)
        dx_text_add_json(out, dx_slice_str(name));
    else
        dx_text_adds(out, "null");
}

static void add_row(const struct dx_admin_facts *f, const struct row *row, struct dx_text *out)
{
    struct dx_board_route_sum sum;
    dx_board_route_sum(f->board, row->place, &sum);
    dx_text_adds(out, "\n  {");
    add_name(out, "prefix", row->prefix);
    dx_text_adds(out, ",");
    add_name(out, "host", row->host);
    dx_text_adds(out, ",");
    add_name(out, "pool", row->pool);
    dx_text_addf(out, ",\"requests\":%llu,\"answers_5xx\":%llu,\"bytes_in\":%llu,\"bytes_out\":%llu",
                 (unsigned long long)requests_of(&sum), (unsigned long long)sum.statuses[5],
                 (unsigned long long)sum.bytes_in, (unsigned long long)sum.bytes_out);
    add_times(out, "total", &sum.times[DX_TIME_TOTAL]);
    add_times(out, "first_byte", &sum.times[DX_TIME_FIRST_BYTE]);
    add_times(out, "connect", &sum.times[DX_TIME_CONNECT]);
    add_times(out, "queue", &sum.times[DX_TIME_QUEUED]);
    add_times(out, "hold", &sum.times[DX_TIME_HELD]);
    dx_text_adds(out, "}");
}

unsigned routes_write(const struct dx_admin_facts *f, struct dx_text *out)
{
    struct row *rows = calloc(ROWS_MOST, sizeof *rows);
    if (!rows) {
        out->failed = true;
        return 0;
    }
    size_t n = rows_of(f, rows), shown = n < ROUTES_SHOWN ? n : ROUTES_SHOWN;
    qsort(rows, n, sizeof *rows, busier_first);
    dx_text_adds(out, "[");
    for (size_t i = 0; i < shown; i++) {
        dx_text_adds(out, i ? "," : "");
        add_row(f, &rows[i], out);
    }
    dx_text_adds(out, "]");
    free(rows);
    return (unsigned)(n - shown);
}
