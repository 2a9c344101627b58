/* SPDX-License-Identifier: MIT */
/*
 * The server behind the proxies of the benchmark: HTTP/1.1 with keep-alive, one thread, level-triggered
 * epoll, as little work as answers need so that it leaves its core to the load generator.
 *
 *     origin [--close] LISTEN    an address as 127.0.0.1:8000 or unix:/path
 *
 * Any target is answered 200 with 128 bytes, or with N where it contains `/bytes/N`. A target that contains
 * `/events` becomes an endless stream of server-sent events, ten a second, and `/ws` a WebSocket that sends
 * each message of 64 bytes back. With --close each answer ends its connection, as gunicorn's sync workers do;
 * so does a request that says `Connection: close`. Who asks with `Expect` before a body is told to go on. It
 * believes its clients: a body is skipped by its Content-Length, and heads are not checked beyond what
 * finding their parts takes.
 */
#include "sockets.h"

#include "frames.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>

enum {
    EVENTS = 256,
    HEAD_BYTES = 16 * 1024,
    SKIP_BYTES = 256 * 1024,
    DEFAULT_BODY_BYTES = 128,
    BODY_BYTES_MAX = 16 * 1024 * 1024,
};

enum speech { HTTP, WEBSOCKET, EVENT_STREAM };

struct client {
    int fd;
    enum speech speech;
    LIST_ENTRY(client) listening; /* only with EVENT_STREAM */
    bool last;                    /* close when the answer has left */
    bool blocked;       /* the socket takes no more of the answer: waiting for EPOLLOUT, not for EPOLLIN */
    size_t filled;      /* bytes of `input` */
    uint64_t skip;      /* bytes of the request's body still to come */
    size_t output_from; /* of the answer: head_length + body_length bytes */
    size_t head_length; /* 0: nothing is being answered */
    size_t body_length;
    char head[256];
    char input[HEAD_BYTES];
};

struct origin {
    int epoll;
    int listener;
    int timer;
    bool close_each;
    char *body;
    LIST_HEAD(, client) listeners;
    char skipped[SKIP_BYTES];
};

static void drop(struct client *client)
{
    if (client->speech == EVENT_STREAM)
        LIST_REMOVE(client, listening);
    close(client->fd);
    free(client);
}

static void watch(struct origin *origin, int operation, struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(origin->epoll, operation, client->fd, &event))
        bench_die("epoll_ctl");
}

/* The value of a field, or NULL. The head ends in a NUL. */
static const char *field(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1 + strspn(line + length + 1, " \t");
    }
    return NULL;
}

/* A word in the request line. */
static const char *find_in_target(char *head, const char *word)
{
    char *end_of_line = strstr(head, "\r\n");
    *end_of_line = '\0';
    const char *found = strstr(head, word);
    *end_of_line = '\r';
    return found;
}

static size_t wanted_bytes(char *head)
{
    const char *found = find_in_target(head, "/bytes/");
    if (!found)
        return DEFAULT_BODY_BYTES;
    unsigned long count = strtoul(found + strlen("/bytes/"), NULL, 10);
    return count < BODY_BYTES_MAX ? count : BODY_BYTES_MAX;
}

/* Answers that never end have no body here: what follows the head is said when there is something to say. */
static void prepare_endless(struct origin *origin, struct client *client, enum speech speech)
{
    static const char *const heads[] = {
        [WEBSOCKET] = "HTTP/1.1 101 Switching Protocols\r\nServer: origin\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\nSec-WebSocket-Accept: " FRAMES_ACCEPT "\r\n\r\n",
        [EVENT_STREAM] = "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/event-stream\r\n"
                         "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n",
    };
    client->speech = speech;
    client->last = false;
    client->body_length = 0;
    client->head_length = (size_t)snprintf(client->head, sizeof client->head, "%s", heads[speech]);
    if (speech == EVENT_STREAM)
        LIST_INSERT_HEAD(&origin->listeners, client, listening);
}

/* The body is wanted, to those who ask first; what gunicorn says when a worker has the request. */
static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void prepare(struct origin *origin, struct client *client, char *head)
{
    client->output_from = 0;
    client->skip = 0;
    if (find_in_target(head, "/ws") || find_in_target(head, "/events")) {
        prepare_endless(origin, client, find_in_target(head, "/ws") ? WEBSOCKET : EVENT_STREAM);
        return;
    }
    const char *connection = field(head, "Connection");
    const char *length = field(head, "Content-Length");
    client->last = origin->close_each || (connection && strncasecmp(connection, "close", 5) == 0);
    client->skip = length ? strtoull(length, NULL, 10) : 0;
    if (client->skip && field(head, "Expect")) /* an empty socket always has room for this */
        (void)!send(client->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL);
    client->body_length = wanted_bytes(head);
    int count = snprintf(client->head, sizeof client->head,
                         "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n"
                         "Content-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n",
                         client->body_length, client->last ? "Connection: close\r\n" : "");
    client->head_length = (size_t)count;
}

/* Takes one whole head out of the input and prepares its answer; false when there is none yet. */
static bool take_head(struct origin *origin, struct client *client)
{
    client->input[client->filled] = '\0';
    char *end = strstr(client->input, "\r\n\r\n");
    if (!end)
        return false;
    size_t length = (size_t)(end - client->input) + 4;
    end[2] = '\0';
    prepare(origin, client, client->input);
    client->filled -= length;
    memmove(client->input, client->input + length, client->filled);
    return true;
}

static void skip_body(struct client *client)
{
    size_t count = client->skip < client->filled ? (size_t)client->skip : client->filled;
    client->skip -= count;
    client->filled -= count;
    memmove(client->input, client->input + count, client->filled);
}

