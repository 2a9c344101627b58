/* SPDX-License-Identifier: MIT */
/* The board: lists keep their places, readers see whole lists while control writes, nothing read back is
 * trusted. */
#include "diplex/board.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board/layout.h"
#include "diplex/os/shm.h"

static struct dx_err err;
static struct dx_board *control, *data;

static void setup(void)
{
    control = dx_board_new(2, &err);
    ck_assert_ptr_nonnull(control);
    data = dx_board_map(dx_board_fd(control), &err);
    ck_assert_ptr_nonnull(data);
}

static void teardown(void)
{
    dx_board_free(&data);
    dx_board_free(&control);
    ck_assert_ptr_null(control);
    dx_board_free(&control);
}

static struct dx_board_server server(const char *name, uint16_t port)
{
    struct dx_board_server s = {.id = DX_BOARD_NONE, .weight = port, .backup = port % 2 == 1};
    (void)snprintf(s.name, sizeof s.name, "%s", name);
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), port, &s.address));
    return s;
}

static uint32_t add(const char *name)
{
    uint32_t pool = dx_board_pool_add(control, name);
    ck_assert_uint_ne(pool, DX_BOARD_NONE);
    return pool;
}

START_TEST(pools_are_found_by_both)
{
    uint32_t sync = add("sync"), async = add("async");
    ck_assert_uint_ne(sync, async);
    ck_assert_uint_eq(dx_board_pool_find(control, "async"), async);
    ck_assert_uint_eq(dx_board_pool_find(data, "sync"), sync);
    ck_assert_uint_eq(dx_board_pool_find(data, "syn"), DX_BOARD_NONE);
    dx_board_pool_remove(control, sync);
    ck_assert_uint_eq(dx_board_pool_find(data, "sync"), DX_BOARD_NONE);
    ck_assert_uint_eq(dx_board_pool_find(data, "async"), async);
    ck_assert_uint_eq(add("third"), sync);
}
END_TEST

START_TEST(long_names_are_told_apart)
{
    char a[200], b[200];
    memset(a, 'a', sizeof a);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof b);
    b[sizeof b - 2] = 'b';
    uint32_t first = add(a);
    ck_assert_uint_eq(dx_board_pool_find(data, b), DX_BOARD_NONE);
    uint32_t second = add(b);
    ck_assert_uint_eq(dx_board_pool_find(data, a), first);
    ck_assert_uint_eq(dx_board_pool_find(data, b), second);
    a[DX_BOARD_NAME - 1] = '\0'; /* the longest that fits as it is */
    ck_assert_uint_eq(dx_board_pool_find(data, a), DX_BOARD_NONE);
    ck_assert_uint_eq(add(a), dx_board_pool_find(data, a));
}
END_TEST

START_TEST(pools_run_out)
{
    char name[16];
    for (unsigned i = 0; i < DX_BOARD_POOLS; i++) {
        (void)snprintf(name, sizeof name, "p%u", i);
        ck_assert_uint_eq(add(name), i);
    }
    ck_assert_uint_eq(dx_board_pool_add(control, "one too many"), DX_BOARD_NONE);
    ck_assert_uint_eq(dx_board_pool_find(data, "p255"), 255);
}
END_TEST

START_TEST(a_list_arrives_as_it_was_written)
{
    struct dx_board_server list[2] = {server("web:8000", 8000), server("web:8001", 8001)},
                           got[DX_BOARD_POOL_SERVERS];
    uint32_t pool = add("sync"), before = dx_board_pool_version(data, pool), version = 0;
    ck_assert(dx_board_pool_write(control, pool, list, 2));
    ck_assert_uint_ne(list[0].id, list[1].id);
    ck_assert_uint_ne(dx_board_pool_version(data, pool), before);
    ck_assert_uint_eq(dx_board_pool_read(data, pool, got, &version), 2);
    ck_assert_uint_eq(version, dx_board_pool_version(data, pool));
    ck_assert_uint_eq(version, dx_board_pool_version(control, pool));
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(got[i].id, list[i].id);
        ck_assert_uint_eq(got[i].generation, list[i].generation);
        ck_assert_str_eq(got[i].name, list[i].name);
        ck_assert_uint_eq(got[i].weight, list[i].weight);
        ck_assert(got[i].backup == list[i].backup);
        ck_assert(dx_address_eq(&got[i].address, &list[i].address));
        ck_assert_int_eq(dx_board_server_state(data, got[i].id), DX_SERVER_STARTING);
    }
    ck_assert_uint_eq(dx_board_pool_read(control, pool, got, NULL), 2);
}
END_TEST

