/* SPDX-License-Identifier: MIT */
/*
 * The inside of the control house: one struct control, and the chapters that work on it. A plan is a
 * configuration with all it needs: its text, its listening sockets, its pools on the board. There is one plan
 * in force and, while a reload is under way, the next one.
 */
#ifndef SUPERVISE_CONTROL_H
#define SUPERVISE_CONTROL_H

#include <signal.h>

#include "diplex/admin.h"
#include "diplex/admin/history.h"
#include "diplex/board.h"
#include "diplex/board/switches.h"
#include "diplex/board/seats.h"
#include "diplex/census.h"
#include "diplex/config.h"
#include "diplex/fetch.h"
#include "diplex/health.h"
#include "diplex/ipc.h"
#include "diplex/journal.h"
#include "diplex/loop.h"
#include "diplex/resolve.h"
#include "diplex/sandbox.h"
#include "diplex/supervise.h"

#define CONTROL_MAGIC 0x43545243u

struct heritage;
struct process;

/* ---- listeners.c: shared by the plans that name them; the last one closes the sockets and the socket file
 * ---- */

struct listener {
    unsigned refs;
    char *text;                  /* as configured: its identity over reloads */
    char shown[DX_ADDRESS_TEXT]; /* with the port that the kernel chose, if it was to choose */
    struct dx_address address;
    bool owns_file;
    bool given; /* the service manager's: neither closed nor removed, one for all workers */
    int *fds;   /* one for each worker, or one for all */
    unsigned fds_n;
    unsigned settled_n; /* those that the plan in force has; during a reload there may be more */
};

enum { DOOR_SOCKET, DOOR_TCP, DOOR_METRICS, DOORS };
enum { LOG_ACCESS = DX_LETTER_LOG_ACCESS, LOG_OWN = DX_LETTER_LOG_OWN, LOGS };

struct plan {
    uint64_t generation;
    unsigned workers;
    struct dx_control_source source;
    struct dx_config *config;
    struct listener **listeners;
    size_t listeners_n;
    struct dx_journal_way logs[LOGS]; /* fd -1: not open */
    struct watched {
        uint32_t board;             /* DX_BOARD_NONE until it is on the board */
        uint64_t failures;          /* connect failures and resets of its servers when last looked at */
        struct dx_pool_config pool; /* with its health host decided */
    } * pools;                      /* as many as config->pools_n */
    int door_fds[DOORS];            /* opened for it, not in use yet; -1: none */
};

struct listeners_from {
    const struct plan *now;         /* whose sockets are shared; may be NULL */
    const struct activation *given; /* the service manager's; may be NULL */
    const struct heritage *left;    /* of the program before; may be NULL */
    unsigned workers;
};
/* Opens what neither `now` has already nor the service manager gave. All or nothing. */
bool listeners_open(struct plan *p, const struct listeners_from *from, struct dx_err *err) DX_CHECKED;
/* The plan is in force, with so many workers: sockets of more are closed. Fine when there are none. */
void listeners_settle(const struct plan *p, unsigned workers);
void listeners_close(struct plan *p);
void listeners_set_modes(const struct plan *p);

/* ---- activation.c: sockets that a service manager opened ---- */

#define ACTIVATION_MAX 64u

struct activation {
    struct given {
        int fd;
        struct dx_address address;
        char name[64], shown[DX_ADDRESS_TEXT];
    } at[ACTIVATION_MAX];
    size_t n;
};

/* Takes them out of the environment too. False: what was given is none that we can listen on. */
bool activation_take(struct activation *a, const struct heritage *left, struct dx_err *err) DX_CHECKED;
void activation_release(struct activation *a);
/* The one for an address, borrowed; -1: none was given. `a` may be NULL. */
int activation_find(const struct activation *a, const struct dx_address *wanted);
void activation_tell(const struct activation *a, const struct plan *p); /* which of them nobody uses */

/* ---- plan.c ---- */

/* NULL with a report for a person: each fault of the file with its place, or one sentence. `first` is the
 * first fault in one line. Neither sockets nor pools are touched. */
