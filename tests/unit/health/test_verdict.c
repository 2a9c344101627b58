/* SPDX-License-Identifier: MIT */
/* The rules of who is up, as stories under virtual time: at this moment this happens, and then this is the
 * verdict. */
#include "health/verdict.h"

#include <check.h>
#include <stdlib.h>

enum act { END, OK, FAIL, TIMEOUT, LOOK, SKIPS, PROBES, UNCHECK };

/* Kinds of state, short for the tables. */
#define STARTING DX_SERVER_STARTING, DX_WHY_NONE
#define UP       DX_SERVER_UP, DX_WHY_NONE
#define BY_PROBE DX_SERVER_DOWN, DX_WHY_PROBE
#define PASSIVE  DX_SERVER_DOWN, DX_WHY_PASSIVE

struct step {
    uint64_t at_ms;
    enum act act;
    struct verdict_cells cells; /* as they are then: active, responses, trouble, last answer, last failure */
    unsigned others_up;         /* of a pool of eight */
    enum dx_server_state state;
    enum dx_down_reason why;
};

struct story {
    const char *name;
    enum dx_kind kind;
    bool unchecked;
    uint64_t start_period;
    unsigned eject;
    struct step steps[14];
};

#define NOTHING       \
    {                 \
        0, 0, 0, 0, 0 \
    }
#define T0 100000u /* stories begin here: a last answer of 0 is "never" */

/* interval 5000, timeout 2000, retries 3: answers are fresh for 10000. Ejected: n failures within 10000, for
 * 30000. */
