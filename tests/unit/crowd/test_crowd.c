/* SPDX-License-Identifier: MIT */
/* Connections of each client: counted over threads, bounded, and forgotten when the last one has left. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "diplex/crowd.h"

static struct dx_address from(const char *ip)
{
    struct dx_address a;
    ck_assert(dx_address_from_ip(dx_slice_of(ip, strlen(ip)), 4711, &a));
    return a;
}

static struct dx_address numbered(unsigned i)
{
    struct dx_address a = from("10.0.0.0");
    a.u.in4.sin_addr.s_addr = htonl(0x0a000000u + i);
    return a;
}

START_TEST(a_client_has_so_many_and_no_more)
{
    struct dx_crowd *c = dx_crowd_new(100);
    struct dx_address a = from("192.0.2.1"), b = from("192.0.2.2");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dx_crowd_enter(c, &a, 3), DX_CROWD_IN);
    ck_assert_int_eq(dx_crowd_enter(c, &a, 3), DX_CROWD_OVER);
    ck_assert_uint_eq(dx_crowd_of(c, &a), 3);
    ck_assert_int_eq(dx_crowd_enter(c, &b, 3), DX_CROWD_IN);
    dx_crowd_leave(c, &a);
    ck_assert_int_eq(dx_crowd_enter(c, &a, 3), DX_CROWD_IN);
    for (int i = 0; i < 3; i++)
        dx_crowd_leave(c, &a);
    ck_assert_uint_eq(dx_crowd_of(c, &a), 0);
    ck_assert_uint_eq(dx_crowd_of(c, &b), 1);
    dx_crowd_leave(c, &b);
    dx_crowd_free(&c);
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_client)
{
    struct dx_crowd *c = dx_crowd_new(100);
    struct dx_address a = from("2001:db8:1:2::1"), b = from("2001:db8:1:2:ffff::9"),
                      other = from("2001:db8:1:3::1");
    struct dx_address mapped = from("::ffff:192.0.2.1"), plain = from("192.0.2.1");
    ck_assert_int_eq(dx_crowd_enter(c, &a, 1), DX_CROWD_IN);
    ck_assert_int_eq(dx_crowd_enter(c, &b, 1), DX_CROWD_OVER);
    ck_assert_int_eq(dx_crowd_enter(c, &other, 1), DX_CROWD_IN);
    ck_assert_int_eq(dx_crowd_enter(c, &mapped, 1), DX_CROWD_IN);
    ck_assert_int_eq(dx_crowd_enter(c, &plain, 1), DX_CROWD_OVER);
    dx_crowd_free(&c);
}
END_TEST

START_TEST(who_has_no_address_is_not_counted)
{
    struct dx_crowd *c = dx_crowd_new(100);
    struct dx_address a = {.len = sizeof(a.u.sa), .u.sa.sa_family = AF_UNIX};
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(dx_crowd_enter(c, &a, 1), DX_CROWD_FREE);
    dx_crowd_free(&c);
}
END_TEST

/* As many as it was made for find a place each; far more are let in uncounted and break nothing. */
START_TEST(the_table_is_bounded)
{
    struct dx_crowd *c = dx_crowd_new(1000);
    unsigned in = 0, uncounted = 0;
    static bool counted[20000];
    for (unsigned i = 0; i < DX_COUNT(counted); i++) {
        struct dx_address a = numbered(i);
        enum dx_crowd_answer answer = dx_crowd_enter(c, &a, 1);
        ck_assert_int_ne(answer, DX_CROWD_OVER);
        counted[i] = answer == DX_CROWD_IN;
        in += counted[i];
        uncounted += i < 1000 && !counted[i];
    }
    ck_assert_uint_eq(uncounted, 0);
    ck_assert_uint_lt(in, 20000);
    for (unsigned i = 0; i < DX_COUNT(counted); i++) {
        struct dx_address a = numbered(i);
        if (counted[i])
            dx_crowd_leave(c, &a);
        ck_assert_uint_eq(dx_crowd_of(c, &a), 0);
    }
    dx_crowd_free(&c);
}
END_TEST

#define THREADS 4
#define ROUNDS  20000
static struct dx_crowd *shared;
static _Atomic unsigned most_seen;

static void *come_and_go(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct dx_address a = numbered(i % 3);
        if (dx_crowd_enter(shared, &a, 2) != DX_CROWD_IN)
            continue;
        unsigned now = dx_crowd_of(shared, &a);
        most_seen = now > most_seen ? now : most_seen;
        dx_crowd_leave(shared, &a);
    }
    return NULL;
}

START_TEST(threads_lose_no_count)
{
    pthread_t threads[THREADS];
    shared = dx_crowd_new(100);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_ge(most_seen, 1);
    ck_assert_uint_le(most_seen, 4); /* two words of the same client, at the very worst */
    for (unsigned i = 0; i < 3; i++) {
        struct dx_address a = numbered(i);
        ck_assert_uint_eq(dx_crowd_of(shared, &a), 0);
    }
    dx_crowd_free(&shared);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("crowd");
    TCase *c = tcase_create("crowd");
    tcase_set_timeout(c, 20);
    tcase_add_test(c, a_client_has_so_many_and_no_more);
    tcase_add_test(c, a_network_of_ipv6_is_one_client);
    tcase_add_test(c, who_has_no_address_is_not_counted);
    tcase_add_test(c, the_table_is_bounded);
    tcase_add_test(c, threads_lose_no_count);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
