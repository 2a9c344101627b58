/* SPDX-License-Identifier: MIT */
/*
 * The fast clients of the soak, which know every byte they must get.
 *
 *     flood ADDRESS PREFIX CONNECTIONS SECONDS SEED
 *
 * Each connection asks one to four requests at once, GETs of /PREFIX/SEED/SIZE and POSTs with bodies, each
 * with a seed of its own, and again when they are answered; after some of them it ends and another one is
 * opened, now and then by a reset in the middle. Answers must come in order, with status 200, and be what
 * `origin` says, byte by byte. One that says `Connection: close` is the last: what was asked behind it is not
 * answered, and counted apart. Any other end is a fault. After SECONDS nothing more is asked; when all is
 * answered (or 60 s later, and then what is missing is a fault) one line of JSON says what was seen. Status
 * 1: something was wrong.
 */
#include "../bench/sockets.h"
#include "pattern.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>

enum {
    EVENTS = 256,
    DEPTH_MAX = 4,
    HEAD_MAX = 2048,
    UPLOAD_MAX = 8 * 1024,
    OUT_BYTES = DEPTH_MAX * (UPLOAD_MAX + 512),
    PIECE_BYTES = 64 * 1024,
    CONNECTIONS_MAX = 1024,
    FAULTS_SHOWN = 20,
    LINGER_SECONDS = 60,
};

struct asked {
    bool post;
    uint64_t seed, size; /* of a POST: its digest is `seed` */
    uint64_t at_us;
};

struct client {
    int fd;
    unsigned left;     /* requests before it ends */
    uint64_t abort_at; /* resets when so many bytes have come; 0: never */
    uint64_t received;
    struct asked asked[DEPTH_MAX];
    unsigned first, waiting;
    unsigned char out[OUT_BYTES];
    size_t out_length, out_sent;
    char head[HEAD_MAX];
    size_t head_filled;
    bool in_body, told_last;
    uint64_t body_at;
    char digest[17];
};

static struct {
    struct bench_address address;
    const char *prefix;
    int epoll;
    uint64_t random;
    bool stopping;
    uint64_t gets, posts, bytes_down, bytes_up, connections, aborts, told_last, unanswered, longest_us,
        faults;
} flood;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t any(void)
{
    flood.random++;
    return pattern_word(0x50a4, flood.random);
}

static uint64_t below(uint64_t n) { return any() % n; }

static void __attribute__((format(printf, 2, 3))) fault(const struct client *c, const char *form, ...)
{
    va_list arguments;
    if (flood.faults++ >= FAULTS_SHOWN)
        return;
    fprintf(stderr, "flood: connection %d, %u answers due, %" PRIu64 " bytes got: ", c->fd, c->waiting,
            c->received);
    va_start(arguments, form);
    vfprintf(stderr, form, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* --- asking --- */

static void add_request(struct client *c)
{
    struct asked *a = &c->asked[(c->first + c->waiting++) % DEPTH_MAX];
    char *out = (char *)c->out + c->out_length;
    size_t room = sizeof c->out - c->out_length;
    uint64_t seed = any(), kind = below(100);

    *a = (struct asked){.post = kind < 20, .seed = seed, .at_us = now_us()};
    if (!a->post) {
        a->size = kind < 90 ? below(2048) : kind < 98 ? below(32 * 1024) : below(512 * 1024);
        c->out_length +=
            (size_t)snprintf(out, room, "GET %s/%" PRIx64 "/%" PRIx64 " HTTP/1.1\r\nHost: localhost\r\n\r\n",
                             flood.prefix, seed, a->size);
        flood.gets++;
        return;
    }
    a->size = below(UPLOAD_MAX);
    int n =
        snprintf(out, room, "POST %s/0/0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %" PRIu64 "\r\n\r\n",
                 flood.prefix, a->size);
    pattern_fill((unsigned char *)out + n, seed, 0, (size_t)a->size);
    a->seed = digest_more(DIGEST_START, (unsigned char *)out + n, (size_t)a->size);
    c->out_length += (size_t)n + (size_t)a->size;
    flood.posts++;
    flood.bytes_up += a->size;
}

static void ask(struct client *c)
{
    uint64_t depth = below(100) < 70 ? 1 : 1 + below(DEPTH_MAX);
    c->out_length = c->out_sent = 0;
    for (uint64_t i = 0; i < depth && c->left > 0; i++, c->left--)
        add_request(c);
}

static void begin(struct client *c)
{
    c->fd = bench_connect(&flood.address);
    if (c->fd < 0)
        bench_die("flood: connect");
    flood.connections++;
    c->left = 1 + (unsigned)below(below(4) == 0 ? 4 : 400);
    c->abort_at = below(20) == 0 ? 1 + below(20000) : 0;
    c->received = c->head_filled = c->first = c->waiting = 0;
    c->in_body = c->told_last = false;
    ask(c);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLIN, .data.ptr = c};
    if (epoll_ctl(flood.epoll, EPOLL_CTL_ADD, c->fd, &event))
        bench_die("epoll_ctl");
}

static void end(struct client *c, bool reset)
{
    struct linger linger = {.l_onoff = 1};
    if (reset)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(c->fd);
    c->fd = -1;
    if (!flood.stopping)
        begin(c);
}

/* --- answers --- */

/* False: nothing of it can be believed any more. */
static bool on_head(struct client *c, const struct asked *a)
{
    const char *length = strcasestr(c->head, "\r\nContent-Length:");
    uint64_t wanted = a->post ? 16 : a->size;
    if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || !length ||
        strtoull(length + strlen("\r\nContent-Length:"), NULL, 10) != wanted) {
        fault(c, "%s of %" PRIu64 " bytes was answered with %.300s", a->post ? "POST" : "GET", a->size,
              c->head);
        return false;
    }
    c->told_last = strcasestr(c->head, "\r\nConnection: close\r\n") != NULL;
    c->in_body = true;
    c->body_at = 0;
    c->head_filled = 0;
    return true;
}

