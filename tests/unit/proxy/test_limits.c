/* SPDX-License-Identifier: MIT */
/* Limits over all clients together, and the least rate of each: who is refused, who makes room, who is let
 * be. */
#include <sys/resource.h>

#include "proxy/internal.h"
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define GET_X    "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n"
#define UPGRADE                                                                                              \
    "GET /app/x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: " \
    "13\r\n"                                                                                                 \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
#define UPGRADED                                                           \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " \
    "websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"

static struct dx_text lines; /* of the own log that speak of a limit */

static void on_line(struct dx_slice line)
{
    if (memmem(line.p, line.n, "limit_reached", 13) != NULL)
        dx_text_add(&lines, line);
}

static unsigned said_of(const char *what)
{
    char word[64];
    unsigned n = 0;
    (void)snprintf(word, sizeof(word), "what=%s ", what);
    for (const char *at = lines.n ? lines.p : ""; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static void begin(const char *kind, const char *pool, const char *top)
{
    dx_text_init(&lines);
    dx_log_set_sink(on_line);
    said = dx_proxy_hints_new();
    ck_assert_ptr_nonnull(said);
    world_make(kind, 1, pool, top);
}

static void end(const char *outcomes)
{
    world_end(outcomes);
    dx_proxy_hints_free(&said);
    dx_log_set_sink(NULL);
    dx_text_fini(&lines);
}

static bool has_ended(struct peer *p)
{
    peer_pull(p);
    return p->ended;
}

static void served(struct peer *c, struct peer *s)
{
    say(c, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears(c, "hello");
}

/* --- connections --- */

START_TEST(the_one_that_has_been_idle_longest_makes_room)
{
    begin("asgi", "", "limits: {connections: 8, connections_per_client: 100}\n");
    struct peer *c[8];
    for (int i = 0; i < 8; i++)
        c[i] = client_new();
    say(c[0], GET_X); /* it is idle again after that */
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c[0], "HTTP/1.1 200 OK");
    hears(c[0], "hello");
    say(c[1], GET_X); /* and this one is busy */
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    struct peer *early =
        client_new(); /* the others are as new as this one, but for the one that was served */
    UNTIL(has_ended(c[0]));
    c[0] = early;
    pass_ms(120);
    for (int i = 2; i < 8; i++) {
        struct peer *new = client_new();
        UNTIL(has_ended(c[i]));
        ck_assert(!has_ended(c[0]) && !has_ended(new));
    }
    struct peer *last = client_new();
    UNTIL(has_ended(c[0]));
    ck_assert(!has_ended(c[1]));
    served(last, (say(s, OK_HELLO), hears_head(c[1], "HTTP/1.1 200 OK"), s));
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_MADE_ROOM), 8);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_TURNED_AWAY), 0);
    end("ok ok ok");
}
END_TEST

START_TEST(who_has_asked_since_is_not_the_first_to_go)
{
    begin("asgi", "", "limits: {connections: 8, connections_per_client: 100}\n");
    struct peer *c[8];
    for (int i = 0; i < 8; i++)
        c[i] = client_new();
    pass_ms(120);
    say(c[0], GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c[0], "HTTP/1.1 200 OK");
    hears(c[0], "hello");
    (void)client_new();
    UNTIL(has_ended(c[1]));
    ck_assert(!has_ended(c[0]));
    end("ok");
}
END_TEST

START_TEST(where_nobody_is_idle_the_new_one_is_closed)
{
    begin("asgi", "", "limits: {connections: 8, connections_per_client: 100}\n");
    struct peer *c[8], *s[8];
    for (int i = 0; i < 8; i++) {
        c[i] = client_new();
        say(c[i], GET_X);
        s[i] = server_accept(0);
        (void)hears_head(s[i], "GET /app/x HTTP/1.1");
    }
    for (int i = 0; i < 3; i++) {
        struct peer *new = client_new();
        UNTIL(has_ended(new));
        ck_assert_uint_eq(new->got.n, 0);
    }
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_TURNED_AWAY), 3);
    ck_assert_uint_eq(said_of("connections"), 1); /* of three, within a minute */
    for (int i = 0; i < 8; i++) {
        say(s[i], OK_HELLO);
        (void)hears_head(c[i], "HTTP/1.1 200 OK");
        hears(c[i], "hello");
    }
    peer_close(c[3]);
    UNTIL(dx_proxy_clients(proxy) == 7);
    struct peer *again = client_new();
    served(again, s[7]);
    end("ok ok ok ok ok ok ok ok ok");
}
END_TEST

