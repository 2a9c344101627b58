/* SPDX-License-Identifier: MIT */
/* The history behind the page: samples in a ring, differences and not totals, events of the table only, and
 * nothing that grows. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diplex/admin/history.h"
#include "diplex/board/routes.h"

static struct dx_board *board;
static struct dx_history *history;
static struct dx_pool_config pools[2];
static struct dx_config config;
static struct dx_text text;
static uint64_t now_ms;

static struct dx_history_time now(void)
{
    return (struct dx_history_time){.at_ms = now_ms, .wall_us = 1700000000000000u + now_ms * 1000};
}

static uint32_t put(const char *name)
{
    struct dx_board_server server = {.id = DX_BOARD_NONE, .weight = 1};
    uint32_t pool = dx_board_pool_add(board, name);
    snprintf(server.name, sizeof server.name, "%s-1", name);
    ck_assert(dx_board_pool_write(board, pool, &server, 1));
    dx_board_server_set(board, server.id, DX_SERVER_UP, DX_WHY_NONE);
    return server.id;
}

static void sample(void)
{
    now_ms += DX_HISTORY_EVERY_MS;
    dx_history_sample(history, board, &config, now());
}

static const char *document(uint64_t since)
{
    dx_text_fini(&text);
    dx_text_init(&text);
    dx_history_write(history, since, now(), &text);
    ck_assert(!text.failed);
    return text.p;
}

static bool says(uint64_t since, const char *part) { return strstr(document(since), part) != NULL; }

static uint64_t next_number(void)
{
    const char *at = strstr(document(UINT64_MAX), "\"next\":");
    ck_assert_ptr_nonnull(at);
    return strtoull(at + strlen("\"next\":"), NULL, 10);
}

static size_t times(const char *s, const char *part)
{
    size_t n = 0;
    for (const char *at = s; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

static void setup(void)
{
    struct dx_err err = {{0}};
    now_ms = 1000;
    board = dx_board_new(2, &err);
    ck_assert_msg(board != NULL, "%s", err.text);
    pools[0] = (struct dx_pool_config){.name = "sync"};
    pools[1] = (struct dx_pool_config){.name = "as\"ync"};
    config = (struct dx_config){.pools = pools, .pools_n = 1};
    history = dx_history_new(now());
    ck_assert_ptr_nonnull(history);
    dx_text_init(&text);
}

static void teardown(void)
{
    dx_text_fini(&text);
    dx_history_free(&history);
    dx_history_free(&history);
    dx_board_free(&board);
}

static struct dx_board_route *place(unsigned worker)
{
    return &dx_board_routes(board, worker)[DX_BOARD_PLACE_POOL + dx_board_pool_find(board, "sync")];
}

static void ended(unsigned worker, unsigned outcome, unsigned status, unsigned times)
{
    dx_count_add(&place(worker)->outcomes[outcome], times);
    dx_count_add(&place(worker)->statuses[status / 100], times);
}

START_TEST(requests_are_differences_and_the_first_sample_knows_none)
{
    uint32_t id = put("sync");
    ended(0, DX_BOARD_OUTCOME_OK, 200, 40);
    sample();
    ck_assert(says(0, "\"requests\":[null]"));
    ended(0, DX_BOARD_OUTCOME_OK, 200, 5);
    ended(1, DX_BOARD_OUTCOME_OK, 304, 2);
    atomic_store(&dx_board_cell(board, 1, id)->active, 3);
    sample();
    ck_assert(says(0, "\"requests\":[null,7]"));
    ck_assert(says(0, "\"ok\":[null,7]"));
    ck_assert(says(0, "\"active\":[0,3]"));
    ck_assert(says(0, "\"up\":[1,1]"));
    ck_assert(says(0, "\"at_ms\":[4000,7000]"));
}
END_TEST

START_TEST(each_request_ended_in_one_way)
{
    put("sync");
    sample();
    ended(0, DX_BOARD_OUTCOME_OK, 200, 100);
    ended(0, DX_BOARD_OUTCOME_OK, 404, 7);
    ended(0, DX_BOARD_OUTCOME_BODY_TOO_LARGE, 413, 1);
    ended(1, DX_BOARD_OUTCOME_OK, 500, 3);
    ended(1, DX_BOARD_OUTCOME_QUEUE_FULL, 503, 4);
    ended(1, DX_BOARD_OUTCOME_RESPONSE_TIMEOUT, 504, 1);
    ended(1, DX_BOARD_OUTCOME_CLIENT_LEFT, 0, 6);
    ended(1, DX_BOARD_OUTCOME_ANSWER_CUT, 200, 2);
    sample();
    ck_assert(says(0, "\"requests\":[null,124]"));
    ck_assert(says(0, "\"ok\":[null,100]"));
    ck_assert(says(0, "\"client_errors\":[null,8]"));
    ck_assert(says(0, "\"server_errors\":[null,3]"));
    ck_assert(says(0, "\"refused\":[null,5]"));
    ck_assert(says(0, "\"left\":[null,8]"));
}
END_TEST

START_TEST(times_are_those_of_the_requests_since_the_sample_before)
{
    put("sync");
    dx_board_observe(&place(0)->times[DX_TIME_TOTAL], 50000000);
    sample();
    for (unsigned i = 0; i < 100; i++)
        dx_board_observe(&place(i % 2)->times[DX_TIME_TOTAL], i < 98 ? 3000 : 70000);
    sample();
    sample();
    ck_assert(says(0, "\"p50_us\":[null,") && says(0, ",null],\n   \"p99_us\":[null,"));
    const char *half = strstr(document(0), "\"p50_us\":[null,"), *most = strstr(half, "\"p99_us\":[null,");
    unsigned long p50 = strtoul(half + strlen("\"p50_us\":[null,"), NULL, 10);
    unsigned long p99 = strtoul(most + strlen("\"p99_us\":[null,"), NULL, 10);
    ck_assert_msg(p50 > 2500 && p50 <= 5000, "%lu", p50);
    ck_assert_msg(p99 > 50000 && p99 <= 100000, "%lu", p99);
}
END_TEST

START_TEST(a_number_that_fell_says_nothing)
{
    put("sync");
    sample();
    ended(0, DX_BOARD_OUTCOME_OK, 200, 9);
    sample();
    atomic_store(&place(0)->outcomes[DX_BOARD_OUTCOME_OK], 4);
    sample();
    atomic_store(&place(0)->outcomes[DX_BOARD_OUTCOME_OK], UINT64_MAX);
    sample();
    ck_assert(says(0, "\"requests\":[null,9,null,null]"));
    ck_assert(says(0, "\"ok\":[null,9,null,null]"));
}
END_TEST

START_TEST(waiting_requests_are_queued_or_held)
{
    put("sync");
    uint32_t pool = dx_board_pool_find(board, "sync");
    dx_board_pool_queue_set(board, pool, (struct dx_board_queue){.waiting = 5});
    sample();
    dx_board_pool_queue_set(board, pool, (struct dx_board_queue){.waiting = 6, .down = true});
    sample();
    dx_board_pool_queue_set(board, pool, (struct dx_board_queue){.waiting = 6, .unsafe = 4});
    dx_board_pool_hold_set(board, pool, DX_HOLD_WRITES);
    sample();
    ck_assert(says(0, "\"queued\":[5,0,2]"));
    ck_assert(says(0, "\"held\":[0,6,4]"));
}
END_TEST

START_TEST(a_pool_off_the_board_has_no_values)
{
    sample();
    ck_assert(says(0, "\"active\":[null]"));
    put("sync");
    sample();
    ck_assert(says(0, "\"active\":[null,0]"));
}
END_TEST

START_TEST(only_what_is_new_is_told)
{
    put("sync");
    sample();
    uint64_t seen = next_number();
    ck_assert(says(seen, "\"at_ms\":[]"));
    sample();
    sample();
    ck_assert(says(seen, "\"at_ms\":[7000,10000]"));
    dx_history_event(history, DX_LOG_WARN, "server_down",
                     (const struct dx_kv[]){DX_KS("pool", "a"), DX_LOG_END}, now());
    ck_assert(says(seen, "\"event\":\"server_down\""));
    ck_assert(!says(next_number(), "server_down"));
}
END_TEST

START_TEST(pools_come_and_go_with_the_configuration)
{
    put("sync");
    put("as\"ync");
    sample();
    ck_assert(!says(0, "as\\\"ync"));
    config.pools_n = 2;
    sample();
    ck_assert(says(0, "\"name\":\"as\\\"ync\",\n   \"requests\":[null,null]"));
    ck_assert(says(0, "\"active\":[null,0]"));
    config.pools = pools + 1;
    config.pools_n = 1;
    sample();
    ck_assert(!says(0, "\"name\":\"sync\""));
}
END_TEST

START_TEST(the_rings_are_bounded)
{
    put("sync");
    for (unsigned i = 0; i < DX_HISTORY_SAMPLES + 7; i++)
        sample();
    for (unsigned i = 0; i < DX_HISTORY_EVENTS + 3; i++)
        dx_history_event(history, DX_LOG_INFO, "reloaded",
                         (const struct dx_kv[]){DX_KI("generation", (int)i), DX_LOG_END}, now());
    const char *whole = document(0);
    ck_assert_uint_eq(times(whole, "\"event\":"), DX_HISTORY_EVENTS);
    ck_assert_ptr_null(strstr(whole, "\"generation\":2}"));
    ck_assert_ptr_nonnull(strstr(whole, "\"generation\":3}"));
    ck_assert_ptr_nonnull(strstr(whole, "\"at_ms\":[25000,")); /* seven samples after the first, at 4000 */
    ck_assert_ptr_null(
        strstr(whole, "\"requests\":[null")); /* the first one knew no difference, and is gone */
}
END_TEST

