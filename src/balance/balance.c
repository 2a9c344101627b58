/* SPDX-License-Identifier: MIT */
/*
 * The three ways to choose a server, and the choice by a key. All of them look once or twice over the array
 * and keep nothing but `current`, which belongs to the caller. A load is active/weight; two loads are
 * compared by multiplying crosswise, so nothing is rounded.
 */
#include "diplex/balance.h"

#include "diplex/base/check.h"
#include "diplex/base/hash.h"

#define LOG_BITS 24u /* behind the point */

/* Whether a's load is lower than b's: below 0 lower, 0 the same. 32 bits by at most 32 bits always fit. */
static int load_compare(const struct dx_balance_server *a, const struct dx_balance_server *b)
{
    uint64_t left = (uint64_t)a->active * b->weight;
    uint64_t right = (uint64_t)b->active * a->weight;

    return (left > right) - (left < right);
}

static bool takes_part(const struct dx_balance_server *s, const struct dx_balance_server *like)
{
    return s->usable && (!like || load_compare(s, like) == 0);
}

static int64_t within(int64_t value, int64_t most)
{
    return value > most ? most : value < -most ? -most : value;
}

/*
 * Smooth weighted round robin: everybody saves up its weight, the richest is chosen and pays what all saved
 * together. Over one sum of weights each server is chosen exactly weight times, and a heavy one not many
 * times in a row. A server that is left out neither saves nor pays, so it does not come back with a debt or a
 * fortune. What was saved beside heavier servers that have left since would be one: nobody keeps more than
 * twice what all save at a time, which is more than anybody has while nothing changes.
 *
 * `like`: only servers with the same load as this one take part; NULL: all usable ones.
 */
static size_t pick_smooth(struct dx_balance_server *servers, size_t n, const struct dx_balance_server *like)
{
    size_t best = DX_BALANCE_NONE;
    int64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += takes_part(&servers[i], like) ? servers[i].weight : 0;
    for (size_t i = 0; i < n; i++) {
        struct dx_balance_server *s = &servers[i];
        if (!takes_part(s, like))
            continue;
        s->current = within(s->current, 2 * total) + s->weight;
        if (best == DX_BALANCE_NONE || s->current > servers[best].current)
            best = i;
    }
    if (best != DX_BALANCE_NONE)
        servers[best].current -= total;
    return best;
}

static size_t pick_least(struct dx_balance_server *servers, size_t n)
{
    const struct dx_balance_server *least = NULL;

    for (size_t i = 0; i < n; i++)
        if (servers[i].usable && (!least || load_compare(&servers[i], least) < 0))
            least = &servers[i];
    return least ? pick_smooth(servers, n, least) : DX_BALANCE_NONE;
}

/* The usable server on whose stretch of the summed weights the point lies, leaving one out. */
static size_t at_point(const struct dx_balance_server *servers, size_t n, size_t without, uint64_t point)
{
    for (size_t i = 0; i < n; i++) {
        if (!servers[i].usable || i == without)
            continue;
        if (point < servers[i].weight)
            return i;
        point -= servers[i].weight;
    }
    return DX_BALANCE_NONE;
}

/* The low and the high half of the random number each choose one server by weight. */
static size_t pick_random(const struct dx_balance_server *servers, size_t n, uint64_t random)
{
    uint64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += servers[i].usable ? servers[i].weight : 0;
    if (total == 0)
        return DX_BALANCE_NONE;

    size_t first = at_point(servers, n, DX_BALANCE_NONE, ((random & UINT32_MAX) * total) >> 32);
    DX_ASSERT(first < n);
    total -= servers[first].weight;
    if (total == 0)
        return first;
    size_t second = at_point(servers, n, first, ((random >> 32) * total) >> 32);
    DX_ASSERT(second < n);
    return load_compare(&servers[second], &servers[first]) < 0 ? second : first;
}

static void check_weights(const struct dx_balance_server *servers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        DX_ASSERT(servers[i].weight >= 1 && servers[i].weight <= DX_BALANCE_WEIGHT_MAX);
}

/* -log2 of hash / 2^64, with LOG_BITS behind the point: of a random hash, the time until something happens
 * that happens at a steady rate. Whole numbers only, so that every machine comes to the same. Each squaring
 * of a number between 1 and 2 brings out the next bit of its logarithm. */
static uint64_t time_of(uint64_t hash)
{
    hash |= 1;
    unsigned zeros = (unsigned)__builtin_clzll(hash);
    uint64_t log = 63 - zeros, part = hash << zeros >> 32; /* 31 bits behind the point */

    for (unsigned i = 0; i < LOG_BITS; i++) {
        part = part * part >> 31;
        log = log << 1 | part >> 32;
        part >>= part >> 32;
    }
    return ((uint64_t)64 << LOG_BITS) - log;
}

/* Every server has a time of its own for each key, shortened by its weight; the first one wins. That it does
 * so with the probability weight / sum of weights is a property of such times. */
size_t dx_balance_pick_key(const struct dx_balance_server *servers, size_t n, uint64_t key)
{
    size_t best = DX_BALANCE_NONE;
    uint64_t best_time = 0;

    check_weights(servers, n);
    for (size_t i = 0; i < n; i++) {
        if (!servers[i].usable)
            continue;
        struct dx_random mixed = {key ^ servers[i].mark};
        uint64_t time = time_of(dx_random_next(&mixed));
        if (best == DX_BALANCE_NONE || time * servers[best].weight < best_time * servers[i].weight) {
            best = i;
            best_time = time;
        }
    }
    return best;
}

size_t dx_balance_pick(enum dx_balance how, struct dx_balance_server *servers, size_t n, uint64_t random)
{
    if (n == 1) /* most pools have no choice */
        return servers[0].usable ? 0 : DX_BALANCE_NONE;
    check_weights(servers, n);
    switch (how) {
    case DX_BALANCE_ROUND_ROBIN:
        return pick_smooth(servers, n, NULL);
    case DX_BALANCE_LEAST_CONN:
        return pick_least(servers, n);
    case DX_BALANCE_RANDOM:
        return pick_random(servers, n, random);
    }
    DX_NEVER("an unknown way to balance");
}
