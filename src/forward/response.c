/* SPDX-License-Identifier: MIT */
/*
 * The head for the client: the server's fields without those of its connection and its orders to the proxy,
 * framed as the caller decided. Interim heads (1xx) take the same way but carry neither framing nor
 * Connection, except 101.
 */
#include "forward/parts.h"

#include "diplex/http1.h"

#define RESPONSE_DROPS (DX_RULE_HOP | DX_RULE_STRIP_RES)
#define NO_CONTENT     204
#define SWITCHING      101
#define FINAL          200 /* and above: not interim */

static void write_line(const struct dx_response *r, struct dx_out *o)
{
    DX_ASSERT(r->status >= 100 && r->status <= 999);
    const char digits[4] = {(char)('0' + r->status / 100), (char)('0' + r->status / 10 % 10),
                            (char)('0' + r->status % 10), ' '};

    DX_OUT_LIT(o, "HTTP/1.1 ");
    dx_out_add(o, dx_slice_of(digits, sizeof digits));
    dx_out_add(o, r->reason);
    DX_OUT_LIT(o, "\r\n");
}

static bool keep(const struct dx_field *f, const struct dx_forward_response *c)
{
    if (f->drop || (forward_rules[f->id] & RESPONSE_DROPS))
        return false;
    if (f->id == DX_FIELD_OTHER)
        return !forward_is_accel(f->name);
    if (f->id == DX_FIELD_TRAILER) /* HEAD announces what GET would have */
        return c->framing == DX_FRAMING_CHUNKED || c->framing == DX_FRAMING_NONE;
    return f->id != DX_FIELD_CONTENT_LENGTH;
}

static void write_length(uint64_t length, struct dx_out *o)
{
    DX_OUT_LIT(o, "Content-Length: ");
    dx_out_u64(o, length);
    DX_OUT_LIT(o, "\r\n");
}

/* HEAD and 304 say how long the content would have been: what the server said, if it is one number (RFC
 * 9110 8.6). */
static void write_told_length(const struct dx_fields *fields, struct dx_out *o)
{
    uint64_t length;

    for (unsigned i = 0; i < fields->n; i++) {
        struct dx_slice item, rest = fields->at[i].value;
        if (fields->at[i].id != DX_FIELD_CONTENT_LENGTH)
            continue;
        if (dx_slice_next_item(&rest, &item) && dx_slice_to_u64(item, &length))
            write_length(length, o);
        return;
    }
}

static void write_framing(const struct dx_response *r, const struct dx_forward_response *c, struct dx_out *o)
{
    if (r->status == NO_CONTENT)
        return;
    if (c->framing == DX_FRAMING_LENGTH)
        write_length(c->length, o);
    else if (c->framing == DX_FRAMING_CHUNKED)
        DX_OUT_LIT(o, "Transfer-Encoding: chunked\r\n");
    else if (c->framing == DX_FRAMING_NONE)
        write_told_length(&r->fields, o);
}

static void write_connection(const struct dx_response *r, const struct dx_forward_response *c,
                             struct dx_out *o)
{
    if (r->offers_websocket)
        DX_OUT_LIT(o, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    if (!c->keep_alive || c->framing == DX_FRAMING_CLOSE)
        DX_OUT_LIT(o, "Connection: close\r\n");
    else if (c->client_minor == 0)
        DX_OUT_LIT(o, "Connection: keep-alive\r\n");
}

/* The server's Upgrade is named by its own Connection field and so marked to be dropped, but it is the point
 * of a 101. */
static void write_upgrade(const struct dx_fields *fields, struct dx_out *o)
{
    for (unsigned i = 0; i < fields->n; i++) {
        if (fields->at[i].id != DX_FIELD_UPGRADE)
            continue;
        DX_OUT_LIT(o, "Connection: Upgrade\r\n");
        OUT_LINE(o, "Upgrade", fields->at[i].value);
        return;
    }
}

bool dx_forward_write_response(const struct dx_response *r, const struct dx_forward_response *c,
                               struct dx_out *o)
{
    struct forward_run run = {o, NULL, NULL};
    bool dated = false;

    write_line(r, o);
    for (unsigned i = 0; i < r->fields.n; i++) {
        const struct dx_field *f = &r->fields.at[i];
        if (!keep(f, c))
            continue;
        forward_run_add(&run, f);
        dated = dated || f->id == DX_FIELD_DATE;
    }
    forward_run_flush(&run);
    if (c->set_cookie.n)
        OUT_LINE(o, "Set-Cookie", c->set_cookie);
    if (r->status >= FINAL) {
        if (!dated && c->date.n)
            OUT_LINE(o, "Date", c->date);
        if (DX_UNLIKELY(c->server_timing.n))
            OUT_LINE(o, "Server-Timing", c->server_timing);
        write_framing(r, c, o);
        write_connection(r, c, o);
    } else if (r->status == SWITCHING && c->upgrade) {
        write_upgrade(&r->fields, o);
    }
    DX_OUT_LIT(o, "\r\n");
    return !o->overflow;
}

bool dx_forward_write_trailers(const struct dx_fields *fields, struct dx_out *o)
{
    const unsigned never = RESPONSE_DROPS | DX_RULE_CLAIM | DX_RULE_STRIP_REQ | DX_RULE_NO_TRAILER;

    for (unsigned i = 0; i < fields->n; i++) {
        const struct dx_field *f = &fields->at[i];
        bool known_bad = (forward_rules[f->id] & never) != 0;
        if (!f->drop && !known_bad && !memchr(f->name.p, '_', f->name.n) && !forward_is_accel(f->name))
            dx_http1_write_field(o, f->name, f->value);
    }
    DX_OUT_LIT(o, "\r\n");
    return !o->overflow;
}
