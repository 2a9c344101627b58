/* SPDX-License-Identifier: MIT */
/*
 * Who may send a request now, and who waits. Each pool has a gate, shared by all workers under one mutex: it counts the slots of the pool's servers, keeps the
 * turns of those that wait in order, and chooses the server for the next one. A pool whose servers have no slots passes by its gate with one load, unless
 * somebody waits there: because no server can take a request (a restart, a deployment), or because an operator said so.
 *
 *     dx_turn_ask -> GRANTED                          -> the slot goes into a connection -> dx_slot_give_back
 *                 -> WAIT -> on_turn -> dx_turn_look  -> GRANTED, or waits on, or LOST
 *                 -> FULL, DOWN, LATE
 *
 * A desk is a worker's place at all gates: it hears there when one of its turns has come. Every function but those of dx_queues is called from the desk's thread.
 */
#ifndef DIPLEX_QUEUE_H
#define DIPLEX_QUEUE_H

#include "diplex/config.h"
#include "diplex/loop.h"
#include "diplex/roster.h"

#define DX_HOLD_WINDOW_MOST 100000u

struct dx_queues;
struct dx_gate;
struct dx_desk;
struct gate_server;
struct gate_share;

/* The gates of the data process. news_fd (borrowed, -1: none): an eventfd that is written when a pool begins to hold. NULL: out of memory. */
struct dx_queues *dx_queues_new(struct dx_board *b, int news_fd) DX_CHECKED;
void dx_queues_free(struct dx_queues **q); /* no desk and no slot is left */
/* Brings a pool's gate under these settings; what is running and who waits stays. From one thread, before the workers take over the configuration. False: out
 * of memory. */
bool dx_queues_set(struct dx_queues *q, uint32_t board_pool, const struct dx_pool_config *settings) DX_CHECKED;
/* The pool left the configuration: who waits has waited in vain (LOST). */
void dx_queues_forget(struct dx_queues *q, uint32_t board_pool);
struct dx_gate *dx_queues_gate(const struct dx_queues *q, uint32_t board_pool); /* NULL before its first set */

/* True: no slots are counted and nobody waits, so that the caller may choose by itself. Two loads. */
bool dx_gate_is_open(const struct dx_gate *g);
/* A connection to the server could not be made. With a hold it is left in peace for a moment and then tried with one request, before others follow. */
void dx_gate_refused(struct dx_gate *g, uint32_t server, uint32_t generation, uint64_t now_ms);

struct dx_desk *dx_desk_new(struct dx_queues *q, struct dx_loop *l) DX_CHECKED;
void dx_desk_free(struct dx_desk **d); /* none of its turns waits */

/* A right to one request on one server. Zeroed: none. */
struct dx_slot {
    struct dx_gate *gate;
    struct dx_desk *desk;
    struct gate_server *server;
    struct gate_share *share;
    uint32_t id, generation; /* of the server */
    bool counted;            /* it is one of the server's slots and ends with the request; else it ends with the answer's head */
    bool trial;              /* the first request after the server refused */
};
static inline bool dx_slot_is_none(const struct dx_slot *s) { return s->gate == NULL; }
/* The server has taken the connection of a trial: it is well again. */
void dx_slot_tried(struct dx_slot *s);
void dx_slot_end(struct dx_slot *s);
/* The next one's turn may come; fine when there is no slot. */
static inline void dx_slot_give_back(struct dx_slot *s)
{
    if (!dx_slot_is_none(s))
        dx_slot_end(s);
}

enum dx_turn_state { DX_TURN_NONE, DX_TURN_WAITING, DX_TURN_GRANTED, DX_TURN_LOST };

struct dx_turn {
    /* the caller's, set before asking */
    void (*on_turn)(struct dx_turn *t); /* from the desk's loop: dx_turn_look says something new, or the reason for waiting has changed */
    const struct dx_tried *tried;       /* others are preferred to these; stays in place while it waits */
    struct dx_wish wish;                /* of a sticky pool */
    uint64_t client;                    /* a hash of who asks, for fair_by */
    uint64_t share_key;                 /* of the route; 0: none has a share */
    unsigned share;                     /* the part of all slots that the route may take, in per cent; 0: all */
    bool unsafe;                        /* the method is not safe (RFC 9110 9.2.1): `hold --writes` is about it */
    uint64_t bytes;                     /* that wait with it */
    /* the queue's */
    struct dx_gate *gate;
    struct dx_desk *desk;
    struct gate_share *in;
    _Atomic uint32_t state;
    uint64_t order, rank; /* when it came; whose turn is next */
    bool ranked;          /* by its client */
    size_t at;            /* in its heap */
    uint64_t first_ms;    /* began to wait; 0: has never waited */
    uint64_t since_ms;    /* waits for this reason since */
    uint32_t epoch;       /* of the reason */
    struct dx_link told, waiter;
    struct dx_slot slot;
};

enum dx_turn_answer {
    DX_TURN_GO,   /* t->slot is the caller's */
    DX_TURN_WAIT, /* on_turn will be called; dx_turn_left says how long to wait */
    DX_TURN_FULL, /* queue.max or hold.max wait already, or hold.bytes */
    DX_TURN_DOWN, /* no server can take it, and nothing is held */
    DX_TURN_LATE, /* it has waited as long as it may */
    DX_TURN_GONE, /* the pool has left the configuration */
    DX_TURN_NO_MEMORY,
};
/* May be asked again after the connection that a slot was for failed: the turn keeps its place in the order. */
enum dx_turn_answer dx_turn_ask(struct dx_turn *t, struct dx_gate *g, struct dx_desk *d) DX_CHECKED;
/* What has become of a turn that waits. */
enum dx_turn_answer dx_turn_look(struct dx_turn *t) DX_CHECKED;
static inline bool dx_turn_waits(const struct dx_turn *t)
{
    return atomic_load_explicit(&t->state, memory_order_relaxed) != DX_TURN_NONE;
}
/* True: it is held (no server may or can take it); false: it is queued (all slots are taken). */
bool dx_turn_held(const struct dx_turn *t);
/* Milliseconds that it may still wait, at least 1: the pool's time for the reason of now, and for both reasons together no longer than both times. */
uint64_t dx_turn_left(const struct dx_turn *t);
/* What the turn was for has come to nothing after it was begun: the next wait is a new one, at the old place in the order. */
static inline void dx_turn_renew(struct dx_turn *t) { t->first_ms = 0; }
/* The caller waits no more. Gives back what was granted meanwhile. Fine when it does not wait. */
void dx_turn_leave(struct dx_turn *t);

#endif
