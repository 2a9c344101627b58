/* SPDX-License-Identifier: MIT */
/*
 * The board: shared memory between control and data. Facts both may look at: pools and their servers
 * (addresses, health, why down), and counters. One writer for each word: control writes pools and servers,
 * worker k of data writes its own cells and counters. No locks: control's lists are kept twice and read under
 * a version, so that no reader waits for a stopped writer. It outlives the data process, so counters go on
 * when data is restarted.
 */
#ifndef DIPLEX_BOARD_H
#define DIPLEX_BOARD_H

#include <stdatomic.h>

#include "diplex/base/err.h"
#include "diplex/os/address.h"

#define DX_BOARD_POOLS        256u
#define DX_BOARD_SERVERS      1024u /* over all pools */
#define DX_BOARD_POOL_SERVERS 128u  /* of one pool */
#define DX_BOARD_WORKERS      64u   /* of one data process */
#define DX_BOARD_PARTS        128u  /* of all workers there are, those that are on their way out too */
#define DX_BOARD_SEATS        8u    /* data processes at a time: during upgrades there are several */
#define DX_BOARD_NAME         64u

struct dx_board;

/* Control. The first so many parts can be written at once, and the first data process has so many workers. */
struct dx_board *dx_board_new(unsigned workers, struct dx_err *err) DX_CHECKED;
struct dx_board *dx_board_map(int fd, struct dx_err *err) DX_CHECKED; /* data; fd may be closed afterwards */
int dx_board_fd(const struct dx_board *b);
/* Control, for a program that takes its place: what is not in the shared memory, as a memory file; -1. */
int dx_board_save(const struct dx_board *b) DX_CHECKED;
uint64_t dx_board_layout(void); /* programs of the same layout can go on with one another's boards */
/* Takes the board's descriptor over, if it succeeds. */
struct dx_board *dx_board_resume(int fd, int saved, struct dx_err *err) DX_CHECKED;
void dx_board_free(struct dx_board **b); /* unmaps */

/* --- pools: an index that stays the same as long as a pool of that name and kind exists, over reloads --- */

#define DX_BOARD_NONE UINT32_MAX
/* A name may be of any length. */
uint32_t dx_board_pool_find(const struct dx_board *b, const char *name); /* DX_BOARD_NONE */
uint32_t dx_board_pool_add(struct dx_board *b,
                           const char *name) DX_CHECKED;      /* control; DX_BOARD_NONE when full */
void dx_board_pool_remove(struct dx_board *b, uint32_t pool); /* control; frees its servers too */

/* --- servers --- */

/* STARTING: no verdict yet; used when nothing is UP. */
enum dx_server_state { DX_SERVER_STARTING, DX_SERVER_UP, DX_SERVER_DOWN };
enum dx_down_reason {
    DX_WHY_NONE,
    DX_WHY_PROBE,
    DX_WHY_PASSIVE,
    DX_WHY_EXITED,
    DX_WHY_DRAINED,
    DX_WHY_NAME_GONE
};
const char *dx_down_reason_word(enum dx_down_reason why);

struct dx_board_server {
    uint32_t id;              /* index of its place on the board */
    uint32_t generation;      /* changes when the place is used again or the server behind it is another */
    char name[DX_BOARD_NAME]; /* as in the configuration */
    struct dx_address address;
    uint32_t weight;
    bool backup;
};

/* Control: the whole list of a pool's servers. Entries with an id keep their place, state and counters; id
 * DX_BOARD_NONE asks for a new place, which is written back with its generation, in state STARTING. Places no
 * longer listed become free. False when the board is full: nothing changed then. */
bool dx_board_pool_write(struct dx_board *b, uint32_t pool, struct dx_board_server *servers,
                         size_t n) DX_CHECKED;
/* Anyone: a consistent copy; returns how many. `version` changes with every write. */
size_t dx_board_pool_read(const struct dx_board *b, uint32_t pool,
                          struct dx_board_server out[DX_BOARD_POOL_SERVERS], uint32_t *version);