/* Writes on; true when the whole answer has left. Not when the socket is full (EAGAIN) or lost. */
static bool answer(struct origin *origin, struct client *client)
{
    size_t whole = client->head_length + client->body_length;
    while (client->output_from < whole) {
        size_t head_done =
            client->output_from < client->head_length ? client->output_from : client->head_length;
        size_t body_done = client->output_from - head_done;
        struct iovec parts[2] = {
            {.iov_base = client->head + head_done, .iov_len = client->head_length - head_done},
            {.iov_base = origin->body + body_done, .iov_len = client->body_length - body_done},
        };
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        client->output_from += (size_t)sent;
    }
    client->head_length = 0;
    return true;
}

/* Sends the messages back that have come whole, unmasked; false when the client does not take them. */
static bool echo(struct client *client)
{
    size_t from = 0;
    for (; client->filled - from >= FRAME_UP_BYTES; from += FRAME_UP_BYTES) {
        char *up = client->input + from, down[FRAME_DOWN_BYTES] = {up[0], FRAME_PAYLOAD_BYTES};
        memcpy(down + 2, up + FRAME_UP_BYTES - FRAME_PAYLOAD_BYTES, FRAME_PAYLOAD_BYTES);
        if (send(client->fd, down, sizeof down, MSG_NOSIGNAL) != (ssize_t)sizeof down)
            return false;
    }
    client->filled -= from;
    memmove(client->input, client->input + from, client->filled);
    return true;
}

/* One event for all who listen. Whoever does not take it is let go when the loop tells of his end. */
static void tell(struct origin *origin)
{
    uint64_t ticks;
    (void)!read(origin->timer, &ticks, sizeof ticks);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned long long ns = (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
    char chunk[EVENT_BYTES + 16];
    int length = snprintf(chunk, sizeof chunk, "%x\r\ndata: %019llu %s\n\n\r\n", EVENT_BYTES, ns,
                          "....................................");
    struct client *client;
    LIST_FOREACH(client, &origin->listeners, listening)
    {
        if (!client->head_length && send(client->fd, chunk, (size_t)length, MSG_NOSIGNAL) != length)
            shutdown(client->fd, SHUT_RDWR);
    }
}

static void block(struct origin *origin, struct client *client, bool blocked)
{
    if (client->blocked == blocked)
        return;
    client->blocked = blocked;
    watch(origin, EPOLL_CTL_MOD, client, blocked ? EPOLLOUT : EPOLLIN);
}

/* Answers all that is in the input; false when the client is gone. */
static bool advance(struct origin *origin, struct client *client)
{
    for (;;) {
        skip_body(client);
        if (client->skip)
            return true;
        if (client->head_length) { /* the body has come, the answer is due */
            bool whole = answer(origin, client);
            if (!whole && errno != EAGAIN)
                return false;
            block(origin, client, !whole);
            if (!whole)
                return true;
            if (client->last)
                return false;
        }
        if (client->speech == WEBSOCKET)
            return echo(client);
        if (client->speech == EVENT_STREAM || !take_head(origin, client))
            return client->filled < sizeof client->input - 1;
    }
}

static void on_event(struct origin *origin, struct client *client, uint32_t events)
{
    if (events & EPOLLOUT) {
        if (!advance(origin, client))
            drop(client);
        return;
    }
    if (client->skip && !client->filled) { /* a body goes by in large pieces */
        size_t most = client->skip < SKIP_BYTES ? (size_t)client->skip : SKIP_BYTES;
        ssize_t gone = recv(client->fd, origin->skipped, most, 0);
        client->skip -= gone > 0 ? (uint64_t)gone : 0;
        if (gone == 0 || (gone < 0 && errno != EAGAIN) || !advance(origin, client))
            drop(client);
        return;
    }
    size_t room = sizeof client->input - 1 - client->filled;
    ssize_t count = recv(client->fd, client->input + client->filled, room, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    client->filled += count > 0 ? (size_t)count : 0;
    if (count <= 0 || !advance(origin, client))
        drop(client);
}

static void on_client(struct origin *origin)
{
    int fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct client *client = malloc(sizeof *client);
    if (!client)
        bench_die("malloc");
    bench_no_delay(fd);
    memset(client, 0, offsetof(struct client, head));
    client->fd = fd;
    watch(origin, EPOLL_CTL_ADD, client, EPOLLIN);
}

static void start_timer(struct origin *origin)
{
    struct timespec period = {.tv_nsec = EVENT_PERIOD_MS * 1000000L};
    struct itimerspec ticks = {.it_interval = period, .it_value = period};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = origin};
    origin->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (origin->timer < 0 || timerfd_settime(origin->timer, 0, &ticks, NULL) ||
        epoll_ctl(origin->epoll, EPOLL_CTL_ADD, origin->timer, &event))
        bench_die("timerfd");
}

int main(int argc, char **argv)
{
    static struct origin origin;
    origin.close_each = argc > 1 && strcmp(argv[1], "--close") == 0;
    if (argc != (origin.close_each ? 3 : 2)) {
        fprintf(stderr, "usage: origin [--close] LISTEN\n");
        return 2;
    }
    struct bench_address address = bench_read_address(argv[argc - 1]);
    origin.body = malloc(BODY_BYTES_MAX);
    origin.epoll = epoll_create1(EPOLL_CLOEXEC);
    origin.listener = bench_listen(&address);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (!origin.body || origin.epoll < 0 || epoll_ctl(origin.epoll, EPOLL_CTL_ADD, origin.listener, &event))
        bench_die("epoll");
    start_timer(&origin);
    memset(origin.body, 'x', BODY_BYTES_MAX);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(origin.epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR)
            bench_die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &origin)
                tell(&origin);
            else if (events[i].data.ptr)
                on_event(&origin, events[i].data.ptr, events[i].events);
            else
                on_client(&origin);
        }
    }
}
