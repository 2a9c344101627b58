/* SPDX-License-Identifier: MIT */
/*
 * Lines for standard output and standard error, written in batches by a thread of its own, so that a reader who is slow, stuck or gone never stops
 * traffic: lines that find the batch full are dropped and counted.
 */
#ifndef DIPLEX_JOURNAL_H
#define DIPLEX_JOURNAL_H

#include "diplex/base/slice.h"

struct dx_journal;

/* A journal of one descriptor (not closed by it), two batches of batch_bytes each. Lines go out at the latest after flush_ms. */
struct dx_journal *dx_journal_new(int fd, size_t batch_bytes, unsigned flush_ms) DX_CHECKED;
/* Writes what is left, for at most a second, and ends the thread. */
void dx_journal_free(struct dx_journal **j);

/* Any thread; ends in '\n'. Returns false when it was dropped. */
bool dx_journal_write(struct dx_journal *j, struct dx_slice lines);

#endif
