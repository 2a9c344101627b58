/* SPDX-License-Identifier: MIT */
/* Switches on the board: what an operator has turned on by name, over reloads and starts of data. Control writes. */
#ifndef DIPLEX_BOARD_SWITCHES_H
#define DIPLEX_BOARD_SWITCHES_H

#include "diplex/base/slice.h"
#include "diplex/board.h"

#define DX_BOARD_SWITCHES 64u

/* Control. False: there is no room. */
bool dx_board_switch_set(struct dx_board *b, struct dx_slice name, bool on) DX_CHECKED;
/* The name may come in two parts. */
bool dx_board_switch(const struct dx_board *b, struct dx_slice name, struct dx_slice more);
bool dx_board_any_switch(const struct dx_board *b); /* one load */

#endif
