/* SPDX-License-Identifier: MIT */
/* The prefix table against its rules one by one, and against a slow and obvious table with random routes. */
#include "diplex/route.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/base/check.h"
#include "diplex/base/hash.h"

#define KEY(h, p)                \
    {                            \
        DX_SLICE(h), DX_SLICE(p) \
    }
#define FIND(t, h, p) dx_route_find((t), DX_SLICE(h), DX_SLICE(p))

static struct dx_route_table *table(const struct dx_route_key *keys, size_t n)
{
    struct dx_err err = {""};
    struct dx_route_table *t = dx_route_new(keys, n, &err);

    ck_assert_msg(t != NULL, "%s", err.text);
    return t;
}

/* The table of this test; it is freed by the fixture. */
static struct dx_route_table *made;

static void teardown(void) { dx_route_free(&made); }

#define TABLE(...)                                         \
    do {                                                   \
        const struct dx_route_key keys_[] = {__VA_ARGS__}; \
        dx_route_free(&made);                              \
        made = table(keys_, DX_COUNT(keys_));              \
    } while (0)

START_TEST(the_built_in_split)
{
    TABLE(KEY("", "/async/"), KEY("", "/"));
    ck_assert_int_eq(FIND(made, "example.com", "/async/items"), 0);
    ck_assert_int_eq(FIND(made, "example.com", "/async/"), 0);
    ck_assert_int_eq(FIND(made, "example.com", "/async"), 0);
    ck_assert_int_eq(FIND(made, "example.com", "/asyncx"), 1);
    ck_assert_int_eq(FIND(made, "example.com", "/asyn"), 1);
    ck_assert_int_eq(FIND(made, "example.com", "/Async/"), 1);
    ck_assert_int_eq(FIND(made, "example.com", "/x/async/"), 1);
    ck_assert_int_eq(FIND(made, "example.com", "//async/"), 1);
    ck_assert_int_eq(FIND(made, "", "/"), 1);
    ck_assert_int_eq(FIND(made, "", "*"), 1);
}
END_TEST

START_TEST(longest_wins_in_any_order)
{
    TABLE(KEY("", "/"), KEY("", "/a/b/c"), KEY("", "/a/"), KEY("", "/a/b/"));
    for (int turn = 0; turn < 2; turn++) {
        int root = turn ? 3 : 0, abc = turn ? 2 : 1, a = turn ? 1 : 2, ab = turn ? 0 : 3;
        ck_assert_int_eq(FIND(made, "", "/"), root);
        ck_assert_int_eq(FIND(made, "", "/ab"), root);
        ck_assert_int_eq(FIND(made, "", "/a"), a);
        ck_assert_int_eq(FIND(made, "", "/a/"), a);
        ck_assert_int_eq(FIND(made, "", "/a/bc"), a);
        ck_assert_int_eq(FIND(made, "", "/a/b"), ab);
        ck_assert_int_eq(FIND(made, "", "/a/b/cd"), ab);
        ck_assert_int_eq(FIND(made, "", "/a/b/c"), abc);
        ck_assert_int_eq(FIND(made, "", "/a/b/c/"), abc);
        ck_assert_int_eq(FIND(made, "", "/a/b/c/d/e/f/g/h"), abc);
        TABLE(KEY("", "/a/b/"), KEY("", "/a/"), KEY("", "/a/b/c"), KEY("", "/"));
    }
}
END_TEST

START_TEST(no_route)
{
    TABLE(KEY("", "/async/"), KEY("a.example", "/x"));
    ck_assert_int_eq(FIND(made, "", "/"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "", "/x"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "", "*"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "", ""), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "b.example", "/x"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "a.example", "/y"), DX_ROUTE_NONE);
    dx_route_free(&made);
    made = table(NULL, 0);
    ck_assert_int_eq(FIND(made, "a.example", "/"), DX_ROUTE_NONE);
}
END_TEST

START_TEST(a_gap_between_prefixes_does_not_hide_the_deeper_one)
{
    TABLE(KEY("", "/a/b/c/d/"), KEY("", "/"));
    ck_assert_int_eq(FIND(made, "", "/a/b/c"), 1);
    ck_assert_int_eq(FIND(made, "", "/a/b/c/d"), 0);
    ck_assert_int_eq(FIND(made, "", "/a/b/c/dd"), 1);
}
END_TEST

