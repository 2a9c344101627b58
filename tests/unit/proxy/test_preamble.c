/* SPDX-License-Identifier: MIT */
/* The PROXY protocol at both ends: what a load balancer says of a client, and what servers are told. */
#include "diplex/preamble.h"
#include "world.h"

#define OK_HELLO  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET       "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n"
#define TRUSTING  "trusted_proxies: loopback\n"
#define TO_SERVER "    client_ip: proxy-protocol\n"
#define V2        "\r\n\r\n\0\r\nQUIT\n"
#define V2_TCP4   V2 "\x21\x11\0\x0c\xc0\0\2\7\xc6\x33\x64\x09\xdc\x04\x01\xbb" /* 192.0.2.7:56324 */
#define V2_LOCAL  V2 "\x20\0\0\0"
#define V1        "PROXY TCP4 192.0.2.7 198.51.100.9 56324 443\r\n"

#define BYTES(literal)               \
    {                                \
        literal, sizeof(literal) - 1 \
    }

/* As if it had come from there, through a listener with or without `proxy_protocol`. */
static struct peer *client_at(const char *ip, bool preamble)
{
    struct dx_address a = bound_to(front), from;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    int inside = dx_listen_accept(front, &from);
    ck_assert_int_ge(inside, 0);
    if (strcmp(ip, "unix") == 0)
        from = (struct dx_address){.len = sizeof(sa_family_t), .u.sa.sa_family = AF_UNIX};
    else
        ck_assert(dx_address_from_ip(dx_slice_str(ip), 4711, &from));
    (void)dx_loop_refresh_us(loop);
    dx_proxy_accept(proxy, inside, &from, preamble);
    return peer_new(fd);
}

static struct peer *balancer(void) { return client_at("127.0.0.1", true); }

static void say_bytes(struct peer *p, struct dx_slice bytes) { peer_send(p, bytes.p, bytes.n); }

static void answer(struct peer *s, struct peer *c)
{
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
}

/* --- from a load balancer --- */

START_TEST(the_address_in_the_header_is_the_clients)
{
    static const struct {
        struct dx_slice bytes;
        const char *line;
    } rows[] = {
        {BYTES(V1), "X-Forwarded-For: 192.0.2.7"},
        {BYTES(V2_TCP4), "X-Forwarded-For: 192.0.2.7"},
        {BYTES("PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 ::1 1 2\r\n"),
         "X-Forwarded-For: 2001:db8:1111:2222:3333:4444:5555:6666"},
        {BYTES("PROXY TCP6 ::ffff:192.0.2.8 ::1 1 2\r\n"), "X-Forwarded-For: 192.0.2.8"},
        {BYTES(V2_LOCAL), "X-Forwarded-For: 127.0.0.1"},
        {BYTES("PROXY UNKNOWN\r\n"), "X-Forwarded-For: 127.0.0.1"},
    };
    world_make("asgi", 1, "", TRUSTING "log: {access: off}\n");
    struct peer *s = NULL;
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct peer *c = balancer();
        say_bytes(c, rows[i].bytes);
        for (int request = 0; request < 2; request++) { /* it stands once, before the first */
            say(c, GET);
            if (s == NULL)
                s = server_accept(0);
            const char *head = hears_head(s, "GET /app/x HTTP/1.1");
            HAS(head, rows[i].line);
            answer(s, c);
        }
    }
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), 0);
    world_end("");
}
END_TEST

/* One byte at a time; and what the client sends comes in the same piece. */
START_TEST(a_header_in_pieces)
{
    static const struct dx_slice headers[] = {BYTES(V1), BYTES(V2_TCP4)};
    for (size_t i = 0; i < DX_COUNT(headers); i++) {
        world_make("asgi", 1, "", TRUSTING);
        struct peer *c = balancer();
        for (size_t at = 0; at + 1 < headers[i].n; at++) {
            say_bytes(c, dx_slice_of(headers[i].p + at, 1));
            step();
        }
        struct dx_text last;
        dx_text_init(&last);
        dx_text_add(&last, dx_slice_of(headers[i].p + headers[i].n - 1, 1));
        dx_text_adds(&last, GET);
        say_bytes(c, dx_slice_of(last.p, last.n));
        dx_text_fini(&last);
        struct peer *s = server_accept(0);
        HAS(hears_head(s, "GET /app/x HTTP/1.1"), "X-Forwarded-For: 192.0.2.7");
        answer(s, c);
        world_end("ok");
    }
}
END_TEST

