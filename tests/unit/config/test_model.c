/* SPDX-License-Identifier: MIT */
/* What texts become: defaults, short and long forms, pools of URLs, routes, anchors. */
#include "support.h"

static const struct dx_pool_config *pool_named(const struct dx_config *c, const char *name)
{
    for (unsigned i = 0; i < c->pools_n; i++) {
        if (strcmp(c->pools[i].name, name) == 0)
            return &c->pools[i];
    }
    ck_abort_msg("no pool %s", name);
}

START_TEST(the_built_in_one)
{
    struct dx_config *c = must_parse_slice(dx_config_builtin_text());
    ck_assert_str_eq(c->file, "test.yaml");
    ck_assert_uint_eq(c->listen_n, 1);
    ck_assert_str_eq(c->listen[0].text, ":8080");
    ck_assert_uint_eq(dx_address_port(&c->listen[0].address), 8080);
    ck_assert_uint_eq(c->pools_n, 2);
    const struct dx_pool_config *wsgi = pool_named(c, "sync"), *asgi = pool_named(c, "async");
    ck_assert_int_eq(wsgi->kind, DX_KIND_WSGI);
    ck_assert_int_eq(asgi->kind, DX_KIND_ASGI);
    ck_assert_str_eq(wsgi->servers[0].text, "127.0.0.1:8000");
    ck_assert_str_eq(asgi->servers[0].text, "127.0.0.1:8001");
    ck_assert_uint_eq(c->routes_n, 2);
    ck_assert_str_eq(c->routes[0].path, "/async/");
    ck_assert_str_eq(c->routes[1].path, "/");
    ck_assert_ptr_eq(&c->pools[c->routes[0].pool], asgi);
    dx_config_free(&c);
    ck_assert_ptr_null(c);
    dx_config_free(&c);
}
END_TEST

START_TEST(defaults_of_the_top)
{
    struct dx_config *c = must_parse("routes: {/: 'wsgi://w:1'}\n");
    ck_assert_uint_eq(c->workers, 0);
    ck_assert_str_eq(c->user, "nobody");
    ck_assert_uint_eq(c->shutdown_timeout, 30000);
    ck_assert_uint_eq(c->resolve, 5000);
    ck_assert_uint_eq(c->trusted_n, 0);
    ck_assert_int_eq(c->access, DX_ACCESS_JSON);
    ck_assert_int_eq(c->log_level, DX_LOG_INFO);
    ck_assert_uint_eq(c->timeouts.header, 10000);
    ck_assert_uint_eq(c->timeouts.body, 30000);
    ck_assert_uint_eq(c->timeouts.send, 60000);
    ck_assert_uint_eq(c->timeouts.idle, 60000);
    ck_assert_uint_eq(c->limits.header_size, 16384);
    ck_assert_uint_eq(c->limits.header_count, 100);
    ck_assert_uint_eq(c->limits.url, 4094);
    ck_assert_uint_eq(c->limits.body, 100u << 20);
    ck_assert_uint_eq(c->buffer.memory, 65536);
    ck_assert_str_eq(c->buffer.path, "/tmp");
    ck_assert_uint_eq(c->listen[0].mode, 0660);
    dx_config_free(&c);
}
END_TEST

