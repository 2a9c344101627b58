/* SPDX-License-Identifier: MIT */
/*
 * The head for the server. Request line and Host first, then what is kept of the client's fields in its
 * order, then what only the proxy may say. The client's framing, connection and claims never pass: they are
 * written anew, once each, so no server sees two that disagree.
 */
#include "forward/parts.h"

#include "diplex/http/trace.h"

#define REQUEST_DROPS (DX_RULE_HOP | DX_RULE_CLAIM | DX_RULE_STRIP_REQ)

/*
 * A WSGI server turns '-' into '_', so `X_Forwarded_For` would become the same variable as the proxy's own
 * field, and gunicorn takes SCRIPT_NAME and PATH_INFO from fields of these very names: no name with '_'
 * passes.
 */
static bool keep_unknown(struct dx_slice name, bool peer_trusted)
{
    if (memchr(name.p, '_', name.n) || forward_is_accel(name) ||
        forward_starts_nocase(name, DX_SLICE("x-sendfile")))
        return false;
    return peer_trusted || !forward_starts_nocase(name, DX_SLICE("x-forwarded-"));
}

/* Expect goes too: whoever calls has answered it, or passes on what the server says. */
static bool keep(const struct dx_field *f, const struct dx_forward_request *c)
{
    if (f->drop || (forward_rules[f->id] & REQUEST_DROPS))
        return false;
    if (f->id == DX_FIELD_OTHER)
        return keep_unknown(f->name, c->peer_trusted);
    return f->id != DX_FIELD_HOST && f->id != DX_FIELD_CONTENT_LENGTH && f->id != DX_FIELD_VIA;
}

/* An absolute target of OPTIONS without a path means the server itself (RFC 9112 3.2.4). */
static bool means_asterisk(const struct dx_request *r)
{
    return r->form == DX_TARGET_ABSOLUTE && r->method_id == DX_METHOD_OPTIONS && r->query.n == 0 &&
           r->path.n == 1 && r->target.n && r->target.p[r->target.n - 1] != '/';
}

static void write_line(const struct dx_request *r, struct dx_out *o)
{
    dx_out_add(o, r->method);
    DX_OUT_LIT(o, " ");
    dx_out_add(o, means_asterisk(r) ? DX_SLICE("*") : r->path);
    dx_out_add(o, r->query);
    DX_OUT_LIT(o, " HTTP/1.1\r\nHost: ");
    dx_out_add(o, r->host);
    DX_OUT_LIT(o, "\r\n");
}

/* RFC 9110 7.6.3: what others said, then this hop with the version it was spoken to in; one field. */
static void write_via(const struct dx_request *r, bool others, struct dx_out *o)
{
    DX_OUT_LIT(o, "Via: ");
    for (unsigned i = 0; others && i < r->fields.n; i++) {
        const struct dx_field *f = &r->fields.at[i];
        if (f->id != DX_FIELD_VIA || f->drop || f->value.n == 0)
            continue;
        dx_out_add(o, f->value);
        DX_OUT_LIT(o, ", ");
    }
    if (r->minor == 0)
        DX_OUT_LIT(o, "1.0 diplex\r\n");
    else
        DX_OUT_LIT(o, "1.1 diplex\r\n");
}

static void write_max_forwards(uint64_t n, struct dx_out *o)
{
    DX_OUT_LIT(o, "Max-Forwards: ");
    dx_out_u64(o, n);
    DX_OUT_LIT(o, "\r\n");
}

static void write_client(const struct dx_request *r, const struct dx_forward_request *c, struct dx_out *o)
{
    struct forward_client client;

    forward_client_read(r, c, &client);
    forward_write_for(&r->fields, c, o);
    if (client.ip.n)
        OUT_LINE(o, "X-Real-IP", client.ip);
    OUT_LINE(o, "X-Forwarded-Proto", client.proto);
    if (client.host.n)
        OUT_LINE(o, "X-Forwarded-Host", client.host);
    OUT_LINE(o, "X-Forwarded-Port", client.port);
    if (client.request_id.n)
        OUT_LINE(o, "X-Request-ID", client.request_id);
    if (DX_UNLIKELY(c->traceparent.n))
        OUT_LINE(o, "traceparent", c->traceparent);
    DX_OUT_LIT(o, "X-Request-Start: t=");
    dx_out_u64(o, c->start_us);
    DX_OUT_LIT(o, "\r\n");
}

static bool method_has_body(enum dx_method m)
{
    return m == DX_METHOD_POST || m == DX_METHOD_PUT || m == DX_METHOD_PATCH;
}

/* A method that usually has a body says so when it has none (RFC 9110 8.6). */
static void write_framing(const struct dx_request *r, const struct dx_forward_request *c, struct dx_out *o)
{
    if (c->expect_continue)
        DX_OUT_LIT(o, "Expect: 100-continue\r\n");
    DX_ASSERT(c->framing != DX_FRAMING_CLOSE);
    if (c->framing == DX_FRAMING_CHUNKED) {
        DX_OUT_LIT(o, "Transfer-Encoding: chunked\r\n");
    } else if (c->framing == DX_FRAMING_LENGTH) {
        DX_OUT_LIT(o, "Content-Length: ");
        dx_out_u64(o, c->length);
        DX_OUT_LIT(o, "\r\n");
    } else if (method_has_body(r->method_id)) {
        DX_OUT_LIT(o, "Content-Length: 0\r\n");
    }
}

/* One thing at a time: gunicorn reads Connection as a single word, so `close` must stand alone. */
static void write_connection(const struct dx_request *r, const struct dx_forward_request *c, struct dx_out *o)
{
    if (r->websocket)
        DX_OUT_LIT(o, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    else if (c->close)
        DX_OUT_LIT(o, "Connection: close\r\n");
}

bool dx_forward_keep_trace(struct dx_fields *f, enum dx_trace_mode mode, bool peer_trusted)
{
    struct dx_slice id;
    bool believed = mode == DX_TRACE_MAKE || peer_trusted;

    if (mode == DX_TRACE_PASS || (believed && dx_http_trace_find(f, &id) != NULL))
        return true;
    for (unsigned i = 0; i < f->n; i++)
        if (f->at[i].id == DX_FIELD_TRACEPARENT || f->at[i].id == DX_FIELD_TRACESTATE)
            f->at[i].drop = true;
    return false;
}

bool dx_forward_write_request(const struct dx_request *r, const struct dx_forward_request *c,
                              struct dx_out *o)
{
    struct forward_run run = {o, NULL, NULL};
    bool via = false;

    write_line(r, o);
    for (unsigned i = 0; i < r->fields.n; i++) {
        const struct dx_field *f = &r->fields.at[i];
        if (keep(f, c))
            forward_run_add(&run, f);
        else if (f->id == DX_FIELD_VIA)
            via = true;
    }
    forward_run_flush(&run);
    if (r->counted) /* 0 is answered and goes nowhere (RFC 9110 7.6.2) */
        write_max_forwards(r->max_forwards - 1, o);
    write_via(r, via, o);
    write_client(r, c, o);
    write_framing(r, c, o);
    write_connection(r, c, o);
    DX_OUT_LIT(o, "\r\n");
    return !o->overflow;
}
