/* SPDX-License-Identifier: MIT */
/*
 * What this worker has in flight, written into its part of the census when control asks. Clients stand in the
 * order in which they were idle last, so those who ask are looked for from the end; when all that run are
 * found, or enough clients were looked at, the rest is only counted. A request costs nothing for it before
 * that.
 */
#include <stdlib.h>

#include "proxy/client.h"

#define LOOKS_MOST  8192u /* at clients, busy or idle, in one turn of the loop */
#define STATE_BYTES 16
#define ROUTE_BYTES 1024

static const char *const names[STATE_COUNT] = {
#define NEXT(s)                                   0
#define STATE(id, waits, deadline, outcome, next) [STATE_##id] = #id,
#include "proxy/states.def"
};

static struct dx_slice state_word(enum state state, char buf[static STATE_BYTES])
{
    size_t n = 0;
    for (const char *p = names[state]; *p && n < STATE_BYTES; p++)
        buf[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    return dx_slice_of(buf, n);
}

static uint32_t flags_of(const struct exchange *x)
{
    bool relays = x->state == STATE_RELAY || x->state == STATE_DELIVER;
    uint32_t flags = x->tunnel || (relays && x->response.stream) ? DX_CENSUS_STREAMING : 0;
    if (x->discard)
        flags |= DX_CENSUS_LEFT;
    if (x->state == STATE_PICK && dx_turn_waits(&x->turn))
        flags |= dx_turn_held(&x->turn) ? DX_CENSUS_HELD : DX_CENSUS_QUEUED;
    return flags;
}

static struct dx_slice route_word(const struct exchange *x, char buf[static ROUTE_BYTES])
{
    struct dx_out o = dx_out_of(buf, ROUTE_BYTES);
    if (!x->route)
        return dx_out_slice(&o);
    dx_out_add(&o, dx_slice_str(x->route->host));
    dx_out_add(&o, dx_slice_str(x->route->path));
    return dx_out_slice(&o);
}

static bool tell(const struct exchange *x, struct dx_census_writer *w)
{
    char state[STATE_BYTES], route[ROUTE_BYTES], target[ACCESS_TARGET_BYTES];
    uint64_t now_us = dx_loop_now_us(x->proxy->loop);
    struct dx_census_request r = {.age_us = now_us > x->start_us ? now_us - x->start_us : 0,
                                  .bytes_in = x->body_in,
                                  .bytes_out = x->body_out,
                                  .pool = DX_CENSUS_NONE,
                                  .server = DX_CENSUS_NONE,
                                  .status = x->status,
                                  .flags = flags_of(x)};
    r.words[DX_CENSUS_STATE] = state_word(x->state, state);
    r.words[DX_CENSUS_CLIENT] = x->state == STATE_READ_HEAD ? x->front->ip : x->client_ip;
    if (x->state != STATE_READ_HEAD) { /* until it is whole, nothing of the head stands still */
        r.words[DX_CENSUS_ID] = x->request_id;
        r.words[DX_CENSUS_METHOD] = x->request.method;
        r.words[DX_CENSUS_HOST] = x->request.host;
        r.words[DX_CENSUS_PATH] = access_target(x, target);
        r.words[DX_CENSUS_ROUTE] = route_word(x, route);
    }
    if (x->route)
        r.pool = x->view->snapshot->board_pools[x->route->pool];
    if (x->connection)
        r.server = dx_server_id(dx_connection_server(x->connection));
    return dx_census_add(w, &r);
}

/* Whoever holds or wants one of few slots first, then the oldest. */
static bool comes_before(const struct exchange *a, const struct exchange *b)
{
    bool a_slots = a->pool && a->pool->slots > 0, b_slots = b->pool && b->pool->slots > 0;
    return a_slots != b_slots ? a_slots : a->start_us < b->start_us;
}

/* Shell's way: no memory, and no library that reads files to find out how much of it there is. */
static void sort(struct exchange **at, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < n; i++) {
            struct exchange *x = at[i];
            size_t k = i;
            for (; k >= gap && comes_before(x, at[k - gap]); k -= gap)
                at[k] = at[k - gap];
            at[k] = x;
        }
    }
}

uint32_t dx_proxy_tell(struct dx_proxy *p, struct dx_census_writer *w)
{
    DX_MAGIC_OK(p, PROXY_MAGIC);
    uint64_t running = atomic_load_explicit(&p->counters[DX_COUNTER_REQUESTS_RUNNING], memory_order_relaxed);
    size_t most = running < LOOKS_MOST ? (size_t)running : LOOKS_MOST, n = 0;
    struct exchange **found = most ? malloc(most * sizeof(struct exchange *)) : NULL;
    unsigned looks = 0;
    for (struct dx_link *at = p->clients.prev; found && at != &p->clients && n < most && looks < LOOKS_MOST;
         looks++) {
        struct client *c = DX_CONTAINER(at, struct client, link);
        if (c->exchange != NULL)
            found[n++] = c->exchange;
        at = at->prev;
    }
    sort(found, n);
    size_t told = 0;
    while (told < n && tell(found[told], w))
        told++;
    free(found);
    return running > told ? (uint32_t)(running - told) : 0;
}
