/* SPDX-License-Identifier: MIT */
/* What a roster adds to the choice that tests/unit/upstream/test_choice.c looks at through a pool: the tiers,
 * servers without room, and who is told of those that come and go. */
#include <check.h>
#include <stdlib.h>

#include "diplex/roster.h"

#define MOST 4

static struct dx_board *board;
static uint32_t pool;
static struct dx_board_server list[MOST];
static struct dx_roster roster;
static unsigned alive;
static const struct dx_tried nobody;

static struct dx_roster_server *appeared(void *arg, const struct dx_board_server *facts)
{
    struct dx_roster_server *s = calloc(1, sizeof(*s));
    (void)arg;
    ck_assert_ptr_nonnull(s);
    s->facts = *facts;
    alive++;
    return s;
}

static void gone(void *arg, struct dx_roster_server *s)
{
    (void)arg;
    alive--;
    free(s);
}

static void publish(size_t n) { ck_assert(dx_board_pool_write(board, pool, list, n)); }

static void setup(void)
{
    struct dx_err err;
    struct dx_roster_owner owner = {.appeared = appeared, .gone = gone};

    board = dx_board_new(1, &err);
    ck_assert_ptr_nonnull(board);
    pool = dx_board_pool_add(board, "sync");
    memset(list, 0, sizeof(list));
    for (unsigned i = 0; i < MOST; i++) {
        list[i].id = DX_BOARD_NONE;
        list[i].weight = 1;
        ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), (uint16_t)(8000 + i), &list[i].address));
    }
    dx_roster_init(&roster, board, pool, &owner, 1);
}

static void teardown(void)
{
    dx_roster_clear(&roster);
    ck_assert_uint_eq(alive, 0);
    dx_board_free(&board);
}

static void state(unsigned at, enum dx_server_state s, enum dx_down_reason why)
{
    dx_board_server_set(board, list[at].id, s, why);
}

static bool not_the_first(const struct dx_roster_server *s, void *arg)
{
    (void)arg;
    return s->facts.id != list[0].id;
}

static bool no_room(const struct dx_roster_server *s, void *arg)
{
    (void)s;
    (void)arg;
    return false;
}

static uint32_t picked(bool (*may)(const struct dx_roster_server *s, void *arg), bool *full)
{
    struct dx_roster_ask ask = {.tried = &nobody, .may = may};
    struct dx_roster_server *s = dx_roster_pick(&roster, &ask, full);
    return s != NULL ? s->facts.id : DX_BOARD_NONE;
}

START_TEST(follows_the_board)
{
    publish(2);
    dx_roster_look(&roster);
    ck_assert_uint_eq(alive, 2);
    ck_assert_ptr_nonnull(dx_roster_find(&roster, list[1].id, list[1].generation));
    publish(1);
    dx_roster_look(&roster);
    ck_assert_uint_eq(alive, 1);
    ck_assert_ptr_null(dx_roster_find(&roster, list[1].id, list[1].generation));
}
END_TEST

START_TEST(those_without_room_are_left_out)
{
    bool full = false;
    publish(2);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(picked(not_the_first, &full), list[1].id);
    ck_assert(full);
}
END_TEST

/* A full pool is not a pool that is down: its requests wait, and do not go to the backup. */
START_TEST(no_room_is_not_nobody)
{
    bool full = false;
    list[1].backup = true;
    publish(2);
    state(0, DX_SERVER_UP, DX_WHY_NONE);
    state(1, DX_SERVER_UP, DX_WHY_NONE);
    ck_assert_uint_eq(picked(no_room, &full), DX_BOARD_NONE);
    ck_assert(full);
    ck_assert_uint_eq(picked(not_the_first, &full), DX_BOARD_NONE);
    ck_assert(full);
    state(0, DX_SERVER_DOWN, DX_WHY_PROBE);
    ck_assert_uint_eq(picked(not_the_first, &full), list[1].id);
    state(1, DX_SERVER_DOWN, DX_WHY_PROBE);
    ck_assert_uint_eq(picked(NULL, &full), DX_BOARD_NONE);
    ck_assert(!full);
}
END_TEST

/* Failed connections alone are no reason to serve nobody. */
START_TEST(the_ejected_are_the_last_resort)
{
    publish(3);
    state(0, DX_SERVER_DOWN, DX_WHY_PASSIVE);
    state(1, DX_SERVER_DOWN, DX_WHY_PROBE);
    state(2, DX_SERVER_DOWN, DX_WHY_DRAINED);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(picked(NULL, NULL), list[0].id);
    state(1, DX_SERVER_STARTING, DX_WHY_NONE);
    ck_assert_uint_eq(picked(NULL, NULL), list[1].id);
}
END_TEST

/* --- slow start and sticky pools --- */

static void use(struct dx_pool_config settings) { dx_roster_use(&roster, &settings); }

static unsigned count_of(unsigned at, uint64_t now_ms, unsigned n)
{
    struct dx_roster_ask ask = {.tried = &nobody, .now_ms = now_ms};
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++)
        count += dx_roster_pick(&roster, &ask, NULL)->facts.id == list[at].id;
    return count;
}

