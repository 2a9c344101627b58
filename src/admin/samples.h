/* SPDX-License-Identifier: MIT */
/*
 * One sample of one pool: what the board says of it now, and what has happened since the sample before. For
 * the files of this room only.
 */
#ifndef ADMIN_SAMPLES_H
#define ADMIN_SAMPLES_H

#include "diplex/board/routes.h"

#define NOTHING UINT32_MAX /* is known */

enum series {
#define SERIES(id, name) SERIES_##id,
#include "admin/history.def"
    SERIES_COUNT,
};

struct row {
    uint32_t v[SERIES_COUNT];
};

/* How the requests of a pool ended: what only grows, as it was at the last sample. */
enum ending { ENDED_REFUSED, ENDED_LEFT, ENDED_ALL, ENDED_4XX, ENDED_5XX, ENDINGS };

struct totals {
    uint64_t endings[ENDINGS];
    struct dx_board_histogram_sum times;
};

/* False: the pool is not on the board; the row stays as it was, as do values that cannot be known. `servers`:
 * DX_BOARD_POOL_SERVERS of room. */
bool samples_take(const struct dx_board *board, const char *pool, struct dx_board_server *servers, bool known,
                  struct totals *last, struct row *row);

#endif
