/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share. One mutex for each gate guards all of it and the turns that wait there;
 * a desk's own mutex guards its list of turns to be told. Locks are taken in this order: gate, desk. Nothing
 * is called back under a lock.
 */
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include <pthread.h>

#include "diplex/queue.h"

#define GATE_MAGIC 0x47415445u
#define DESK_MAGIC 0x4445534bu

struct heap { /* of turns, the lowest rank first, then the lowest order */
    struct dx_turn **at;
    size_t n, cap;
};
bool heap_push(struct heap *h, struct dx_turn *t) DX_CHECKED;
void heap_remove(struct heap *h, struct dx_turn *t);
static inline struct dx_turn *heap_top(const struct heap *h) { return h->n > 0 ? h->at[0] : NULL; }
bool heap_before(const struct dx_turn *a, const struct dx_turn *b);

/* Ranks that let clients take turns: start-time fair queueing with every request of the same size. */
struct flow {
    struct flow *next;
    uint64_t client, last; /* the rank given last */
    unsigned waiting;
};
#define FLOWS 256u
struct fair {
    struct flow *flows[FLOWS];
};
/* The rank of the client's next request, not before `now`. Out of memory: the next of all. */
uint64_t fair_rank(struct fair *f, uint64_t client, uint64_t now);
void fair_left(struct fair *f, uint64_t client); /* a request that was given a rank waits no more */
void fair_clear(struct fair *f);

/* Requests that go at once to a server without slots when a hold ends; each that is answered lets two more
 * go. */
#define WINDOW_FIRST 8u

struct gate_server {
    struct dx_roster_server of;
    uint32_t used;          /* slots given out */
    uint32_t window;        /* of a server without slots, while others wait: as many at once */
    uint32_t rest_ms;       /* how long it was left in peace last */
    uint64_t rest_until_ms; /* it refused a connection */
    bool trial;             /* and is to be tried with one request first */
    bool trying;            /* which is on its way */
    bool seen_down;         /* control knows that it is down, and will say when it is up */
    bool gone;
};

struct gate_share { /* the requests of one route, or of all that have no share */
    struct dx_link link;
    uint64_t key;
    unsigned percent;
    uint32_t used;
    struct heap safe, unsafe; /* by method */
};

struct dx_gate {
    uint32_t magic;
    pthread_mutex_t lock;
    struct dx_queues *queues;
    uint32_t board_pool;
    _Atomic uint32_t strict; /* slots are counted, or somebody waits */
    _Atomic uint32_t down,
        epoch; /* no server can take a request; how often that or the operator's hold has changed */
    _Atomic uint64_t queue_wait, hold_wait;
    unsigned slots, queue_max, hold_max;
    uint64_t hold_bytes;
    uint64_t name; /* a hash of the pool's name and kind */
    bool fair_by_client, forgotten, told_down;
    enum dx_board_hold hand; /* what the operator said, when it was last looked at */
    struct dx_roster roster; /* of struct gate_server */
    uint64_t order, rank;    /* given last; of the turn that came last */
    uint32_t waiting, waiting_unsafe;
    uint64_t bytes;
    struct gate_share whole;
    struct dx_link shares;
    struct fair fair;
};

struct dx_queues {
    struct dx_board *board;
    int news_fd;
    struct dx_gate *gates[DX_BOARD_POOLS];
};

struct dx_desk {
    uint32_t magic;
    struct dx_queues *queues;
    struct dx_loop *loop;
    pthread_t thread;
    bool thread_known;
    pthread_mutex_t lock;
    struct dx_link told; /* turns of which there is news */
    int bell;
    struct dx_watch bell_watch;
    struct dx_task task;
    struct dx_deadline look;
    struct dx_link waiters;
    uint32_t waiting[DX_BOARD_POOLS], epochs[DX_BOARD_POOLS];
};

/* --- gate.c, with the gate's lock held --- */
void gate_look(struct dx_gate *g); /* what the board says now */
/* A server for this turn, its slot taken. False: none has room; *somebody: there is one that may have it
 * later. */
bool gate_choose(struct dx_gate *g, struct dx_turn *t, uint64_t now_ms, bool *somebody) DX_CHECKED;
void gate_server_well(struct gate_server *s); /* it takes requests again */
/* Gives what is free to those who wait, in order. `self` is not told: it sees for itself. */
void gate_serve(struct dx_gate *g, uint64_t now_ms, const struct dx_turn *self);
bool gate_put(struct dx_gate *g,
              struct dx_turn *t) DX_CHECKED; /* among those that wait; false: out of memory */
void gate_take_out(struct dx_gate *g, struct dx_turn *t);
bool gate_holds(const struct dx_gate *g, const struct dx_turn *t);
void gate_server_release(struct gate_server *s);
void gate_share_release(struct dx_gate *g, struct gate_share *s);
struct gate_share *gate_share_of(struct dx_gate *g, const struct dx_turn *t);
void gate_publish(struct dx_gate *g);

/* --- desk.c --- */
void desk_is_here(struct dx_desk *d);                 /* the caller's thread is the desk's */
void desk_tell(struct dx_desk *d, struct dx_turn *t); /* from any thread */
void desk_wait(struct dx_desk *d, struct dx_turn *t); /* from here on it is among those that wait */
void desk_done(struct dx_desk *d, struct dx_turn *t); /* it waits no more, and need not be told anything */

#endif
