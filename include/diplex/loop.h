/* SPDX-License-Identifier: MIT */
/*
 * One thread's event loop, on libevent. A watch is one descriptor's readiness for its whole life; a deadline is a time-out in a queue of
 * its duration; a timer is for rare things; a task runs when the loop comes round again; a grave is freed after the callback at hand returns.
 * Nothing here calls back while it is called.
 */
#ifndef DIPLEX_LOOP_H
#define DIPLEX_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "diplex/base/list.h"

struct dx_loop;

struct dx_loop *dx_loop_new(void) DX_CHECKED;
void dx_loop_free(struct dx_loop **l); /* after it stopped, with every watch, timer and deadline stopped */
void dx_loop_run(struct dx_loop *l);   /* until dx_loop_stop */
void dx_loop_stop(struct dx_loop *l);  /* from a callback */
/* Monotonic time of the callback at hand, read once per callback. */
uint64_t dx_loop_now_us(struct dx_loop *l);
static inline uint64_t dx_loop_now_ms(struct dx_loop *l) { return dx_loop_now_us(l) / 1000; }
/* Reads the clock anew (after long work). */
uint64_t dx_loop_refresh_us(struct dx_loop *l);

/* A turn: from the first callback after the loop waited until it waits again; nobody else is served meanwhile. */
#define DX_LOOP_LONG_US 1000
struct dx_loop_turns { /* words of the caller's, which it may set back from a callback; written by the loop's thread alone */
    _Atomic uint64_t *longest_us;
    _Atomic uint64_t *long_n; /* counts turns longer than DX_LOOP_LONG_US */
};
void dx_loop_time_turns(struct dx_loop *l, const struct dx_loop_turns *turns); /* from now on; one more reading of the clock for each turn */

/* --- watches --- */

enum { DX_READ = 1, DX_WRITE = 2, DX_HUNG_UP = 4 /* the other side closed, or half-closed */ };

struct dx_watch {
    struct dx_loop *loop;
    void (*on_event)(struct dx_watch *w, unsigned what); /* set once, by the owner, before start */
    int fd;
    uint64_t event[16]; /* libevent's struct event: its size is asserted in loop.c */
};

/* Edge-triggered for reading, writing and hanging up, for the descriptor's whole life: one system call. */
bool dx_watch_start_edge(struct dx_loop *l, struct dx_watch *w, int fd) DX_CHECKED;
/* Level-triggered, reading only: listeners, letters, eventfds. */
bool dx_watch_start_level(struct dx_loop *l, struct dx_watch *w, int fd) DX_CHECKED;
/* `what` of DX_READ | DX_WRITE, level-triggered; may be called again with another set (curl's sockets). */
bool dx_watch_start(struct dx_loop *l, struct dx_watch *w, int fd, unsigned what) DX_CHECKED;
void dx_watch_stop(struct dx_watch *w); /* does not close fd; fine when not started; before close(2) */

/* --- deadlines: one queue per duration, looked at when its first is due --- */

struct dx_deadline {
    struct dx_link link;
    uint64_t due_ms;
    void (*on_due)(struct dx_deadline *d); /* set once by the owner */
};

/* Again replaces. Duration 0 is no deadline: it clears. Late by a few milliseconds, never early. */
void dx_deadline_set(struct dx_loop *l, struct dx_deadline *d, uint64_t duration_ms);
void dx_deadline_clear(struct dx_deadline *d);

/* --- timers and signals, for rare things --- */

struct dx_timer {
    struct dx_loop *loop;
    void (*on_due)(struct dx_timer *t);
    uint64_t event[16];
    bool set;
    struct dx_deadline instead; /* for want of memory, which a deadline needs none of */
};
void dx_timer_set(struct dx_loop *l, struct dx_timer *t, uint64_t ms); /* once; again replaces */
void dx_timer_clear(struct dx_timer *t);

struct dx_signal {
    struct dx_loop *loop;
    void (*on_signal)(struct dx_signal *s, int number);
    uint64_t event[16];
};
bool dx_signal_start(struct dx_loop *l, struct dx_signal *s, int number) DX_CHECKED;
void dx_signal_stop(struct dx_signal *s);

/* --- tasks: run once, after the sockets had their turn; may be put in again --- */

struct dx_task {
    struct dx_link link;
    void (*run)(struct dx_task *t);
};
void dx_loop_again(struct dx_loop *l, struct dx_task *t); /* no effect when already waiting */
void dx_task_cancel(struct dx_task *t);

/* --- graves: the one place that frees --- */

struct dx_grave {
    struct dx_link link;
    void (*bury)(struct dx_grave *g); /* frees the object around it */
};
void dx_loop_bury(struct dx_loop *l, struct dx_grave *g); /* after the callback at hand has returned; once */

#endif