static const struct story stories[] = {
    {"the first success brings it up", DX_KIND_ASGI,
     .steps = {{0, LOOK, NOTHING, 1, STARTING}, {10, OK, NOTHING, 0, UP}, {5000, OK, NOTHING, 0, UP}}},
    {"three failures in a row take it down", DX_KIND_ASGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, FAIL, NOTHING, 0, UP},
               {2, FAIL, NOTHING, 0, UP},
               {3, FAIL, NOTHING, 0, BY_PROBE},
               {4, FAIL, NOTHING, 0, BY_PROBE}}},
    {"the last server of a pool too: a probe is proof", DX_KIND_WSGI,
     .steps = {{0, FAIL, NOTHING, 0, STARTING},
               {1, FAIL, NOTHING, 0, STARTING},
               {2, FAIL, NOTHING, 0, BY_PROBE}}},
    {"a success between failures starts the count again", DX_KIND_ASGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, FAIL, NOTHING, 0, UP},
               {2, FAIL, NOTHING, 0, UP},
               {3, OK, NOTHING, 0, UP},
               {4, FAIL, NOTHING, 0, UP},
               {5, FAIL, NOTHING, 0, UP},
               {6, FAIL, NOTHING, 0, BY_PROBE}}},
    {"one success brings it back", DX_KIND_ASGI,
     .steps = {{0, FAIL, NOTHING, 0, STARTING},
               {1, FAIL, NOTHING, 0, STARTING},
               {2, FAIL, NOTHING, 0, BY_PROBE},
               {3, OK, NOTHING, 0, UP},
               {4, FAIL, NOTHING, 0, UP}}},
    {"timeouts count when nothing runs", DX_KIND_WSGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, TIMEOUT, NOTHING, 0, UP},
               {2, TIMEOUT, NOTHING, 0, UP},
               {3, TIMEOUT, NOTHING, 0, BY_PROBE}}},
    {"failures in the start period do not count", DX_KIND_WSGI, .start_period = 20000,
     .steps = {{0, FAIL, NOTHING, 0, STARTING},
               {5000, FAIL, NOTHING, 0, STARTING},
               {10000, FAIL, NOTHING, 0, STARTING},
               {19999, TIMEOUT, NOTHING, 0, STARTING},
               {20000, FAIL, NOTHING, 0, STARTING},
               {21000, FAIL, NOTHING, 0, STARTING},
               {22000, FAIL, NOTHING, 0, BY_PROBE}}},
    {"unless it had been up in it", DX_KIND_WSGI, .start_period = 20000,
     .steps = {{0, OK, NOTHING, 0, UP},
               {5000, FAIL, NOTHING, 0, UP},
               {10000, FAIL, NOTHING, 0, UP},
               {15000, FAIL, NOTHING, 0, BY_PROBE}}},
    {"a busy wsgi server never dies of timeouts, however long its views are", DX_KIND_WSGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {60000, TIMEOUT, {1, 9, 0, T0 + 10, 0}, 0, UP},
               {70000, TIMEOUT, {1, 9, 0, T0 + 10, 0}, 0, UP},
               {80000, TIMEOUT, {1, 9, 0, T0 + 10, 0}, 0, UP},
               {90000, TIMEOUT, {1, 9, 0, T0 + 10, 0}, 0, UP},
               {91000, TIMEOUT, {1, 0, 0, 0, 0}, 0, UP}}},
    {"but of refusals and wrong statuses it does", DX_KIND_WSGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, FAIL, {1, 9, 0, T0, 0}, 0, UP},
               {2, FAIL, {1, 9, 0, T0, 0}, 0, UP},
               {3, FAIL, {1, 9, 0, T0, 0}, 0, BY_PROBE}}},
    {"an excused timeout neither counts nor forgives", DX_KIND_WSGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, FAIL, NOTHING, 0, UP},
               {2, FAIL, NOTHING, 0, UP},
               {3, TIMEOUT, {1, 9, 0, 0, 0}, 0, UP},
               {4, FAIL, NOTHING, 0, BY_PROBE}}},
    {"a busy asgi server that answers others is alive", DX_KIND_ASGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, TIMEOUT, {7, 9, 0, T0, 0}, 0, UP},
               {2, TIMEOUT, {7, 9, 0, T0, 0}, 0, UP},
               {10000, TIMEOUT, {7, 9, 0, T0, 0}, 0, UP},
               {10001, TIMEOUT, {7, 9, 0, T0, 0}, 0, UP},
               {10002, TIMEOUT, {7, 9, 0, T0, 0}, 0, UP},
               {10003, TIMEOUT, {7, 9, 0, T0, 0}, 0, BY_PROBE}}},
    {"answers of the server that had the place before are not its own", DX_KIND_ASGI,
     .steps = {{0, OK, {7, 9, 0, T0 - 1, 0}, 0, UP},
               {1, TIMEOUT, {7, 9, 0, T0 - 1, 0}, 0, UP},
               {2, TIMEOUT, {7, 9, 0, T0 - 1, 0}, 0, UP},
               {3, TIMEOUT, {7, 9, 0, T0 - 1, 0}, 0, BY_PROBE}}},
    {"a wsgi server that works and answers is not asked", DX_KIND_WSGI,
     .steps = {{0, PROBES, {1, 9, 0, T0, 0}, 0, STARTING},
               {1, OK, NOTHING, 0, UP},
               {2, SKIPS, {1, 9, 0, T0, 0}, 0, UP},
               {3, PROBES, {0, 9, 0, T0, 0}, 0, UP},
               {10000, SKIPS, {1, 9, 0, T0, 0}, 0, UP},
               {10001, PROBES, {1, 9, 0, T0, 0}, 0, UP},
               {10002, PROBES, {1, 9, 0, 0, 0}, 0, UP}}},
    {"its answers count as health: the failures before them are forgiven", DX_KIND_WSGI,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, FAIL, NOTHING, 0, UP},
               {2, FAIL, NOTHING, 0, UP},
               {3, SKIPS, {1, 9, 0, T0 + 3, 0}, 0, UP},
               {4, FAIL, NOTHING, 0, UP}}},
    {"an asgi server is always asked", DX_KIND_ASGI,
     .steps = {{0, OK, NOTHING, 0, UP}, {1, PROBES, {1, 9, 0, T0, 0}, 0, UP}}},
    {"without checks it is up at once", DX_KIND_WSGI, .unchecked = true,
     .steps = {{0, LOOK, NOTHING, 0, UP}}},
    {"failing connections take it out for a while", DX_KIND_WSGI, .unchecked = true, .eject = 3,
     .steps = {{0, LOOK, {0, 0, 1, 0, 0}, 1, UP},
               {1, LOOK, {0, 0, 2, 0, 1}, 1, UP},
               {2, LOOK, {0, 0, 3, 0, 2}, 1, PASSIVE},
               {30001, LOOK, {0, 0, 3, 0, 2}, 1, PASSIVE},
               {30002, LOOK, {0, 0, 3, 0, 2}, 1, UP},
               {30003, LOOK, {0, 0, 5, 0, 2}, 1, UP},
               {30004, LOOK, {0, 0, 6, 0, 2}, 1, PASSIVE}}},
    {"many at once count as many", DX_KIND_WSGI, .unchecked = true, .eject = 3,
     .steps = {{0, LOOK, {0, 0, 8, 0, 0}, 1, PASSIVE}}},
    {"the last one stays", DX_KIND_WSGI, .unchecked = true, .eject = 3,
     .steps = {{0, LOOK, {0, 0, 8, 0, 0}, 0, UP}, {1, LOOK, {0, 0, 9, 0, 0}, 1, PASSIVE}}},
    {"failures far apart do not add up", DX_KIND_WSGI, .unchecked = true, .eject = 3,
     .steps = {{0, LOOK, {0, 0, 1, 0, 0}, 1, UP},
               {6000, LOOK, {0, 0, 2, 0, 0}, 1, UP},
               {10001, LOOK, {0, 0, 3, 0, 0}, 1, UP},
               {15000, LOOK, {0, 0, 4, 0, 0}, 1, PASSIVE}}},
    {"an answer in between starts again", DX_KIND_WSGI, .unchecked = true, .eject = 3,
     .steps = {{0, LOOK, {0, 0, 2, 0, 0}, 1, UP},
               {1, LOOK, {0, 1, 3, T0 + 2, T0 + 1}, 1, UP},
               {2, LOOK, {0, 1, 5, T0 + 2, T0 + 3}, 1, UP},
               {3, LOOK, {0, 1, 6, T0 + 2, T0 + 4}, 1, PASSIVE}}},
    {"a failure that is known to be younger than the answer counts", DX_KIND_WSGI, .unchecked = true,
     .eject = 3,
     .steps = {{0, LOOK, {0, 50, 1, T0 + 1, T0 + 2}, 1, UP},
               {1, LOOK, {0, 50, 2, T0 + 1, T0 + 3}, 1, UP},
               {2, LOOK, {0, 50, 3, T0 + 1, T0 + 4}, 1, PASSIVE}}},
    {"ejection can be off", DX_KIND_WSGI, .unchecked = true, .steps = {{0, LOOK, {0, 0, 800, 0, 0}, 1, UP}}},
    {"with checks a probe ends it, however early", DX_KIND_ASGI, .eject = 3,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, LOOK, {0, 0, 3, 0, 0}, 1, PASSIVE},
               {2, OK, {0, 0, 3, 0, 0}, 0, UP},
               {3, LOOK, {0, 0, 5, 0, 0}, 1, UP},
               {4, LOOK, {0, 0, 6, 0, 0}, 1, PASSIVE},
               {90000, LOOK, {0, 0, 6, 0, 0}, 1, PASSIVE},
               {90001, FAIL, {0, 0, 6, 0, 0}, 1, PASSIVE},
               {90002, FAIL, {0, 0, 6, 0, 0}, 1, PASSIVE},
               {90003, FAIL, {0, 0, 6, 0, 0}, 1, BY_PROBE},
               {90004, OK, {0, 0, 6, 0, 0}, 1, UP}}},
    {"a server without a verdict yet is not ejected", DX_KIND_ASGI, .eject = 3,
     .steps = {{0, LOOK, {0, 0, 9, 0, 0}, 1, STARTING}}},
    {"when checks are taken away, what they said is taken back", DX_KIND_ASGI,
     .steps = {{0, FAIL, NOTHING, 0, STARTING},
               {1, FAIL, NOTHING, 0, STARTING},
               {2, FAIL, NOTHING, 0, BY_PROBE},
               {3, UNCHECK, NOTHING, 0, UP}}},
    {"a start without verdict too", DX_KIND_ASGI, .steps = {{0, UNCHECK, NOTHING, 0, UP}}},
    {"but not what connections said", DX_KIND_ASGI, .eject = 3,
     .steps = {{0, OK, NOTHING, 0, UP},
               {1, LOOK, {0, 0, 3, 0, 0}, 1, PASSIVE},
               {2, UNCHECK, {0, 0, 3, 0, 0}, 1, PASSIVE},
               {30001, LOOK, {0, 0, 3, 0, 0}, 1, UP}}},
    {"one that fails again soon is left out longer each time", DX_KIND_WSGI, .unchecked = true, .eject = 1,
     .steps = {{0, LOOK, {0, 0, 1, 0, 0}, 1, PASSIVE},
               {30000, LOOK, {0, 0, 1, 0, 0}, 1, UP},
               {59999, LOOK, {0, 0, 2, 0, 0}, 1, PASSIVE},
               {119998, LOOK, {0, 0, 2, 0, 0}, 1, PASSIVE},
               {119999, LOOK, {0, 0, 2, 0, 0}, 1, UP},
               {179998, LOOK, {0, 0, 3, 0, 0}, 1, PASSIVE},
               {269997, LOOK, {0, 0, 3, 0, 0}, 1, PASSIVE},
               {269998, LOOK, {0, 0, 3, 0, 0}, 1, UP},
               {359998, LOOK, {0, 0, 4, 0, 0}, 1, PASSIVE},
               {389998, LOOK, {0, 0, 4, 0, 0}, 1, UP}}},
    {"and a good probe does not end it then", DX_KIND_ASGI, .eject = 1,
     .steps = {{0, OK, NOTHING, 1, UP},
               {1, LOOK, {0, 0, 1, 0, 0}, 1, PASSIVE},
               {2, OK, {0, 0, 1, 0, 0}, 1, UP},
               {3, LOOK, {0, 0, 2, 0, 0}, 1, PASSIVE},
               {30002, OK, {0, 0, 2, 0, 0}, 1, PASSIVE},
               {30003, OK, {0, 0, 2, 0, 0}, 1, UP},
               {60002, LOOK, {0, 0, 3, 0, 0}, 1, PASSIVE},
               {60003, OK, {0, 0, 3, 0, 0}, 0, UP}}},
    {"with nobody else up an ejected one is tried again", DX_KIND_WSGI, .unchecked = true, .eject = 1,
     .steps = {{0, LOOK, {0, 0, 1, 0, 0}, 1, PASSIVE}, {1, LOOK, {0, 0, 1, 0, 0}, 0, UP}}},
};

