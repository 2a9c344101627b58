/* SPDX-License-Identifier: MIT */
/*
 * Answers of wsgi servers for clients that lag: the server gets rid of them at its own speed and is let go at
 * once; the client gets them as they were, whoever ends, breaks off, leaves or falls silent meanwhile; and
 * where there is no room for them, the server waits as it would have without.
 */
#include <sys/resource.h>

#include "diplex/http1.h"
#include "proxy/client.h"
#include "world.h"

#define GET_X    "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_OLD  "GET /app/x HTTP/1.0\r\nHost: a\r\n\r\n"
#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define LENGTH   "HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n"
#define CHUNKED  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CLOSES   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define MUCH     6000000u
#define PIECE    50000u

static char much[MUCH];
static unsigned warnings;
static struct dx_proxy_hints *hints;

static void on_line(struct dx_slice line)
{
    if (line.n > 0 && memmem(line.p, line.n, "spool_failed", 12) != NULL)
        warnings++;
}

static void make(const char *kind, const char *pool, const char *top)
{
    world_make(kind, 1, pool, top);
    dx_log_set_sink(on_line);
    dx_proxy_hints_free(&hints);
    proxy->hints = hints = dx_proxy_hints_new();
    ck_assert_ptr_nonnull(hints);
    int little = 64 * 1024; /* the kernel holds little of what clients do not take */
    ck_assert_int_eq(setsockopt(front, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)('a' + (i * 7 + i / 1000) % 26);
}

static void end(const char *outcomes)
{
    world_end(outcomes);
    dx_proxy_hints_free(&hints);
}

static void make_usual(void) { make("wsgi", "", "buffer: {memory: 4KB, path: /tmp}\n"); }

static struct peer *asked(struct peer *c, const char *request)
{
    say(c, request);
    struct peer *s = server_accept(0);
    int little = 64 * 1024; /* what it has sent is what the proxy has taken, but for a little */
    ck_assert_int_eq(setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
    (void)head_of(s);
    return s;
}

static struct exchange *at_hand(void)
{
    return DX_CONTAINER(proxy->clients.next, struct client, link)->exchange;
}

/* Turns until the kernel takes no more of the server's; how much it took. */
static size_t push(struct peer *s, size_t at, size_t most)
{
    for (unsigned still = 0; at < most && still < 100;) {
        ssize_t n = send(s->fd, much + at, most - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
        still = n > 0 ? 0 : still + 1;
        step();
    }
    return at;
}

static void push_all(struct peer *s) { ck_assert_uint_eq(push(s, 0, MUCH), MUCH); }

static void push_chunks(struct peer *s, const char *end)
{
    for (size_t at = 0; at < MUCH; at += PIECE) {
        say(s, "c350\r\n");
        peer_send(s, much + at, PIECE);
        say(s, "\r\n");
    }
    say(s, end);
}

/* Reads at most n bytes. */
static void sip(struct peer *c, size_t n)
{
    char buf[16 * 1024];
    for (ssize_t got; n > 0; n -= (size_t)got) {
        got = recv(c->fd, buf, n < sizeof(buf) ? n : sizeof(buf), MSG_DONTWAIT);
        if (got <= 0)
            return;
        dx_text_add(&c->got, dx_slice_of(buf, (size_t)got));
    }
}

static void hears_much(struct peer *c, size_t n)
{
    UNTIL(peer_has(c, n) || c->ended);
    ck_assert_uint_ge(c->got.n, n);
    ck_assert_int_eq(memcmp(c->got.p, much, n), 0);
    peer_drop(c, n);
}

/* The data of the chunks, up to and with the last one. */
static void hears_chunks(struct peer *c, const char *end)
{
    struct dx_http1_body body;
    struct dx_http_error err;
    size_t at = 0, n = strlen(end), read = 0, used = 0;
    enum dx_body_step s = DX_BODY_DATA;
    dx_http1_body_init(&body, DX_FRAMING_CHUNKED, 0);
    UNTIL((peer_pull(c), c->got.n > n && memcmp(c->got.p + c->got.n - n, end, n) == 0));
    for (; s == DX_BODY_DATA; read += used) {
        struct dx_slice data = {NULL, 0};
        used = 0;
        s = dx_http1_body_next(&body, c->got.p + read, c->got.n - read, &used, &data, &err);
        ck_assert_uint_le(at + data.n, MUCH);
        ck_assert(data.n == 0 || memcmp(data.p, much + at, data.n) == 0);
        at += data.n;
    }
    ck_assert(s == DX_BODY_TRAILERS);
    ck_assert_uint_eq(at, MUCH);
    peer_drop(c, read);
}

static uint32_t running(void)
{
    struct dx_board_cell sum = dx_board_cell_sum(board, places[0].id);
    return sum.active;
}

static void server_is_free(struct peer *s)
{
    struct peer *d = client_new();
    UNTIL(running() == 0);
    say(d, GET_X);
    (void)hears_head(s, "GET /app/x HTTP/1.1"); /* on the same connection */
    say(s, OK_HELLO);
    (void)hears_head(d, "HTTP/1.1 200 OK");
    hears(d, "hello");
}

static void spool_files(uint64_t files)
{
    ck_assert_uint_eq(counted(DX_COUNTER_ANSWERS_ABSORBED), 1);
    ck_assert_uint_eq(counted(DX_COUNTER_ANSWER_FILES), files);
}

/* --- the server is let go --- */

START_TEST(an_answer_of_known_length)
{
    for (unsigned pipes = 0; pipes < 2; pipes++) {
        make_usual();
        proxy->pipes.most = pipes;
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, LENGTH);
        push_all(s);
        server_is_free(s);
        spool_files(1);
        ck_assert_uint_eq(proxy->pipes.out, pipes); /* what was in it when the client began to lag */
        ck_assert_int_eq(at_hand()->state, STATE_DELIVER);
        say(c, GET_X); /* pipelined */
        pass_ms(2);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears_much(c, MUCH);
        ck_assert_uint_gt(counted(DX_COUNTER_SERVER_TIME_SAVED), 2000);
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        say(s, OK_HELLO);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears(c, "hello");
        end("ok ok ok");
    }
}
END_TEST

START_TEST(a_chunked_answer_with_trailers)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, CHUNKED);
    push_chunks(s, "0\r\nX-Sum: 7\r\n\r\n");
    server_is_free(s);
    spool_files(1);
    HAS(hears_head(c, "HTTP/1.1 200 OK"), "Transfer-Encoding: chunked");
    hears_chunks(c, "\r\n0\r\nX-Sum: 7\r\n\r\n");
    hears(c, "X-Sum: 7\r\n\r\n");
    hears_nothing(c);
    end("ok ok");
}
END_TEST

