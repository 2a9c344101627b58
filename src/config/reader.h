/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the parser share: the tree that YAML becomes, the reader that walks it, faults, and a
 * hash table. The tree and the tables live in `scratch`, which dies when parsing ends; what the model keeps
 * is copied to its own arena. Out of memory is remembered in the reader and told once, at the end.
 */
#ifndef DIPLEX_CONFIG_READER_H
#define DIPLEX_CONFIG_READER_H

#include "config/table.h"
#include "diplex/base/arena.h"
#include "diplex/config/tree.h"

/* A hash table from texts to pointers. Zeroed with the arena set it is empty. Keys are borrowed. */
struct dx_config_index {
    struct dx_arena *arena;
    struct dx_index_slot *slots;
    size_t n, cap;
};
void *dx_config_index_get(const struct dx_config_index *ix, struct dx_slice key); /* NULL: not there */
bool dx_config_index_put(struct dx_config_index *ix, struct dx_slice key, void *value) DX_CHECKED;

/* The model and what printing it needs besides. */
struct dx_config_owned {
    uint32_t magic;
    struct dx_arena arena;
    unsigned *lines;       /* for each row of the table, where it was set at the top level; 0: it was not */
    unsigned **pool_lines; /* the same for each pool */
    const char **trusted;  /* trusted_proxies as written */
    unsigned trusted_n;
    struct dx_config model;
};

struct dx_config_reader {
    struct dx_arena scratch;
    struct dx_config_owned *own;
    struct dx_config_faults *faults;
    dx_config_env env;
    void *arg;
    bool no_memory;
    unsigned *lines; /* of the object that is being read; NULL: nobody asks */
    struct dx_node *pools, *routes;
    struct dx_config_index pool_names; /* to struct dx_config_pool_entry */
    struct dx_config_pool_entry *first, **last;
};

/* A pool as it is collected, before the model's array is made. */
struct dx_config_pool_entry {
    struct dx_pool_config pool;
    unsigned index;
    unsigned *lines;
    struct dx_config_pool_entry *next;
};

const struct dx_config_owned *dx_config_owned_of(const struct dx_config *c);
struct dx_config_owned *dx_config_owned_mutable(struct dx_config *c);

/* Memory, zeroed; NULL sets no_memory. */
void *dx_config_take(struct dx_config_reader *r, struct dx_arena *arena, size_t n, size_t bytes) DX_CHECKED;
const char *dx_config_keep(struct dx_config_reader *r,
                           struct dx_slice s); /* in the model; "" when out of memory */

/* Faults. */
void dx_config_fault_at(struct dx_config_reader *r, unsigned line, unsigned column, const char *fmt, ...)
    DX_PRINTF(4, 5);
void dx_config_fault(struct dx_config_reader *r, const struct dx_node *at, const char *fmt, ...)
    DX_PRINTF(3, 4);
bool dx_config_faults_full(const struct dx_config_faults *f);
void dx_config_faults_sort(struct dx_config_faults *f);

/* "Did you mean": try each candidate, then print the hint, which is empty when none is near. */
struct dx_config_nearest {
    struct dx_slice word, best;
    unsigned distance;
};
void dx_config_nearest_try(struct dx_config_nearest *near, struct dx_slice candidate);
const char *dx_config_nearest_hint(const struct dx_config_nearest *near, char buf[128]);

/* YAML to the tree. *out is NULL for a file without content. False: there are faults. */
bool dx_config_load(struct dx_config_reader *r, struct dx_slice text, struct dx_node **out) DX_CHECKED;

/* A text's value with ${} put in; never empty, never with control characters. `what` is its key, for the
 * fault. */
bool dx_config_text(struct dx_config_reader *r, struct dx_node *n, const char *what,
                    struct dx_slice *out) DX_CHECKED;
bool dx_config_is_null(const struct dx_node *n);
/* Position of the first byte that is not UTF-8, or s.n. */
size_t dx_config_utf8_check(struct dx_slice s);

