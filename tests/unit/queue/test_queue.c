/* SPDX-License-Identifier: MIT */
/*
 * Gates, turns and slots: who goes, who waits, in which order, and what is said to whom; then all of it with
 * four threads at once, for the thread sanitizer.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "diplex/base/err.h"
#include "diplex/os/clock.h"
#include "queue/internal.h"

#define MOST 200

static struct dx_board *board;
static struct dx_queues *queues;
static struct dx_loop *loop;
static struct dx_desk *desk;
static struct dx_gate *gate;
static struct dx_timer end;
static uint32_t pool;
static struct dx_board_server servers[4];
static struct dx_pool_config settings;
static const struct dx_tried nobody;

struct asker {
    struct dx_turn turn;
    struct dx_tried tried;
    struct dx_slot slot;
    enum dx_turn_answer answer;
    unsigned told;
};
static struct asker askers[MOST];
static struct asker *went[MOST];
static unsigned went_n;

static void publish(size_t n)
{
    ck_assert(dx_board_pool_write(board, pool, servers, n));
    for (size_t i = 0; i < n; i++)
        dx_board_server_set(board, servers[i].id, DX_SERVER_UP, DX_WHY_NONE);
}

static void use(void)
{
    ck_assert(dx_queues_set(queues, pool, &settings));
    gate = dx_queues_gate(queues, pool);
}

static void setup(void)
{
    struct dx_err err;
    board = dx_board_new(4, &err);
    ck_assert_ptr_nonnull(board);
    queues = dx_queues_new(board, -1);
    loop = dx_loop_new();
    desk = dx_desk_new(queues, loop);
    ck_assert(queues != NULL && loop != NULL && desk != NULL);
    pool = dx_board_pool_add(board, "sync");
    memset(servers, 0, sizeof(servers));
    for (unsigned i = 0; i < DX_COUNT(servers); i++) {
        servers[i].id = DX_BOARD_NONE;
        servers[i].weight = 1;
        ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), (uint16_t)(8000 + i), &servers[i].address));
    }
    settings = (struct dx_pool_config){.name = "sync",
                                       .slots = 1,
                                       .queue = {.max = 100, .wait = 30000},
                                       .hold = {.max = 100, .wait = 30000, .bytes = 1000},
                                       .sticky = {.secret = ""}};
    publish(1);
    use();
    memset(askers, 0, sizeof(askers));
    went_n = 0;
}

static void teardown(void)
{
    dx_timer_clear(&end);
    dx_desk_free(&desk);
    dx_queues_free(&queues); /* asserts that nobody waits and that every slot came back */
    dx_loop_free(&loop);
    dx_board_free(&board);
}

static void on_end(struct dx_timer *t)
{
    (void)t;
    dx_loop_stop(loop);
}

/* One turn more than the time: after a standstill the end of it may be seen before what came earlier. */
static void run_for(uint64_t ms)
{
    end.on_due = on_end;
    for (unsigned turn = 0; turn < 2; turn++) {
        dx_timer_set(loop, &end, turn == 0 ? ms : 1);
        dx_loop_run(loop);
    }
}

/* For as long as it takes, within bounds: this machine may stand still for a while. */
#define UNTIL(condition)                                                                         \
    for (uint64_t until_us = dx_clock_us() + 5000000; !(condition) && dx_clock_us() < until_us;) \
    run_for(5)

static void goes(struct asker *a)
{
    a->slot = a->turn.slot;
    a->turn.slot.gate = NULL;
    went[went_n++] = a;
}

static void on_turn(struct dx_turn *t)
{
    struct asker *a = DX_CONTAINER(t, struct asker, turn);
    a->told++;
    a->answer = dx_turn_look(t);
    if (a->answer == DX_TURN_GO)
        goes(a);
}

static enum dx_turn_answer asks(struct asker *a)
{
    a->turn.on_turn = on_turn;
    a->turn.tried = &a->tried;
    a->answer = dx_turn_ask(&a->turn, gate, desk);
    if (a->answer == DX_TURN_GO)
        goes(a);
    return a->answer;
}

static void done(struct asker *a) { dx_slot_give_back(&a->slot); }

/* --- slots --- */

START_TEST(a_pool_without_slots_is_open)
{
    settings.slots = 0;
    use();
    ck_assert(dx_gate_is_open(gate));
    settings.slots = 2;
    use();
    ck_assert(!dx_gate_is_open(gate));
}
END_TEST

