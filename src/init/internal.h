/* SPDX-License-Identifier: MIT */
/*
 * What the parts of `init` share. All texts live in one arena, which dies with the reading. Out of memory is
 * remembered and told once, at the end: until then a text that could not be kept is empty.
 */
#ifndef INIT_INTERNAL_H
#define INIT_INTERNAL_H

#include "diplex/base/arena.h"
#include "diplex/config/tree.h"
#include "diplex/init.h"

struct init {
    struct dx_arena arena;
    bool no_memory;
    const char *folder; /* of the compose file; all other paths begin there. "" is the current one */
    dx_init_env env;
    void *arg;
    struct dx_text *notes;
};

struct place {
    const char *file; /* relative to the folder of the compose file */
    unsigned line;
};

/* ---- words.c: texts, variables, words of a shell ---- */

void *init_take(struct init *in, size_t n, size_t bytes); /* zeroed; NULL sets no_memory */
struct dx_slice init_keep(struct init *in, struct dx_slice s);
struct dx_slice init_printf(struct init *in, const char *fmt, ...) DX_PRINTF(2, 3);
bool init_contains(struct dx_slice s, const char *part);
struct dx_slice init_base_name(struct dx_slice path);

struct variable {
    struct dx_slice name, value;
    struct place at;
    struct variable *next; /* the newest first: it counts */
};
void init_set(struct init *in, struct variable **all, struct dx_slice name, struct dx_slice value,
              struct place at);
const struct variable *init_get(const struct variable *all, const char *name);
/* NAME=value, and NAME alone as the environment has it. */
void init_set_pair(struct init *in, struct variable **all, struct dx_slice pair, struct place at);

/* $NAME, ${NAME}, ${NAME:-default} and their like; those that nobody knows stay as they are. `compose`: $$ is
 * a dollar sign, and what `all` has not may be in the environment. */
struct dx_slice init_expand(struct init *in, struct dx_slice text, const struct variable *all, bool compose);

struct word {
    struct dx_slice text;
    struct place at;
    bool ends; /* not a word but `&&`, `;`, `|`...: what follows is another command */
};
struct words {
    struct word *at;
    size_t n, cap;
};
void init_add_word(struct init *in, struct words *to, struct dx_slice text, struct place at, bool ends);
/* Quotes and continued lines as a shell has them; `shell`: variables, operators and comments too, which
 * compose and Docker do not know in a command. */
void init_split(struct init *in, struct dx_slice text, struct place at, bool shell,
                const struct variable *all, struct words *to);

/* ---- files.c: what stands beside the compose file ---- */

/* False: it cannot be read, or is too large. */
bool init_read(struct init *in, const char *path, struct dx_slice *out) DX_CHECKED;
const char *init_join(struct init *in, const char *folder, struct dx_slice path);
void init_read_variables(struct init *in, const char *path, struct variable **all); /* lines of NAME=value */

struct image {                  /* what a Dockerfile says of its last stage */
    const char *file, *context; /* NULL: there is none */
    struct words entrypoint, command;
    struct word health;
    struct copied {
        struct dx_slice from, to;
        struct copied *next;
    } * copied;
    struct variable *variables;
};
void init_read_image(struct init *in, const char *context, struct dx_slice dockerfile, struct image *out);
/* The file of the project that a path in the image is a copy of, as far as it can be told. */
bool init_find_script(struct init *in, const struct image *image, struct dx_slice path, const char **file,
                      struct dx_slice *text) DX_CHECKED;

/* ---- server.c: what a command runs ---- */

enum server {
    SERVER_NONE,
    SERVER_GUNICORN,
    SERVER_UVICORN,
    SERVER_DAPHNE,
    SERVER_HYPERCORN,
    SERVER_RUNSERVER
};
enum field {
    BIND,
    HOST,
    PORT,
    UDS,
    WORKERS,
    THREADS,
    TIMEOUT,
    KEEPALIVE,
    WORKER_CLASS,
    CONFIG_FILE,
    TRUST,
    FIELDS
};

struct found {
    enum server server;
    struct place at;
    bool is_asgi;
    struct value {
        struct dx_slice text;
        struct place at;
        const char *how; /* "--workers", "WEB_CONCURRENCY"; NULL: not set */
    } values[FIELDS];
};
/* Looks through a command, and the scripts that it runs. */
void init_find_server(struct init *in, const struct image *image, const struct variable *all,
                      const struct words *words, struct found *out);
const char *init_server_name(enum server s);

/* ---- write.c ---- */

struct service {
    struct dx_slice name;
    unsigned line;
    struct found found;
    struct word health;   /* the whole check as one text */
    struct word ports;    /* published, as one text */
    bool trusts;          /* FORWARDED_ALLOW_IPS is set */
    struct service *next; /* in the order of the file */
};
void init_write(struct init *in, const char *file, const struct service *services, struct dx_text *out);

#endif