struct plan *plan_of_source(struct dx_control_source *source, struct dx_text *report,
                            struct dx_err *first) DX_CHECKED; /* takes it over */
struct plan *plan_read(const char *file, struct dx_text *report, struct dx_err *first) DX_CHECKED;
void plan_free(struct plan **p);

/* ---- letters.c ---- */

struct control;
struct letters {
    int end; /* -1: no data process */
    struct dx_watch watch;
    struct dx_timer flush;
    struct dx_letter *queue; /* each owns its descriptor */
    size_t queue_n, queue_cap;
};

void letters_open(struct control *c, int end);
void letters_close(struct control *c);
int letters_detach(struct control *c);   /* lets go of the end, and gives it away */
void letters_receive(struct control *c); /* all that wait */
void letters_send(struct control *c, const struct dx_letter *l);
/* The descriptors and the text of a plan; listeners that `now` shares are not sent again. */
bool letters_send_plan(struct control *c, const struct plan *p, bool with_shared) DX_CHECKED;

/* ---- seats.c: where the data process and its workers write on the board ---- */

struct crew {
    uint32_t seat;                                            /* DX_BOARD_NONE: no data process */
    uint32_t parts[DX_BOARD_WORKERS], next[DX_BOARD_WORKERS]; /* of the workers in force, of those to come */
    unsigned n, next_n;
};
bool seats_take(struct control *c, unsigned workers,
                struct dx_err *err) DX_CHECKED; /* a data process is to be started */
void seats_free(struct control *c);             /* it has ended; fine when none sits */
bool seats_prepare(struct control *c, unsigned workers, struct dx_err *err) DX_CHECKED;
void seats_settle(struct control *c); /* the next crew is in force */
void seats_undo(struct control *c);
void seats_on_retired(struct control *c, uint32_t part);

/* ---- swap.c: a data process takes the place of another; those that are on their way out ---- */

struct process {
    pid_t pid;
    int end;          /* of its letters */
    struct crew crew; /* seat DX_BOARD_NONE: it writes on another board, laid out otherwise */
    uint64_t started_us;
    uint64_t left_us; /* when it was told to leave */
};
struct leaver;
bool swap_begin(struct control *c, struct dx_err *err) DX_CHECKED; /* c->next is to be served by a new one */
void swap_put_in(struct control *c, const struct process *p);      /* it serves the plan in force */
void swap_done(struct control *c, const struct plan *old);         /* c->now is served by the new one */
void swap_undo(struct control *c);
bool leavers_adopt(struct control *c, const struct process *p, uint64_t left_ms) DX_CHECKED;
/* For /status: those that were told to leave. */
size_t leavers_tell(struct control *c, const struct dx_admin_leaving **out);
bool leavers_reap(struct control *c, pid_t pid, int status); /* false: it is none of them */
void leavers_send(struct control *c, const struct dx_letter *letter);
void leavers_kill(struct control *c);
void leavers_end(struct control *c); /* and waits */
/* Begin with *at NULL. left_ms 0: it has no limit. */
bool leavers_each(const struct control *c, struct leaver **at, struct process *out,
                  uint64_t *left_ms) DX_CHECKED;

/* ---- handover.c: what the program that takes our place is left ---- */

struct heritage {
    char *bytes; /* NULL: nothing was left, this is a start */
    size_t n, lines_n;
    struct dx_control_source source; /* of the configuration in force */
};
/* A memory file. `open`: it and all descriptors in it stay open over exec, and the environment says so. -1:
 * why. */
int handover_write(struct control *c, bool open, struct dx_err *err) DX_CHECKED;
void handover_take_back(struct control *c); /* there was no exec */
bool heritage_take(struct heritage *h,
                   struct dx_err *err) DX_CHECKED; /* by the environment; true too when nothing is left */
bool heritage_read(struct heritage *h, int fd, struct dx_err *err) DX_CHECKED;
void heritage_fini(struct heritage *h);
/* The next line with this first word, without it; *rest begins zeroed. */
bool heritage_next(const struct heritage *h, const char *word, struct dx_slice *rest,
                   struct dx_slice *out) DX_CHECKED;
