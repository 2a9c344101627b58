/* SPDX-License-Identifier: MIT */
/* The main thread of data: what its files share. data.c has its letters and its life, crew.c the workers,
 * sockets.c the listening sockets. */
#ifndef WORKER_DATA_H
#define WORKER_DATA_H

#include "diplex/ipc.h"
#include "worker/internal.h"

#define SOCKETS_MAX \
    (LISTENERS_MAX * 2) /* addresses known: those in force and those of the next configuration */

/* ---- sockets.c ---- */

struct sockets { /* of one address: one for each worker, or one for all */
    char text[DX_LETTER_TEXT];
    bool lent; /* others hold them too */
    unsigned
        dropped; /* from this one on they are closed when the process leaves; 0: none is, else one more */
    int fd[DX_BOARD_WORKERS];
};

struct sockets *sockets_find(struct sockets all[SOCKETS_MAX],
                             const char *text); /* "": a free place; NULL: none */
void sockets_init(struct sockets all[SOCKETS_MAX]);
/* Takes the descriptor of a LISTEN letter over. */
void sockets_take(struct sockets all[SOCKETS_MAX], struct dx_letter *l);
/* A DROP letter. */
void sockets_drop(struct sockets all[SOCKETS_MAX], const char *text, unsigned from);
/* Workers have let go of what the configuration does not name, nor has so many workers for. */
void sockets_close_unused(struct sockets all[SOCKETS_MAX], const struct dx_config *c, unsigned workers);
void sockets_close_all(struct sockets all[SOCKETS_MAX]);

/* ---- data.c ---- */

struct data {
    struct dx_loop *loop;
    int letters, news, report;
    int pages; /* for the next configuration; -1: none */
    struct dx_watch letters_watch, report_watch;
    struct dx_timer deadline;
    struct dx_board *board;
    struct dx_census *census;
    struct dx_queues *queues;
    struct logs logs;
    struct dx_proxy_hints *hints;
    struct dx_crowd *crowd;
    struct sockets sockets[SOCKETS_MAX];
    struct worker *workers[DX_BOARD_PARTS]; /* by their part of the board; those that leave too */
    uint32_t parts[DX_BOARD_WORKERS];       /* of the workers that take connections */
    uint32_t wanted[DX_BOARD_WORKERS];      /* of those that the next configuration comes with */
    unsigned parts_n, wanted_n;
    unsigned descriptors;
    uint64_t ping; /* asked of the workers last */
    unsigned cut;  /* requests of workers that have ended */
    bool begun;    /* there may be workers */
    struct confines confines;
    struct archive archive;
    struct dx_snapshot *snapshot; /* in force; the archive holds it */
    uint64_t generation;          /* of the orders given last */
    bool waiting, leaving, stopping;
    bool settled;
    bool deaf; /* the listening sockets are closed */
    int exit_code;
};

void data_answer(struct data *d, enum dx_letter_type type, uint64_t number, const char *text);

/* ---- crew.c ---- */

/* The parts of a WORKERS letter. */
void crew_on_workers(struct data *d, const char *parts);
/* Begins those workers that the next configuration asks for and that are not there. The confines have been
 * entered. */
bool crew_begin(struct data *d, struct dx_err *err) DX_CHECKED;
/* To all: the snapshot; those that are not wanted any more leave. */
bool crew_give_orders(struct data *d, struct dx_snapshot *s, struct dx_err *err) DX_CHECKED;
void crew_settle(struct data *d);  /* the workers wanted are those in force */
void crew_give_up(struct data *d); /* the configuration was refused: what was begun for it ends */
void crew_order_all(struct data *d, const struct orders *o);
void crew_leave(struct data *d); /* all of them; another process serves the sockets that are not dropped */
void crew_look_at_drains(struct data *d);
void crew_ping(struct data *d, uint64_t number);
/* All, those that leave too, write what they have in flight into the census. */
void crew_tell(struct data *d, uint64_t serial);
/* Joins those that have ended, and says so. */
void crew_reap(struct data *d);
bool crew_has_done(const struct data *d, bool *failed); /* the orders given last, all of them */
bool crew_has_ended(const struct data *d, unsigned *cut);
void crew_free(struct data *d);

#endif
