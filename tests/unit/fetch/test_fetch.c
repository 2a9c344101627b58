/* SPDX-License-Identifier: MIT */
/* The HTTP client against a small scripted server in a thread, over TCP and over a Unix socket. */
#include "diplex/fetch.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMEOUT_MS 5000u
#define SHORT_MS   150u

/* --- the server: answers by path, one connection after the other, and keeps the head of the last request ---
 */

struct server {
    int listener, stop[2];
    pthread_t thread;
    char dir[64], path[80];
    struct dx_address address;
    char head[2048]; /* read by the test once an answer came */
};

static struct server tcp, un;

static bool readable(int fd, int stop)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    return poll(p, 2, (int)TIMEOUT_MS) > 0 && p[0].revents && !p[1].revents;
}

static void put(int fd, const char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        n -= (size_t)sent;
    }
}

static void answer(struct server *s, int fd)
{
    if (strstr(s->head, " /ok?x=1 ") || strstr(s->head, " /a/../b "))
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    else if (strstr(s->head, " /empty "))
        put(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    else if (strstr(s->head, " /bad "))
        put(fd, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    else if (strstr(s->head, " /moved "))
        put(fd, "HTTP/1.1 301 Moved\r\nLocation: /ok?x=1\r\nContent-Length: 0\r\n\r\n");
    else if (strstr(s->head, " /noise "))
        put(fd, "no such protocol\r\n\r\n");
    else if (strstr(s->head, " /half "))
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    else if (strstr(s->head, " /silent "))
        (void)readable(fd, s->stop[0]);
    else if (strstr(s->head, " /endless ")) {
        char block[4097];
        memset(block, 'x', sizeof block - 1);
        block[sizeof block - 1] = '\0';
        put(fd, "HTTP/1.1 200 OK\r\n\r\n");
        for (unsigned i = 0; i < 8192; i++)
            put(fd, block);
    } else if (strstr(s->head, " /reset ")) {
        struct linger hard = {.l_onoff = 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
}

static void *serve(void *arg)
{
    struct server *s = arg;
    while (readable(s->listener, s->stop[0])) {
        int fd = accept(s->listener, NULL, NULL);
        size_t n = 0;
        ssize_t got;
        memset(s->head, 0, sizeof s->head);
        while (!strstr(s->head, "\r\n\r\n") && n < sizeof s->head - 1) {
            if (!readable(fd, s->stop[0]) || (got = read(fd, s->head + n, sizeof s->head - 1 - n)) <= 0)
                break;
            n += (size_t)got;
        }
        answer(s, fd);
        (void)close(fd);
    }
    return NULL;
}

static void server_start(struct server *s, const struct dx_address *at)
{
    s->address = *at;
    s->listener = socket(at->u.sa.sa_family, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(s->listener, &at->u.sa, at->len), 0);
    ck_assert_int_eq(listen(s->listener, 16), 0);
    if (!dx_address_is_unix(at)) {
        s->address.len = sizeof s->address.u;
        ck_assert_int_eq(getsockname(s->listener, &s->address.u.sa, &s->address.len), 0);
    }
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

/* --- one fetch at a time, or many --- */

static struct dx_loop *loop;
static struct dx_fetcher *fetcher;
static struct dx_err err;
static struct dx_slice first; /* what connections begin with; empty: with the request */

static void setup(void)
{
    struct dx_address at;
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), 0, &at));
    server_start(&tcp, &at);
    strcpy(un.dir, "/tmp/diplex-fetch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(un.dir));
    (void)snprintf(un.path, sizeof un.path, "unix:%s/s", un.dir);
    ck_assert(dx_address_parse(dx_slice_str(un.path), false, &at));
    server_start(&un, &at);
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    fetcher = dx_fetcher_new(loop);
    ck_assert_ptr_nonnull(fetcher);
    ck_assert_msg(dx_fetcher_load(fetcher, &err), "%s", err.text);
}

static void setup_first(void)
{
    setup();
    first = DX_SLICE("PROXY UNKNOWN\r\n");
}

static void teardown(void)
{
    dx_fetcher_free(&fetcher);
    dx_loop_free(&loop);
    server_stop(&tcp);
    server_stop(&un);
    (void)unlink(un.path + strlen("unix:"));
    (void)rmdir(un.dir);
}

struct told {
    unsigned times, of;
    struct dx_fetch_result last;
    char error[128];
};

static void on_done(void *arg, const struct dx_fetch_result *r)
{
    struct told *t = arg;
    t->last = *r;
    (void)snprintf(t->error, sizeof t->error, "%s", r->error ? r->error : "");
    if (++t->times == t->of)
        dx_loop_stop(loop);
}

static struct dx_fetch_request request(const struct dx_address *to, const char *path, struct told *t)
{
    return (struct dx_fetch_request){.address = *to,
                                     .host = "www.example.com",
                                     .path = path,
                                     .first = first,
                                     .timeout_ms = TIMEOUT_MS,
                                     .on_done = on_done,
                                     .arg = t};
}

static void fetch(const struct dx_address *to, const char *path, uint64_t timeout_ms, struct told *t)
{
    *t = (struct told){.of = 1};
    struct dx_fetch_request r = request(to, path, t);
    r.timeout_ms = timeout_ms;
    ck_assert_ptr_nonnull(dx_fetch_start(fetcher, &r));
    ck_assert_uint_eq(t->times, 0); /* never from inside start */
    dx_loop_run(loop);
    ck_assert_uint_eq(t->times, 1);
}

START_TEST(a_probe_is_asked_and_answered)
{
    const struct server *both[] = {&tcp, &un};
    struct told t;
    for (size_t i = 0; i < 2; i++) {
        fetch(&both[i]->address, "/ok?x=1", TIMEOUT_MS, &t);
        ck_assert_uint_eq(t.last.status, 200);
        ck_assert_ptr_null(t.last.error);
        ck_assert(!t.last.refused && !t.last.timed_out);
        ck_assert_uint_gt(t.last.total_us, 0);
        ck_assert_int_eq(memcmp(both[i]->head, first.p ? first.p : "", first.n), 0);
        ck_assert_str_eq(both[i]->head + first.n,
                         "GET /ok?x=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: diplex/" DIPLEX_VERSION
                         " (health)\r\n\r\n");
    }
}
END_TEST

START_TEST(statuses_are_told_as_they_are)
{
    struct told t;
    fetch(&tcp.address, "/bad", TIMEOUT_MS, &t);
    ck_assert_uint_eq(t.last.status, 500);
    fetch(&un.address, "/empty", TIMEOUT_MS, &t);
    ck_assert_uint_eq(t.last.status, 204);
    fetch(&tcp.address, "/moved", TIMEOUT_MS, &t);
    ck_assert_uint_eq(t.last.status, 301);
    fetch(&tcp.address, "/a/../b", TIMEOUT_MS, &t);
    ck_assert_uint_eq(t.last.status, 200);
}
END_TEST

START_TEST(an_endless_page_has_answered)
{
    struct told t;
    fetch(&tcp.address, "/endless", TIMEOUT_MS, &t);
    ck_assert_uint_eq(t.last.status, 200);
}
END_TEST

START_TEST(the_environment_has_no_say)
{
    struct told t;
    ck_assert_int_eq(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    ck_assert_int_eq(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    fetch(&tcp.address, "/ok?x=1", TIMEOUT_MS, &t);
    ck_assert_uint_eq(t.last.status, 200);
}
END_TEST

START_TEST(no_answer_has_a_reason)
{
    static const struct {
        const char *path, *error;
    } cases[] = {{"/close", "closed without an answer"},
                 {"/reset", "connection reset"},
                 {"/half", "closed in the middle of the answer"},
                 {"/noise", "the answer is not HTTP/1"}};
    struct told t;
    for (size_t i = 0; i < DX_COUNT(cases); i++) {
        fetch(&tcp.address, cases[i].path, TIMEOUT_MS, &t);
        ck_assert_str_eq(t.error, cases[i].error);
        ck_assert_uint_eq(t.last.status, 0);
        ck_assert(!t.last.refused && !t.last.timed_out);
    }
}
END_TEST

START_TEST(silence_is_a_timeout)
{
    const struct server *both[] = {&tcp, &un};
    struct told t;
    for (size_t i = 0; i < 2; i++) {
        fetch(&both[i]->address, "/silent", SHORT_MS, &t);
        ck_assert_str_eq(t.error, "timeout");
        ck_assert(t.last.timed_out && !t.last.refused);
        ck_assert_uint_eq(t.last.status, 0);
        ck_assert_uint_ge(t.last.total_us, SHORT_MS * 1000 / 2);
    }
}
END_TEST

START_TEST(nobody_there_is_refused)
{
    struct told t;
    struct dx_address gone;
    socklen_t n = sizeof gone.u;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), 0, &gone));
    ck_assert_int_eq(bind(fd, &gone.u.sa, gone.len),
                     0); /* bound and not listening: nobody else takes the port */
    ck_assert_int_eq(getsockname(fd, &gone.u.sa, &n), 0);
    fetch(&gone, "/", TIMEOUT_MS, &t);
    ck_assert_str_eq(t.error, "connection refused");
    ck_assert(t.last.refused && !t.last.timed_out);
    (void)close(fd);
    ck_assert(dx_address_parse(DX_SLICE("unix:/nonexistent/diplex.sock"), false, &gone));
    fetch(&gone, "/", TIMEOUT_MS, &t);
    ck_assert_str_eq(t.error, "no such socket");
    ck_assert(t.last.refused);
}
END_TEST

/* No thread accepts here, and the backlog is full: the server is busy and not away. */
START_TEST(a_full_unix_backlog_counts_as_busy)
{
    struct told t;
    char path[sizeof un.path];
    struct dx_address at;
    int clients[4];
    (void)snprintf(path, sizeof path, "unix:%s/f", un.dir);
    ck_assert(dx_address_parse(dx_slice_str(path), false, &at));
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, &at.u.sa, at.len), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    for (size_t i = 0; i < DX_COUNT(clients); i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(clients[i], &at.u.sa, at.len);
    }
    fetch(&at, "/", SHORT_MS, &t);
    ck_assert_str_eq(t.error, "backlog full");
    ck_assert(t.last.timed_out && !t.last.refused);
    for (size_t i = 0; i < DX_COUNT(clients); i++)
        (void)close(clients[i]);
    (void)close(listener);
    (void)unlink(path + strlen("unix:"));
}
END_TEST

/* The kernel drops who wants to connect: the whole time goes by before there is a connection. */
START_TEST(a_full_tcp_backlog_is_a_timeout)
{
    struct told t;
    struct dx_address at;
    int clients[8], listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), 0, &at));
    ck_assert_int_eq(bind(listener, &at.u.sa, at.len), 0);
    ck_assert_int_eq(getsockname(listener, &at.u.sa, &at.len), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    for (size_t i = 0; i < DX_COUNT(clients); i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(clients[i], &at.u.sa, at.len);
    }
    fetch(&at, "/", SHORT_MS, &t);
    ck_assert_str_eq(t.error, "timeout");
    ck_assert(t.last.timed_out && !t.last.refused);
    ck_assert_uint_ge(t.last.total_us, SHORT_MS * 1000 / 2);
    for (size_t i = 0; i < DX_COUNT(clients); i++)
        (void)close(clients[i]);
    (void)close(listener);
}
END_TEST