uint64_t heritage_value(const struct heritage *h, const char *word); /* 0: there is none */
uint64_t heritage_number(struct dx_slice *line);                     /* takes it from the line */
int heritage_fd(struct dx_slice *line); /* the same, close-on-exec from now on; -1 */
bool heritage_process(struct dx_slice line, struct process *out, uint64_t *left_ms) DX_CHECKED;

/* ---- inherit.c: what is taken over of it while we start ---- */

int inherit_fd(const struct control *c, const char *word); /* -1: there is none */
/* The board of the program before us; a new one where there was none, or one that is laid out otherwise. */
struct dx_board *inherit_board(const struct control *c, struct dx_err *err) DX_CHECKED;
uint64_t inherit_left_us(const struct heritage *h, pid_t leaver);

/* ---- upgrade.c: another program in our place ---- */

#define UPGRADE_ASKED 8

struct upgrade {
    char *program; /* the file that this one was started from */
    pid_t child;   /* the rehearsal under way; 0: none */
    int said_fd;
    char said[4096];
    size_t said_n;
    struct dx_watch watch;
    struct dx_timer limit;
    struct dx_admin_reply *asked[UPGRADE_ASKED];
    unsigned asked_n;
    bool queued;              /* until a reload is done */
    bool going_on;            /* this is the new program, and the new data process is not ready yet */
    int heirs[UPGRADE_ASKED]; /* connections of those who asked the old program */
    unsigned heirs_n;
    char from[64]; /* its version */
    unsigned done;
};
void upgrade_ask(struct control *c, struct dx_admin_reply *reply); /* reply NULL: a signal asks */
void upgrade_on_child(struct control *c, pid_t pid, int status);   /* fine when it is none of ours */
bool upgrade_is_under_way(const struct control *c);
void upgrade_run_queued(struct control *c);
void upgrade_cancel(struct control *c, const char *why);
void upgrade_go_on(struct control *c, const struct heritage *h);
void upgrade_tell(struct control *c, const char *failure); /* NULL: it is done */
void upgrade_answer_heirs(struct control *c, unsigned status, const char *text);

/* ---- control.c ---- */

#define REPLIES 8

struct replies {
    struct dx_admin_reply *at[REPLIES];
    size_t n;
};

/* ---- watchdog.c: shows the service manager that control turns, and sees to it that data does ---- */

struct watchdog {
    uint64_t period_ms; /* 0: nobody asked */
    struct dx_timer tick;
    uint64_t ticked_ms;
    uint64_t asked, asked_ms; /* the newest PING */
    pid_t asked_of;
    bool waiting; /* for the last worker to answer it */
    pid_t killed; /* a stuck data process that has not ended yet; -1: none */
    uint64_t killed_ms;
};
void watchdog_start(struct control *c); /* does nothing when nobody asked */
void watchdog_stop(struct control *c);

/* ---- looks.c: what runs, asked of the workers ---- */

#define LOOKERS 64

struct looks {
    struct dx_census *census;
    uint64_t serial; /* of the question asked last */
    uint64_t asked_us;
    unsigned wait_ms;
    struct dx_timer poll;
    struct dx_admin_reply *waiting[LOOKERS];
    size_t waiting_n;
};
bool look_open(struct control *c, struct dx_err *err) DX_CHECKED;
void look_ask(struct control *c, struct dx_admin_reply *reply); /* to /status; answered now or later */
void look_end(struct control *c);

/* Where admin is asked now. */
struct door {
    char *text; /* the path, or the address as configured: its identity over reloads; NULL: shut */
    char shown[DX_ADDRESS_TEXT];
    int fd; /* the listening socket; the door stands on a copy of it */
    struct dx_admin_door *door;
};

struct control {
    uint32_t magic;
    const char *file; /* as given on the command line; NULL: the default search at each reload */
    int exit_code;
    uint64_t started_us;
    char *user; /* as started: what a reload cannot change */
    enum dx_sandbox_mode sandbox;
    bool core_dumps;

