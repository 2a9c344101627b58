/* SPDX-License-Identifier: MIT */
/* Health as a whole: real probes against a scripted server, states on the board, one log line per change. */
#include "diplex/health.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/base/log.h"
#include "diplex/os/clock.h"

/* --- a server whose next status is set by the test; 0: it closes without a word --- */

struct server {
    int listener, stop[2];
    pthread_t thread;
    struct dx_address address;
    atomic_uint status, asked;
};

static struct server one, two;

static bool readable(int fd, int stop)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    return poll(p, 2, 5000) > 0 && p[0].revents && !p[1].revents;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    char buf[1024];
    while (readable(s->listener, s->stop[0])) {
        int fd = accept(s->listener, NULL, NULL);
        unsigned status = atomic_load(&s->status);
        if (readable(fd, s->stop[0]) && read(fd, buf, sizeof buf) > 0 && status) {
            int n = snprintf(buf, sizeof buf, "HTTP/1.1 %u X\r\nContent-Length: 0\r\n\r\n", status);
            (void)send(fd, buf, (size_t)n, MSG_NOSIGNAL);
        }
        atomic_fetch_add(&s->asked, 1);
        (void)close(fd);
    }
    return NULL;
}

static void server_start(struct server *s)
{
    memset(s, 0, sizeof *s);
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), 0, &s->address));
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(s->listener, &s->address.u.sa, s->address.len), 0);
    ck_assert_int_eq(listen(s->listener, 16), 0);
    ck_assert_int_eq(getsockname(s->listener, &s->address.u.sa, &s->address.len), 0);
    atomic_store(&s->status, 200);
    ck_assert_int_eq(pipe(s->stop), 0);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    ck_assert_int_eq(write(s->stop[1], "x", 1), 1);
    ck_assert_int_eq(pthread_join(s->thread, NULL), 0);
    (void)close(s->listener);
    (void)close(s->stop[0]);
    (void)close(s->stop[1]);
}

/* --- the house around it --- */

static struct dx_err err;
static struct dx_loop *loop;
static struct dx_board *board;
static struct dx_fetcher *fetcher;
static struct dx_health *health;
static uint32_t pool;
static struct dx_board_server list[2];
static struct dx_pool_config config;
static char log_text[16384];
static size_t log_n;

static void sink(struct dx_slice line)
{
    ck_assert_uint_lt(log_n + line.n, sizeof log_text);
    memcpy(log_text + log_n, line.p, line.n);
    log_n += line.n;
    log_text[log_n] = '\0';
}