static void answered(struct client *c, const struct asked *a)
{
    uint64_t took = now_us() - a->at_us;
    if (took > flood.longest_us)
        flood.longest_us = took;
    c->in_body = false;
    c->first = (c->first + 1) % DEPTH_MAX;
    c->waiting--;
}

/* It was the last answer, as it said itself: what was asked behind it was asked of nobody. */
static void forget_the_rest(struct client *c)
{
    flood.told_last++;
    flood.unanswered += c->waiting;
    for (; c->waiting > 0; c->waiting--) {
        const struct asked *a = &c->asked[c->first];
        flood.gets -= !a->post;
        flood.posts -= a->post;
        flood.bytes_up -= a->post ? a->size : 0;
        c->first = (c->first + 1) % DEPTH_MAX;
    }
    c->left = 0;
    c->out_sent = c->out_length;
}

static bool on_body(struct client *c, const struct asked *a, const unsigned char *bytes, size_t n)
{
    if (!a->post) {
        if (!pattern_is(bytes, a->seed, c->body_at, n)) {
            fault(c, "wrong bytes behind %" PRIu64 " of %" PRIu64, c->body_at, a->size);
            return false;
        }
        c->body_at += n;
        return true;
    }
    memcpy(c->digest + c->body_at, bytes, n);
    c->body_at += n;
    c->digest[c->body_at] = '\0';
    if (c->body_at == 16 && strtoull(c->digest, NULL, 16) != a->seed) {
        fault(c, "the digest of an upload of %" PRIu64 " bytes is %s, not %016" PRIx64, a->size, c->digest,
              a->seed);
        return false;
    }
    return true;
}

static bool take_head(struct client *c, const unsigned char **bytes, size_t *n)
{
    const struct asked *a = &c->asked[c->first];
    while (*n > 0 && !c->in_body) {
        if (c->head_filled >= sizeof c->head - 1) {
            fault(c, "a head without end");
            return false;
        }
        c->head[c->head_filled++] = (char)*(*bytes)++;
        --*n;
        c->head[c->head_filled] = '\0';
        if (c->head_filled >= 4 && memcmp(c->head + c->head_filled - 4, "\r\n\r\n", 4) == 0 && !on_head(c, a))
            return false;
    }
    return true;
}

