/* SPDX-License-Identifier: MIT */
/* Without memory a probe ends with a word, says nothing about the server, and the next one is as good as any.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "diplex/fetch.h"
#include "failing.h"

#define TIMEOUT_MS 5000u
#define AT_ONCE    3u

static int listener, stop[2];
static pthread_t thread;
static struct dx_address address;
static struct dx_loop *loop;
static struct dx_fetcher *fetcher;
static unsigned told, good, unable;

static void *serve(void *arg)
{
    static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct pollfd p[2] = {{.fd = listener, .events = POLLIN}, {.fd = stop[0], .events = POLLIN}};
    (void)arg;
    while (poll(p, 2, -1) > 0 && !p[1].revents) {
        char head[1024];
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && read(fd, head, sizeof head) > 0)
            (void)!write(fd, page, sizeof page - 1);
        (void)close(fd);
    }
    return NULL;
}

static void setup(void)
{
    struct dx_err err;
    ck_assert(dx_address_from_ip(DX_SLICE("127.0.0.1"), 0, &address));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, &address.u.sa, address.len), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(getsockname(listener, &address.u.sa, &address.len), 0);
    ck_assert_int_eq(pipe(stop), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    loop = dx_loop_new();
    ck_assert_ptr_nonnull(loop);
    fetcher = dx_fetcher_new(loop);
    ck_assert_ptr_nonnull(fetcher);
    ck_assert_msg(dx_fetcher_load(fetcher, &err), "%s", err.text);
}

static void teardown(void)
{
    dx_fetcher_free(&fetcher);
    dx_loop_free(&loop);
    ck_assert_int_eq(write(stop[1], "x", 1), 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    (void)close(listener);
    (void)close(stop[0]);
    (void)close(stop[1]);
}

static void on_done(void *arg, const struct dx_fetch_result *r)
{
    unsigned *left = arg;
    bool watched = failing_watch(false); /* assertions ask for memory too */
    told++;
    good += r->status == 200;
    unable += r->unable;
    ck_assert(r->status == 200 || r->error);
    (void)failing_watch(watched);
    if (--*left == 0)
        dx_loop_stop(loop);
}

/* Returns how many were begun. */
static unsigned fetch_some(unsigned n)
{
    const struct dx_fetch_request r = {
        .address = address, .host = "a", .path = "/", .timeout_ms = TIMEOUT_MS};
    static unsigned left;
    unsigned begun = 0;
    told = good = unable = left = 0;
    for (unsigned i = 0; i < n; i++) {
        struct dx_fetch_request one = r;
        one.on_done = on_done;
        one.arg = &left;
        begun += dx_fetch_start(fetcher, &one) != NULL;
    }
    left = begun;
    if (begun)
        dx_loop_run(loop);
    return begun;
}

START_TEST(want_of_memory_says_nothing_about_the_server)
{
    unsigned given_up = 0, n = 0;
    bool failed = true;
    while (failed) {
        failing_at(++n);
        (void)failing_watch(true);
        unsigned begun = fetch_some(AT_ONCE);
        (void)failing_watch(false);
        failed = failing_has_failed();
        ck_assert_uint_eq(told, begun);
        ck_assert_uint_eq(good + unable, begun);
        given_up += unable;
        ck_assert_uint_eq(fetch_some(AT_ONCE), AT_ONCE);
        ck_assert_uint_eq(good, AT_ONCE);
        ck_assert_uint_lt(n, 1000);
    }
    ck_assert_uint_gt(given_up, 0);
}
END_TEST

int main(void)
{
    failing_libevent();
    Suite *s = suite_create("fetch out of memory");
    TCase *c = tcase_create("probes");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_test(c, want_of_memory_says_nothing_about_the_server);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