    struct dx_loop *loop;
    struct dx_board *board;
    struct dx_fetcher *fetcher;
    struct dx_health *health;
    struct dx_resolver *resolver;
    struct dx_admin *admin;
    struct door doors[DOORS];
    struct looks looks;
    struct dx_history *history;
    struct dx_timer sampling;
    struct dx_signal on_term, on_int, on_hup, on_child, on_usr1, on_usr2;

    struct plan *now, *next;
    const struct plan *on_board; /* the plan whose pools the board shows */
    uint64_t generations;        /* given out so far */
    unsigned reloads;
    struct replies asked, queued; /* who waits for the reload under way; for the one after it */
    bool reload_queued;
    struct {
        uint64_t at_us, wall_us; /* at_us 0: there was none */
        uint64_t ok_wall_us;     /* of the last one that was not refused */
        unsigned refused;        /* so far */
        bool ok;
        char text[sizeof((struct dx_err){{0}}.text)]; /* why not, or which settings wait for a restart */
    } last_reload;
    enum dx_log_level log_level;         /* in force: the configuration's, or an operator's */
    char *maintained[DX_BOARD_SWITCHES]; /* what is under maintenance by hand; "": everything */
    size_t maintained_n;
    const char **listen_shown; /* for the facts, as the next one */
    struct dx_admin_leaving *leaving_shown;

    struct activation given;
    struct watchdog watchdog;
    struct crew crew;
    struct letters letters;
    struct upgrade upgrade;
    struct heritage heritage; /* while we start */
    struct leaver *leavers;
    bool crew_comes; /* the plan that is prepared is for another data process */
    bool swapping;   /* `data` is to serve the next plan, and one of the leavers serves until then */
    struct dx_timer swap_limit;
    pid_t data;      /* -1: none runs */
    bool data_ready; /* it serves the plan in force */
    bool ever_ready;
    bool folder_waits; /* data spools in another folder than the plan in force says: that one is out of its
                          reach */
    char sandbox_text[DX_SANDBOX_TEXT]; /* what data says it has given up */
    bool sandbox_told;                  /* by this data process */
    int forbidden;                      /* the system call that data ended itself for; -1: none */
    uint64_t data_started_us;
    unsigned deaths;       /* of data processes that served, unasked */
    unsigned quick_deaths; /* in a row */
    unsigned early_deaths; /* before the first READY */
    struct dx_timer respawn;
    int news; /* eventfd */
    struct dx_watch news_watch;

    bool stopping;
    struct dx_timer grace;
};

void control_end(struct control *c, int exit_code);                     /* leaves the loop */
void control_set_log_level(struct control *c, enum dx_log_level level); /* its own */
unsigned control_workers(const struct dx_config *config);               /* `auto` made a number */
/* Letters from data and its end, as they mean something. */
void control_on_ready(struct control *c, uint64_t generation, const char *unapplied);
void control_on_refused(struct control *c, uint64_t generation, const char *why);
void control_on_sandbox(struct control *c, const char *text);
void control_on_data_ended(struct control *c, bool clean); /* clean: it left with code 0 */
void control_on_leaver_ended(struct control *c);
bool control_start_log(const struct control *c, struct dx_err *err) DX_CHECKED;
void control_end_log(void);
bool control_settle(struct control *c,
                    struct dx_err *err) DX_CHECKED; /* what only a new data process can change */

void control_turn_log(const struct dx_journal_way *w); /* control's own lines go there; takes it over */

/* ---- logs.c ---- */

/* Opens what `now` (may be NULL) does not have already. All or nothing: logs_close in any case. */
bool logs_open(struct plan *p, const struct plan *now, struct dx_err *err) DX_CHECKED;
void logs_close(struct plan *p);
void logs_fall_back(struct plan *p); /* to the standard streams, what is not open */
/* A way of its own, with a descriptor of its own. */
bool logs_way(const struct plan *p, unsigned which, struct dx_journal_way *out) DX_CHECKED;
void logs_send(struct control *c, const struct plan *p); /* both, to data */
void logs_follow(struct control *c,
                 const struct plan *before); /* c->now is in force, and the other one was */
