/* SPDX-License-Identifier: MIT */
/*
 * What the operator's page shows of the time before it was opened: a ring of samples of each pool, a quarter
 * of an hour of them, and the last events that were worth a line in control's log. Bounded; kept by control,
 * read off the board; data knows nothing of it. Pure but for memory: the caller brings the time and the
 * board.
 */
#ifndef DIPLEX_ADMIN_HISTORY_H
#define DIPLEX_ADMIN_HISTORY_H

#include "diplex/base/log.h"
#include "diplex/base/text.h"
#include "diplex/board.h"
#include "diplex/config.h"

#define DX_HISTORY_EVERY_MS 3000u /* between two samples */
#define DX_HISTORY_SAMPLES  300u
#define DX_HISTORY_EVENTS   200u

struct dx_history;

/* Both clocks at one moment: events tell the time of day, plots need a clock that does not jump. */
struct dx_history_time {
    uint64_t at_ms;   /* monotonic */
    uint64_t wall_us; /* since 1970 */
};

struct dx_history *dx_history_new(struct dx_history_time now) DX_CHECKED;
void dx_history_free(struct dx_history **h);

/* Notes how the pools of the configuration are, and what they did since the sample before. A pool that is in
 * the configuration no longer is forgotten; one for which there is no memory is left out. */
void dx_history_sample(struct dx_history *h, const struct dx_board *board, const struct dx_config *config,
                       struct dx_history_time now);
/* Keeps the event if it is one of those in history.def; the oldest makes room. Values are cut. */
void dx_history_event(struct dx_history *h, enum dx_log_level level, const char *event,
                      const struct dx_kv *kv, struct dx_history_time now);

/* The JSON document of GET /history: what was noted after number `since`; 0: all that is kept. */
void dx_history_write(const struct dx_history *h, uint64_t since, struct dx_history_time now,
                      struct dx_text *out);

#endif
