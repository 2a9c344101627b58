/* SPDX-License-Identifier: MIT */
/*
 * The meaning of HTTP messages (RFC 9110), apart from how a version writes them on the wire: methods, fields, statuses,
 * framing decided once. Pure: no descriptors, no clock, no allocation. All slices are borrowed from the bytes that were parsed.
 */
#ifndef DIPLEX_HTTP_H
#define DIPLEX_HTTP_H

#include "diplex/base/slice.h"
#include "diplex/base/text.h"

enum dx_method { /* anything else is DX_METHOD_OTHER: forwarded, never retried */
    DX_METHOD_OTHER, DX_METHOD_GET, DX_METHOD_HEAD, DX_METHOD_POST, DX_METHOD_PUT, DX_METHOD_DELETE,
    DX_METHOD_OPTIONS, DX_METHOD_PATCH, DX_METHOD_TRACE, DX_METHOD_CONNECT,
};

/* Fields that the proxy knows; DX_FIELD_OTHER is 0. src/http/fields.def: FIELD(id, "lower-case-name", rules). */
enum dx_field_id {
    DX_FIELD_OTHER,
#define FIELD(id, name, rules) DX_FIELD_##id,
#include "diplex/http_fields.def"
    DX_FIELD_COUNT,
};

/* What happens to a field on its way; columns of the table. */
enum dx_field_rule {
    DX_RULE_HOP = 1,        /* hop-by-hop (RFC 9110 7.6.1): never forwarded in either direction */
    DX_RULE_CLAIM = 2,      /* a claim about the client's address, scheme or host: only a trusted peer's is believed */
    DX_RULE_STRIP_REQ = 4,  /* never forwarded to a server: it would be an order to it, or ours to say */
    DX_RULE_STRIP_RES = 8,  /* never forwarded to a client: an order to the proxy */
    DX_RULE_NO_TRAILER = 16 /* framing, routing, authentication, content control: never allowed in trailers (RFC 9110 6.5.1) */
};

struct dx_field {
    struct dx_slice name; /* as it came */
    struct dx_slice value; /* without surrounding OWS */
    enum dx_field_id id;
    bool drop; /* named by Connection, or otherwise not to be forwarded */
};

struct dx_fields {
    struct dx_field *at; /* storage lent by the caller */
    unsigned n, max;
};

enum dx_target_form { DX_TARGET_ORIGIN, DX_TARGET_ABSOLUTE, DX_TARGET_AUTHORITY, DX_TARGET_ASTERISK };
enum dx_framing { DX_FRAMING_NONE, DX_FRAMING_LENGTH, DX_FRAMING_CHUNKED, DX_FRAMING_CLOSE };

struct dx_request {
    enum dx_method method_id;
    struct dx_slice method;
    enum dx_target_form form;
    struct dx_slice target; /* as it came */
    struct dx_slice path;   /* raw path of the target, "/" at least, "*" for the asterisk form */
    struct dx_slice query;  /* with its '?', or empty */
    struct dx_slice host;   /* of an absolute target, else of Host; with its port; may be empty in HTTP/1.0 */
    struct dx_slice host_name; /* of that, as it came: without the port and a trailing dot */
    unsigned minor;         /* HTTP/1.minor: 0 or 1 (higher minors are read as 1) */
    struct dx_fields fields;
    enum dx_framing framing; /* NONE, LENGTH (0 included) or CHUNKED */
    uint64_t length;
    bool keep_alive;        /* the client wants the connection kept (RFC 9112 9.3) */
    bool expect_continue;
    bool upgrade;           /* Connection: upgrade with an Upgrade field, HTTP/1.1 */
    bool websocket;         /* ... and the Upgrade names websocket */
    bool counted;           /* OPTIONS with Max-Forwards (RFC 9110 7.6.2) */
    uint64_t max_forwards;  /* then: as it came; 0: not to be forwarded */
};