START_TEST(whoever_does_not_begin_so_is_closed_without_a_word)
{
    static const struct dx_slice rows[] = {
        BYTES(GET),
        BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n" GET),
        BYTES("PROXY UNKNOWN\n" GET),
        BYTES(V2 "\x11\x11\0\0"),
    };
    world_make("asgi", 1, "", TRUSTING);
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct peer *c = balancer();
        say_bytes(c, rows[i]);
        UNTIL((peer_pull(c), c->ended));
        ck_assert_uint_eq(c->got.n, 0);
    }
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), DX_COUNT(rows));
    ck_assert_uint_eq(counted(DX_COUNTER_REQUESTS), 0);
    server_untouched(0);
    world_end("");
}
END_TEST

START_TEST(a_stranger_is_closed_at_once)
{
    static const char *const strangers[] = {"10.0.0.1", "192.0.2.7", "::2", "unix"};
    world_make("asgi", 1, "", TRUSTING);
    for (size_t i = 0; i < DX_COUNT(strangers); i++)
        hears_end(client_at(strangers[i], true));
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), DX_COUNT(strangers));
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_ACCEPTED), 0);
    world_use("asgi", "",
              "trusted_proxies: ['unix', '::ffff:10.0.0.0/104']\n"); /* 10.0.0.0/8 in another form */
    static const char *const known[] = {"10.0.0.1", "unix", "::ffff:10.1.2.3"};
    for (size_t i = 0; i < DX_COUNT(known); i++) {
        struct peer *c = client_at(known[i], true);
        say(c, V1 "GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        (void)hears_head(c, "HTTP/1.1 404 Not Found");
    }
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), DX_COUNT(strangers));
    world_end("no_route no_route no_route");
}
END_TEST

/* To say a little now and then buys no time. */
START_TEST(the_header_has_its_time)
{
    world_make("asgi", 1, "", TRUSTING "timeouts: {header: 60ms}\n");
    static const char header[] = V1;
    struct peer *silent = balancer(), *slow = balancer();
    uint64_t began_us = dx_clock_us();
    for (size_t at = 0; !slow->ended && dx_clock_us() - began_us < WAIT_US; at++) {
        (void)!send(slow->fd, &header[at < 20 ? at : 20], at < 20 ? 1 : 0, MSG_DONTWAIT | MSG_NOSIGNAL);
        pass_ms(7);
        peer_pull(slow);
    }
    ck_assert_uint_ge(dx_clock_us() - began_us, 55000);
    UNTIL((peer_pull(silent), silent->ended));
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), 2);
    ck_assert(slow->got.n == 0 && silent->got.n == 0);
    world_end("");
}
END_TEST

START_TEST(after_the_header_a_request_has_its_own_time)
{
    world_make("asgi", 1, "", TRUSTING "timeouts: {header: 400ms}\n");
    struct peer *c = balancer();
    pass_ms(250);
    say(c, V1);
    pass_ms(250);
    ck_assert_uint_eq(dx_proxy_clients(proxy), 1);
    hears_end(c);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), 0); /* it said who it is, and nothing else */
    world_end("");
}
END_TEST

START_TEST(who_leaves_before_the_header)
{
    world_make("asgi", 1, "", TRUSTING);
    peer_close(balancer()); /* a load balancer that looks whether somebody listens */
    UNTIL(dx_proxy_clients(proxy) == 0);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), 0);
    struct peer *c = balancer();
    say(c, "PROXY TCP4 ");
    pass_ms(3);
    peer_close(c);
    UNTIL(dx_proxy_clients(proxy) == 0);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), 1);
    c = balancer();
    say(c, V1);
    peer_close(c);
    UNTIL(dx_proxy_clients(proxy) == 0);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_REFUSED), 1);
    world_end("");
}
END_TEST

