/* SPDX-License-Identifier: MIT */
/* Addresses and networks as text and back, and which address is in which network. */
#include "diplex/os/address.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

static struct dx_address parsed(const char *text)
{
    struct dx_address a = {0};
    ck_assert_msg(dx_address_parse(dx_slice_str(text), false, &a), "%s", text);
    ck_assert_uint_gt(a.len, 0);
    return a;
}

START_TEST(text_and_back)
{
    static const char *const same[] = {"1.2.3.4:80",      "0.0.0.0:0",           "[::1]:65535",
                                       "[fd00::1:2]:443", "[::ffff:1.2.3.4]:80", "unix:/run/a.sock",
                                       "unix:a b:c"};
    for (size_t i = 0; i < DX_COUNT(same); i++) {
        char buf[DX_ADDRESS_TEXT];
        struct dx_address a = parsed(same[i]);
        ck_assert_uint_eq(dx_address_text(&a, buf, sizeof buf), strlen(same[i]));
        ck_assert_str_eq(buf, same[i]);
        struct dx_address b = parsed(buf);
        ck_assert(dx_address_eq(&a, &b));
    }
}
END_TEST

START_TEST(what_is_not_an_address)
{
    static const char *const bad[] = {"",
                                      "1.2.3.4",
                                      "1.2.3.4:",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:-1",
                                      "1.2.3.4:80 ",
                                      "localhost:80",
                                      "1.2.3:80",
                                      "01.2.3.4:80",
                                      "::1:80",
                                      "[::1]",
                                      "[::1]80",
                                      "[::1:80",
                                      "[]:80",
                                      "[1.2.3.4]:80",
                                      "[localhost]:80",
                                      "unix:",
                                      ":80",
                                      "1.2.3.4:000080",
                                      "[:80",
                                      "fe80::1%lo:80"};
    struct dx_address a = {.len = 77};
    for (size_t i = 0; i < DX_COUNT(bad); i++)
        ck_assert_msg(!dx_address_parse(dx_slice_str(bad[i]), false, &a), "%s", bad[i]);
    ck_assert(!dx_address_parse(DX_SLICE("1.2.3.4\0:80"), false, &a));
    ck_assert(!dx_address_parse(DX_SLICE("unix:/a\0b"), false, &a));
    ck_assert(!dx_address_parse((struct dx_slice){NULL, 0}, true, &a));
    ck_assert_uint_eq(a.len, 77);
}
END_TEST

START_TEST(wildcard)
{
    struct dx_address a;
    char buf[DX_ADDRESS_TEXT];
    ck_assert(dx_address_parse(DX_SLICE(":8080"), true, &a));
    ck_assert_int_eq(a.u.sa.sa_family, AF_INET6);
    dx_address_text(&a, buf, sizeof buf);
    ck_assert_str_eq(buf, "[::]:8080");
    ck_assert(!dx_address_parse(DX_SLICE(":"), true, &a));
}
END_TEST

START_TEST(unix_paths_have_a_limit)
{
    char text[200] = "unix:", buf[DX_ADDRESS_TEXT];
    struct dx_address a;
    memset(text + 5, 'p', 107);
    ck_assert(dx_address_parse(dx_slice_of(text, 5 + 107), false, &a));
    ck_assert_uint_eq(a.len, sizeof(struct sockaddr_un));
    ck_assert_uint_eq(dx_address_text(&a, buf, sizeof buf), 112);
    memset(text + 5, 'p', 108);
    ck_assert(!dx_address_parse(dx_slice_of(text, 5 + 108), false, &a));
}
END_TEST

START_TEST(a_client_on_a_unix_socket_has_no_path)
{
    struct dx_address a = {.len = sizeof(sa_family_t)};
    char buf[DX_ADDRESS_TEXT];
    a.u.sa.sa_family = AF_UNIX;
    memset(a.u.un.sun_path, 'x', sizeof a.u.un.sun_path);
    dx_address_text(&a, buf, sizeof buf);
    ck_assert_str_eq(buf, "unix:");
    dx_address_host_text(&a, buf, sizeof buf);
    ck_assert_str_eq(buf, "unix");
}
END_TEST

START_TEST(hosts)
{
    static const char *const rows[][2] = {{"1.2.3.4:80", "1.2.3.4"},
                                          {"255.255.255.255:80", "255.255.255.255"},
                                          {"[::1]:80", "::1"},
                                          {"[::ffff:10.0.0.1]:80", "10.0.0.1"},
                                          {"unix:/a", "unix"}};
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char buf[DX_ADDRESS_TEXT];
        struct dx_address a = parsed(rows[i][0]);
        ck_assert_uint_eq(dx_address_host_text(&a, buf, sizeof buf), strlen(rows[i][1]));
        ck_assert_str_eq(buf, rows[i][1]);
    }
}
END_TEST

START_TEST(no_address)
{
    struct dx_address none = {0}, some = parsed("1.2.3.4:80");
    char buf[4] = "abc";
    ck_assert_uint_eq(dx_address_text(&none, buf, sizeof buf), 0);
    ck_assert_str_eq(buf, "");
    ck_assert_uint_eq(dx_address_host_text(&none, buf, sizeof buf), 0);
    ck_assert_uint_eq(dx_address_port(&none), 0);
    ck_assert(!dx_address_eq(&none, &some));
    ck_assert(!dx_address_eq(&some, &none));
    ck_assert(dx_address_eq(&none, &none));
}
END_TEST