/* All that have names. True: *out is JSON; else it says to a person what could not be opened, and goes on as
 * it was. `out` may be NULL: an event says it in any case. */
bool logs_reopen(struct control *c, struct dx_text *out) DX_CHECKED;

/* ---- child.c ---- */

void child_start(struct control *c);
void child_reap(struct control *c); /* every child that ended; PID 1 gets strangers too */
void child_kill(struct control *c);

/* ---- reload.c ---- */

void reload_ask(struct control *c, struct dx_admin_reply *reply); /* reply NULL: a signal asks */
void reload_on_ready(struct control *c);                          /* data serves the next plan */
void reload_fail(struct control *c, const char *why);             /* back to the plan in force */
void reload_run_queued(struct control *c);
void reload_swap(struct control *c);                    /* the file is put in force by a new data process */
void reload_cancel(struct control *c, const char *why); /* whoever waits is told */

/* ---- pools.c ---- */

/* Puts the plan's pools on the board and has them resolved and probed. False: the board is full, or libcurl
 * cannot be had; call it again with the plan in force. */
bool pools_watch(struct control *c, struct plan *p, struct dx_err *err) DX_CHECKED;
/* Takes those off that `gone` has and `kept` has not. */
void pools_forget(struct control *c, const struct plan *gone, const struct plan *kept);
void pools_inherit(struct control *c, struct dx_slice line); /* a line "pool" of what was handed over */
void pools_on_change(void *control, uint32_t board_pool);
void pools_news(struct control *c);
/* The plan shown on the board is in force for good. */
void pools_settle(struct control *c);

/* ---- routes.c: called by pools.c, with the pools ---- */

void routes_watch(struct control *c, const struct plan *p);
void routes_forget(struct control *c, const struct plan *gone, const struct plan *kept);

/* ---- drain.c ---- */

/* POST /drain and /undrain, or a look: DX_ADMIN_DRAIN_.... True: *out is JSON; else the reason for a person.
 */
bool drain_server(struct control *c, enum dx_admin_drain what, struct dx_slice server,
                  struct dx_text *out) DX_CHECKED;

/* ---- hold.c ---- */

/* POST /hold and /release. True: *out is JSON; else the reason for a person. */
bool hold_pool(struct control *c, enum dx_board_hold hold, struct dx_slice pool,
               struct dx_text *out) DX_CHECKED;

/* ---- maintenance.c ---- */

/* POST /maintenance: of a pool, a route, or ("" or "*") everything. False: the reason for a person. */
bool maintenance_switch(struct control *c, bool on, struct dx_slice name, struct dx_text *out) DX_CHECKED;
/* What was on in the program before us, on the same board or on a new one. */
void maintenance_inherit(struct control *c, struct dx_slice name);
void maintenance_fini(struct control *c);

/* ---- doors.c: where admin is asked ---- */

bool doors_open(struct control *c, struct dx_err *err) DX_CHECKED; /* at the start */
void doors_close(struct control *c);
/* Opens what the plan asks for and what is not open yet, and has nobody let in. */
bool doors_prepare(const struct control *c, struct plan *p, struct dx_err *err) DX_CHECKED;
void doors_forget(struct plan *p); /* what was prepared and is not in use */
/* The plan is in force, in place of `old` (NULL: of none). False: not all of them could be opened. */
bool doors_use(struct control *c, struct plan *p, const struct plan *old, struct dx_err *err) DX_CHECKED;

/* ---- facts.c: what is told and done there ---- */

const struct dx_admin_owner *door_owner(struct control *c, struct dx_admin_owner *out);

/* ---- history.c: what the page shows of the time before it was opened ---- */

bool history_start(struct control *c, struct dx_err *err) DX_CHECKED;
void history_stop(struct control *c);
void history_tell(void *control, uint64_t since, struct dx_text *out); /* GET /history */

/* ---- notify.c: tells systemd, when it asked to be told ---- */

void notify_state(const char *state);

#endif