/* Trust is asked of the address in the header. Who speaks for nobody is not believed, trusted or not. */
START_TEST(claims_behind_a_header)
{
    static const struct {
        struct dx_slice bytes;
        const char *line;
    } rows[] = {
        {BYTES(V1), "X-Forwarded-For: 192.0.2.7"},
        {BYTES("PROXY TCP4 127.0.0.2 127.0.0.1 1 2\r\n"), "X-Forwarded-For: 203.0.113.9, 127.0.0.2"},
        {BYTES(V2_LOCAL), "X-Forwarded-For: 127.0.0.1"},
        {BYTES("PROXY UNKNOWN 203.0.113.9 x\r\n"), "X-Forwarded-For: 127.0.0.1"},
    };
    world_make("asgi", 1, "", TRUSTING "log: {access: off}\n");
    struct peer *s = NULL;
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        struct peer *c = balancer();
        say_bytes(c, rows[i].bytes);
        say(c, "GET /app/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
        if (s == NULL)
            s = server_accept(0);
        HAS(hears_head(s, "GET /app/x HTTP/1.1"), rows[i].line);
        answer(s, c);
    }
    world_end("");
}
END_TEST

START_TEST(a_stop_waits_no_longer_for_a_header_than_for_a_request)
{
    world_make("asgi", 1, "", TRUSTING);
    struct peer *late = balancer(), *quick = balancer();
    say(late, "PROXY ");
    pass_ms(3);
    dx_proxy_stop(proxy);
    say(quick, V1 GET);
    struct peer *s = server_accept(0);
    HAS(hears_head(s, "GET /app/x HTTP/1.1"), "X-Forwarded-For: 192.0.2.7");
    answer(s, quick);
    hears_end(late);
    world_end("ok");
}
END_TEST

/* --- to a server --- */

/* The header that a connection begins with: the client's address, or NULL for one that names nobody. */
static void hears_preamble(struct peer *s, const char *client)
{
    struct dx_preamble h;
    const char *reason = NULL;
    char text[DX_ADDRESS_TEXT];
    size_t used = 0;
    enum dx_preamble_parse parse = DX_PREAMBLE_MORE;
    UNTIL((peer_pull(s),
           (parse = dx_preamble_read(s->got.p, s->got.n, &h, &used, &reason)) != DX_PREAMBLE_MORE) ||
          s->ended);
    ck_assert_int_eq(parse, DX_PREAMBLE_DONE);
    ck_assert_int_eq(s->got.p[12] & 0xf0, 0x20);
    ck_assert_msg(s->got.n > used, "the head comes in the same piece");
    ck_assert(h.known == (client != NULL));
    if (h.known) {
        (void)dx_address_text(&h.client, text, sizeof(text));
        ck_assert_str_eq(text, client);
        struct dx_address here = bound_to(front);
        bool same = h.client.u.sa.sa_family == AF_INET;
        ck_assert(dx_address_port(&h.local) == dx_address_port(&here));
        ck_assert(!same || dx_address_eq(&h.local, &here));
    }
    peer_drop(s, used);
}

START_TEST(servers_are_told_the_client)
{
    static const struct {
        const char *from, *claim, *client;
    } rows[] = {
        {"192.0.2.1", "", "192.0.2.1:4711"},
        {"2001:db8::1", "", "[2001:db8::1]:4711"},
        {"::ffff:192.0.2.1", "", "192.0.2.1:4711"},
        {"unix", "", NULL},
        {"192.0.2.1", "X-Forwarded-For: 203.0.113.9\r\n", "192.0.2.1:4711"},
        {"127.0.0.9", "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9:0"},
        {"127.0.0.9", "X-Forwarded-For: 203.0.113.9:77\r\n", "203.0.113.9:0"},
        {"127.0.0.9", "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 127.0.0.3\r\n", "203.0.113.9:0"},
        {"127.0.0.9", "X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9:0"},
        {"127.0.0.9", "X-Forwarded-For: nobody\r\n", "127.0.0.9:4711"},
    };
    world_make("wsgi", 1, TO_SERVER, TRUSTING "log: {access: off}\n");
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        char request[200];
        struct peer *c = client_at(rows[i].from, false);
        (void)snprintf(request, sizeof(request), "GET /app/x HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].claim);
        say(c, request);
        struct peer *s = server_accept(0);
        hears_preamble(s, rows[i].client);
        const char *head = hears_head(s, "GET /app/x HTTP/1.1");
        HAS(head, "Connection: close");
        ck_assert(strcmp(rows[i].from, "unix") == 0 || strstr(head, "X-Forwarded-For: ") != NULL);
        answer(s, c);
        hears_end(s);
    }
    world_end("");
}
END_TEST

