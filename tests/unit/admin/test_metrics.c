/* SPDX-License-Identifier: MIT */
/* GET /metrics as text: both formats, labels that hold anything, sums, and that docs/metrics.md names them
 * all. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "admin/metrics.h"
#include "diplex/os/fd.h"
#include "diplex/os/usage.h"

#define DOC     DIPLEX_SOURCE_DIR "/docs/metrics.md"
#define DOC_MAX (1024u * 1024)
#define ROUTES  300u

static struct dx_board *board;
static struct dx_config config;
static struct dx_pool_config pools[2];
static struct dx_route_config routes[ROUTES];
static struct dx_admin_facts facts;
static struct dx_text text;

static void setup(void)
{
    struct dx_err err;
    board = dx_board_new(2, &err);
    ck_assert_ptr_nonnull(board);
    pools[0] =
        (struct dx_pool_config){.name = "sync", .kind = DX_KIND_WSGI, .slots = 4, .queue = {.max = 50}};
    pools[1] = (struct dx_pool_config){.name = "async", .kind = DX_KIND_ASGI, .hold = {.max = 9}};
    routes[0] = (struct dx_route_config){.host = "", .path = "/", .pool = 0};
    routes[1] = (struct dx_route_config){.host = "a.example", .path = "/async/", .pool = 1};
    config = (struct dx_config){.pools = pools, .pools_n = 2, .routes = routes, .routes_n = 2};
    facts = (struct dx_admin_facts){.ready = true,
                                    .file = "a \"b\".yaml",
                                    .control_pid = getpid(),
                                    .data_pid = -1,
                                    .uptime_ms = 5000,
                                    .generation = 3,
                                    .workers = 2,
                                    .reloads = 2,
                                    .reload = {.any = true, .ok = false, .refused = 1},
                                    .config = &config,
                                    .board = board};
    dx_text_init(&text);
}

static void teardown(void)
{
    dx_text_fini(&text);
    dx_board_free(&board);
}

static uint32_t add_pool(unsigned i)
{
    uint32_t at = dx_board_pool_add(board, pools[i].name);
    ck_assert_uint_ne(at, DX_BOARD_NONE);
    return at;
}

static struct dx_board_route *place_of(const struct dx_route_config *r, unsigned worker)
{
    const char *pool = pools[r->pool].name;
    uint32_t at = dx_board_route_add(board, dx_board_route_key(r->host, r->path, pool),
                                     dx_board_pool_find(board, pool));
    ck_assert_uint_ne(at, DX_BOARD_NONE);
    return &dx_board_routes(board, worker)[at];
}

static void made(bool open)
{
    dx_text_reset(&text);
    metrics_write(&facts, 0x1234, open, &text);
    ck_assert(!text.failed);
}

static bool has(const char *part)
{
    if (strstr(text.p, part))
        return true;
    (void)fprintf(stderr, "no %s in\n%s", part, text.p);
    return false;
}

static size_t times(const char *part)
{
    size_t n = 0;
    for (const char *p = text.p; (p = strstr(p, part)) != NULL; p++)
        n++;
    return n;
}

START_TEST(what_routes_counted_is_told)
{
    (void)add_pool(0), (void)add_pool(1);
    struct dx_board_route *a = place_of(&routes[0], 0), *b = place_of(&routes[0], 1);
    (void)place_of(&routes[1], 0);
    dx_count_add(&a->statuses[2], 3);
    dx_count_add(&b->statuses[2], 4);
    dx_count_add(&a->outcomes[DX_BOARD_OUTCOME_OK], 7);
    dx_count_add(&b->outcomes[DX_BOARD_OUTCOME_QUEUE_FULL], 1);
    dx_count_add(&b->saved_request_us, 1500000);
    dx_count_add(&b->bytes_out, 11);
    dx_board_observe(&a->times[DX_TIME_TOTAL], 2500);
    dx_board_observe(&b->times[DX_TIME_TOTAL], 2501);
    dx_board_observe(&b->times[DX_TIME_QUEUED], 7);
    dx_count_add(&dx_board_routes(board, 1)[DX_BOARD_NO_ROUTE].outcomes[DX_BOARD_OUTCOME_NO_ROUTE], 5);
    made(false);
    static const char *const parts[] = {
        "\ndiplex_requests_total{route=\"/\",pool=\"sync\",code=\"2xx\"} 7\n",
        "\ndiplex_requests_total{route=\"a.example/async/\",pool=\"async\",code=\"2xx\"} 0\n",
        "\ndiplex_outcomes_total{pool=\"sync\",outcome=\"ok\"} 7\n",
        "\ndiplex_outcomes_total{pool=\"sync\",outcome=\"queue_full\"} 1\n",
        "\ndiplex_outcomes_total{pool=\"(none)\",outcome=\"no_route\"} 5\n",
        "\ndiplex_worker_saved_seconds_total{pool=\"sync\",by=\"request\"} 1.5\n",
        "\ndiplex_worker_saved_seconds_total{pool=\"sync\",by=\"answer\"} 0.0\n",
        "\ndiplex_client_sent_bytes_total{route=\"/\",pool=\"sync\"} 11\n",
        "\ndiplex_request_duration_seconds_bucket{route=\"/\",pool=\"sync\",le=\"0.001\"} 0\n",
        "\ndiplex_request_duration_seconds_bucket{route=\"/\",pool=\"sync\",le=\"0.0025\"} 1\n",
        "\ndiplex_request_duration_seconds_bucket{route=\"/\",pool=\"sync\",le=\"0.005\"} 2\n",
        "\ndiplex_request_duration_seconds_bucket{route=\"/\",pool=\"sync\",le=\"+Inf\"} 2\n",
        "\ndiplex_request_duration_seconds_sum{route=\"/\",pool=\"sync\"} 0.005001\n",
        "\ndiplex_request_duration_seconds_count{route=\"/\",pool=\"sync\"} 2\n",
        "\ndiplex_queue_duration_seconds_sum{route=\"/\",pool=\"sync\"} 0.000007\n",
        "\ndiplex_pool_queue_limit{pool=\"sync\"} 50\n",
        "\ndiplex_pool_hold_limit{pool=\"async\"} 9\n",
    };
    for (size_t i = 0; i < DX_COUNT(parts); i++)
        ck_assert(has(parts[i]));
    ck_assert_uint_eq(times("diplex_queue_duration_seconds_sum"), 1);
    ck_assert_uint_eq(times("diplex_hold_duration_seconds_sum"), 0);
    ck_assert_uint_eq(times("worker_saved_seconds_total{pool=\"async\""), 0);
    ck_assert_uint_eq(times("pool_slots{pool=\"async\""), 0);
}
END_TEST

START_TEST(a_long_table_shares_one_place)
{
    char paths[ROUTES][16];
    uint32_t pool = add_pool(0);
    for (unsigned i = 0; i < ROUTES; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "/%u/", i);
        routes[i] = (struct dx_route_config){.host = "", .path = paths[i]};
        if (i < DX_BOARD_ROUTES_EACH)
            (void)place_of(&routes[i], 0);
    }
    config.routes_n = ROUTES;
    dx_count_add(&dx_board_routes(board, 0)[DX_BOARD_PLACE_POOL + pool].statuses[5], 8);
    made(false);
    ck_assert(has("diplex_requests_total{route=\"(other)\",pool=\"sync\",code=\"5xx\"} 8\n"));
    ck_assert_uint_eq(times("code=\"5xx\""), DX_BOARD_ROUTES_EACH + 2);
}
END_TEST

START_TEST(servers_and_slots_are_told)
{
    uint32_t at = add_pool(0);
    struct dx_board_server servers[3];
    for (unsigned i = 0; i < 3; i++) {
        servers[i] = (struct dx_board_server){.id = DX_BOARD_NONE, .weight = 1};
        (void)snprintf(servers[i].name, sizeof servers[i].name, "web:8000");
        ck_assert(
            dx_address_from_ip(i ? DX_SLICE("192.0.2.2") : DX_SLICE("192.0.2.1"), 8000, &servers[i].address));
    }
    ck_assert(dx_board_pool_write(board, at, servers, 3));
    dx_board_server_set(board, servers[0].id, DX_SERVER_UP, DX_WHY_NONE);
    dx_board_server_set(board, servers[1].id, DX_SERVER_DOWN, DX_WHY_PASSIVE);
    atomic_store(&dx_board_cell(board, 0, servers[0].id)->active, 3);
    atomic_store(&dx_board_cell(board, 1, servers[0].id)->active, 2);
    dx_board_pool_queue_set(board, at, (struct dx_board_queue){.waiting = 8, .unsafe = 2});
    dx_board_pool_hold_set(board, at, DX_HOLD_WRITES);
    made(true);
    static const char *const parts[] = {
        "\ndiplex_server_up{pool=\"sync\",server=\"web:8000\",address=\"192.0.2.1:8000\"} 1\n",
        "\ndiplex_server_up{pool=\"sync\",server=\"web:8000\",address=\"192.0.2.2:8000\"} 0\n",
        "address=\"192.0.2.2:8000\",reason=\"passive\"} 1\n",
        "address=\"192.0.2.1:8000\",reason=\"passive\"} 0\n",
        "\ndiplex_pool_servers{pool=\"sync\",state=\"up\"} 1\n",
        "\ndiplex_pool_requests_running{pool=\"sync\"} 5\n",
        "\ndiplex_pool_slots{pool=\"sync\"} 4\n",
        "\ndiplex_pool_slots_used{pool=\"sync\"} 4\n",
        "\ndiplex_pool_queued{pool=\"sync\"} 6\n",
        "\ndiplex_pool_held{pool=\"sync\"} 2\n",
        "\ndiplex_pool_hold_ordered{pool=\"sync\"} 1\n",
    };
    for (size_t i = 0; i < DX_COUNT(parts); i++)
        ck_assert(has(parts[i]));
    ck_assert_uint_eq(times("diplex_server_up{"), 2); /* one that is named twice is told once */
}
END_TEST

