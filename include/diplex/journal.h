/* SPDX-License-Identifier: MIT */
/*
 * Lines on their way out, written in batches by a thread of its own, so that a reader who is slow, stuck or
 * gone never stops traffic: lines that find the batch full are dropped and counted. A way out is a stream (a
 * standard one, a file) or a datagram socket of syslog or of systemd's journal; another one can be taken at
 * any time, between two lines.
 */
#ifndef DIPLEX_JOURNAL_H
#define DIPLEX_JOURNAL_H

#include "diplex/base/err.h"
#include "diplex/base/slice.h"

#define DX_JOURNAL_TAG  129 /* with its terminator, as the next */
#define DX_JOURNAL_PATH 108

enum dx_journal_form {
    DX_JOURNAL_PLAIN,    /* lines as they are, into a stream */
    DX_JOURNAL_PREFIXED, /* the same, each behind its priority, `<6>`: for a stream that systemd's journal
                            reads */
    DX_JOURNAL_SYSLOG,   /* a datagram for each, as syslog(3) sends them */
    DX_JOURNAL_NATIVE,   /* a datagram of fields for each, as systemd-journald takes them */
};

struct dx_journal_way {
    int fd;
    bool owned;  /* closed when it is used no more */
    bool events; /* lines are `time level event ...`, and where time and level have a place of their own they
                    go there */
    enum dx_journal_form form;
    unsigned facility;        /* SYSLOG, NATIVE: a number of RFC 5424 6.2.1 */
    char tag[DX_JOURNAL_TAG]; /* ... the name of the program */
    char
        path[DX_JOURNAL_PATH]; /* ... its socket, which is connected to again when its reader was restarted */
};

static inline struct dx_journal_way dx_journal_stream(int fd) { return (struct dx_journal_way){.fd = fd}; }

struct dx_journal;

/* Two batches of batch_bytes each. Lines go out at the latest after flush_ms. Takes the way over, unless it
 * fails. */
struct dx_journal *dx_journal_new(const struct dx_journal_way *w, size_t batch_bytes,
                                  unsigned flush_ms) DX_CHECKED;
/* Writes what is left, for at most a second, and ends the thread; one that is stuck in a write is left
 * behind. */
void dx_journal_free(struct dx_journal **j);

/* Any thread; ends in '\n'. Returns false when it was dropped. */
bool dx_journal_write(struct dx_journal *j, struct dx_slice lines);
/* Any thread. From the next line on that is not on its way yet, all take this way. Never waits; takes it
 * over. */
void dx_journal_turn(struct dx_journal *j, const struct dx_journal_way *w);
/* Any thread. Lines that were taken and could not be written, because the reader is gone or the disk is full,
 * since this was asked last. */
uint64_t dx_journal_lost(struct dx_journal *j);
/* Before its first line. Called on the journal's own thread, once a minute at most, when lines go out again
 * after `lines` of them were dropped or lost. It may write to any journal. */
void dx_journal_on_again(struct dx_journal *j, void (*again)(void *arg, uint64_t lines), void *arg);

/* --- ways out; for control, which opens what has a name --- */

/* To append to; made with mode 0640 where it is not there. Never through a symbolic link as the last part of
 * its name, and never waits. -1 with err. */
int dx_journal_open_file(const char *path, struct dx_err *err) DX_CHECKED;
/* For a datagram socket's path. *reached: somebody reads there; else the journal looks for him again and
 * again. */
int dx_journal_open_socket(const char *path, bool *reached, struct dx_err *err) DX_CHECKED;
/* Whether systemd has connected the descriptor to its journal ($JOURNAL_STREAM). */
bool dx_journal_is_read_by_systemd(int fd);
/* Reads the time zone, from files that are out of reach later: before the first way of form SYSLOG. */
void dx_journal_learn_zone(void);

#endif
