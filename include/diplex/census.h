/* SPDX-License-Identifier: MIT */
/*
 * The requests that run now, told by the workers when control asks. A memory file of control's, which a data
 * process maps: each worker has a part of it and writes what it has in flight, when it is asked and never
 * else. Control reads with distrust: a data process may be a stranger's by then, who writes what he likes
 * while it is read.
 *
 *     control: a new serial, in a letter -> data, main thread: begin -> each worker: open, add..., close
 *              looks, a few times in 200 ms, which parts have that serial; copies those; reads the copies
 */
#ifndef DIPLEX_CENSUS_H
#define DIPLEX_CENSUS_H

#include "diplex/base/err.h"
#include "diplex/base/slice.h"

#define DX_CENSUS_PARTS      64u
#define DX_CENSUS_REQUESTS   512u /* of one worker */
#define DX_CENSUS_PART_BYTES (192u * 1024)
#define DX_CENSUS_NONE       UINT32_MAX

struct dx_census;

struct dx_census *dx_census_new(struct dx_err *err) DX_CHECKED; /* control */
struct dx_census *dx_census_map(int fd,
                                struct dx_err *err) DX_CHECKED; /* data; fd may be closed afterwards */
int dx_census_fd(const struct dx_census *c);
void dx_census_free(struct dx_census **c);

enum dx_census_flag {
    DX_CENSUS_STREAMING = 1, /* a tunnel, an event stream or their like */
    DX_CENSUS_LEFT = 2,      /* its client has left; the answer is read off */
    DX_CENSUS_QUEUED = 4,    /* waits for a slot */
    DX_CENSUS_HELD = 8,      /* waits until a server may or can take it */
};

enum dx_census_word {
    DX_CENSUS_ID,
    DX_CENSUS_METHOD,
    DX_CENSUS_HOST,
    DX_CENSUS_PATH,
    DX_CENSUS_ROUTE,
    DX_CENSUS_CLIENT,
    DX_CENSUS_STATE,
    DX_CENSUS_WORDS
};

struct dx_census_request {
    uint64_t age_us, bytes_in, bytes_out;
    uint32_t pool, server;  /* places on the board, or NONE; as data says: perhaps there is no such place */
    uint32_t status, flags; /* status 0: the client has been told none */
    uint32_t worker;        /* set by who reads */
    struct dx_slice words[DX_CENSUS_WORDS]; /* any bytes; cut when they are long */
};

/* --- data --- */

/* Main thread: these many workers will write, each into the part of its number. */
void dx_census_begin(struct dx_census *c, uint64_t serial, unsigned parts);

struct dx_census_writer {
    struct dx_census *census;
    unsigned part;
    uint32_t requests;
    char *at, *end;
};
void dx_census_open(struct dx_census *c, unsigned part, struct dx_census_writer *w);
/* False: no more fit. */
bool dx_census_add(struct dx_census_writer *w, const struct dx_census_request *r) DX_CHECKED;
void dx_census_close(struct dx_census_writer *w, uint64_t serial, uint32_t left_out);

/* --- control --- */

/* The parts that are still missing, a bit for each; UINT64_MAX: data has not begun. */
uint64_t dx_census_missing(const struct dx_census *c, uint64_t serial);

unsigned dx_census_parts(const struct dx_census *c); /* as data says */

/* What was read; slices point into its copies. Zeroed: nothing. */
struct dx_census_list {
    struct dx_census_request *at;
    size_t n, cap;
    char *copies[DX_CENSUS_PARTS];
    uint64_t left_out, missing, broken; /* requests; parts, a bit for each */
};
/* Adds the part, from a copy, if it has this serial and is whole; else notes that it is missing, or broken.
 * `worker`: its number for people. False: out of memory. */
bool dx_census_read(const struct dx_census *c, unsigned part, uint64_t serial, uint32_t worker,
                    struct dx_census_list *out) DX_CHECKED;
void dx_census_list_fini(struct dx_census_list *l);
/* By server (those without one last), then by age, the oldest first. */
void dx_census_list_sort(struct dx_census_list *l);

/* The next request of a part's bytes. Pure. False at the end, or when *broken. */
bool dx_census_next(struct dx_slice *rest, struct dx_census_request *out, bool *broken) DX_CHECKED;

#endif