START_TEST(hosts_come_first)
{
    TABLE(KEY("", "/async/"), KEY("shop.example", "/"), KEY("", "/"), KEY("other.example", "/api/"));
    ck_assert_int_eq(FIND(made, "shop.example", "/async/x"), 1);
    ck_assert_int_eq(FIND(made, "shop.example", "/"), 1);
    ck_assert_int_eq(FIND(made, "other.example", "/api/x"), 3);
    ck_assert_int_eq(FIND(made, "other.example", "/async/x"), 0);
    ck_assert_int_eq(FIND(made, "other.example", "/"), 2);
    ck_assert_int_eq(FIND(made, "xshop.example", "/"), 2);
    ck_assert_int_eq(FIND(made, "shop.example.org", "/"), 2);
    ck_assert_int_eq(FIND(made, "hop.example", "/"), 2);
}
END_TEST

START_TEST(wildcards_from_the_most_specific)
{
    TABLE(KEY("*.example.com", "/"), KEY("*.eu.example.com", "/e"), KEY("www.example.com", "/w"),
          KEY("", "/n"), KEY("*.com", "/c"), KEY("a.eu.example.com", "/x"));
    ck_assert_int_eq(FIND(made, "www.example.com", "/w"), 2);
    ck_assert_int_eq(FIND(made, "www.example.com", "/n"), 0); /* not its own: the wildcard above it */
    ck_assert_int_eq(FIND(made, "b.example.com", "/w"), 0);
    ck_assert_int_eq(FIND(made, "a.b.c.example.com", "/"), 0);
    ck_assert_int_eq(FIND(made, "b.eu.example.com", "/e"), 1);
    ck_assert_int_eq(FIND(made, "b.eu.example.com", "/q"), 0);
    ck_assert_int_eq(FIND(made, "a.eu.example.com", "/x"), 5);
    ck_assert_int_eq(FIND(made, "a.eu.example.com", "/e"), 1);
    ck_assert_int_eq(FIND(made, "eu.example.com", "/e"), 0); /* below example.com, not below itself */
    ck_assert_int_eq(FIND(made, "example.com", "/"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "example.com", "/c"), 4);
    ck_assert_int_eq(FIND(made, "example.com", "/n"), 3);
    ck_assert_int_eq(FIND(made, "badexample.com", "/"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, ".example.com", "/"), DX_ROUTE_NONE);
    ck_assert_int_eq(FIND(made, "com", "/c"), DX_ROUTE_NONE);
}
END_TEST

static void expect_error(const struct dx_route_key *keys, size_t n, const char *const *parts, size_t parts_n)
{
    struct dx_err err = {""};
    struct dx_route_table *t = dx_route_new(keys, n, &err);

    ck_assert_ptr_null(t);
    for (size_t i = 0; i < parts_n; i++)
        ck_assert_msg(strstr(err.text, parts[i]) != NULL, "no '%s' in: %s", parts[i], err.text);
}

START_TEST(duplicates_name_both)
{
    const struct dx_route_key slash[] = {KEY("", "/"), KEY("", "/a/b"), KEY("", "/c"), KEY("", "/a/b/")};
    const struct dx_route_key hosts[] = {KEY("x.example", "/"), KEY("", "/"), KEY("*.example", "/"),
                                         KEY("x.example", "/")};
    const char *const slash_says[] = {"1", "3", "\"/a/b\"", "\"/a/b/\""};
    const char *const hosts_says[] = {"0", "3", "\"/\"", "x.example"};

    expect_error(slash, DX_COUNT(slash), slash_says, DX_COUNT(slash_says));
    expect_error(hosts, DX_COUNT(hosts), hosts_says, DX_COUNT(hosts_says));
}
END_TEST

START_TEST(prefixes_begin_with_a_slash)
{
    const struct dx_route_key bare[] = {KEY("", "/"), KEY("", "async/")};
    const struct dx_route_key empty[] = {KEY("a.example", "")};
    const char *const bare_says[] = {"1", "\"async/\"", "'/'"};
    const char *const empty_says[] = {"0", "\"\""};

    expect_error(bare, DX_COUNT(bare), bare_says, DX_COUNT(bare_says));
    expect_error(empty, DX_COUNT(empty), empty_says, DX_COUNT(empty_says));
}
END_TEST

START_TEST(a_long_duplicate_fits_its_error)
{
    char prefix[4000];
    memset(prefix, 'a', sizeof prefix);
    prefix[0] = '/';
    struct dx_slice p = dx_slice_of(prefix, sizeof prefix);
    const struct dx_route_key keys[] = {{DX_SLICE("h.example"), p}, {DX_SLICE("h.example"), p}};
    const char *const says[] = {"0", "1", "h.example"};

    expect_error(keys, DX_COUNT(keys), says, DX_COUNT(says));
}
END_TEST

