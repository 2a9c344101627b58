/* SPDX-License-Identifier: MIT */
/* GET / and GET /history over a real Unix socket; and what a page of another origin is told when the socket
 * was carried to a browser. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/page.h"
#include "diplex/admin.h"

#define PATIENCE_MS  5000
#define ANSWER_BYTES (256u * 1024)

static struct dx_loop *loop;
static struct dx_admin *admin;
static struct dx_admin_door *door;
static struct dx_address where;
static uint64_t asked_since;
static unsigned held;
static char said[ANSWER_BYTES];

static void facts(void *arg, struct dx_admin_facts *out)
{
    (void)arg;
    *out = (struct dx_admin_facts){.ready = true};
}

static bool hold(void *arg, enum dx_board_hold what, struct dx_slice name, struct dx_text *out)
{
    (void)arg;
    (void)what;
    (void)name;
    dx_text_adds(out, "{}");
    held++;
    return true;
}

static void history(void *arg, uint64_t since, struct dx_text *out)
{
    (void)arg;
    asked_since = since;
    dx_text_adds(out, "{\"run\":\"x\"}");
}

static void setup(void)
{
    struct dx_err err = {{0}};
    const struct dx_admin_owner owner = {.facts = facts, .hold = hold, .history = history};
    signal(SIGPIPE, SIG_IGN);
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    where = (struct dx_address){.len = sizeof(sa_family_t)};
    where.u.un.sun_family = AF_UNIX; /* the kernel gives it a name */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, &where.u.sa, where.len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    where.len = sizeof where.u;
    ck_assert_int_eq(getsockname(fd, &where.u.sa, &where.len), 0);
    admin = dx_admin_new(loop, &owner);
    ck_assert_ptr_nonnull(admin);
    door = dx_admin_open(admin, &(struct dx_admin_door_setup){.listener = fd}, &err);
    ck_assert_msg(door != NULL, "%s", err.text);
    asked_since = held = 0;
}

static void teardown(void)
{
    dx_admin_shut(&door);
    dx_admin_free(&admin);
    dx_loop_free(&loop);
}

static void on_pause(struct dx_timer *t) { dx_loop_stop(t->loop); }

static void run_ms(uint64_t ms)
{
    struct dx_timer pause = {.on_due = on_pause};
    dx_timer_set(loop, &pause, ms);
    dx_loop_run(loop);
}

/* The whole answer; `fields` end in CRLF each and bring their own Host. */
static const char *ask(const char *method, const char *path, const char *fields)
{
    char request[1024];
    size_t n = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, &where.u.sa, where.len), 0);
    int size =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n", method, path, fields);
    ck_assert_int_eq(write(fd, request, (size_t)size), size);
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 2) {
        run_ms(2);
        ssize_t got = recv(fd, said + n, sizeof said - 1 - n, MSG_DONTWAIT);
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    said[n] = '\0';
    close(fd);
    return said;
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

#define LOCAL "Host: localhost\r\n"

START_TEST(the_page_is_whole_and_under_its_policy)
{
    const char *text = ask("GET", "/", LOCAL);
    ck_assert(begins(text, "HTTP/1.1 200 "));
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: text/html; charset=utf-8\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Cache-Control: no-cache\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "Content-Security-Policy: default-src 'none'; script-src 'sha256-"));
    ck_assert_ptr_nonnull(strstr(text, "X-Frame-Options: DENY\r\n"));
    const char *body = strstr(text, "\r\n\r\n") + 4;
    ck_assert_uint_eq(strlen(body), page_html_n);
    ck_assert(begins(body, "<!doctype html>"));
    ck_assert(strcmp(body + page_html_n - strlen("</html>\n"), "</html>\n") == 0);
}
END_TEST

/* One of each, put in where the marks were; and nothing in it that the policy would not let run. */
START_TEST(the_page_holds_one_style_one_script_and_nothing_of_elsewhere)
{
    const char *text = ask("GET", "/", LOCAL);
    ck_assert_ptr_null(strstr(text, "@STYLE@"));
    ck_assert_ptr_null(strstr(text, "@SCRIPT@"));
    ck_assert_ptr_eq(strstr(strstr(text, "<script") + 1, "<script"), NULL);
    ck_assert_ptr_eq(strstr(strstr(text, "<style") + 1, "<style"), NULL);
    static const char *const never[] = {"src=",  " onclick=", " style=\"", "innerHTML", "insertAdjacentHTML",
                                        "eval(", "@import",   "url("};
    for (size_t i = 0; i < DX_COUNT(never); i++)
        ck_assert_msg(strstr(text, never[i]) == NULL, "%s", never[i]);
}
END_TEST

START_TEST(who_has_the_page_is_not_sent_it_again)
{
    char fields[256];
    snprintf(fields, sizeof fields, LOCAL "If-None-Match: \"older\", %s\r\n", page_tag);
    const char *text = ask("GET", "/", fields);
    ck_assert(begins(text, "HTTP/1.1 304 "));
    ck_assert_ptr_nonnull(strstr(text, page_tag));
    ck_assert_ptr_null(strstr(text, "Content-Length"));
    ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    ck_assert(begins(ask("GET", "/", LOCAL "If-None-Match: \"older\"\r\n"), "HTTP/1.1 200 "));
}
END_TEST

START_TEST(the_history_is_asked_from_a_number)
{
    ck_assert_ptr_nonnull(strstr(ask("GET", "/history?since=41", LOCAL), "{\"run\":\"x\"}"));
    ck_assert_uint_eq(asked_since, 41);
    ck_assert(begins(ask("GET", "/history", LOCAL), "HTTP/1.1 200 "));
    ck_assert_uint_eq(asked_since, 0);
    ck_assert(begins(ask("GET", "/history?since=-1", LOCAL), "HTTP/1.1 400 "));
    ck_assert(begins(ask("POST", "/history", LOCAL), "HTTP/1.1 405 "));
}
END_TEST

/* ssh -L carries the socket to a browser, and no token keeps out what else that browser shows. */
START_TEST(pages_of_strangers_are_refused_on_the_socket)
{
    static const struct {
        const char *fields;
        bool may;
    } cases[] = {
        {"Host: localhost:9000\r\n", true},
        {"Host: diplex\r\n", true},
        {"Host: 127.0.0.1:9000\r\n", true},
        {"Host: [::1]:9000\r\n", true},
        {"Host: localhost:9000\r\nOrigin: http://localhost:9000\r\n", true},
        {"Host: localhost:9000\r\nOrigin: http://127.0.0.1:9000\r\n", false},
        {"Host: localhost:9000\r\nOrigin: http://localhost:8000\r\n", false},
        {"Host: localhost:9000\r\nOrigin: https://evil.example\r\n", false},
        {"Host: localhost:9000\r\nOrigin: null\r\n", false},
        {"Host: evil.example:9000\r\n", false},
        {"Host: evil.example:9000\r\nOrigin: http://evil.example:9000\r\n", false},
    };
    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        held = 0;
        const char *text = ask("POST", "/hold?pool=sync", cases[i].fields);
        ck_assert_msg(begins(text, cases[i].may ? "HTTP/1.1 200 " : "HTTP/1.1 403 "), "%s%s", cases[i].fields,
                      text);
        ck_assert_uint_eq(held, cases[i].may);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("page");
    TCase *tc = tcase_create("page");
    const TTest *const tests[] = {
        the_page_is_whole_and_under_its_policy,
        the_page_holds_one_style_one_script_and_nothing_of_elsewhere,
        who_has_the_page_is_not_sent_it_again,
        the_history_is_asked_from_a_number,
        pages_of_strangers_are_refused_on_the_socket,
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
