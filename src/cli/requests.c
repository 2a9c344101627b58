/* SPDX-License-Identifier: MIT */
/* The requests of the document of GET /status, gathered from all over it, and a line for each. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/status.h"

#define WHERE_BYTES 192

static size_t gather(const struct json *root, bool with_streams, struct status_request *out)
{
    size_t n = 0;
    for (const struct json *pool = json_first(root, "pools"); pool; pool = pool->next) {
        for (const struct json *r = json_first(pool, "waiting"); r; r = r->next, n++)
            if (out)
                out[n] = (struct status_request){r, pool, NULL, true, json_number(r, "age_ms")};
        for (const struct json *server = json_first(pool, "servers"); server; server = server->next) {
            for (const struct json *r = json_first(server, "requests"); r; r = r->next) {
                if (json_flag(r, "streaming") && !with_streams)
                    continue;
                if (out)
                    out[n] = (struct status_request){r, pool, server, false, json_number(r, "age_ms")};
                n++;
            }
        }
    }
    for (const struct json *r = json_first(root, "elsewhere"); r; r = r->next, n++)
        if (out)
            out[n] = (struct status_request){r, NULL, NULL, false, json_number(r, "age_ms")};
    return n;
}

static int oldest_first(const void *left, const void *right)
{
    const struct status_request *a = left, *b = right;
    return a->age_ms == b->age_ms ? 0 : a->age_ms > b->age_ms ? -1 : 1;
}

struct status_request *status_requests(const struct json *root, bool with_streams, struct dx_arena *a,
                                       size_t *n)
{
    *n = gather(root, with_streams, NULL);
    struct status_request *all = *n ? dx_arena_alloc(a, *n * sizeof *all) : NULL;
    if (!all) {
        *n = 0;
        return NULL;
    }
    (void)gather(root, with_streams, all);
    qsort(all, *n, sizeof *all, oldest_first);
    return all;
}

struct dx_slice status_where(const struct status_request *r, char *buf, size_t n)
{
    struct dx_slice pool = r->pool ? json_text(r->pool, "name") : json_text(r->of, "pool");
    struct dx_slice server = json_text(r->server, "name");
    (void)snprintf(buf, n, "%.*s%s%.*s", DX_SLICE_ARGS(pool), server.n ? " " : "", DX_SLICE_ARGS(server));
    return dx_slice_str(buf);
}

void status_requests_title(struct paint *p)
{
    paint_right(p, PAINT_FAINT, 8, DX_SLICE("AGE"));
    paint_cell(p, PAINT_FAINT, 22, DX_SLICE("WHERE"));
    paint_cell(p, PAINT_FAINT, 12, DX_SLICE("STATE"));
    paint_cell(p, PAINT_FAINT, 15, DX_SLICE("CLIENT"));
    paint_cell(p, PAINT_FAINT, 7, DX_SLICE("METHOD"));
    paint_str(p, PAINT_FAINT, "PATH");
    paint_end(p);
}

void status_request_line(struct paint *p, const struct status_request *r)
{
    char age[PAINT_SMALL], where[WHERE_BYTES];
    struct dx_slice state = json_text(r->of, "state"), why = json_text(r->of, "why");
    if (r->waits)
        state = dx_slice_eq(why, DX_SLICE("server")) ? DX_SLICE("no server")
                : dx_slice_eq(why, DX_SLICE("hand")) ? DX_SLICE("held")
                                                     : DX_SLICE("no slot");
    paint_right(p, r->age_ms >= 10000 ? PAINT_WARN : PAINT_PLAIN, 8, paint_time(r->age_ms, age));
    paint_cell(p, PAINT_PLAIN, 22, status_where(r, where, sizeof where));
    paint_cell(p, r->waits ? PAINT_WARN : PAINT_PLAIN, 12, state);
    paint_cell(p, PAINT_PLAIN, 15, json_text(r->of, "client"));
    paint_cell(p, PAINT_PLAIN, 7, json_text(r->of, "method"));
    paint_text(p, PAINT_PLAIN, json_text(r->of, "path"));
    if (json_flag(r->of, "client_left"))
        paint_str(p, PAINT_FAINT, " (its client has left)");
    paint_end(p);
}