START_TEST(auto_follows_the_descriptors)
{
    descriptors = 64;
    begin("asgi", "", "");
    ck_assert_uint_eq(proxy->view->most.connections, (64 - 24) / 2);
    ck_assert_uint_eq(proxy->view->most.per_client, 10);
    ck_assert_uint_eq(proxy->view->most.tunnels, 15);
    world_use("asgi", "", "limits: {connections: 100, tunnels: 7, connections_per_client: 3}\n");
    ck_assert_uint_eq(proxy->view->most.connections, 100);
    ck_assert_uint_eq(proxy->view->most.per_client, 3);
    ck_assert_uint_eq(proxy->view->most.tunnels, 7);
    descriptors = 0;
    end("");
}
END_TEST

/* As if it had come from there. */
static struct peer *client_from(const char *ip, bool preamble)
{
    struct dx_address a = bound_to(front), from;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    int inside = dx_listen_accept(front, &from);
    ck_assert_int_ge(inside, 0);
    ck_assert(dx_address_from_ip(dx_slice_of(ip, strlen(ip)), 4711, &from));
    dx_proxy_accept(proxy, inside, &from, preamble);
    return peer_new(fd);
}

START_TEST(one_client_has_so_many_connections)
{
    begin("asgi", "", "limits: {connections_per_client: 2}\ntrusted_proxies: 10.0.0.0/8\n");
    struct peer *a = client_from("192.0.2.1", false);
    (void)client_from("192.0.2.1", false);
    struct peer *third = client_from("192.0.2.1", false);
    UNTIL(has_ended(third));
    ck_assert(!has_ended(a));
    ck_assert_uint_eq(said_of("connections_per_client"), 1);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_TURNED_AWAY), 1);
    ck_assert(!has_ended(client_from("192.0.2.2", false)));
    for (int i = 0; i < 5; i++)
        ck_assert(!has_ended(client_from("10.1.2.3", false))); /* a proxy speaks for many */
    peer_close(a);
    UNTIL(dx_proxy_clients(proxy) == 7);
    struct peer *again = client_from("192.0.2.1", false);
    pass_ms(5);
    ck_assert(!has_ended(again));
    end("");
}
END_TEST

START_TEST(behind_a_load_balancer_the_address_it_names_counts)
{
    begin("asgi", "", "limits: {connections_per_client: 2}\ntrusted_proxies: 10.0.0.0/8\n");
    for (int i = 0; i < 3; i++) {
        struct peer *c = client_from("10.0.0.1", true);
        say(c, "PROXY TCP4 192.0.2.1 192.0.2.9 1234 80\r\n");
        if (i == 2)
            UNTIL(has_ended(c));
        else
            hears_nothing(c);
    }
    struct peer *other = client_from("10.0.0.1", true);
    say(other, "PROXY TCP4 192.0.2.2 192.0.2.9 1234 80\r\n");
    hears_nothing(other);
    ck_assert_uint_eq(counted(DX_COUNTER_CLIENTS_TURNED_AWAY), 1);
    end("");
}
END_TEST

START_TEST(a_connection_carries_so_many_requests)
{
    begin("asgi", "", "limits: {connection_requests: 3}\n");
    struct peer *c = client_new(), *s = NULL;
    for (int i = 0; i < 3; i++) {
        say(c, GET_X);
        if (s == NULL)
            s = server_accept(0);
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        say(s, OK_HELLO);
        const char *head = hears_head(c, "HTTP/1.1 200 OK");
        ck_assert_int_eq(has_line(head, "Connection: close"), i == 2);
        hears(c, "hello");
    }
    hears_end(c);
    end("ok ok ok");
}
END_TEST

