/* SPDX-License-Identifier: MIT */
/* Which of the usable servers takes the next request. Pure: the caller brings what is known and a random number. */
#ifndef DIPLEX_BALANCE_H
#define DIPLEX_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dx_balance { DX_BALANCE_ROUND_ROBIN, DX_BALANCE_LEAST_CONN, DX_BALANCE_RANDOM };

struct dx_balance_server {
    unsigned weight;  /* 1..1000 */
    uint32_t active;  /* requests running on it now, over all workers */
    bool usable;      /* up, not tried yet by this request, and not a backup while a primary is usable: the caller says */
    int64_t current;  /* smooth weighted round robin's memory, kept by the caller between calls, zero at first */
};

#define DX_BALANCE_NONE ((size_t)-1)

/* Round robin is smooth and weighted; least_conn takes the lowest active/weight, ties by round robin; random takes two by weight
 * and then the less busy one (with one usable server, that one). */
size_t dx_balance_pick(enum dx_balance how, struct dx_balance_server *servers, size_t n, uint64_t random);

#endif
