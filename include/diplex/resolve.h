/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses, in control only: every address behind a name is a server. Looks up again at an interval
 * and when told that a server failed; a name that cannot be resolved (yet) is no error: its pool has no
 * server until it can. Writes the lists to the board.
 */
#ifndef DIPLEX_RESOLVE_H
#define DIPLEX_RESOLVE_H

#include "diplex/board.h"
#include "diplex/config.h"
#include "diplex/loop.h"

struct dx_resolver;

/* on_change is called from the loop after a pool's list on the board has changed; not for what watch_pool
 * itself writes. */
struct dx_resolver *dx_resolver_new(struct dx_loop *l, struct dx_board *b,
                                    void (*on_change)(void *arg, uint32_t board_pool), void *arg) DX_CHECKED;
/* Not from on_change. Lookups under way are cancelled. */
void dx_resolver_free(struct dx_resolver **r);

/* Puts the pool's servers on the board: known addresses at once (before this returns), names as soon as they
 * are resolved, again every interval_ms. Called again with a new configuration, servers whose name and
 * address stay keep their place. `pool` must live until the next call that succeeds. False: more servers than
 * a pool or the board holds, or out of memory; what was there before stays. */
bool dx_resolver_watch_pool(struct dx_resolver *r, uint32_t board_pool, const struct dx_pool_config *pool,
                            uint64_t interval_ms) DX_CHECKED;
void dx_resolver_forget_pool(struct dx_resolver *r, uint32_t board_pool);
/* A server of this pool could not be reached: look its names up now (at most once a second). */
void dx_resolver_hurry(struct dx_resolver *r, uint32_t board_pool);

#endif
