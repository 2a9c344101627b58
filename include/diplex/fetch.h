/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP client on libcurl: the multi-socket interface on our loop for probes, and one blocking call
 * for the command line. The only room that knows libcurl, which it loads when it is first needed.
 */
#ifndef DIPLEX_FETCH_H
#define DIPLEX_FETCH_H

#include "diplex/base/err.h"
#include "diplex/loop.h"
#include "diplex/os/address.h"

struct dx_fetcher;
struct dx_fetch;

struct dx_fetch_result {
    unsigned status;         /* 0: no answer */
    const char *error;       /* why there is none, for a log; NULL on success. Lives until on_done returns */
    bool refused, timed_out; /* what kind of no answer */
    bool unable;             /* out of memory here: it says nothing about who was asked */
    uint64_t total_us;
};

#define DX_FETCH_FIRST 64 /* bytes at most */

struct dx_fetch_request {
    struct dx_address address; /* connects here, whatever host says; TCP or Unix */
    const char *host, *path;   /* copied */
    struct dx_slice first; /* what the connection begins with, before the request; copied; empty: nothing */
    uint64_t timeout_ms;
    void (*on_done)(void *arg,
                    const struct dx_fetch_result *r); /* from the loop, never from inside dx_fetch_start */
    void *arg;
};

struct dx_fetcher *dx_fetcher_new(struct dx_loop *l) DX_CHECKED;
/* Loads libcurl, once, before the first dx_fetch_start: some megabytes, so only who has something to ask
 * calls it. False when the library cannot be had; it may be called again. */
bool dx_fetcher_load(struct dx_fetcher *f, struct dx_err *err) DX_CHECKED;
void dx_fetcher_free(struct dx_fetcher **f); /* cancels what runs; not from on_done */
/* A GET, redirects not followed, body thrown away, no connection kept, no proxy from the environment. NULL:
 * out of memory. */
struct dx_fetch *dx_fetch_start(struct dx_fetcher *f, const struct dx_fetch_request *r) DX_CHECKED;
void dx_fetch_cancel(struct dx_fetch **x); /* on_done is not called */

struct dx_fetch_answer {
    unsigned status;
    char *body; /* terminated, owned by the caller; at most 16 MiB are read */
    size_t body_n;
};
struct dx_fetch_place {
    const char *where; /* the path of a Unix socket, or http://host[:port]; the host may be a name */
    const char *token; /* sent as Authorization: Bearer; NULL: none */
};
/* Blocking: asks a running diplex (`diplex reload`, `diplex healthcheck`). */
bool dx_fetch_once(const struct dx_fetch_place *place, const char *method, const char *path,
                   uint64_t timeout_ms, struct dx_fetch_answer *out, struct dx_err *err) DX_CHECKED;
bool dx_fetch_is_url(const char *where); /* else it is a path */

#endif
