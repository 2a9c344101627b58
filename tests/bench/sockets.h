/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark's two programs share: an address from the command line, `127.0.0.1:8000` or
 * `unix:/path`, made into a socket that listens or is connected. Faults end the program; nothing here runs
 * while something is measured, except connecting, which is part of what a relay does.
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BENCH_BACKLOG = 4096 };

struct bench_address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } as;
};

static inline void bench_die(const char *what)
{
    perror(what);
    exit(1);
}

static inline bool bench_is_unix(const struct bench_address *address)
{
    return address->as.any.sa_family == AF_UNIX;
}

static inline bool bench_read_tcp(const char *text, struct bench_address *address)
{
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN] = "";
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port > 65535)
        return false;
    address->as.in.sin_family = AF_INET;
    address->as.in.sin_port = htons((in_port_t)port);
    address->length = sizeof address->as.in;
    return inet_pton(AF_INET, host, &address->as.in.sin_addr) == 1;
}

static inline struct bench_address bench_read_address(const char *text)
{
    struct bench_address address;
    memset(&address, 0, sizeof address);
    bool good = false;
    if (strncmp(text, "unix:", 5) == 0) {
        size_t length = strlen(text + 5);
        good = length < sizeof address.as.un.sun_path;
        if (good)
            memcpy(address.as.un.sun_path, text + 5, length);
        address.as.un.sun_family = AF_UNIX;
        address.length = sizeof address.as.un;
    } else {
        good = bench_read_tcp(text, &address);
    }
    if (!good) {
        fprintf(stderr, "not an address: %s\n", text);
        exit(2);
    }
    return address;
}

/* Everybody may connect to a Unix socket made here: a proxy started by root carries requests as somebody
 * else. */
static inline int bench_listen(const struct bench_address *address)
{
    int one = 1;
    int fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one))
        bench_die("socket");
    if (bind(fd, &address->as.any, address->length) || listen(fd, BENCH_BACKLOG))
        bench_die("listen");
    if (bench_is_unix(address) && chmod(address->as.un.sun_path, 0666))
        bench_die("chmod");
    return fd;
}

/* Small messages leave at once. On a Unix socket it fails, which is as good. */
static inline void bench_no_delay(int fd)
{
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* On one machine a connection is made or refused without waiting, so the call may as well block. */
static inline int bench_connect(const struct bench_address *address)
{
    int fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!bench_is_unix(address))
        bench_no_delay(fd);
    if (connect(fd, &address->as.any, address->length)) {
        close(fd);
        return -1;
    }
    return fd;
}

#endif
