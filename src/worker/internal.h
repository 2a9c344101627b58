/* SPDX-License-Identifier: MIT */
/* What the main thread of data (data.c, archive.c) and its workers (worker.c) share: a mailbox each, and
 * nothing else. */
#ifndef WORKER_INTERNAL_H
#define WORKER_INTERNAL_H

#include <pthread.h>

#include "diplex/board/seats.h"
#include "diplex/ipc.h"
#include "diplex/journal.h"
#include "diplex/net.h"
#include "diplex/proxy.h"
#include "diplex/sandbox.h"

#define WORKER_MAGIC  0x574f524bu
#define LISTENERS_MAX 64                  /* addresses a worker listens on */
#define PLACES_MAX    (LISTENERS_MAX * 2) /* on a reload the new ones are there before the old ones go */

struct listener {
    struct worker *worker;
    char text[512]; /* the address as configured; empty: this place is free */
    bool preamble;  /* connections begin with a header of the PROXY protocol */
    bool lent;      /* others hold the socket too: never shut it down */
    int fd;         /* borrowed from the main thread */
    struct dx_watch watch;
    struct dx_timer pause; /* out of descriptors: not listening for a moment */
    bool wanted;
    bool ending; /* no configuration names it any more, and connections that are being made are waited for */
    struct dx_timer last; /* ending: until then */
};

/* What the main thread asks of a worker. */
struct orders {
    struct dx_snapshot *snapshot; /* to be used from now on; a reference of the mailbox's */
    struct {
        const char *text; /* lives as long as the snapshot */
        int fd;
        bool preamble, lent;
    } listen[LISTENERS_MAX];
    unsigned listen_n;
    uint64_t number; /* of these orders: what the worker reports when they are carried out */
    bool stop, cut;
    bool leave;  /* take no more connections, and end with those there are, however long they last */
    bool shared; /* the sockets go on with others, and are left as they are, but for those of `listen` */
};

struct worker {
    uint32_t magic;
    unsigned index, place;
    pthread_t thread;
    struct dx_loop *loop;
    struct dx_proxy *proxy;
    struct listener listeners[PLACES_MAX];
    unsigned ending_n;     /* listeners */
    uint64_t number;       /* of the orders at hand; carried out when no listener is ending */
    struct dx_timer leave; /* leaving or stopping: look whether everybody has gone */
    int reserve;           /* a descriptor to give up, so that a connection too many can be closed */
    uint64_t paused_told_us, paused_untold;
    bool leaving, stopping;

    pthread_mutex_t lock; /* of the mailbox */
    struct orders orders;
    bool fresh; /* orders not taken yet */
    int bell;   /* eventfd: there are orders, or one of the flags below is set */
    struct dx_watch bell_watch;
    struct dx_board *board;     /* borrowed */
    _Atomic uint64_t *counters; /* on the board */
    _Atomic bool time_anew, drains;
    struct dx_census *census; /* of the question */
    _Atomic uint64_t asked;   /* what is in flight is to be told under this serial; 0: nobody asks */
    _Atomic uint64_t ping;    /* asked of it last */

    int report;            /* borrowed: the main thread's eventfd */
    _Atomic uint64_t done; /* the orders carried out last */
    _Atomic bool ended;
    _Atomic unsigned cut; /* requests broken off at the end */
    _Atomic bool failed;  /* the last orders could not be carried out: out of memory */
};

struct worker_setup {
    unsigned index; /* its part of the board */
    unsigned place; /* in the census; DX_CENSUS_PARTS: none */
    struct dx_board *board;
    struct dx_queues *queues;
    int news_fd, report_fd;
    struct dx_journal *access;
    struct dx_proxy_hints *hints;
    struct dx_crowd *crowd;
    unsigned descriptors; /* that the process may have */
    uint64_t ping;        /* asked of all last */
};

/* Made on the main thread; runs nothing until worker_start. */
struct worker *worker_new(const struct worker_setup *s) DX_CHECKED;
bool worker_start(struct worker *w) DX_CHECKED;
void worker_order(struct worker *w, const struct orders *o); /* takes the reference in o->snapshot over */
void worker_look_at_drains(struct worker *w);
void worker_ping(struct worker *w, uint64_t number); /* it writes the number on the board when it turns */
/* It tells in the part of its number what it has in flight. */
void worker_tell(struct worker *w, struct dx_census *census, uint64_t serial);
void worker_time_anew(struct worker *w); /* the longest turn on the board is to be the longest from now on */
void worker_free(struct worker **w);     /* joins */

/* What the process has locked itself into, in confines.c, and how later configurations fit in there. */
struct confines {
    bool entered;
    struct dx_sandbox sandbox;
    char *folder;      /* where spools are made */
    bool folder_waits; /* the configuration in force names another one, which is out of reach */
};
/* Once, before the first thread. `letters` is borrowed for good: the last words go there. */
bool confines_enter(struct confines *c, const struct dx_config *config, int letters,
                    struct dx_err *err) DX_CHECKED;
/* Before anybody else has the snapshot. */
void confines_follow(struct confines *c, struct dx_snapshot *s);
const char *confines_unapplied(const struct confines *c); /* names of settings, or nothing */
void confines_fini(struct confines *c);

/* Where the two logs of the process go, in logs.c: as control's letters say, and before they do to the
 * standard streams. */
struct logs {
    struct dx_journal_way ways[DX_LETTER_LOGS]; /* until there is a journal to take them */
    struct dx_journal *access;
};
void logs_init(struct logs *l);
/* Once, when the process has locked itself in: their threads inherit that. */
bool logs_start(struct logs *l, struct dx_err *err) DX_CHECKED;
void logs_on_letter(struct logs *l, struct dx_letter *letter); /* takes its descriptor */
void logs_end_access(struct logs *l);                          /* after the workers */
void logs_end(struct logs *l);                                 /* the own one, last of all */

/* The snapshots that a worker may still use, in archive.c. The main thread alone frees them: workers have
 * clients waiting, and a configuration may be large. */
struct place;
struct archive {
    struct place *first;
    int bell; /* borrowed eventfd: rings when a snapshot is used no more */
};
void archive_init(struct archive *a, int bell);
/* Takes the reference over, before anybody else has one. False: out of memory, nothing was taken. */
bool archive_add(struct archive *a, struct dx_snapshot *s) DX_CHECKED;
/* Frees what nobody uses, but the one in force. */
void archive_clear(struct archive *a, const struct dx_snapshot *in_force);

#endif