START_TEST(who_comes_first_goes_first)
{
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    for (unsigned i = 1; i < 5; i++)
        ck_assert_int_eq(asks(&askers[i]), DX_TURN_WAIT);
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).queued, 4);
    ck_assert(!dx_turn_held(&askers[1].turn));
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(went_n, i + 1);
        ck_assert_ptr_eq(went[i], &askers[i]);
        done(went[i]);
        run_for(1);
    }
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).queued, 0);
}
END_TEST

/* Somebody who asks again, because its connection failed, keeps its place. */
START_TEST(a_turn_keeps_its_place)
{
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_WAIT);
    done(&askers[0]);
    run_for(1);
    ck_assert_ptr_eq(went[1], &askers[1]);
    struct dx_slot taken = askers[1].slot; /* the server is taken away meanwhile, by a test of its own */
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    dx_slot_give_back(&taken);
    run_for(1);
    ck_assert_ptr_eq(went[2], &askers[1]);
    done(&askers[1]);
    run_for(1);
    ck_assert_ptr_eq(went[3], &askers[2]);
    done(&askers[2]);
}
END_TEST

START_TEST(two_servers_have_two_slots)
{
    publish(2);
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_GO);
    ck_assert_uint_ne(askers[0].slot.id, askers[1].slot.id);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_WAIT);
    dx_turn_leave(&askers[2].turn);
    done(&askers[0]);
    done(&askers[1]);
}
END_TEST

/* What runs since before slots were counted counts as well. */
START_TEST(slots_that_are_new)
{
    struct dx_board_cell *cell = dx_board_cell(board, 3, servers[0].id);
    atomic_store(&cell->active, 1);
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_WAIT);
    atomic_store(&cell->active, 0);
    UNTIL(went_n > 0);
    ck_assert_ptr_eq(went[0], &askers[0]);
    done(&askers[0]);
}
END_TEST

START_TEST(a_server_that_leaves_takes_its_slots_along)
{
    publish(2);
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_GO);
    publish(1);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_WAIT);
    struct asker *gone = askers[0].slot.id == servers[1].id ? &askers[0] : &askers[1];
    struct asker *stays = gone == &askers[0] ? &askers[1] : &askers[0];
    done(gone);
    run_for(30);
    ck_assert_uint_eq(went_n, 2);
    done(stays);
    run_for(1);
    ck_assert_ptr_eq(went[2], &askers[2]);
    done(&askers[2]);
}
END_TEST

/* --- limits --- */

START_TEST(a_queue_that_is_full)
{
    settings.queue.max = 1;
    use();
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_FULL);
    ck_assert(!dx_turn_waits(&askers[2].turn));
    settings.queue.max = 0;
    use();
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_FULL);
    dx_turn_leave(&askers[1].turn);
    done(&askers[0]);
}
END_TEST

START_TEST(who_leaves_is_passed_over)
{
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    for (unsigned i = 1; i < 60; i++)
        ck_assert_int_eq(asks(&askers[i]), DX_TURN_WAIT);
    for (unsigned i = 1; i < 60; i += i % 3 == 1 ? 2 : 1)
        dx_turn_leave(&askers[i].turn);
    done(&askers[0]);
    run_for(1);
    for (unsigned n = 1; n < went_n; n++) {
        if (n > 1)
            ck_assert(went[n - 1] < went[n]);
        done(went[n]);
        run_for(1);
    }
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).queued, 0);
}
END_TEST

/* A slot that was given to somebody who leaves before it heard of it goes to the next. */
START_TEST(who_leaves_with_a_slot_gives_it_back)
{
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_WAIT);
    done(&askers[0]);
    dx_turn_leave(&askers[1].turn);
    run_for(1);
    ck_assert_uint_eq(askers[1].told, 0);
    ck_assert_ptr_eq(went[1], &askers[2]);
    done(&askers[2]);
}
END_TEST

/* --- fairness --- */

