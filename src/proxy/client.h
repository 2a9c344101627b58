/* SPDX-License-Identifier: MIT */
/* A client's connection, as client.c and h1.c see it. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "proxy/front.h"
#include "proxy/internal.h"

#define CLIENT_MAGIC 0x434c4e54u

/* Many of them wait for long, so each byte counts: what never lives at once shares its place, and the text of
 * the address takes what it needs. */
struct client {
    uint32_t magic;
    bool pausing : 1;     /* it waits until the others had their turn */
    bool roomy : 1;       /* there is room for any address behind it */
    bool preamble : 1;    /* it has yet to say, in a header of the PROXY protocol, whom it speaks for */
    bool counted : 1;     /* in the crowd, under front.ip */
    uint32_t served : 28; /* how often it has asked something */
    struct dx_transport transport;
    struct dx_proxy *proxy;
    struct exchange *exchange; /* NULL between requests */
    struct inlet in;
    struct dx_link link;
    union {
        struct dx_deadline idle; /* until it asks */
        struct dx_task again;    /* pausing */
        struct dx_grave grave;   /* closed */
    };
    struct front front;
    char ip[]; /* the text that the front points to */
};

#define CLIENT_IP_SHORT    15 /* 255.255.255.255 */
#define CLIENT_BYTES(ip_n) (offsetof(struct client, ip) + (ip_n))
_Static_assert(CLIENT_BYTES(CLIENT_IP_SHORT) <= 304,
               "see docs/performance.md: memory of a client that waits");

extern const struct front_ops h1_front_ops;

void client_run(struct client *c);
/* Reads the header of the PROXY protocol: OK (it is read, and the client has its address), WAIT, BAD and END
 * (*reason; END: closed inside of it), GONE (closed without a byte). In address.c. */
enum front_io client_read_preamble(struct client *c, const char **reason);
static inline struct client *client_of(struct front *f) { return DX_CONTAINER(f, struct client, front); }
static inline struct blocks client_blocks(const struct client *c)
{
    return (struct blocks){.small = &c->proxy->blocks, .bulk = &c->proxy->bulk};
}

#endif
