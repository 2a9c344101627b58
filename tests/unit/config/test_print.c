/* SPDX-License-Identifier: MIT */
/*
 * The configuration in force is itself a configuration: printed, read and printed again it says the same, but
 * for the comments, which tell other lines; and from then on nothing changes at all. So does
 * config/diplex.yaml say what is built in.
 */
#include "support.h"

/* Without comments and the blanks before them; the caller frees. No value of these tests holds " #". */
static char *without_comments(const struct dx_text *t)
{
    char *out = calloc(1, t->n + 1), *to = out;
    ck_assert_ptr_nonnull(out);
    for (const char *p = t->p; *p;) {
        const char *end = strchrnul(p, '\n'), *hash = strstr(p, " #");
        const char *stop = *p == '#' ? p : hash && hash < end ? hash : end;
        while (stop > p && stop[-1] == ' ')
            stop--;
        if (stop > p) {
            memcpy(to, p, (size_t)(stop - p));
            to += stop - p;
            *to++ = '\n';
        }
        p = *end ? end + 1 : end;
    }
    return out;
}

static void print(struct dx_slice text, struct dx_text *out)
{
    struct dx_config *c = must_parse_slice(text);
    dx_text_reset(out);
    dx_config_print(c, out);
    ck_assert(!out->failed);
    dx_config_free(&c);
}

static void check_fixpoint(struct dx_slice text)
{
    struct dx_text one, two, three;
    dx_text_init(&one);
    dx_text_init(&two);
    dx_text_init(&three);
    print(text, &one);
    print(dx_slice_of(one.p, one.n), &two);
    print(dx_slice_of(two.p, two.n), &three);
    char *a = without_comments(&one), *b = without_comments(&two);
    ck_assert_str_eq(a, b);
    ck_assert_str_eq(two.p, three.p);
    free(a);
    free(b);
    dx_text_fini(&one);
    dx_text_fini(&two);
    dx_text_fini(&three);
}

static const char *const files[] = {
    "config/diplex.yaml",
    "config/examples/smallest.yaml",
    "config/examples/typical.yaml",
    "config/examples/hosts.yaml",
    "config/examples/long.yaml",
    "config/examples/unix-sockets.yaml",
    "config/examples/compose/diplex.yaml",
    "config/examples/demo.yaml",
};

START_TEST(files_survive)
{
    struct dx_slice text = read_file(files[_i]);
    check_fixpoint(text);
    free((void *)(uintptr_t)text.p);
}
END_TEST

static const char *const texts[] = {
    "routes: {/: 'wsgi://w:1'}\n",
    "admin: off\nlog: {access: off, level: error}\nworkers: 3\ntrusted_proxies: [private, '::1']\nroutes: "
    "{/: 'wsgi://w:1'}\n",
    "pools: {a: {kind: wsgi, servers: 'w:1', keepalive: off, eject: off, health: /x?y=1}}\n",
    "user: \"a'b\\\"c\\\\d$$e #f: {g}, [h]\"\nroutes: {\"/\\\"$x \\u0085\\u2028\\ufeff\\u00e9\\U0001F600\": "
    "'wsgi://w:1'}\n",
    "user: 'null'\nbuffer: {path: '/a: b'}\npools: {null: 'wsgi://w:1', yes: 'asgi://w:1'}\nroutes: {/: "
    "'null', /a: yes, /b: 'asgi://[::1]:1'}\n",
    "routes: {/: 'wsgi://unix:/run/$$x', /b: 'asgi+unix:///run/y z'}\n",
    "pools: {'wsgi://w:1': {balance: random}}\nroutes: {/: 'wsgi://w:1', '*.b.c/x': {pool: 'wsgi://w:1', "
    "body: 0}}\n",
    "listen: [8080, 'unix:/a b', {address: 'unix:/c', mode: 0}]\nroutes: {/: 'wsgi://w:1'}\n",
    "pools: {a: {kind: wsgi, servers: 'w:1', sticky: {cookie: c}, slow_start: 3s, eject: {max: 7%}},\n"
    "        b: {kind: asgi, servers: 'w:1', sticky: client_ip}, c: {kind: asgi, servers: 'w:1', sticky: "
    "{header: h}}}\nroutes: {/: a}\n",
    "listen: [{address: ':80', proxy_protocol: yes}, 81]\ntrusted_proxies: [loopback, unix]\n"
    "pools: {a: {kind: wsgi, servers: 'w:1', client_ip: proxy-protocol}}\n",
    "pools: {a: {kind: wsgi, servers: 'w:1', health: /up}}\nroutes: {'[::1]/': a}\n",
    "limits: {body: 1025, header_size: 1500}\ntimeouts: {idle: 1m1s1ms}\nroutes: {/: 'wsgi://w:1'}\n",
};

START_TEST(texts_survive) { check_fixpoint(dx_slice_str(texts[_i])); }
END_TEST

/* YAML takes no more than 1024 characters before a colon, unless one says that a key begins. */
START_TEST(a_long_prefix_survives)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_adds(&t, "routes: [{pool: 'wsgi://w:1', path: '/");
    for (unsigned i = 0; i < 1000; i++)
        dx_text_adds(&t, "\xe2\x82\xac");
    dx_text_adds(&t, "'}]\n");
    check_fixpoint(dx_slice_of(t.p, t.n));
    dx_text_fini(&t);
}
END_TEST

START_TEST(the_default_file_says_what_is_built_in)
{
    struct dx_slice file = read_file("config/diplex.yaml");
    struct dx_text a, b;
    dx_text_init(&a);
    dx_text_init(&b);
    print(file, &a);
    print(dx_config_builtin_text(), &b);
    char *x = without_comments(&a), *y = without_comments(&b);
    ck_assert_str_eq(x, y);
    free(x);
    free(y);
    free((void *)(uintptr_t)file.p);
    dx_text_fini(&a);
    dx_text_fini(&b);
}
END_TEST

START_TEST(each_value_says_where_it_comes_from)
{
    static const char *const lines[] = {
        "workers: 2                               # from line 1\n",
        "user: nobody                             # default\n",
        "    keepalive:\n      idle: 4s                           # derived: by kind, below the server's own",
        "  a:                                     # from line 3\n",
        "    kind: asgi                           # from line 3\n",
        "      host: x.org                        # derived: the first host among",
        "  wsgi://w:2:                            # from line 4; kind and server are in its name\n",
        "  x.org/:                                # from line 4\n",
        "      body: 7MB                          # derived: limits.body of the top level\n",
        "  body: 7MB                              # from line 2\n",
    };
    struct dx_text t;
    dx_text_init(&t);
    print(DX_SLICE("workers: 2\nlimits: {body: 7MB}\npools: {a: {kind: asgi, servers: 'w:1', health: /up}}\n"
                   "routes: {x.org/: a, /b: 'wsgi://w:2'}\n"),
          &t);
    for (size_t i = 0; i < DX_COUNT(lines); i++)
        ck_assert_msg(strstr(t.p, lines[i]) != NULL, "missing: %s\nin:\n%s", lines[i], t.p);
    dx_text_fini(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config print");
    TCase *tc = tcase_create("print");
    tcase_add_loop_test(tc, files_survive, 0, (int)DX_COUNT(files));
    tcase_add_loop_test(tc, texts_survive, 0, (int)DX_COUNT(texts));
    tcase_add_test(tc, a_long_prefix_survives);
    tcase_add_test(tc, the_default_file_says_what_is_built_in);
    tcase_add_test(tc, each_value_says_where_it_comes_from);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
