/* SPDX-License-Identifier: MIT */
/*
 * A line as others want it. For syslog as syslog(3) of the C library writes it, which is what local daemons
 * read (RFC 3164, without a host); for systemd-journald as fields, one a line. Both keep time and level
 * themselves, so events begin with their own word there. What a line says was escaped when it was made: no
 * value has a line break.
 */
#include <unistd.h>

#include "journal/internal.h"

#define SEVERITY_INFO 6u /* RFC 5424 6.2.1 */

struct parts {
    unsigned severity;
    struct dx_slice text; /* without time and level, where it is an event */
};

static struct dx_slice take_word(struct dx_slice *s)
{
    size_t n = dx_slice_find(*s, ' ');
    struct dx_slice word = dx_slice_of(s->p, n);
    n += n < s->n;
    *s = dx_slice_of(s->p + n, s->n - n);
    return word;
}

static struct parts parts_of(const struct dx_journal_way *w, struct dx_slice line)
{
    static const struct {
        const char *word;
        unsigned severity;
    } levels[] = {{"debug", 7}, {"info", SEVERITY_INFO}, {"warn", 4}, {"error", 3}};
    struct dx_slice rest = line;

    if (!w->events)
        return (struct parts){SEVERITY_INFO, line};
    (void)take_word(&rest);
    struct dx_slice level = take_word(&rest);
    for (size_t i = 0; i < DX_COUNT(levels); i++)
        if (dx_slice_eq(level, dx_slice_str(levels[i].word)))
            return (struct parts){levels[i].severity, rest};
    return (struct parts){SEVERITY_INFO, line};
}

static void add_priority(const struct parts *p, unsigned facility, struct dx_out *o)
{
    dx_out_byte(o, '<');
    dx_out_u64(o, facility * 8 + p->severity);
    dx_out_byte(o, '>');
}

static void add_syslog(const struct dx_journal_way *w, const struct parts *p, const char *stamp,
                       struct dx_out *o)
{
    add_priority(p, w->facility, o);
    dx_out_add(o, dx_slice_str(stamp));
    dx_out_byte(o, ' ');
    dx_out_add(o, dx_slice_str(w->tag));
    dx_out_byte(o, '[');
    dx_out_u64(o, (uint64_t)getpid());
    DX_OUT_LIT(o, "]: ");
    dx_out_add(o, p->text);
}

/* --- fields of the journal --- */

static void add_name(struct dx_slice key, struct dx_out *o)
{
    DX_OUT_LIT(o, "DIPLEX_");
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        dx_out_byte(o, c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
    dx_out_byte(o, '=');
}

static void add_field(struct dx_slice key, struct dx_slice value, struct dx_out *o)
{
    add_name(key, o);
    dx_out_add(o, value);
    dx_out_byte(o, '\n');
}

/* What stands between quotes at the beginning of s, and takes it off; a backslash keeps the next byte from
 * ending it. */
static struct dx_slice take_quoted(struct dx_slice *s)
{
    size_t n = 1;
    while (n < s->n && s->p[n] != '"')
        n += s->p[n] == '\\' && n + 1 < s->n ? 2 : 1;
    struct dx_slice inside = dx_slice_of(s->p + 1, (n < s->n ? n : s->n) - 1);
    n += n < s->n;
    *s = n < s->n ? dx_slice_of(s->p + n, s->n - n) : dx_slice_of(s->p + s->n, 0);
    return inside;
}

/* `word key=value key="a value" ...` */
static void add_event_fields(struct dx_slice text, struct dx_out *o)
{
    struct dx_slice word = take_word(&text);

    add_field(DX_SLICE("event"), word, o);
    while (text.n > 0) {
        size_t n = dx_slice_find(text, '=');
        struct dx_slice key = dx_slice_of(text.p, n);
        if (n >= text.n)
            return;
        text = dx_slice_of(text.p + n + 1, text.n - n - 1);
        if (text.n > 0 && text.p[0] == '"') {
            add_field(key, take_quoted(&text), o);
            (void)take_word(&text);
        } else {
            add_field(key, take_word(&text), o);
        }
    }
}

/* What one looks for; the rest is in the message. */
static bool is_searched(struct dx_slice key)
{
    static const char *const keys[] = {"id",      "client", "method", "host",   "status",
                                       "outcome", "route",  "pool",   "server", "trace_id"};
    for (size_t i = 0; i < DX_COUNT(keys); i++)
        if (dx_slice_eq(key, dx_slice_str(keys[i])))
            return true;
    return false;
}

/* {"key":"value","key":1,"key":null}, as the access log writes it: without blanks, and nothing nested. */
static void add_request_fields(struct dx_slice line, struct dx_out *o)
{
    struct dx_slice left = dx_slice_of(line.p + 1, line.n - 1), value;

    add_field(DX_SLICE("event"), DX_SLICE("request"), o);
    while (left.n > 0 && left.p[0] == '"') {
        struct dx_slice key = take_quoted(&left);
        if (left.n < 2)
            return;
        left = dx_slice_of(left.p + 1, left.n - 1); /* the colon */
        bool quoted = left.p[0] == '"';
        if (quoted) {
            value = take_quoted(&left);
        } else {
            size_t n = dx_slice_find(left, ',');
            value = dx_slice_of(left.p, n < left.n || n == 0 ? n : n - 1); /* the brace */
            left = dx_slice_of(left.p + n, left.n - n);
        }
        if (is_searched(key) && (quoted || !dx_slice_eq(value, DX_SLICE("null"))))
            add_field(key, value, o);
        size_t comma = left.n > 0;
        left = dx_slice_of(left.p + comma, left.n - comma);
    }
}

static void add_native(const struct dx_journal_way *w, const struct parts *p, struct dx_out *o)
{
    DX_OUT_LIT(o, "MESSAGE=");
    dx_out_add(o, p->text);
    DX_OUT_LIT(o, "\nPRIORITY=");
    dx_out_u64(o, p->severity);
    DX_OUT_LIT(o, "\nSYSLOG_FACILITY=");
    dx_out_u64(o, w->facility);
    DX_OUT_LIT(o, "\nSYSLOG_IDENTIFIER=");
    dx_out_add(o, dx_slice_str(w->tag));
    dx_out_byte(o, '\n');
    if (w->events)
        add_event_fields(p->text, o);
    else if (p->text.n > 0 && p->text.p[0] == '{')
        add_request_fields(p->text, o);
}

void frame_line(const struct dx_journal_way *w, struct dx_slice line, const char *stamp, struct dx_out *o)
{
    const struct parts p = parts_of(w, line);

    switch (w->form) {
    case DX_JOURNAL_PLAIN:
        dx_out_add(o, line);
        dx_out_byte(o, '\n');
        break;
    case DX_JOURNAL_PREFIXED:
        add_priority(&p, 0, o);
        dx_out_add(o, p.text);
        dx_out_byte(o, '\n');
        break;
    case DX_JOURNAL_SYSLOG:
        add_syslog(w, &p, stamp, o);
        break;
    case DX_JOURNAL_NATIVE:
        add_native(w, &p, o);
        break;
    }
}
