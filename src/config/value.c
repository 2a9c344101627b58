/* SPDX-License-Identifier: MIT */
/* Values of one text: numbers with their units, words, flags, names and paths. */
#include "config/reader.h"

#include "diplex/base/units.h"

#define TOKEN_MAX 128u

_Static_assert(
    sizeof(enum dx_kind) == sizeof(unsigned) && sizeof(enum dx_balance) == sizeof(unsigned) &&
        sizeof(enum dx_access_format) == sizeof(unsigned) && sizeof(enum dx_log_level) == sizeof(unsigned) &&
        sizeof(enum dx_sticky) == sizeof(unsigned) && sizeof(enum dx_client_ip) == sizeof(unsigned) &&
        sizeof(enum dx_fair) == sizeof(unsigned) && sizeof(enum dx_sandbox_mode) == sizeof(unsigned) &&
        sizeof(enum dx_admin_read) == sizeof(unsigned) && sizeof(enum dx_log_facility) == sizeof(unsigned) &&
        sizeof(enum dx_route_log) == sizeof(unsigned) && sizeof(enum dx_trace_mode) == sizeof(unsigned) &&
        sizeof(enum dx_log_query) == sizeof(unsigned),
    "words are written as unsigned");

static void put(void *base, const struct dx_config_setting *s, const void *value, size_t bytes)
{
    memcpy((char *)base + s->place, value, bytes);
}

static bool parse_octal(struct dx_slice s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '7' || v > 07777)
            return false;
        v = v * 8 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return s.n > 0;
}

static bool parse_number(const struct dx_config_setting *s, struct dx_slice text, uint64_t *out)
{
    if (s->type == TYPE_DURATION)
        return dx_units_duration_ms(text, out);
    if (s->type == TYPE_SIZE)
        return dx_units_size_bytes(text, out);
    if (s->type == TYPE_PERCENT)
        return text.p[text.n - 1] == '%' && dx_slice_to_u64(dx_slice_of(text.p, text.n - 1), out);
    return s->type == TYPE_MODE ? parse_octal(text, out) : dx_slice_to_u64(text, out);
}

static const char *number_example(enum dx_config_type type, struct dx_slice text)
{
    uint64_t ignored = 0;
    if (type == TYPE_DURATION)
        return dx_slice_to_u64(text, &ignored) ? "a duration with its unit, such as 500ms, 10s or 5m"
                                               : "a duration such as 500ms, 10s, 5m or 1h30m";
    if (type == TYPE_SIZE)
        return "a size such as 512, 64KB, 100MB or 1GB";
    if (type == TYPE_PERCENT)
        return "a percentage such as 50%";
    if (type == TYPE_WORKERS)
        return "'auto' or a whole number";
    return type == TYPE_MODE ? "an octal number such as 0660" : "a whole number";
}

void dx_config_read_number(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                           void *base)
{
    struct dx_slice text;
    uint64_t value = 0;
    char a[32], b[32];
    if (!dx_config_text(r, v, s->key, &text))
        return;
    bool is_auto = s->type == TYPE_WORKERS && dx_slice_eq(text, DX_SLICE("auto"));
    if (!is_auto && !parse_number(s, text, &value)) {
        dx_config_fault(r, v, "'%s' must be %s, not '%.*s'", s->key, number_example(s->type, text),
                        DX_SLICE_ARGS(text));
        return;
    }
    if (!is_auto && (value < s->min || value > s->max)) {
        dx_config_fault(r, v, "'%s' is %.*s; it must be between %s and %s", s->key, DX_SLICE_ARGS(text),
                        dx_config_setting_number(s, s->min, a), dx_config_setting_number(s, s->max, b));
        return;
    }
    if (s->type == TYPE_DURATION || s->type == TYPE_SIZE) {
        put(base, s, &value, sizeof value);
        return;
    }
    unsigned narrow = (unsigned)value;
    put(base, s, &narrow, sizeof narrow);
}