START_TEST(many_run_at_once)
{
    struct told t = {.of = 20};
    for (unsigned i = 0; i < t.of; i++) {
        struct dx_fetch_request r =
            request(i % 2 ? &tcp.address : &un.address, i % 3 ? "/ok?x=1" : "/close", &t);
        ck_assert_ptr_nonnull(dx_fetch_start(fetcher, &r));
    }
    dx_loop_run(loop);
    ck_assert_uint_eq(t.times, t.of);
}
END_TEST

START_TEST(what_is_cancelled_is_not_told)
{
    struct told never = {.of = 1}, t;
    struct dx_fetch_request r = request(&tcp.address, "/silent", &never);
    struct dx_fetch *early = dx_fetch_start(fetcher, &r), *late = dx_fetch_start(fetcher, &r);
    dx_fetch_cancel(&early);
    ck_assert_ptr_null(early);
    dx_fetch_cancel(&early);
    fetch(&un.address, "/ok?x=1", TIMEOUT_MS, &t); /* the loop turned: late is connected and waits */
    dx_fetch_cancel(&late);
    fetch(&un.address, "/ok?x=1", TIMEOUT_MS, &t);
    ck_assert_uint_eq(never.times, 0);
}
END_TEST

START_TEST(freeing_cancels_what_runs)
{
    struct told never = {.of = 1}, t;
    struct dx_fetch_request r = request(&tcp.address, "/silent", &never);
    ck_assert_ptr_nonnull(dx_fetch_start(fetcher, &r));
    fetch(&un.address, "/ok?x=1", TIMEOUT_MS, &t);
    ck_assert_ptr_nonnull(dx_fetch_start(fetcher, &r));
    dx_fetcher_free(&fetcher);
    ck_assert_ptr_null(fetcher);
    ck_assert_uint_eq(never.times, 0);
}
END_TEST