START_TEST(the_formats_differ_where_they_must)
{
    made(false);
    ck_assert(has("# TYPE diplex_reloads_total counter\n"));
    ck_assert(has("# TYPE diplex_build_info gauge\n"));
    ck_assert_uint_eq(times("# EOF"), 0);
    ck_assert(has("\ndiplex_config_last_reload_successful 0\n"));
    ck_assert(has("diplex_config_info{hash=\"1234\",file=\"a \\\"b\\\".yaml\"} 1\n"));
    made(true);
    ck_assert(has("# TYPE diplex_reloads counter\n"));
    ck_assert(has("\ndiplex_reloads_total{result=\"refused\"} 1\n"));
    ck_assert(has("# TYPE diplex_build info\n"));
    ck_assert(has("\ndiplex_build_info{version=\"" DIPLEX_VERSION "\"} 1\n"));
    ck_assert_str_eq(text.p + text.n - 6, "# EOF\n");
}
END_TEST

START_TEST(labels_hold_anything)
{
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff/", "%FF/"},
        {"\xed\xa0\x80", "%ED%A0%80"},
        {"\xe2\x82", "%E2%82"},
        {"%FF", "%25FF"},
        {"\x01\x7f", "%01%7F"},
        {"\xf0\x9f\x90\x8d", "\xf0\x9f\x90\x8d"},
        {"\xc0\x80", "%C0%80"},
        {"\xf4\x90\x80\x80", "%F4%90%80%80"},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct labels l;
        char expected[64];
        labels_begin(&l);
        labels_add(&l, "x", rows[i].value);
        int n = snprintf(expected, sizeof expected, "x=\"%s\"", rows[i].shown);
        ck_assert_msg(l.n == (size_t)n && memcmp(l.text, expected, l.n) == 0, "%zu: %.*s", i, (int)l.n,
                      l.text);
    }
    static char longer[2 * LABELS_BYTES];
    memset(longer, 'a', sizeof longer - 1);
    struct labels l;
    labels_begin(&l);
    labels_add(&l, "x", longer);
    ck_assert(l.cut);
    struct writer w = {.out = &text, .name = "diplex_x", .suffix = ""};
    write_value(&w, &l, 1);
    ck_assert_uint_eq(text.n, 0);
}
END_TEST

