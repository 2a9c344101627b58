/* SPDX-License-Identifier: MIT */
/*
 * The floor of the benchmark: a relay that parses nothing. One connection to the server for each client
 * connection, bytes carried both ways with one recv and one send, edge-triggered epoll, one thread. What a
 * proxy costs beyond this is what its parsing, routing, counting and policy cost.
 *
 *     relay LISTEN SERVER        addresses as 127.0.0.1:8000 or unix:/path
 *
 * It is no proxy: when either side ends, both connections are closed, so it suits only clients that close
 * last.
 */
#include "sockets.h"

#include <errno.h>
#include <sys/epoll.h>

enum { EVENTS = 256, BUFFER_BYTES = 256 * 1024 };

/* One direction's end. Bytes that the other end would not take wait in `held`, and nothing more is read until
 * they have left. */
struct end {
    struct pair *pair;
    struct end *other;
    int fd;
    bool ended; /* the peer sends no more */
    char *held; /* read from here, to be sent to `other` */
    size_t held_from;
    size_t held_to;
};

struct pair {
    struct end client;
    struct end server;
    struct pair *next_dead;
    bool dead;
};

struct relay {
    struct bench_address server;
    struct pair *dead; /* freed when no event of the round can name them any more */
    int epoll;
    int listener;
    char buffer[BUFFER_BYTES];
};

static const uint32_t always = EPOLLIN | EPOLLRDHUP | EPOLLET;

static void watch(struct relay *relay, int operation, struct end *end, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};
    if (epoll_ctl(relay->epoll, operation, end->fd, &event))
        bench_die("epoll_ctl");
}

static void bury(struct relay *relay, struct pair *pair)
{
    if (pair->dead)
        return;
    pair->dead = true;
    close(pair->client.fd);
    close(pair->server.fd);
    pair->next_dead = relay->dead;
    relay->dead = pair;
}

static void forget_the_dead(struct relay *relay)
{
    while (relay->dead) {
        struct pair *pair = relay->dead;
        relay->dead = pair->next_dead;
        free(pair->client.held);
        free(pair->server.held);
        free(pair);
    }
}

static void hold(struct relay *relay, struct end *from, const char *bytes, size_t count)
{
    if (!from->held)
        from->held = malloc(BUFFER_BYTES);
    if (!from->held)
        bench_die("malloc");
    memcpy(from->held, bytes, count);
    from->held_from = 0;
    from->held_to = count;
    watch(relay, EPOLL_CTL_MOD, from->other, always | EPOLLOUT);
}

/* Sends what it can; false when the connection is lost. */
static bool pass(struct relay *relay, struct end *from, const char *bytes, size_t count)
{
    ssize_t sent = send(from->other->fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < count)
        hold(relay, from, bytes + done, count - done);
    return true;
}

/* A read that fills less than the buffer has emptied the socket, and the next edge tells of more: no second
 * recv, unless the end of the stream was told in the same edge. */
static void carry(struct relay *relay, struct end *from)
{
    while (!from->held_to) {
        ssize_t count = recv(from->fd, relay->buffer, sizeof relay->buffer, MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0 || !pass(relay, from, relay->buffer, (size_t)count)) {
            bury(relay, from->pair);
            return;
        }
        if ((size_t)count < sizeof relay->buffer && !from->ended)
            return;
    }
}

/* `end` takes bytes again. */
static void flush(struct relay *relay, struct end *end)
{
    struct end *from = end->other;
    if (!from->held_to)
        return;
    size_t count = from->held_to - from->held_from;
    ssize_t sent = send(end->fd, from->held + from->held_from, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            bury(relay, end->pair);
        return;
    }
    from->held_from += (size_t)sent;
    if (from->held_from < from->held_to)
        return;
    from->held_from = from->held_to = 0;
    watch(relay, EPOLL_CTL_MOD, end, always);
    carry(relay, from);
}

static void on_event(struct relay *relay, struct end *end, uint32_t events)
{
    if (end->pair->dead)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        end->ended = true;
    if (events & EPOLLOUT)
        flush(relay, end);
    if (events & ~(uint32_t)EPOLLOUT && !end->pair->dead)
        carry(relay, end);
}

static void on_client(struct relay *relay)
{
    int client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    int server = bench_connect(&relay->server);
    struct pair *pair = server < 0 ? NULL : calloc(1, sizeof *pair);
    if (!pair) {
        perror("no connection to the server");
        close(client);
        return;
    }
    bench_no_delay(client);
    pair->client = (struct end){.pair = pair, .other = &pair->server, .fd = client};
    pair->server = (struct end){.pair = pair, .other = &pair->client, .fd = server};
    watch(relay, EPOLL_CTL_ADD, &pair->client, always);
    watch(relay, EPOLL_CTL_ADD, &pair->server, always);
}

int main(int argc, char **argv)
{
    static struct relay relay;
    if (argc != 3) {
        fprintf(stderr, "usage: relay LISTEN SERVER\n");
        return 2;
    }
    struct bench_address listen_address = bench_read_address(argv[1]);
    relay.server = bench_read_address(argv[2]);
    relay.epoll = epoll_create1(EPOLL_CLOEXEC);
    relay.listener = bench_listen(&listen_address);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (relay.epoll < 0 || epoll_ctl(relay.epoll, EPOLL_CTL_ADD, relay.listener, &event))
        bench_die("epoll");
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(relay.epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            bench_die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_event(&relay, events[i].data.ptr, events[i].events);
            else
                on_client(&relay);
        }
        forget_the_dead(&relay);
    }
}