START_TEST(a_unix_path_arrives_whole)
{
    struct dx_board_server one = {.id = DX_BOARD_NONE, .name = "unix:/run/gunicorn.sock"},
                           got[DX_BOARD_POOL_SERVERS];
    ck_assert(dx_address_parse(DX_SLICE("unix:/run/gunicorn.sock"), false, &one.address));
    uint32_t pool = add("sync");
    ck_assert(dx_board_pool_write(control, pool, &one, 1));
    ck_assert_uint_eq(dx_board_pool_read(data, pool, got, NULL), 1);
    ck_assert(dx_address_eq(&got[0].address, &one.address));
    ck_assert_uint_eq(got[0].address.len, one.address.len);
}
END_TEST

START_TEST(what_stays_keeps_place_and_state)
{
    struct dx_board_server list[3] = {server("a", 1), server("b", 2), server("c", 3)}, kept[2];
    uint32_t pool = add("p");
    ck_assert(dx_board_pool_write(control, pool, list, 2));
    dx_board_server_set(control, list[1].id, DX_SERVER_DOWN, DX_WHY_PROBE);
    kept[0] = list[1];
    kept[1] = list[2];
    ck_assert(dx_board_pool_write(control, pool, kept, 2));
    ck_assert_uint_eq(kept[0].id, list[1].id);
    ck_assert_uint_eq(kept[0].generation, list[1].generation);
    ck_assert_int_eq(dx_board_server_state(data, kept[0].id), DX_SERVER_DOWN);
    ck_assert_int_eq(dx_board_server_why(data, kept[0].id), DX_WHY_PROBE);
    ck_assert_int_eq(dx_board_server_state(data, kept[1].id), DX_SERVER_STARTING);
    ck_assert_int_eq(dx_board_server_why(data, kept[1].id), DX_WHY_NONE);
}
END_TEST

START_TEST(another_address_is_another_generation)
{
    struct dx_board_server one = server("a", 1);
    uint32_t pool = add("p");
    ck_assert(dx_board_pool_write(control, pool, &one, 1));
    uint32_t id = one.id, generation = one.generation;
    one.weight = 7;
    ck_assert(dx_board_pool_write(control, pool, &one, 1));
    ck_assert_uint_eq(one.generation, generation);
    dx_address_set_port(&one.address, 99);
    ck_assert(dx_board_pool_write(control, pool, &one, 1));
    ck_assert_uint_eq(one.id, id);
    ck_assert_uint_ne(one.generation, generation);
}
END_TEST

START_TEST(a_place_comes_back_with_a_new_generation)
{
    uint32_t pool = add("p"), seen[DX_BOARD_SERVERS] = {0};
    for (unsigned i = 0; i < 2 * DX_BOARD_SERVERS; i++) {
        struct dx_board_server one = server("x", (uint16_t)(i + 1));
        ck_assert(dx_board_pool_write(control, pool, &one, 1));
        ck_assert_uint_gt(one.generation, seen[one.id]);
        seen[one.id] = one.generation;
        ck_assert_int_eq(dx_board_server_state(data, one.id), DX_SERVER_STARTING);
        dx_board_server_set(control, one.id, DX_SERVER_UP, DX_WHY_NONE);
    }
}
END_TEST

START_TEST(a_busy_place_is_used_again_last)
{
    uint32_t pool = add("p");
    struct dx_board_server busy = server("busy", 1);
    ck_assert(dx_board_pool_write(control, pool, &busy, 1));
    atomic_store(&dx_board_cell(data, 1, busy.id)->active, 1);
    for (unsigned i = 0; i < 2 * DX_BOARD_SERVERS; i++) {
        struct dx_board_server one = server("x", (uint16_t)(i + 1));
        ck_assert(dx_board_pool_write(control, pool, &one, 1));
        ck_assert_uint_ne(one.id, busy.id);
    }
}
END_TEST

