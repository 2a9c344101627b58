/* SPDX-License-Identifier: MIT */
/*
 * One name asked at a time, on libevent's evdns: A and AAAA together, through the hosts file, name servers
 * and search domains of this machine. Both files are read again when they change, for a container's may be
 * written after we started.
 */
#ifndef RESOLVE_LOOKUP_H
#define RESOLVE_LOOKUP_H

#include "diplex/loop.h"
#include "diplex/os/address.h"
#include "diplex/resolve.h"

#define LOOKUP_ADDRESSES 64u /* evdns brings at most 32 of each family */

struct lookups;
struct lookup;

enum lookup_outcome {
    LOOKUP_FOUND,
    LOOKUP_NO_SUCH_NAME, /* a name server says so */
    LOOKUP_FAILED,       /* nobody knows: no answer, or an answer that decides nothing */
};

struct lookup_result {
    enum lookup_outcome outcome;
    const char *error; /* NULL when found; lives for ever */
    size_t n;
    struct dx_address addresses[LOOKUP_ADDRESSES]; /* each once */
};

/* The paths must live as long as the object. NULL: out of memory. */
struct lookups *lookups_new(struct dx_loop *l, const char *resolv_conf, const char *hosts) DX_CHECKED;
/* Cancels what runs. The loop is turned without waiting until libevent has let go. */
void lookups_free(struct lookups **l);
/* on_done is called from the loop, never from inside. NULL: out of memory. */
struct lookup *lookup_start(struct lookups *l, const char *host, uint16_t port,
                            void (*on_done)(void *arg, const struct lookup_result *r), void *arg) DX_CHECKED;
void lookup_cancel(struct lookup **x); /* on_done is not called */

/* dx_resolver_new with files of one's own, for tests. */
struct dx_resolver *resolver_new_with(struct dx_loop *l, struct dx_board *b,
                                      void (*on_change)(void *arg, uint32_t board_pool), void *arg,
                                      const char *resolv_conf, const char *hosts) DX_CHECKED;

#endif