static unsigned logged(const char *what)
{
    unsigned n = 0;
    for (const char *at = log_text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void put_on_board(size_t n)
{
    const struct server *servers[] = {&one, &two};
    for (size_t i = 0; i < 2; i++) {
        list[i] = (struct dx_board_server){.id = DX_BOARD_NONE, .weight = 1, .address = servers[i]->address};
        (void)snprintf(list[i].name, sizeof list[i].name, "web%zu:8000", i);
    }
    ck_assert(dx_board_pool_write(board, pool, list, n));
}

static void setup(void)
{
    log_n = 0;
    log_text[0] = '\0';
    dx_log_set_sink(sink);
    server_start(&one);
    server_start(&two);
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    board = dx_board_new(1, &err);
    ck_assert_ptr_nonnull(board);
    fetcher = dx_fetcher_new(loop);
    ck_assert_ptr_nonnull(fetcher);
    ck_assert_msg(dx_fetcher_load(fetcher, &err), "%s", err.text);
    health = dx_health_new(loop, board, fetcher);
    ck_assert_ptr_nonnull(health);
    pool = dx_board_pool_add(board, "sync");
    config = (struct dx_pool_config){.name = "sync", .kind = DX_KIND_WSGI};
    config.health = (struct dx_health_config){.enabled = true,
                                              .path = "/healthz/",
                                              .interval = 30,
                                              .timeout = 2000,
                                              .retries = 2,
                                              .expect = {{200, 299}},
                                              .expect_n = 1};
    config.eject.failures = 3;
    config.eject.within = 10000;
    config.eject.lasts = 60;
    config.eject.max = 50;
}

static void teardown(void)
{
    dx_health_free(&health);
    dx_health_free(&health);
    dx_fetcher_free(&fetcher);
    dx_board_free(&board);
    dx_loop_free(&loop);
    server_stop(&one);
    server_stop(&two);
    dx_log_set_sink(NULL);
}

/* --- waiting, bounded --- */

struct wait {
    struct dx_timer timer;
    uint64_t until_us;
    uint32_t id;
    enum dx_server_state state;
    bool came;
};

static void on_wait(struct dx_timer *t)
{
    struct wait *w = DX_CONTAINER(t, struct wait, timer);
    w->came = w->id != DX_BOARD_NONE && dx_board_server_state(board, w->id) == w->state;
    if (w->came || dx_clock_us() > w->until_us)
        dx_loop_stop(loop);
    else
        dx_timer_set(loop, t, 2);
}

static bool turn(uint32_t id, enum dx_server_state state, uint64_t ms)
{
    struct wait w = {
        .timer = {.on_due = on_wait}, .until_us = dx_clock_us() + ms * 1000, .id = id, .state = state};
    dx_timer_set(loop, &w.timer, 1);
    dx_loop_run(loop);
    return w.came;
}

#define ck_becomes(id, state) ck_assert(turn((id), (state), 8000))
static void pass_ms(uint64_t ms) { (void)turn(DX_BOARD_NONE, DX_SERVER_UP, ms); }

/* --- stories --- */

START_TEST(a_server_comes_up_goes_down_and_comes_back)
{
    struct dx_health_view view;
    put_on_board(1);
    dx_health_watch_pool(health, pool, &config);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_STARTING);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_assert_uint_eq(logged("server_up pool=sync server=web0:8000 address=127.0.0.1:"), 1);
    ck_assert_uint_eq(logged("pool_up"), 0);
    atomic_store(&one.status, 500);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    ck_assert_int_eq(dx_board_server_why(board, list[0].id), DX_WHY_PROBE);
    pass_ms(150);
    ck_assert_uint_eq(logged("server_down"), 1);
    ck_assert_uint_eq(logged("reason=\"probe: status 500\" failures=2"), 1);
    ck_assert_uint_eq(logged("pool_down pool=sync"), 1);
    ck_assert(dx_health_view(health, list[0].id, &view));
    ck_assert_uint_eq(view.last_status, 500);
    ck_assert_str_eq(view.last_error, "status 500");
    ck_assert_uint_ge(view.failures_in_row, 2);
    ck_assert_uint_lt(view.last_probe_ms_ago, 5000);
    atomic_store(&one.status, 204);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_assert_uint_eq(logged("server_up"), 2);
    ck_assert_uint_eq(logged("pool_up pool=sync"), 1);
    ck_assert_uint_eq(logged(" hint "), 0);
}
END_TEST

START_TEST(django_gets_its_hints)
{
    struct dx_health_view view;
    put_on_board(2);
    atomic_store(&one.status, 400);
    atomic_store(&two.status, 301);
    dx_health_hint_every(health, 60000);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    ck_becomes(list[1].id, DX_SERVER_DOWN);
    ck_assert_uint_eq(logged("pool_down"), 1);
    ck_assert_uint_eq(logged("hint what=probe_host pool=sync host=localhost path=/healthz/ status=400"), 1);
    ck_assert_uint_eq(logged("ALLOWED_HOSTS in Django's settings, or set health.host"), 1);
    ck_assert_uint_eq(logged("hint what=probe_redirect"), 1);
    ck_assert_uint_eq(logged("SECURE_REDIRECT_EXEMPT"), 1);
    ck_assert(dx_health_view(health, list[0].id, &view));
    ck_assert_str_eq(view.hint, "probe_host");
    atomic_store(&one.status, 200);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_assert(dx_health_view(health, list[0].id, &view));
    ck_assert_ptr_null(view.hint);
}
END_TEST

START_TEST(hints_are_repeated_after_their_time_only)
{
    put_on_board(1);
    atomic_store(&one.status, 400);
    dx_health_hint_every(health, 400);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    ck_assert_uint_eq(logged("hint what=probe_host"), 1);
    pass_ms(900);
    unsigned said = logged("hint what=probe_host");
    ck_assert_uint_ge(said, 2);
    ck_assert_uint_le(said, 4);
    dx_health_hint_every(health, 0);
    pass_ms(450);
    ck_assert_uint_eq(logged("hint what=probe_host"), said);
}
END_TEST

START_TEST(no_answer_is_named)
{
    put_on_board(1);
    atomic_store(&one.status, 0);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    ck_assert_uint_eq(logged("reason=\"probe: closed without an answer\""), 1);
}
END_TEST

START_TEST(without_checks_up_at_once)
{
    struct dx_health_view view;
    put_on_board(1);
    config.health.enabled = false;
    dx_health_watch_pool(health, pool, &config);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_UP);
    pass_ms(50);
    ck_assert_uint_eq(atomic_load(&one.asked), 0);
    ck_assert(dx_health_view(health, list[0].id, &view));
    ck_assert_uint_eq(view.last_probe_ms_ago, UINT64_MAX);
    ck_assert(!dx_health_view(health, 1000, &view));
}
END_TEST