static struct dx_pool_config pool_of(const struct story *s)
{
    struct dx_pool_config p = {.name = "p", .kind = s->kind};
    p.health.enabled = !s->unchecked;
    p.health.interval = 5000;
    p.health.timeout = 2000;
    p.health.retries = 3;
    p.health.start_period = s->start_period;
    p.eject.failures = s->eject;
    p.eject.within = 10000;
    p.eject.lasts = 30000;
    p.eject.max = 50;
    return p;
}

static void act(struct dx_verdict *v, struct dx_pool_config *pool, const struct step *step)
{
    uint64_t now = T0 + step->at_ms;
    struct verdict_probe probe = {.ok = step->act == OK, .timed_out = step->act == TIMEOUT};
    switch (step->act) {
    case OK:
    case FAIL:
    case TIMEOUT:
        verdict_probed(v, pool, &step->cells, now, probe, step->others_up);
        break;
    case LOOK:
        verdict_look(v, pool, &step->cells, now,
                     (struct verdict_pool){.servers = 8, .others_up = step->others_up});
        break;
    case SKIPS:
    case PROBES:
        ck_assert_int_eq(verdict_skips_probe(v, pool, &step->cells, now), step->act == SKIPS);
        break;
    case UNCHECK:
        pool->health.enabled = false;
        verdict_adapt(v, pool);
        break;
    case END:
        ck_abort_msg("no step");
    }
}

