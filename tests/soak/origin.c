/* SPDX-License-Identifier: MIT */
/*
 * The fast server of the soak: HTTP/1.1 with keep-alive, one thread, level-triggered epoll.
 *
 *     origin LISTEN SECONDS       an address as 127.0.0.1:8000 or unix:/path; ends by itself after so long
 *
 * GET .../SEED/SIZE (both hexadecimal, at the end of the target) is answered with SIZE bytes of the pattern
 * of that seed; a request with a body, which must have a Content-Length, with 16 hexadecimal digits, the
 * digest of what came. Anything else is answered 400 and said on standard error, because diplex must never
 * have sent it.
 */
#include "../bench/sockets.h"
#include "pattern.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>

enum { EVENTS = 256, HEAD_BYTES = 16 * 1024, PIECE_BYTES = 64 * 1024, ANSWER_HEAD_BYTES = 128 };

struct client {
    int fd;
    bool blocked; /* waits until more can be sent */
    char head[HEAD_BYTES];
    size_t filled;
    uint64_t body_left, digest; /* of the request */
    bool has_body, answering;
    char answer[ANSWER_HEAD_BYTES];
    size_t answer_length, answer_sent;
    uint64_t seed, size, sent; /* of the answer's pattern */
};

static int epoll;

static void drop(struct client *c)
{
    close(c->fd);
    free(c);
}

static void __attribute__((format(printf, 2, 3))) answer(struct client *c, const char *form, ...)
{
    va_list arguments;
    va_start(arguments, form);
    int n = vsnprintf(c->answer, sizeof c->answer, form, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof c->answer)
        bench_die("answer");
    c->answer_length = (size_t)n;
    c->answer_sent = c->sent = 0;
    c->answering = true;
}

static void refuse(struct client *c, const char *why)
{
    fprintf(stderr, "origin: %s: %.200s\n", why, c->head);
    c->size = 0;
    answer(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void answer_digest(struct client *c)
{
    c->size = 0;
    answer(c, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n%016llx", (unsigned long long)c->digest);
}

/* SEED and SIZE at the end of the target. */
static bool read_target(struct client *c)
{
    char *space = strchr(c->head, ' ');
    char *end = space ? strchr(space + 1, ' ') : NULL;
    if (!end)
        return false;
    char *slash = memrchr(space, '/', (size_t)(end - space));
    char *before = slash ? memrchr(space, '/', (size_t)(slash - space)) : NULL;
    if (!before)
        return false;
    char *seed_end, *size_end;
    c->seed = strtoull(before + 1, &seed_end, 16);
    c->size = strtoull(slash + 1, &size_end, 16);
    return seed_end == slash && size_end == end;
}

/* A whole head is in c->head, which ends with a zero behind it. */
static void on_head(struct client *c)
{
    char *length = strcasestr(c->head, "\r\nContent-Length:");
    c->has_body = length != NULL;
    c->body_left = length ? strtoull(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
    c->digest = DIGEST_START;
    if (strcasestr(c->head, "\r\nTransfer-Encoding:"))
        refuse(c, "a coding that nobody sent");
    else if (!read_target(c))
        refuse(c, "no such target");
    else if (!c->has_body)
        answer(c, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)c->size);
    else if (c->body_left == 0)
        answer_digest(c);
}

static void on_body(struct client *c, const unsigned char *bytes, size_t n)
{
    c->digest = digest_more(c->digest, bytes, n);
    c->body_left -= n;
    if (c->body_left == 0)
        answer_digest(c);
}

/* False: the connection is over. */
static bool push(struct client *c, const void *bytes, size_t n, size_t *sent)
{
    ssize_t count = send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN)
        return false;
    *sent = count > 0 ? (size_t)count : 0;
    c->blocked = *sent < n;
    return true;
}

static bool send_answer(struct client *c)
{
    static unsigned char piece[PIECE_BYTES];
    size_t sent;
    c->blocked = false;
    while (!c->blocked && c->answer_sent < c->answer_length) {
        if (!push(c, c->answer + c->answer_sent, c->answer_length - c->answer_sent, &sent))
            return false;
        c->answer_sent += sent;
    }
    while (!c->blocked && c->sent < c->size) {
        size_t n = c->size - c->sent < sizeof piece ? (size_t)(c->size - c->sent) : sizeof piece;
        pattern_fill(piece, c->seed, c->sent, n);
        if (!push(c, piece, n, &sent))
            return false;
        c->sent += sent;
    }
    c->answering = c->blocked;
    return true;
}

/* What has come is taken as far as it goes: a head, its body, and nothing more before that is answered. */
static bool go_on(struct client *c)
{
    while (!c->answering && c->filled > 0) {
        size_t used;
        if (c->body_left > 0) {
            used = c->filled < c->body_left ? c->filled : (size_t)c->body_left;
            on_body(c, (unsigned char *)c->head, used);
        } else {
            char *end = memmem(c->head, c->filled, "\r\n\r\n", 4);
            if (!end)
                return c->filled < sizeof c->head - 1;
            used = (size_t)(end - c->head) + 4;
            char kept = c->head[used];
            c->head[used] = '\0';
            on_head(c);
            c->head[used] = kept;
        }
        memmove(c->head, c->head + used, c->filled - used);
        c->filled -= used;
        if (c->answering && !send_answer(c))
            return false;
    }
    return true;
}

static bool on_client(struct client *c, uint32_t events)
{
    if (c->answering && (events & EPOLLOUT) && (!send_answer(c) || !go_on(c)))
        return false;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        size_t room = sizeof c->head - 1 - c->filled;
        ssize_t count = recv(c->fd, c->head + c->filled, room, MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN))
            return false;
        c->filled += count > 0 ? (size_t)count : 0;
        if (!go_on(c))
            return false;
    }
    /* No more is read than one answer needs: the proxy has to wait as well. */
    struct epoll_event event = {.events = c->answering ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event) == 0;
}

static void on_listener(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *c = calloc(1, sizeof *c);
        if (!c)
            bench_die("calloc");
        c->fd = fd;
        bench_no_delay(fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
            bench_die("epoll_ctl");
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: origin LISTEN SECONDS\n");
        return 2;
    }
    struct bench_address address = bench_read_address(argv[1]);
    time_t end = time(NULL) + strtol(argv[2], NULL, 10);
    int listener = bench_listen(&address);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        bench_die("epoll");
    while (time(NULL) < end) {
        int n = epoll_wait(epoll, events, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (!c)
                on_listener(listener);
            else if (!on_client(c, events[i].events))
                drop(c);
        }
    }
    return 0;
}
