/* SPDX-License-Identifier: MIT */
/*
 * The two ends of the conversations of a script: clients that ask, servers that answer, and what each of them
 * has said. Every request has a number that nobody can guess beside it, every answer a tag, and bodies are
 * made of both: so a byte that comes to the wrong place, twice or not at all is seen.
 */
#ifndef TESTS_FUZZ_EXCHANGE_PEERS_H
#define TESTS_FUZZ_EXCHANGE_PEERS_H

#include "exchange/message.h"
#include "exchange/world.h"

#define SLOTS       4 /* clients and connections that a script can name at a time */
#define CLIENTS_MAX 10
#define ASKS_MAX    48
#define CONNS_MAX   24
#define ANSWERS_MAX 96
#define LOGS_MAX    96
#define NOBODY      (-1)

struct ask {
    int client;
    bool head, old, upgrade, post; /* HEAD; HTTP/1.0; WebSocket; a method that must not be repeated */
    size_t end;                    /* of the request in what the client sends */
    size_t body_n;
    bool wild;          /* what came as its answer may have been anything */
    unsigned committed; /* connections on which it may have had an effect */
};

struct answer {
    int ask, conn;
    unsigned status;
    size_t begin, end;     /* of the body in what the server sends, framing and all */
    size_t body_n;         /* bytes of the body that were put in */
    bool sealed, by_close; /* it is whole, when all of it is sent; its end is that of the connection */
};

struct logged {
    unsigned status;
    enum outcome outcome;
    bool head, old;
};

struct client_peer {
    int fd;
    const struct front *front; /* NULL: it was refused */
    struct dx_text out, got;
    size_t sent;
    bool ended, left, half, lazy, wild, asked_upgrade;
    int asks[ASKS_MAX];
    unsigned asks_n;
    struct logged logs[LOGS_MAX];
    unsigned logs_n;
};

struct conn_peer {
    int fd;
    size_t door;
    struct dx_text in, out;
    size_t at, sent;            /* read of `in`; sent of `out` */
    bool ended, lazy, said_all; /* said_all: it closed, or half-closed */
    bool introduced;            /* what may stand before the first head was looked for */
    bool asked;                 /* a head was read, and its answer is not whole yet */
    bool finished;              /* it must not be used again */
    bool wild;                  /* the next request's answer may be anything */
    bool tunnel;
    bool committed; /* the request at hand counts as such */
    int ask, answer;
    struct message head;
    uint64_t body_at, body_left;
    struct chunks chunks;
};

extern struct client_peer clients[CLIENTS_MAX];
extern struct conn_peer conns[CONNS_MAX];
extern struct ask asks[ASKS_MAX];
extern struct answer answers[ANSWERS_MAX];
extern unsigned clients_n, conns_n, asks_n, answers_n;
extern bool stray; /* bytes that nobody asked for may come as the answer to what is no request of ours */

static inline char request_byte(int ask, size_t i)
{
    return (char)('A' + ((size_t)ask * 7 + i + i / 97) % 57);
}
static inline char answer_byte(int answer, size_t i)
{
    return (char)('!' + ((size_t)answer * 11 + i + i / 89) % 93);
}
static inline uint32_t secret_of(int ask) { return ((uint32_t)ask + 1) * 2654435761u; }

/* The number in ".../q<number>-<secret>"; NOBODY: it is none of ours. */
static inline int ask_of_target(struct dx_slice target)
{
    char text[64];
    unsigned number, secret;
    size_t n = target.n < sizeof(text) - 1 ? target.n : sizeof(text) - 1;

    if (target.n > 0)
        memcpy(text, target.p, n);
    text[n] = '\0';
    if (sscanf(text, "/app/q%2u-%8x", &number, &secret) != 2 || number >= asks_n)
        return NOBODY;
    return secret == secret_of((int)number) ? (int)number : NOBODY;
}

/* --- bytes --- */