START_TEST(a_full_board_changes_nothing)
{
    struct dx_board_server list[DX_BOARD_POOL_SERVERS], got[DX_BOARD_POOL_SERVERS];
    char name[8];
    for (unsigned p = 0; p < DX_BOARD_SERVERS / DX_BOARD_POOL_SERVERS; p++) {
        (void)snprintf(name, sizeof name, "p%u", p);
        for (unsigned i = 0; i < DX_BOARD_POOL_SERVERS; i++)
            list[i] = server("s", (uint16_t)(p * 1000 + i + 1));
        ck_assert(dx_board_pool_write(control, add(name), list, DX_BOARD_POOL_SERVERS));
    }
    uint32_t extra = add("extra"), version = dx_board_pool_version(data, extra);
    struct dx_board_server one = server("s", 1);
    ck_assert(!dx_board_pool_write(control, extra, &one, 1));
    ck_assert_uint_eq(one.id, DX_BOARD_NONE);
    ck_assert_uint_eq(dx_board_pool_version(data, extra), version);
    ck_assert_uint_eq(dx_board_pool_read(data, extra, got, NULL), 0);
    dx_board_pool_remove(control, dx_board_pool_find(control, "p3"));
    ck_assert(dx_board_pool_write(control, extra, &one, 1));
}
END_TEST

START_TEST(cells_are_summed_and_share_no_line)
{
    struct dx_board_cell *a = dx_board_cell(data, 0, 5), *b = dx_board_cell(data, 1, 5);
    ck_assert_uint_eq((uintptr_t)a % 64, 0);
    ck_assert_uint_eq((uintptr_t)b % 64, 0);
    ck_assert_uint_ge((uintptr_t)dx_board_cell(data, 0, 6) - (uintptr_t)a, 64);
    ck_assert_uint_eq((uintptr_t)dx_board_counters(data, 1) % 64, 0);
    atomic_store(&a->active, 2);
    atomic_store(&b->active, 3);
    dx_count_add(&a->responses, 10);
    dx_count_add(&b->responses, 5);
    dx_count_add(&b->resets, 1);
    atomic_store(&a->last_answer_ms, 70);
    atomic_store(&b->last_answer_ms, 60);
    struct dx_board_cell sum = dx_board_cell_sum(control, 5);
    ck_assert_uint_eq(sum.active, 5);
    ck_assert_uint_eq(sum.responses, 15);
    ck_assert_uint_eq(sum.resets, 1);
    ck_assert_uint_eq(sum.last_answer_ms, 70);
    ck_assert_uint_eq(dx_board_server_active(control, 5), 5);
}
END_TEST

START_TEST(counters_go_on_when_data_starts_again)
{
    struct dx_board_server one = server("a", 1);
    ck_assert(dx_board_pool_write(control, add("p"), &one, 1));
    uint32_t seat = dx_board_seat_take(control), parts[2];
    ck_assert(dx_board_parts_take(control, seat, 2, parts));
    dx_count_add(&dx_board_counters(data, 0)[DX_COUNTER_REQUESTS], 3);
    dx_count_add(&dx_board_counters(data, 1)[DX_COUNTER_REQUESTS], 4);
    dx_count_add(&dx_board_counters(data, 1)[DX_COUNTER_CLIENTS_OPEN], 9);
    atomic_store(&dx_board_cell(data, 1, one.id)->active, 4);
    dx_count_add(&dx_board_cell(data, 1, one.id)->requests, 8);
    dx_board_data_started(control, 4711);
    dx_board_seat_free(control, seat);
    dx_board_data_started(control, 4712);
    ck_assert_uint_eq(dx_board_data_starts(data), 2);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_REQUESTS), 7);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_CLIENTS_OPEN), 0);
    ck_assert_uint_eq(dx_board_server_active(control, one.id), 0);
    struct dx_board_cell sum = dx_board_cell_sum(control, one.id);
    ck_assert_uint_eq(sum.requests, 8);
}
END_TEST

START_TEST(counters_go_on_from_another_board)
{
    ck_assert(dx_board_counter_carry(control, DX_SLICE("requests_total"), 1000));
    ck_assert(!dx_board_counter_carry(control, DX_SLICE("requests_running"), 5));
    ck_assert(!dx_board_counter_carry(control, DX_SLICE("worker_turn_longest_us"), 5));
    ck_assert(!dx_board_counter_carry(control, DX_SLICE("requests"), 5));
    ck_assert(!dx_board_counter_carry(control, DX_SLICE("requests_of_tomorrow_total"), 5));
    dx_board_data_starts_carry(control, 3);
    dx_count_add(&dx_board_counters(data, 1)[DX_COUNTER_REQUESTS], 4);
    dx_board_data_started(control, 4711);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_REQUESTS), 1004);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_REQUESTS_RUNNING), 0);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_TURN_LONGEST), 0);
    ck_assert_uint_eq(dx_board_data_starts(control), 4);

    int saved = dx_board_save(control), fd = dup(dx_board_fd(control));
    dx_board_free(&control);
    control = dx_board_resume(fd, saved, &err);
    ck_assert_ptr_nonnull(control);
    close(saved);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_REQUESTS), 1004);
}
END_TEST