/* gunicorn's sync worker waits for the close, and serves nobody meanwhile. */
START_TEST(an_answer_that_ends_with_its_connection)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, CLOSES);
    push_all(s);
    ck_assert_int_eq(shutdown(s->fd, SHUT_WR), 0);
    hears_end(s);
    ck_assert_int_eq(at_hand()->state, STATE_DELIVER);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears_chunks(c, "\r\n0\r\n\r\n");
    hears(c, "\r\n");
    end("ok");
}
END_TEST

START_TEST(an_old_client)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_OLD);
    say(s, CHUNKED);
    push_chunks(s, "0\r\n\r\n");
    server_is_free(s);
    LACKS(hears_head(c, "HTTP/1.1 200 OK"), "chunked");
    hears_much(c, MUCH);
    hears_end(c);
    end("ok ok");
}
END_TEST

/* No spool is needed for what a block holds: when a server is done, it is let go, of whatever kind it is. */
START_TEST(a_last_piece)
{
    static const char *const kinds[] = {"wsgi", "asgi"};
    for (size_t i = 0; i < DX_COUNT(kinds); i++) {
        char all[64] = "ok";
        unsigned answers = 0;
        make(kinds[i], "", "buffer: {memory: 4KB, path: /nowhere}\n");
        struct peer *c = client_new(), *s = NULL;
        for (bool full = false; !full; answers++) { /* until the kernel takes no more for the client */
            ck_assert_uint_lt(answers, 10);
            say(c, GET_X);
            s = answers == 0 ? server_accept(0) : s;
            (void)hears_head(s, "GET /app/x HTTP/1.1");
            say(s, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n");
            peer_send(s, much, 60000);
            UNTIL(at_hand() == NULL || (full = at_hand()->state == STATE_DELIVER));
            strcat(all, " ok");
        }
        server_is_free(s);
        spool_files(0);
        for (; answers > 0; answers--) {
            (void)hears_head(c, "HTTP/1.1 200 OK");
            hears_much(c, 60000);
        }
        ck_assert_uint_eq(warnings, 0);
        end(all);
    }
}
END_TEST

/* --- what is not absorbed --- */

START_TEST(a_stream_waits_for_its_reader)
{
    static const char *const types[] = {"X-Accel-Buffering: no\r\n",
                                        "Content-Type: text/event-stream; charset=utf-8\r\n",
                                        "Content-Type: application/stream+json\r\n", ""};
    for (size_t i = 0; i < DX_COUNT(types); i++) {
        make(i < 3 ? "wsgi" : "asgi", "", "");
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, "HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n");
        say(s, types[i]);
        say(s, "\r\n");
        proxy->pipes.most = (unsigned)i & 1;
        size_t at = push(s, 0, MUCH);
        ck_assert_uint_lt(at, MUCH); /* the server feels its reader */
        ck_assert_uint_eq(counted(DX_COUNTER_ANSWERS_ABSORBED), 0);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        UNTIL((at = push(s, at, MUCH), peer_pull(c), at == MUCH));
        hears_much(c, MUCH);
        end("ok");
    }
}
END_TEST

