/* SPDX-License-Identifier: MIT */
/*
 * Connection, Transfer-Encoding and Content-Length, read the same way in requests and responses.
 *
 * Connection names the fields that end at this hop (RFC 9110 7.6.1). It may not take away what frames or
 * routes the message, and it takes nothing away from the fields that carry the client's address: those belong
 * to whoever trusts the peer, not to the peer.
 */
#include "http/connection.h"

#include "diplex/http/chars.h"

#define OPTIONS_MAX 32 /* no client needs more, and each one is compared with every field */

static bool same_name(const struct dx_field *field, enum dx_field_id id, struct dx_slice name)
{
    return field->id == id && (id != DX_FIELD_OTHER || dx_slice_eq_nocase(field->name, name));
}

static void drop_fields(struct dx_http_connection *c, struct dx_fields *f, enum dx_field_id id,
                        struct dx_slice name)
{
    if (dx_http_field_rules(id) & (DX_RULE_HOP | DX_RULE_CLAIM))
        return;
    c->names = true;
    for (unsigned i = 0; i < f->n; i++) {
        if (same_name(&f->at[i], id, name))
            f->at[i].drop = true;
    }
}

static const char *read_option(struct dx_http_connection *c, struct dx_slice option, struct dx_fields *f)
{
    if (dx_slice_eq_nocase(option, DX_SLICE("keep-alive"))) {
        c->keep_alive = true;
        return NULL;
    }
    if (dx_slice_eq_nocase(option, DX_SLICE("close"))) {
        c->close = true;
        return NULL;
    }
    if (!dx_http_chars_all(option, DX_CHAR_TOKEN))
        return "Connection option is not a token";
    if (++c->options > OPTIONS_MAX)
        return "too many Connection options";

    enum dx_field_id id = dx_http_field_id(option);
    if (id == DX_FIELD_UPGRADE) {
        c->upgrade = true;
        return NULL;
    }
    if (id == DX_FIELD_HOST || id == DX_FIELD_CONTENT_LENGTH || id == DX_FIELD_TRANSFER_ENCODING)
        return "Connection names a field that frames or routes the message";
    drop_fields(c, f, id, option);
    return NULL;
}

const char *dx_http_connection_read(struct dx_http_connection *c, struct dx_slice value, struct dx_fields *f)
{
    struct dx_slice option;

    while (dx_slice_next_item(&value, &option)) {
        const char *reason = read_option(c, option, f);
        if (reason)
            return reason;
    }
    return NULL;
}

/* A coding with parameters, `name;key=value;...`, of which only the name is of interest. */
static bool read_coding(struct dx_slice coding, bool *is_chunked)
{
    size_t n = dx_slice_find(coding, ';');
    struct dx_slice name = dx_slice_trim(dx_slice_of(coding.p, n));

    *is_chunked = dx_slice_eq_nocase(name, DX_SLICE("chunked"));
    return dx_http_chars_all(name, DX_CHAR_TOKEN) && !(*is_chunked && n < coding.n);
}

enum dx_http_coding dx_http_coding_read(struct dx_slice value)
{
    struct dx_slice coding;
    bool last_is_chunked = false;
    unsigned codings = 0;

    if (dx_slice_eq_nocase(value, DX_SLICE("chunked")))
        return DX_CODING_CHUNKED;
    while (dx_slice_next_item(&value, &coding)) {
        if (last_is_chunked || !read_coding(coding, &last_is_chunked))
            return DX_CODING_BAD;
        codings++;
    }
    return last_is_chunked && codings > 1 ? DX_CODING_UNKNOWN : DX_CODING_BAD;
}

bool dx_http_length_read(struct dx_slice value, uint64_t *out)
{
    uint64_t length;

    if (!dx_slice_to_u64(value, &length) || length > INT64_MAX)
        return false;
    *out = length;
    return true;
}
