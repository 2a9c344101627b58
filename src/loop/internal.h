/* SPDX-License-Identifier: MIT */
/* What the two files of this room share. */
#ifndef LOOP_INTERNAL_H
#define LOOP_INTERNAL_H

#include <stddef.h>

#include "diplex/loop.h"

#define LANES_MAX 64 /* different durations of deadlines in one loop; a power of two */

struct lane {
    uint64_t duration_ms;   /* 0: free */
    struct dx_link waiting; /* by due time, because all wait equally long */
};

struct event;
struct event_base;

struct dx_loop {
    uint32_t magic;
    bool tasks_armed;
    bool stopped;
    struct event_base *base;
    struct event *tick, *turn;
    int tick_fd;
    uint64_t now_us;   /* 0: not read in this callback yet */
    uint64_t turn_us;  /* when this turn's first callback began; 0: there was none yet */
    uint64_t armed_ms; /* when the tick is to come; 0: not armed */
    struct dx_link graves, tasks;
    struct dx_deadline instead; /* of the turn, when there is no memory to arm it */
    struct lane lanes[LANES_MAX];
    struct dx_link odd; /* deadlines of still other durations, by due time */
    struct dx_loop_turns turns;
};

void loop_arm_tick(struct dx_loop *l, uint64_t ms);
void loop_deadlines_due(struct dx_loop *l);

#endif