START_TEST(small_buffers_are_terminated)
{
    struct dx_address a = parsed("[fd00::1]:8080");
    char buf[32];
    for (size_t n = 1; n < sizeof buf; n++) {
        memset(buf, '#', sizeof buf);
        size_t length = dx_address_text(&a, buf, n);
        ck_assert_uint_lt(length, n);
        ck_assert_uint_eq(strlen(buf), length);
        ck_assert_int_eq(buf[n], '#');
    }
}
END_TEST

START_TEST(ports)
{
    static const char *const texts[] = {"1.2.3.4:80", "[::1]:80"};
    for (size_t i = 0; i < DX_COUNT(texts); i++) {
        struct dx_address a = parsed(texts[i]), b = a;
        ck_assert_uint_eq(dx_address_port(&a), 80);
        dx_address_set_port(&a, 8080);
        ck_assert_uint_eq(dx_address_port(&a), 8080);
        ck_assert(!dx_address_eq(&a, &b));
        dx_address_set_port(&a, 80);
        ck_assert(dx_address_eq(&a, &b));
    }
    struct dx_address u = parsed("unix:/a"), v = u;
    dx_address_set_port(&u, 8080);
    ck_assert_uint_eq(dx_address_port(&u), 0);
    ck_assert(dx_address_eq(&u, &v));
    v = parsed("unix:/ab");
    ck_assert(!dx_address_eq(&u, &v));
}
END_TEST

static bool matches(const char *network, const char *address)
{
    struct dx_cidr c;
    struct dx_address a = parsed(address);
    ck_assert_msg(dx_cidr_parse(dx_slice_str(network), &c), "%s", network);
    return dx_cidr_match(&c, &a);
}

START_TEST(networks_match)
{
    static const char *const yes[][2] = {{"10.0.0.0/8", "10.255.0.1:1"},
                                         {"10.0.0.0/8", "[::ffff:10.1.1.1]:1"},
                                         {"0.0.0.0/0", "9.9.9.9:1"},
                                         {"::1", "[::1]:1"},
                                         {"fd00::/8", "[fdab::1]:1"},
                                         {"::/0", "[2001:db8::1]:1"},
                                         {"192.168.1.128/25", "192.168.1.200:1"},
                                         {"1.2.3.4", "1.2.3.4:1"},
                                         {"::ffff:10.0.0.0/104", "10.2.3.4:1"},
                                         {"unix", "unix:/a"},
                                         {"fe80::/10", "[febf::1]:1"},
                                         {"1.2.3.4/32", "[::ffff:1.2.3.4]:1"}};
    static const char *const no[][2] = {
        {"10.0.0.0/8", "11.0.0.1:1"}, {"10.0.0.0/8", "unix:/a"},    {"0.0.0.0/0", "[2001:db8::1]:1"},
        {"::/0", "1.2.3.4:1"},        {"::1", "[::2]:1"},           {"192.168.1.128/25", "192.168.1.127:1"},
        {"unix", "1.2.3.4:1"},        {"fe80::/10", "[fec0::1]:1"}, {"1.2.3.4", "1.2.3.5:1"},
        {"::/0", "unix:/a"}};
    for (size_t i = 0; i < DX_COUNT(yes); i++)
        ck_assert_msg(matches(yes[i][0], yes[i][1]), "%s %s", yes[i][0], yes[i][1]);
    for (size_t i = 0; i < DX_COUNT(no); i++)
        ck_assert_msg(!matches(no[i][0], no[i][1]), "%s %s", no[i][0], no[i][1]);
    struct dx_cidr any;
    struct dx_address none = {0};
    ck_assert(dx_cidr_parse(DX_SLICE("0.0.0.0/0"), &any));
    ck_assert(!dx_cidr_match(&any, &none));
    ck_assert(dx_cidr_parse(DX_SLICE("unix"), &any));
    ck_assert(!dx_cidr_match(&any, &none));
}
END_TEST

START_TEST(what_is_not_a_network)
{
    static const char *const bad[] = {"",
                                      "10.0.0.1/8",
                                      "10.0.0.0/33",
                                      "10.0.0.0/",
                                      "10.0.0.0/x",
                                      "10.0.0/8",
                                      "fd00::1/8",
                                      "::/129",
                                      "localhost",
                                      "UNIX",
                                      "10.0.0.0/8/8",
                                      "/8",
                                      "::ffff:10.0.0.0/95",
                                      "10.0.0.0:80",
                                      "10.0.0.0/-1",
                                      " 10.0.0.0/8",
                                      "10.0.0.1/31"};
    struct dx_cidr c = {.family = 99};
    for (size_t i = 0; i < DX_COUNT(bad); i++)
        ck_assert_msg(!dx_cidr_parse(dx_slice_str(bad[i]), &c), "%s", bad[i]);
    ck_assert_int_eq(c.family, 99);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("os/address");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, text_and_back);
    tcase_add_test(tests, what_is_not_an_address);
    tcase_add_test(tests, wildcard);
    tcase_add_test(tests, unix_paths_have_a_limit);
    tcase_add_test(tests, a_client_on_a_unix_socket_has_no_path);
    tcase_add_test(tests, hosts);
    tcase_add_test(tests, no_address);
    tcase_add_test(tests, small_buffers_are_terminated);
    tcase_add_test(tests, ports);
    tcase_add_test(tests, networks_match);
    tcase_add_test(tests, what_is_not_a_network);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
