/* SPDX-License-Identifier: MIT */
/*
 * What a sample says of how requests ended and how long they took. The board only counts, so a sample is what
 * was counted since the one before it: each request once, and quantiles of those alone.
 */
#include "admin/samples.h"

/* As they stand in the table: diplex's own refusals by their status, then what went to a client that had left
 * or was broken off. */
static void add_outcomes(const struct dx_board_route_sum *sum, uint64_t endings[ENDINGS])
{
    static const struct {
        unsigned status;
        bool whole;
    } rows[] = {
#define OUTCOME(id, word, status, sentence) {status, DX_BOARD_OUTCOME_##id == DX_BOARD_OUTCOME_OK},
#include "diplex/board/outcomes.def"
    };
    for (unsigned i = 0; i < DX_BOARD_OUTCOMES; i++) {
        endings[ENDED_ALL] += sum->outcomes[i];
        if (rows[i].status >= 500)
            endings[ENDED_REFUSED] += sum->outcomes[i];
        else if (rows[i].status == 0 && !rows[i].whole)
            endings[ENDED_LEFT] += sum->outcomes[i];
    }
    endings[ENDED_4XX] += sum->statuses[4];
    endings[ENDED_5XX] += sum->statuses[5];
}

/* What is kept in memory that data can write may say anything: a number that fell, or grew too much, says
 * nothing. */
static uint32_t grown(uint64_t now, uint64_t before)
{
    return now >= before && now - before < NOTHING ? (uint32_t)(now - before) : NOTHING;
}

static uint32_t less(uint32_t a, uint32_t b)
{
    if (a == NOTHING || b == NOTHING)
        return NOTHING;
    return a > b ? a - b : 0;
}

static void sample_times(const struct totals *now, const struct totals *last, struct row *row)
{
    struct dx_board_histogram_sum d = {.sum_us = now->times.sum_us - last->times.sum_us};
    uint64_t all = 0;
    for (unsigned i = 0; i < DX_BOARD_BUCKETS; i++) {
        uint32_t n = grown(now->times.buckets[i], last->times.buckets[i]);
        if (n == NOTHING)
            return;
        d.buckets[i] = n;
        all += n;
    }
    if (all == 0)
        return;
    row->v[SERIES_P50_US] = (uint32_t)dx_board_histogram_quantile_us(&d, 50);
    row->v[SERIES_P99_US] = (uint32_t)dx_board_histogram_quantile_us(&d, 99);
}

/* Each request once. A server's 500 whose client left before it had all of it counts as left, and may make
 * the others' sum larger by one. */
static void sample_endings(const struct totals *now, const struct totals *last, struct row *row)
{
    uint32_t n[ENDINGS] = {0};
    for (unsigned i = 0; i < ENDINGS; i++)
        n[i] = grown(now->endings[i], last->endings[i]);
    row->v[SERIES_REQUESTS] = n[ENDED_ALL];
    row->v[SERIES_CLIENT_ERRORS] = n[ENDED_4XX];
    row->v[SERIES_SERVER_ERRORS] = less(n[ENDED_5XX], n[ENDED_REFUSED]);
    row->v[SERIES_REFUSED] = n[ENDED_REFUSED];
    row->v[SERIES_LEFT] = n[ENDED_LEFT];
    uint32_t others[] = {n[ENDED_4XX], row->v[SERIES_SERVER_ERRORS], n[ENDED_REFUSED], n[ENDED_LEFT]};
    row->v[SERIES_OK] = n[ENDED_ALL];
    for (size_t i = 0; i < DX_COUNT(others); i++)
        row->v[SERIES_OK] = less(row->v[SERIES_OK], others[i]);
}

bool samples_take(const struct dx_board *board, const char *pool, struct dx_board_server *servers, bool known,
                  struct totals *last, struct row *row)
{
    uint32_t at = dx_board_pool_find(board, pool), version;
    struct dx_board_route_sum sum;
    struct totals now = {0};
    if (at == DX_BOARD_NONE)
        return false;
    size_t n = dx_board_pool_read(board, at, servers, &version);
    row->v[SERIES_ACTIVE] = row->v[SERIES_UP] = 0;
    for (size_t i = 0; i < n; i++) {
        row->v[SERIES_ACTIVE] += dx_board_server_active(board, servers[i].id);
        row->v[SERIES_UP] += dx_board_server_state(board, servers[i].id) == DX_SERVER_UP;
    }
    struct dx_board_waits waits = dx_board_pool_waits(board, at);
    row->v[SERIES_SERVERS] = (uint32_t)n;
    row->v[SERIES_QUEUED] = waits.queued;
    row->v[SERIES_HELD] = waits.held;
    dx_board_pool_sum(board, at, &sum);
    add_outcomes(&sum, now.endings);
    now.times = sum.times[DX_TIME_TOTAL];
    if (known) {
        sample_endings(&now, last, row);
        sample_times(&now, last, row);
    }
    *last = now;
    return true;
}