void dx_config_read_word(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base)
{
    struct dx_slice text, word, rest = dx_slice_str(s->words);
    char hint[128];
    if (!dx_config_text(r, v, s->key, &text))
        return;
    struct dx_config_nearest near = {.word = text};
    for (unsigned i = 0; dx_config_next_word(&rest, &word); i++) {
        if (dx_slice_eq(text, word)) {
            put(base, s, &i, sizeof i);
            return;
        }
        dx_config_nearest_try(&near, word);
    }
    dx_config_fault(r, v, "'%s' is '%.*s'; it must be one of: %s%s", s->key, DX_SLICE_ARGS(text), s->words,
                    dx_config_nearest_hint(&near, hint));
}

void dx_config_read_flag(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    struct dx_slice text;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    for (size_t i = 0; i < DX_COUNT(words); i++) {
        bool flag = i % 2;
        if (dx_slice_eq_nocase(text, dx_slice_str(words[i]))) {
            put(base, s, &flag, sizeof flag);
            return;
        }
    }
    dx_config_fault(r, v, "'%s' must be yes or no, not '%.*s'", s->key, DX_SLICE_ARGS(text));
}

/* What a Host field may hold (RFC 9110 7.2). */
static bool is_host_and_port(struct dx_slice t)
{
    uint64_t port = 0;
    size_t n = t.p[0] == '[' ? dx_slice_find(t, ']') + 1 : dx_slice_find(t, ':');
    if (n > t.n)
        return false;
    struct dx_slice host = dx_slice_of(t.p, n), rest = dx_slice_of(t.p + n, t.n - n);
    bool port_good =
        rest.n == 0 || (rest.p[0] == ':' && dx_slice_to_u64(dx_slice_of(rest.p + 1, rest.n - 1), &port));
    return (dx_config_name_is_host(host) || dx_config_is_ipv6_literal(host)) && port_good && port <= 65535;
}

/* RFC 9110 5.6.2, which is also what a cookie's name may be (RFC 6265 4.1.1). */
static bool is_token(struct dx_slice t)
{
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !memchr("!#$%&'*+-.^_`|~", c, 15))
            return false;
    }
    return t.n <= TOKEN_MAX;
}

/* NULL: fine. Otherwise how the sentence about the key goes on. */
static const char *text_fault(enum dx_config_type type, struct dx_slice t)
{
    if ((type == TYPE_PATH || type == TYPE_ADMIN) && t.p[0] != '/')
        return type == TYPE_ADMIN ? "must be an absolute path or off" : "must be an absolute path";
    if (type == TYPE_ADMIN && t.n >= sizeof((struct sockaddr_un){0}).sun_path)
        return "is too long: a Unix socket's path has at most 107 bytes";
    if (type == TYPE_URL_PATH &&
        (t.p[0] != '/' || dx_slice_find(t, ' ') < t.n || dx_slice_find(t, '#') < t.n))
        return "must be a path that begins with '/', without blanks";
    if (type == TYPE_TOKEN && !is_token(t))
        return "must be a name such as X-Session, without blanks and separators";
    if (type != TYPE_HOST_NAME)
        return NULL;
    if (dx_slice_find(t, '_') < t.n)
        return "must not hold '_': Django refuses such hosts (RFC 1034 3.5)";
    return is_host_and_port(t) ? NULL : "must be a host name, such as example.com";
}

/* Its value is no part of the sentence. */
static bool secret_is_good(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                           struct dx_slice t)
{
    bool good = true;
    for (size_t i = 0; i < t.n && s->max; i++)
        good &= t.p[i] > ' ' && t.p[i] < 0x7f;
    if (!good)
        dx_config_fault(r, v, "'%s' must be of ASCII letters, digits and signs, without blanks", s->key);
    else if (s->max && (t.n < s->min || t.n > s->max))
        dx_config_fault(r, v, "'%s' must have between %u and %u characters", s->key, (unsigned)s->min,
                        (unsigned)s->max);
    else
        return true;
    return false;
}