START_TEST(workers_take_a_failing_server_out_for_a_while)
{
    put_on_board(2);
    config.health.enabled = false;
    dx_health_watch_pool(health, pool, &config);
    dx_count_add(&dx_board_cell(board, 0, list[0].id)->connect_failures, 2);
    dx_count_add(&dx_board_cell(board, 0, list[0].id)->resets, 1);
    dx_count_add(&dx_board_cell(board, 0, list[1].id)->resets, 7);
    dx_health_news(health);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_DOWN);
    ck_assert_int_eq(dx_board_server_why(board, list[0].id), DX_WHY_PASSIVE);
    ck_assert_int_eq(dx_board_server_state(board, list[1].id), DX_SERVER_UP); /* the last one stays */
    ck_assert_uint_eq(logged("reason=\"passive: 3 connections failed within 10000 ms\""), 1);
    dx_health_news(health);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_assert_uint_eq(logged("server_up"), 1);
    ck_assert_uint_eq(logged("reason=\"ejection over\""), 1);
    ck_assert_uint_eq(logged("pool_down"), 0);
}
END_TEST

START_TEST(a_probe_ends_an_ejection_at_once)
{
    put_on_board(2);
    config.health.interval = 60000;
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_becomes(list[1].id, DX_SERVER_UP);
    dx_count_add(&dx_board_cell(board, 0, list[0].id)->connect_failures, 3);
    dx_health_news(health);
    ck_assert_int_eq(dx_board_server_why(board, list[0].id), DX_WHY_PASSIVE);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_assert_uint_eq(logged("server_down"), 1);
}
END_TEST

START_TEST(a_working_wsgi_server_is_not_asked)
{
    put_on_board(1);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_UP);
    pass_ms(100);
    atomic_store(&dx_board_cell(board, 0, list[0].id)->active, 1);
    atomic_store(&dx_board_cell(board, 0, list[0].id)->last_answer_ms, dx_clock_us() / 1000);
    pass_ms(60); /* what was under way has come back */
    unsigned asked = atomic_load(&one.asked);
    pass_ms(200);
    ck_assert_uint_eq(atomic_load(&one.asked), asked);
    atomic_store(&dx_board_cell(board, 0, list[0].id)->active, 0);
    pass_ms(200);
    ck_assert_uint_gt(atomic_load(&one.asked), asked);
}
END_TEST

START_TEST(lists_change_and_what_stays_keeps_its_history)
{
    struct dx_health_view view;
    put_on_board(2);
    atomic_store(&one.status, 500);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    ck_becomes(list[1].id, DX_SERVER_UP);
    uint32_t gone = list[1].id;
    ck_assert(dx_board_pool_write(board, pool, list, 1));
    dx_health_watch_pool(health, pool, &config);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_DOWN);
    ck_assert(!dx_health_view(health, gone, &view));
    ck_assert_uint_eq(logged("pool_down"), 1);
    dx_health_watch_pool(health, pool, &config);
    ck_assert_uint_eq(logged("server_down"), 1);
    ck_assert(dx_board_pool_write(board, pool, list, 0));
    dx_health_watch_pool(health, pool, &config);
    pass_ms(50);
    ck_assert_uint_eq(logged("pool_down"), 1);
}
END_TEST