/* --- the blocking call --- */

START_TEST(once_brings_the_body)
{
    struct dx_fetch_answer a;
    ck_assert(dx_fetch_once(&(struct dx_fetch_place){.where = un.path + strlen("unix:")}, "GET", "/ok?x=1", TIMEOUT_MS, &a, &err));
    ck_assert_uint_eq(a.status, 200);
    ck_assert_str_eq(a.body, "hello");
    ck_assert_uint_eq(a.body_n, 5);
    free(a.body);
    ck_assert(dx_fetch_once(&(struct dx_fetch_place){.where = un.path + strlen("unix:")}, "POST", "/empty", TIMEOUT_MS, &a, &err));
    ck_assert_uint_eq(a.status, 204);
    ck_assert_str_eq(a.body, "");
    free(a.body);
    ck_assert_int_eq(strncmp(un.head, "POST /empty HTTP/1.1\r\n", 22), 0);
    ck_assert_ptr_nonnull(strstr(un.head, "\r\nContent-Length: 0\r\n"));
}
END_TEST

START_TEST(once_says_why_not)
{
    struct dx_fetch_answer a;
    char longest[200];
    ck_assert(!dx_fetch_once(&(struct dx_fetch_place){.where = "/nonexistent/admin.sock"}, "GET", "/", TIMEOUT_MS, &a, &err));
    ck_assert_str_eq(err.text, "/nonexistent/admin.sock: no such socket");
    ck_assert(!dx_fetch_once(&(struct dx_fetch_place){.where = un.path + strlen("unix:")}, "GET", "/endless", TIMEOUT_MS, &a, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "too large"));
    ck_assert(!dx_fetch_once(&(struct dx_fetch_place){.where = un.path + strlen("unix:")}, "GET", "/silent", SHORT_MS, &a, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "timeout"));
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    ck_assert(!dx_fetch_once(&(struct dx_fetch_place){.where = longest}, "GET", "/", TIMEOUT_MS, &a, &err));
}
END_TEST

static TCase *probes(const char *name, SFun begin)
{
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, begin, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, a_probe_is_asked_and_answered);
    tcase_add_test(c, statuses_are_told_as_they_are);
    tcase_add_test(c, an_endless_page_has_answered);
    tcase_add_test(c, the_environment_has_no_say);
    tcase_add_test(c, no_answer_has_a_reason);
    tcase_add_test(c, silence_is_a_timeout);
    tcase_add_test(c, nobody_there_is_refused);
    tcase_add_test(c, a_full_unix_backlog_counts_as_busy);
    tcase_add_test(c, a_full_tcp_backlog_is_a_timeout);
    tcase_add_test(c, many_run_at_once);
    tcase_add_test(c, what_is_cancelled_is_not_told);
    tcase_add_test(c, freeing_cancels_what_runs);
    return c;
}

int main(void)
{
    Suite *s = suite_create("fetch");
    suite_add_tcase(s, probes("probes", setup));
    suite_add_tcase(s, probes("probes that say something first", setup_first));
    TCase *c = tcase_create("once");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, once_brings_the_body);
    tcase_add_test(c, once_says_why_not);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
