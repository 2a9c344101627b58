/* SPDX-License-Identifier: MIT */
/*
 * What a response means, decided once. Refused with 502: Content-Length twice, as a list or not a number;
 * Transfer-Encoding twice, other than chunked, beside Content-Length, or in HTTP/1.0; a broken Connection; a
 * length or a coding in an interim response. On a 204 they are not forwarded, and the connection is not used
 * again when bytes that we do not expect could follow.
 */
#include "diplex/http.h"

#include "http/connection.h"

struct found {
    struct dx_http_connection connection;
    struct dx_slice transfer_encoding, content_type;
    struct dx_field *content_length;
    unsigned lengths, transfer_encodings;
    uint64_t length;
    bool upgrade, unbuffered;
};

static bool refuse(struct dx_http_error *err, const char *reason)
{
    *err = (struct dx_http_error){502, reason};
    return false;
}

bool dx_http_is_stream_type(struct dx_slice content_type)
{
    static const struct dx_slice types[] = {
        {"text/event-stream", 17},  {"application/jsonl", 17},       {"application/x-ndjson", 20},
        {"application/ndjson", 18}, {"application/json-seq", 20},    {"multipart/x-mixed-replace", 25},
        {"application/grpc", 16},   {"application/stream+json", 23},
    };
    struct dx_slice type = dx_slice_trim(dx_slice_of(content_type.p, dx_slice_find(content_type, ';')));

    if (type.n < 16 || type.n > 25)
        return false;
    for (size_t i = 0; i < DX_COUNT(types); i++) {
        if (dx_slice_eq_nocase(type, types[i]))
            return true;
    }
    return false;
}

static bool read_field(struct found *found, struct dx_fields *f, struct dx_field *at,
                       struct dx_http_error *err)
{
    const char *reason;

    switch ((unsigned)at->id) { /* the other fields mean nothing here */
    case DX_FIELD_CONTENT_LENGTH:
        found->content_length = at;
        if (found->lengths++)
            return refuse(err, "more than one Content-Length");
        return dx_http_length_read(at->value, &found->length) ? true
                                                              : refuse(err, "Content-Length is not a number");
    case DX_FIELD_TRANSFER_ENCODING:
        found->transfer_encoding = at->value;
        return found->transfer_encodings++ ? refuse(err, "more than one Transfer-Encoding") : true;
    case DX_FIELD_CONNECTION:
        reason = dx_http_connection_read(&found->connection, at->value, f);
        return reason ? refuse(err, reason) : true;
    case DX_FIELD_UPGRADE: /* diplex asks for nothing else */
        found->upgrade = dx_slice_eq_nocase(at->value, DX_SLICE("websocket"));
        return true;
    case DX_FIELD_CONTENT_TYPE:
        found->content_type = at->value;
        return true;
    case DX_FIELD_X_ACCEL_BUFFERING:
        found->unbuffered = dx_slice_eq_nocase(at->value, DX_SLICE("no"));
        return true;
    default:
        return true;
    }
}

static bool check_coding(const struct dx_response *r, const struct found *found, struct dx_http_error *err)
{
    if (found->transfer_encodings == 0)
        return true;
    if (found->lengths)
        return refuse(err, "Transfer-Encoding beside Content-Length");
    if (r->minor == 0)
        return refuse(err, "Transfer-Encoding in HTTP/1.0");
    if (dx_http_coding_read(found->transfer_encoding) != DX_CODING_CHUNKED)
        return refuse(err, "Transfer-Encoding is not chunked");
    return true;
}

/* RFC 9112 6.3, in its order. */
static enum dx_framing framing_of(const struct dx_response *r, enum dx_method request,
                                  const struct found *found)
{
    if (request == DX_METHOD_HEAD || r->status < 200 || r->status == 204 || r->status == 304)
        return DX_FRAMING_NONE;
    if (found->transfer_encodings)
        return DX_FRAMING_CHUNKED;
    return found->lengths ? DX_FRAMING_LENGTH : DX_FRAMING_CLOSE;
}

/* 1xx and 204 have no content and may have neither field (RFC 9110 8.6, RFC 9112 6.1). */
static bool drop_length(struct dx_response *r, struct found *found, struct dx_http_error *err)
{
    bool content = found->transfer_encodings || found->length > 0;

    if (content && r->status < 200)
        return refuse(err, "an interim response with content");
    if (content)
        r->keep_alive = false;
    if (found->content_length)
        found->content_length->drop = true;
    r->length = 0;
    return true;
}

bool dx_http_response_meaning(struct dx_response *r, enum dx_method request, struct dx_http_error *err)
{
    struct found found = {.lengths = 0};

    for (unsigned i = 0; i < r->fields.n; i++) {
        if (!read_field(&found, &r->fields, &r->fields.at[i], err))
            return false;
    }
    if (!check_coding(r, &found, err))
        return false;
    r->framing = framing_of(r, request, &found);
    r->length = found.length;
    r->keep_alive = !found.connection.close && (r->minor > 0 || found.connection.keep_alive) &&
                    r->framing != DX_FRAMING_CLOSE;
    r->no_trailers = found.connection.names;
    r->upgrade = r->status == 101 && found.connection.upgrade && found.upgrade;
    r->offers_websocket = r->status == 426 && found.connection.upgrade && found.upgrade;
    r->stream = found.unbuffered || dx_http_is_stream_type(found.content_type);
    return r->status >= 200 && r->status != 204 ? true : drop_length(r, &found, err);
}
