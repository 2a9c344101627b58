/* SPDX-License-Identifier: MIT */
/*
 * A pool's servers as the board lists them, and which of them takes the next request. Two kinds of owner keep one: each worker, for the connections it has to
 * every server (upstream), and the queue of a pool whose servers have slots, for all workers together. What an owner knows of a server lies around the
 * struct dx_roster_server that it makes when the server appears.
 */
#ifndef DIPLEX_ROSTER_H
#define DIPLEX_ROSTER_H

#include "diplex/balance.h"
#include "diplex/base/hash.h"
#include "diplex/board.h"
#include "diplex/config.h"

#define DX_TRIED_MAX 8
struct dx_tried { /* the servers that a request has been to */
    uint32_t id[DX_TRIED_MAX];
    unsigned n;
};

struct dx_wish { /* of a request whose pool is sticky; both 0: none */
    uint64_t key;  /* requests with the same key go to the same server */
    uint64_t mark; /* the server with this mark, if there is one that may take it */
};

struct dx_roster_server {
    struct dx_board_server facts; /* kept as the board says */
    uint64_t mark; /* who it is, the same after restarts and in other copies of diplex; tells nothing of its address; 0: the pool is not sticky */
};

struct dx_roster_owner {
    /* A server has appeared; NULL: out of memory, it is asked again with the next change. */
    struct dx_roster_server *(*appeared)(void *arg, const struct dx_board_server *facts);
    void (*gone)(void *arg, struct dx_roster_server *s); /* it is the owner's now, to free when it can */
    void *arg;
};

struct dx_roster {
    struct dx_board *board;
    uint32_t board_pool, version;
    struct dx_roster_owner owner;
    enum dx_balance balance;
    uint64_t slow_start_ms;
    bool marked;      /* the pool is sticky */
    uint64_t salt[2]; /* of marks: from its secret */
    struct dx_random random;
    struct dx_roster_server *servers[DX_BOARD_POOL_SERVERS];
    struct dx_balance_server scales[DX_BOARD_POOL_SERVERS]; /* beside servers[] */
    size_t n;
};

/* Empty until it follows. */
void dx_roster_init(struct dx_roster *r, struct dx_board *b, uint32_t board_pool, const struct dx_roster_owner *owner, uint64_t seed);
/* Takes over what the configuration says of choosing, and the board's list. */
void dx_roster_use(struct dx_roster *r, const struct dx_pool_config *settings);
/* Takes over the board's list: servers that stay keep their turn, others come and go. */
void dx_roster_follow(struct dx_roster *r);
/* As above, if the board's list is another than the one last taken over: one load otherwise. */
static inline void dx_roster_look(struct dx_roster *r)
{
    if (dx_board_pool_version(r->board, r->board_pool) != r->version)
        dx_roster_follow(r);
}
void dx_roster_clear(struct dx_roster *r); /* every server is gone */

/* The server with that place and generation; NULL: it has left. */
struct dx_roster_server *dx_roster_find(const struct dx_roster *r, uint32_t id, uint32_t generation);

/* In whichever tier: up, starting, or ejected only for failed connections. */
bool dx_roster_may_serve(const struct dx_board *b, uint32_t server);

struct dx_roster_ask {
    const struct dx_tried *tried;
    struct dx_wish wish;
    uint64_t now_ms; /* monotonic, for slow start */
    bool (*may)(const struct dx_roster_server *s, void *arg); /* NULL: everybody */
    void *arg;
};

/*
 * Who takes the next request: of the servers that are up (or when none is, starting; or when none is, ejected only for failed connections), primaries before
 * backups, and not tried yet. `may` leaves out those that have no room now: they are not passed over for a worse tier. Among those that are left the wish
 * decides, and where there is none, or nobody is meant by it, the pool's way of balancing. NULL: there is none; *full (may be NULL) says whether there is one
 * without room.
 */
struct dx_roster_server *dx_roster_pick(struct dx_roster *r, const struct dx_roster_ask *ask, bool *full);

#endif
