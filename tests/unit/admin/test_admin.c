/* SPDX-License-Identifier: MIT */
/* The admin endpoints over a real Unix socket: what they answer, and that a reload is answered when it is
 * done. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diplex/admin.h"

#define PATIENCE_MS 5000

static struct dx_loop *loop;
static struct dx_board *board;
static struct dx_admin *admin;
static struct dx_config config;
static struct dx_pool_config pool;
static struct dx_admin_reply *asked;
static struct dx_address where;
static bool ready;

static void facts(void *arg, struct dx_admin_facts *out)
{
    static const char *const listen[] = {"127.0.0.1:8080"};
    (void)arg;
    *out = (struct dx_admin_facts){.ready = ready,
                                   .state = "ready",
                                   .file = "a \"file\".yaml",
                                   .control_pid = 7,
                                   .data_pid = -1,
                                   .generation = 3,
                                   .workers = 2,
                                   .listen = listen,
                                   .listen_n = 1,
                                   .config = &config,
                                   .board = board};
}

static void reload(void *arg, struct dx_admin_reply *reply)
{
    (void)arg;
    asked = reply;
}

static bool drain(void *arg, enum dx_admin_drain what, struct dx_slice server, struct dx_text *out)
{
    (void)arg;
    dx_text_addf(out, "%d %.*s", (int)what, DX_SLICE_ARGS(server));
    return !dx_slice_eq(server, DX_SLICE("unknown"));
}

static bool hold(void *arg, enum dx_board_hold what, struct dx_slice name, struct dx_text *out)
{
    (void)arg;
    if (dx_slice_eq(name, DX_SLICE("unknown"))) {
        dx_text_adds(out, "no pool\n");
        return false;
    }
    dx_text_addf(out, "%d %.*s", (int)what, DX_SLICE_ARGS(name));
    return true;
}

static struct dx_census_list running;

static void look(void *arg, struct dx_admin_reply *reply)
{
    (void)arg;
    dx_admin_status_send(reply, &running);
}

static bool set_log(void *arg, enum dx_log_level level)
{
    (void)arg;
    return level != DX_LOG_ERROR;
}

static void setup(void)
{
    struct dx_err err = {{0}};
    const struct dx_admin_owner owner = {
        .facts = facts, .reload = reload, .drain = drain, .hold = hold, .look = look, .level = set_log};
    signal(SIGPIPE, SIG_IGN); /* as main.c does */
    loop = dx_loop_new();
    board = dx_board_new(2, &err);
    ck_assert_msg(loop && board, "%s", err.text);
    where = (struct dx_address){.len = sizeof(sa_family_t)};
    where.u.un.sun_family = AF_UNIX; /* the kernel gives it a name */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, &where.u.sa, where.len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    where.len = sizeof where.u;
    ck_assert_int_eq(getsockname(fd, &where.u.sa, &where.len), 0);
    admin = dx_admin_new(loop, &owner);
    ck_assert_ptr_nonnull(admin);
    ck_assert_ptr_nonnull(dx_admin_open(admin, &(struct dx_admin_door_setup){.listener = fd}, &err));
    pool = (struct dx_pool_config){.name = "sync", .kind = DX_KIND_WSGI};
    config = (struct dx_config){.pools = &pool, .pools_n = 1};
    ready = true;
    asked = NULL;
}

static void teardown(void)
{
    dx_admin_free(&admin);
    dx_admin_free(&admin);
    dx_board_free(&board);
    dx_loop_free(&loop);
}

static void on_pause(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void run_ms(uint64_t ms)
{
    struct dx_timer pause = {.on_due = on_pause};
    dx_timer_set(loop, &pause, ms);
    dx_loop_run(loop);
}

static int ask(const char *method, const char *path)
{
    char request[256];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, &where.u.sa, where.len), 0);
    int n =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", method, path);
    ck_assert_int_eq(write(fd, request, (size_t)n), n);
    return fd;
}

/* What has come by the time the connection is closed, which it must be soon. */
static const char *answer(int fd)
{
    static char buf[65536];
    size_t n = 0;
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 5) {
        run_ms(5);
        ssize_t got = recv(fd, buf + n, sizeof buf - 1 - n, MSG_DONTWAIT);
        if (got > 0)
            n += (size_t)got;
        if (got == 0)
            break;
    }
    buf[n] = '\0';
    close(fd);
    return buf;
}

