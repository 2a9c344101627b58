/* SPDX-License-Identifier: MIT */
/*
 * Deadlines. All that wait equally long stand in one queue (a lane), so that setting one is a move to the
 * tail and clearing one an unlink. The tick is armed for the earliest head; heads that were set anew
 * meanwhile cost nothing but a later tick.
 */
#include "diplex/base/hash.h"
#include "loop/internal.h"

#define TICK_MIN_MS 5

static struct lane *lane_of(struct dx_loop *l, uint64_t duration_ms)
{
    size_t at = (size_t)dx_hash_finish(duration_ms);
    for (size_t i = 0; i < LANES_MAX; i++) {
        struct lane *lane = &l->lanes[(at + i) & (LANES_MAX - 1)];
        if (lane->duration_ms == duration_ms)
            return lane;
        if (lane->duration_ms == 0) {
            lane->duration_ms = duration_ms;
            dx_list_init(&lane->waiting);
            return lane;
        }
    }
    return NULL;
}

/* More durations than lanes (after many reloads): an empty lane is given to the new duration. Probing past it
 * would miss others, so that the table is simply searched for the same duration first. Sixty-four durations
 * in use at once: the others wait together, sorted. */
static struct dx_link *queue_for(struct dx_loop *l, uint64_t duration_ms)
{
    struct lane *lane = lane_of(l, duration_ms);
    if (lane != NULL)
        return &lane->waiting;
    for (size_t i = 0; i < LANES_MAX; i++) {
        if (dx_list_empty(&l->lanes[i].waiting)) {
            l->lanes[i].duration_ms = duration_ms;
            return &l->lanes[i].waiting;
        }
    }
    return &l->odd;
}

static uint64_t due_of(struct dx_link *link) { return DX_CONTAINER(link, struct dx_deadline, link)->due_ms; }

/* In a lane the place is the tail, found at once. */
static void put_by_time(struct dx_link *queue, struct dx_deadline *d)
{
    struct dx_link *at = queue;
    while (at->prev != queue && due_of(at->prev) > d->due_ms)
        at = at->prev;
    dx_list_insert_before(at, &d->link);
}

static void arm(struct dx_loop *l, uint64_t due_ms, uint64_t now_ms)
{
    uint64_t wait = due_ms > now_ms + TICK_MIN_MS ? due_ms - now_ms : TICK_MIN_MS;
    l->armed_ms = now_ms + wait;
    loop_arm_tick(l, wait);
}

void dx_deadline_set(struct dx_loop *l, struct dx_deadline *d, uint64_t duration_ms)
{
    DX_ASSERT(d->on_due != NULL);
    dx_list_remove(&d->link);
    if (duration_ms == 0)
        return;
    uint64_t now_ms = (dx_loop_now_us(l) + 999) / 1000; /* rounded up: never early */
    d->due_ms = now_ms + duration_ms;
    put_by_time(queue_for(l, duration_ms), d);
    if (l->armed_ms == 0 || d->due_ms + TICK_MIN_MS < l->armed_ms)
        arm(l, d->due_ms, now_ms);
}

void dx_deadline_clear(struct dx_deadline *d) { dx_list_remove(&d->link); }

/* Rings what is due in one queue; when the next one is, or 0. */
static uint64_t ring(struct dx_link *queue, uint64_t now_ms)
{
    while (!dx_list_empty(queue)) {
        struct dx_deadline *d = DX_CONTAINER(queue->next, struct dx_deadline, link);
        if (d->due_ms > now_ms)
            return d->due_ms;
        dx_list_remove(&d->link);
        d->on_due(d);
    }
    return 0;
}

void loop_deadlines_due(struct dx_loop *l)
{
    uint64_t now_ms = dx_loop_now_ms(l);

    l->armed_ms = 0;
    uint64_t earliest = ring(&l->odd, now_ms);
    for (size_t i = 0; i < LANES_MAX; i++) {
        uint64_t due = l->lanes[i].duration_ms != 0 ? ring(&l->lanes[i].waiting, now_ms) : 0;
        if (due != 0 && (earliest == 0 || due < earliest))
            earliest = due;
    }
    if (earliest != 0 && (l->armed_ms == 0 || earliest < l->armed_ms))
        arm(l, earliest, now_ms);
}
