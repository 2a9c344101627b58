/* SPDX-License-Identifier: MIT */
/*
 * Field names: from the bytes to an id in one hash and one comparison, and the columns of http_fields.def.
 *
 * The hash is made of the length, the first and the last two letters. It has no collisions among the names of
 * the table: two names in one slot are a compiler warning (an initialiser overridden), a name without its
 * slot fails the unit test. When a new name collides, any other odd multiplier that keeps the slots apart
 * will do.
 */
#include "diplex/http.h"

#define SLOT(n, first, last_but_one, last)                                                                 \
    ((((uint32_t)(n) << 24 | (uint32_t)(first) << 16 | (uint32_t)(last_but_one) << 8 | (uint32_t)(last)) * \
      0x1cc65fb5u) >>                                                                                      \
     24)

#define NAME_MAX_BYTES 20

static const unsigned char slots[256] = {
    [SLOT(4, 'h', 's', 't')] = DX_FIELD_HOST,
    [SLOT(14, 'c', 't', 'h')] = DX_FIELD_CONTENT_LENGTH,
    [SLOT(17, 't', 'n', 'g')] = DX_FIELD_TRANSFER_ENCODING,
    [SLOT(10, 'c', 'o', 'n')] = DX_FIELD_CONNECTION,
    [SLOT(10, 'k', 'v', 'e')] = DX_FIELD_KEEP_ALIVE,
    [SLOT(16, 'p', 'o', 'n')] = DX_FIELD_PROXY_CONNECTION,
    [SLOT(18, 'p', 't', 'e')] = DX_FIELD_PROXY_AUTHENTICATE,
    [SLOT(19, 'p', 'o', 'n')] = DX_FIELD_PROXY_AUTHORIZATION,
    [SLOT(5, 'p', 'x', 'y')] = DX_FIELD_PROXY,
    [SLOT(2, 't', 't', 'e')] = DX_FIELD_TE,
    [SLOT(7, 't', 'e', 'r')] = DX_FIELD_TRAILER,
    [SLOT(7, 'u', 'd', 'e')] = DX_FIELD_UPGRADE,
    [SLOT(14, 'h', 'g', 's')] = DX_FIELD_HTTP2_SETTINGS,
    [SLOT(6, 'e', 'c', 't')] = DX_FIELD_EXPECT,
    [SLOT(12, 'c', 'p', 'e')] = DX_FIELD_CONTENT_TYPE,
    [SLOT(16, 'c', 'n', 'g')] = DX_FIELD_CONTENT_ENCODING,
    [SLOT(13, 'c', 'g', 'e')] = DX_FIELD_CONTENT_RANGE,
    [SLOT(13, 'a', 'o', 'n')] = DX_FIELD_AUTHORIZATION,
    [SLOT(6, 'c', 'i', 'e')] = DX_FIELD_COOKIE,
    [SLOT(10, 's', 'i', 'e')] = DX_FIELD_SET_COOKIE,
    [SLOT(12, 'm', 'd', 's')] = DX_FIELD_MAX_FORWARDS,
    [SLOT(13, 'c', 'o', 'l')] = DX_FIELD_CACHE_CONTROL,
    [SLOT(5, 'r', 'g', 'e')] = DX_FIELD_RANGE,
    [SLOT(3, 'v', 'i', 'a')] = DX_FIELD_VIA,
    [SLOT(4, 'd', 't', 'e')] = DX_FIELD_DATE,
    [SLOT(6, 's', 'e', 'r')] = DX_FIELD_SERVER,
    [SLOT(8, 'l', 'o', 'n')] = DX_FIELD_LOCATION,
    [SLOT(11, 'r', 'e', 'r')] = DX_FIELD_RETRY_AFTER,
    [SLOT(6, 'a', 'p', 't')] = DX_FIELD_ACCEPT,
    [SLOT(17, 's', 'e', 'y')] = DX_FIELD_SEC_WEBSOCKET_KEY,
    [SLOT(20, 's', 'p', 't')] = DX_FIELD_SEC_WEBSOCKET_ACCEPT,
    [SLOT(9, 'f', 'e', 'd')] = DX_FIELD_FORWARDED,
    [SLOT(15, 'x', 'o', 'r')] = DX_FIELD_X_FORWARDED_FOR,
    [SLOT(17, 'x', 't', 'o')] = DX_FIELD_X_FORWARDED_PROTO,
    [SLOT(16, 'x', 's', 't')] = DX_FIELD_X_FORWARDED_HOST,
    [SLOT(16, 'x', 'r', 't')] = DX_FIELD_X_FORWARDED_PORT,
    [SLOT(20, 'x', 'o', 'l')] = DX_FIELD_X_FORWARDED_PROTOCOL,
    [SLOT(15, 'x', 's', 'l')] = DX_FIELD_X_FORWARDED_SSL,
    [SLOT(18, 'x', 'e', 'r')] = DX_FIELD_X_FORWARDED_SERVER,
    [SLOT(18, 'x', 'i', 'x')] = DX_FIELD_X_FORWARDED_PREFIX,
    [SLOT(12, 'x', 'm', 'e')] = DX_FIELD_X_URL_SCHEME,
    [SLOT(9, 'x', 'i', 'p')] = DX_FIELD_X_REAL_IP,
    [SLOT(12, 'x', 'i', 'd')] = DX_FIELD_X_REQUEST_ID,
    [SLOT(15, 'x', 'r', 't')] = DX_FIELD_X_REQUEST_START,
    [SLOT(10, 'x', 'l', 'e')] = DX_FIELD_X_SENDFILE,
    [SLOT(15, 'x', 'p', 'e')] = DX_FIELD_X_SENDFILE_TYPE,
    [SLOT(17, 'x', 'n', 'g')] = DX_FIELD_X_ACCEL_BUFFERING,
    [SLOT(16, 'x', 'c', 't')] = DX_FIELD_X_ACCEL_REDIRECT,
    [SLOT(15, 'x', 'e', 's')] = DX_FIELD_X_ACCEL_EXPIRES,
    [SLOT(18, 'x', 't', 'e')] = DX_FIELD_X_ACCEL_LIMIT_RATE,
    [SLOT(15, 'x', 'e', 't')] = DX_FIELD_X_ACCEL_CHARSET,
    [SLOT(11, 't', 'n', 't')] = DX_FIELD_TRACEPARENT,
    [SLOT(10, 't', 't', 'e')] = DX_FIELD_TRACESTATE,
    [SLOT(10, 'u', 'n', 't')] = DX_FIELD_USER_AGENT,
    [SLOT(7, 'r', 'e', 'r')] = DX_FIELD_REFERER,
    [SLOT(6, 'o', 'i', 'n')] = DX_FIELD_ORIGIN,
    [SLOT(6, 'p', 'm', 'a')] = DX_FIELD_PRAGMA,
    [SLOT(8, 'p', 't', 'y')] = DX_FIELD_PRIORITY,
    [SLOT(3, 'd', 'n', 't')] = DX_FIELD_DNT,
    [SLOT(15, 'a', 'g', 'e')] = DX_FIELD_ACCEPT_LANGUAGE,
    [SLOT(15, 'a', 'n', 'g')] = DX_FIELD_ACCEPT_ENCODING,
    [SLOT(14, 's', 's', 't')] = DX_FIELD_SEC_FETCH_DEST,
    [SLOT(14, 's', 'd', 'e')] = DX_FIELD_SEC_FETCH_MODE,
    [SLOT(14, 's', 't', 'e')] = DX_FIELD_SEC_FETCH_SITE,
    [SLOT(13, 'i', 'c', 'h')] = DX_FIELD_IF_NONE_MATCH,
    [SLOT(17, 'i', 'c', 'e')] = DX_FIELD_IF_MODIFIED_SINCE,
    [SLOT(4, 'e', 'a', 'g')] = DX_FIELD_ETAG,
    [SLOT(4, 'v', 'r', 'y')] = DX_FIELD_VARY,
    [SLOT(13, 'l', 'e', 'd')] = DX_FIELD_LAST_MODIFIED,
    [SLOT(15, 'x', 'n', 's')] = DX_FIELD_X_FRAME_OPTIONS,
    [SLOT(15, 'r', 'c', 'y')] = DX_FIELD_REFERRER_POLICY,
    [SLOT(16, 'c', 'g', 'e')] = DX_FIELD_CONTENT_LANGUAGE,
    [SLOT(11, 'x', 'e', 'n')] = DX_FIELD_X_CSRFTOKEN,
    [SLOT(16, 'x', 't', 'h')] = DX_FIELD_X_REQUESTED_WITH,
    [SLOT(5, 'a', 'o', 'w')] = DX_FIELD_ALLOW,
};