START_TEST(defaults_by_kind)
{
    struct dx_config *c = must_parse("routes: {/: 'wsgi://w:1', /a: 'asgi://w:1'}\n");
    const struct dx_pool_config *wsgi = &c->pools[0], *asgi = &c->pools[1];
    ck_assert_uint_eq(wsgi->keepalive.idle, 1000);
    ck_assert_uint_eq(asgi->keepalive.idle, 4000);
    ck_assert_uint_eq(wsgi->keepalive.max, 256);
    ck_assert_uint_eq(wsgi->timeouts.idle, 60000);
    ck_assert_uint_eq(asgi->timeouts.idle, 0);
    ck_assert_uint_eq(asgi->timeouts.connect, 3000);
    ck_assert_uint_eq(asgi->timeouts.response, 60000);
    ck_assert_uint_eq(asgi->timeouts.tunnel, 0);
    ck_assert_uint_eq(wsgi->eject.failures, 3);
    ck_assert_uint_eq(wsgi->eject.within, 10000);
    ck_assert_uint_eq(wsgi->eject.lasts, 10000);
    ck_assert_uint_eq(wsgi->eject.max, 50);
    ck_assert_int_eq(wsgi->balance, DX_BALANCE_ROUND_ROBIN);
    ck_assert(!wsgi->health.enabled);
    ck_assert_uint_eq(wsgi->body_limit, 100u << 20);
    ck_assert_uint_eq(wsgi->servers[0].weight, 1);
    ck_assert(!wsgi->servers[0].backup);
    dx_config_free(&c);
}
END_TEST

/* The kind decides defaults wherever it stands in the mapping, and through a merge. */
START_TEST(the_kind_may_come_last)
{
    struct dx_config *c =
        must_parse("x-k: &k {kind: asgi}\npools:\n  a: {servers: 'w:1', kind: asgi}\n"
                   "  b: {servers: 'w:1', <<: *k}\n  c: {servers: 'w:1', kind: \"${KIND:-asgi}\"}\n"
                   "routes: {/: a}\n");
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(c->pools[i].kind, DX_KIND_ASGI);
        ck_assert_uint_eq(c->pools[i].keepalive.idle, 4000);
    }
    dx_config_free(&c);
}
END_TEST

START_TEST(servers_in_every_form)
{
    struct dx_config *c = must_parse(
        "pools:\n  a:\n    kind: wsgi\n    servers:\n"
        "      - web_1:8000\n      - 127.0.0.1:8001\n      - '[::1]:8002'\n      - unix:/run/x.sock\n"
        "      - {address: 'big:8003', weight: 7, backup: true}\n");
    const struct dx_server_config *s = c->pools[0].servers;
    ck_assert_uint_eq(c->pools[0].servers_n, 5);
    ck_assert_str_eq(s[0].host, "web_1");
    ck_assert_uint_eq(s[0].port, 8000);
    ck_assert_uint_eq(s[0].address.len, 0);
    ck_assert_str_eq(s[1].host, "127.0.0.1");
    ck_assert_uint_eq(dx_address_port(&s[1].address), 8001);
    ck_assert_str_eq(s[2].host, "::1");
    ck_assert_str_eq(s[2].text, "[::1]:8002");
    ck_assert_uint_eq(dx_address_port(&s[2].address), 8002);
    ck_assert_ptr_null(s[3].host);
    ck_assert(dx_address_is_unix(&s[3].address));
    ck_assert_uint_eq(s[4].weight, 7);
    ck_assert(s[4].backup);
    dx_config_free(&c);
}
END_TEST

START_TEST(the_proxy_protocol)
{
    struct dx_config *c = must_parse(
        "listen: [{address: ':80', proxy_protocol: yes}, 81, {address: 'unix:/x', proxy_protocol: no}]\n"
        "pools:\n  a: {kind: wsgi, servers: 'w:1', client_ip: proxy-protocol}\n"
        "  b: {kind: wsgi, servers: 'w:1', client_ip: proxy-protocol, keepalive: off}\n"
        "  c: {kind: asgi, servers: 'w:1', client_ip: forwarded}\n  d: 'wsgi://w:2'\n"
        "routes: {/: a}\ntrusted_proxies: private\n");
    ck_assert(c->listen[0].proxy_protocol && !c->listen[1].proxy_protocol && !c->listen[2].proxy_protocol);
    ck_assert_int_eq(c->pools[0].client_ip, DX_CLIENT_IP_PROXY_PROTOCOL);
    ck_assert_uint_eq(c->pools[0].keepalive.max, 0);
    ck_assert_int_eq(c->pools[1].client_ip, DX_CLIENT_IP_PROXY_PROTOCOL);
    ck_assert_int_eq(c->pools[2].client_ip, DX_CLIENT_IP_FORWARDED);
    ck_assert_int_eq(c->pools[3].client_ip, DX_CLIENT_IP_FORWARDED);
    ck_assert_uint_eq(c->pools[3].keepalive.max, 256);
    dx_config_free(&c);
}
END_TEST

