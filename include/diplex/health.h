/* SPDX-License-Identifier: MIT */
/*
 * Verdicts about servers: active probes, passive signs from the workers' cells, the rules of who may be taken
 * out. Writes states to the board and logs each change once, with its reason. The verdict rules are pure
 * (struct dx_verdict) and know nothing of sockets.
 */
#ifndef DIPLEX_HEALTH_H
#define DIPLEX_HEALTH_H

#include "diplex/board.h"
#include "diplex/config.h"
#include "diplex/fetch.h"

struct dx_health;

struct dx_health *dx_health_new(struct dx_loop *l, struct dx_board *b, struct dx_fetcher *f) DX_CHECKED;
void dx_health_free(struct dx_health **h);
/* How often a hint about a pool's probes may be said; 0, as at the start: never. */
void dx_health_hint_every(struct dx_health *h, uint64_t ms);

/* A pool's servers as they are on the board now (call again whenever the list or the configuration changes;
 * servers that stay keep their history). `pool` must live until the next call for this index or
 * dx_health_forget. */
void dx_health_watch_pool(struct dx_health *h, uint32_t board_pool, const struct dx_pool_config *pool);
void dx_health_forget_pool(struct dx_health *h, uint32_t board_pool);
/* Workers say that something failed: look at the cells now. */
void dx_health_news(struct dx_health *h);

/* Drained: gets no new request, whatever probes say, until that is taken back. The servers of that name in
 * the configuration, those that will be found behind it too; or with an address (NULL: all) that one alone.
 * The order outlives changes of the list, and dx_health_settle. False: out of memory. */
bool dx_health_drain(struct dx_health *h, uint32_t board_pool, const char *name,
                     const struct dx_address *address, bool drained) DX_CHECKED;
/* Each order that is in force, for somebody who will give them again. */
void dx_health_orders(const struct dx_health *h, uint32_t board_pool,
                      void (*each)(void *arg, const char *name, const struct dx_address *address,
                                   bool drained),
                      void *arg);
/* While this is on, servers that are watched anew are what the board says they are. */
void dx_health_believe(struct dx_health *h, bool on);
/* The configuration that is watched is in force for good: orders about names that it has not are forgotten.
 */
void dx_health_settle(struct dx_health *h, uint32_t board_pool);

/* For /status. */
struct dx_health_view {
    uint64_t last_probe_ms_ago; /* UINT64_MAX: never */
    unsigned last_status;
    const char *hint; /* the word of what the last probe gave away; NULL: nothing */
    char last_error[96];
    unsigned failures_in_row, successes_in_row;
    uint64_t ejections; /* times that it was left out because its connections failed */
};
bool dx_health_view(const struct dx_health *h, uint32_t server, struct dx_health_view *out) DX_CHECKED;

#endif