static const struct dx_slice names[DX_FIELD_COUNT] = {
#define FIELD(id, name, rules) [DX_FIELD_##id] = {name, sizeof(name) - 1},
#include "diplex/http_fields.def"
};

static const unsigned char field_rules[DX_FIELD_COUNT] = {
#define FIELD(id, name, rules) [DX_FIELD_##id] = (unsigned char)(rules),
#include "diplex/http_fields.def"
};

/* The names hold letters, digits and '-' only: setting bit 5 lower-cases a letter and leaves the others
 * alone, and the only other bytes that it makes equal are controls, which have neither bit 5 nor bit 6.
 * `ones`: a 1 in each byte that counts. */
static inline bool same(uint64_t theirs, uint64_t ours, uint64_t ones)
{
    return (theirs | 0x20 * ones) == ours && ((theirs | theirs << 1) & 0x40 * ones) == 0x40 * ones;
}

static inline bool same_eight(const char *p, const char *name)
{
    uint64_t theirs, ours;
    memcpy(&theirs, p, sizeof(theirs));
    memcpy(&ours, name, sizeof(ours));
    return same(theirs, ours, 0x0101010101010101ull);
}

static inline bool same_four(const char *p, const char *name)
{
    uint32_t theirs, ours;
    memcpy(&theirs, p, sizeof(theirs));
    memcpy(&ours, name, sizeof(ours));
    return same(theirs, ours, 0x01010101u);
}