START_TEST(clients_take_turns)
{
    settings.queue.fair_by = DX_FAIR_CLIENT_IP;
    use();
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    for (unsigned i = 1; i <= 20; i++) {
        askers[i].turn.client = i <= 16 ? 1 : i - 15; /* sixteen of the first, one of four others */
        ck_assert_int_eq(asks(&askers[i]), DX_TURN_WAIT);
    }
    for (unsigned n = 0; n < 6; n++) {
        done(went[n]);
        run_for(1);
    }
    /* the first of all five clients, then the second of the greedy one */
    ck_assert_ptr_eq(went[1], &askers[1]);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_ptr_eq(went[2 + i], &askers[17 + i]);
    ck_assert_ptr_eq(went[6], &askers[2]);
    for (unsigned n = 6; n < went_n; n++) {
        done(went[n]);
        run_for(1);
    }
    ck_assert_uint_eq(went_n, 21);
}
END_TEST

START_TEST(a_route_has_its_share)
{
    settings.slots = 4;
    use();
    for (unsigned i = 0; i < 6; i++) {
        askers[i].turn.share = 50;
        askers[i].turn.share_key = 77;
        ck_assert_int_eq(asks(&askers[i]), i < 2 ? DX_TURN_GO : DX_TURN_WAIT);
    }
    ck_assert_int_eq(asks(&askers[6]), DX_TURN_GO); /* of another route */
    ck_assert_int_eq(asks(&askers[7]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[8]), DX_TURN_WAIT);
    done(&askers[6]);
    run_for(1);
    ck_assert_ptr_eq(went[4], &askers[8]);
    done(&askers[0]);
    run_for(1);
    ck_assert_ptr_eq(went[5], &askers[2]);
    done(&askers[1]);
    done(&askers[7]);
    done(&askers[8]);
    done(&askers[2]);
    run_for(1);
    for (unsigned n = 6; n < went_n; n++) {
        done(went[n]);
        run_for(1);
    }
    ck_assert_uint_eq(went_n, 9);
}
END_TEST

/* --- holds --- */

static void server_is(enum dx_server_state s)
{
    dx_board_server_set(board, servers[0].id, s, s == DX_SERVER_DOWN ? DX_WHY_PROBE : DX_WHY_NONE);
}

START_TEST(held_while_nobody_is_up)
{
    server_is(DX_SERVER_DOWN);
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_WAIT);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    ck_assert(dx_turn_held(&askers[0].turn));
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).held, 2);
    ck_assert(dx_board_pool_waits(board, pool).for_server);
    server_is(DX_SERVER_UP);
    UNTIL(went_n > 0);
    ck_assert_uint_eq(went_n, 1);
    ck_assert_ptr_eq(went[0], &askers[0]);
    ck_assert(!dx_turn_held(&askers[1].turn));
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).held, 0);
    ck_assert(!dx_board_pool_waits(board, pool).for_server);
    done(&askers[0]);
    run_for(1);
    done(&askers[1]);
}
END_TEST

START_TEST(nothing_is_held_where_hold_is_off)
{
    settings.hold.wait = 0;
    use();
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    server_is(DX_SERVER_DOWN);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_DOWN);
    UNTIL(askers[1].answer != DX_TURN_WAIT);
    ck_assert_int_eq(askers[1].answer, DX_TURN_DOWN); /* who waited for a slot waits in vain */
    done(&askers[0]);
}
END_TEST

START_TEST(a_hold_takes_so_many_bytes)
{
    server_is(DX_SERVER_DOWN);
    askers[0].turn.bytes = 600;
    askers[1].turn.bytes = 600;
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_WAIT);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_FULL);
    dx_turn_leave(&askers[0].turn);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    dx_turn_leave(&askers[1].turn);
}
END_TEST

/* After a refusal one request goes first; the others follow when it got its connection. */
START_TEST(a_server_that_refused_is_tried_with_one)
{
    settings.slots = 0;
    use();
    dx_gate_refused(gate, servers[0].id, servers[0].generation, dx_loop_refresh_us(loop) / 1000);
    for (unsigned i = 0; i < 30; i++)
        ck_assert_int_eq(asks(&askers[i]), DX_TURN_WAIT);
    ck_assert(!dx_gate_is_open(gate));
    ck_assert(dx_turn_held(&askers[0].turn));
    UNTIL(went_n > 0);
    ck_assert_uint_eq(went_n, 1);
    dx_slot_tried(&askers[0].slot);
    UNTIL(went_n > 4);
    ck_assert_uint_gt(went_n, 4); /* several, and not all at once */
    ck_assert_uint_lt(went_n, 20);
    for (unsigned n = 0; n < went_n; n++) {
        ck_assert_ptr_eq(went[n], &askers[n]);
        done(went[n]);
        run_for(1);
    }
    ck_assert_uint_eq(went_n, 30);
    ck_assert(dx_gate_is_open(gate));
}
END_TEST

