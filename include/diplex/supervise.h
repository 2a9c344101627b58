/* SPDX-License-Identifier: MIT */
/*
 * The control house's door: opens the listening sockets, makes the board, starts data and starts it again when it dies, reloads in place, stops. Works as
 * PID 1. Owns health, resolve and admin.
 */
#ifndef DIPLEX_SUPERVISE_H
#define DIPLEX_SUPERVISE_H

/* Runs until stopped; returns the exit code (0 after a clean stop, 1 on failure, 2 on a faulty configuration). file NULL: the default search. */
int dx_control_run(const char *file);

#endif