uint32_t dx_board_pool_version(const struct dx_board *b,
                               uint32_t pool); /* one load: the hot path's question "has it changed?" */

void dx_board_server_set(struct dx_board *b, uint32_t id, enum dx_server_state state,
                         enum dx_down_reason why);                                 /* control */
enum dx_server_state dx_board_server_state(const struct dx_board *b, uint32_t id); /* one load */
enum dx_down_reason dx_board_server_why(const struct dx_board *b, uint32_t id);
/* When it came up among others that were working (monotonic), for slow start; 0: it began with them. */
void dx_board_server_set_risen(struct dx_board *b, uint32_t id, uint64_t at_ms); /* control */
uint64_t dx_board_server_risen_ms(const struct dx_board *b, uint32_t id);

/* --- a pool's waiting room --- */

/* What an operator has said of a pool's requests: all are held, or those with unsafe methods (RFC
 * 9110 9.2.1). Control writes. */
enum dx_board_hold { DX_HOLD_NONE, DX_HOLD_WRITES, DX_HOLD_ALL };
void dx_board_pool_hold_set(struct dx_board *b, uint32_t pool, enum dx_board_hold hold);
enum dx_board_hold dx_board_pool_hold(const struct dx_board *b, uint32_t pool); /* one load */

/* Who waits in the pool's queue. Data writes its own, under the lock of the queue. */
struct dx_board_queue {
    uint32_t waiting, unsafe; /* requests; those of them with unsafe methods */
    bool down;                /* no server can take one */
};
void dx_board_pool_queue_set(struct dx_board *b, uint32_t pool, struct dx_board_queue q);

/* Of all data processes, and with what an operator has said. */
struct dx_board_waits {
    uint32_t held;   /* nobody may serve them, or nobody can */
    uint32_t queued; /* all slots are taken */
    bool for_server; /* some are held because no server can take one */
};
struct dx_board_waits dx_board_pool_waits(const struct dx_board *b, uint32_t pool);

/* --- what a worker knows of a server: written by that worker only, read by control and other workers --- */

struct dx_board_cell {
    _Atomic uint32_t active;              /* requests running now */
    _Atomic uint32_t connections;         /* open now, idle ones included */
    _Atomic uint64_t requests, responses; /* sent, answered (a head was read) */
    _Atomic uint64_t connect_failures,
        resets;                      /* passive signs of trouble; resets: broken off before a response head */
    _Atomic uint64_t last_answer_ms; /* monotonic; the newest response head with a status below 500 */
    _Atomic uint64_t last_failure_ms;
};
struct dx_board_cell *dx_board_cell(struct dx_board *b, unsigned worker, uint32_t server);
struct dx_board_cell dx_board_cell_sum(const struct dx_board *b,
                                       uint32_t server); /* over all workers; last_* are the newest */
uint32_t dx_board_server_active(const struct dx_board *b, uint32_t server);

/* --- signs of life: the newest PING of control's that a worker has seen --- */

void dx_board_beat(struct dx_board *b, unsigned worker, uint64_t ping); /* worker */
/* Control: of the newest data process; *of: the worker it is of. */
uint64_t dx_board_beat_least(const struct dx_board *b, unsigned *of);

/* --- counters of a worker --- */

enum dx_counter {
#define COUNTER(id, name, sentence) DX_COUNTER_##id,
#include "diplex/counters.def"
    DX_COUNTER_COUNT,
};
const char *dx_counter_name(enum dx_counter c);
const char *dx_counter_sentence(enum dx_counter c);
_Atomic uint64_t *dx_board_counters(struct dx_board *b,
                                    unsigned worker); /* DX_COUNTER_COUNT words of this worker */
/* Over all workers: the sum, or the most of TURN_LONGEST and TAKEOVER. */
uint64_t dx_board_counter_sum(const struct dx_board *b, enum dx_counter c);

/* Written by its one writer: a plain load and store. */
static inline void dx_count_add(_Atomic uint64_t *word, uint64_t n)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n, memory_order_relaxed);
}

#endif
