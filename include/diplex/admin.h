/* SPDX-License-Identifier: MIT */
/*
 * The admin endpoints, HTTP/1.1 over a Unix socket and, when asked for, over TCP with a token: docs/admin.md
 * lists them. For the operator's own commands and tools, never for clients. What it tells it asks of its
 * owner, who decides.
 */
#ifndef DIPLEX_ADMIN_H
#define DIPLEX_ADMIN_H

#include <sys/types.h>

#include "diplex/board.h"
#include "diplex/census.h"
#include "diplex/config.h"
#include "diplex/health.h"
#include "diplex/loop.h"

struct dx_admin;

/* What GET /status is written from; everything is borrowed until the callback that gave it is called again.
 */
struct dx_admin_reload { /* the last one that was asked for */
    bool any, ok;
    uint64_t wall_us, ms_ago;
    uint64_t ok_wall_us;       /* of the last one that was not refused; 0: there was none */
    unsigned refused;          /* so far */
    const char *error;         /* why not, in one line */
    const char *after_restart; /* settings of it that are not in force */
};

struct dx_admin_leaving { /* a data process that was replaced, and has not ended yet */
    pid_t pid;
    uint64_t for_ms;
    bool seen; /* what follows is known */
    uint64_t requests, connections;
};

struct dx_admin_facts {
    bool ready;                  /* data serves with the generation in force */
    const char *state;           /* "starting", "ready", "restarting", "stopping" */
    const char *file;            /* of the configuration */
    pid_t control_pid, data_pid; /* data_pid -1: none runs */
    uint64_t uptime_ms, generation;
    unsigned workers, reloads;
    unsigned data_deaths; /* unasked */
    const char *sandbox;  /* what data has given up, as it says; NULL: it has not said yet */
    const struct dx_admin_leaving *leaving;
    size_t leaving_n;
    const char *const *listen; /* the addresses in force */
    size_t listen_n;
    const char *admin_socket, *admin_listen; /* the doors in force; NULL: shut */
    struct dx_admin_reload reload;
    enum dx_log_level log_level;
    char *const *maintained; /* what is under maintenance by hand: pools and routes; "": everything */
    size_t maintained_n;
    const struct dx_config *config;
    const struct dx_board *board;
    const struct dx_health *health; /* may be NULL */
};

enum dx_admin_result {
    DX_ADMIN_RELOADED, /* 200 */
    DX_ADMIN_REFUSED,  /* 422: the file is faulty, or cannot be put in force; nothing has changed */
    DX_ADMIN_UNABLE,   /* 503: not now */
};

struct dx_admin_reply; /* to one request; answered exactly once, at any later time */

enum dx_admin_drain { DX_ADMIN_DRAIN_LOOK, DX_ADMIN_DRAIN, DX_ADMIN_UNDRAIN };

struct dx_admin_owner {
    void (*facts)(void *arg, struct dx_admin_facts *out);
    void (*reload)(void *arg, struct dx_admin_reply *reply); /* may answer before it returns */
    void (*upgrade)(
        void *arg,
        struct dx_admin_reply *reply); /* the same; perhaps by another program: dx_admin_reply_fd */
    /* True: `out` is JSON. False: it says why not, to a person. */
    bool (*drain)(void *arg, enum dx_admin_drain what, struct dx_slice server, struct dx_text *out);
    /* The same of a pool's requests. */
    bool (*hold)(void *arg, enum dx_board_hold hold, struct dx_slice pool, struct dx_text *out);
    /* Switches maintenance of a pool, of a route or ("*") of everything. False: `out` says why not. */
    bool (*maintenance)(void *arg, bool on, struct dx_slice name, struct dx_text *out);
    /* Opens the logs' files again; the same, for POST /reopen. */
    bool (*reopen)(void *arg, struct dx_text *out);
    /* The JSON document of GET /history: what is newer than number `since`. */
    void (*history)(void *arg, uint64_t since, struct dx_text *out);
    /* What runs is to be asked of the workers, for GET /status: dx_admin_status_send follows, now or later.
     */
    void (*look)(void *arg, struct dx_admin_reply *reply);
    /* Control's and data's own log, until the next reload. False: not now. */
    bool (*level)(void *arg, enum dx_log_level level);
    void *arg;
};

struct dx_admin *dx_admin_new(struct dx_loop *l, const struct dx_admin_owner *owner) DX_CHECKED;
void dx_admin_free(struct dx_admin **a); /* replies not yet given are dead; ends all connections */

/* --- doors: where it is asked --- */

struct dx_admin_door;
struct dx_admin_door_setup { /* copied */
    int listener;            /* taken over, and closed in the end, also of a door that does not open */
    bool is_tcp;       /* else everybody who can connect may do everything: the file's mode is the guard */
    const char *token; /* TCP: what verbs need, and readers too unless `read_open`; NULL: nobody has it */
    bool read_open;
    const char *const *hosts; /* with read_open: the names under which it may be called, beside addresses */
    size_t hosts_n;
    const char *only; /* TCP: this path for everybody, and no other one ("/metrics"); NULL: all of them */
};
struct dx_admin_door *dx_admin_open(struct dx_admin *a, const struct dx_admin_door_setup *s,
                                    struct dx_err *err) DX_CHECKED;
/* Who waits for an answer still gets it. */
void dx_admin_shut(struct dx_admin_door **door);

/* `text`: with RELOADED the settings that need a restart ("workers user"), or nothing; else each fault, for a
 * person. Fine when the one who asked has left. */
void dx_admin_reply_send(struct dx_admin_reply *reply, enum dx_admin_result result, struct dx_slice text);

/* The connection of who asked, for a program that takes our place to answer on; -1: nobody is there any more.
 */
int dx_admin_reply_fd(const struct dx_admin_reply *reply);

/* To GET /status. The list: what runs, sorted; NULL: that could not be asked. Borrowed until this returns. */
void dx_admin_status_send(struct dx_admin_reply *reply, const struct dx_census_list *running);

#endif
