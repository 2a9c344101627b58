/* SPDX-License-Identifier: MIT */
/*
 * What a message becomes on its way through: which fields pass, which are added, how it is framed on the other side. Pure.
 * Used by the exchange, and by `diplex explain`, so that what is explained is what is sent.
 */
#ifndef DIPLEX_FORWARD_H
#define DIPLEX_FORWARD_H

#include "diplex/config/log.h"
#include "diplex/http.h"
#include "diplex/os/address.h"

struct dx_forward_request {
    struct dx_slice peer_ip;     /* who is at the other end of the connection: "192.0.2.1", "unix" */
    bool peer_trusted;           /* it is in trusted_proxies: its claims are believed and extended */
    const struct dx_cidr *trusted; /* the whole list, to find the client in X-Forwarded-For from the right */
    size_t trusted_n;
    bool https;                  /* the client's connection is TLS */
    struct dx_slice request_id;  /* used unless a trusted peer sent one */
    uint64_t start_us;           /* wall clock, for X-Request-Start: t=<us> */
    enum dx_framing framing;     /* of the body as it is sent to the server */
    uint64_t length;
    bool expect_continue;        /* the server itself is to say "Continue" (streamed bodies) */
    bool close;                  /* ask the server to close after this one */
    struct dx_slice traceparent; /* one of ours; empty: none. Then the client's are marked to be dropped */
};

/* The client's address as far as trust reaches (for X-Real-IP, logs, limits): the rightmost address of X-Forwarded-For that is not a
 * trusted proxy; when all are, or what stands before them is no address, the leftmost of these; the peer when there is none. A slice
 * of the fields or peer_ip itself. */
struct dx_slice dx_forward_client_ip(const struct dx_fields *f, const struct dx_forward_request *c);
/* The request id in force: a trusted peer's X-Request-ID when it is well-formed (1-128 of [A-Za-z0-9._~+/=-]), else c->request_id. */
struct dx_slice dx_forward_request_id(const struct dx_fields *f, const struct dx_forward_request *c);
/* The scheme and host the client used, by the same trust. */
struct dx_slice dx_forward_proto(const struct dx_fields *f, const struct dx_forward_request *c);

/* Whether the request's own traceparent goes on with its tracestate, by the setting and the peer. False: both are marked to be dropped now, and the
 * caller makes a new one. */
bool dx_forward_keep_trace(struct dx_fields *f, enum dx_trace_mode mode, bool peer_trusted) DX_CHECKED;

/* Writes the whole head for the server: HTTP/1.1, origin-form (asterisk for OPTIONS *), one Host, hop-by-hop fields gone, names with '_' gone,
 * claims by trust, exactly one each of X-Forwarded-For/-Proto/-Host/-Port, X-Real-IP, X-Request-ID, X-Request-Start, Via appended,
 * Content-Length or Transfer-Encoding by c->framing, Connection/Upgrade for a WebSocket. False only when *o overflowed. */
bool dx_forward_write_request(const struct dx_request *r, const struct dx_forward_request *c, struct dx_out *o) DX_CHECKED;

struct dx_forward_response {
    unsigned client_minor;   /* the client's HTTP version */
    enum dx_framing framing; /* towards the client; NONE: no framing field is added (HEAD, 204, 304: the server's Content-Length passes for HEAD and 304) */
    uint64_t length;
    bool keep_alive;         /* the client's connection stays open */
    bool upgrade;            /* 101: Connection: upgrade and the server's Upgrade pass */
    struct dx_slice date;    /* added when the server sent none (RFC 9110 6.6.1) */
    struct dx_slice set_cookie; /* one more, of ours; empty: none */
    struct dx_slice server_timing; /* the same, on final answers */
};

/* The whole head for the client (a 1xx head too: then no framing, no Connection, except 101). The status line is HTTP/1.1 whatever
 * the client speaks (RFC 9110 6.2). */
bool dx_forward_write_response(const struct dx_response *r, const struct dx_forward_response *c, struct dx_out *o) DX_CHECKED;

/* The trailer section for the client, without fields marked drop, final empty line included. Those of requests end here. */
bool dx_forward_write_trailers(const struct dx_fields *f, struct dx_out *o) DX_CHECKED;

#endif