START_TEST(stories_end_as_told)
{
    const struct story *s = &stories[_i];
    static const struct verdict_cells nothing;
    struct dx_pool_config pool = pool_of(s);
    struct dx_verdict v;
    verdict_init(&v, &pool, &nothing, T0);
    for (size_t i = 0; s->steps[i].act != END; i++) {
        act(&v, &pool, &s->steps[i]);
        ck_assert_msg(v.state == s->steps[i].state && v.why == s->steps[i].why,
                      "%s: after step %zu: %d by %s", s->name, i + 1, (int)v.state,
                      dx_down_reason_word(v.why));
    }
}
END_TEST

static const struct verdict_pool two_others = {.servers = 3, .others_up = 2};

/* How many of n servers that all fail are ejected, one after the other. */
static unsigned ejected_of(unsigned n, unsigned max)
{
    struct dx_pool_config pool = pool_of(&(struct story){.unchecked = true, .eject = 1});
    struct verdict_cells cells = {.trouble = 0};
    struct verdict_pool around = {.servers = n, .others_up = n - 1};
    pool.eject.max = max;
    for (unsigned i = 0; i < n; i++) {
        struct dx_verdict v;
        verdict_init(&v, &pool, &cells, T0);
        verdict_look(&v, &pool, &(struct verdict_cells){.trouble = 1}, T0 + 1, around);
        around.ejected += v.why == DX_WHY_PASSIVE;
        around.others_up = n - 1 - around.ejected;
    }
    return around.ejected;
}

START_TEST(no_more_are_ejected_at_a_time_than_max)
{
    ck_assert_uint_eq(ejected_of(1, 100), 0);
    ck_assert_uint_eq(ejected_of(2, 50), 1);
    ck_assert_uint_eq(ejected_of(2, 100), 1);
    ck_assert_uint_eq(ejected_of(3, 1), 1);
    ck_assert_uint_eq(ejected_of(3, 50), 1);
    ck_assert_uint_eq(ejected_of(3, 67), 2);
    ck_assert_uint_eq(ejected_of(10, 50), 5);
    ck_assert_uint_eq(ejected_of(10, 100), 9);
}
END_TEST