START_TEST(another_address_in_the_same_place_begins_anew)
{
    put_on_board(1);
    atomic_store(&one.status, 500);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    list[0].address = two.address;
    ck_assert(dx_board_pool_write(board, pool, list, 1));
    dx_health_watch_pool(health, pool, &config);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_STARTING);
    ck_becomes(list[0].id, DX_SERVER_UP);
}
END_TEST

START_TEST(a_reload_changes_the_question)
{
    struct dx_pool_config other = config;
    put_on_board(1);
    atomic_store(&one.status, 404);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_DOWN);
    other.health.expect[0] = (struct dx_status_range){404, 404};
    dx_health_watch_pool(health, pool, &other);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_DOWN);
    ck_becomes(list[0].id, DX_SERVER_UP);
    config.health.enabled = false;
    atomic_store(&one.status, 500);
    dx_health_watch_pool(health, pool, &config);
    pass_ms(100);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_UP);
}
END_TEST

static bool drain(const char *name, const struct dx_address *address, bool drained)
{
    return dx_health_drain(health, pool, name, address, drained);
}

static bool is_drained(size_t at)
{
    return dx_board_server_state(board, list[at].id) == DX_SERVER_DOWN &&
           dx_board_server_why(board, list[at].id) == DX_WHY_DRAINED;
}

static bool is_up(size_t at) { return dx_board_server_state(board, list[at].id) == DX_SERVER_UP; }

START_TEST(a_drained_server_stays_so_whatever_probes_say)
{
    put_on_board(2);
    dx_health_watch_pool(health, pool, &config);
    ck_becomes(list[0].id, DX_SERVER_UP);
    ck_assert(drain("web0:8000", NULL, true));
    ck_assert(is_drained(0));
    unsigned asked = atomic_load(&one.asked);
    while (atomic_load(&one.asked) < asked + 3)
        pass_ms(5);
    ck_assert(is_drained(0));
    ck_assert_uint_eq(logged("server_drained pool=sync server=web0:8000 address=127.0.0.1:"), 1);
    ck_assert_uint_eq(logged("server_down"), 0);
    ck_assert(drain("web0:8000", NULL, true));
    ck_assert_uint_eq(logged("server_drained"), 1);
    struct dx_pool_config reloaded = config;
    dx_health_watch_pool(health, pool, &reloaded);
    dx_health_settle(health, pool);
    ck_assert(is_drained(0));
    dx_board_server_set_risen(board, list[0].id, 0);
    ck_assert(drain("web0:8000", NULL, false));
    ck_assert(is_up(0));
    ck_assert_uint_ne(dx_board_server_risen_ms(board, list[0].id), 0);
    ck_assert_uint_eq(logged("server_undrained"), 1);
}
END_TEST

/* The board's place is another one after the server was away, and so is that of a new address. */
START_TEST(a_drained_name_is_drained_wherever_it_is_found)
{
    struct dx_server_config names[] = {{.text = "web0:8000"}, {.text = "web1:8000"}}, other = {.text = "x:1"};
    config.health.enabled = false;
    config.servers = names;
    config.servers_n = 2;
    put_on_board(2);
    dx_health_watch_pool(health, pool, &config);
    ck_assert(drain("web0:8000", NULL, true));
    ck_assert(drain("web1:8000", &two.address, true));
    ck_assert(is_drained(0) && is_drained(1));
    ck_assert_uint_eq(logged("pool_down"), 1);
    ck_assert(dx_board_pool_write(board, pool, list, 0));
    dx_health_watch_pool(health, pool, &config);
    put_on_board(2);
    list[1].address = one.address; /* no order is about this one */
    ck_assert(dx_board_pool_write(board, pool, list, 2));
    dx_health_watch_pool(health, pool, &config);
    dx_health_settle(health, pool);
    ck_assert(is_drained(0) && is_up(1));
    ck_assert(drain("web0:8000", &one.address, false));
    ck_assert(is_up(0));
    ck_assert(drain("web0:8000", NULL, true)); /* the name again: with all that is behind it */
    ck_assert(is_drained(0));
    config.servers = &other;
    config.servers_n = 1;
    dx_health_settle(health, pool);
    config.servers = names;
    config.servers_n = 2;
    ck_assert(dx_board_pool_write(board, pool, list, 0));
    dx_health_watch_pool(health, pool, &config);
    put_on_board(2);
    dx_health_watch_pool(health, pool, &config);
    ck_assert(is_up(0) && is_up(1));
}
END_TEST