START_TEST(what_was_sent_behind_the_last_request_destroys_no_answer)
{
    begin("asgi", "", "limits: {connection_requests: 3}\nlog: {access: off}\n");
    struct peer *c = client_new();
    for (int i = 0; i < 200; i++)
        say(c, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        const char *head = hears_head(c, "HTTP/1.1 404 Not Found");
        ck_assert_int_eq(has_line(head, "Connection: close"), i == 2);
        UNTIL((peer_pull(c),
               c->got.n > 0 && strchr(strstr(c->got.p, "id: ") ? strstr(c->got.p, "id: ") : "", '\n')));
        peer_drop(c, (size_t)(strchr(strstr(c->got.p, "id: "), '\n') + 1 - c->got.p));
    }
    hears_end(c);
    for (int i = 0; i < 10; i++) /* and what comes later neither */
        (void)!send(c->fd, "GET / HTTP/1.1\r\n", 16, MSG_DONTWAIT | MSG_NOSIGNAL);
    pass_ms(5);
    ck_assert_uint_eq(dx_proxy_clients(proxy), 1);
    ck_assert_uint_eq(counted(DX_COUNTER_REQUESTS_RUNNING), 1);
    end("");
}
END_TEST

START_TEST(a_connection_lasts_so_long)
{
    begin("asgi", "", "limits: {connection_time: 1s, connection_requests: 0}\n");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    LACKS(hears_head(c, "HTTP/1.1 200 OK"), "Connection: close");
    hears(c, "hello");
    pass_ms(2100); /* it counts in whole seconds */
    say(c, GET_X);
    struct peer *t = has_ended(s) ? server_accept(0) : s;
    (void)hears_head(t, "GET /app/x HTTP/1.1");
    say(t, OK_HELLO);
    HAS(hears_head(c, "HTTP/1.1 200 OK"), "Connection: close");
    hears(c, "hello");
    hears_end(c);
    end("ok ok");
}
END_TEST

/* --- tunnels --- */

START_TEST(so_many_tunnels)
{
    begin("asgi", "", "limits: {tunnels: 2}\n");
    struct peer *c[2], *s[2];
    for (int i = 0; i < 2; i++) {
        c[i] = client_new();
        say(c[i], UPGRADE);
        s[i] = server_accept(0);
        (void)hears_head(s[i], "GET /app/x HTTP/1.1");
        if (i == 0) { /* the other one still asks, and counts */
            say(s[i], UPGRADED);
            (void)hears_head(c[i], "HTTP/1.1 101 Switching Protocols");
        }
    }
    struct peer *third = client_new();
    say(third, UPGRADE);
    HAS(hears_head(third, "HTTP/1.1 503 Service Unavailable"), "Retry-After: 5");
    ck_assert_uint_eq(said_of("tunnels"), 1);
    struct peer *plain = client_new();
    say(plain, GET_X);
    struct peer *p = server_accept(0);
    (void)hears_head(p, "GET /app/x HTTP/1.1");
    say(p, OK_HELLO);
    (void)hears_head(plain, "HTTP/1.1 200 OK");
    peer_close(c[0]);
    UNTIL(counted(DX_COUNTER_TUNNELS_WANTED) == 1);
    struct peer *again = client_new();
    say(again, UPGRADE);
    (void)hears_head(p, "GET /app/x HTTP/1.1"); /* its connection was kept */
    say(p, UPGRADED);
    (void)hears_head(again, "HTTP/1.1 101 Switching Protocols");
    end("tunnels_full ok ok client_left ok");
}
END_TEST

/* --- rates --- */