START_TEST(a_slow_start_climbs_to_the_whole_share)
{
    publish(2);
    state(0, DX_SERVER_UP, DX_WHY_NONE);
    state(1, DX_SERVER_UP, DX_WHY_NONE);
    use((struct dx_pool_config){.slow_start = 10000});
    ck_assert_uint_eq(count_of(1, 50000, 100), 50); /* they began together */
    dx_board_server_set_risen(board, list[1].id, 50000);
    static const struct {
        uint64_t at_ms;
        unsigned least, most; /* of 1100 */
    } steps[] = {{49000, 97, 103},  {50000, 97, 103},  {51000, 97, 103},  {52500, 217, 223},
                 {55000, 363, 370}, {59000, 518, 524}, {60000, 547, 553}, {990000, 547, 553}};
    for (size_t i = 0; i < DX_COUNT(steps); i++) {
        unsigned count = count_of(1, steps[i].at_ms, 1100);
        ck_assert_msg(count >= steps[i].least && count <= steps[i].most, "step %zu: %u", i, count);
    }
    use((struct dx_pool_config){0});
    unsigned whole = count_of(1, 50000, 1100);
    ck_assert(whole >= 549 && whole <= 551);
}
END_TEST

static uint32_t wished(struct dx_wish wish, bool (*may)(const struct dx_roster_server *s, void *arg))
{
    struct dx_roster_ask ask = {.tried = &nobody, .wish = wish, .may = may};
    struct dx_roster_server *s = dx_roster_pick(&roster, &ask, NULL);
    return s != NULL ? s->facts.id : DX_BOARD_NONE;
}

static void all_up(void)
{
    publish(MOST);
    for (unsigned i = 0; i < MOST; i++)
        state(i, DX_SERVER_UP, DX_WHY_NONE);
}

START_TEST(a_mark_leads_to_its_server_while_that_one_can)
{
    all_up();
    use((struct dx_pool_config){.sticky = {.by = DX_STICKY_COOKIE, .cookie = "c"}});
    struct dx_wish wish = {.mark = roster.servers[0]->mark};
    ck_assert_uint_ne(wish.mark, 0);
    for (unsigned i = 0; i < 9; i++)
        ck_assert_uint_eq(wished(wish, NULL), list[0].id);
    ck_assert_uint_ne(wished(wish, not_the_first), list[0].id); /* it has no slot: another one */
    state(0, DX_SERVER_DOWN, DX_WHY_DRAINED);
    ck_assert_uint_ne(wished(wish, NULL), list[0].id);
    state(0, DX_SERVER_UP, DX_WHY_NONE);
    ck_assert_uint_eq(wished(wish, NULL), list[0].id);
    wish.mark++; /* nobody's: in turn */
    unsigned first = wished(wish, NULL);
    ck_assert_uint_ne(wished(wish, NULL), first);
}
END_TEST

START_TEST(a_key_goes_to_one_server_and_to_one_other_without_it)
{
    all_up();
    use((struct dx_pool_config){.sticky = {.by = DX_STICKY_CLIENT_IP}});
    for (uint64_t key = 1; key < 20; key++) {
        uint32_t at = wished((struct dx_wish){.key = key}, NULL);
        ck_assert_uint_eq(wished((struct dx_wish){.key = key}, NULL), at);
        uint32_t other = wished((struct dx_wish){.key = key}, not_the_first);
        ck_assert(at == list[0].id ? other != at : other == at);
        ck_assert_uint_eq(wished((struct dx_wish){.key = key}, not_the_first), other);
    }
}
END_TEST

/* The same in every copy and after every restart; another with another secret; nobody's without sticky. */
START_TEST(marks_are_of_addresses_and_the_secret)
{
    const struct dx_pool_config plain = {.sticky = {.by = DX_STICKY_COOKIE, .cookie = "c"}},
                                secret = {.sticky = {DX_STICKY_COOKIE, "c", NULL, "s1"}},
                                other = {.sticky = {DX_STICKY_COOKIE, "c", NULL, "s2"}};
    publish(2);
    use(plain);
    uint64_t without = roster.servers[0]->mark;
    ck_assert_uint_eq(without, dx_siphash((const uint64_t[2]){0, 0}, DX_SLICE("127.0.0.1:8000")));
    ck_assert_uint_ne(without, roster.servers[1]->mark);
    use(secret);
    uint64_t with = roster.servers[0]->mark;
    use(other);
    ck_assert_uint_ne(with, without);
    ck_assert_uint_ne(with, roster.servers[0]->mark);
    use(secret);
    ck_assert_uint_eq(with, roster.servers[0]->mark);
    use((struct dx_pool_config){0});
    ck_assert_uint_eq(roster.servers[0]->mark, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("roster");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, follows_the_board);
    tcase_add_test(t, those_without_room_are_left_out);
    tcase_add_test(t, no_room_is_not_nobody);
    tcase_add_test(t, the_ejected_are_the_last_resort);
    tcase_add_test(t, a_slow_start_climbs_to_the_whole_share);
    tcase_add_test(t, a_mark_leads_to_its_server_while_that_one_can);
    tcase_add_test(t, a_key_goes_to_one_server_and_to_one_other_without_it);
    tcase_add_test(t, marks_are_of_addresses_and_the_secret);
    Suite *s = suite_create("roster");
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
