/* SPDX-License-Identifier: MIT */
/*
 * The configuration: from YAML text to an immutable model, with every fault found at once and named by file:line:column.
 * One table, settings.def, says what can be set: it feeds this parser, the defaults, docs/configuration.md and the JSON Schema.
 */
#ifndef DIPLEX_CONFIG_H
#define DIPLEX_CONFIG_H

#include "diplex/balance.h"
#include "diplex/base/log.h"
#include "diplex/base/text.h"
#include "diplex/config/log.h"
#include "diplex/config/pages.h"
#include "diplex/os/address.h"

enum dx_kind { DX_KIND_WSGI, DX_KIND_ASGI };
enum dx_client_ip { DX_CLIENT_IP_FORWARDED, DX_CLIENT_IP_PROXY_PROTOCOL };

enum dx_sandbox_mode { DX_SANDBOX_ON, DX_SANDBOX_OFF, DX_SANDBOX_REQUIRE };

enum dx_admin_read { DX_ADMIN_READ_TOKEN, DX_ADMIN_READ_OPEN };

enum dx_fair { DX_FAIR_NONE, DX_FAIR_CLIENT_IP };

/* All durations in milliseconds; 0 means none where the manual says so. */
struct dx_listen_config {
    const char *text; /* as written, after ${} */
    struct dx_address address;
    unsigned mode;    /* of a Unix socket file, 0660 by default */
    bool proxy_protocol; /* connections begin with a header of the PROXY protocol; trusted is not empty then */
};

struct dx_names {
    const char **at;
    unsigned n;
};

struct dx_server_config {
    const char *text;         /* "web:8000", as written: the server's name everywhere */
    const char *host;         /* a name or numeric address; NULL for Unix sockets */
    uint16_t port;
    struct dx_address address; /* known at once for numeric addresses and Unix sockets; len 0: a name to resolve */
    unsigned weight;
    bool backup;
};

enum dx_sticky { DX_STICKY_OFF, DX_STICKY_COOKIE, DX_STICKY_CLIENT_IP, DX_STICKY_HEADER };

struct dx_status_range { unsigned from, to; };
#define DX_EXPECT_MAX 8

struct dx_health_config {
    bool enabled;
    const char *path, *host; /* host: unless set, the first route host of the pool, else "localhost"; never a server's name */
    uint64_t interval, timeout, start_period;
    unsigned retries;        /* failures in a row before a server is down */
    struct dx_status_range expect[DX_EXPECT_MAX];
    unsigned expect_n;
};

struct dx_pool_config {
    const char *name;
    enum dx_kind kind;
    enum dx_balance balance;
    struct dx_server_config *servers; unsigned servers_n;
    uint64_t slow_start; /* 0: none */
    struct { enum dx_sticky by; const char *cookie, *header, *secret; } sticky; /* the name that `by` asks for is set, the other is NULL; secret may be NULL */
    enum dx_client_ip client_ip; /* how servers are told who the client is; with PROXY_PROTOCOL keepalive.max is 0 */
    struct dx_health_config health;
    struct { uint64_t idle; unsigned max; } keepalive; /* connections to servers: idle time by kind, idle connections per worker and server; max 0: never kept */
    struct { unsigned failures, max; uint64_t within, lasts; } eject;  /* passive marking: `eject: {failures, within, for, max}`; failures 0: off; max in percent */
    struct { uint64_t connect, response, idle, tunnel; } timeouts; /* idle, tunnel: 0 = silence never ends it (asgi's default) */
    unsigned slots; /* requests at a time on each server, over all workers; 0: no cap */
    struct { unsigned max; uint64_t wait; enum dx_fair fair_by; } queue; /* for a slot */
    struct { uint64_t wait, bytes; unsigned max; } hold; /* while no server can take a request; wait 0: off */
    struct { unsigned max; bool idempotency_key, ask_first; } retry; /* of requests that were sent */
    uint64_t body_limit;
    unsigned line; /* in the file, for messages; 0: built in */
};

