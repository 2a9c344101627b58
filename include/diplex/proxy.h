/* SPDX-License-Identifier: MIT */
/*
 * Carrying requests: one proxy per worker. Clients come in through dx_proxy_accept; everything after that
 * happens on the worker's loop. The life of a request is src/proxy/exchange.c.
 */
#ifndef DIPLEX_PROXY_H
#define DIPLEX_PROXY_H

#include "diplex/board.h"
#include "diplex/census.h"
#include "diplex/config.h"
#include "diplex/crowd.h"
#include "diplex/journal.h"
#include "diplex/loop.h"
#include "diplex/queue.h"

/* --- snapshots: one configuration, immutable, shared by all workers, kept as long as a request runs on it
 * --- */

struct dx_snapshot;

/* Parses the text in this process's environment and finds the pools' places on the board. NULL with err. The
 * caller holds one reference. */
struct dx_snapshot *dx_snapshot_new(struct dx_slice text, const char *file, const struct dx_board *b,
                                    struct dx_err *err) DX_CHECKED;
struct dx_snapshot *dx_snapshot_ref(struct dx_snapshot *s);
void dx_snapshot_unref(struct dx_snapshot **s); /* whoever lets go last frees */
/* Before it is given to others: the caller keeps its reference until nobody else has one, and so is the one
 * who frees. Whoever lets go of the last other one adds 1 to `bell`, an eventfd that outlives them all. */
void dx_snapshot_keep(struct dx_snapshot *s, int bell);
bool dx_snapshot_kept_alone(const struct dx_snapshot *s); /* nobody has a reference but its keeper */
const struct dx_config *dx_snapshot_config(const struct dx_snapshot *s);
/* The text of the pages that it names, as control wrote it, before anybody else has it. False: it is not that, or out of memory. */
bool dx_snapshot_take_pages(struct dx_snapshot *s, struct dx_slice pages) DX_CHECKED;
/* In place of its buffer.path, before anybody else has it. The folder is borrowed for as long as there are
 * snapshots. */
void dx_snapshot_spool_in(struct dx_snapshot *s, const char *folder);

/* --- hints: when each was said last about each pool, by any worker of this process --- */

struct dx_proxy_hints;
struct dx_proxy_hints *dx_proxy_hints_new(void) DX_CHECKED;
void dx_proxy_hints_free(struct dx_proxy_hints **h);
/* Brings the gates of its pools under its settings: before the workers use it. False: out of memory. */
bool dx_snapshot_open_gates(const struct dx_snapshot *s, struct dx_queues *q) DX_CHECKED;
/* Forgets the gates of pools that it does not name: when all workers use it. */
void dx_snapshot_close_gates(const struct dx_snapshot *s, struct dx_queues *q);

/* --- a worker's proxy --- */

struct dx_proxy;

struct dx_proxy_setup {
    struct dx_loop *loop;
    struct dx_board *board;
    struct dx_queues *queues; /* borrowed */
    unsigned worker;
    int news_fd;                  /* eventfd for failures of servers; -1: none */
    struct dx_journal *access;    /* borrowed; NULL: no access log */
    struct dx_proxy_hints *hints; /* borrowed, shared by all workers; NULL: hints are counted and not said */
    struct dx_crowd
        *crowd;           /* borrowed, shared by all workers; NULL: connections of a client are not counted */
    unsigned descriptors; /* that the process may have, for limits that are `auto`; 0: nobody knows */
};

struct dx_proxy *dx_proxy_new(const struct dx_proxy_setup *s) DX_CHECKED;
void dx_proxy_free(struct dx_proxy **p); /* after dx_proxy_cut */

/* From now on new requests run on this snapshot; running ones finish on theirs. Takes its own reference.
 * False: out of memory, the old one stays. */
bool dx_proxy_use(struct dx_proxy *p, struct dx_snapshot *s) DX_CHECKED;

/* Takes the connection over, whatever happens. `preamble`: it begins with a header of the PROXY protocol,
 * which is believed of peers in trusted_proxies; every other connection is closed, counted and told in the
 * log. So is one over a limit. */
void dx_proxy_accept(struct dx_proxy *p, int fd, const struct dx_address *peer, bool preamble);

/* Out of descriptors: closes a connection to a server or of a client that is idle. False: none is. */
bool dx_proxy_make_room(struct dx_proxy *p) DX_CHECKED;
/* ... and none was, so this one had to be closed: counted and told. */
void dx_proxy_turned_away(struct dx_proxy *p, const struct dx_address *peer);

/* Servers have been drained, or are not any more: connections to those that are are kept no longer. */
void dx_proxy_look_at_drains(struct dx_proxy *p);

/* Writes what it has in flight; returns how many requests there were besides. */
uint32_t dx_proxy_tell(struct dx_proxy *p, struct dx_census_writer *w);

/* Leaving: each client is told with its next answer that it was the last one; nobody is closed before. */
void dx_proxy_leave(struct dx_proxy *p);
/* Stopping: idle clients are closed after a last moment, others after the request at hand. */
void dx_proxy_stop(struct dx_proxy *p);
unsigned dx_proxy_clients(const struct dx_proxy *p); /* open connections */
/* Breaks off everything that still runs; returns how many requests that were. */
unsigned dx_proxy_cut(struct dx_proxy *p);

/* The state table of an exchange as Markdown, for docs/life-of-a-request.md: states, steps, deadlines,
 * outcomes, edges. */
void dx_proxy_print_states(struct dx_text *out);
void dx_proxy_print_outcomes(struct dx_text *out);
void dx_proxy_print_access(struct dx_text *out); /* the keys of a line of the access log */
/* What clients are told when diplex answers itself, and what may stand in pages of one's own: for docs/errors.md. */
void dx_proxy_print_pages(struct dx_text *out);
void dx_proxy_print_placeholders(struct dx_text *out);

#endif
