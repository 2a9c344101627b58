/* SPDX-License-Identifier: MIT */
/* Which of the usable servers takes the next request. Pure: the caller brings what is known and a random number. */
#ifndef DIPLEX_BALANCE_H
#define DIPLEX_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dx_balance { DX_BALANCE_ROUND_ROBIN, DX_BALANCE_LEAST_CONN, DX_BALANCE_RANDOM };

struct dx_balance_server {
    unsigned weight;  /* 1..DX_BALANCE_WEIGHT_MAX */
    uint32_t active;  /* requests running on it now, over all workers */
    bool usable;      /* up, not tried yet by this request, and not a backup while a primary is usable: the caller says */
    int64_t current;  /* smooth weighted round robin's memory, kept by the caller between calls, zero at first */
    uint64_t mark;    /* who it is, for dx_balance_pick_key: a number without pattern */
};

#define DX_BALANCE_NONE       ((size_t)-1)
#define DX_BALANCE_WEIGHT_MAX (1000u * 256u)

/* Round robin is smooth and weighted; least_conn takes the lowest active/weight, ties by round robin; random takes two by weight
 * and then the less busy one (with one usable server, that one). */
size_t dx_balance_pick(enum dx_balance how, struct dx_balance_server *servers, size_t n, uint64_t random);

/* The same key goes to the same server while that one is usable, by weight: weighted rendezvous hashing. A server that comes, or whose weight grows, takes its
 * share of the keys evenly from the others, and none of them moves between these; one that goes leaves its keys to the others by their weights. */
size_t dx_balance_pick_key(const struct dx_balance_server *servers, size_t n, uint64_t key);

#endif
