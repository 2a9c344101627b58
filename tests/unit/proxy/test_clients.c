/* SPDX-License-Identifier: MIT */
/* What a client holds: the text of its address, short or long, and its one place for waiting, pausing and
 * ending. */
#include "world.h"

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* As if it had come from there. */
static struct peer *client_from(const char *ip)
{
    struct dx_address a = bound_to(front), from;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, &a.u.sa, a.len), 0);
    int inside = dx_listen_accept(front, &from);
    ck_assert_int_ge(inside, 0);
    ck_assert(dx_address_from_ip(dx_slice_of(ip, strlen(ip)), 4711, &from));
    dx_proxy_accept(proxy, inside, &from, false);
    return peer_new(fd);
}

START_TEST(addresses_of_every_length)
{
    static const char *const ips[] = {"1.2.3.4",
                                      "100.100.100.10",
                                      "255.255.255.254",
                                      "::1",
                                      "2001:db8::1:2:3",
                                      "2001:db8:0:1::42",
                                      "2001:db8:1111:2222:3333:4444:5555:6666"};
    world_make("asgi", 1, "", "log: {access: off}\n");
    struct peer *s = NULL;
    for (size_t i = 0; i < DX_COUNT(ips); i++) {
        char line[100];
        struct peer *c = client_from(ips[i]);
        say(c, "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n");
        if (s == NULL)
            s = server_accept(0);
        const char *head = hears_head(s, "GET /app/x HTTP/1.1");
        (void)snprintf(line, sizeof(line), "X-Forwarded-For: %s", ips[i]);
        HAS(head, line);
        say(s, OK_HELLO);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "hello");
    }
    world_end("");
}
END_TEST

static void flood(struct peer *c)
{
    for (int i = 0; i < 100; i++)
        say(c, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* After so many requests it waits for its turn. Whatever happens to it then: more bytes, its end, a stop, a
 * cut. */
START_TEST(a_client_that_pauses_may_go_on_or_end)
{
    for (int how = 0; how < 4; how++) {
        world_make("asgi", 1, "", "log: {access: off}\n");
        struct peer *c = client_new();
        flood(c);
        uint64_t before = counted(DX_COUNTER_REQUESTS);
        UNTIL(counted(DX_COUNTER_REQUESTS) > before);
        ck_assert_uint_lt(counted(DX_COUNTER_REQUESTS), before + 100);
        if (how == 0)
            flood(c);
        if (how == 1)
            peer_close(c);
        if (how == 2)
            dx_proxy_stop(proxy);
        if (how == 3)
            ck_assert_uint_eq(dx_proxy_cut(proxy), 0);
        if (how == 0)
            UNTIL(counted(DX_COUNTER_REQUESTS) == before + 200);
        else
            UNTIL(dx_proxy_clients(proxy) == 0);
        world_end("");
    }
}
END_TEST

START_TEST(a_client_that_paused_is_silent_no_longer_than_others)
{
    world_make("asgi", 1, "", "log: {access: off}\ntimeouts: {idle: 100ms}\n");
    struct peer *c = client_new();
    flood(c);
    UNTIL(counted(DX_COUNTER_REQUESTS) == 100);
    UNTIL(dx_proxy_clients(proxy) == 0);
    UNTIL((peer_pull(c), c->ended));
    world_end("");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        addresses_of_every_length,
        a_client_that_pauses_may_go_on_or_end,
        a_client_that_paused_is_silent_no_longer_than_others,
    };
    return run_tests("clients", tests, DX_COUNT(tests));
}