START_TEST(a_seat_has_its_own_sums)
{
    uint32_t first = dx_board_seat_take(control), second = dx_board_seat_take(control), parts[3];
    ck_assert(dx_board_parts_take(control, first, 2, parts));
    ck_assert(dx_board_parts_take(control, second, 1, parts + 2));
    for (unsigned i = 0; i < 3; i++)
        dx_count_add(&dx_board_counters(data, parts[i])[DX_COUNTER_REQUESTS_RUNNING], i + 1);
    ck_assert_uint_eq(dx_board_seat_counter_sum(control, first, DX_COUNTER_REQUESTS_RUNNING), 3);
    ck_assert_uint_eq(dx_board_seat_counter_sum(control, second, DX_COUNTER_REQUESTS_RUNNING), 3);
    ck_assert(dx_board_part_free(control, first, parts[1]));
    ck_assert(!dx_board_part_free(control, DX_BOARD_NONE, parts[1]));
    ck_assert_uint_eq(dx_board_seat_counter_sum(control, first, DX_COUNTER_REQUESTS_RUNNING), 1);
}
END_TEST

START_TEST(a_part_has_one_owner_at_a_time)
{
    uint32_t first = dx_board_seat_take(control), second = dx_board_seat_take(control), parts[DX_BOARD_PARTS];
    ck_assert_uint_ne(first, second);
    ck_assert(dx_board_parts_take(control, first, 2, parts));
    ck_assert(dx_board_parts_take(control, second, 3, parts + 2));
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(parts[i], i);
    ck_assert_uint_eq(dx_board_parts(data), 5);
    dx_count_add(&dx_board_counters(data, 1)[DX_COUNTER_REQUESTS], 6);
    ck_assert(!dx_board_part_free(control, second, 1));
    ck_assert(!dx_board_part_free(control, second, DX_BOARD_PARTS));
    ck_assert(dx_board_part_free(control, first, 1));
    ck_assert(!dx_board_part_free(control, first, 1));
    ck_assert(!dx_board_parts_take(control, second, DX_BOARD_PARTS - 3, parts));
    ck_assert(dx_board_parts_take(control, second, 1, parts));
    ck_assert_uint_eq(parts[0], 1);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_REQUESTS), 6);
    dx_board_seat_free(control, first);
    dx_board_seat_free(control, second);
    ck_assert(dx_board_parts_take(control, dx_board_seat_take(control), DX_BOARD_PARTS, parts));
}
END_TEST

START_TEST(there_is_an_end_of_seats)
{
    for (unsigned i = 0; i < DX_BOARD_SEATS; i++)
        ck_assert_uint_eq(dx_board_seat_take(control), i);
    ck_assert_uint_eq(dx_board_seat_take(control), DX_BOARD_NONE);
    dx_board_seat_free(control, 3);
    ck_assert_uint_eq(dx_board_seat_take(control), 3);
}
END_TEST

START_TEST(workers_are_those_of_ones_own_seat)
{
    ck_assert_uint_eq(dx_board_workers(data), 2);
    (void)!dx_board_seat_take(control);
    uint32_t seat = dx_board_seat_take(control);
    dx_board_workers_set(control, seat, 5);
    ck_assert_uint_eq(dx_board_workers(data), 2);
    ck_assert_uint_eq(dx_board_workers(control), 5);
    dx_board_sit(data, seat);
    ck_assert_uint_eq(dx_board_workers(data), 5);
    dx_board_seat_free(control, seat);
    ck_assert_uint_eq(dx_board_workers(control), 2);
}
END_TEST