START_TEST(keys_are_copied)
{
    char host[] = "a.example", prefix[] = "/one/";
    const struct dx_route_key key = {dx_slice_str(host), dx_slice_str(prefix)};

    made = table(&key, 1);
    memset(host, 'z', sizeof host - 1);
    memset(prefix, 'z', sizeof prefix - 1);
    ck_assert_int_eq(FIND(made, "a.example", "/one"), 0);
}
END_TEST

START_TEST(free_takes_nothing)
{
    struct dx_route_table *t = NULL;
    dx_route_free(&t);
    ck_assert_ptr_null(t);
}
END_TEST

/* --- against the obvious table
 * ------------------------------------------------------------------------------------ */

static bool host_matches(struct dx_slice key, struct dx_slice host)
{
    if (key.n == 0 || dx_slice_eq(key, host))
        return true;
    if (!dx_slice_starts(key, DX_SLICE("*.")) || host.n < key.n)
        return false;
    return memcmp(host.p + host.n - (key.n - 1), key.p + 1, key.n - 1) == 0;
}

static bool prefix_matches(struct dx_slice prefix, struct dx_slice path)
{
    if (prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    return dx_slice_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

/* An exact host, then wildcards by length, then none; below that the length of the prefix. */
static size_t rank(const struct dx_route_key *k)
{
    size_t host = k->host.n == 0 ? 0 : k->host.p[0] == '*' ? k->host.n : 1000;
    return host * 1000 + k->prefix.n;
}

static int find_slowly(const struct dx_route_key *keys, size_t n, struct dx_slice host, struct dx_slice path)
{
    int best = DX_ROUTE_NONE;

    for (size_t i = 0; i < n; i++)
        if (host_matches(keys[i].host, host) && prefix_matches(keys[i].prefix, path) &&
            (best == DX_ROUTE_NONE || rank(&keys[i]) > rank(&keys[best])))
            best = (int)i;
    return best;
}

static size_t random_path(struct dx_random *random, char *out, unsigned segments)
{
    size_t n = 0;

    for (unsigned i = 0; i < segments; i++) {
        out[n++] = '/';
        for (uint64_t k = 1 + dx_random_next(random) % 2; k-- > 0;)
            out[n++] = (char)('a' + dx_random_next(random) % 2);
    }
    return n;
}

START_TEST(agrees_with_the_obvious_table)
{
    enum { KEYS = 60, ROUNDS = 40, LOOKUPS = 400, PATH = 32 };
    static const char *const hosts[] = {"", "", "a.b.c", "b.c", "x.b.c", "*.b.c", "*.c", "*.a.b.c"};
    static const char *const asked[] = {"", "a.b.c", "b.c", "x.b.c", "z.a.b.c", "q.c", "c", "y.b.c"};
    static char text[KEYS][PATH];
    struct dx_route_key keys[KEYS];
    struct dx_random random = {5};
    unsigned found = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t n = 0;
        for (unsigned i = 0; i < KEYS; i++) {
            size_t length = random_path(&random, text[n], (unsigned)(dx_random_next(&random) % 5));
            text[n][length++] = '/';
            struct dx_route_key key = {dx_slice_str(hosts[dx_random_next(&random) % DX_COUNT(hosts)]),
                                       dx_slice_of(text[n], length)};
            bool known = false;
            for (size_t k = 0; k < n; k++)
                known =
                    known || (dx_slice_eq(keys[k].host, key.host) && dx_slice_eq(keys[k].prefix, key.prefix));
            if (!known)
                keys[n++] = key;
        }
        dx_route_free(&made);
        made = table(keys, n);
        for (unsigned i = 0; i < LOOKUPS; i++) {
            char path[PATH];
            size_t length = random_path(&random, path, 1 + (unsigned)(dx_random_next(&random) % 6));
            struct dx_slice p = dx_slice_of(path, length),
                            h = dx_slice_str(asked[dx_random_next(&random) % 8]);
            int expected = find_slowly(keys, n, h, p);
            ck_assert_int_eq(dx_route_find(made, h, p), expected);
            found += expected != DX_ROUTE_NONE;
        }
    }
    ck_assert_uint_gt(found, ROUNDS * LOOKUPS / 2);
}
END_TEST

START_TEST(ten_thousand_routes)
{
    enum { MANY = 10000, TEXT = 40 };
    static char prefixes[MANY][TEXT];
    static char hosts[MANY][TEXT];
    static struct dx_route_key keys[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(prefixes[i], TEXT, "/t%u/items/", i / 4);
        if (i % 4)
            snprintf(hosts[i], TEXT, "h%u.example", i % 4);
        keys[i] = (struct dx_route_key){dx_slice_str(hosts[i]), dx_slice_str(prefixes[i])};
    }
    made = table(keys, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char path[TEXT * 2];
        snprintf(path, sizeof path, "%.*s%u/x", TEXT - 1, prefixes[i], i);
        ck_assert_int_eq(dx_route_find(made, keys[i].host, dx_slice_str(path)), (int)i);
        ck_assert_int_eq(dx_route_find(made, DX_SLICE("none.example"), dx_slice_str(path)), (int)(i / 4 * 4));
    }
    ck_assert_int_eq(FIND(made, "h1.example", "/t2500/items/1"), DX_ROUTE_NONE);
}
END_TEST

START_TEST(paths_with_two_readings)
{
    static const struct {
        const char *path, *compared;
        int route;
    } rows[] = {
        {"/async/x", "/async/x", 0},
        {"/%61sync/x", "/async/x", 0},
        {"/async%2fx", "/async/x", 0},
        {"/async/a/../x", "/async/x", 0},
        {"/async/./x", "/async/x", 0},
        {"/async/..", NULL, DX_ROUTE_TWO_READINGS},
        {"/async/../x", NULL, DX_ROUTE_TWO_READINGS},
        {"/async/%2e%2e/x", NULL, DX_ROUTE_TWO_READINGS},
        {"/async/..%2fx", NULL, DX_ROUTE_TWO_READINGS},
        {"/async%2f..%2fx", NULL, DX_ROUTE_TWO_READINGS},
        {"/x/../async/y", NULL, DX_ROUTE_TWO_READINGS},
        {"/./async/y", NULL, DX_ROUTE_TWO_READINGS},
        {"/%2e/async/y", NULL, DX_ROUTE_TWO_READINGS},
        {"/x/../y", "/y", 1},
        {"/../y", "/y", 1},
        {"/x/%252e%252e/async/", "/x/%2e%2e/async/", 1},
        {"/x/..;/async/", "/x/..;/async/", 1},
        {"/x/..\\async/", "/x/..\\async/", 1},
        {"/%00", NULL, DX_ROUTE_UNDECODABLE},
        {"/%", NULL, DX_ROUTE_UNDECODABLE},
        {"x", NULL, DX_ROUTE_UNDECODABLE},
        {"", NULL, DX_ROUTE_UNDECODABLE},
    };

    TABLE(KEY("", "/async/"), KEY("", "/"));
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct dx_slice raw = dx_slice_str(rows[i].path), path;
        char *buf = malloc(raw.n ? raw.n : 1); /* no byte too many, so that a sanitizer sees one */
        ck_assert_ptr_nonnull(buf);
        int found = dx_route_of_path(made, DX_SLICE("a.example"), raw, buf, &path);
        ck_assert_msg(found == rows[i].route, "%s: %d", rows[i].path, found);
        if (rows[i].compared)
            ck_assert_msg(dx_slice_eq(path, dx_slice_str(rows[i].compared)), "%s: %.*s", rows[i].path,
                          DX_SLICE_ARGS(path));
        free(buf);
    }
    TABLE(KEY("", "/async/"));
    char buf[16];
    struct dx_slice path;
    ck_assert_int_eq(dx_route_of_path(made, DX_SLICE(""), DX_SLICE("/x/../async/"), buf, &path),
                     DX_ROUTE_TWO_READINGS); /* no route as it stands */
    ck_assert_int_eq(dx_route_of_path(made, DX_SLICE(""), DX_SLICE("/x/../y"), buf, &path), DX_ROUTE_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *tc = tcase_create("route");
    const TTest *const tests[] = {
        the_built_in_split,
        longest_wins_in_any_order,
        no_route,
        a_gap_between_prefixes_does_not_hide_the_deeper_one,
        hosts_come_first,
        wildcards_from_the_most_specific,
        duplicates_name_both,
        prefixes_begin_with_a_slash,
        a_long_duplicate_fits_its_error,
        keys_are_copied,
        free_takes_nothing,
        agrees_with_the_obvious_table,
        ten_thousand_routes,
        paths_with_two_readings,
    };

    tcase_add_checked_fixture(tc, NULL, teardown);
    for (size_t i = 0; i < DX_COUNT(tests); i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