struct dx_response {
    unsigned status; /* 100..599 */
    struct dx_slice reason;
    unsigned minor;
    struct dx_fields fields;
    enum dx_framing framing; /* as decided by RFC 9112 6.3 with the request's method */
    uint64_t length;         /* framing LENGTH; for HEAD and 304 the field's value is only forwarded */
    bool keep_alive;         /* the server keeps the connection */
    bool upgrade;            /* 101 with Connection: upgrade and Upgrade: websocket */
    bool no_trailers;        /* Connection names fields: they end here in the trailers too (RFC 9110 7.6.1), with all others */
    bool offers_websocket;   /* 426 with the same: what the client has to upgrade to (RFC 9110 15.5.22) */
    bool stream;             /* text/event-stream, application/jsonl, x-ndjson, ... or X-Accel-Buffering: no: never held back */
};

/* A refusal: the status to answer with and the reason for the log (static string). */
struct dx_http_error {
    unsigned status;
    const char *reason;
};

enum dx_method dx_http_method(struct dx_slice name); /* case-sensitive (RFC 9110 9.1) */
bool dx_http_method_idempotent(enum dx_method m);    /* RFC 9110 9.2.2 */
bool dx_http_method_safe(enum dx_method m);          /* RFC 9110 9.2.1 */
enum dx_field_id dx_http_field_id(struct dx_slice name);
unsigned dx_http_field_rules(enum dx_field_id id);
const char *dx_http_field_name(enum dx_field_id id);
const char *dx_http_reason(unsigned status);         /* "Not Found"; "" when unknown */

/* First field with this id, or NULL. */
const struct dx_field *dx_http_find(const struct dx_fields *f, enum dx_field_id id);

/* Decides host, framing, keep_alive, expect, upgrade of a request whose fields are parsed, and marks with `drop` what Connection
 * names. Refuses what RFC 9112 3.2, 6.1, 6.3 and RFC 9110 5.3, 8.6 refuse: see the .c file for the list. */
bool dx_http_request_meaning(struct dx_request *r, struct dx_http_error *err) DX_CHECKED;
/* The same for a response to a request of this method. An error's status is always 502. */
bool dx_http_response_meaning(struct dx_response *r, enum dx_method request, struct dx_http_error *err) DX_CHECKED;

/* text/event-stream and its like, whatever parameters follow: the value of a Content-Type. */
bool dx_http_is_stream_type(struct dx_slice content_type);

/* A media type that could be answered with, and how well it suits the client: `q` from 0 (not at all) to 1000, by the range of its
 * Accept that names the type most closely: `close` 1 for any type, 2 for the first half, more for the whole; 0: none does. `at` is the place of that range, from 1. */
struct dx_http_offer { struct dx_slice type; unsigned q, close, at; };
/* Weighs the offers by the value of one Accept field (RFC 9110 12.5.1). For several fields it is called for each: offers start with nothing but their
 * type, and *ranges, which counts the ranges that could be read, with 0. */
void dx_http_accept(struct dx_slice value, struct dx_http_offer *offers, unsigned n, unsigned *ranges);

/* The path used for matching: percent-decoded once, dot segments removed (RFC 3986 5.2.4), everything else as it is. Uses buf (at least
 * path.n bytes) only when something changes; otherwise *out is the path itself. False: bad escape, or NUL inside. */
bool dx_http_path_normalise(struct dx_slice path, char *buf, size_t n, struct dx_slice *out) DX_CHECKED;

/* Its parts. is_normal: nothing to decode and no segment that begins with a dot (a path that begins with '/'). decode: into buf, at least path.n
 * bytes; false as above. resolve: removes the dot segments of a decoded path in place, which makes it shorter if there are any. */
bool dx_http_path_is_normal(struct dx_slice path);
bool dx_http_path_decode(struct dx_slice path, char *buf, size_t n, struct dx_slice *out) DX_CHECKED;
size_t dx_http_path_resolve(char *path, size_t n);

/* host without port, lower-cased into buf (up to n bytes), brackets of IPv6 kept, a trailing dot removed; port 0 if none. False: not a host. */
bool dx_http_host_split(struct dx_slice host, char *buf, size_t n, struct dx_slice *name, uint16_t *port) DX_CHECKED;

#endif
