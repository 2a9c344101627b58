/* SPDX-License-Identifier: MIT */
/* What the files of this room share: the journal, whose batches and thread are in journal.c, and what its
 * thread does with lines, in way.c and frame.c. */
#ifndef JOURNAL_INTERNAL_H
#define JOURNAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "diplex/base/text.h"
#include "diplex/journal.h"

#define FRAME_BYTES ((size_t)64 * 1024) /* of one line with all that is around it; the longest has 24 KB */
#define STAMP_BYTES 16                  /* "Nov 22 17:00:00", terminated */

struct batch {
    char *p;
    size_t n;
};

struct dx_journal {
    uint32_t magic;
    size_t batch_bytes;
    unsigned flush_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct batch filling, writing;
    bool ending, ended;
    bool left_behind; /* stuck in a write when it was to end: the thread frees it all */
    struct dx_journal_way next;
    _Atomic bool turning;    /* `next` is to be taken: who waits for a reader waits no longer */
    _Atomic bool hurry;      /* ending: a reader that does not read is given up soon */
    _Atomic uint64_t lost;   /* lines that could not be written, since somebody asked */
    _Atomic uint64_t untold; /* lines dropped or lost, since that was told */
    void (*again)(void *arg, uint64_t lines);
    void *again_arg;

    /* the thread's own */
    struct dx_journal_way way;
    bool is_file;
    bool torn;           /* the last line that was written is not whole */
    uint64_t give_up_us; /* when; 0: no hurry yet */
    uint64_t told_us;    /* when lines were told of last; 0: never */
    int64_t stamp_s;     /* the second of `stamp` */
    char stamp[STAMP_BYTES];
    char *room; /* where lines are framed */
};

/* --- way.c --- */
/* Under the lock, when there is one: the next way is in use from now on. */
void way_take_next(struct dx_journal *j);
void way_look(struct dx_journal *j); /* at what j->way is */
/* Returns how many bytes from the beginning of whole lines, or of a torn one, are dealt with. *lost: lines
 * that went nowhere although they are among these. Less than all: nobody takes the rest, or there is another
 * way. */
size_t way_write(struct dx_journal *j, struct dx_slice lines, uint64_t *lost);

/* --- frame.c --- */
/* A line without its newline as it goes out by this way, newline included where it is a stream. */
void frame_line(const struct dx_journal_way *w, struct dx_slice line, const char *stamp, struct dx_out *o);

#endif