START_TEST(a_trial_that_fails_is_followed_by_another)
{
    dx_gate_refused(gate, servers[0].id, servers[0].generation, dx_loop_refresh_us(loop) / 1000);
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_WAIT);
    UNTIL(went_n > 0);
    ck_assert_uint_eq(went_n, 1);
    dx_gate_refused(gate, servers[0].id, servers[0].generation, dx_loop_refresh_us(loop) / 1000);
    done(&askers[0]);
    askers[0].tried = (struct dx_tried){.id = {servers[0].id}, .n = 1};
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_WAIT);
    UNTIL(went_n > 1);
    ck_assert_uint_eq(went_n, 2);
    dx_slot_tried(&askers[0].slot);
    done(&askers[0]);
}
END_TEST

START_TEST(an_operator_holds_and_releases)
{
    settings.slots = 0;
    use();
    dx_board_pool_hold_set(board, pool, DX_HOLD_WRITES);
    ck_assert(!dx_gate_is_open(gate));
    askers[0].turn.unsafe = askers[2].turn.unsafe = true;
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_WAIT);
    ck_assert(dx_turn_held(&askers[0].turn));
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_GO);
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).held, 1);
    dx_board_pool_hold_set(board, pool, DX_HOLD_ALL);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_WAIT);
    ck_assert_int_eq(asks(&askers[3]), DX_TURN_WAIT);
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).held, 3);
    ck_assert(!dx_board_pool_waits(board, pool).for_server); /* no reason to probe them faster */
    run_for(50);
    ck_assert_uint_eq(went_n, 1);
    dx_board_pool_hold_set(board, pool, DX_HOLD_NONE);
    UNTIL(went_n == 4);
    ck_assert_uint_eq(went_n, 4);
    ck_assert_ptr_eq(went[1], &askers[0]);
    for (unsigned n = 0; n < 4; n++)
        done(went[n]);
    dx_board_pool_hold_set(board, pool, DX_HOLD_WRITES);
    ck_assert_uint_eq(dx_board_pool_waits(board, pool).held, 0);
}
END_TEST

START_TEST(a_pool_that_leaves_lets_go)
{
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    dx_queues_forget(queues, pool);
    run_for(1);
    ck_assert_int_eq(askers[1].answer, DX_TURN_GONE);
    ck_assert_int_eq(asks(&askers[2]), DX_TURN_GONE);
    done(&askers[0]);
    use(); /* and comes back */
    ck_assert_int_eq(asks(&askers[3]), DX_TURN_GO);
    done(&askers[3]);
}
END_TEST

/* The place on the board may be another pool's at once. */
START_TEST(a_place_that_another_pool_takes)
{
    ck_assert_int_eq(asks(&askers[0]), DX_TURN_GO);
    ck_assert_int_eq(asks(&askers[1]), DX_TURN_WAIT);
    settings.name = "other";
    use();
    run_for(1);
    ck_assert_int_eq(askers[1].answer, DX_TURN_GONE);
    done(&askers[0]);
}
END_TEST

/* --- all workers at once --- */

#define THREADS 4
#define ROUNDS  400

static _Atomic unsigned running[4], worst, served;

struct crowd {
    pthread_t thread;
    struct dx_loop *loop;
    struct dx_desk *desk;
    struct one {
        struct dx_turn turn;
        struct dx_slot slot;
        struct dx_timer timer;
        struct crowd *crowd;
        bool runs;
    } one[8];
    unsigned left;
};

static void next_of(struct one *o);

static unsigned place_of(const struct one *o) { return o->slot.id == servers[0].id ? 0 : 1; }

static void works(struct one *o)
{
    o->slot = o->turn.slot;
    o->turn.slot.gate = NULL;
    o->runs = true;
    unsigned n = atomic_fetch_add(&running[place_of(o)], 1) + 1;
    if (n > atomic_load(&worst))
        atomic_store(&worst, n);
    dx_timer_set(o->crowd->loop, &o->timer, o->crowd->left % 3 == 0);
}

