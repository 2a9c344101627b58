/* SPDX-License-Identifier: MIT */
/*
 * What a request means, decided once. Refused, always before anything is forwarded:
 *
 *   CONNECT (501), TRACE (405);
 *   no Host in HTTP/1.1, Host twice, Host that is no host, Host that differs from an absolute target (400;
 * RFC 9112 3.2, 3.2.2); Content-Length twice (even with the same value), as a list, with anything but digits,
 * too large (400; RFC 9110 8.6); Transfer-Encoding twice, malformed, without chunked at the end, beside
 * Content-Length, in HTTP/1.0 (400; RFC 9112 6.1, 6.3); a transfer coding that diplex does not know before
 * chunked (501; RFC 9112 6.1); Content-Type twice (400; RFC 9110 5.3: servers disagree on which one counts);
 *   Connection that is not a list of tokens or names Host, Content-Length or Transfer-Encoding (400);
 *   an expectation other than 100-continue in HTTP/1.1 (417; RFC 9110 10.1.1);
 *   Max-Forwards of OPTIONS twice or not a number (400; RFC 9110 7.6.2);
 *   a Via of very many hops (508; RFC 9110 7.6): a server of a pool that is diplex itself sends a request
 * round and round.
 *
 * An Upgrade to anything but WebSocket is not refused but ignored, as RFC 9110 7.8 allows: it is hop-by-hop
 * and goes no further. "list" under Content-Length is "5, 5" too, which RFC 9110 8.6 lets a recipient accept:
 * no client sends it.
 */
#include "diplex/http.h"

#include "http/connection.h"
#include "http/host.h"

#define VIA_MAX 20 /* a chain of proxies that is meant is shorter */

/* What the one pass over the fields found. */
struct found {
    struct dx_http_connection connection;
    struct dx_slice host, transfer_encoding, upgrade;
    unsigned hosts, lengths, transfer_encodings, content_types, upgrades, vias;
    uint64_t length;
    bool expect;
};

static bool refuse(struct dx_http_error *err, unsigned status, const char *reason)
{
    *err = (struct dx_http_error){status, reason};
    return false;
}

static bool read_length(struct found *found, struct dx_slice value, struct dx_http_error *err)
{
    if (found->lengths++)
        return refuse(err, 400, "more than one Content-Length");
    if (!dx_http_length_read(value, &found->length))
        return refuse(err, 400, "Content-Length is not a number");
    return true;
}

static bool read_via(struct found *found, struct dx_slice value, struct dx_http_error *err)
{
    struct dx_slice hop;

    while (dx_slice_next_item(&value, &hop))
        if (++found->vias > VIA_MAX)
            return refuse(err, 508, "too many hops in Via");
    return true;
}

static bool read_expect(struct found *found, struct dx_slice value, unsigned minor, struct dx_http_error *err)
{
    if (minor == 0)
        return true;
    if (!dx_slice_eq_nocase(value, DX_SLICE("100-continue")))
        return refuse(err, 417, "unknown expectation");
    found->expect = true;
    return true;
}

static bool read_field(struct found *found, const struct dx_request *r, struct dx_fields *f,
                       const struct dx_field *at, struct dx_http_error *err)
{
    const char *reason;

    switch ((unsigned)at->id) { /* the other fields mean nothing here */
    case DX_FIELD_HOST:
        found->host = at->value;
        return found->hosts++ ? refuse(err, 400, "more than one Host") : true;
    case DX_FIELD_CONTENT_LENGTH:
        return read_length(found, at->value, err);
    case DX_FIELD_TRANSFER_ENCODING:
        found->transfer_encoding = at->value;
        return found->transfer_encodings++ ? refuse(err, 400, "more than one Transfer-Encoding") : true;
    case DX_FIELD_CONTENT_TYPE:
        return found->content_types++ ? refuse(err, 400, "more than one Content-Type") : true;
    case DX_FIELD_CONNECTION:
        reason = dx_http_connection_read(&found->connection, at->value, f);
        return reason ? refuse(err, 400, reason) : true;
    case DX_FIELD_VIA:
        return read_via(found, at->value, err);
    case DX_FIELD_EXPECT:
        return read_expect(found, at->value, r->minor, err);
    case DX_FIELD_UPGRADE:
        found->upgrade = at->value;
        found->upgrades++;
        return true;
    default:
        return true;
    }
}

