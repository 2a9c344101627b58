/* SPDX-License-Identifier: MIT */
/*
 * The load that wrk cannot make: WebSockets, server-sent events, connections that only wait, requests at a
 * given rate, and clients that are all connected before anything is measured. One thread, level-triggered
 * epoll.
 *
 *     load get|ws|sse|idle ADDRESS TARGET CONNECTIONS [RATE]
 *
 * It connects, lets each connection do its handshake (for `get` and `idle` one request), says READY, loads
 * from SIGUSR1 until SIGINT, and says on one line of JSON what it saw. `get` asks again as soon as it is
 * answered, or with a RATE so many times a second over all connections; then times count from when a request
 * was due, not from when there was a connection free for it. `ws` sends messages of 64 bytes and waits for
 * each to come back; `sse` counts events, and times them by the clock reading that the origin writes into
 * them; `idle` does nothing. It ends by itself after LIFE_SECONDS.
 */
#include "sockets.h"

#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

enum {
    EVENTS = 512,
    BUFFER_BYTES = 4096,
    REQUEST_BYTES = 1024,
    BATCH = 32,
    SAMPLES = 4 * 1024 * 1024,
    LIFE_SECONDS = 120,
    CONNECTIONS_MAX = 16384,
};

enum mode { GET, WS, SSE, IDLE };

struct client {
    int fd;
    bool ready;    /* its handshake is done */
    bool dead;     /* closed by the other side, or answered wrongly */
    bool asking;   /* an answer is due */
    char last;     /* byte of an event stream */
    unsigned owed; /* requests whose time came while it was asking */
    uint64_t due_ns;
    size_t filled;
    char buffer[BUFFER_BYTES];
};

