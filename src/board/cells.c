/* SPDX-License-Identifier: MIT */
/* Single words of the board: the states of servers, what workers know of them, and the workers' counters. */
#include "board/layout.h"

static _Atomic uint32_t *server_word(const struct dx_board *b, uint32_t id)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(id < DX_BOARD_SERVERS);
    return &b->shared->server_words[id];
}

void dx_board_server_set(struct dx_board *b, uint32_t id, enum dx_server_state state, enum dx_down_reason why)
{
    DX_ASSERT((state == DX_SERVER_DOWN) == (why != DX_WHY_NONE));
    atomic_store_explicit(server_word(b, id), (uint32_t)state | (uint32_t)why << WHY_SHIFT,
                          memory_order_relaxed);
}

enum dx_server_state dx_board_server_state(const struct dx_board *b, uint32_t id)
{
    uint32_t state = atomic_load_explicit(server_word(b, id), memory_order_relaxed) & ((1u << WHY_SHIFT) - 1);
    return state > DX_SERVER_DOWN ? DX_SERVER_STARTING : (enum dx_server_state)state;
}

enum dx_down_reason dx_board_server_why(const struct dx_board *b, uint32_t id)
{
    uint32_t why = atomic_load_explicit(server_word(b, id), memory_order_relaxed) >> WHY_SHIFT;
    return why > DX_WHY_NAME_GONE ? DX_WHY_NONE : (enum dx_down_reason)why;
}

void dx_board_server_set_risen(struct dx_board *b, uint32_t id, uint64_t at_ms)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(id < DX_BOARD_SERVERS);
    atomic_store_explicit(&b->shared->risen_ms[id], at_ms, memory_order_relaxed);
}

uint64_t dx_board_server_risen_ms(const struct dx_board *b, uint32_t id)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(id < DX_BOARD_SERVERS);
    return atomic_load_explicit(&b->shared->risen_ms[id], memory_order_relaxed);
}

const char *dx_down_reason_word(enum dx_down_reason why)
{
    switch (why) {
    case DX_WHY_NONE:
        return "none";
    case DX_WHY_PROBE:
        return "probe";
    case DX_WHY_PASSIVE:
        return "passive";
    case DX_WHY_EXITED:
        return "exited";
    case DX_WHY_DRAINED:
        return "drained";
    case DX_WHY_NAME_GONE:
        return "name_gone";
    }
    DX_NEVER("a reason without a word");
}

/* --- the waiting rooms of pools --- */

static struct pool *pool_at(const struct dx_board *b, uint32_t pool)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(pool < DX_BOARD_POOLS);
    return &b->shared->pools[pool];
}

void dx_board_pool_hold_set(struct dx_board *b, uint32_t pool, enum dx_board_hold hold)
{
    atomic_store_explicit(&pool_at(b, pool)->hold, (uint32_t)hold, memory_order_relaxed);
}

enum dx_board_hold dx_board_pool_hold(const struct dx_board *b, uint32_t pool)
{
    uint32_t hold = atomic_load_explicit(&pool_at(b, pool)->hold, memory_order_relaxed);
    return hold > DX_HOLD_ALL ? DX_HOLD_NONE : (enum dx_board_hold)hold;
}

void dx_board_pool_queue_set(struct dx_board *b, uint32_t pool, struct dx_board_queue q)
{
    uint64_t word = ((uint64_t)q.waiting << UNSAFE_BITS | q.unsafe) << 1 | q.down;
    atomic_store_explicit(&pool_at(b, pool)->waits[b->seat], word, memory_order_relaxed);
}

static struct dx_board_queue queue_of(uint64_t word)
{
    struct dx_board_queue q = {.waiting = (uint32_t)(word >> (UNSAFE_BITS + 1)),
                               .unsafe = (uint32_t)(word >> 1 & ((1u << UNSAFE_BITS) - 1)),
                               .down = (word & 1) != 0};
    q.unsafe = q.unsafe < q.waiting ? q.unsafe : q.waiting;
    return q;
}

struct dx_board_waits dx_board_pool_waits(const struct dx_board *b, uint32_t pool)
{
    struct dx_board_waits sum = {.held = 0};
    enum dx_board_hold hold = dx_board_pool_hold(b, pool);
    for (unsigned s = 0; s < DX_BOARD_SEATS; s++) {
        struct dx_board_queue q =
            queue_of(atomic_load_explicit(&pool_at(b, pool)->waits[s], memory_order_relaxed));
        uint32_t held = q.down || hold == DX_HOLD_ALL ? q.waiting : hold == DX_HOLD_WRITES ? q.unsafe : 0;
        sum.held += held;
        sum.queued += q.waiting - held;
        sum.for_server |= q.down && q.waiting > 0;
    }
    return sum;
}