/* Each word is exactly its networks: the address before one and the one behind it are strangers. */
START_TEST(trusted_words)
{
    static const struct {
        const char *word, *ip;
        bool in;
    } rows[] = {
        {"loopback", "127.0.0.1", true},
        {"loopback", "127.255.255.255", true},
        {"loopback", "::1", true},
        {"loopback", "::ffff:127.0.0.1", true},
        {"loopback", "128.0.0.0", false},
        {"loopback", "::2", false},
        {"loopback", "10.0.0.1", false},
        {"private", "10.0.0.0", true},
        {"private", "10.255.255.255", true},
        {"private", "11.0.0.0", false},
        {"private", "9.255.255.255", false},
        {"private", "172.16.0.0", true},
        {"private", "172.31.255.255", true},
        {"private", "172.32.0.0", false},
        {"private", "172.15.255.255", false},
        {"private", "192.168.0.0", true},
        {"private", "192.168.255.255", true},
        {"private", "192.169.0.0", false},
        {"private", "fc00::", true},
        {"private", "fdff:ffff::1", true},
        {"private", "fe00::", false},
        {"private", "fe80::1", false},
        {"private", "169.254.1.1", false},
        {"private", "100.64.0.1", false},
        {"private", "127.0.0.1", false},
        {"private", "::ffff:10.0.0.1", true},
        {"private", "::ffff:192.168.1.1", true},
        {"private", "::ffff:11.0.0.1", false},
        {"10.0.0.0/8", "::ffff:10.0.0.1", true},
        {"'::ffff:10.0.0.0/104'", "10.0.0.1", true},
        {"unix", "127.0.0.1", false},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char text[128];
        struct dx_address a;
        bool in = false;
        (void)snprintf(text, sizeof text, "routes: {/: 'wsgi://w:1'}\ntrusted_proxies: %s\n", rows[i].word);
        struct dx_config *c = must_parse(text);
        ck_assert(dx_address_from_ip(dx_slice_str(rows[i].ip), 0, &a));
        for (unsigned k = 0; k < c->trusted_n; k++)
            in |= dx_cidr_match(&c->trusted[k], &a);
        ck_assert_msg(in == rows[i].in, "%s in %s", rows[i].ip, rows[i].word);
        dx_config_free(&c);
    }
}
END_TEST

START_TEST(listen_in_every_form)
{
    struct dx_config *c = must_parse(
        "routes: {/: 'wsgi://w:1'}\nlisten: [':80', 81, '127.0.0.1:82', '[::1]:83', 'unix:/run/a', "
        "{address: 'unix:/run/b', mode: 0600}]\n");
    ck_assert_uint_eq(c->listen_n, 6);
    ck_assert_str_eq(c->listen[1].text, "81");
    ck_assert_uint_eq(dx_address_port(&c->listen[1].address), 81);
    ck_assert_uint_eq(dx_address_port(&c->listen[3].address), 83);
    ck_assert_uint_eq(c->listen[4].mode, 0660);
    ck_assert_uint_eq(c->listen[5].mode, 0600);
    ck_assert(dx_address_is_unix(&c->listen[5].address));
    dx_config_free(&c);
    c = must_parse("routes: {/: 'wsgi://w:1'}\nlisten: {address: '127.0.0.1:0'}\n");
    ck_assert_uint_eq(c->listen_n, 1);
    dx_config_free(&c);
}
END_TEST

