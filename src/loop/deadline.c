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
 * would miss others, so that the table is simply searched for the same duration first. */
static struct lane *lane_for(struct dx_loop *l, uint64_t duration_ms)
{
    struct lane *lane = lane_of(l, duration_ms);
    if (lane != NULL)
        return lane;
    for (size_t i = 0; i < LANES_MAX; i++) {
        if (dx_list_empty(&l->lanes[i].waiting)) {
            l->lanes[i].duration_ms = duration_ms;
            return &l->lanes[i];
        }
    }
    /* Sixty-four durations in use at once: wait in the shortest lane that is long enough, or in the longest
     * there is. */
    struct lane *best = &l->lanes[0];
    for (size_t i = 1; i < LANES_MAX; i++) {
        uint64_t d = l->lanes[i].duration_ms;
        bool better = best->duration_ms < duration_ms ? d > best->duration_ms
                                                      : d >= duration_ms && d < best->duration_ms;
        if (better)
            best = &l->lanes[i];
    }
    return best;
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
    struct lane *lane = lane_for(l, duration_ms);
    uint64_t now_ms = dx_loop_now_ms(l);
    d->due_ms = now_ms + lane->duration_ms;
    dx_list_push_tail(&lane->waiting, &d->link);
    if (l->armed_ms == 0 || d->due_ms + TICK_MIN_MS < l->armed_ms)
        arm(l, d->due_ms, now_ms);
}

void dx_deadline_clear(struct dx_deadline *d) { dx_list_remove(&d->link); }

void loop_deadlines_due(struct dx_loop *l)
{
    uint64_t now_ms = dx_loop_now_ms(l), earliest = 0;

    l->armed_ms = 0;
    for (size_t i = 0; i < LANES_MAX; i++) {
        struct lane *lane = &l->lanes[i];
        if (lane->duration_ms == 0)
            continue;
        while (!dx_list_empty(&lane->waiting)) {
            struct dx_deadline *d = DX_CONTAINER(lane->waiting.next, struct dx_deadline, link);
            if (d->due_ms > now_ms) {
                if (earliest == 0 || d->due_ms < earliest)
                    earliest = d->due_ms;
                break;
            }
            dx_list_remove(&d->link);
            d->on_due(d);
        }
    }
    if (earliest != 0 && (l->armed_ms == 0 || earliest < l->armed_ms))
        arm(l, earliest, now_ms);
}
