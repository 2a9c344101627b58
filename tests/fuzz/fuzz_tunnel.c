/* SPDX-License-Identifier: MIT */
/*
 * The handover of a connection to a WebSocket. The input says in which pieces the request, the server's 101
 * and the bytes of the tunnel come, what stands right behind either head in the same piece, and who is slow.
 * Whatever is sent behind the heads arrives at the other side once, whole and in order, and nothing of it is
 * read as HTTP; and when one side has closed, what it had said before still arrives.
 *
 *   byte 0: bit 0: who closes; bit 1: hints before the 101; bits 2-7: how much of the tunnel each side says.
 *   Then moves: bits 0-1: who (client, server) does what (sends; takes as much); bits 2-7: how much, squared.
 */
#include "exchange/message.h"
#include "exchange/world.h"
#include "exchange/wrapped.h"

#include "fuzz_cuts.h"

#define REQUEST                                                                        \
    "GET /app/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define HINTS    "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
#define SWITCHES "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
#define ASGI     1 /* a variant of exchange/world.h */
#define MOVES    64
#define TURNS    3
#define PATIENCE 4000

struct world world;

struct side {
    int fd;
    struct dx_text out, in;
    size_t head_n, sent; /* of `out`: what stands before the tunnel's bytes; sent so far */
    bool ended;
};

static struct side client, server;

void on_logged(const struct exchange *x)
{
    DX_ASSERT(x->request.websocket && (x->status == 101 ? x->tunnel : x->outcome == OUTCOME_CLIENT_LEFT));
}

static void turns(unsigned n)
{
    while (n-- > 0)
        turn();
}

static void once(void) { turns(1); }

/* Bytes that look like messages would be a temptation. */
static void say(struct side *s, const char *head, size_t tunnel)
{
    static const char bait[] =
        "GET /app/x HTTP/1.1\r\nHost: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0\r\n\r\n";
    dx_text_adds(&s->out, head);
    s->head_n = s->out.n;
    for (size_t i = 0; i < tunnel; i++)
        dx_text_add(&s->out,
                    dx_slice_of(i % 251 < 200 ? &bait[i % (sizeof(bait) - 1)] : (char[]){(char)i}, 1));
}

static void send_some(struct side *s, size_t most)
{
    size_t n = s->out.n - s->sent < most ? s->out.n - s->sent : most;
    ssize_t done = s->fd >= 0 && n > 0 ? send(s->fd, s->out.p + s->sent, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    s->sent += done > 0 ? (size_t)done : 0;
}

static void take_some(struct side *s, size_t most)
{
    char buf[4096];
    while (s->fd >= 0 && !s->ended && most > 0) {
        ssize_t n = recv(s->fd, buf, most < sizeof(buf) ? most : sizeof(buf), MSG_DONTWAIT);
        if (n < 0)
            return;
        s->ended = n == 0;
        most -= (size_t)n;
        dx_text_add(&s->in, dx_slice_of(buf, (size_t)n));
    }
}

static void meet(void)
{
    int ends[2];
    struct dx_address from;
    DX_ASSERT(dx_address_parse(DX_SLICE("10.0.0.1:1000"), false, &from));
    DX_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    client.fd = ends[0];
    (void)dx_loop_refresh_us(world.loop);
    dx_proxy_accept(world.proxy, ends[1], &from, false);
}

static void accept_server(void)
{
    for (size_t i = 0; i < DOORS && server.fd < 0; i++)
        server.fd = accept4(world.doors[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* A server switches when it was asked to: before its head is here it says nothing. */
static bool was_asked(void)
{
    struct message m;
    take_some(&server, SIZE_MAX);
    return read_message(server.in.n > 0 ? server.in.p : "", server.in.n, &m);
}

static void moves(const uint8_t *data, size_t n)
{
    bool asked = false;
    for (size_t i = 0; i < n && i < MOVES; i++) {
        size_t much = (size_t)(data[i] >> 2) * (data[i] >> 2) * 4 + 1;
        struct side *s = data[i] & 1 ? &server : &client;
        accept_server();
        asked = asked || (server.fd >= 0 && was_asked());
        if (s == &server && !asked)
            continue;
        if (data[i] & 2)
            take_some(s, much);
        else
            send_some(s, much);
        turns(TURNS);
    }
}

/* The bytes behind the other side's head, and behind hints that came before it. False: the head is not here.
 */
static bool tunnel_of(const struct side *s, struct dx_slice *bytes)
{
    struct message m = {0};
    size_t at = 0;
    do {
        if (at == s->in.n || !read_message(s->in.p + at, s->in.n - at, &m))
            return false;
        at += m.head_n;
    } while (dx_slice_starts(m.first, DX_SLICE("HTTP/1.1 103 ")));
    *bytes = dx_slice_of(s->in.p + at, s->in.n - at);
    return true;
}

static void check_arrived(const struct side *at, const struct side *from)
{
    struct dx_slice said = dx_slice_of(from->out.p + from->head_n, from->sent - from->head_n), heard;
    DX_ASSERT(tunnel_of(at, &heard) && dx_slice_eq(heard, said));
}

static bool has_all(const struct side *at, const struct side *from)
{
    struct dx_slice heard;
    return from->sent == from->out.n && tunnel_of(at, &heard) && heard.n >= from->out.n - from->head_n;
}

/* Both say and take all that is left. */
static void finish_talk(void)
{
    for (unsigned i = 0; server.fd < 0 || !was_asked(); i++) {
        DX_ASSERT(i < PATIENCE);
        send_some(&client, SIZE_MAX);
        turn();
        accept_server();
    }
    for (unsigned i = 0; !has_all(&server, &client) || !has_all(&client, &server); i++) {
        DX_ASSERT(i < PATIENCE && !client.ended && !server.ended);
        send_some(&client, SIZE_MAX);
        send_some(&server, SIZE_MAX);
        turn();
        take_some(&client, SIZE_MAX);
        take_some(&server, SIZE_MAX);
    }
    check_arrived(&server, &client);
    check_arrived(&client, &server);
}

/* One side says a last word and closes; the other hears the word and then the end. */
static void part(bool server_first)
{
    struct side *first = server_first ? &server : &client, *other = server_first ? &client : &server;
    dx_text_adds(&first->out, "last word");
    send_some(first, SIZE_MAX);
    dx_fd_close(&first->fd);
    for (unsigned i = 0; !other->ended; i++) {
        DX_ASSERT(i < PATIENCE);
        turn();
        take_some(other, SIZE_MAX);
    }
    check_arrived(other, first);
    dx_fd_close(&other->fd);
}

static void side_end(struct side *s)
{
    dx_text_fini(&s->out);
    dx_text_fini(&s->in);
    *s = (struct side){.fd = -1};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (world.loop == NULL)
        world_init();
    unsigned fds = count_fds();
    size_t much = (size_t)(data[0] >> 2) * (data[0] >> 2) * 11;
    world_begin(ASGI);
    client = server = (struct side){.fd = -1};
    say(&client, REQUEST, much);
    say(&server, data[0] & 2 ? HINTS SWITCHES : SWITCHES, much + much / 3);
    meet();
    moves(data + 1, size - 1);
    finish_talk();
    part(data[0] & 1);
    turns(TURNS);
    pass_ms(10000, once);
    DX_ASSERT(dx_proxy_clients(world.proxy) == 0);
    side_end(&client);
    side_end(&server);
    world_end();
    DX_ASSERT(count_fds() == fds);
    return 0;
}