START_TEST(healthz_says_whether_data_serves)
{
    ck_assert_ptr_nonnull(strstr(answer(ask("GET", "/healthz")), " 200 "));
    ready = false;
    ck_assert_ptr_nonnull(strstr(answer(ask("GET", "/healthz")), " 503 "));
}
END_TEST

START_TEST(a_reload_is_answered_when_it_is_done)
{
    int fd = ask("POST", "/reload");
    char byte;
    run_ms(50);
    ck_assert_ptr_nonnull(asked);
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    dx_admin_reply_send(asked, DX_ADMIN_RELOADED, DX_SLICE("workers user"));
    const char *text = answer(fd);
    ck_assert_ptr_nonnull(strstr(text, " 200 "));
    ck_assert_ptr_nonnull(strstr(text, "{\"result\":\"reloaded\",\"after_restart\":\"workers user\"}"));
}
END_TEST

START_TEST(a_refused_reload_brings_the_faults)
{
    int fd = ask("POST", "/reload");
    run_ms(50);
    ck_assert_ptr_nonnull(asked);
    dx_admin_reply_send(asked, DX_ADMIN_REFUSED, DX_SLICE("d.yaml:1:1: error: no\n"));
    const char *text = answer(fd);
    ck_assert_ptr_nonnull(strstr(text, " 422 "));
    ck_assert_ptr_nonnull(strstr(text, "\r\n\r\nd.yaml:1:1: error: no\n"));
}
END_TEST

START_TEST(who_asked_may_have_left)
{
    int fd = ask("POST", "/reload");
    run_ms(50);
    ck_assert_ptr_nonnull(asked);
    close(fd);
    run_ms(20);
    dx_admin_reply_send(asked, DX_ADMIN_RELOADED, DX_SLICE(""));
    run_ms(20);
    ck_assert_ptr_nonnull(strstr(answer(ask("GET", "/healthz")), " 200 "));
}
END_TEST

START_TEST(whoever_waits_at_the_end_is_let_go)
{
    int fd = ask("POST", "/reload");
    run_ms(50);
    ck_assert_ptr_nonnull(asked);
    dx_admin_free(&admin);
    ck_assert_ptr_null(admin);
    close(fd);
}
END_TEST

START_TEST(drains_name_their_server)
{
    static const struct {
        const char *method, *path, *expected;
    } asks[] = {
        {"POST", "/hold?pool=sync", "\r\n\r\n2 sync"},
        {"POST", "/hold?pool=a%2Db&methods=unsafe", "\r\n\r\n1 a-b"},
        {"POST", "/hold?pool=sync&methods=all", " 400 "},
        {"POST", "/release?pool=sync", "\r\n\r\n0 sync"},
        {"POST", "/release?pool=sync&methods=unsafe", " 400 "},
        {"POST", "/hold?pool=unknown", " 404 "},
        {"POST", "/hold", " 400 "},
        {"GET", "/hold?pool=sync", " 405 "},
        {"GET", "/drain?server=web%3A8000", "\r\n\r\n0 web:8000"},
        {"POST", "/drain?server=app%2Funix%3A%2Fa%2Bb", "\r\n\r\n1 app/unix:/a+b"},
        {"POST", "/undrain?server=x", "\r\n\r\n2 x"},
        {"POST", "/drain?server=unknown", " 404 "},
        {"POST", "/drain", " 400 "},
        {"POST", "/drain?name=x", " 400 "},
        {"GET", "/undrain?server=x", " 405 "},
        {"PUT", "/drain?server=x", " 405 "},
        {"POST", "/log?level=debug", "\r\n\r\n{\"log_level\":\"debug\""},
        {"POST", "/log?level=error", " 503 "},
        {"POST", "/log?level=loud", " 400 "},
        {"POST", "/log", " 400 "},
        {"GET", "/log?level=info", " 405 "},
    };
    for (size_t i = 0; i < DX_COUNT(asks); i++) {
        const char *text = answer(ask(asks[i].method, asks[i].path));
        ck_assert_msg(strstr(text, asks[i].expected) != NULL, "%s: %s", asks[i].path, text);
    }
}
END_TEST

START_TEST(other_methods_and_paths)
{
    ck_assert_ptr_nonnull(strstr(answer(ask("GET", "/reload")), " 405 "));
    ck_assert_ptr_nonnull(strstr(answer(ask("POST", "/status")), " 405 "));
    ck_assert_ptr_nonnull(strstr(answer(ask("GET", "/nothing")), " 404 "));
    ck_assert_ptr_null(asked);
}
END_TEST

