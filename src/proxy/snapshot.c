/* SPDX-License-Identifier: MIT */
/* One configuration as all workers share it: the model, the prefix table made from it, and where its pools
 * are on the board. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/internal.h"

static const char *from_environment(const char *name, void *arg)
{
    (void)arg;
    return getenv(name);
}

static struct dx_config *parse(struct dx_slice text, const char *file, struct dx_err *err)
{
    struct dx_config_faults faults = {0};
    struct dx_config *c = dx_config_parse(text, file, from_environment, NULL, &faults);
    if (c == NULL && faults.n > 0)
        dx_err_set(err, "%s:%u:%u: %s", file, faults.at[0].line, faults.at[0].column, faults.at[0].text);
    else if (c == NULL)
        dx_err_set(err, "out of memory");
    dx_config_faults_fini(&faults);
    return c;
}

static bool make_routes(struct dx_snapshot *s, struct dx_err *err)
{
    const struct dx_config *c = s->config;
    struct dx_route_key *keys = calloc(c->routes_n ? c->routes_n : 1, sizeof(*keys));

    if (keys == NULL)
        return dx_err_set(err, "out of memory");
    for (unsigned i = 0; i < c->routes_n; i++)
        keys[i] = (struct dx_route_key){.host = dx_slice_str(c->routes[i].host),
                                        .prefix = dx_slice_str(c->routes[i].path)};
    s->routes = dx_route_new(keys, c->routes_n, err);
    free(keys);
    return s->routes != NULL;
}

static bool find_pools(struct dx_snapshot *s, const struct dx_board *b, struct dx_err *err)
{
    const struct dx_config *c = s->config;
    uint32_t *pools = calloc(c->pools_n ? c->pools_n : 1, sizeof(*pools));
    if (pools == NULL)
        return dx_err_set(err, "out of memory");
    s->board_pools = pools;
    for (unsigned i = 0; i < c->pools_n; i++) {
        pools[i] = dx_board_pool_find(b, c->pools[i].name);
        if (pools[i] == DX_BOARD_NONE)
            return dx_err_set(err, "the pool %s is not on the board", c->pools[i].name);
    }
    return true;
}

/* Where control has given a route no place of its own, it shares its pool's. */
static bool find_places(struct dx_snapshot *s, const struct dx_board *b, struct dx_err *err)
{
    const struct dx_config *c = s->config;
    s->places = calloc(c->routes_n ? c->routes_n : 1, sizeof(*s->places));
    if (s->places == NULL)
        return dx_err_set(err, "out of memory");
    for (unsigned i = 0; i < c->routes_n; i++) {
        const struct dx_route_config *r = &c->routes[i];
        uint32_t place = DX_BOARD_NONE;
        if (i < DX_BOARD_ROUTES_EACH)
            place = dx_board_route_find(b, dx_board_route_key(r->host, r->path, c->pools[r->pool].name));
        s->places[i] =
            (uint16_t)(place != DX_BOARD_NONE ? place : DX_BOARD_PLACE_POOL + s->board_pools[r->pool]);
    }
    return true;
}

struct dx_snapshot *dx_snapshot_new(struct dx_slice text, const char *file, const struct dx_board *b,
                                    struct dx_err *err)
{
    struct dx_snapshot *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        dx_err_set(err, "out of memory");
        return NULL;
    }
    DX_MAGIC_SET(s, SNAPSHOT_MAGIC);
    atomic_init(&s->refs, 1);
    s->bell = -1;
    s->config = parse(text, file, err);
    if (s->config == NULL || !make_routes(s, err) || !find_pools(s, b, err) || !find_places(s, b, err))
        dx_snapshot_unref(&s);
    return s;
}

struct dx_snapshot *dx_snapshot_ref(struct dx_snapshot *s)
{
    DX_MAGIC_OK(s, SNAPSHOT_MAGIC);
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void ring(int bell)
{
    uint64_t one = 1;
    if (bell >= 0 && write(bell, &one, sizeof(one)) < 0)
        DX_ASSERT(errno == EAGAIN); /* the keeper has been told already */
}

void dx_snapshot_unref(struct dx_snapshot **sp)
{
    struct dx_snapshot *s = *sp;
    if (s == NULL)
        return;
    *sp = NULL;
    DX_MAGIC_OK(s, SNAPSHOT_MAGIC);
    int bell = s->bell; /* now: the keeper may free as soon as it is the only one */
    unsigned before = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    if (before == 2)
        ring(bell);
    if (before > 1)
        return;
    dx_route_free(&s->routes);
    dx_config_free(&s->config);
    free(s->board_pools);
    free(s->places);
    DX_MAGIC_CLEAR(s);
    free(s);
}

void dx_snapshot_keep(struct dx_snapshot *s, int bell)
{
    DX_MAGIC_OK(s, SNAPSHOT_MAGIC);
    DX_ASSERT(dx_snapshot_kept_alone(s));
    s->bell = bell;
}

bool dx_snapshot_kept_alone(const struct dx_snapshot *s)
{
    DX_MAGIC_OK(s, SNAPSHOT_MAGIC);
    return atomic_load_explicit(&s->refs, memory_order_acquire) == 1;
}

bool dx_snapshot_open_gates(const struct dx_snapshot *s, struct dx_queues *q)
{
    for (unsigned i = 0; i < s->config->pools_n; i++)
        if (!dx_queues_set(q, s->board_pools[i], &s->config->pools[i]))
            return false;
    return true;
}

bool snapshot_has_pool(const struct dx_snapshot *s, uint32_t board_pool)
{
    for (unsigned i = 0; i < s->config->pools_n; i++)
        if (s->board_pools[i] == board_pool)
            return true;
    return false;
}

void dx_snapshot_close_gates(const struct dx_snapshot *s, struct dx_queues *q)
{
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        if (!snapshot_has_pool(s, i))
            dx_queues_forget(q, i);
}

void dx_snapshot_spool_in(struct dx_snapshot *s, const char *folder)
{
    DX_MAGIC_OK(s, SNAPSHOT_MAGIC);
    s->config->buffer.path = folder;
}

bool dx_snapshot_take_pages(struct dx_snapshot *s, struct dx_slice pages)
{
    DX_MAGIC_OK(s, SNAPSHOT_MAGIC);
    return dx_config_pages_take(s->config, pages);
}

const struct dx_config *dx_snapshot_config(const struct dx_snapshot *s) { return s->config; }