START_TEST(a_reader_that_keeps_up_costs_nothing)
{
    for (unsigned pipes = 0; pipes < 2; pipes++) {
        make("wsgi", "", "buffer: {memory: 4KB, path: /nowhere}\n");
        proxy->pipes.most = pipes;
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, LENGTH);
        peer_send(s, much, 10000);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        for (size_t at = 10000; at < MUCH; at += 10000) {
            peer_send(s, much + at, 10000);
            UNTIL(peer_has(c, at + 10000));
        }
        hears_much(c, MUCH);
        ck_assert_uint_eq(counted(DX_COUNTER_ANSWERS_ABSORBED), 0);
        ck_assert_uint_eq(counted(DX_COUNTER_SERVER_TIME_SAVED), 0);
        end("ok");
    }
}
END_TEST

/* --- catching up --- */

START_TEST(a_client_that_catches_up)
{
    for (unsigned pipes = 0; pipes < 2; pipes++) {
        make_usual();
        proxy->pipes.most = pipes;
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, LENGTH);
        ck_assert_uint_eq(push(s, 0, 1000000), 1000000);
        ck_assert(at_hand()->absorbing);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        UNTIL(peer_has(c, 1000000));
        ck_assert(!at_hand()->absorbing);
        ck_assert_int_eq(at_hand()->absorbed.fd, -1); /* its place on the disk is given back */
        peer_send(s, much + 1000000, 10000);          /* from side to side */
        UNTIL(peer_has(c, 1010000));
        ck_assert(!at_hand()->absorbing);
        ck_assert_uint_eq(push(s, 1010000, MUCH), MUCH); /* and it lags again */
        server_is_free(s);
        hears_much(c, MUCH);
        spool_files(1);
        end("ok ok");
    }
}
END_TEST

/* Both at once, by fits and starts: what is read while more comes. */
START_TEST(a_client_that_sips)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, CHUNKED);
    for (size_t at = 0; at < MUCH; at += PIECE) {
        say(s, "c350\r\n");
        peer_send(s, much + at, PIECE);
        say(s, "\r\n");
        sip(c, at % 3 ? 40000 : 10000);
        step();
    }
    say(s, "0\r\n\r\n");
    server_is_free(s);
    spool_files(1);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears_chunks(c, "\r\n0\r\n\r\n");
    hears(c, "\r\n");
    end("ok ok");
}
END_TEST

/* --- a server that breaks off --- */

START_TEST(half_an_answer)
{
    for (unsigned old = 0; old < 2; old++) {
        make_usual();
        struct peer *c = client_new();
        struct peer *s = asked(c, old ? GET_OLD : GET_X);
        say(s, LENGTH);
        ck_assert_uint_eq(push(s, 0, 2000000), 2000000);
        peer_close(s);
        UNTIL(at_hand()->state == STATE_DELIVER);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        hears_much(c, 2000000); /* what came of it, */
        hears_end(c);           /* and then no more, where the framing says that more is due */
        end("answer_cut");
    }
}
END_TEST