START_TEST(events_are_those_of_the_table_with_their_sentence)
{
    const struct dx_kv none[] = {DX_LOG_END};
    dx_history_event(history, DX_LOG_INFO, "access", none, now());
    ck_assert(says(0, "\"events\":[]"));
    dx_history_event(history, DX_LOG_INFO, "stopping", none, now());
    ck_assert(
        says(0, "\"level\":\"info\",\"event\":\"stopping\",\"text\":\"diplex is stopping.\",\"facts\":{}}"));
    ck_assert(says(0, "\"time\":\"2023-11-14T22:13:21.000Z\""));
}
END_TEST

START_TEST(what_an_event_says_is_escaped_and_cut)
{
    char longest[4000];
    memset(longest, '"', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const struct dx_kv kv[] = {
        DX_KS("server", "<b>\"\n\xff"), DX_KI("failures", -3), DX_KS("reason", longest),
        DX_KS("reason2", longest),      DX_KS("late", "x"),    DX_LOG_END};
    dx_history_event(history, DX_LOG_WARN, "server_down", kv, now());
    ck_assert(says(0, "\"facts\":{\"server\":\"<b>\\\"\\n\xef\xbf\xbd\",\"failures\":-3,\"reason\":\""));
    ck_assert(!says(0, "late")); /* the second long value did not fit any more */
    ck_assert_uint_lt(strlen(document(0)), 1200);
}
END_TEST

static void hear(enum dx_log_level level, const char *event, const struct dx_kv *kv)
{
    dx_history_event(history, level, event, kv, now());
}

START_TEST(the_listener_of_the_log_hears_what_the_level_hides)
{
    dx_log_set_level(DX_LOG_ERROR);
    dx_log_set_listener(hear);
    dx_log(DX_LOG_INFO, "pool_held", DX_KS("pool", "sync"));
    dx_log_set_listener(NULL);
    dx_log(DX_LOG_INFO, "pool_released", DX_KS("pool", "sync"));
    dx_log_set_level(DX_LOG_INFO);
    ck_assert(says(0, "\"facts\":{\"pool\":\"sync\"}"));
    ck_assert(!says(0, "pool_released"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, requests_are_differences_and_the_first_sample_knows_none);
    tcase_add_test(all, each_request_ended_in_one_way);
    tcase_add_test(all, times_are_those_of_the_requests_since_the_sample_before);
    tcase_add_test(all, a_number_that_fell_says_nothing);
    tcase_add_test(all, waiting_requests_are_queued_or_held);
    tcase_add_test(all, a_pool_off_the_board_has_no_values);
    tcase_add_test(all, only_what_is_new_is_told);
    tcase_add_test(all, pools_come_and_go_with_the_configuration);
    tcase_add_test(all, the_rings_are_bounded);
    tcase_add_test(all, events_are_those_of_the_table_with_their_sentence);
    tcase_add_test(all, what_an_event_says_is_escaped_and_cut);
    tcase_add_test(all, the_listener_of_the_log_hears_what_the_level_hides);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