/* --- cells --- */

struct dx_board_cell *dx_board_cell(struct dx_board *b, unsigned worker, uint32_t server)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(worker < dx_board_parts(b) && server < DX_BOARD_SERVERS);
    return &b->parts[worker].cells[server].cell;
}

static uint64_t load64(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

struct dx_board_cell dx_board_cell_sum(const struct dx_board *b, uint32_t server)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(server < DX_BOARD_SERVERS);
    uint32_t active = 0, connections = 0;
    uint64_t requests = 0, responses = 0, connect_failures = 0, resets = 0, answer = 0, failure = 0;
    for (unsigned w = 0, n = dx_board_parts(b); w < n; w++) {
        const struct dx_board_cell *c = &b->parts[w].cells[server].cell;
        active += atomic_load_explicit(&c->active, memory_order_relaxed);
        connections += atomic_load_explicit(&c->connections, memory_order_relaxed);
        requests += load64(&c->requests);
        responses += load64(&c->responses);
        connect_failures += load64(&c->connect_failures);
        resets += load64(&c->resets);
        answer = larger(answer, load64(&c->last_answer_ms));
        failure = larger(failure, load64(&c->last_failure_ms));
    }
    return (struct dx_board_cell){active,           connections, requests, responses,
                                  connect_failures, resets,      answer,   failure};
}

uint32_t dx_board_server_active(const struct dx_board *b, uint32_t server)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(server < DX_BOARD_SERVERS);
    uint32_t active = 0;
    for (unsigned w = 0, n = dx_board_parts(b); w < n; w++)
        active += atomic_load_explicit(&b->parts[w].cells[server].cell.active, memory_order_relaxed);
    return active;
}

/* --- signs of life --- */

void dx_board_beat(struct dx_board *b, unsigned worker, uint64_t ping)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(worker < dx_board_parts(b));
    atomic_store_explicit(&b->shared->beats[worker], ping, memory_order_relaxed);
}

uint64_t dx_board_beat_least(const struct dx_board *b, unsigned *of)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    uint64_t least = UINT64_MAX;
    for (unsigned w = 0, n = dx_board_parts(b); w < n; w++) {
        uint64_t beat = load64(&b->shared->beats[w]);
        if (beat >= least || !board_part_counts(b, w))
            continue;
        least = beat;
        *of = w;
    }
    return least;
}

/* --- counters --- */

static const struct {
    const char *name, *sentence;
} counters[] = {
#define COUNTER(id, name, sentence) [DX_COUNTER_##id] = {name, sentence},
#include "diplex/counters.def"
};

const char *dx_counter_name(enum dx_counter c)
{
    DX_ASSERT((size_t)c < DX_COUNT(counters));
    return counters[c].name;
}

const char *dx_counter_sentence(enum dx_counter c)
{
    DX_ASSERT((size_t)c < DX_COUNT(counters));
    return counters[c].sentence;
}

_Atomic uint64_t *dx_board_counters(struct dx_board *b, unsigned worker)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(worker < dx_board_parts(b));
    return b->parts[worker].counters;
}

static const bool is_most[DX_COUNTER_COUNT] = {
#define COUNTER(id, name, sentence)
#define MOST(id, name, sentence) [DX_COUNTER_##id] = true,
#include "diplex/counters.def"
};

bool board_counter_only_grows(enum dx_counter c)
{
    static const char suffix[] = "_total";
    const char *name = dx_counter_name(c);
    size_t n = strlen(name), tail = sizeof suffix - 1;
    return n > tail && strcmp(name + n - tail, suffix) == 0;
}

bool dx_board_counter_carry(struct dx_board *b, struct dx_slice name, uint64_t n)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    for (unsigned i = 0; i < DX_COUNTER_COUNT; i++) {
        enum dx_counter c = (enum dx_counter)i;
        if (!dx_slice_eq(name, dx_slice_str(dx_counter_name(c))))
            continue;
        b->own->carried[i] = board_counter_only_grows(c) ? n : 0;
        return board_counter_only_grows(c);
    }
    return false;
}

uint64_t dx_board_counter_sum(const struct dx_board *b, enum dx_counter c)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(c < DX_COUNTER_COUNT);
    uint64_t sum = b->own ? b->own->carried[c] : 0, most = 0;
    for (unsigned w = 0, n = dx_board_parts(b); w < n; w++) {
        uint64_t value = load64(&b->parts[w].counters[c]);
        sum += value;
        most = larger(most, value);
    }
    return is_most[c] ? most : sum;
}
