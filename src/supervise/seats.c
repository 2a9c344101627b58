/* SPDX-License-Identifier: MIT */
/*
 * The seat of the data process on the board, and the parts of its workers. A reload that changes their number
 * names the parts anew: those that are left out belong to workers that end with their last connection, and
 * are free when data says so. What data says is believed of such parts only.
 */
#include "supervise/control.h"

bool seats_take(struct control *c, unsigned workers, struct dx_err *err)
{
    struct crew *crew = &c->crew;
    crew->seat = dx_board_seat_take(c->board);
    if (crew->seat == DX_BOARD_NONE)
        return dx_err_set(err, "too many data processes are still finishing");
    if (!dx_board_parts_take(c->board, crew->seat, workers, crew->parts)) {
        seats_free(c);
        return dx_err_set(err, "too many workers are still finishing");
    }
    crew->n = crew->next_n = workers;
    memcpy(crew->next, crew->parts, sizeof crew->next);
    dx_board_workers_set(c->board, crew->seat, crew->n);
    return true;
}

void seats_free(struct control *c)
{
    if (c->crew.seat != DX_BOARD_NONE)
        dx_board_seat_free(c->board, c->crew.seat);
    c->crew.seat = DX_BOARD_NONE;
    c->crew.n = c->crew.next_n = 0;
}

bool seats_prepare(struct control *c, unsigned workers, struct dx_err *err)
{
    struct crew *crew = &c->crew;
    unsigned kept = workers < crew->n ? workers : crew->n;
    if (crew->seat == DX_BOARD_NONE)
        return true; /* whoever is started next sits down with them */
    memcpy(crew->next, crew->parts, kept * sizeof crew->next[0]);
    if (!dx_board_parts_take(c->board, crew->seat, workers - kept, crew->next + kept))
        return dx_err_set(err, "too many workers are still finishing: there is room for %u in all",
                          DX_BOARD_PARTS);
    crew->next_n = workers;
    return true;
}

void seats_settle(struct control *c)
{
    struct crew *crew = &c->crew;
    if (crew->seat == DX_BOARD_NONE)
        return;
    memcpy(crew->parts, crew->next, sizeof crew->parts);
    crew->n = crew->next_n;
    dx_board_workers_set(c->board, crew->seat, crew->n);
}

void seats_undo(struct control *c)
{
    struct crew *crew = &c->crew;
    memcpy(crew->next, crew->parts, sizeof crew->next);
    crew->next_n = crew->n;
}

static bool is_among(uint32_t part, const uint32_t *parts, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (parts[i] == part)
            return true;
    return false;
}

void seats_on_retired(struct control *c, uint32_t part)
{
    const struct crew *crew = &c->crew;
    if (is_among(part, crew->parts, crew->n) || is_among(part, crew->next, crew->next_n))
        return; /* it ends with its process */
    if (crew->seat == DX_BOARD_NONE || !dx_board_part_free(c->board, crew->seat, part))
        dx_log(DX_LOG_ERROR, "letter_unexpected", DX_KI("type", DX_LETTER_RETIRED), DX_KI("part", part));
}