/* True if p, in lower case, is the name. The last piece overlaps the one before it, so that no length needs a
 * loop over single bytes. */
static bool is_name(const char *p, struct dx_slice name)
{
    if (name.n >= 8) {
        size_t i = 0;
        for (; i + 8 < name.n; i += 8)
            if (!same_eight(p + i, name.p + i))
                return false;
        return same_eight(p + name.n - 8, name.p + name.n - 8);
    }
    if (name.n >= 4)
        return same_four(p, name.p) && same_four(p + name.n - 4, name.p + name.n - 4);
    for (size_t i = 0; i < name.n; i++)
        if (!same((unsigned char)p[i], (unsigned char)name.p[i], 1))
            return false;
    return true;
}

enum dx_field_id dx_http_field_id(struct dx_slice name)
{
    if (name.n < 2 || name.n > NAME_MAX_BYTES)
        return DX_FIELD_OTHER;
    unsigned char first = (unsigned char)name.p[0] | 0x20,
                  last_but_one = (unsigned char)name.p[name.n - 2] | 0x20,
                  last = (unsigned char)name.p[name.n - 1] | 0x20;
    unsigned id = slots[SLOT(name.n, first, last_but_one, last)];

    if (id == DX_FIELD_OTHER || names[id].n != name.n || !is_name(name.p, names[id]))
        return DX_FIELD_OTHER;
    return (enum dx_field_id)id;
}

unsigned dx_http_field_rules(enum dx_field_id id)
{
    DX_ASSERT((unsigned)id < DX_FIELD_COUNT);
    return field_rules[id];
}

const char *dx_http_field_name(enum dx_field_id id)
{
    DX_ASSERT((unsigned)id < DX_FIELD_COUNT);
    return names[id].n ? names[id].p : "";
}

const struct dx_field *dx_http_find(const struct dx_fields *f, enum dx_field_id id)
{
    for (unsigned i = 0; i < f->n; i++) {
        if (f->at[i].id == id)
            return &f->at[i];
    }
    return NULL;
}