static inline void pull(int fd, struct dx_text *into, bool *ended, size_t most)
{
    char buf[8 * 1024];
    while (!*ended && most > 0) {
        ssize_t n = recv(fd, buf, most < sizeof(buf) ? most : sizeof(buf), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        *ended = n <= 0;
        if (n > 0)
            dx_text_add(into, dx_slice_of(buf, (size_t)n)), most -= (size_t)n;
    }
}

static inline void push(int fd, const struct dx_text *from, size_t *sent, size_t most)
{
    size_t n = from->n - *sent < most ? from->n - *sent : most;
    ssize_t done = fd >= 0 && n > 0 ? send(fd, from->p + *sent, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    *sent += done > 0 ? (size_t)done : 0;
}

enum ending { ENDING_CLOSE, ENDING_HALF, ENDING_RESET, ENDINGS };

static inline void finish(int *fd, enum ending how)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (*fd < 0)
        return;
    if (how == ENDING_HALF) {
        (void)shutdown(*fd, SHUT_WR);
        return;
    }
    if (how == ENDING_RESET)
        (void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    dx_fd_close(fd);
}

/* --- clients --- */

/* `little`: the kernel holds little of what it does not take. `preamble`: through a listener that wants one.
 */
static inline int client_open(bool little, bool preamble)
{
    int ends[2], small = 4096;
    struct dx_address from;
    char ip[32];

    if (clients_n == CLIENTS_MAX)
        return NOBODY;
    struct client_peer *c = &clients[clients_n];
    *c = (struct client_peer){.fd = -1};
    (void)snprintf(ip, sizeof(ip), "10.0.%u.1:1000", clients_n);
    DX_ASSERT(dx_address_parse(dx_slice_str(ip), false, &from));
    DX_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    if (little)
        (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    c->fd = ends[0];
    if (preamble)
        dx_text_addf(&c->out, "PROXY TCP4 10.0.%u.1 10.9.9.9 1000 80\r\n", clients_n);
    (void)dx_loop_refresh_us(world.loop);
    (void)failing_watch(true);
    dx_proxy_accept(world.proxy, ends[1], &from, preamble);
    (void)failing_watch(false);
    struct client *last = DX_CONTAINER(world.proxy->clients.prev, struct client, link);
    if (!dx_list_empty(&world.proxy->clients) && last->transport.watch.fd == ends[1])
        c->front = &last->front;
    else
        DX_ASSERT(failing_has_failed() || world.limited);
    return (int)clients_n++;
}

static const struct ask_kind {
    const char *method, *fields;
    size_t body_n;
    bool chunked, old, upgrade, elsewhere;
} ask_kinds[] = {
    {.method = "GET", .fields = ""},
    {.method = "HEAD", .fields = ""},
    {.method = "POST", .fields = "", .body_n = 40},
    {.method = "POST", .fields = "", .body_n = 900, .chunked = true},
    {.method = "POST", .fields = "", .body_n = 70000},
    {.method = "PUT", .fields = "", .body_n = 3000},
    {.method = "GET",
     .fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
     .upgrade = true},
    {.method = "GET", .fields = "", .old = true},
    {.method = "GET", .fields = "Connection: close\r\n"},
    {.method = "POST", .fields = "Expect: 100-continue\r\n", .body_n = 500},
    {.method = "GET", .fields = "Accept: text/event-stream\r\n"},
    {.method = "GET", .fields = "", .elsewhere = true},
    {.method = "POST", .fields = "Idempotency-Key: k\r\n", .body_n = 5000},
    {.method = "POST", .fields = "", .body_n = 270000},
    {.method = "PUT", .fields = "Connection: keep-alive\r\n", .body_n = 200, .old = true},
    {.method = "DELETE", .fields = "", .body_n = 6000, .chunked = true},
};

static inline void add_body(struct dx_text *t, char (*byte)(int, size_t), int of, size_t from, size_t n)
{
    char piece[1024];
    for (size_t at = 0, k; at < n; at += k) {
        k = n - at < sizeof(piece) ? n - at : sizeof(piece);
        for (size_t i = 0; i < k; i++)
            piece[i] = byte(of, from + at + i);
        dx_text_add(t, dx_slice_of(piece, k));
    }
}

static inline void client_ask(struct client_peer *c, unsigned kind)
{
    const struct ask_kind *k = &ask_kinds[kind % DX_COUNT(ask_kinds)];
    int id = (int)asks_n;

    if (asks_n == ASKS_MAX || c->wild || c->asked_upgrade)
        return;
    asks[asks_n++] =
        (struct ask){.client = (int)(c - clients),
                     .head = strcmp(k->method, "HEAD") == 0,
                     .old = k->old,
                     .upgrade = k->upgrade,
                     .post = strcmp(k->method, "POST") == 0 && strstr(k->fields, "Key: k") == NULL,
                     .body_n = k->body_n};
    dx_text_addf(&c->out, "%s %s/q%02d-%08x HTTP/1.%d\r\nHost: a\r\n%s", k->method,
                 k->elsewhere ? "" : "/app", id, secret_of(id), k->old ? 0 : 1, k->fields);
    if (k->chunked)
        dx_text_adds(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
    else if (k->body_n > 0)
        dx_text_addf(&c->out, "Content-Length: %zu\r\n\r\n", k->body_n);
    else
        dx_text_adds(&c->out, "\r\n");
    for (size_t at = 0, n; k->chunked && at < k->body_n; at += n) {
        n = k->body_n - at < 333 ? k->body_n - at : 333;
        dx_text_addf(&c->out, "%zX;x=\"y\"\r\n", n);
        add_body(&c->out, request_byte, id, at, n);
        dx_text_adds(&c->out, "\r\n");
    }
    if (k->chunked)
        dx_text_adds(&c->out, "0\r\nX-Trailer: 1\r\n\r\n");
    else
        add_body(&c->out, request_byte, id, 0, k->body_n);
    asks[id].end = c->out.n;
    c->asks[c->asks_n++] = id;
    c->asked_upgrade = k->upgrade;
}

/* --- servers --- */

static inline bool conn_open(size_t door)
{
    int fd = world.doors[door] >= 0 && conns_n < CONNS_MAX
                 ? accept4(world.doors[door], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
                 : -1;
    if (fd < 0)
        return false;
    conns[conns_n++] = (struct conn_peer){.fd = fd, .door = door, .ask = NOBODY, .answer = NOBODY};
    return true;
}

static inline bool answer_is_whole(const struct conn_peer *s)
{
    return s->answer != NOBODY && answers[s->answer].sealed && s->sent >= answers[s->answer].end;
}

/* From here on the request may have had an effect: it is never given to another server (RFC 9110 9.2.2). */
static inline void commit(struct conn_peer *s)
{
    if (s->ask != NOBODY && !s->committed && asks[s->ask].post)
        DX_ASSERT(++asks[s->ask].committed == 1);
    s->committed = true;
}

static inline void see_head(struct conn_peer *s)
{
    const struct message *m = &s->head;
    struct dx_slice first = m->first;
    size_t method = dx_slice_find(first, ' ');

    DX_ASSERT(method > 0 && first.n > method + 10 && memcmp(first.p + first.n - 9, " HTTP/1.1", 9) == 0);
    struct dx_slice target = dx_slice_of(first.p + method + 1, first.n - method - 10);
    DX_ASSERT(target.n > 0 && (target.p[0] == '/' || dx_slice_eq(target, DX_SLICE("*"))));
    DX_ASSERT(dx_slice_find(target, ' ') == target.n && m->hosts == 1);
    DX_ASSERT(!s->finished && (!s->asked || answer_is_whole(s))); /* one after the other */
    s->ask = ask_of_target(target);
    s->answer = NOBODY;
    s->asked = true;
    s->committed = false;
    s->body_at = 0;
    s->body_left = m->length == NO_LENGTH ? 0 : m->length;
    s->chunks = (struct chunks){0};
    if (s->ask != NOBODY && m->length != NO_LENGTH)
        DX_ASSERT(m->length == asks[s->ask].body_n);
    if (s->wild && s->ask != NOBODY)
        asks[s->ask].wild = true;
    s->wild = false;
    if (!m->expect)
        commit(s);
}

static inline void see_body(struct conn_peer *s, struct dx_slice data)
{
    if (data.n > 0)
        commit(s);
    for (size_t i = 0; s->ask != NOBODY && i < data.n; i++)
        DX_ASSERT(data.p[i] == request_byte(s->ask, (size_t)s->body_at + i));
    s->body_at += data.n;
    if (s->ask != NOBODY)
        DX_ASSERT(s->body_at <= asks[s->ask].body_n);
}

/* A header of the PROXY protocol, version 2, may stand before the first head. False: it is not whole. */
static inline bool skip_preamble(struct conn_peer *s)
{
    static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
    size_t n = s->in.n;

    if (s->in.p[0] != '\r')
        return s->introduced = true;
    if (n < 16)
        return false;
    DX_ASSERT(memcmp(s->in.p, signature, sizeof(signature)) == 0);
    size_t whole = 16 + (size_t)((unsigned char)s->in.p[14] << 8 | (unsigned char)s->in.p[15]);
    if (n < whole)
        return false;
    s->at = whole;
    return s->introduced = true;
}

/* Reads what has come; nothing but requests in the one form, or the bytes of a tunnel. */
static inline void conn_read(struct conn_peer *s)
{
    struct dx_slice data;
    size_t used;

    while (!s->tunnel && s->at < s->in.n) {
        const char *p = s->in.p + s->at;
        size_t n = s->in.n - s->at;
        if (!s->introduced) {
            if (!skip_preamble(s))
                return;
        } else if (s->asked && s->head.chunked && s->chunks.in != CHUNK_DONE) {
            if (!read_chunk(&s->chunks, p, n, &used, &data))
                return;
            see_body(s, data);
            s->at += used;
            DX_ASSERT(s->chunks.in != CHUNK_DONE || s->ask == NOBODY || s->body_at == asks[s->ask].body_n);
        } else if (s->body_left > 0) {
            used = s->body_left < n ? (size_t)s->body_left : n;
            see_body(s, dx_slice_of(p, used));
            s->body_left -= used;
            s->at += used;
        } else {
            if (!read_message(p, n, &s->head))
                return;
            s->at += s->head.head_n;
            see_head(s);
        }
    }
}

/* --- answers --- */

enum answer_kind {
    ANSWER_SHORT,
    ANSWER_BLOCK,
    ANSWER_LARGE,
    ANSWER_CHUNKS,
    ANSWER_MANY_CHUNKS,
    ANSWER_UNTIL_CLOSE,
    ANSWER_EMPTY,
    ANSWER_SAME,
    ANSWER_ERROR,
    ANSWER_HINT,
    ANSWER_CONTINUE,
    ANSWER_SWITCH,
    ANSWER_CUT,
    ANSWER_SURPLUS,
    ANSWER_EVENTS,
    ANSWER_OLD,
    ANSWER_LAST,
    ANSWER_STREAM,
    ANSWERS
};

static const struct answer_shape {
    unsigned status;
    const char *fields;
    size_t length, body_n, piece; /* said; put in; of each chunk, 0: none */
    bool open, by_close, old;
} shapes[ANSWERS] = {
    [ANSWER_SHORT] = {200, "", 5, 5, 0, false, false, false},
    [ANSWER_BLOCK] = {200, "", 20000, 20000, 0, false, false, false},
    [ANSWER_LARGE] = {200, "", 270000, 270000, 0, false, false, false},
    [ANSWER_CHUNKS] = {200, "Transfer-Encoding: chunked\r\n", 0, 700, 300, false, false, false},
    [ANSWER_MANY_CHUNKS] = {200, "Transfer-Encoding: chunked\r\n", 0, 40000, 999, false, false, false},
    [ANSWER_UNTIL_CLOSE] = {200, "", 0, 2000, 0, false, true, false},
    [ANSWER_EMPTY] = {204, "", 0, 0, 0, false, false, false},
    [ANSWER_SAME] = {304, "Content-Length: 77\r\n", 0, 0, 0, false, false, false},
    [ANSWER_ERROR] = {500, "", 9, 9, 0, false, false, false},
    [ANSWER_HINT] = {103, "Link: </x>\r\n", 0, 0, 0, false, false, false},
    [ANSWER_CONTINUE] = {100, "", 0, 0, 0, false, false, false},
    [ANSWER_SWITCH] = {101, "Upgrade: websocket\r\nConnection: Upgrade\r\n", 0, 0, 0, false, false, false},
    [ANSWER_CUT] = {200, "", 1000, 400, 0, false, false, false},
    [ANSWER_SURPLUS] = {200, "", 6, 6, 0, false, false, false},
    [ANSWER_EVENTS] = {200, "Transfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n", 0, 30, 30,
                       true, false, false},
    [ANSWER_OLD] = {200, "", 0, 3000, 0, false, true, true},
    [ANSWER_LAST] = {200, "Connection: close\r\n", 5, 5, 0, false, false, false},
    [ANSWER_STREAM] = {200, "X-Accel-Buffering: no\r\n", 3000, 3000, 0, false, false, false},
};

static inline void add_chunk(struct conn_peer *s, size_t n)
{
    struct answer *a = &answers[s->answer];
    dx_text_addf(&s->out, "%zx\r\n", n);
    add_body(&s->out, answer_byte, s->answer, a->body_n, n);
    dx_text_adds(&s->out, "\r\n");
    a->body_n += n;
}

/* More of a stream that is open, or its end. */
static inline void conn_go_on(struct conn_peer *s, unsigned kind)
{
    struct answer *a = &answers[s->answer];
    if (kind % 2 == 0) {
        add_chunk(s, 10 + kind);
    } else {
        dx_text_adds(&s->out, kind % 4 == 1 ? "0\r\n\r\n" : "0\r\nX-Sum: 1\r\n\r\n");
        a->sealed = true;
    }
    a->end = s->out.n;
}

static inline void add_whole(struct conn_peer *s, const struct answer_shape *k)
{
    struct answer *a = &answers[s->answer];
    for (size_t n; k->piece > 0 && a->body_n < k->body_n;) {
        n = k->body_n - a->body_n < k->piece ? k->body_n - a->body_n : k->piece;
        add_chunk(s, n);
    }
    if (k->piece > 0 && !k->open)
        dx_text_adds(&s->out, "0\r\n\r\n");
    if (k->piece > 0)
        return;
    add_body(&s->out, answer_byte, s->answer, 0, k->body_n);
    a->body_n = k->body_n;
}

static inline void conn_answer(struct conn_peer *s, unsigned kind)
{
    const struct answer_shape *k = &shapes[kind % ANSWERS];
    bool head = s->ask != NOBODY ? asks[s->ask].head : dx_slice_starts(s->head.first, DX_SLICE("HEAD "));

    if (!s->asked || s->tunnel || s->finished)
        return;
    if (s->answer != NOBODY && !answers[s->answer].sealed && shapes[ANSWER_EVENTS].open &&
        answers[s->answer].status == 299) {
        conn_go_on(s, kind);
        return;
    }
    if (s->answer != NOBODY || answers_n == ANSWERS_MAX || (k->status == 101 && !s->head.upgrade))
        return;
    int tag = (int)answers_n;
    unsigned status = k->open ? 299 : k->status;
    dx_text_addf(&s->out, "HTTP/1.%d %u X\r\n", k->old ? 0 : 1, status);
    if (k->status >= 200 || k->status == 101)
        dx_text_addf(&s->out, "X-Tag: %d\r\n", tag);
    if (k->piece == 0 && !k->by_close && k->status >= 200 && k->status != 204 && k->status != 304)
        dx_text_addf(&s->out, "Content-Length: %zu\r\n", k->length);
    dx_text_addf(&s->out, "%s\r\n", k->fields);
    if (k->status < 200 && k->status != 101)
        return;
    answers_n++;
    s->answer = tag;
    answers[tag] = (struct answer){.ask = s->ask,
                                   .conn = (int)(s - conns),
                                   .status = status,
                                   .begin = s->out.n,
                                   .by_close = k->by_close && !head,
                                   .sealed = head || !(k->open || k->by_close || k->body_n < k->length)};
    if (!head)
        add_whole(s, k);
    answers[tag].end = s->out.n;
    s->tunnel = k->status == 101;
    if (kind % ANSWERS == ANSWER_SURPLUS)
        dx_text_adds(&s->out, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
}

#endif
