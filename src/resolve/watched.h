/* SPDX-License-Identifier: MIT */
/* What the files of this room share: a pool that is watched, its names, and the lists made of them. */
#ifndef RESOLVE_WATCHED_H
#define RESOLVE_WATCHED_H

#include "diplex/resolve.h"
#include "resolve/lookup.h"

struct watched_pool;

/* One entry of the configuration that is a name. */
struct name {
    struct watched_pool *pool;
    char *text; /* "web:8000" */
    const struct dx_server_config *config;
    struct lookup *lookup; /* under way */
    unsigned gone_in_row;
    bool told_failing, told_cut;
    size_t n;
    struct dx_address addresses[LOOKUP_ADDRESSES];
};

struct watched_pool {
    struct dx_resolver *resolver;
    uint32_t board_pool;
    const struct dx_pool_config *config;
    uint64_t interval_ms, asked_ms;
    struct dx_timer timer;
    bool told_full;
    bool hurried; /* to be asked as soon as HURRY_MS have passed since it was last */
    size_t n;
    struct name **names; /* as many as config->servers_n; NULL where the address is known */
};

struct dx_resolver {
    uint32_t magic;
    struct dx_loop *loop;
    struct dx_board *board;
    struct lookups *lookups;
    void (*on_change)(void *arg, uint32_t board_pool);
    void *arg;
    struct watched_pool *pools[DX_BOARD_POOLS];
    struct dx_board_server old[DX_BOARD_POOL_SERVERS],
        list[DX_BOARD_POOL_SERVERS]; /* while a list is put together */
};

/* Puts the pool's list together and on the board, if it differs from the one there. */
enum written { SAME, CHANGED, FULL };
enum written list_write(struct dx_resolver *r, uint32_t board_pool, const struct dx_pool_config *config,
                        struct name *const *names);

/* One name for each entry of the configuration that is no address. What an older configuration's name knows,
 * the same name knows now. NULL: out of memory. */
struct name **names_new(const struct dx_pool_config *config, const struct watched_pool *old) DX_CHECKED;
void names_free(struct name **names, size_t n);
bool name_is_settled(const struct name *name); /* it has addresses, and nobody doubts it */
/* Takes in what a lookup brought, and tells what changed. */
void name_answered(struct name *name, const struct lookup_result *r);

#endif