static void after(struct one *o, enum dx_turn_answer answer)
{
    if (answer == DX_TURN_GO)
        works(o);
    else if (answer == DX_TURN_WAIT && o->crowd->left % 7 == 0)
        dx_timer_set(o->crowd->loop, &o->timer, 0); /* leaves soon */
    else
        ck_assert_int_eq(answer, DX_TURN_WAIT);
}

static void on_timer(struct dx_timer *t)
{
    struct one *o = DX_CONTAINER(t, struct one, timer);
    if (o->runs) {
        atomic_fetch_sub(&running[place_of(o)], 1);
        atomic_fetch_add(&served, 1);
        dx_slot_give_back(&o->slot);
    } else {
        dx_turn_leave(&o->turn);
    }
    next_of(o);
}

static void on_turn_of_crowd(struct dx_turn *t)
{
    struct one *o = DX_CONTAINER(t, struct one, turn);
    enum dx_turn_answer answer = dx_turn_look(t);
    dx_timer_clear(&o->timer);
    if (answer == DX_TURN_GO)
        works(o);
}

static void next_of(struct one *o)
{
    struct crowd *c = o->crowd;
    o->runs = false;
    if (c->left == 0) {
        bool busy = false;
        for (unsigned i = 0; i < DX_COUNT(c->one); i++)
            busy |= c->one[i].runs || dx_turn_waits(&c->one[i].turn);
        if (!busy)
            dx_loop_stop(c->loop);
        return;
    }
    c->left--;
    memset(&o->turn, 0, sizeof(o->turn));
    o->turn.on_turn = on_turn_of_crowd;
    o->turn.tried = &nobody;
    after(o, dx_turn_ask(&o->turn, gate, c->desk));
}

static void on_begin(struct dx_timer *t) { next_of(DX_CONTAINER(t, struct one, timer)); }

static void begin_again(struct dx_timer *t)
{
    t->on_due = on_timer;
    on_begin(t);
}

static void *crowd_run(void *arg)
{
    struct crowd *c = arg;
    for (unsigned i = 0; i < DX_COUNT(c->one); i++) {
        c->one[i].crowd = c;
        c->one[i].timer.on_due = begin_again;
        dx_timer_set(c->loop, &c->one[i].timer, 0);
    }
    dx_loop_run(c->loop);
    for (unsigned i = 0; i < DX_COUNT(c->one); i++)
        dx_timer_clear(&c->one[i].timer);
    return NULL;
}

START_TEST(slots_contended_by_all_workers)
{
    static struct crowd crowds[THREADS];
    settings.slots = 3;
    settings.queue.max = 1000;
    publish(2);
    use();
    for (unsigned i = 0; i < THREADS; i++) {
        crowds[i].left = ROUNDS;
        crowds[i].loop = dx_loop_new();
        crowds[i].desk = dx_desk_new(queues, crowds[i].loop);
        ck_assert(crowds[i].loop != NULL && crowds[i].desk != NULL);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&crowds[i].thread, NULL, crowd_run, &crowds[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(crowds[i].thread, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        dx_desk_free(&crowds[i].desk);
        dx_loop_free(&crowds[i].loop);
    }
    ck_assert_uint_eq(atomic_load(&worst), 3);
    ck_assert_uint_gt(atomic_load(&served), THREADS * ROUNDS / 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_pool_without_slots_is_open,
        who_comes_first_goes_first,
        a_turn_keeps_its_place,
        two_servers_have_two_slots,
        slots_that_are_new,
        a_server_that_leaves_takes_its_slots_along,
        a_queue_that_is_full,
        who_leaves_is_passed_over,
        who_leaves_with_a_slot_gives_it_back,
        clients_take_turns,
        a_route_has_its_share,
        held_while_nobody_is_up,
        nothing_is_held_where_hold_is_off,
        a_hold_takes_so_many_bytes,
        a_server_that_refused_is_tried_with_one,
        a_trial_that_fails_is_followed_by_another,
        an_operator_holds_and_releases,
        a_pool_that_leaves_lets_go,
        a_place_that_another_pool_takes,
        slots_contended_by_all_workers,
    };
    TCase *t = tcase_create("queue");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(t, tests[i]);
    Suite *s = suite_create("queue");
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
