/* SPDX-License-Identifier: MIT */
/*
 * Letters between control and data: a SOCK_SEQPACKET pair, so that a letter comes whole or not at all, each
 * with at most one descriptor. Both ends are non-blocking.
 */
#ifndef DIPLEX_IPC_H
#define DIPLEX_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diplex/base/check.h"

/* The numbers stay: letters go between two versions of the program while one takes the other's place. */
enum dx_letter_type {
    /* control -> data */
    DX_LETTER_BOARD = 1, /* fd: the board; worker: the seat there. Before the first CONFIG */
    DX_LETTER_NEWS, /* fd: an eventfd. Workers add 1 to it when a server failed, so that control looks at the
                       cells */
    DX_LETTER_LISTEN, /* fd: a listening socket for the `worker`th worker (ANY: shared by all); text: its
                         address as configured; number: 1 when others hold it too, who will listen on it when
                         we are gone, so that it is never shut down. Before the CONFIG that names it */
    DX_LETTER_CONFIG, /* fd: memory file with the YAML text; number: its generation; text: its file name.
                         Answered by READY or REFUSED */
    DX_LETTER_PAGES,  /* fd: memory file with what dx_config_pages_write made. Before the CONFIG that names them */
    DX_LETTER_DRAINS, /* servers have been drained, or are not any more: idle connections to those that are go
                       */
    DX_LETTER_PING,   /* number: workers that still turn write it on the board (dx_board_beat) */
    DX_LETTER_LOG,    /* fd: where a log goes from now on; worker: which one, DX_LETTER_LOG_...; number: enum
                         dx_journal_form,    and the facility shifted; text: the tag, a blank, the socket's path
                         if    it is one */
    DX_LETTER_CENSUS, /* fd: the census. Before the first CONFIG */
    DX_LETTER_LOOK,   /* number: workers tell in the census what they have in flight, under this serial */
    DX_LETTER_LEVEL,  /* number: enum dx_log_level, until the next CONFIG */
    DX_LETTER_STOP,   /* number: milliseconds to finish running requests in */
    /* data -> control */
    DX_LETTER_SANDBOX,   /* text: what data has given up, for people. Once, before the first READY */
    DX_LETTER_FORBIDDEN, /* number: the system call that its filter ends it for. Its last words */
    DX_LETTER_READY,     /* number: the generation now in force in every worker; text: the settings of it that
                            need a new start of data, if any */
    DX_LETTER_REFUSED,   /* number: generation; text: why */
    DX_LETTER_STOPPED,   /* number: requests cut off at the time limit. Data exits after it */
    /* control -> data */
    DX_LETTER_WORKERS, /* text: "0,1,5": a part of the board for each worker that there is to be. Before the
                          CONFIG that it comes with. Workers of other parts take no more connections, and end
                          with those they have */
    DX_LETTER_LEAVE,   /* another data process serves the same sockets: take no more connections, and end with
                          those   there are; number: milliseconds until they are cut off, 0: never */
    /* data -> control */
    DX_LETTER_RETIRED, /* worker: the part of one that has ended, or was never begun */
    /* control -> data */
    DX_LETTER_DROP, /* text: an address, worker: the first of its sockets that nobody else will serve: at
                       LEAVE they are emptied and closed, the others are let go of */
    /* data -> control */
    DX_LETTER_DEAF,  /* after LEAVE: it listens nowhere any more */
    DX_LETTER_TYPES, /* one more than the last */
};

#define DX_LETTER_TEXT 512
#define DX_LETTER_ANY  UINT32_MAX

enum { DX_LETTER_LOG_ACCESS, DX_LETTER_LOG_OWN, DX_LETTER_LOGS };
#define DX_LETTER_FACILITY_SHIFT 8

struct dx_letter {
    enum dx_letter_type type;
    uint32_t worker;
    uint64_t number;
    char text[DX_LETTER_TEXT]; /* terminated */
    int fd; /* -1: none. Sending does not close it; receiving gives it to the caller, close-on-exec */
};

bool dx_ipc_pair(int ends[2]) DX_CHECKED; /* close-on-exec, non-blocking */

/* False with errno; EAGAIN: the other side does not read. */
bool dx_ipc_send(int end, const struct dx_letter *l) DX_CHECKED;

enum dx_ipc { DX_IPC_LETTER, DX_IPC_NOTHING, DX_IPC_CLOSED, DX_IPC_ERROR };
enum dx_ipc dx_ipc_receive(int end, struct dx_letter *out) DX_CHECKED;

#endif
