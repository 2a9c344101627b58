/* SPDX-License-Identifier: MIT */
/* Which server takes a request: by policy, by state, by tier, and as the board's list changes. */
#include "support.h"

static const struct dx_tried nobody;

static void three(void)
{
    (void)server_add("127.0.0.1:1001", 1, false);
    (void)server_add("127.0.0.1:1002", 1, false);
    (void)server_add("127.0.0.1:1003", 2, false);
    publish();
    for (size_t i = 0; i < 3; i++)
        set_state(i, DX_SERVER_UP);
}

/* The index in servers[] of the next choice; -1: none. */
static int pick(struct dx_pool *p, const struct dx_tried *tried)
{
    struct dx_server *s = dx_pool_pick(p, tried, &(struct dx_wish){0});
    if (s == NULL)
        return -1;
    for (size_t i = 0; i < servers_n; i++) {
        if (servers[i].id != dx_server_id(s))
            continue;
        ck_assert_str_eq(dx_server_name(s), servers[i].name);
        ck_assert(dx_address_eq(dx_server_address(s), &servers[i].address));
        return (int)i;
    }
    ck_abort_msg("a server that is not on the list");
}

static void count(struct dx_pool *p, unsigned picks, unsigned counts[SERVERS_MAX])
{
    memset(counts, 0, SERVERS_MAX * sizeof(counts[0]));
    for (unsigned i = 0; i < picks; i++) {
        int at = pick(p, &nobody);
        ck_assert_int_ge(at, 0);
        counts[at]++;
    }
}

START_TEST(an_empty_pool_has_nobody) { ck_assert_int_eq(pick(pool(), &nobody), -1); }
END_TEST

START_TEST(round_robin_follows_the_weights)
{
    unsigned n[SERVERS_MAX];
    three();
    count(pool(), 40, n);
    ck_assert_uint_eq(n[0], 10);
    ck_assert_uint_eq(n[1], 10);
    ck_assert_uint_eq(n[2], 20);
}
END_TEST

START_TEST(least_conn_looks_at_all_workers)
{
    three();
    settings.balance = DX_BALANCE_LEAST_CONN;
    atomic_store(&dx_board_cell(board, 0, servers[0].id)->active, 1);
    atomic_store(&dx_board_cell(board, 1, servers[2].id)->active, 1); /* half the load: its weight is 2 */
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(pick(pool(), &nobody), 1);
    atomic_store(&dx_board_cell(board, 1, servers[1].id)->active, 3);
    ck_assert_int_eq(pick(pool(), &nobody), 2);
}
END_TEST

START_TEST(random_of_two_avoids_the_busiest)
{
    unsigned n[SERVERS_MAX];
    three();
    settings.balance = DX_BALANCE_RANDOM;
    atomic_store(&dx_board_cell(board, 1, servers[1].id)->active, 100);
    count(pool(), 200, n);
    ck_assert_uint_gt(n[0], 0);
    ck_assert_uint_eq(n[1], 0); /* it loses against every other choice */
    ck_assert_uint_gt(n[2], 0);
}
END_TEST

START_TEST(who_is_up_goes_before_who_is_starting)
{
    three();
    struct dx_pool *p = pool();
    set_state(0, DX_SERVER_STARTING);
    set_state(1, DX_SERVER_UP);
    set_state(2, DX_SERVER_DOWN);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(pick(p, &nobody), 1);
    set_state(1, DX_SERVER_DOWN);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(pick(p, &nobody), 0);
    set_state(0, DX_SERVER_DOWN);
    ck_assert_int_eq(pick(p, &nobody), -1);
    set_state(2, DX_SERVER_UP);
    ck_assert_int_eq(pick(p, &nobody), 2);
}
END_TEST

