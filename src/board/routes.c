/* SPDX-License-Identifier: MIT */
/*
 * The places of routes: who has which, and what was counted there. The words of a place are written by
 * workers alone and only grow, so control keeps what they were when it gave the place to somebody else.
 */
#include "board/layout.h"

#include <stdlib.h>

#include "diplex/base/hash.h"

#define US_OF_MS(n) ((uint64_t)(n)*1000)
#define US_OF_S(n)  ((uint64_t)(n)*1000000)

/* A place that was given back is used again when so many others were after it: requests that began before
 * have ended by then. */
#define REST 64u

#define WORDS_OF_SUM (sizeof(struct dx_board_route_sum) / sizeof(uint64_t))

/* What people ask of a Django site: 1, 2.5, 5 in each ten, then the times after which somebody gives up. */
const uint64_t dx_board_bounds_us[DX_BOARD_BUCKETS] = {
    US_OF_MS(1),   2500,          US_OF_MS(5),   US_OF_MS(10), US_OF_MS(25), US_OF_MS(50),
    US_OF_MS(100), US_OF_MS(250), US_OF_MS(500), US_OF_S(1),   2500000,      US_OF_S(5),
    US_OF_S(10),   US_OF_S(30),   US_OF_S(60),   US_OF_S(120), UINT64_MAX,
};

const uint8_t dx_board_bounds_below[65] = {
    /*  0 */ 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    /* 10 */ 0,  1,  1,  2,  3,  4,  5,  6,  7,  8,
    /* 20 */ 9,  10, 10, 11, 12, 13, 14, 15, 16, 16,
    /* 30 */ 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    /* 40 */ 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    /* 50 */ 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    /* 60 */ 16, 16, 16, 16, 16,
};

static const char *const outcome_words[DX_BOARD_OUTCOMES] = {
#define OUTCOME(id, word, status, sentence) word,
#include "diplex/board/outcomes.def"
};

const char *dx_board_outcome_word(unsigned outcome)
{
    DX_ASSERT(outcome < DX_BOARD_OUTCOMES);
    return outcome_words[outcome];
}

struct dx_board_route *dx_board_routes(struct dx_board *b, unsigned worker)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(worker < dx_board_parts(b));
    return b->parts[worker].routes;
}

/* --- who has which --- */

/* Each with its end, so that no two routes make the same bytes. */
uint64_t dx_board_route_key(const char *host, const char *prefix, const char *pool)
{
    uint64_t h = DX_HASH_START;
    h = dx_hash_more(h, dx_slice_of(host, strlen(host) + 1));
    h = dx_hash_more(h, dx_slice_of(prefix, strlen(prefix) + 1));
    h = dx_hash_finish(dx_hash_more(h, dx_slice_of(pool, strlen(pool) + 1)));
    return h ? h : 1;
}

uint32_t dx_board_route_find(const struct dx_board *b, uint64_t key)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(key != 0);
    uint32_t top = atomic_load_explicit(&b->shared->routes_top, memory_order_acquire);
    for (uint32_t i = 0; i < top && i < DX_BOARD_ROUTES; i++)
        if (atomic_load_explicit(&b->shared->route_keys[i], memory_order_relaxed) == key)
            return DX_BOARD_PLACE_OWN + i;
    return DX_BOARD_NONE;
}

/* One that has rested, one that was never used, one that was given back long ago: what there is, in that
 * order. */
static uint32_t free_route(const struct own *own)
{
    uint32_t oldest = DX_BOARD_NONE;
    for (uint32_t i = 0; i < own->routes_top; i++) {
        bool is_free = own->routes[i].key == 0;
        if (is_free && (oldest == DX_BOARD_NONE || own->routes[i].freed < own->routes[oldest].freed))
            oldest = i;
    }
    bool rested = oldest != DX_BOARD_NONE && own->frees - own->routes[oldest].freed >= REST;
    return rested || own->routes_top == DX_BOARD_ROUTES ? oldest : own->routes_top;
}

static void sum_raw(const struct dx_board *b, uint32_t place, struct dx_board_route_sum *out);

static void set_base(struct dx_board *b, uint32_t place)
{
    struct dx_board_route_sum **base = &b->own->bases[place];
    if (!*base)
        *base = malloc(sizeof **base);
    if (*base) /* else the route begins with what another one left */
        sum_raw(b, place, *base);
}

/* The place goes to another route: what it counted for its pool stays with the pool. */
static void retire(struct dx_board *b, uint32_t at)
{
    uint32_t pool = b->own->routes[at].pool;
    struct dx_board_route_sum sum, **left;
    if (pool == DX_BOARD_NONE)
        return;
    left = &b->own->left[pool];
    if (!*left)
        *left = calloc(1, sizeof **left);
    if (!*left)
        return;
    dx_board_route_sum(b, DX_BOARD_PLACE_OWN + at, &sum);
    dx_board_route_add_up(*left, &sum);
}

