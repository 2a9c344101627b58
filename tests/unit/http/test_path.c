/* SPDX-License-Identifier: MIT */
/* Paths as routes see them, and hosts. */
#include "diplex/http.h"

#include <check.h>
#include <stdlib.h>

START_TEST(normal_paths)
{
    static const struct {
        const char *path, *expected; /* NULL: refused */
    } rows[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"*", "*"},
        {"/a//b/", "/a//b/"},
        {"/a%20b", "/a b"},
        {"/%61sync/x", "/async/x"},
        {"/async%2Fx", "/async/x"},
        {"/async%2fx", "/async/x"},
        {"/%C3%A9", "/\xc3\xa9"},
        {"/%2525", "/%25"}, /* once, not twice */
        {"/a/../b", "/b"},
        {"/a/./b", "/a/b"},
        {"/a/.", "/a/"},
        {"/a/..", "/"},
        {"/a/b/..", "/a/"},
        {"/a/b/../", "/a/"},
        {"/..", "/"},
        {"/../../x", "/x"},
        {"/.", "/"},
        {"/./", "/"},
        {"/async/%2e%2e/admin", "/admin"},
        {"/async/.%2E/admin", "/admin"},
        {"/async/..%2fadmin", "/admin"},
        {"/async%2f..%2f..%2fadmin", "/admin"},
        {"/a//../b", "/a/b"},
        {"/...", "/..."},
        {"/a/.well-known", "/a/.well-known"},
        {"/.a./b.", "/.a./b."},
        {"/a;v=1/b", "/a;v=1/b"},
        {"/a\\..\\b", "/a\\..\\b"},
        {"/a/b/c/./../../g", "/a/g"}, /* RFC 3986 5.2.4 */
        {"/%", NULL},
        {"/%4", NULL},
        {"/%4g", NULL},
        {"/%g4", NULL},
        {"/a%00b", NULL},
        {"/%zz", NULL},
        {"", NULL},
        {"a/b", NULL},
        {"**", NULL},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_slice path = dx_slice_str(rows[i].path), out = DX_SLICE("untouched");
        char *buf = malloc(path.n + 1); /* no byte too many, so that a sanitizer sees one */
        ck_assert_ptr_nonnull(buf);
        bool ok = dx_http_path_normalise(path, buf, path.n, &out);
        ck_assert_msg(ok == (rows[i].expected != NULL), "%s", rows[i].path);
        struct dx_slice expected = ok ? dx_slice_str(rows[i].expected) : DX_SLICE("untouched");
        ck_assert_msg(dx_slice_eq(out, expected), "%s became %.*s", rows[i].path, DX_SLICE_ARGS(out));
        free(buf);
    }
}
END_TEST

START_TEST(a_normal_path_is_not_copied)
{
    struct dx_slice path = DX_SLICE("/async/x.html"), out;

    ck_assert(dx_http_path_normalise(path, NULL, 0, &out));
    ck_assert_ptr_eq(out.p, path.p);
    char buf[4];
    ck_assert(!dx_http_path_normalise(dx_slice_of("/a\0b", 4), buf, sizeof(buf), &out));
}
END_TEST

START_TEST(decoded_and_resolved_apart)
{
    static const struct {
        const char *path, *decoded, *resolved;
    } rows[] = {
        {"/a/../b", "/a/../b", "/b"},
        {"/a/%2e%2E/b", "/a/../b", "/b"},
        {"/a/%2e/", "/a/./", "/a/"},
        {"/..", "/..", "/"},
        {"/%252e%252e/a", "/%2e%2e/a", "/%2e%2e/a"},
        {"/a%2fb", "/a/b", "/a/b"},
        {"/a%5c..%5cb", "/a\\..\\b", "/a\\..\\b"},
        {"/.well-known/x", "/.well-known/x", "/.well-known/x"},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_slice path = dx_slice_str(rows[i].path), out;
        char buf[64];
        ck_assert(!dx_http_path_is_normal(path) && dx_http_path_decode(path, buf, sizeof(buf), &out));
        ck_assert_msg(dx_slice_eq(out, dx_slice_str(rows[i].decoded)), "%s", rows[i].path);
        out.n = dx_http_path_resolve(buf, out.n);
        ck_assert_msg(dx_slice_eq(out, dx_slice_str(rows[i].resolved)), "%s", rows[i].path);
    }
    ck_assert(dx_http_path_is_normal(DX_SLICE("/a.b/c..d/")));
}
END_TEST

START_TEST(hosts)
{
    static const struct {
        const char *host, *name; /* NULL: not a host */
        unsigned port;
    } rows[] = {
        {"example.com", "example.com", 0},
        {"Example.COM:8080", "example.com", 8080},
        {"example.com.", "example.com", 0},
        {"example.com.:80", "example.com", 80},
        {"web_1:8000", "web_1", 8000},
        {"127.0.0.1:1", "127.0.0.1", 1},
        {"a:65535", "a", 65535},
        {"[::1]", "[::1]", 0},
        {"[2001:DB8::1]:443", "[2001:db8::1]", 443},
        {"[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.1]", 80},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", 0},
        {"", NULL, 0},
        {".", NULL, 0},
        {":80", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:080", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:123456", NULL, 0},
        {"a:8a", NULL, 0},
        {"a:80:80", NULL, 0},
        {"a..b", NULL, 0},
        {".a", NULL, 0},
        {"a b", NULL, 0},
        {"a/b", NULL, 0},
        {"user@a", NULL, 0},
        {"a,b", NULL, 0},
        {"a%2eb", NULL, 0},
        {"a\x80", NULL, 0},
        {"[::1", NULL, 0},
        {"[]", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[::1]:", NULL, 0},
        {"[fe80::1%25eth0]", NULL, 0},
        {"[v1.x]", NULL, 0},
        {"[1:2]", NULL, 0},
        {"[:::1]", NULL, 0},
        {"::1", NULL, 0},
    };

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char buf[64];
        struct dx_slice name;
        uint16_t port;
        bool ok = dx_http_host_split(dx_slice_str(rows[i].host), buf, sizeof(buf), &name, &port);
        ck_assert_msg(ok == (rows[i].name != NULL), "%s", rows[i].host);
        if (ok) {
            ck_assert_msg(dx_slice_eq(name, dx_slice_str(rows[i].name)), "%s", rows[i].host);
            ck_assert_uint_eq(port, rows[i].port);
        }
    }
}
END_TEST

START_TEST(hosts_are_bounded)
{
    char host[300], buf[300];
    struct dx_slice name;
    uint16_t port;

    memset(host, 'a', sizeof(host));
    ck_assert(dx_http_host_split(dx_slice_of(host, 255), buf, sizeof(buf), &name, &port));
    ck_assert(!dx_http_host_split(dx_slice_of(host, 256), buf, sizeof(buf), &name, &port));
    ck_assert(dx_http_host_split(dx_slice_of(host, 10), buf, 10, &name, &port));
    ck_assert(!dx_http_host_split(dx_slice_of(host, 11), buf, 10, &name, &port));
    ck_assert(!dx_http_host_split(dx_slice_of("[::\0]", 5), buf, sizeof(buf), &name, &port));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/path");
    TCase *cases = tcase_create("path");

    tcase_add_test(cases, normal_paths);
    tcase_add_test(cases, a_normal_path_is_not_copied);
    tcase_add_test(cases, decoded_and_resolved_apart);
    tcase_add_test(cases, hosts);
    tcase_add_test(cases, hosts_are_bounded);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