START_TEST(who_asks_for_it_gets_open_metrics)
{
    static const struct {
        const char *accept;
        bool open;
    } rows[] = {
        {"", false},
        {"*/*", false},
        {"text/plain", false},
        {"application/openmetrics-text", true},
        {"Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", true},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         true},
        {"application/openmetrics-text;q=0.2, text/plain;q=0.25", false},
        {"application/openmetrics-text;q=0", false},
        {"application/openmetrics-text;q=0.001", true},
        {"text/plain;q=1.0, application/openmetrics-text;q=0.999", false},
        {"application/openmetrics-text ; q=1 ;;", true},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++)
        ck_assert_msg(metrics_wants_open(dx_slice_str(rows[i].accept)) == rows[i].open, "%s", rows[i].accept);
}
END_TEST

START_TEST(a_long_answer_takes_no_time)
{
    char paths[DX_BOARD_ROUTES_EACH][16];
    (void)add_pool(0);
    for (unsigned i = 0; i < DX_BOARD_ROUTES_EACH; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "/%u/", i);
        routes[i] = (struct dx_route_config){.host = "", .path = paths[i]};
        for (unsigned t = 0; t < DX_TIME_COUNT; t++)
            dx_board_observe(&place_of(&routes[i], 0)->times[t], i);
    }
    config.routes_n = DX_BOARD_ROUTES_EACH;
    clock_t began = clock();
    made(true);
    double ms = (double)(clock() - began) * 1000 / CLOCKS_PER_SEC;
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    ck_assert_uint_gt(lines, DX_BOARD_ROUTES_EACH * 100);
    (void)printf("%zu lines in %.1f ms\n", lines, ms);
    ck_assert_double_lt(ms, 2000); /* a few, but sanitizers and other people's work take theirs */
}
END_TEST

