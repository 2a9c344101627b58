/* SPDX-License-Identifier: MIT */
/*
 * The control house's door: opens the listening sockets, makes the board, starts data and starts it again
 * when it dies, reloads in place, stops. Works as PID 1. Owns health, resolve and admin.
 */
#ifndef DIPLEX_SUPERVISE_H
#define DIPLEX_SUPERVISE_H

#include "diplex/base/err.h"

/* Runs until stopped; returns the exit code (0 after a clean stop, 1 on failure, 2 on a faulty
 * configuration). file NULL: the default search. */
int dx_control_run(const char *file);

/* Whether this program could take over from the one that wrote `handover`: 0, or 2 with the reasons on
 * standard output. */
int dx_control_rehearse(const char *file, int handover);

/* The text of the configuration: of `file`, else of the first default file that is there, else built in.
 * Shared with the subcommands. */
struct dx_control_source {
    char *text; /* owned, terminated */
    size_t n;
    char *name; /* owned; what messages call it */
};
bool dx_control_source_read(const char *file, struct dx_control_source *out, struct dx_err *err) DX_CHECKED;
void dx_control_source_fini(struct dx_control_source *s);
const char *dx_control_env(const char *name, void *arg); /* ${VAR} in it: the environment */

#endif