START_TEST(a_connection_is_one_requests)
{
    world_make("wsgi", 1, TO_SERVER, "");
    struct peer *c = client_at("192.0.2.1", false);
    for (int i = 0; i < 3; i++) {
        say(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        struct peer *s = server_accept(0);
        hears_preamble(s, "192.0.2.1:4711");
        (void)hears_head(s, "POST /app/x HTTP/1.1");
        hears(s, "hi");
        answer(s, c); /* which does not say that the server closes */
        hears_end(s);
    }
    ck_assert_uint_eq(counted(DX_COUNTER_SERVER_REUSES), 0);
    world_end("ok ok ok");
}
END_TEST

START_TEST(another_try_is_told_too)
{
    world_make("wsgi", 2, TO_SERVER, "");
    server_dies(0);
    for (int i = 0; i < 2; i++) { /* one of them is sent to the dead one first */
        struct peer *c = client_at("192.0.2.1", false);
        say(c, GET);
        struct peer *s = server_accept(1);
        hears_preamble(s, "192.0.2.1:4711");
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        answer(s, c);
    }
    ck_assert_uint_eq(connect_failures(0), 1);
    world_end("ok ok");
}
END_TEST

/* Whatever the reload, no client gets a connection that was opened for another. */
START_TEST(a_reload_either_way)
{
    world_make("wsgi", 1, "    keepalive: 1m\n", "log: {access: off}\n");
    struct peer *c = client_at("192.0.2.1", false);
    say(c, GET);
    struct peer *plain = server_accept(0);
    (void)hears_head(plain, "GET /app/x HTTP/1.1");
    answer(plain, c);
    world_use("wsgi", TO_SERVER, "log: {access: off}\n");
    say(c, GET);
    struct peer *told = server_accept(0);
    hears_preamble(told, "192.0.2.1:4711");
    (void)hears_head(told, "GET /app/x HTTP/1.1");
    world_use("wsgi", "    keepalive: 1m\n", "log: {access: off}\n");
    answer(told, c);
    hears_end(told);
    say(c, GET); /* the plain one is still there */
    (void)hears_head(plain, "GET /app/x HTTP/1.1");
    answer(plain, c);
    world_end("");
}
END_TEST

START_TEST(from_the_balancer_to_the_server)
{
    world_make("wsgi", 1, TO_SERVER, TRUSTING);
    struct peer *c = balancer();
    say_bytes(c, dx_slice_of(V2_TCP4, sizeof(V2_TCP4) - 1));
    say(c, GET);
    struct peer *s = server_accept(0);
    hears_preamble(s, "192.0.2.7:56324");
    HAS(hears_head(s, "GET /app/x HTTP/1.1"), "X-Forwarded-For: 192.0.2.7");
    answer(s, c);
    world_end("ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_address_in_the_header_is_the_clients,
        a_header_in_pieces,
        whoever_does_not_begin_so_is_closed_without_a_word,
        a_stranger_is_closed_at_once,
        the_header_has_its_time,
        after_the_header_a_request_has_its_own_time,
        who_leaves_before_the_header,
        claims_behind_a_header,
        a_stop_waits_no_longer_for_a_header_than_for_a_request,
        servers_are_told_the_client,
        a_connection_is_one_requests,
        another_try_is_told_too,
        a_reload_either_way,
        from_the_balancer_to_the_server,
    };
    return run_tests("preamble", tests, DX_COUNT(tests));
}
