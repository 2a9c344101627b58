/* SPDX-License-Identifier: MIT */
/*
 * Seats and parts of the board: where a data process and its workers write. Control gives them, and takes
 * them back when process or worker has ended. Usually one seat is taken; while one data process takes the
 * place of another, there are more.
 */
#ifndef DIPLEX_BOARD_SEATS_H
#define DIPLEX_BOARD_SEATS_H

#include "diplex/board.h"

/* Control: a seat for a data process that is to be started; DX_BOARD_NONE: all are taken. */
uint32_t dx_board_seat_take(struct dx_board *b) DX_CHECKED;
/* Control: the process has ended. What it had running (active, connections, slots, counters that are not
 * _total) goes back to zero, and its parts are free. */
void dx_board_seat_free(struct dx_board *b, uint32_t seat);
/* Control: parts for n workers more; false: there are not so many. Each belongs to one worker until it is
 * freed. */
bool dx_board_parts_take(struct dx_board *b, uint32_t seat, unsigned n, uint32_t *parts) DX_CHECKED;
/* False: it is not one of this seat's. */
bool dx_board_part_free(struct dx_board *b, uint32_t seat, uint32_t part) DX_CHECKED;
unsigned dx_board_parts(const struct dx_board *b); /* in use so far: who sums up looks at no more */

void dx_board_sit(struct dx_board *b, uint32_t seat); /* data, before anything else */
/* How many workers of this data process take connections; control is told of the newest. */
void dx_board_workers_set(struct dx_board *b, uint32_t seat, unsigned workers); /* control */
unsigned dx_board_workers(const struct dx_board *b);

/* Control: over the workers of this data process. */
uint64_t dx_board_seat_counter_sum(const struct dx_board *b, uint32_t seat, enum dx_counter c);

/* A slot of a server, counted over all data processes: false when they have `most` between them, and the
 * caller must try again later. Exact, though nothing is locked: each first says what it takes, then looks at
 * the others. */
bool dx_board_slot_take(struct dx_board *b, uint32_t server, uint32_t most) DX_CHECKED;
void dx_board_slot_give_back(struct dx_board *b, uint32_t server);
uint32_t dx_board_slots_of_others(const struct dx_board *b, uint32_t server);

/* Data was started: how often, its pid. Control writes. */
void dx_board_data_started(struct dx_board *b, int pid);
unsigned dx_board_data_starts(const struct dx_board *b);

/* Control: this board is new, but diplex is not; before the first data process is started on it. A counter
 * goes on from what it had on the board before. False: none that only grows is called so. */
bool dx_board_counter_carry(struct dx_board *b, struct dx_slice name, uint64_t n);
void dx_board_data_starts_carry(struct dx_board *b, unsigned starts);

#endif
