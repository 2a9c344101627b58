/* SPDX-License-Identifier: MIT */
/*
 * The rules of who is up, without sockets and without a clock: facts in, a state out. One verdict per server.
 *
 *                 a probe succeeds                      `retries` probes fail in a row
 *     STARTING ----------------------> UP ------------------------------------------> DOWN (probe)
 *        |                             |  ^                                             |
 *        |                             |  +---------- a probe succeeds -----------------+
 *        |                             |  +---------- ... or, unchecked, `lasts` is over -------+
 *        |                             +-- connections fail, and another server is up --> DOWN (passive)
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

struct dx_verdict {
    enum dx_server_state state;
    enum dx_down_reason why;
    unsigned failures_in_row, successes_in_row;
    bool ever_succeeded;
    uint64_t began_ms, ejected_ms;
    struct verdict_cells seen; /* at the last look */
    struct {
        uint64_t at_ms, trouble;
    } samples[VERDICT_SAMPLES]; /* oldest first: trouble since the last answer */
    unsigned samples_n;
};

/* A server without checks is UP at once. */
void verdict_init(struct dx_verdict *v, const struct dx_pool_config *pool, const struct verdict_cells *cells,
                  uint64_t now_ms);
/* The configuration changed: what only the old one could say is forgotten. */
void verdict_adapt(struct dx_verdict *v, const struct dx_pool_config *pool);

/* True: real answers say what a probe would; it is not sent, and counts as neither. */
bool verdict_skips_probe(struct dx_verdict *v, const struct dx_pool_config *pool,
                         const struct verdict_cells *cells, uint64_t now_ms);
void verdict_probed(struct dx_verdict *v, const struct dx_pool_config *pool,
                    const struct verdict_cells *cells, uint64_t now_ms, struct verdict_probe probe);
/* Looks at the cells; `others_up`: servers of the pool that are UP besides this one. */
void verdict_look(struct dx_verdict *v, const struct dx_pool_config *pool, const struct verdict_cells *cells,
                  uint64_t now_ms, unsigned others_up);
/* How long until the next probe: the interval, faster while not UP, spread a little by the random number. */
uint64_t verdict_probe_delay_ms(const struct dx_verdict *v, const struct dx_pool_config *pool,
                                uint64_t random);

bool verdict_expects(const struct dx_health_config *health, unsigned status);

#endif