START_TEST(health_in_every_form)
{
    struct dx_config *c = must_parse(
        "pools:\n  a: {kind: wsgi, servers: 'w:1', health: /up}\n"
        "  b: {kind: wsgi, servers: 'w:1', health: {path: /up, host: 'x.org:81', interval: 1s, timeout: 2s, "
        "retries: 4, start_period: 1m, expect: [200, '204, 300-302']}}\n"
        "  c: {kind: wsgi, servers: 'w:1', health: off}\n"
        "routes: {/: b, /a: a, 'A.example/': a, '*.b.example/': b}\n");
    const struct dx_health_config *a = &c->pools[0].health, *b = &c->pools[1].health;
    ck_assert(a->enabled);
    ck_assert_str_eq(a->path, "/up");
    ck_assert_str_eq(a->host, "a.example");
    ck_assert_uint_eq(a->interval, 5000);
    ck_assert_uint_eq(a->timeout, 5000);
    ck_assert_uint_eq(a->retries, 3);
    ck_assert_uint_eq(a->start_period, 0);
    ck_assert_uint_eq(a->expect_n, 1);
    ck_assert_uint_eq(a->expect[0].from, 200);
    ck_assert_uint_eq(a->expect[0].to, 399);
    ck_assert_str_eq(b->host, "x.org:81");
    ck_assert_uint_eq(b->interval, 1000);
    ck_assert_uint_eq(b->timeout, 2000);
    ck_assert_uint_eq(b->retries, 4);
    ck_assert_uint_eq(b->start_period, 60000);
    ck_assert_uint_eq(b->expect_n, 3);
    ck_assert_uint_eq(b->expect[1].to, 204);
    ck_assert_uint_eq(b->expect[2].from, 300);
    ck_assert(!c->pools[2].health.enabled);
    dx_config_free(&c);
}
END_TEST

/* Never a server's name: Django would refuse it. */
START_TEST(health_host_without_hosts_is_localhost)
{
    struct dx_config *c = must_parse("pools: {a: {kind: wsgi, servers: 'my_web:1', health: /up}}\n");
    ck_assert_str_eq(c->pools[0].health.host, "localhost");
    ck_assert_uint_eq(c->routes_n, 1);
    ck_assert_str_eq(c->routes[0].path, "/");
    ck_assert_str_eq(c->routes[0].host, "");
    ck_assert_uint_eq(c->routes[0].line, 0);
    ck_assert_uint_eq(c->routes[0].body_limit, 100u << 20);
    dx_config_free(&c);
}
END_TEST

START_TEST(sticky_in_every_form)
{
    static const struct {
        const char *text;
        enum dx_sticky by;
        const char *cookie, *header, *secret;
    } forms[] = {
        {"off", DX_STICKY_OFF, NULL, NULL, NULL},
        {"cookie", DX_STICKY_COOKIE, "diplex_a", NULL, NULL},
        {"client_ip", DX_STICKY_CLIENT_IP, NULL, NULL, NULL},
        {"{by: client_ip, secret: s}", DX_STICKY_CLIENT_IP, NULL, NULL, "s"},
        {"{cookie: where, secret: s}", DX_STICKY_COOKIE, "where", NULL, "s"},
        {"{by: cookie, cookie: where}", DX_STICKY_COOKIE, "where", NULL, NULL},
        {"{header: X-Session}", DX_STICKY_HEADER, NULL, "X-Session", NULL},
        {"{by: header, header: X-Session}", DX_STICKY_HEADER, NULL, "X-Session", NULL},
    };
    char text[160];
    for (size_t i = 0; i < DX_COUNT(forms); i++) {
        (void)snprintf(text, sizeof text, "pools: {a: {kind: asgi, servers: 'w:1', sticky: %s}}\n",
                       forms[i].text);
        struct dx_config *c = must_parse(text);
        ck_assert_int_eq(c->pools[0].sticky.by, forms[i].by);
        ck_assert_pstr_eq(c->pools[0].sticky.cookie, forms[i].cookie);
        ck_assert_pstr_eq(c->pools[0].sticky.header, forms[i].header);
        ck_assert_pstr_eq(c->pools[0].sticky.secret, forms[i].secret);
        dx_config_free(&c);
    }
}
END_TEST