struct dx_route_config {
    const char *host, *path; /* host "" for every host; lower case */
    unsigned pool;           /* index into pools */
    unsigned share;          /* of the pool's slots, in per cent; 100: all */
    enum dx_route_log log;   /* which of its requests have a line in the access log */
    uint64_t body_limit;     /* its pool's unless set */
    struct dx_page_uses error_pages; struct dx_maintenance_config maintenance; /* of this: what is unsaid is the top level's */
    unsigned line;
};

struct dx_config {
    const char *file; /* the name it was read from; "(built in)" */
    struct dx_listen_config *listen; unsigned listen_n;
    unsigned workers;           /* `auto` is resolved by the caller: 0 here */
    const char *user;           /* to drop to when started as root */
    enum dx_sandbox_mode sandbox;
    bool core_dumps;
    struct {
        const char *socket;             /* path of the admin socket; NULL: off */
        struct dx_listen_config listen; /* text NULL: none. TCP */
        const char *token;              /* for it; not NULL where listen is */
        enum dx_admin_read read;
        struct dx_names hosts; /* under which it may be called, beside addresses */
    } admin;
    struct { struct dx_listen_config listen; } metrics; /* text NULL: none */
    uint64_t shutdown_timeout, upgrade_timeout, resolve; /* resolve: names are looked up again at this interval */
    struct dx_cidr *trusted; unsigned trusted_n;
    enum dx_access_format access;
    struct dx_log_config log; struct dx_trace_config trace;
    enum dx_log_query query; /* of a request, in the access log */
    enum dx_log_level log_level;
    uint64_t hints; /* between two lines of the same hint about the same pool; 0: none is said */
    struct { uint64_t header, body, send, idle; } timeouts; /* the client's side: time-outs for its head, between pieces of its body, for it to take an answer, between requests */
    struct {
        uint64_t header_size, url, body;
        unsigned header_count;
        unsigned connections, connections_per_client, tunnels; /* over all workers; 0: `auto`, resolved where descriptors are known */
        unsigned connection_requests;                          /* 0: no limit */
        uint64_t connection_time;                              /* 0: no limit */
        uint64_t body_rate, send_rate;                         /* bytes a second; 0: no limit */
    } limits;
    struct { uint64_t memory; const char *path; uint64_t response_size, total_memory, total_disk; } buffer; /* spooled bodies: this much in memory, then an unlinked file here; of an answer at most response_size in the file; the totals are over all bodies */
    struct dx_page_file *page_files; unsigned page_files_n; /* of all pages, each once */
    struct dx_page_uses error_pages; struct dx_maintenance_config maintenance;
    struct dx_pool_config *pools; unsigned pools_n;
    struct dx_route_config *routes; unsigned routes_n;
};

/* Faults, in the order of the file. */
struct dx_config_fault {
    unsigned line, column; /* from 1; 0 when the fault has no place */
    char text[256];        /* with "did you mean" where one is near */
};

struct dx_config_faults {
    struct dx_config_fault *at; /* owned by this struct */
    size_t n, cap;
};

typedef const char *(*dx_config_env)(const char *name, void *arg); /* NULL when unset */

/* Reads YAML text. NULL when there is any fault; *faults (which the caller has zeroed and frees with dx_config_faults_fini) then holds at least one. The model is
 * freed by dx_config_free. `file` is used for messages only. */
struct dx_config *dx_config_parse(struct dx_slice text, const char *file, dx_config_env env, void *arg, struct dx_config_faults *faults) DX_CHECKED;
/* The configuration in force without any file: two pools on 127.0.0.1:8000 and :8001, listening on :8080 (DESIGN 6). Its YAML text is returned by
 * dx_config_builtin_text, so that every configuration comes from a text. */
struct dx_slice dx_config_builtin_text(void);
void dx_config_free(struct dx_config **c);

/* "file:line:column: error: text", the line itself and a caret below the place, for each fault. */
void dx_config_faults_print(const struct dx_config_faults *faults, struct dx_slice text, const char *file, struct dx_text *out);
void dx_config_faults_fini(struct dx_config_faults *faults);

/* The effective configuration as YAML, each derived or default value with a comment that says where it comes from: `diplex check`. */
void dx_config_print(const struct dx_config *c, struct dx_text *out);
/* docs/configuration.md and config/diplex.schema.json, from the table. */
void dx_config_manual(struct dx_text *out);
void dx_config_schema(struct dx_text *out);

#endif
