/* SPDX-License-Identifier: MIT */
/*
 * The data house's door. One process: a main thread that reads control's letters and builds snapshots, and one worker thread per core that carries
 * traffic on a loop of its own.
 */
#ifndef DIPLEX_WORKER_H
#define DIPLEX_WORKER_H

/* Runs the data process on its end of the letters until STOP is done or control is gone. Returns the exit code. */
int dx_data_run(int letters_fd);

#endif