void dx_board_pool_begins(struct dx_board *b, uint32_t pool)
{
    set_base(b, DX_BOARD_PLACE_POOL + pool);
    free(b->own->left[pool]);
    b->own->left[pool] = NULL;
    for (uint32_t i = 0; i < b->own->routes_top; i++)
        if (b->own->routes[i].pool == pool)
            b->own->routes[i].pool = DX_BOARD_NONE;
}

uint32_t dx_board_route_add(struct dx_board *b, uint64_t key, uint32_t pool)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && key != 0 && pool < DX_BOARD_POOLS);
    struct own *own = b->own;
    for (uint32_t i = 0; i < own->routes_top; i++)
        if (own->routes[i].key == key)
            return DX_BOARD_PLACE_OWN + i;
    uint32_t at = free_route(own);
    if (at == DX_BOARD_NONE)
        return at;
    if (at == own->routes_top) {
        own->routes_top++;
    } else {
        retire(b, at);
        set_base(b, DX_BOARD_PLACE_OWN + at);
    }
    own->routes[at] = (struct own_route){.key = key, .pool = pool};
    atomic_store_explicit(&b->shared->route_keys[at], key, memory_order_relaxed);
    atomic_store_explicit(&b->shared->routes_top, own->routes_top, memory_order_release);
    return DX_BOARD_PLACE_OWN + at;
}

void dx_board_route_remove(struct dx_board *b, uint64_t key)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && key != 0);
    for (uint32_t i = 0; i < b->own->routes_top; i++) {
        if (b->own->routes[i].key != key)
            continue;
        b->own->routes[i].key = 0;
        b->own->routes[i].freed = ++b->own->frees;
        atomic_store_explicit(&b->shared->route_keys[i], 0, memory_order_relaxed);
    }
}

/* --- what was counted there --- */

/* The sums are the words of a place in the same order. */
static void sum_raw(const struct dx_board *b, uint32_t place, struct dx_board_route_sum *out)
{
    _Static_assert(offsetof(struct dx_board_route, times) == offsetof(struct dx_board_route_sum, times), "");
    uint64_t words[WORDS_OF_SUM] = {0};
    for (unsigned w = 0, n = dx_board_parts(b); w < n; w++) {
        const _Atomic uint64_t *from = (const void *)&b->parts[w].routes[place];
        for (size_t i = 0; i < WORDS_OF_SUM; i++)
            words[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
    }
    memcpy(out, words, sizeof words);
}

void dx_board_route_sum(const struct dx_board *b, uint32_t place, struct dx_board_route_sum *out)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && place < DX_BOARD_PLACES);
    const struct dx_board_route_sum *base = b->own->bases[place];
    uint64_t words[WORDS_OF_SUM], before[WORDS_OF_SUM] = {0};
    sum_raw(b, place, out);
    memcpy(words, out, sizeof words);
    if (base)
        memcpy(before, base, sizeof before);
    for (size_t i = 0; i < WORDS_OF_SUM; i++) /* what a data process writes there may be anything */
        words[i] = words[i] > before[i] ? words[i] - before[i] : 0;
    memcpy(out, words, sizeof words);
}

void dx_board_route_add_up(struct dx_board_route_sum *to, const struct dx_board_route_sum *more)
{
    uint64_t a[WORDS_OF_SUM], b[WORDS_OF_SUM];
    memcpy(a, to, sizeof a);
    memcpy(b, more, sizeof b);
    for (size_t i = 0; i < WORDS_OF_SUM; i++)
        a[i] += b[i];
    memcpy(to, a, sizeof a);
}

void dx_board_pool_sum(const struct dx_board *b, uint32_t pool, struct dx_board_route_sum *out)
{
    struct dx_board_route_sum one;
    dx_board_route_sum(b, DX_BOARD_PLACE_POOL + pool, out);
    if (b->own->left[pool])
        dx_board_route_add_up(out, b->own->left[pool]);
    for (uint32_t i = 0; i < b->own->routes_top; i++) {
        if (b->own->routes[i].pool != pool)
            continue;
        dx_board_route_sum(b, DX_BOARD_PLACE_OWN + i, &one);
        dx_board_route_add_up(out, &one);
    }
}

uint64_t dx_board_histogram_count(const struct dx_board_histogram_sum *h)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < DX_BOARD_BUCKETS; i++)
        count += h->buckets[i];
    return count;
}

uint64_t dx_board_histogram_quantile_us(const struct dx_board_histogram_sum *h, unsigned percent)
{
    uint64_t count = dx_board_histogram_count(h), below = 0, from = 0;
    uint64_t rank = count / 100 * percent + (count % 100 * percent + 99) / 100; /* rounded up */
    if (count == 0)
        return 0;
    for (unsigned i = 0; i + 1 < DX_BOARD_BUCKETS; i++) {
        uint64_t here = h->buckets[i], to = dx_board_bounds_us[i];
        if (here > 0 && below + here >= rank)
            return from + (uint64_t)((double)(to - from) * (double)(rank - below) / (double)here);
        below += here;
        from = to;
    }
    return from;
}