static void trickle(struct peer *c, unsigned pieces, unsigned each_ms)
{
    for (unsigned i = 0; i < pieces && !c->ended && c->got.n == 0; i++) {
        pass_ms(each_ms);
        (void)!send(c->fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        peer_pull(c);
    }
}

START_TEST(a_body_that_trickles_is_ended_though_it_is_never_silent)
{
    static const char *const kinds[] = {"wsgi", "asgi"};
    for (size_t i = 0; i < DX_COUNT(kinds); i++) {
        begin(kinds[i], "", "timeouts: {body: 200ms}\nlimits: {min_rate: {body: 1000}}\n");
        struct peer *c = client_new();
        uint64_t began = dx_clock_us();
        say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
        trickle(c, 100, 20); /* 50 bytes a second, a piece every tenth of the time-out */
        (void)hears_head(c, "HTTP/1.1 408 Request Timeout");
        ck_assert_uint_ge(dx_clock_us() - began, 200000);
        ck_assert_uint_lt(dx_clock_us() - began, 1500000);
        end("body_timeout");
    }
}
END_TEST

START_TEST(a_body_that_is_slow_and_fast_enough_goes_on)
{
    begin("wsgi", "", "timeouts: {body: 200ms}\nlimits: {min_rate: {body: 10}}\n");
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n");
    trickle(c, 30, 20);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    end("ok");
}
END_TEST

/* Whoever has sent fast may rest for the time-out, and no longer. */
START_TEST(what_was_fast_before_buys_no_more_than_the_time_out)
{
    static char much[100000];
    begin("asgi", "", "timeouts: {body: 300ms}\nlimits: {min_rate: {body: 100}}\n");
    memset(much, 'x', sizeof(much));
    struct peer *c = client_new();
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    peer_send(c, much, sizeof(much)); /* worth a thousand seconds */
    UNTIL(peer_has(s, sizeof(much)));
    uint64_t began = dx_clock_us();
    trickle(c, 200, 25);
    (void)hears_head(c, "HTTP/1.1 408 Request Timeout");
    ck_assert_uint_lt(dx_clock_us() - began, 2000000);
    end("body_timeout");
}
END_TEST

START_TEST(time_in_which_the_server_is_waited_for_is_not_the_clients)
{
    static char piece[64 * 1024];
    begin("asgi", "    timeouts: {response: 10s}\n",
          "timeouts: {body: 150ms, send: 150ms}\nlimits: {min_rate: {body: 1000000, send: 1000000}, body: "
          "0}\n");
    memset(piece, 'x', sizeof(piece));
    int little = 32 * 1024;
    ck_assert_int_eq(setsockopt(front, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    ck_assert_int_eq(setsockopt(doors[0], SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    struct peer *c = client_new();
    ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
    say(c, "POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    say(c, "400000\r\n");
    size_t sent = 0; /* as much as goes: the server takes nothing for longer than the client may be silent */
    for (int i = 0; i < 400; i++) {
        size_t left = 4u * 1024 * 1024 - sent;
        ssize_t n = left ? send(c->fd, piece, left < sizeof(piece) ? left : sizeof(piece), MSG_DONTWAIT) : 0;
        sent += n > 0 ? (size_t)n : 0;
        pass_ms(1);
    }
    ck_assert_uint_lt(sent, 4u * 1024 * 1024);
    while (sent < 4u * 1024 * 1024) {
        size_t left = 4u * 1024 * 1024 - sent;
        ssize_t n = send(c->fd, piece, left < sizeof(piece) ? left : sizeof(piece), MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        peer_pull(s);
        step();
    }
    say(c, "\r\n0\r\n\r\n");
    UNTIL((peer_pull(s), s->got.n > 5 && memcmp(s->got.p + s->got.n - 5, "0\r\n\r\n", 5) == 0));
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    pass_ms(400); /* a stream with nothing to say */
    say(s, "5\r\nhello\r\n");
    hears(c, "5\r\nhello\r\n");
    pass_ms(400);
    say(s, "0\r\n\r\n");
    hears(c, "0\r\n\r\n");
    end("ok");
}
END_TEST

/* All connections of this process to the server are told so by the kernel. */
static bool server_is_watched_over(void)
{
    struct dx_address door = bound_to(doors[0]);
    for (int fd = 3; fd < 200; fd++) {
        struct dx_address to = {.len = sizeof(to.u)};
        int alive = 0;
        socklen_t n = sizeof(alive);
        if (getpeername(fd, &to.u.sa, &to.len) == 0 && dx_address_eq(&to, &door) &&
            getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &alive, &n) == 0)
            return alive != 0;
    }
    return false;
}

START_TEST(a_server_that_may_be_silent_for_ever_is_watched_over)
{
    begin("asgi", "", "");
    struct peer *c = client_new();
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    ck_assert(!server_is_watched_over()); /* timeouts.response is the bound */
    say(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    (void)hears_head(c, "HTTP/1.1 200 OK");
    UNTIL(server_is_watched_over());
    say(s, "0\r\n\r\n");
    hears(c, "0\r\n\r\n");
    end("ok");
}
END_TEST

/* Takes `each` bytes every few milliseconds, until the connection ends or the time is over. */
static void sip(struct peer *c, size_t each, unsigned ms)
{
    static char buf[64 * 1024];
    uint64_t until_us = dx_clock_us() + (uint64_t)ms * 1000;
    while (!c->ended && dx_clock_us() < until_us) {
        ssize_t n = recv(c->fd, buf, each, MSG_DONTWAIT);
        c->ended = n == 0 || (n < 0 && errno != EAGAIN);
        pass_ms(10);
    }
}

static void slow_reader(const char *rate, bool ends)
{
    static char much[8 * 1024 * 1024];
    char top[200];
    (void)snprintf(top, sizeof(top), "timeouts: {send: 300ms}\nlimits: {min_rate: {send: %s}}\n", rate);
    begin("asgi", "", top);
    small_buffers();
    struct peer *c = client_new();
    int little = 32 * 1024;
    ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    (void)!send(s->fd, much, sizeof(much), MSG_DONTWAIT);
    sip(c, 8 * 1024, 1500); /* up to 800 KB a second: something is taken all the time */
    ck_assert_int_eq(counted(DX_COUNTER_REQUESTS) == 1, ends);
    peer_close(c);
    UNTIL(counted(DX_COUNTER_REQUESTS) == 1);
    end(ends ? "client_slow" : "client_left");
}

START_TEST(a_reader_that_is_too_slow_is_ended_though_it_always_takes_something)
{
    slow_reader("100MB", true);
    slow_reader("1000", false);
    slow_reader("0", false);
}
END_TEST

/* --- spools --- */

static void upload_head(struct peer *c, unsigned n)
{
    char head[200];
    (void)snprintf(head, sizeof(head), "POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n", n);
    say(c, head);
}

START_TEST(files_have_a_total)
{
    static char body[100000];
    begin("wsgi", "", "buffer: {memory: 4KB, total_disk: 150KB}\n");
    struct peer *a = client_new(), *b = client_new(), *small = client_new();
    memset(body, 'x', sizeof(body));
    upload_head(a, sizeof(body));
    peer_send(a, body, sizeof(body) - 1);
    UNTIL(counted(DX_COUNTER_SPOOL_DISK) > 90000);
    upload_head(b, sizeof(body));
    for (size_t at = 0; at < sizeof(body) && b->got.n == 0;) {
        ssize_t n = send(b->fd, body + at, 5000, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        pass_ms(1);
        peer_pull(b);
    }
    HAS(hears_head(b, "HTTP/1.1 503 Service Unavailable"), "Retry-After: 5");
    ck_assert_uint_eq(said_of("spool"), 1);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_FAILURES), 0);
    upload_head(small, 1000); /* needs no file */
    peer_send(small, body, 1000);
    struct peer *s = server_accept(0);
    (void)head_of(s);
    UNTIL(peer_has(s, 1000));
    peer_drop(s, 1000);
    say(s, OK_HELLO);
    (void)hears_head(small, "HTTP/1.1 200 OK");
    say(a, "x"); /* and what was there goes on */
    (void)head_of(s);
    UNTIL(peer_has(s, sizeof(body)));
    say(s, OK_HELLO);
    (void)hears_head(a, "HTTP/1.1 200 OK");
    peer_close(b);
    end("ok ok spool_full");
}
END_TEST

START_TEST(memory_has_a_total_beyond_which_files_begin)
{
    static char body[40000];
    begin("wsgi", "", "buffer: {memory: 64KB, total_memory: 50KB}\n");
    struct peer *a = client_new(), *b = client_new();
    memset(body, 'x', sizeof(body));
    upload_head(a, sizeof(body));
    peer_send(a, body, sizeof(body) - 1);
    UNTIL(counted(DX_COUNTER_SPOOL_MEMORY) >= sizeof(body) - 1);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_DISK), 0);
    upload_head(b, sizeof(body));
    peer_send(b, body, sizeof(body) - 1);
    UNTIL(counted(DX_COUNTER_SPOOL_DISK) > 0);
    ck_assert_uint_le(counted(DX_COUNTER_SPOOL_MEMORY), 2 * sizeof(body));
    say(b, "x");
    struct peer *s = server_accept(0);
    (void)head_of(s);
    UNTIL(peer_has(s, sizeof(body)));
    say(s, OK_HELLO);
    (void)hears_head(b, "HTTP/1.1 200 OK");
    peer_close(a);
    end("ok client_left");
}
END_TEST

/* --- out of descriptors --- */

static struct rlimit usual;

/* From now on no new descriptor is to be had: the lowest free one is the limit. */
static void no_more_descriptors(void)
{
    struct rlimit none;
    int free_fd = dup(0);
    ck_assert_int_ge(free_fd, 0);
    close(free_fd);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = (rlim_t)free_fd;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void descriptors_again(void) { ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0); }

START_TEST(an_idle_connection_makes_room_for_one_to_a_server)
{
    begin("asgi", "    keepalive: off\n", "");
    struct peer *idle = client_new();
    pass_ms(120);
    struct peer *c = client_new();
    no_more_descriptors();
    say(c, GET_X);
    UNTIL(has_ended(idle));
    descriptors_again();
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    end("ok");
}
END_TEST

START_TEST(an_idle_connection_makes_room_for_a_file)
{
    static char body[40000];
    begin("wsgi", "", "buffer: {memory: 4KB}\n");
    struct peer *idle = client_new();
    pass_ms(120);
    struct peer *c = client_new(), *busy = client_new();
    memset(body, 'x', sizeof(body));
    upload_head(c, sizeof(body));
    upload_head(busy, sizeof(body));
    pass_ms(5);
    no_more_descriptors();
    peer_send(c, body, sizeof(body) - 1);
    UNTIL(has_ended(idle));
    UNTIL(counted(DX_COUNTER_SPOOL_DISK) > 30000);
    peer_send(busy, body, 10000); /* and nobody is idle now */
    HAS(hears_head(busy, "HTTP/1.1 503 Service Unavailable"), "Retry-After: 5");
    descriptors_again();
    ck_assert_uint_eq(said_of("descriptors"), 1);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_FAILURES), 0);
    say(c, "x");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/ HTTP/1.1");
    UNTIL(peer_has(s, sizeof(body)));
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    peer_close(busy);
    end("ok no_memory");
}
END_TEST

START_TEST(without_an_idle_one_the_request_is_answered_503_and_the_next_is_served)
{
    begin("asgi", "    keepalive: off\n", "");
    struct peer *c = client_new();
    pass_ms(2);
    no_more_descriptors();
    say(c, GET_X);
    HAS(hears_head(c, "HTTP/1.1 503 Service Unavailable"), "Retry-After: 5");
    descriptors_again();
    ck_assert_uint_eq(said_of("descriptors"), 1);
    UNTIL((peer_pull(c), c->got.n > 0 && strstr(c->got.p, "request id") != NULL && strchr(c->got.p, '\n')));
    pass_ms(2);
    peer_pull(c);
    peer_drop(c, c->got.n);
    say(c, GET_X);
    struct peer *s = server_accept(0);
    (void)hears_head(s, "GET /app/x HTTP/1.1");
    say(s, OK_HELLO);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    end("no_memory ok");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_one_that_has_been_idle_longest_makes_room,
        who_has_asked_since_is_not_the_first_to_go,
        where_nobody_is_idle_the_new_one_is_closed,
        auto_follows_the_descriptors,
        one_client_has_so_many_connections,
        behind_a_load_balancer_the_address_it_names_counts,
        a_connection_carries_so_many_requests,
        what_was_sent_behind_the_last_request_destroys_no_answer,
        a_connection_lasts_so_long,
        so_many_tunnels,
        a_body_that_trickles_is_ended_though_it_is_never_silent,
        a_body_that_is_slow_and_fast_enough_goes_on,
        what_was_fast_before_buys_no_more_than_the_time_out,
        time_in_which_the_server_is_waited_for_is_not_the_clients,
        a_server_that_may_be_silent_for_ever_is_watched_over,
        a_reader_that_is_too_slow_is_ended_though_it_always_takes_something,
        files_have_a_total,
        memory_has_a_total_beyond_which_files_begin,
        an_idle_connection_makes_room_for_one_to_a_server,
        an_idle_connection_makes_room_for_a_file,
        without_an_idle_one_the_request_is_answered_503_and_the_next_is_served,
    };
    return run_tests("limits", tests, DX_COUNT(tests));
}