START_TEST(a_process_says_what_it_takes)
{
    struct dx_usage u;
    ck_assert(dx_usage_of(getpid(), &u));
    ck_assert(u.memory_bytes > 4096 && u.threads >= 1 && u.descriptors >= 3);
    ck_assert(!dx_usage_of(0x7ffffff0, &u));
    made(false);
    ck_assert(has("\ndiplex_process_threads{process=\"control\"} "));
    ck_assert_uint_eq(times("process=\"data\""), 0);
}
END_TEST

START_TEST(the_manual_names_them_all)
{
    char *doc;
    size_t n;
    struct dx_text table;
    dx_text_init(&table);
    dx_text_adds(&table, "<!-- metrics -->\n");
    metrics_print(&table);
    dx_text_adds(&table, "<!-- /metrics -->");
    ck_assert_msg(dx_fd_read_file(DOC, DOC_MAX, &doc, &n), "cannot read %s", DOC);
    if (!strstr(doc, table.p)) {
        (void)fprintf(stderr, "in %s there should be:\n%s\n", DOC, table.p);
        ck_abort_msg("%s differs from src/admin/metrics.def and include/diplex/counters.def", DOC);
    }
    free(doc);
    dx_text_fini(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tc = tcase_create("metrics");
    const TTest *const tests[] = {
        what_routes_counted_is_told,        a_long_table_shares_one_place, servers_and_slots_are_told,
        the_formats_differ_where_they_must, labels_hold_anything,          who_asks_for_it_gets_open_metrics,
        a_long_answer_takes_no_time,        a_process_says_what_it_takes,  the_manual_names_them_all,
    };
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