/* Reading by the table. `base` is the scope's owner's object. */
void dx_config_read_value(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                          void *base);
/* The short form, `off`, or the mapping; `at` is the place for what is missing. */
void dx_config_read_group(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *at,
                          struct dx_node *v, void *base);
void dx_config_read_map(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *map,
                        void *base);
void dx_config_read_defaults(struct dx_config_reader *r, enum dx_config_scope owner, enum dx_kind kind,
                             void *base);
void dx_config_need(struct dx_config_reader *r, enum dx_config_scope scope, const struct dx_node *at,
                    const struct dx_node *map);

/* Values of single types: write through `base` and `s->place`, or leave a fault. */
typedef void (*dx_config_read)(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base);
void dx_config_read_number(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                           void *base);
void dx_config_read_word(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base);
void dx_config_read_flag(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base);
void dx_config_read_text(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base);
void dx_config_read_log_target(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base);
void dx_config_read_statuses(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                             void *base);
void dx_config_read_listens(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                            void *base);
void dx_config_read_listen_address(struct dx_config_reader *r, const struct dx_config_setting *s,
                                   struct dx_node *v, void *base);
void dx_config_check_listens(struct dx_config_reader *r, const struct dx_node *root);
/* The place holds a struct dx_listen_config; its text NULL is `off`. */
void dx_config_read_tcp_address(struct dx_config_reader *r, const struct dx_config_setting *s,
                                struct dx_node *v, void *base);
/* The place holds a struct dx_names. */
void dx_config_read_host_names(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base);
void dx_config_check_admin(struct dx_config_reader *r, const struct dx_node *root);
void dx_config_check_metrics(struct dx_config_reader *r, const struct dx_node *root);
void dx_config_read_trusted(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                            void *base);
void dx_config_read_networks(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                             void *base);
void dx_config_read_pages(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                          void *base);
void dx_config_read_error_pages(struct dx_config_reader *r, const struct dx_config_setting *s,
                                struct dx_node *v, void *base);
void dx_config_read_servers(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                            void *base);
void dx_config_read_server_address(struct dx_config_reader *r, const struct dx_config_setting *s,
                                   struct dx_node *v, void *base);
void dx_config_read_health(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                           void *base);
void dx_config_read_route_path(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base);
void dx_config_read_route_host(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base);
void dx_config_read_route_pool(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base);

/* Servers, pools, routes. */
bool dx_config_name_is_host(struct dx_slice host); /* letters, digits, '-', '.', '_' */
bool dx_config_is_ipv6_literal(struct dx_slice s); /* with its brackets */
bool dx_config_has_control(struct dx_slice s);
bool dx_config_is_url(struct dx_slice text); /* has a scheme */
/* NULL: done. Else what is wrong with the text, as the end of a sentence. Texts are kept in the model. */
const char *dx_config_server_of(struct dx_config_reader *r, struct dx_slice text,
                                struct dx_server_config *out);
const char *dx_config_url_split(struct dx_config_reader *r, struct dx_slice url, enum dx_kind *kind,
                                struct dx_slice *server);
void dx_config_read_pools(struct dx_config_reader *r);
/* The pool that a route's text names, made on the way where it is a URL; NULL with a fault. */
struct dx_config_pool_entry *dx_config_pool_named(struct dx_config_reader *r, const struct dx_node *at,
                                                  struct dx_slice name);
/* What `sticky` leaves unsaid; `value` is the pool's mapping. */
void dx_config_sticky_finish(struct dx_config_reader *r, const struct dx_node *value,
                             struct dx_pool_config *pool);
bool dx_config_pools_finish(struct dx_config_reader *r) DX_CHECKED;
bool dx_config_read_routes(struct dx_config_reader *r) DX_CHECKED;
/* The part of a route's key or host that cannot be, as a sentence; NULL: fine. *host is lower-cased into the
 * model. */
const char *dx_config_route_host(struct dx_config_reader *r, struct dx_slice text, const char **host);

#endif
