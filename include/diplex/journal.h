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
/* Writes what is left, for at most a second, and ends the thread; one that is stuck in a write is left behind. */
void dx_journal_free(struct dx_journal **j);

/* Any thread; ends in '\n'. Returns false when it was dropped. */
bool dx_journal_write(struct dx_journal *j, struct dx_slice lines);
/* Any thread. Lines that were taken and could not be written, because the reader is gone or the disk is full, since this
 * was asked last. */
uint64_t dx_journal_lost(struct dx_journal *j);

#endif