START_TEST(half_a_chunked_answer)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, CHUNKED);
    push_chunks(s, "bad\n");
    UNTIL(at_hand()->state == STATE_DELIVER);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    UNTIL((peer_pull(c), c->ended));
    ck_assert_uint_gt(c->got.n, MUCH);
    ck_assert_ptr_null(memmem(c->got.p, c->got.n, "\r\n0\r\n", 5)); /* it does not look whole */
    peer_drop(c, c->got.n);
    end("answer_cut");
}
END_TEST

/* Where only the end of the connection tells the end, a reset tells that it is not whole. */
START_TEST(half_an_answer_without_a_length)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_OLD);
    say(s, CHUNKED);
    push_chunks(s, "");
    peer_close(s);
    UNTIL((peer_pull(c), c->ended));
    ck_assert_int_eq(c->error, ECONNRESET);
    peer_drop(c, c->got.n);
    end("answer_cut");
}
END_TEST

/* --- time --- */

static const char slow_pool[] = "    timeouts: {idle: 80ms}\n";
static const char buffered[] = "buffer: {memory: 4KB, path: /tmp}\n";

START_TEST(a_silent_server_of_a_client_that_reads)
{
    make("wsgi", slow_pool, buffered);
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    ck_assert_uint_eq(push(s, 0, 2000000), 2000000);
    uint64_t start_us = dx_clock_us();
    while (at_hand()->state == STATE_RELAY) {
        sip(c, 1000); /* the client's moves are no word of the server */
        pass_ms(5);
        ck_assert_uint_lt(dx_clock_us() - start_us, 2000000);
    }
    hears_end(s);
    UNTIL((peer_pull(c), c->ended)); /* it has what came */
    ck_assert_ptr_nonnull(memmem(c->got.p, c->got.n, much + 1999000, 1000));
    ck_assert_uint_eq(c->got.n, strlen(LENGTH) + 2000000 + strlen("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    peer_drop(c, c->got.n);
    end("answer_timeout");
}
END_TEST

/* A server that says a little now and then is none that is silent, and it gives its client no more time. */
START_TEST(a_silent_client_of_a_server_that_speaks)
{
    make("wsgi", slow_pool, "buffer: {memory: 4KB, path: /tmp}\ntimeouts: {send: 200ms}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    size_t at = push(s, 0, 1000000);
    ck_assert_uint_eq(at, 1000000);
    uint64_t start_us = dx_clock_us();
    while (dx_proxy_clients(proxy) > 0) {
        peer_send(s, much + at, 1000);
        at += 1000;
        pass_ms(20);
        ck_assert_uint_lt(dx_clock_us() - start_us, 2000000);
    }
    ck_assert_uint_ge(dx_clock_us() - start_us, 100000);
    end("client_slow");
}
END_TEST

/* The server's end is no new beginning of the client's time. */
START_TEST(a_silent_client_of_a_server_that_ends)
{
    make("wsgi", "", "buffer: {memory: 4KB, path: /tmp}\ntimeouts: {send: 800ms}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    ck_assert_uint_eq(push(s, 0, 1000000), 1000000);
    pass_ms(350); /* the kernel's last moves: it looks whether there is a little room after all */
    uint64_t due_ms = at_hand()->deadline.due_ms;
    ck_assert_uint_eq(push(s, 1000000, MUCH), MUCH);
    UNTIL(at_hand()->state == STATE_DELIVER);
    ck_assert_uint_eq(at_hand()->deadline.due_ms, due_ms);
    UNTIL(dx_proxy_clients(proxy) == 0);
    end("client_slow");
}
END_TEST

START_TEST(a_client_that_sips_has_time)
{
    make("wsgi", "", "buffer: {memory: 4KB, path: /tmp}\ntimeouts: {send: 150ms}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    push_all(s);
    for (unsigned i = 0; i < 12; i++) {
        pass_ms(30);
        sip(c, 120000); /* enough for the kernel to say that there is room */
    }
    (void)hears_head(c, "HTTP/1.1 200 OK");
    hears_much(c, MUCH);
    end("ok");
}
END_TEST

/* The kernel says that there is room when a third of its own is free; a slow reader frees that much only in
 * several times its deadline. */
START_TEST(a_client_that_takes_little)
{
    int much_room = 200000, little = 16 * 1024;
    make("wsgi", "", "buffer: {memory: 4KB, path: /tmp}\ntimeouts: {send: 200ms}\n");
    ck_assert_int_eq(setsockopt(front, SOL_SOCKET, SO_SNDBUF, &much_room, sizeof(much_room)), 0);
    struct dx_address door = bound_to(front), from;
    struct peer *c = peer_new(socket(AF_INET, SOCK_STREAM, 0));
    ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    ck_assert_int_eq(connect(c->fd, &door.u.sa, door.len), 0);
    dx_proxy_accept(proxy, dx_listen_accept(front, &from), &from, false);
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    push_all(s);
    for (unsigned i = 0; i < 40; i++) {
        pass_ms(25);
        sip(c, 5000);
    }
    ck_assert_uint_eq(dx_proxy_clients(proxy), 1);
    UNTIL(dx_proxy_clients(proxy) == 0); /* now it takes nothing */
    end("client_slow");
}
END_TEST

/* --- a client that leaves --- */

START_TEST(a_client_leaves)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    ck_assert_uint_eq(push(s, 0, 5500000), 5500000);
    ck_assert(at_hand()->absorbing);
    peer_reset(c);
    UNTIL(at_hand()->discard);
    ck_assert(!at_hand()->absorbing);
    ck_assert_int_eq(at_hand()->absorbed.fd, -1);
    ck_assert_uint_eq(push(s, 5500000, MUCH), MUCH); /* read off: the worker is not disturbed */
    UNTIL(dx_proxy_clients(proxy) == 0);
    server_is_free(s);
    ck_assert_uint_lt(counted(DX_COUNTER_BYTES_OUT), 1000000); /* what nobody got is not counted as sent */
    end("client_left ok");
}
END_TEST

START_TEST(a_client_leaves_when_the_server_is_done)
{
    make_usual();
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    push_all(s);
    UNTIL(at_hand()->state == STATE_DELIVER);
    peer_reset(c);
    UNTIL(dx_proxy_clients(proxy) == 0);
    server_is_free(s);
    ck_assert_uint_lt(counted(DX_COUNTER_BYTES_OUT), 1000000);
    end("client_left ok");
}
END_TEST

START_TEST(the_worker_ends)
{
    for (unsigned done = 0; done < 2; done++) {
        make_usual();
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, LENGTH);
        size_t n = done ? MUCH : 2000000;
        ck_assert_uint_eq(push(s, 0, n), n);
        UNTIL(at_hand()->state == (done ? STATE_DELIVER : STATE_RELAY));
        ck_assert_uint_eq(world_cut(), 1);
        end("cut_off");
    }
}
END_TEST

/* --- no room --- */

/* The server waits as it would have without; the client gets all. */
static void is_held_back(struct peer *c, struct peer *s, size_t at_least, size_t at_most)
{
    size_t at = push(s, 0, MUCH);
    ck_assert_msg(at >= at_least && at <= at_most, "%zu bytes were taken", at);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    UNTIL((at = push(s, at, MUCH), peer_pull(c), at == MUCH));
    hears_much(c, MUCH);
}

START_TEST(a_folder_that_is_not_there)
{
    for (unsigned pipes = 0; pipes < 2; pipes++) {
        make("wsgi", "", "buffer: {memory: 64KB, path: /nowhere}\n");
        warnings = 0;
        proxy->pipes.most = pipes;
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, LENGTH);
        is_held_back(c, s, 0, MUCH - 1);
        ck_assert_uint_ge(counted(DX_COUNTER_SPOOL_FAILURES), 1);
        ck_assert_uint_eq(counted(DX_COUNTER_ANSWER_FILES), 0);
        ck_assert_uint_eq(warnings, 1); /* not for each piece, nor for the next answer */
        say(c, GET_X);
        (void)hears_head(s, "GET /app/x HTTP/1.1");
        say(s, LENGTH);
        is_held_back(c, s, 0, MUCH - 1);
        ck_assert_uint_eq(warnings, 1);
        end("ok ok");
    }
}
END_TEST

/* A limit of the file's size stands for a full disk. */
START_TEST(a_disk_that_fills_up)
{
    struct rlimit little = {1000000, 1000000};
    make_usual();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    is_held_back(c, s, 1000000, MUCH - 1);
    ck_assert_uint_ge(counted(DX_COUNTER_SPOOL_FAILURES), 1);
    ck_assert_uint_eq(warnings, 1);
    end("ok");
}
END_TEST

/* While a server is held back, its silence is not its fault. */
START_TEST(a_server_that_is_held_back_has_time)
{
    make("wsgi", slow_pool, "buffer: {memory: 64KB, path: /nowhere}\n");
    struct peer *c = client_new();
    struct peer *s = asked(c, GET_X);
    say(s, LENGTH);
    size_t at = push(s, 0, MUCH);
    ck_assert_uint_lt(at, MUCH);
    pass_ms(200);
    (void)hears_head(c, "HTTP/1.1 200 OK");
    UNTIL((at = push(s, at, MUCH), peer_pull(c), at == MUCH));
    hears_much(c, MUCH);
    end("ok");
}
END_TEST

START_TEST(a_limit_of_the_file)
{
    static const char *const tops[] = {"buffer: {memory: 64KB, response_size: 0}\n",
                                       "buffer: {memory: 64KB, response_size: 500KB}\n"};
    for (size_t i = 0; i < DX_COUNT(tops); i++) {
        make("wsgi", "", tops[i]);
        struct peer *c = client_new();
        struct peer *s = asked(c, GET_X);
        say(s, CLOSES);
        size_t at = push(s, 0, MUCH);
        ck_assert_uint_lt(at, MUCH);
        ck_assert_uint_ge(at, i * 500000);
        ck_assert_uint_eq(counted(DX_COUNTER_ANSWER_FILES), i);
        (void)hears_head(c, "HTTP/1.1 200 OK");
        UNTIL((at = push(s, at, MUCH), peer_pull(c), at == MUCH));
        peer_close(s);
        hears_chunks(c, "\r\n0\r\n\r\n");
        hears(c, "\r\n");
        ck_assert_uint_eq(warnings, 0); /* it is as it was asked for */
        end("ok");
    }
}
END_TEST

/* A request cannot wait in its sender: it is refused, and others are not concerned. */
START_TEST(a_request_without_room)
{
    make("wsgi", "", "buffer: {memory: 4KB, path: /nowhere}\n");
    struct peer *c = client_new(), *d = client_new();
    say(c, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    peer_send(c, much, 100000);
    (void)hears_head(c, "HTTP/1.1 507 Insufficient Storage");
    ck_assert_uint_eq(warnings, 1);
    ck_assert_uint_eq(counted(DX_COUNTER_SPOOL_FAILURES), 1);
    say(d, "POST /app/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    struct peer *s = server_accept(0);
    (void)hears_head(s, "POST /app/x HTTP/1.1");
    hears(s, "hello");
    say(s, OK_HELLO);
    (void)hears_head(d, "HTTP/1.1 200 OK");
    peer_drop(c, c->got.n);
    end("ok spool_failed");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        an_answer_of_known_length,
        a_chunked_answer_with_trailers,
        an_answer_that_ends_with_its_connection,
        an_old_client,
        a_last_piece,
        a_stream_waits_for_its_reader,
        a_reader_that_keeps_up_costs_nothing,
        a_client_that_catches_up,
        a_client_that_sips,
        half_an_answer,
        half_a_chunked_answer,
        half_an_answer_without_a_length,
        a_silent_server_of_a_client_that_reads,
        a_silent_client_of_a_server_that_speaks,
        a_silent_client_of_a_server_that_ends,
        a_client_that_sips_has_time,
        a_client_that_takes_little,
        a_client_leaves,
        a_client_leaves_when_the_server_is_done,
        the_worker_ends,
        a_folder_that_is_not_there,
        a_disk_that_fills_up,
        a_server_that_is_held_back_has_time,
        a_limit_of_the_file,
        a_request_without_room,
    };
    return run_tests("absorb", tests, DX_COUNT(tests));
}
