/* SPDX-License-Identifier: MIT */
/*
 * The rules of who is up, without sockets and without a clock: facts in, a state out. One verdict per server.
 *
 *                 a probe succeeds                      `retries` probes fail in a row
 *     STARTING ----------------------> UP ------------------------------------------> DOWN (probe)
 *        |                             |  ^                                             |
 *        |                             |  +---------- a probe succeeds -----------------+
 *        |                             |  +---------- ... or, unchecked, `lasts` is over -------+
 *        |                             +-- connections fail, and others are up ---------> DOWN (passive)
 *        +-- `retries` probes fail after the start period ------------------------------> DOWN (probe)
 *
 * A server that is busy is not a server that is dead (one gunicorn worker answers one request; a probe waits
 * behind it): see verdict_probe.
 */
#ifndef HEALTH_VERDICT_H
#define HEALTH_VERDICT_H

#include "diplex/board.h"
#include "diplex/config.h"

#define VERDICT_SAMPLES 32

/* What the workers have seen of the server, over all of them. */
struct verdict_cells {
    uint32_t active;
    uint64_t responses, trouble; /* trouble: connections that failed or broke off before an answer */
    uint64_t last_answer_ms, last_failure_ms;
};

struct verdict_probe {
    bool ok, timed_out;
};

/* Of the server's pool. */
struct verdict_pool {
    unsigned servers, ejected;
    unsigned others_up; /* besides this one */
};

struct dx_verdict {
    enum dx_server_state state;
    enum dx_down_reason why;
    unsigned failures_in_row, successes_in_row;
    bool ever_succeeded;
    uint64_t began_ms, ejected_ms, returned_ms;
    unsigned ejections;        /* in a row */
    struct verdict_cells seen; /* at the last look */
    struct {
        uint64_t at_ms, trouble;
    } samples[VERDICT_SAMPLES]; /* oldest first: trouble since the last answer */
    unsigned samples_n;
};

/* A server without checks is UP at once. */
void verdict_init(struct dx_verdict *v, const struct dx_pool_config *pool, const struct verdict_cells *cells,
                  uint64_t now_ms);
/* Another program has come to this verdict. */
void verdict_believe(struct dx_verdict *v, enum dx_server_state state, enum dx_down_reason why,
                     uint64_t now_ms);
/* The configuration changed: what only the old one could say is forgotten. */
void verdict_adapt(struct dx_verdict *v, const struct dx_pool_config *pool);

/* True: real answers say what a probe would; it is not sent, and counts as neither. */
bool verdict_skips_probe(struct dx_verdict *v, const struct dx_pool_config *pool,
                         const struct verdict_cells *cells, uint64_t now_ms);
void verdict_probed(struct dx_verdict *v, const struct dx_pool_config *pool,
                    const struct verdict_cells *cells, uint64_t now_ms, struct verdict_probe probe,
                    unsigned others_up);
/* Looks at the cells. */
void verdict_look(struct dx_verdict *v, const struct dx_pool_config *pool, const struct verdict_cells *cells,
                  uint64_t now_ms, struct verdict_pool around);
/* How long an ejected server is left out at least: an unchecked one `lasts`, a checked one until it answers;
 * each time that it fails again soon, `lasts` longer. */
uint64_t verdict_away_ms(const struct dx_verdict *v, const struct dx_pool_config *pool);
/* How long until the next probe: the interval, faster while not UP, spread a little by the random number. */
uint64_t verdict_probe_delay_ms(const struct dx_verdict *v, const struct dx_pool_config *pool,
                                uint64_t random);

bool verdict_expects(const struct dx_health_config *health, unsigned status);

#endif