/* A URL is no name for a cookie, and says where the server is. */
START_TEST(the_cookie_of_a_pool_that_is_named_by_its_url)
{
    struct dx_config *c = must_parse("pools: {'asgi://10.1.2.3:1': {sticky: cookie}}\n"
                                     "routes: {/: 'asgi://10.1.2.3:1'}\n");
    const char *name = c->pools[0].sticky.cookie;
    ck_assert_ptr_nonnull(name);
    ck_assert_uint_eq(strspn(name, "diplex_0123456789abcdef"), strlen(name));
    ck_assert_ptr_null(strstr(name, "10"));
    dx_config_free(&c);
}
END_TEST

START_TEST(off_and_short_forms)
{
    struct dx_config *c = must_parse(
        "admin: off\nlog: off\npools:\n  a: {kind: wsgi, servers: 'w:1', keepalive: off, eject: off}\n"
        "  b: {kind: asgi, servers: 'w:1', keepalive: 2s, balance: random}\nroutes: {/: a}\n");
    ck_assert_ptr_null(c->admin.socket);
    ck_assert_int_eq(c->access, DX_ACCESS_OFF);
    ck_assert_uint_eq(c->pools[0].keepalive.max, 0);
    ck_assert_uint_eq(c->pools[0].eject.failures, 0);
    ck_assert_uint_eq(c->pools[1].keepalive.idle, 2000);
    ck_assert_uint_eq(c->pools[1].keepalive.max, 256);
    ck_assert_int_eq(c->pools[1].balance, DX_BALANCE_RANDOM);
    dx_config_free(&c);
}
END_TEST

START_TEST(admin_on_tcp)
{
    struct dx_config *c = must_parse("admin:\n  socket: off\n  listen: ':9000'\n  token: 0123456789abcdef\n"
                                     "  read: open\n  hosts: [edge, ops.example.com]\nroutes: {/: 'wsgi://w:1'}\n");
    ck_assert_ptr_null(c->admin.socket);
    ck_assert_str_eq(c->admin.listen.text, ":9000");
    ck_assert_uint_eq(dx_address_port(&c->admin.listen.address), 9000);
    ck_assert_str_eq(c->admin.token, "0123456789abcdef");
    ck_assert_int_eq(c->admin.read, DX_ADMIN_READ_OPEN);
    ck_assert_uint_eq(c->admin.hosts.n, 2);
    ck_assert_str_eq(c->admin.hosts.at[1], "ops.example.com");
    dx_config_free(&c);
}
END_TEST

START_TEST(body_limits_come_down)
{
    struct dx_config *c = must_parse(
        "pools:\n  a: {kind: wsgi, servers: 'w:1'}\n  b: {kind: wsgi, servers: 'w:1', limits: {body: 0}}\n"
        "routes: {/: a, /b: b, /c: {pool: a, body: 1KB}, /d: 'asgi://w:1'}\nlimits: {body: 5MB}\n");
    ck_assert_uint_eq(c->pools[0].body_limit, 5u << 20);
    ck_assert_uint_eq(c->pools[1].body_limit, 0);
    ck_assert_uint_eq(c->routes[0].body_limit, 5u << 20);
    ck_assert_uint_eq(c->routes[1].body_limit, 0);
    ck_assert_uint_eq(c->routes[2].body_limit, 1024);
    ck_assert_uint_eq(c->routes[3].body_limit, 5u << 20);
    dx_config_free(&c);
}
END_TEST