START_TEST(slots_are_counted_over_all_data_processes)
{
    struct dx_board *other = dx_board_map(dx_board_fd(control), &err);
    dx_board_sit(data, dx_board_seat_take(control));
    ck_assert(dx_board_slot_take(data, 7, 3));
    ck_assert_uint_eq(dx_board_slots_of_others(data, 7), 0);
    dx_board_sit(other, dx_board_seat_take(control));
    ck_assert_uint_eq(dx_board_slots_of_others(other, 7), 1);
    ck_assert(dx_board_slot_take(other, 7, 3));
    ck_assert(dx_board_slot_take(data, 7, 3));
    ck_assert(!dx_board_slot_take(other, 7, 3));
    ck_assert(!dx_board_slot_take(data, 7, 3));
    dx_board_slot_give_back(data, 7);
    ck_assert(dx_board_slot_take(other, 7, 3));
    ck_assert_uint_eq(dx_board_slots_of_others(data, 7), 2);
    dx_board_pool_queue_set(data, 9, (struct dx_board_queue){.waiting = 1});
    dx_board_pool_queue_set(other, 9, (struct dx_board_queue){.waiting = 4, .down = true});
    ck_assert_uint_eq(dx_board_pool_waits(control, 9).held, 4);
    ck_assert_uint_eq(dx_board_pool_waits(control, 9).queued, 1);
    ck_assert(dx_board_pool_waits(control, 9).for_server);
    dx_board_seat_free(control, 1);
    ck_assert_uint_eq(dx_board_slots_of_others(data, 7), 0);
    ck_assert_uint_eq(dx_board_pool_waits(control, 9).queued, 1);
    ck_assert_uint_eq(dx_board_pool_waits(control, 9).held, 0);
    ck_assert(!dx_board_pool_waits(control, 9).for_server);
    dx_board_free(&other);
}
END_TEST

/* Held: nobody may serve them, or nobody can. Queued: all slots are taken. */
START_TEST(who_waits_is_held_or_queued)
{
    static const struct {
        struct dx_board_queue queue;
        enum dx_board_hold hold;
        struct dx_board_waits waits;
    } rows[] = {
        {{7, 3, false}, DX_HOLD_NONE, {0, 7, false}},
        {{7, 3, true}, DX_HOLD_NONE, {7, 0, true}},
        {{7, 3, false}, DX_HOLD_ALL, {7, 0, false}},
        {{7, 3, true}, DX_HOLD_ALL, {7, 0, true}},
        {{7, 3, false}, DX_HOLD_WRITES, {3, 4, false}},
        {{7, 3, true}, DX_HOLD_WRITES, {7, 0, true}},
        {{0, 0, true}, DX_HOLD_ALL, {0, 0, false}},
        {{2, 9, false}, DX_HOLD_WRITES, {2, 0, false}},
        {{UINT32_MAX, INT32_MAX, false}, DX_HOLD_WRITES, {INT32_MAX, UINT32_MAX - INT32_MAX, false}},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        dx_board_pool_hold_set(control, 9, rows[i].hold);
        dx_board_pool_queue_set(data, 9, rows[i].queue);
        struct dx_board_waits w = dx_board_pool_waits(control, 9);
        ck_assert_msg(w.held == rows[i].waits.held && w.queued == rows[i].waits.queued &&
                          w.for_server == rows[i].waits.for_server,
                      "row %zu: %u %u %d", i, w.held, w.queued, w.for_server);
    }
}
END_TEST

START_TEST(another_program_goes_on_with_it)
{
    struct dx_board_server list[2] = {server("a", 1), server("b", 2)}, got[DX_BOARD_POOL_SERVERS];
    uint32_t pool = add("p"), parts[3], seat = dx_board_seat_take(control);
    ck_assert(dx_board_pool_write(control, pool, list, 2));
    ck_assert(dx_board_parts_take(control, seat, 3, parts));
    dx_count_add(&dx_board_counters(data, 2)[DX_COUNTER_REQUESTS], 5);
    int saved = dx_board_save(control), fd = dup(dx_board_fd(control));
    ck_assert_int_ge(saved, 0);
    dx_board_free(&control);
    control = dx_board_resume(fd, saved, &err);
    ck_assert_msg(control != NULL, "%s", err.text);
    close(saved);
    ck_assert_uint_eq(dx_board_pool_find(control, "p"), pool);
    ck_assert_uint_eq(dx_board_pool_read(control, pool, got, NULL), 2);
    ck_assert_uint_eq(got[1].id, list[1].id);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_REQUESTS), 5);
    ck_assert_uint_ne(dx_board_seat_take(control), seat);
    ck_assert(dx_board_part_free(control, seat, parts[1]));
    ck_assert(dx_board_pool_write(control, pool, list, 1)); /* it is the one who writes now */
    ck_assert_uint_eq(dx_board_pool_read(data, pool, got, NULL), 1);
}
END_TEST

