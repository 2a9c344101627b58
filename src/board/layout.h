/* SPDX-License-Identifier: MIT */
/*
 * How the board's memory is laid out; for the files of this room only. A head, the pools, the words of the
 * servers, who has which route's place, then per worker its counters, its cells and its copies of the routes'
 * places, each worker's on cache lines of its own.
 *
 *     | head | pools, two copies of each list | server words | keys | part 0: counters, cells, routes | ... |
 *
 * A pool's list is kept twice. The version says by its lowest bit which copy is in force; the writer fills
 * the other and then publishes the next version. So a reader never waits for a writer that was stopped in the
 * middle, and repeats only when the version moved under it.
 *
 * A part is one worker's, and goes to another when that one has ended: its totals go on. A seat is one data
 * process's.
 */
#ifndef BOARD_LAYOUT_H
#define BOARD_LAYOUT_H

#include "diplex/board.h"
#include "diplex/board/routes.h"
#include "diplex/board/switches.h"
#include "diplex/board/seats.h"

#define LINE_BYTES      ((size_t)64)
#define WORDS_OF(bytes) (((bytes) + sizeof(uint64_t) - 1) / sizeof(uint64_t))
#define NAME_WORDS      WORDS_OF((size_t)DX_BOARD_NAME)
#define RECORD_WORDS    WORDS_OF(sizeof(struct dx_board_server))

struct list {
    _Atomic uint64_t count; /* 0: no such pool; otherwise the number of servers plus one */
    _Atomic uint64_t name[NAME_WORDS];
    _Atomic uint64_t records[DX_BOARD_POOL_SERVERS][RECORD_WORDS];
};

struct pool {
    _Atomic uint32_t version;
    _Atomic uint32_t hold; /* enum dx_board_hold */
    /* Requests that wait, shifted by UNSAFE_BITS + 1; those of them with unsafe methods, shifted by one;
     * down. */
    _Atomic uint64_t waits[DX_BOARD_SEATS];
    struct list copies[2];
};

struct head {
    uint64_t magic, bytes;    /* written once, before the descriptor is given away */
    _Atomic uint32_t parts;   /* in use so far: those at and above it were never */
    _Atomic uint32_t crowded; /* more than one seat is taken */
    _Atomic uint32_t data_starts, data_pid;
    _Atomic uint32_t workers[DX_BOARD_SEATS];
};

struct shared {
    _Alignas(64) struct head head;
    _Alignas(64) struct pool pools[DX_BOARD_POOLS];
    _Alignas(64) _Atomic uint32_t server_words[DX_BOARD_SERVERS]; /* state, and why shifted by WHY_SHIFT */
    _Atomic uint64_t risen_ms[DX_BOARD_SERVERS];
    _Atomic uint64_t beats[DX_BOARD_PARTS];
    _Atomic uint64_t switches[DX_BOARD_SWITCHES]; /* keys of what is on; 0: free */
    _Atomic uint32_t switches_on;
    _Atomic uint32_t routes_top;                  /* places at and above it were never used */
    _Atomic uint64_t route_keys[DX_BOARD_ROUTES]; /* 0: free */
    _Atomic uint32_t slots_used[DX_BOARD_SEATS][DX_BOARD_SERVERS];
};

#define WHY_SHIFT   8
#define UNSAFE_BITS 31

struct worker_part {
    _Alignas(64) _Atomic uint64_t counters[DX_COUNTER_COUNT];
    struct {
        _Alignas(64) struct dx_board_cell cell;
    } cells[DX_BOARD_SERVERS];
    struct dx_board_route routes[DX_BOARD_PLACES];
};

/* What control remembers by itself: nothing of it is read back from memory that data can write. */
struct place {
    uint32_t generation;
    uint32_t pool; /* DX_BOARD_NONE: free */
    struct dx_address address;
};

struct own_list {
    bool used, ever_used;
    char name[DX_BOARD_NAME];
    size_t n;
    uint32_t version;
    struct dx_board_server servers[DX_BOARD_POOL_SERVERS];
};

struct own_route {
    uint64_t key;   /* 0: free */
    uint64_t freed; /* after how many others */
    uint32_t pool;  /* that it counts for, until the place goes to another route; DX_BOARD_NONE: it is gone */
};
#define NOBODY UINT32_MAX

struct own {
    uint32_t parts;                     /* as in the head */
    uint32_t part_seat[DX_BOARD_PARTS]; /* whose it is; NOBODY: free */
    bool seat_taken[DX_BOARD_SEATS];
    uint32_t newest; /* the seat taken last */
    struct place places[DX_BOARD_SERVERS];
    uint32_t
        next_place; /* where the search for a free place goes on: the one freed last is used again last */
    uint32_t places_top; /* places at and above it were never used */
    struct own_list pools[DX_BOARD_POOLS];
    struct own_route routes[DX_BOARD_ROUTES];
    uint32_t routes_top;
    uint64_t switches[DX_BOARD_SWITCHES];
    uint32_t switches_on;
    uint64_t frees;
    struct dx_board_route_sum *bases[DX_BOARD_PLACES]; /* what stood in a place when it was given out again */
    struct dx_board_route_sum *left[DX_BOARD_POOLS]; /* of routes that have left the pool, and their places */
    uint64_t
        carried[DX_COUNTER_COUNT]; /* counted on the board before this one, which was laid out otherwise */
};

struct dx_board {
    uint32_t magic;
    unsigned seat; /* data's own */
    int fd;        /* -1 in data */
    size_t bytes;
    struct shared *shared;
    struct worker_part *parts;
    struct own *own; /* control's; NULL in data */
};

#define BOARD_MAGIC 0xb0a7d001u

/* routes.c: the pool's place is another's from now on. */
void dx_board_pool_begins(struct dx_board *b, uint32_t pool);
/* seats.c: control; at least so many parts are in use. */
void board_parts_reach(struct dx_board *b, unsigned parts);
/* cells.c: it never falls; its name ends so. */
bool board_counter_only_grows(enum dx_counter c);
/* Control: a worker of the newest data process writes there. */
bool board_part_counts(const struct dx_board *b, uint32_t part);

#endif