START_TEST(urls_in_routes_share_a_pool)
{
    struct dx_config *c = must_parse(
        "routes:\n  /a/: asgi://w:1\n  /b/: asgi://w:1\n  /c/: wsgi://w:1\n  /d/: wsgi://unix:/run/x\n"
        "  /e/: asgi+unix:///run/y\n  /f/: asgi://[::1]:9\n");
    ck_assert_uint_eq(c->pools_n, 5);
    ck_assert_uint_eq(c->routes[0].pool, c->routes[1].pool);
    ck_assert_str_eq(c->pools[0].name, "asgi://w:1");
    ck_assert_int_eq(c->pools[1].kind, DX_KIND_WSGI);
    ck_assert_str_eq(c->pools[2].servers[0].text, "unix:/run/x");
    ck_assert_str_eq(c->pools[3].servers[0].text, "unix:/run/y");
    ck_assert_int_eq(c->pools[3].kind, DX_KIND_ASGI);
    ck_assert_str_eq(c->pools[4].servers[0].host, "::1");
    ck_assert_uint_eq(c->routes[2].line, 4);
    dx_config_free(&c);
}
END_TEST

START_TEST(a_pool_may_be_a_url_or_be_named_by_one)
{
    struct dx_config *c = must_parse(
        "pools:\n  a: asgi://w:1\n  wsgi://w:2: {balance: least_conn}\nroutes: {/: a, /b: 'wsgi://w:2'}\n");
    ck_assert_uint_eq(c->pools_n, 2);
    ck_assert_int_eq(c->pools[0].kind, DX_KIND_ASGI);
    ck_assert_str_eq(c->pools[0].servers[0].text, "w:1");
    ck_assert_int_eq(c->pools[1].kind, DX_KIND_WSGI);
    ck_assert_int_eq(c->pools[1].balance, DX_BALANCE_LEAST_CONN);
    ck_assert_uint_eq(c->routes[1].pool, 1);
    dx_config_free(&c);
}
END_TEST

START_TEST(routes_as_a_list)
{
    struct dx_config *c = must_parse(
        "pools: {a: 'asgi://w:1'}\nroutes:\n  - {path: /x/, host: WWW.Example.com., pool: a, body: 2KB}\n"
        "  - path: /\n    pool: wsgi://w:2\n");
    ck_assert_str_eq(c->routes[0].host, "www.example.com");
    ck_assert_str_eq(c->routes[0].path, "/x/");
    ck_assert_uint_eq(c->routes[0].body_limit, 2048);
    ck_assert_str_eq(c->routes[1].host, "");
    ck_assert_uint_eq(c->routes[1].pool, 1);
    ck_assert_uint_eq(c->routes[1].line, 4);
    dx_config_free(&c);
}
END_TEST

START_TEST(hosts_in_keys)
{
    struct dx_config *c = must_parse(
        "routes: {'a.b/': 'wsgi://w:1', '*.b/x': 'wsgi://w:1', '[::1]/': 'wsgi://w:1', /: 'wsgi://w:1', "
        "/caf\xc3\xa9/: 'wsgi://w:1'}\n");
    ck_assert_str_eq(c->routes[0].host, "a.b");
    ck_assert_str_eq(c->routes[0].path, "/");
    ck_assert_str_eq(c->routes[1].host, "*.b");
    ck_assert_str_eq(c->routes[1].path, "/x");
    ck_assert_str_eq(c->routes[2].host, "[::1]");
    ck_assert_str_eq(c->routes[4].path, "/caf\xc3\xa9/");
    dx_config_free(&c);
}
END_TEST