START_TEST(half_of_what_was_known_is_refused)
{
    int saved = dx_board_save(control), fd = dup(dx_board_fd(control)), half = memfd_create("half", 0);
    char bytes[1000];
    ck_assert_int_eq(pread(saved, bytes, sizeof bytes, 0), sizeof bytes);
    ck_assert_int_eq(write(half, bytes, sizeof bytes), sizeof bytes);
    ck_assert_ptr_null(dx_board_resume(fd, half, &err));
    close(saved), close(fd), close(half);
}
END_TEST

START_TEST(of_times_the_longest_is_told)
{
    atomic_store(&dx_board_counters(data, 0)[DX_COUNTER_TURN_LONGEST], 700);
    atomic_store(&dx_board_counters(data, 1)[DX_COUNTER_TURN_LONGEST], 300);
    atomic_store(&dx_board_counters(data, 1)[DX_COUNTER_TAKEOVER], 30);
    atomic_store(&dx_board_counters(data, 0)[DX_COUNTER_TURNS_LONG], 2);
    atomic_store(&dx_board_counters(data, 1)[DX_COUNTER_TURNS_LONG], 3);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_TURN_LONGEST), 700);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_TAKEOVER), 30);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_TURNS_LONG), 5);
    uint32_t seat = dx_board_seat_take(control), parts[2];
    ck_assert(dx_board_parts_take(control, seat, 2, parts));
    dx_board_seat_free(control, seat);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_TURN_LONGEST), 0);
    ck_assert_uint_eq(dx_board_counter_sum(control, DX_COUNTER_TURNS_LONG), 5);
}
END_TEST

START_TEST(every_counter_and_reason_has_words)
{
    for (int c = 0; c < DX_COUNTER_COUNT; c++) {
        ck_assert_uint_gt(strlen(dx_counter_name((enum dx_counter)c)), 0);
        ck_assert_uint_gt(strlen(dx_counter_sentence((enum dx_counter)c)), 0);
    }
    ck_assert_str_eq(dx_down_reason_word(DX_WHY_PASSIVE), "passive");
    ck_assert_str_eq(dx_down_reason_word(DX_WHY_NAME_GONE), "name_gone");
}
END_TEST

START_TEST(strange_memory_is_no_board)
{
    int fd = -1;
    void *p = dx_shm_create("strange", 1 << 16, &fd);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(dx_board_map(fd, &err));
    memcpy(p, data->shared, sizeof(struct head)); /* the right head, but too few bytes behind it */
    ck_assert_ptr_null(dx_board_map(fd, &err));
    ck_assert_uint_gt(strlen(err.text), 0);
    dx_shm_unmap(p, 1 << 16);
    (void)close(fd);
}
END_TEST

/* A data process gone mad writes all over the memory: control goes on with what it knows. */
START_TEST(the_last_to_give_a_sign_of_life_is_named)
{
    unsigned last = 7;
    ck_assert_uint_eq(dx_board_beat_least(control, &last), 0);
    dx_board_beat(data, 0, 3);
    ck_assert_uint_eq(dx_board_beat_least(control, &last), 0);
    ck_assert_uint_eq(last, 1);
    dx_board_beat(data, 1, 4);
    ck_assert_uint_eq(dx_board_beat_least(control, &last), 3);
    ck_assert_uint_eq(last, 0);
}
END_TEST

START_TEST(control_survives_a_hostile_data_process)
{
    struct dx_board_server list[2] = {server("a", 1), server("b", 2)}, got[DX_BOARD_POOL_SERVERS];
    uint32_t pool = add("p");
    ck_assert(dx_board_pool_write(control, pool, list, 2));
    memset(data->shared, 0xff, data->bytes);
    ck_assert_uint_eq(dx_board_pool_find(control, "p"), pool);
    ck_assert_uint_eq(dx_board_pool_read(control, pool, got, NULL), 2);
    ck_assert_uint_eq(got[1].id, list[1].id);
    ck_assert_int_eq(dx_board_server_state(control, list[0].id), DX_SERVER_STARTING);
    ck_assert_int_eq(dx_board_server_why(control, list[0].id), DX_WHY_NONE);
    (void)dx_board_cell_sum(control, list[0].id);
    ck_assert(dx_board_pool_write(control, pool, list, 1));
    dx_board_data_started(control, 1);
    ck_assert_uint_eq(dx_board_pool_read(data, pool, got, NULL), 1);
    ck_assert_str_eq(got[0].name, "a");
}
END_TEST

