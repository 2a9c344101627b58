/* SPDX-License-Identifier: MIT */
/*
 * What the board keeps for each route of each pool: histograms of times, how requests ended, bytes. Control
 * gives out the places, worker k writes its own copy of each, and nothing is ever set back: when a place is
 * given to another route, control remembers what stood there and takes it off.
 *
 * A route is known by its host, its prefix and its pool, so it keeps its place over reloads. Of one
 * configuration the first DX_BOARD_ROUTES_EACH routes have places of their own; the others share their
 * pool's. What has no route at all is counted in place DX_BOARD_NO_ROUTE.
 */
#ifndef DIPLEX_BOARD_ROUTES_H
#define DIPLEX_BOARD_ROUTES_H

#include "diplex/board.h"

#define DX_BOARD_ROUTES_EACH 256u
#define DX_BOARD_ROUTES      (2 * DX_BOARD_ROUTES_EACH) /* a reload has two configurations at a time */

/* Places: what has no route, then one for each pool by its index, then the routes' own. */
#define DX_BOARD_NO_ROUTE   0u
#define DX_BOARD_PLACE_POOL 1u
#define DX_BOARD_PLACE_OWN  (DX_BOARD_PLACE_POOL + DX_BOARD_POOLS)
#define DX_BOARD_PLACES     (DX_BOARD_PLACE_OWN + DX_BOARD_ROUTES)

enum dx_board_time {
    DX_TIME_QUEUED,     /* waited for a slot; requests that waited */
    DX_TIME_HELD,       /* waited for a server that can take requests; requests that waited */
    DX_TIME_CONNECT,    /* from the choice of the server to the open connection; new connections */
    DX_TIME_FIRST_BYTE, /* from when the request began to be sent to the server's head; whole heads */
    DX_TIME_TOTAL,      /* first byte in to last byte out; but for tunnels and streams */
    DX_TIME_COUNT
};

/* Upper bounds in microseconds, ends included; the last has no bound. */
#define DX_BOARD_BUCKETS 17u
extern const uint64_t dx_board_bounds_us[DX_BOARD_BUCKETS];
/* For each length in bits, how many bounds are below all numbers of that length. Of the bounds themselves no
 * two have the same length, so one comparison finds the bucket. */
extern const uint8_t dx_board_bounds_below[65];

static inline unsigned dx_board_bucket(uint64_t us)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(us | 1), at = dx_board_bounds_below[bits];
    return at + (us > dx_board_bounds_us[at]);
}

enum dx_board_outcome {
#define OUTCOME(id, word, status, sentence) DX_BOARD_OUTCOME_##id,
#include "diplex/board/outcomes.def"
    DX_BOARD_OUTCOMES
};
const char *dx_board_outcome_word(unsigned outcome);

#define DX_BOARD_STATUSES 6u /* by the hundreds; 0: the client was told none */

struct dx_board_histogram {
    _Atomic uint64_t sum_us;
    _Atomic uint64_t buckets[DX_BOARD_BUCKETS]; /* not added up */
};

/* One worker's copy of a place, on cache lines of its own. */
struct dx_board_route {
    _Alignas(64) _Atomic uint64_t statuses[DX_BOARD_STATUSES];
    _Atomic uint64_t bytes_in, bytes_out; /* of bodies */
    _Atomic uint64_t retries;
    _Atomic uint64_t saved_request_us, saved_answer_us; /* while a slow client held no worker of gunicorn */
    _Atomic uint64_t outcomes[DX_BOARD_OUTCOMES];
    struct dx_board_histogram times[DX_TIME_COUNT];
};

/* The same words over all workers, since the route has this place. */
struct dx_board_route_sum {
    uint64_t statuses[DX_BOARD_STATUSES];
    uint64_t bytes_in, bytes_out, retries, saved_request_us, saved_answer_us;
    uint64_t outcomes[DX_BOARD_OUTCOMES];
    struct dx_board_histogram_sum {
        uint64_t sum_us, buckets[DX_BOARD_BUCKETS];
    } times[DX_TIME_COUNT];
};

static inline void dx_board_observe(struct dx_board_histogram *h, uint64_t us)
{
    dx_count_add(&h->buckets[dx_board_bucket(us)], 1);
    dx_count_add(&h->sum_us, us);
}

/* All places of a worker. They cost no memory until they are written to, or read. */
struct dx_board_route *dx_board_routes(struct dx_board *b, unsigned worker);

/* What a route is known by; never 0. */
uint64_t dx_board_route_key(const char *host, const char *prefix, const char *pool);
uint32_t dx_board_route_find(const struct dx_board *b, uint64_t key); /* its own place; DX_BOARD_NONE */
/* Control. Its place, a new one if it has none; DX_BOARD_NONE when all are taken. `pool` is on the board. */
uint32_t dx_board_route_add(struct dx_board *b, uint64_t key, uint32_t pool);
void dx_board_route_remove(struct dx_board *b, uint64_t key); /* control; fine when it has no place */

/* Control: what was counted in a place since it was given out. */
void dx_board_route_sum(const struct dx_board *b, uint32_t place, struct dx_board_route_sum *out);
/* Control: over all routes of a pool, those that have left it too: it goes on while the pool is there. */
void dx_board_pool_sum(const struct dx_board *b, uint32_t pool, struct dx_board_route_sum *out);
void dx_board_route_add_up(struct dx_board_route_sum *to, const struct dx_board_route_sum *more);
/* How many a histogram has seen. */
uint64_t dx_board_histogram_count(const struct dx_board_histogram_sum *h);
/* An estimate of what `percent` of them stayed within, in microseconds: a line through the bucket that it
 * falls in. In the last bucket its lower bound; 0 when there are none. */
uint64_t dx_board_histogram_quantile_us(const struct dx_board_histogram_sum *h, unsigned percent);

#endif