static bool decide_host(struct dx_request *r, const struct found *found, struct dx_http_error *err)
{
    struct dx_http_host parsed;

    if (found->hosts == 0) {
        if (r->minor > 0)
            return refuse(err, 400, "no Host");
        if (r->form != DX_TARGET_ABSOLUTE)
            r->host = (struct dx_slice){NULL, 0};
        else if (dx_http_host_parse(r->host, &parsed))
            r->host_name = parsed.name;
        return true;
    }
    if (!dx_http_host_parse(found->host, &parsed))
        return refuse(err, 400, "Host is not a host");
    r->host_name = parsed.name;
    if (r->form != DX_TARGET_ABSOLUTE) {
        r->host = found->host;
        return true;
    }
    bool https = r->target.n > 4 && (r->target.p[4] | 0x20) == 's';
    if (!dx_http_host_same(r->host, found->host, https ? 443 : 80))
        return refuse(err, 400, "the target and Host name different hosts");
    return true;
}

static bool decide_framing(struct dx_request *r, const struct found *found, struct dx_http_error *err)
{
    r->framing = found->lengths ? DX_FRAMING_LENGTH : DX_FRAMING_NONE;
    r->length = found->length;
    if (DX_LIKELY(found->transfer_encodings == 0))
        return true;
    if (found->lengths)
        return refuse(err, 400, "Transfer-Encoding beside Content-Length");
    if (r->minor == 0)
        return refuse(err, 400, "Transfer-Encoding in HTTP/1.0");
    switch (dx_http_coding_read(found->transfer_encoding)) {
    case DX_CODING_CHUNKED:
        r->framing = DX_FRAMING_CHUNKED;
        return true;
    case DX_CODING_UNKNOWN:
        return refuse(err, 501, "unknown transfer coding");
    case DX_CODING_BAD:
        break;
    }
    return refuse(err, 400, "Transfer-Encoding is not chunked");
}

static void decide_connection(struct dx_request *r, const struct found *found)
{
    const struct dx_http_connection *c = &found->connection;
    bool body = r->framing == DX_FRAMING_CHUNKED || r->length > 0;

    r->keep_alive = !c->close && (r->minor > 0 || c->keep_alive);
    r->expect_continue = found->expect && body;
    r->upgrade = r->minor > 0 && c->upgrade && found->upgrades > 0 && found->upgrade.n > 0;
    r->websocket = r->upgrade && found->upgrades == 1 && r->method_id == DX_METHOD_GET && !body &&
                   dx_slice_eq_nocase(found->upgrade, DX_SLICE("websocket"));
}

/* A number of any length; what is beyond 64 bits is as good as the largest. */
static bool read_count(struct dx_slice value, uint64_t *out)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
    if (!dx_slice_to_u64(value, out))
        *out = UINT64_MAX;
    return value.n > 0;
}

/* How many times OPTIONS may be forwarded. The field is written anew. */
static bool decide_hops(struct dx_request *r, struct dx_http_error *err)
{
    for (unsigned i = 0; i < r->fields.n; i++) {
        struct dx_field *at = &r->fields.at[i];
        if (at->id != DX_FIELD_MAX_FORWARDS)
            continue;
        if (r->counted)
            return refuse(err, 400, "more than one Max-Forwards");
        if (!read_count(at->value, &r->max_forwards))
            return refuse(err, 400, "Max-Forwards is not a number");
        r->counted = at->drop = true;
    }
    return true;
}

bool dx_http_request_meaning(struct dx_request *r, struct dx_http_error *err)
{
    struct found found = {.hosts = 0};

    if (r->method_id == DX_METHOD_CONNECT)
        return refuse(err, 501, "CONNECT is for forward proxies");
    if (r->method_id == DX_METHOD_TRACE)
        return refuse(err, 405, "TRACE is not allowed");
    for (unsigned i = 0; i < r->fields.n; i++) {
        if (!read_field(&found, r, &r->fields, &r->fields.at[i], err))
            return false;
    }
    if (!decide_host(r, &found, err) || !decide_framing(r, &found, err))
        return false;
    decide_connection(r, &found);
    return r->method_id == DX_METHOD_OPTIONS ? decide_hops(r, err) : true;
}
