/* SPDX-License-Identifier: MIT */
/*
 * c-ares on our loop: name servers and search domains of resolv.conf, which is read again when it changes,
 * for a container's may be written after we started. One question is one name and one family; which names to
 * ask for, and what the answers come to, is lookup.c.
 */
#ifndef RESOLVE_CHANNEL_H
#define RESOLVE_CHANNEL_H

#include "diplex/loop.h"
#include "diplex/os/address.h"

#define CHANNEL_NAME 256u /* a domain name and its terminator, RFC 1035 2.3.4 */

struct channel;

enum answer {
    ANSWER_FOUND,
    ANSWER_NO_NAME,    /* a name server says that there is no such name */
    ANSWER_NO_ADDRESS, /* the name is there, without an address of this family */
    ANSWER_FAILED,     /* a name server could not say */
    ANSWER_SILENCE,    /* there was none to say anything */
    ANSWER_ASK_AGAIN,  /* resolv.conf has changed, or the channel is freed */
};

struct question {
    int family; /* AF_INET, AF_INET6 */
    /* Once for each question asked; perhaps from inside channel_ask, channel_follow and channel_free, which
     * it must not call. The addresses have port 0. `why` lives for ever. */
    void (*on_answer)(struct question *q, enum answer how, const char *why,
                      const struct dx_address *addresses, size_t n);
};

/* The path must live as long as the object. `port` is where name servers listen, 0: port 53. NULL: out of
 * memory. A file that cannot be read is no error. */
struct channel *channel_new(struct dx_loop *l, const char *resolv_conf, uint16_t port) DX_CHECKED;
void channel_free(struct channel **c);
/* Before questions: reads resolv.conf again if it has changed. */
void channel_follow(struct channel *c);
/* The i-th name to ask for when `host` is wanted, by search domains and ndots. False past the last. */
bool channel_candidate(const struct channel *c, const char *host, unsigned i,
                       char name[CHANNEL_NAME]) DX_CHECKED;
/* The question is the channel's until it is answered. */
void channel_ask(struct channel *c, const char *name, struct question *q);

#endif