START_TEST(anchors_and_merge_keys)
{
    struct dx_config *c =
        must_parse("x-1: &one {balance: random, eject: off}\nx-2: &two {balance: least_conn, keepalive: 3s}\n"
                   "pools:\n  x-base: &base {kind: asgi, servers: &s ['w:1', 'w:2']}\n"
                   "  a: {<<: [*one, *two], kind: wsgi, servers: *s}\n"
                   "  b: {balance: round_robin, <<: *one, kind: wsgi, servers: *s, x-note: {any: [thing]}}\n"
                   "  c: {<<: *base, servers: 'w:3'}\nroutes: {/: a}\n");
    ck_assert_uint_eq(c->pools_n, 3);
    ck_assert_int_eq(c->pools[0].balance, DX_BALANCE_RANDOM);
    ck_assert_uint_eq(c->pools[0].keepalive.idle, 3000);
    ck_assert_uint_eq(c->pools[0].servers_n, 2);
    ck_assert_int_eq(c->pools[1].balance, DX_BALANCE_ROUND_ROBIN);
    ck_assert_uint_eq(c->pools[1].eject.failures, 0);
    ck_assert_int_eq(c->pools[2].kind, DX_KIND_ASGI);
    ck_assert_uint_eq(c->pools[2].servers_n, 1);
    dx_config_free(&c);
}
END_TEST

/* YAML 1.1 would make booleans, octal and base-60 numbers of these. */
START_TEST(scalars_are_texts)
{
    struct dx_config *c = must_parse(
        "user: 0644\npools: {yes: {kind: \"asgi\", servers: 'no:80'}, 12: {kind: wsgi, servers: on:80}}\n"
        "routes: {/: yes, /1:1: 12}\nlisten: 8080\nworkers: '2'\n");
    ck_assert_str_eq(c->user, "0644");
    ck_assert_str_eq(c->pools[0].name, "yes");
    ck_assert_str_eq(c->pools[1].servers[0].host, "on");
    ck_assert_str_eq(c->routes[1].path, "/1:1");
    ck_assert_uint_eq(c->workers, 2);
    dx_config_free(&c);
}
END_TEST

START_TEST(whom_to_trust)
{
    struct dx_config *c = must_parse(
        "routes: {/: 'wsgi://w:1'}\ntrusted_proxies: [private, loopback, unix, 1.2.3.4, '2001:db8::/32']\n");
    struct dx_address a;
    bool hit = false;
    ck_assert_uint_eq(c->trusted_n, 9);
    ck_assert(dx_address_parse(DX_SLICE("172.20.1.1:5"), false, &a));
    for (unsigned i = 0; i < c->trusted_n; i++)
        hit |= dx_cidr_match(&c->trusted[i], &a);
    ck_assert(hit);
    dx_config_free(&c);
    c = must_parse("routes: {/: 'wsgi://w:1'}\ntrusted_proxies: unix\n");
    ck_assert_uint_eq(c->trusted_n, 1);
    dx_config_free(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config model");
    TCase *tc = tcase_create("model");
    tcase_add_test(tc, the_built_in_one);
    tcase_add_test(tc, defaults_of_the_top);
    tcase_add_test(tc, defaults_by_kind);
    tcase_add_test(tc, the_kind_may_come_last);
    tcase_add_test(tc, servers_in_every_form);
    tcase_add_test(tc, the_proxy_protocol);
    tcase_add_test(tc, trusted_words);
    tcase_add_test(tc, listen_in_every_form);
    tcase_add_test(tc, health_in_every_form);
    tcase_add_test(tc, health_host_without_hosts_is_localhost);
    tcase_add_test(tc, sticky_in_every_form);
    tcase_add_test(tc, the_cookie_of_a_pool_that_is_named_by_its_url);
    tcase_add_test(tc, off_and_short_forms);
    tcase_add_test(tc, admin_on_tcp);
    tcase_add_test(tc, body_limits_come_down);
    tcase_add_test(tc, urls_in_routes_share_a_pool);
    tcase_add_test(tc, a_pool_may_be_a_url_or_be_named_by_one);
    tcase_add_test(tc, routes_as_a_list);
    tcase_add_test(tc, hosts_in_keys);
    tcase_add_test(tc, anchors_and_merge_keys);
    tcase_add_test(tc, scalars_are_texts);
    tcase_add_test(tc, whom_to_trust);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