static bool take(struct client *c, const unsigned char *bytes, size_t n)
{
    while (n > 0 || (c->in_body && c->waiting > 0)) {
        if (c->waiting == 0) {
            fault(c, "bytes that nobody asked for: %.*s", (int)(n < 100 ? n : 100), (const char *)bytes);
            return false;
        }
        const struct asked *a = &c->asked[c->first];
        if (!c->in_body && !take_head(c, &bytes, &n))
            return false;
        if (!c->in_body)
            return true;
        uint64_t left = (a->post ? 16 : a->size) - c->body_at;
        size_t now = n < left ? n : (size_t)left;
        if (now > 0 && !on_body(c, a, bytes, now))
            return false;
        bytes += now;
        n -= now;
        if (now < left)
            return true;
        answered(c, a);
        if (c->told_last)
            forget_the_rest(c);
    }
    return true;
}

/* --- one connection's turn --- */

/* Sends what is left. If the other side takes no more, what it has sent says why. */
static void send_out(struct client *c)
{
    while (c->out_sent < c->out_length) {
        ssize_t n =
            send(c->fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        c->out_sent = n < 0 ? c->out_length : c->out_sent + (size_t)n;
    }
}

static bool receive(struct client *c)
{
    static unsigned char piece[PIECE_BYTES];
    ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0) {
        fault(c, n == 0 ? "closed" : "%s", strerror(errno));
        return false;
    }
    c->received += (uint64_t)n;
    flood.bytes_down += (uint64_t)n;
    return take(c, piece, (size_t)n);
}

static void on_client(struct client *c, uint32_t events)
{
    if (events & EPOLLOUT)
        send_out(c);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(c)) {
        end(c, true);
        return;
    }
    if (c->abort_at > 0 && c->received >= c->abort_at) {
        flood.aborts++;
        end(c, true);
        return;
    }
    if (c->waiting == 0) {
        if (c->left == 0 || flood.stopping) {
            end(c, false);
            return;
        }
        ask(c);
        send_out(c);
    }
    struct epoll_event event = {.events = EPOLLIN | (c->out_sent < c->out_length ? EPOLLOUT : 0u),
                                .data.ptr = c};
    if (epoll_ctl(flood.epoll, EPOLL_CTL_MOD, c->fd, &event))
        bench_die("epoll_ctl");
}

static size_t open_now(const struct client *clients, size_t n)
{
    size_t open = 0;
    for (size_t i = 0; i < n; i++)
        open += clients[i].fd >= 0;
    return open;
}

static void run(struct client *clients, size_t n, uint64_t seconds)
{
    struct epoll_event events[EVENTS];
    uint64_t until_us = now_us() + seconds * 1000000u;
    for (size_t i = 0; i < n; i++)
        begin(&clients[i]);
    while (!flood.stopping || open_now(clients, n) > 0) {
        int got = epoll_wait(flood.epoll, events, EVENTS, 500);
        for (int i = 0; i < got; i++)
            on_client(events[i].data.ptr, events[i].events);
        flood.stopping = now_us() > until_us;
        if (now_us() > until_us + LINGER_SECONDS * 1000000u)
            break;
    }
    for (size_t i = 0; i < n; i++)
        if (clients[i].fd >= 0)
            fault(&clients[i], "never answered");
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: flood ADDRESS PREFIX CONNECTIONS SECONDS SEED\n");
        return 2;
    }
    size_t n = strtoul(argv[3], NULL, 10);
    struct client *clients = n > 0 && n <= CONNECTIONS_MAX ? calloc(n, sizeof *clients) : NULL;
    if (!clients)
        bench_die("flood: connections");
    flood.address = bench_read_address(argv[1]);
    flood.prefix = argv[2];
    flood.random = strtoull(argv[5], NULL, 10) << 32;
    flood.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (flood.epoll < 0)
        bench_die("epoll");
    run(clients, n, strtoull(argv[4], NULL, 10));
    printf("{\"gets\":%" PRIu64 ",\"posts\":%" PRIu64 ",\"bytes_down\":%" PRIu64 ",\"bytes_up\":%" PRIu64
           ",\"connections\":%" PRIu64 ",\"aborts\":%" PRIu64 ",\"told_last\":%" PRIu64
           ",\"unanswered\":%" PRIu64 ",\"longest_ms\":%" PRIu64 ",\"faults\":%" PRIu64 "}\n",
           flood.gets, flood.posts, flood.bytes_down, flood.bytes_up, flood.connections, flood.aborts,
           flood.told_last, flood.unanswered, flood.longest_us / 1000, flood.faults);
    free(clients);
    return flood.faults > 0;
}
