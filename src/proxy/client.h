/* SPDX-License-Identifier: MIT */
/* A client's connection, as client.c and h1.c see it. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "proxy/front.h"
#include "proxy/internal.h"

#define CLIENT_MAGIC 0x434c4e54u

struct client {
    uint32_t magic;
    bool closed;
    bool served; /* it has asked something */
    char ip[INET6_ADDRSTRLEN + 1];
    struct front front;
    struct dx_transport transport;
    struct dx_proxy *proxy;
    struct exchange *exchange; /* NULL between requests */
    struct inlet in;
    size_t seen; /* bytes of an unfinished head that were looked at */
    struct dx_deadline idle;
    struct dx_task again;
    struct dx_grave grave;
    struct dx_link link;
};

extern const struct front_ops h1_front_ops;

void client_run(struct client *c);
static inline struct client *client_of(struct front *f) { return DX_CONTAINER(f, struct client, front); }
static inline struct blocks client_blocks(const struct client *c)
{
    return (struct blocks){.small = &c->proxy->blocks, .bulk = &c->proxy->bulk};
}

#endif