START_TEST(the_time_away_has_an_end)
{
    struct dx_pool_config pool = pool_of(&(struct story){.unchecked = true, .eject = 1});
    struct verdict_cells cells = {.trouble = 0};
    struct dx_verdict v;
    uint64_t now = T0;
    verdict_init(&v, &pool, &cells, now);
    for (unsigned i = 1; i <= 15; i++) {
        cells.trouble++;
        verdict_look(&v, &pool, &cells, now, two_others);
        ck_assert_int_eq(v.why, DX_WHY_PASSIVE);
        ck_assert_uint_eq(verdict_away_ms(&v, &pool), 30000u * (i < 10 ? i : 10));
        now += verdict_away_ms(&v, &pool);
        verdict_look(&v, &pool, &cells, now, two_others);
        ck_assert_int_eq(v.state, DX_SERVER_UP);
    }
}
END_TEST

START_TEST(trouble_from_before_is_not_its_own)
{
    struct dx_pool_config pool = pool_of(&(struct story){.unchecked = true, .eject = 1});
    struct verdict_cells old = {.trouble = 40, .responses = 9};
    struct dx_verdict v;
    verdict_init(&v, &pool, &old, T0);
    verdict_look(&v, &pool, &old, T0 + 1, two_others);
    ck_assert_int_eq(v.state, DX_SERVER_UP);
    old.trouble++;
    verdict_look(&v, &pool, &old, T0 + 2, two_others);
    ck_assert_int_eq(v.why, DX_WHY_PASSIVE);
}
END_TEST

START_TEST(many_small_samples_are_not_lost)
{
    struct dx_pool_config pool = pool_of(&(struct story){.unchecked = true, .eject = 100});
    struct verdict_cells cells = {0};
    struct dx_verdict v;
    verdict_init(&v, &pool, &cells, T0);
    for (unsigned i = 1; i <= 100; i++) {
        ck_assert_int_eq(v.state, DX_SERVER_UP);
        cells.trouble = i;
        verdict_look(&v, &pool, &cells, T0 + i, two_others);
    }
    ck_assert_int_eq(v.why, DX_WHY_PASSIVE);
}
END_TEST

START_TEST(probes_are_spread_and_faster_while_not_up)
{
    struct dx_pool_config pool = pool_of(&(struct story){0});
    struct dx_verdict v;
    verdict_init(&v, &pool, &(struct verdict_cells){0}, T0);
    for (uint64_t random = 0; random < 2000; random += 7) {
        v.state = DX_SERVER_STARTING;
        uint64_t fast = verdict_probe_delay_ms(&v, &pool, random);
        ck_assert(fast >= 950 && fast <= 1050);
        v.state = DX_SERVER_UP;
        uint64_t slow = verdict_probe_delay_ms(&v, &pool, random);
        ck_assert(slow >= 4750 && slow <= 5250);
    }
    ck_assert_uint_ne(verdict_probe_delay_ms(&v, &pool, 1), verdict_probe_delay_ms(&v, &pool, 2));
    v.state = DX_SERVER_DOWN;
    pool.health.interval = 200;
    ck_assert_uint_le(verdict_probe_delay_ms(&v, &pool, 3), 210);
    pool.health.interval = 1;
    ck_assert_uint_eq(verdict_probe_delay_ms(&v, &pool, 3), 1);
}
END_TEST

START_TEST(expected_statuses)
{
    struct dx_health_config h = {.expect = {{200, 204}, {301, 301}}, .expect_n = 2};
    ck_assert(verdict_expects(&h, 200) && verdict_expects(&h, 204) && verdict_expects(&h, 301));
    ck_assert(!verdict_expects(&h, 205) && !verdict_expects(&h, 302) && !verdict_expects(&h, 0));
    h.expect_n = 0;
    ck_assert(verdict_expects(&h, 200) && verdict_expects(&h, 399));
    ck_assert(!verdict_expects(&h, 199) && !verdict_expects(&h, 400));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verdict");
    TCase *c = tcase_create("verdict");
    tcase_add_loop_test(c, stories_end_as_told, 0, (int)DX_COUNT(stories));
    tcase_add_test(c, no_more_are_ejected_at_a_time_than_max);
    tcase_add_test(c, the_time_away_has_an_end);
    tcase_add_test(c, trouble_from_before_is_not_its_own);
    tcase_add_test(c, many_small_samples_are_not_lost);
    tcase_add_test(c, probes_are_spread_and_faster_while_not_up);
    tcase_add_test(c, expected_statuses);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
