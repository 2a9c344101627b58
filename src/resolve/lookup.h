/* SPDX-License-Identifier: MIT */
/* One name asked at a time: in the hosts file first, then A and AAAA together from the name servers, with the
 * search domains of this machine. */
#ifndef RESOLVE_LOOKUP_H
#define RESOLVE_LOOKUP_H

#include "diplex/loop.h"
#include "diplex/os/address.h"
#include "diplex/resolve.h"

#define LOOKUP_ADDRESSES DX_BOARD_POOL_SERVERS

struct lookups;
struct lookup;

enum lookup_outcome {
    LOOKUP_FOUND,
    LOOKUP_NO_SUCH_NAME, /* a name server says so, or that there is no address */
    LOOKUP_FAILED,       /* nobody knows: no answer, or an answer that decides nothing */
};

struct lookup_result {
    enum lookup_outcome outcome;
    const char *error;       /* NULL when found; lives for ever */
    bool unknown4, unknown6; /* found, but of this family nobody knows */
    bool cut;                /* there were more addresses than fit */
    size_t n;
    struct dx_address addresses[LOOKUP_ADDRESSES]; /* each once */
};

/* What this machine says of names. The paths must live as long as what uses them. */
struct lookup_sources {
    const char *resolv_conf, *hosts;
    uint16_t port; /* where name servers listen, 0: port 53 */
};

struct lookups *lookups_new(struct dx_loop *l,
                            const struct lookup_sources *from) DX_CHECKED; /* NULL: out of memory */
void lookups_free(struct lookups **l);                                     /* cancels what runs */
/* Looks whether resolv.conf has changed; what runs is asked again then. lookup_start does it, too. */
void lookups_follow(struct lookups *l);
/* on_done is called from the loop, never from inside. NULL: out of memory. */
struct lookup *lookup_start(struct lookups *l, const char *host, uint16_t port,
                            void (*on_done)(void *arg, const struct lookup_result *r), void *arg) DX_CHECKED;
void lookup_cancel(struct lookup **x); /* on_done is not called */

void lookup_result_add(struct lookup_result *r, const struct dx_address *a);
/* Adds what the file says of the name; a file that cannot be read says nothing. */
void hosts_find(const char *path, const char *host, uint16_t port, struct lookup_result *r);

/* dx_resolver_new with sources of one's own, for tests. */
struct dx_resolver *resolver_new_with(struct dx_loop *l, struct dx_board *b,
                                      void (*on_change)(void *arg, uint32_t board_pool), void *arg,
                                      const struct lookup_sources *from) DX_CHECKED;

#endif