START_TEST(draining_the_others_brings_an_ejected_one_back)
{
    config.health.enabled = false;
    config.eject.lasts = 60000;
    put_on_board(2);
    dx_health_watch_pool(health, pool, &config);
    dx_board_cell(board, 0, list[0].id)->resets = 3;
    dx_health_news(health);
    ck_assert_int_eq(dx_board_server_why(board, list[0].id), DX_WHY_PASSIVE);
    ck_assert(drain("web1:8000", NULL, true));
    ck_assert(is_up(0));
    dx_board_cell(board, 0, list[0].id)->resets = 9;
    dx_health_news(health);
    ck_assert(is_up(0)); /* the last one */
}
END_TEST

START_TEST(who_rises_late_is_told_from_those_that_begin)
{
    config.health.enabled = false;
    config.slow_start = 40;
    put_on_board(1);
    dx_health_watch_pool(health, pool, &config);
    pass_ms(1);
    list[1].id = DX_BOARD_NONE;
    ck_assert(dx_board_pool_write(board, pool, list, 2));
    dx_health_watch_pool(health, pool, &config);
    ck_assert_uint_eq(dx_board_server_risen_ms(board, list[0].id), 0);
    ck_assert_uint_eq(dx_board_server_risen_ms(board, list[1].id), 0);
    ck_assert(dx_board_pool_write(board, pool, list, 1));
    dx_health_watch_pool(health, pool, &config);
    pass_ms(60);
    list[1].id = DX_BOARD_NONE;
    ck_assert(dx_board_pool_write(board, pool, list, 2));
    dx_health_watch_pool(health, pool, &config);
    ck_assert_uint_eq(dx_board_server_risen_ms(board, list[0].id), 0);
    ck_assert_uint_ne(dx_board_server_risen_ms(board, list[1].id), 0);
}
END_TEST

START_TEST(a_forgotten_pool_is_left_alone)
{
    put_on_board(2);
    dx_health_watch_pool(health, pool, &config);
    dx_health_forget_pool(health, pool);
    dx_health_forget_pool(health, pool);
    dx_health_news(health);
    pass_ms(60);
    ck_assert_int_eq(dx_board_server_state(board, list[0].id), DX_SERVER_STARTING);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("health");
    TCase *c = tcase_create("health");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, a_server_comes_up_goes_down_and_comes_back);
    tcase_add_test(c, django_gets_its_hints);
    tcase_add_test(c, hints_are_repeated_after_their_time_only);
    tcase_add_test(c, no_answer_is_named);
    tcase_add_test(c, without_checks_up_at_once);
    tcase_add_test(c, workers_take_a_failing_server_out_for_a_while);
    tcase_add_test(c, a_probe_ends_an_ejection_at_once);
    tcase_add_test(c, a_working_wsgi_server_is_not_asked);
    tcase_add_test(c, lists_change_and_what_stays_keeps_its_history);
    tcase_add_test(c, another_address_in_the_same_place_begins_anew);
    tcase_add_test(c, a_reload_changes_the_question);
    tcase_add_test(c, a_drained_server_stays_so_whatever_probes_say);
    tcase_add_test(c, a_drained_name_is_drained_wherever_it_is_found);
    tcase_add_test(c, draining_the_others_brings_an_ejected_one_back);
    tcase_add_test(c, who_rises_late_is_told_from_those_that_begin);
    tcase_add_test(c, a_forgotten_pool_is_left_alone);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