START_TEST(backups_wait_until_no_primary_is_up)
{
    (void)server_add("127.0.0.1:1001", 1, false);
    (void)server_add("127.0.0.1:1002", 1, true);
    publish();
    struct dx_pool *p = pool();
    ck_assert_int_eq(pick(p, &nobody), 0); /* both starting: the primary */
    ck_assert_int_eq(pick(p, &nobody), 0);
    set_state(1, DX_SERVER_UP);
    ck_assert_int_eq(pick(p, &nobody), 1); /* a backup that is up is known to work */
    set_state(0, DX_SERVER_UP);
    ck_assert_int_eq(pick(p, &nobody), 0);
    ck_assert_int_eq(pick(p, &nobody), 0);
    set_state(0, DX_SERVER_DOWN);
    ck_assert_int_eq(pick(p, &nobody), 1);
    set_state(1, DX_SERVER_DOWN);
    ck_assert_int_eq(pick(p, &nobody), -1);
}
END_TEST

START_TEST(who_was_tried_is_left_out)
{
    struct dx_tried tried = {.n = 0};
    bool seen[3] = {false};
    three();
    struct dx_pool *p = pool();
    for (unsigned i = 0; i < 3; i++) {
        int at = pick(p, &tried);
        ck_assert_int_ge(at, 0);
        ck_assert(!seen[at]);
        seen[at] = true;
        tried.id[tried.n++] = servers[at].id;
    }
    ck_assert_int_eq(pick(p, &tried), -1);
    struct dx_tried full = {.n = DX_TRIED_MAX};
    memset(full.id, 0xff, sizeof(full.id));
    ck_assert_int_eq(pick(p, &full), -1); /* enough is enough */
}
END_TEST

START_TEST(a_changed_list_is_followed_by_itself)
{
    unsigned n[SERVERS_MAX];
    three();
    struct dx_pool *p = pool();
    count(p, 4, n);
    servers[1] = servers[2]; /* the second leaves */
    servers_n = 2;
    publish();
    count(p, 30, n);
    ck_assert_uint_eq(n[0], 10);
    ck_assert_uint_eq(n[1], 20);
    servers[0].weight = 4;
    (void)server_add("127.0.0.1:1004", 2, false);
    publish();
    set_state(2, DX_SERVER_UP);
    count(p, 80, n);
    ck_assert_uint_eq(n[0], 40);
    ck_assert_uint_eq(n[1], 20);
    ck_assert_uint_eq(n[2], 20);
    servers_n = 0;
    publish();
    ck_assert_int_eq(pick(p, &nobody), -1);
}
END_TEST

START_TEST(one_view_of_a_pool_whose_settings_may_change)
{
    three();
    struct dx_pool *p = pool();
    settings.balance = DX_BALANCE_LEAST_CONN;
    atomic_store(&dx_board_cell(board, 1, servers[2].id)->active, 9);
    atomic_store(&dx_board_cell(board, 1, servers[1].id)->active, 9);
    ck_assert_ptr_eq(pool(), p);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(pick(p, &nobody), 0);
}
END_TEST

START_TEST(a_forgotten_pool_comes_back_when_it_is_used_again)
{
    three();
    struct dx_pool *p = pool();
    dx_upstream_forget_pool(upstream, board_pool);
    dx_upstream_forget_pool(upstream, board_pool + 1); /* never seen */
    ck_assert_ptr_eq(pool(), p);
    ck_assert_int_ge(pick(p, &nobody), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("choice");
    TCase *c = tcase_create("choice");
    tcase_add_checked_fixture(c, world_make, world_free);
    tcase_set_timeout(c, 10);
    tcase_add_test(c, an_empty_pool_has_nobody);
    tcase_add_test(c, round_robin_follows_the_weights);
    tcase_add_test(c, least_conn_looks_at_all_workers);
    tcase_add_test(c, random_of_two_avoids_the_busiest);
    tcase_add_test(c, who_is_up_goes_before_who_is_starting);
    tcase_add_test(c, backups_wait_until_no_primary_is_up);
    tcase_add_test(c, who_was_tried_is_left_out);
    tcase_add_test(c, a_changed_list_is_followed_by_itself);
    tcase_add_test(c, one_view_of_a_pool_whose_settings_may_change);
    tcase_add_test(c, a_forgotten_pool_comes_back_when_it_is_used_again);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