/* --- a reader and a writer at once --- */

#define ROUNDS 4000u

struct hammer {
    uint32_t pool;
    atomic_bool running, done;
    unsigned reads, torn, versions;
};

static bool is_whole(const struct dx_board_server *got, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[DX_BOARD_NAME];
        (void)snprintf(name, sizeof name, "round-%u", got[0].weight);
        if (got[i].weight != got[0].weight || strcmp(got[i].name, name) != 0)
            return false;
        if (dx_address_port(&got[i].address) != (uint16_t)(got[0].weight + i))
            return false;
    }
    return n == got[0].weight % 5 + 1;
}

static void *read_on(void *arg)
{
    struct hammer *h = arg;
    struct dx_board_server got[DX_BOARD_POOL_SERVERS];
    uint32_t version = 0, last = 0;
    while (!atomic_load(&h->done)) {
        size_t n = dx_board_pool_read(data, h->pool, got, &version);
        h->reads++;
        h->torn += n > 0 && !is_whole(got, n);
        h->versions += version != last;
        last = version;
        atomic_store(&h->running, true);
        if (n > 0)
            dx_count_add(&dx_board_cell(data, 1, got[0].id)->requests, 1);
        if (dx_board_pool_find(data, "hammered") != h->pool)
            h->torn++;
    }
    return NULL;
}

START_TEST(a_reader_never_sees_half_a_list)
{
    struct hammer h = {.pool = add("hammered")};
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_on, &h), 0);
    while (!atomic_load(&h.running))
        continue;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct dx_board_server list[5];
        unsigned n = round % 5 + 1;
        for (unsigned i = 0; i < n; i++) {
            list[i] = server("", (uint16_t)(round + i));
            list[i].weight = round;
            (void)snprintf(list[i].name, sizeof list[i].name, "round-%u", round);
        }
        ck_assert(dx_board_pool_write(control, h.pool, list, n));
        (void)dx_board_cell_sum(control, list[0].id);
    }
    atomic_store(&h.done, true);
    ck_assert_int_eq(pthread_join(reader, NULL), 0);
    ck_assert_uint_eq(h.torn, 0);
    ck_assert_uint_gt(h.reads, 0);
    ck_assert_uint_gt(h.versions, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("board");
    TCase *c = tcase_create("board");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, pools_are_found_by_both);
    tcase_add_test(c, long_names_are_told_apart);
    tcase_add_test(c, pools_run_out);
    tcase_add_test(c, a_list_arrives_as_it_was_written);
    tcase_add_test(c, a_unix_path_arrives_whole);
    tcase_add_test(c, what_stays_keeps_place_and_state);
    tcase_add_test(c, another_address_is_another_generation);
    tcase_add_test(c, a_place_comes_back_with_a_new_generation);
    tcase_add_test(c, a_busy_place_is_used_again_last);
    tcase_add_test(c, a_full_board_changes_nothing);
    tcase_add_test(c, cells_are_summed_and_share_no_line);
    tcase_add_test(c, counters_go_on_when_data_starts_again);
    tcase_add_test(c, counters_go_on_from_another_board);
    tcase_add_test(c, a_seat_has_its_own_sums);
    tcase_add_test(c, a_part_has_one_owner_at_a_time);
    tcase_add_test(c, there_is_an_end_of_seats);
    tcase_add_test(c, workers_are_those_of_ones_own_seat);
    tcase_add_test(c, slots_are_counted_over_all_data_processes);
    tcase_add_test(c, who_waits_is_held_or_queued);
    tcase_add_test(c, another_program_goes_on_with_it);
    tcase_add_test(c, half_of_what_was_known_is_refused);
    tcase_add_test(c, of_times_the_longest_is_told);
    tcase_add_test(c, every_counter_and_reason_has_words);
    tcase_add_test(c, the_last_to_give_a_sign_of_life_is_named);
    tcase_add_test(c, strange_memory_is_no_board);
    tcase_add_test(c, control_survives_a_hostile_data_process);
    tcase_add_test(c, a_reader_never_sees_half_a_list);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
