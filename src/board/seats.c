/* SPDX-License-Identifier: MIT */
/*
 * Who writes where. A data process has a seat, each of its workers a part; both are given by control and go
 * back when process or worker has ended, which is never decided by what stands in the shared memory. Usually
 * there is one seat; while one data process takes the place of another, there are more, and what they must
 * not exceed together, the slots of servers, is counted here.
 */
#include "board/layout.h"

static _Atomic uint32_t *slots_word(const struct dx_board *b, uint32_t seat, uint32_t server)
{
    DX_ASSERT(seat < DX_BOARD_SEATS && server < DX_BOARD_SERVERS);
    return &b->shared->slots_used[seat][server];
}

/* --- parts --- */

unsigned dx_board_parts(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    if (b->own)
        return b->own->parts;
    uint32_t parts = atomic_load_explicit(&b->shared->head.parts, memory_order_relaxed);
    return parts < DX_BOARD_PARTS ? parts : DX_BOARD_PARTS;
}

void board_parts_reach(struct dx_board *b, unsigned parts)
{
    DX_ASSERT(b->own && parts <= DX_BOARD_PARTS);
    if (parts > b->own->parts)
        b->own->parts = parts;
    atomic_store_explicit(&b->shared->head.parts, b->own->parts, memory_order_relaxed);
}

bool dx_board_parts_take(struct dx_board *b, uint32_t seat, unsigned n, uint32_t *parts)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && seat < DX_BOARD_SEATS && b->own->seat_taken[seat]);
    unsigned found = 0;
    for (uint32_t i = 0; i < DX_BOARD_PARTS && found < n; i++)
        if (b->own->part_seat[i] == NOBODY)
            parts[found++] = i;
    if (found < n)
        return false;
    for (unsigned i = 0; i < n; i++) {
        b->own->part_seat[parts[i]] = seat;
        atomic_store_explicit(&b->shared->beats[parts[i]], UINT64_MAX,
                              memory_order_relaxed); /* not asked yet */
        board_parts_reach(b, parts[i] + 1);
    }
    return true;
}

bool board_part_counts(const struct dx_board *b, uint32_t part)
{
    DX_ASSERT(b->own && part < DX_BOARD_PARTS);
    return !b->own->seat_taken[b->own->newest] || b->own->part_seat[part] == b->own->newest;
}

/* What a worker that has ended had running is running no more. */
static void clear_gauges(struct dx_board *b, struct worker_part *part)
{
    for (size_t c = 0; c < DX_COUNTER_COUNT; c++) {
        if (!board_counter_only_grows((enum dx_counter)c))
            atomic_store_explicit(&part->counters[c], 0, memory_order_relaxed);
    }
    for (uint32_t i = 0; i < b->own->places_top; i++) {
        atomic_store_explicit(&part->cells[i].cell.active, 0, memory_order_relaxed);
        atomic_store_explicit(&part->cells[i].cell.connections, 0, memory_order_relaxed);
    }
}

bool dx_board_part_free(struct dx_board *b, uint32_t seat, uint32_t part)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    if (seat >= DX_BOARD_SEATS || part >= DX_BOARD_PARTS || b->own->part_seat[part] != seat)
        return false;
    clear_gauges(b, &b->parts[part]);
    b->own->part_seat[part] = NOBODY;
    return true;
}

/* --- seats --- */

static void note_crowd(struct dx_board *b)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < DX_BOARD_SEATS; i++)
        taken += b->own->seat_taken[i];
    atomic_store(&b->shared->head.crowded, taken > 1);
}

uint32_t dx_board_seat_take(struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    for (uint32_t i = 0; i < DX_BOARD_SEATS; i++) {
        if (b->own->seat_taken[i])
            continue;
        b->own->seat_taken[i] = true;
        b->own->newest = i;
        note_crowd(b);
        return i;
    }
    return DX_BOARD_NONE;
}

void dx_board_seat_free(struct dx_board *b, uint32_t seat)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && seat < DX_BOARD_SEATS && b->own->seat_taken[seat]);
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        (void)!dx_board_part_free(b, seat, i);
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++)
        atomic_store_explicit(&b->shared->pools[i].waits[seat], 0, memory_order_relaxed);
    for (uint32_t i = 0; i < DX_BOARD_SERVERS; i++)
        atomic_store_explicit(slots_word(b, seat, i), 0, memory_order_relaxed);
    dx_board_workers_set(b, seat, 0);
    b->own->seat_taken[seat] = false;
    for (uint32_t i = 0; i < DX_BOARD_SEATS && b->own->newest == seat; i++)
        if (b->own->seat_taken[i])
            b->own->newest = i;
    note_crowd(b);
}

void dx_board_sit(struct dx_board *b, uint32_t seat)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(!b->own && seat < DX_BOARD_SEATS);
    b->seat = seat;
}

void dx_board_workers_set(struct dx_board *b, uint32_t seat, unsigned workers)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && seat < DX_BOARD_SEATS);
    atomic_store_explicit(&b->shared->head.workers[seat], workers, memory_order_relaxed);
}

unsigned dx_board_workers(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    unsigned seat = b->own ? b->own->newest : b->seat;
    uint32_t workers = atomic_load_explicit(&b->shared->head.workers[seat], memory_order_relaxed);
    if (workers < 1)
        return 1;
    return workers < DX_BOARD_WORKERS ? workers : DX_BOARD_WORKERS;
}

uint64_t dx_board_seat_counter_sum(const struct dx_board *b, uint32_t seat, enum dx_counter c)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && seat < DX_BOARD_SEATS && c < DX_COUNTER_COUNT);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < DX_BOARD_PARTS; i++)
        if (b->own->part_seat[i] == seat)
            sum += atomic_load_explicit(&b->parts[i].counters[c], memory_order_relaxed);
    return sum;
}

/* --- slots --- */

uint32_t dx_board_slots_of_others(const struct dx_board *b, uint32_t server)
{
    uint32_t sum = 0;
    if (DX_LIKELY(!atomic_load_explicit(&b->shared->head.crowded, memory_order_relaxed)))
        return 0;
    for (uint32_t i = 0; i < DX_BOARD_SEATS; i++)
        sum += i == b->seat ? 0 : atomic_load(slots_word(b, i, server));
    return sum;
}

bool dx_board_slot_take(struct dx_board *b, uint32_t server, uint32_t most)
{
    _Atomic uint32_t *mine = slots_word(b, b->seat, server);
    uint32_t taken = atomic_fetch_add(mine, 1) + 1;
    uint32_t others = dx_board_slots_of_others(b, server);
    if (others == 0 || taken + others <= most)
        return true;
    atomic_fetch_sub(mine, 1);
    return false;
}

void dx_board_slot_give_back(struct dx_board *b, uint32_t server)
{
    atomic_fetch_sub(slots_word(b, b->seat, server), 1);
}

/* --- the data process --- */

void dx_board_data_started(struct dx_board *b, int pid)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    atomic_store_explicit(&b->shared->head.data_pid, (uint32_t)pid, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->shared->head.data_starts, 1, memory_order_relaxed);
}

void dx_board_data_starts_carry(struct dx_board *b, unsigned starts)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    atomic_store_explicit(&b->shared->head.data_starts, starts, memory_order_relaxed);
}

unsigned dx_board_data_starts(const struct dx_board *b)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    return atomic_load_explicit(&b->shared->head.data_starts, memory_order_relaxed);
}