struct load {
    enum mode mode;
    struct bench_address address;
    struct client *clients;
    size_t count;
    size_t opened;
    size_t unready;
    size_t next;        /* whose turn it is at a given rate */
    uint64_t period_ns; /* between two requests of one client; 0: no rate */
    bool running;
    int epoll;
    char request[REQUEST_BYTES];
    size_t request_length;
    char message[FRAME_UP_BYTES];
    uint64_t begun_ns;
    uint64_t bytes;
    size_t answers;
    size_t errors;
    size_t sampled;
    uint32_t *samples_us;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void lose(struct load *load, struct client *client)
{
    if (client->dead)
        return;
    client->dead = true;
    load->errors++;
    load->unready -= client->ready ? 0 : 1;
    close(client->fd);
}

static void sample(struct load *load, uint64_t since_ns)
{
    uint64_t now = now_ns();
    uint64_t us = now > since_ns ? (now - since_ns) / 1000 : 0;
    load->answers++;
    if (load->sampled < SAMPLES)
        load->samples_us[load->sampled++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void say(struct load *load, struct client *client, const char *bytes, size_t length)
{
    client->asking = true;
    client->filled = 0;
    if (send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length)
        lose(load, client);
}

static void ask(struct load *load, struct client *client, uint64_t due_ns)
{
    client->due_ns = due_ns;
    if (load->mode == WS)
        say(load, client, load->message, sizeof load->message);
    else
        say(load, client, load->request, load->request_length);
}

static void connect_some(struct load *load)
{
    for (size_t i = 0; i < BATCH && load->opened < load->count; i++) {
        struct client *client = &load->clients[load->opened++];
        client->fd = bench_connect(&load->address);
        if (client->fd < 0)
            bench_die("connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event))
            bench_die("epoll_ctl");
        load->unready++;
        say(load, client, load->request, load->request_length);
    }
}

/* An answer is whole when it has as many bytes as this; 0 while that is not known. What has no length, and
 * what is no success, is a fault. */
static size_t whole_answer(const struct load *load, struct client *client, bool *good)
{
    client->buffer[client->filled] = '\0';
    const char *end = strstr(client->buffer, "\r\n\r\n");
    if (!end)
        return 0;
    size_t head = (size_t)(end - client->buffer) + 4;
    const char *expected = load->mode == WS ? "HTTP/1.1 101 " : "HTTP/1.1 200 ";
    *good = strncmp(client->buffer, expected, strlen(expected)) == 0;
    if (load->mode == WS || load->mode == SSE)
        return head;
    const char *length = strcasestr(client->buffer, "\r\nContent-Length:");
    *good = *good && length;
    return *good ? head + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) : head;
}

static void on_answer(struct load *load, struct client *client)
{
    client->asking = false;
    if (!client->ready) {
        client->ready = true;
        load->unready--;
        return;
    }
    if (!load->running)
        return;
    sample(load, client->due_ns);
    if (!load->period_ns)
        ask(load, client, now_ns());
    else if (client->owed > 0) {
        client->owed--;
        ask(load, client, client->due_ns + load->period_ns);
    }
}

/* Counts the blank lines that end events; chunks' own line ends have a CR between. */
static void count_events(struct load *load, struct client *client, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool ends = bytes[i] == '\n' && client->last == '\n';
        client->last = bytes[i];
        if (!ends || !load->running)
            continue;
        if (i + 1 >= EVENT_BYTES)
            sample(load, strtoull(bytes + i + 1 - EVENT_BYTES + strlen("data: "), NULL, 10));
        else
            load->answers++; /* it came in two pieces */
    }
}

static void on_bytes(struct load *load, struct client *client)
{
    if (client->ready && load->mode == SSE) {
        count_events(load, client, client->buffer, client->filled);
        client->filled = 0;
        return;
    }
    bool good = true;
    size_t whole = client->ready && load->mode == WS ? FRAME_DOWN_BYTES : whole_answer(load, client, &good);
    if (!good || !client->asking || client->filled == sizeof client->buffer - 1)
        lose(load, client);
    else if (whole && client->filled >= whole) {
        client->filled = 0;
        on_answer(load, client);
    }
}

static void on_client(struct load *load, struct client *client)
{
    if (client->dead)
        return;
    size_t room = sizeof client->buffer - 1 - client->filled;
    ssize_t count = recv(client->fd, client->buffer + client->filled, room, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        lose(load, client);
        return;
    }
    load->bytes += load->running ? (uint64_t)count : 0;
    client->filled += (size_t)count;
    on_bytes(load, client);
}

static void on_ticks(struct load *load, int timer)
{
    uint64_t ticks = 0;
    if (read(timer, &ticks, sizeof ticks) != (ssize_t)sizeof ticks)
        return;
    for (; ticks > 0; ticks--) {
        struct client *client = &load->clients[load->next];
        uint64_t first = load->begun_ns + load->period_ns / load->count * (load->next + 1);
        load->next = (load->next + 1) % load->count;
        if (client->dead)
            continue;
        if (client->asking)
            client->owed++;
        else
            ask(load, client, client->due_ns ? client->due_ns + load->period_ns : first);
    }
}

static void begin(struct load *load, int timer)
{
    load->running = true;
    load->begun_ns = now_ns();
    for (size_t i = 0; i < load->count; i++)
        load->clients[i].due_ns = 0;
    if (load->period_ns) {
        uint64_t ns = load->period_ns / load->count;
        struct timespec each = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
        struct itimerspec rate = {.it_interval = each, .it_value = each};
        if (timerfd_settime(timer, 0, &rate, NULL))
            bench_die("timerfd_settime");
        return;
    }
    for (size_t i = 0; i < load->count && (load->mode == GET || load->mode == WS); i++) {
        if (!load->clients[i].dead)
            ask(load, &load->clients[i], now_ns());
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(const struct load *load, double share)
{
    if (load->sampled == 0)
        return 0;
    return load->samples_us[(size_t)(share * (double)(load->sampled - 1))];
}

static void report(struct load *load)
{
    uint64_t passed_us = load->begun_ns ? (now_ns() - load->begun_ns) / 1000 : 0;
    qsort(load->samples_us, load->sampled, sizeof *load->samples_us, by_value);
    printf(
        "DONE {\"requests\": %zu, \"bytes\": %llu, \"duration_us\": %llu, \"errors\": %zu, \"refused\": 0, "
        "\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n",
        load->answers, (unsigned long long)load->bytes, (unsigned long long)passed_us, load->errors,
        percentile(load, 0.5), percentile(load, 0.99), percentile(load, 0.999), percentile(load, 1));
}

/* True when it is time to end. */
static bool on_signal(struct load *load, int signals, int timer)
{
    struct signalfd_siginfo signal;
    if (read(signals, &signal, sizeof signal) != (ssize_t)sizeof signal || signal.ssi_signo != SIGUSR1)
        return true;
    begin(load, timer);
    return false;
}

static int watched(int epoll, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        bench_die("epoll_ctl");
    return fd;
}

static void run(struct load *load)
{
    static char signal_tag, timer_tag;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = watched(load->epoll, signalfd(-1, &set, SFD_CLOEXEC), &signal_tag);
    int timer = watched(load->epoll, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), &timer_tag);
    for (bool said = false;;) {
        if (load->unready == 0 && load->opened < load->count)
            connect_some(load);
        if (load->unready == 0 && load->opened == load->count && !said) {
            said = true;
            puts("READY");
        }
        struct epoll_event events[EVENTS];
        int count = epoll_wait(load->epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &timer_tag)
                on_ticks(load, timer);
            else if (events[i].data.ptr != &signal_tag)
                on_client(load, events[i].data.ptr);
            else if (on_signal(load, signals, timer))
                return;
        }
    }
}

static bool read_mode(const char *word, enum mode *mode)
{
    static const char *const words[] = {[GET] = "get", [WS] = "ws", [SSE] = "sse", [IDLE] = "idle"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            *mode = (enum mode)i;
            return true;
        }
    }
    return false;
}

static void write_request(struct load *load, const char *target)
{
    const char *upgrade = load->mode != WS ? ""
                                           : "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " FRAMES_KEY
                                             "\r\n";
    int length =
        snprintf(load->request, sizeof load->request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s\r\n",
                 target, load->mode == SSE ? "Accept: text/event-stream\r\n" : "", upgrade);
    if (length < 0 || (size_t)length >= sizeof load->request)
        bench_die("request");
    load->request_length = (size_t)length;
    load->message[0] = (char)0x82;                         /* the last frame of a binary message */
    load->message[1] = (char)(0x80 | FRAME_PAYLOAD_BYTES); /* masked, by nought */
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc < 5 || argc > 6 || !read_mode(argv[1], &load.mode)) {
        fprintf(stderr, "usage: load get|ws|sse|idle ADDRESS TARGET CONNECTIONS [RATE]\n");
        return 2;
    }
    load.address = bench_read_address(argv[2]);
    write_request(&load, argv[3]);
    load.count = strtoul(argv[4], NULL, 10);
    double rate = argc == 6 ? strtod(argv[5], NULL) : 0;
    if (load.count < 1 || load.count > CONNECTIONS_MAX || rate < 0 || rate > 1e6) {
        fprintf(stderr, "load: 1 to %d connections, at most a million requests a second\n", CONNECTIONS_MAX);
        return 2;
    }
    load.period_ns = rate > 0 ? (uint64_t)((double)load.count * 1e9 / rate) : 0;
    load.clients = calloc(load.count, sizeof *load.clients);
    load.samples_us = malloc(SAMPLES * sizeof *load.samples_us);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load.clients || !load.samples_us || load.epoll < 0)
        bench_die("load");
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(LIFE_SECONDS);
    run(&load);
    report(&load);
    return 0;
}