void dx_config_read_text(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                         void *base)
{
    struct dx_slice text;
    const char *kept = NULL;
    if (!dx_config_text(r, v, s->key, &text))
        return;
    if (s->type == TYPE_ADMIN && dx_slice_eq_nocase(text, DX_SLICE("off"))) {
        put(base, s, &kept, sizeof kept);
        return;
    }
    if (s->type == TYPE_SECRET && !secret_is_good(r, s, v, text))
        return;
    const char *wrong = text_fault(s->type, text);
    if (wrong) {
        dx_config_fault(r, v, "'%s' %s: '%.*s'", s->key, wrong, DX_SLICE_ARGS(text));
        return;
    }
    kept = dx_config_keep(r, text);
    put(base, s, &kept, sizeof kept);
}

void dx_config_read_host_names(struct dx_config_reader *r, const struct dx_config_setting *s,
                               struct dx_node *v, void *base)
{
    struct dx_node *only[1] = {v}, **items = v->kind == DX_NODE_LIST ? v->items : only;
    struct dx_names names = {.n = 0};
    struct dx_slice text;
    size_t n = v->kind == DX_NODE_LIST ? v->n : 1;
    names.at = dx_config_take(r, &r->own->arena, n + 1, sizeof *names.at);
    for (size_t i = 0; names.at && i < n; i++) {
        if (!dx_config_text(r, items[i], s->key, &text))
            return;
        if (!dx_config_name_is_host(text)) {
            dx_config_fault(r, items[i], "'%s' takes host names, such as edge or ops.example.com: '%.*s'",
                            s->key, DX_SLICE_ARGS(text));
            return;
        }
        names.at[names.n++] = dx_config_keep(r, text);
    }
    put(base, s, &names, sizeof names);
}

static bool parse_status(struct dx_slice s, const struct dx_config_setting *row, unsigned *out)
{
    uint64_t v = 0;
    if (s.n != 3 || !dx_slice_to_u64(s, &v) || v < row->min || v > row->max)
        return false;
    *out = (unsigned)v;
    return true;
}

static bool parse_range(struct dx_slice s, const struct dx_config_setting *row, struct dx_status_range *out)
{
    struct dx_status_range range = {0, 0};
    size_t dash = dx_slice_find(s, '-');
    struct dx_slice last = dash < s.n ? dx_slice_of(s.p + dash + 1, s.n - dash - 1) : s;
    if (!parse_status(dx_slice_of(s.p, dash), row, &range.from) || !parse_status(last, row, &range.to) ||
        range.from > range.to)
        return false;
    *out = range;
    return true;
}

/* One text may hold several, as in "200, 204". False: faults. */
static bool read_ranges(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                        struct dx_health_config *h)
{
    struct dx_slice text, item;
    struct dx_status_range range;
    if (!dx_config_text(r, v, s->key, &text))
        return false;
    while (dx_slice_next_item(&text, &item)) {
        if (!parse_range(item, s, &range)) {
            dx_config_fault(r, v, "'%s' takes statuses such as 200 or 200-399, not '%.*s'", s->key,
                            DX_SLICE_ARGS(item));
            return false;
        }
        if (h->expect_n == DX_EXPECT_MAX) {
            dx_config_fault(r, v, "'%s' takes at most %d statuses or ranges", s->key, DX_EXPECT_MAX);
            return false;
        }
        h->expect[h->expect_n++] = range;
    }
    return true;
}

void dx_config_read_statuses(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                             void *base)
{
    struct dx_pool_config *pool = base;
    struct dx_health_config h = {.expect_n = 0};
    bool good = v->kind == DX_NODE_LIST || read_ranges(r, s, v, &h);
    for (size_t i = 0; v->kind == DX_NODE_LIST && i < v->n; i++)
        good = read_ranges(r, s, v->items[i], &h) && good;
    if (good && h.expect_n == 0)
        dx_config_fault(r, v, "'%s' names no status", s->key);
    if (!good || h.expect_n == 0)
        return;
    memcpy(pool->health.expect, h.expect, sizeof h.expect);
    pool->health.expect_n = h.expect_n;
}
