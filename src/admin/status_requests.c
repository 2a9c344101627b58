/* SPDX-License-Identifier: MIT */
/*
 * The requests of GET /status, as the workers told them: what each server has, who waits for one, streams,
 * and what no server has. Lists are cut, so that the document stays small enough to be read each second.
 */
#include "admin/status.h"

#define OF_SERVER_MOST 256u
#define WAITING_MOST   100u
#define STREAMS_MOST   256u
#define REST_MOST      100u

enum about { ABOUT_REQUEST, ABOUT_WAITING, ABOUT_STREAM };

static void put_word(struct dx_text *out, const char *key, struct dx_slice word)
{
    dx_text_addf(out, ",\"%s\":", key);
    dx_text_add_json(out, word);
}

static const char *pool_name(const struct status *s, uint32_t pool)
{
    for (unsigned i = 0; i < s->facts->config->pools_n; i++)
        if (pool != DX_BOARD_NONE &&
            dx_board_pool_find(s->facts->board, s->facts->config->pools[i].name) == pool)
            return s->facts->config->pools[i].name;
    return NULL;
}

static const char *server_name(const struct status *s, uint32_t server)
{
    return server < DX_BOARD_SERVERS && s->servers[server][0] ? s->servers[server] : NULL;
}

/* As the numbers of its pool: `slot` is queued, the others are held. */
static const char *why_it_waits(const struct status *s, const struct dx_census_request *r)
{
    enum dx_board_hold hold =
        r->pool < DX_BOARD_POOLS ? dx_board_pool_hold(s->facts->board, r->pool) : DX_HOLD_NONE;
    if (!(r->flags & DX_CENSUS_HELD))
        return "slot";
    if (hold == DX_HOLD_WRITES)
        return dx_board_pool_waits(s->facts->board, r->pool).for_server ? "server" : "hand";
    return hold == DX_HOLD_ALL ? "hand" : "server";
}

static void put_request(const struct status *s, const struct dx_census_request *r, enum about about)
{
    static const char *const keys[DX_CENSUS_WORDS] = {"id",    "method", "host", "path",
                                                      "route", "client", "state"};
    struct dx_text *out = s->out;
    dx_text_adds(out, "{");
    put_number(out, "worker", r->worker);
    for (unsigned i = 0; i < DX_CENSUS_WORDS; i++)
        if (about != ABOUT_WAITING || i != DX_CENSUS_STATE)
            put_word(out, keys[i], r->words[i]);
    dx_text_adds(out, ",");
    put_number(out, "age_ms", r->age_us / 1000);
    if (about == ABOUT_WAITING) {
        dx_text_addf(out, ",\"why\":\"%s\"}", why_it_waits(s, r));
        return;
    }
    dx_text_adds(out, ",");
    put_flag(out, "streaming", r->flags & DX_CENSUS_STREAMING);
    dx_text_adds(out, ",");
    put_flag(out, "client_left", r->flags & DX_CENSUS_LEFT);
    dx_text_adds(out, ",");
    put_number(out, "bytes_in", r->bytes_in);
    dx_text_adds(out, ",");
    put_number(out, "bytes_out", r->bytes_out);
    if (about == ABOUT_STREAM) {
        dx_text_adds(out, ",");
        put_string(out, "pool", pool_name(s, r->pool));
        dx_text_adds(out, ",");
        put_string(out, "server", server_name(s, r->server));
    }
    dx_text_adds(out, "}");
}

/* The list is sorted by server. */
static size_t first_of(const struct dx_census_list *l, uint32_t server)
{
    size_t from = 0, to = l->n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (l->at[middle].server < server)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* "key":[...],"key_left_out":N of those that are wanted, from the first of the server on. */
static void put_list(const struct status *s, const char *key, enum about about, size_t most, uint32_t first,
                     bool (*wanted)(const struct dx_census_request *r, uint32_t of), uint32_t of)
{
    size_t n = 0, from = s->running ? first_of(s->running, first) : 0;
    dx_text_addf(s->out, "\"%s\":[", key);
    for (size_t i = from; s->running && i < s->running->n; i++) {
        const struct dx_census_request *r = &s->running->at[i];
        if (about == ABOUT_REQUEST && r->server != of)
            break;
        if (!wanted(r, of))
            continue;
        if (n < most) {
            dx_text_adds(s->out, n ? ",\n    " : "\n    ");
            put_request(s, r, about);
        }
        n++;
    }
    dx_text_addf(s->out, "],\"%s_left_out\":%zu", key, n > most ? n - most : 0);
}

static bool waits(const struct dx_census_request *r)
{
    return r->flags & (DX_CENSUS_QUEUED | DX_CENSUS_HELD);
}

static bool is_of_server(const struct dx_census_request *r, uint32_t server) { return r->server == server; }

static bool is_of_queue(const struct dx_census_request *r, uint32_t pool)
{
    return pool != DX_BOARD_NONE && r->pool == pool && waits(r);
}

static bool is_stream(const struct dx_census_request *r, uint32_t ignored)
{
    (void)ignored;
    return r->flags & DX_CENSUS_STREAMING;
}

static bool is_elsewhere(const struct dx_census_request *r, uint32_t ignored)
{
    (void)ignored;
    return r->server == DX_CENSUS_NONE && !waits(r);
}

void status_of_server(const struct status *s, uint32_t server)
{
    put_list(s, "requests", ABOUT_REQUEST, OF_SERVER_MOST, server, is_of_server, server);
}

void status_of_queue(const struct status *s, uint32_t pool)
{
    put_list(s, "waiting", ABOUT_WAITING, WAITING_MOST, DX_CENSUS_NONE, is_of_queue, pool);
}

static void put_workers(struct dx_text *out, const char *key, uint64_t bits)
{
    bool first = true;
    dx_text_addf(out, ",\"%s\":[", key);
    for (unsigned i = 0; i < DX_CENSUS_PARTS; i++) {
        if (!(bits >> i & 1))
            continue;
        dx_text_addf(out, "%s%u", first ? "" : ",", i);
        first = false;
    }
    dx_text_adds(out, "]");
}

void status_of_rest(const struct status *s)
{
    const struct dx_census_list *l = s->running;
    put_list(s, "streams", ABOUT_STREAM, STREAMS_MOST, 0, is_stream, 0);
    dx_text_adds(s->out, ",\n ");
    put_list(s, "elsewhere", ABOUT_STREAM, REST_MOST, DX_CENSUS_NONE, is_elsewhere, 0);
    dx_text_adds(s->out, ",\n \"snapshot\":{");
    put_flag(s->out, "taken", l != NULL);
    put_workers(s->out, "missing_workers", l ? l->missing | l->broken : 0);
    dx_text_adds(s->out, ",");
    put_number(s->out, "left_out", l ? l->left_out : 0);
    dx_text_adds(s->out, "}");
}