START_TEST(status_shows_servers_and_counters)
{
    uint32_t at = dx_board_pool_add(board, "sync");
    ck_assert_uint_ne(at, DX_BOARD_NONE);
    struct dx_board_server server = {.id = DX_BOARD_NONE, .name = "web:8000", .weight = 5};
    ck_assert(dx_address_parse(DX_SLICE("192.0.2.7:8000"), false, &server.address));
    ck_assert(dx_board_pool_write(board, at, &server, 1));
    dx_board_server_set(board, server.id, DX_SERVER_DOWN, DX_WHY_PROBE);
    atomic_store(&dx_board_cell(board, 0, server.id)->requests, 4);
    atomic_store(&dx_board_cell(board, 1, server.id)->requests, 6);
    dx_count_add(&dx_board_counters(board, 1)[DX_COUNTER_RETRIES], 9);
    const char *text = answer(ask("GET", "/status?config=no"));
    static const char *const parts[] = {
        "application/json",
        "\"file\":\"a \\\"file\\\".yaml\"",
        "\"data_pid\":null",
        "\"generation\":3",
        "\"listen\":[\"127.0.0.1:8080\"]",
        "{\"name\":\"web:8000\",\"address\":\"192.0.2.7:8000\",",
        "\"state\":\"down\",\"why\":\"probe\",\"weight\":5",
        "\"requests_total\":10,",
        "\"probe\":null",
        "\"retries_total\":9",
    };
    for (size_t i = 0; i < DX_COUNT(parts); i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "no %s in\n%s", parts[i], text);
}
END_TEST

/* What data tells of its requests may be a stranger's. */
START_TEST(status_shows_what_runs_and_believes_nothing)
{
    uint32_t at = dx_board_pool_add(board, "sync");
    struct dx_board_server server = {.id = DX_BOARD_NONE, .name = "web:8000"};
    ck_assert(dx_address_parse(DX_SLICE("192.0.2.7:8000"), false, &server.address));
    ck_assert(dx_board_pool_write(board, at, &server, 1));
    struct dx_census_request all[] = {
        {.server = server.id, .pool = at, .age_us = 9000},
        {.server = server.id, .pool = at, .age_us = 5000, .flags = DX_CENSUS_STREAMING | 0xf0},
        {.server = 70000, .pool = 90000, .flags = DX_CENSUS_STREAMING},
        {.server = DX_CENSUS_NONE, .pool = at, .flags = DX_CENSUS_QUEUED},
        {.server = DX_CENSUS_NONE, .pool = 90000, .flags = DX_CENSUS_HELD},
        {.server = DX_CENSUS_NONE, .pool = DX_CENSUS_NONE, .age_us = UINT64_MAX},
    };
    for (size_t i = 0; i < DX_COUNT(all); i++)
        for (unsigned k = 0; k < DX_CENSUS_WORDS; k++)
            all[i].words[k] = DX_SLICE("\"],\x1b\xff");
    running = (struct dx_census_list){.at = all, .n = DX_COUNT(all), .missing = 2, .left_out = 7};
    const char *text = answer(ask("GET", "/status?config=no"));
    static const char *const parts[] = {
        "\"age_ms\":9,\"streaming\":false",
        "\"age_ms\":5,\"streaming\":true",
        "\"requests_left_out\":0",
        "\"why\":\"slot\"}],\"waiting_left_out\":0",
        "\"pool\":null,\"server\":null}",
        "\"snapshot\":{\"taken\":true,\"missing_workers\":[1],\"left_out\":7}",
        "\"path\":\"\\\"],\\u001b\xef\xbf\xbd\"",
    };
    for (size_t i = 0; i < DX_COUNT(parts); i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "no %s in\n%s", parts[i], text);
    running = (struct dx_census_list){.n = 0};
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin");
    TCase *tc = tcase_create("admin");
    const TTest *const tests[] = {
        healthz_says_whether_data_serves,
        a_reload_is_answered_when_it_is_done,
        a_refused_reload_brings_the_faults,
        who_asked_may_have_left,
        whoever_waits_at_the_end_is_let_go,
        drains_name_their_server,
        other_methods_and_paths,
        status_shows_servers_and_counters,
        status_shows_what_runs_and_believes_nothing,
    };
    tcase_add_checked_fixture(tc, setup, teardown);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
