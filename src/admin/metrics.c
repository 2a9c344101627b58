/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics, in the text format 0.0.4 of Prometheus or, for who asks for it, in OpenMetrics 1.0. Families
 * are rows of metrics.def; the board's counters come of themselves. Tens of thousands of lines are made
 * within a few milliseconds, because no line is formatted: texts and digits are copied.
 */
#include "admin/metrics.h"

#include <stdlib.h>

#include "admin/guests.h"
#include "diplex/base/hash.h"
#include "diplex/base/hide.h"
#include "diplex/os/clock.h"
#include "diplex/os/usage.h"

#define PREFIX     "diplex_"
#define NAME_BYTES 96
#define TYPE_OPEN  "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_PLAIN "text/plain; version=0.0.4; charset=utf-8"

enum type { COUNTER, GAUGE, HISTOGRAM, INFO };

static const struct {
    const char *name;
    enum type type;
    const char *labels, *sentence;
} families[FAMILY_COUNT] = {
#define FAMILY(id, name, type, labels, sentence) {PREFIX name, type, labels, sentence},
#include "admin/metrics.def"
};

/* ---- labels ---- */

void labels_begin(struct labels *l) { l->n = 0, l->cut = false; }

static void labels_bytes(struct labels *l, const char *p, size_t n)
{
    if (l->cut || LABELS_BYTES - l->n < n) {
        l->cut = true;
        return;
    }
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

/* How long the character of UTF-8 is that begins here; 0: none does. */
static size_t utf8_length(const char *s)
{
    unsigned char first = (unsigned char)s[0];
    size_t n = first < 0x80   ? 1
               : first < 0xc2 ? 0
               : first < 0xe0 ? 2
               : first < 0xf0 ? 3
               : first < 0xf5 ? 4
                              : 0;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
    unsigned char second = n > 2 ? (unsigned char)s[1] : 0x80;
    bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                 (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
    return wrong ? 0 : n;
}

/* What is no text is written as in a URL, and so is the sign that does it: two values never become one. */
static void labels_text(struct labels *l, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    while (*value) {
        size_t n = utf8_length(value);
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\' || c == '\n') {
            labels_bytes(l, (const char[]){'\\', c == '\n' ? 'n' : (char)c}, 2);
        } else if (n == 0 || c == '%' || c < 0x20 || c == 0x7f) {
            labels_bytes(l, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
            n = 1;
        } else {
            labels_bytes(l, value, n);
        }
        value += n;
    }
}

static void labels_open(struct labels *l, const char *name)
{
    if (l->n)
        labels_bytes(l, ",", 1);
    labels_bytes(l, name, strlen(name));
    labels_bytes(l, "=\"", 2);
}

void labels_add(struct labels *l, const char *name, const char *value)
{
    labels_open(l, name);
    labels_text(l, value);
    labels_bytes(l, "\"", 1);
}

void labels_add_route(struct labels *l, const char *host, const char *prefix)
{
    labels_open(l, "route");
    labels_text(l, host);
    labels_text(l, prefix);
    labels_bytes(l, "\"", 1);
}

/* ---- lines ---- */

static const char *const type_words[] = {"counter", "gauge", "histogram", "info"};
static const char *const suffixes[] = {"_total", "", "", "_info"};

static void begin_family(struct writer *w, const char *name, enum type type, const char *sentence)
{
    bool info = type == INFO && !w->open; /* a type that the older format has not */
    const char *suffix = w->open ? "" : suffixes[type];
    w->name = name;
    w->suffix = suffixes[type];
    dx_text_addf(w->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, sentence, name, suffix,
                 type_words[info ? GAUGE : type]);
}

void write_family(struct writer *w, enum family f)
{
    begin_family(w, families[f].name, families[f].type, families[f].sentence);
}

static void add(struct dx_out *o, const char *s) { dx_out_add(o, dx_slice_str(s)); }

/* Everything up to the value. `le` NULL: none. */
static void put_head(struct dx_out *o, const struct writer *w, const char *suffix, const struct labels *l,
                     const char *le)
{
    bool any = l && l->n;
    add(o, w->name);
    add(o, suffix);
    if (any || le)
        dx_out_byte(o, '{');
    if (any)
        dx_out_add(o, dx_slice_of(l->text, l->n));
    if (le) {
        add(o, any ? ",le=\"" : "le=\"");
        add(o, le);
        dx_out_byte(o, '"');
    }
    if (any || le)
        dx_out_byte(o, '}');
    dx_out_byte(o, ' ');
}

/* Seconds with as many decimals as there are, and at least one: 0.0025, 10.0. */
static void put_seconds(struct dx_out *o, uint64_t us)
{
    char digits[6];
    uint64_t rest = us % 1000000;
    size_t n = 1;
    for (size_t i = 6; i-- > 0; rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    for (size_t i = 1; i < 6; i++)
        n = digits[i] != '0' ? i + 1 : n;
    dx_out_u64(o, us / 1000000);
    dx_out_byte(o, '.');
    dx_out_add(o, dx_slice_of(digits, n));
}

#define LINE_BYTES (LABELS_BYTES + 2 * NAME_BYTES + 64)

static void line(struct writer *w, const char *suffix, const struct labels *l, const char *le, uint64_t value,
                 bool us)
{
    char buf[LINE_BYTES];
    struct dx_out o = dx_out_of(buf, sizeof buf);
    if (l && l->cut)
        return;
    put_head(&o, w, suffix, l, le);
    if (us)
        put_seconds(&o, value);
    else
        dx_out_u64(&o, value);
    dx_out_byte(&o, '\n');
    DX_ASSERT(!o.overflow);
    dx_text_add(w->out, dx_out_slice(&o));
}

void write_value(struct writer *w, const struct labels *l, uint64_t value)
{
    line(w, w->suffix, l, NULL, value, false);
}

void write_seconds(struct writer *w, const struct labels *l, uint64_t us)
{
    line(w, w->suffix, l, NULL, us, true);
}

void write_histogram(struct writer *w, const struct labels *l, const struct dx_board_histogram_sum *h)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < DX_BOARD_BUCKETS; i++) {
        char le[32] = "+Inf";
        struct dx_out o = dx_out_of(le, sizeof le - 1);
        if (i + 1 < DX_BOARD_BUCKETS) {
            put_seconds(&o, dx_board_bounds_us[i]);
            *o.p = '\0';
        }
        count += h->buckets[i];
        line(w, "_bucket", l, le, count, false);
    }
    line(w, "_sum", l, NULL, h->sum_us, true);
    line(w, "_count", l, NULL, count, false);
}

/* ---- the board's counters ---- */

static const struct {
    bool is;
    const char *name; /* NULL: part of a family */
} otherwise[DX_COUNTER_COUNT] = {
#define OTHERWISE(id, name) [DX_COUNTER_##id] = {true, name},
#include "admin/metrics.def"
};

static bool ends_in(struct dx_slice *s, const char *tail)
{
    size_t n = strlen(tail);
    if (s->n < n || memcmp(s->p + s->n - n, tail, n) != 0)
        return false;
    s->n -= n;
    return true;
}

struct told {
    char name[NAME_BYTES];
    bool total, us; /* it only grows; it is kept in microseconds, and told in seconds */
};

/* How a counter is told by itself; false: as part of a family. */
static bool counter_told(enum dx_counter c, struct told *t)
{
    const char *as = otherwise[c].is ? otherwise[c].name : dx_counter_name(c);
    struct dx_slice name = dx_slice_str(as ? as : "");
    if (!as || dx_slice_starts(name, DX_SLICE("hint_")))
        return false;
    struct dx_out o = dx_out_of(t->name, sizeof t->name - 1);
    t->total = ends_in(&name, "_total");
    t->us = ends_in(&name, "_us");
    DX_OUT_LIT(&o, PREFIX);
    dx_out_add(&o, name);
    add(&o, t->us ? "_seconds" : "");
    DX_ASSERT(!o.overflow);
    *o.p = '\0';
    return true;
}

static void write_counters(struct writer *w, const struct dx_admin_facts *f)
{
    struct told t;
    for (unsigned c = 0; c < DX_COUNTER_COUNT; c++) {
        if (!counter_told((enum dx_counter)c, &t))
            continue;
        begin_family(w, t.name, t.total ? COUNTER : GAUGE, dx_counter_sentence((enum dx_counter)c));
        line(w, w->suffix, NULL, NULL, dx_board_counter_sum(f->board, (enum dx_counter)c), t.us);
    }
    write_family(w, FAMILY_HINTS);
    for (unsigned c = 0; c < DX_COUNTER_COUNT; c++) {
        struct dx_slice name = dx_slice_str(dx_counter_name((enum dx_counter)c));
        char hint[NAME_BYTES];
        struct labels l;
        if (!dx_slice_starts(name, DX_SLICE("hint_")) || !ends_in(&name, "_total") || name.n >= NAME_BYTES)
            continue;
        memcpy(hint, name.p + 5, name.n - 5);
        hint[name.n - 5] = '\0';
        labels_begin(&l);
        labels_add(&l, "hint", hint);
        write_value(w, &l, dx_board_counter_sum(f->board, (enum dx_counter)c));
    }
}

/* ---- the program ---- */

static void single(struct writer *w, enum family f, uint64_t value)
{
    write_family(w, f);
    write_value(w, NULL, value);
}

/* With the secrets hidden, as everywhere: what is not shown cannot be guessed from its hash. */
uint64_t metrics_hash(const struct dx_config *config)
{
    struct dx_text text;
    dx_text_init(&text);
    dx_config_print(config, &text);
    size_t room = 2 * text.n + 8;
    char *buf = calloc(1, room);
    struct dx_out o = dx_out_of(buf, buf ? room : 0);
    if (buf)
        dx_hide(&o, dx_slice_of(text.p, text.n));
    uint64_t hash = dx_hash_finish(dx_hash_more(DX_HASH_START, dx_out_slice(&o)));
    free(buf);
    dx_text_fini(&text);
    return hash;
}

static void write_infos(struct writer *w, const struct dx_admin_facts *f, uint64_t hash)
{
    struct labels l;
    char hex[17];
    struct dx_out o = dx_out_of(hex, sizeof hex - 1);
    labels_begin(&l);
    labels_add(&l, "version", DIPLEX_VERSION);
    write_family(w, FAMILY_BUILD);
    write_value(w, &l, 1);
    dx_out_hex(&o, hash);
    *o.p = '\0';
    labels_begin(&l);
    labels_add(&l, "hash", hex);
    labels_add(&l, "file", f->file);
    write_family(w, FAMILY_CONFIG);
    write_value(w, &l, 1);
    labels_begin(&l);
    labels_add(&l, "state", f->sandbox ? f->sandbox : "unknown");
    write_family(w, FAMILY_SANDBOX);
    write_value(w, &l, 1);
}

static void write_program(struct writer *w, const struct dx_admin_facts *f)
{
    struct labels ok, refused;
    uint64_t began_us = dx_clock_wall_us() - f->uptime_ms * 1000;
    labels_begin(&ok);
    labels_add(&ok, "result", "ok");
    labels_begin(&refused);
    labels_add(&refused, "result", "refused");
    single(w, FAMILY_READY, f->ready);
    single(w, FAMILY_WORKERS, f->workers);
    single(w, FAMILY_GENERATION, f->generation);
    write_family(w, FAMILY_RELOADS);
    write_value(w, &ok, f->reloads);
    write_value(w, &refused, f->reload.refused);
    single(w, FAMILY_RELOAD_OK, !f->reload.any || f->reload.ok);
    write_family(w, FAMILY_RELOAD_TIME);
    write_seconds(w, NULL, f->reload.ok_wall_us ? f->reload.ok_wall_us : began_us);
    single(w, FAMILY_DATA_STARTS, dx_board_data_starts(f->board));
    single(w, FAMILY_DATA_DEATHS, f->data_deaths);
    write_family(w, FAMILY_START_TIME);
    write_seconds(w, NULL, began_us);
}

static void write_limits(struct writer *w, const struct dx_config *c)
{
    if (c->limits.connections)
        single(w, FAMILY_LIMIT_CONNECTIONS, c->limits.connections);
    if (c->limits.tunnels)
        single(w, FAMILY_LIMIT_TUNNELS, c->limits.tunnels);
    single(w, FAMILY_LIMIT_SPOOL_MEMORY, c->buffer.total_memory);
    single(w, FAMILY_LIMIT_SPOOL_DISK, c->buffer.total_disk);
}

static void write_processes(struct writer *w, const struct dx_admin_facts *f)
{
    struct dx_usage usage[2];
    struct labels l[2];
    bool there[2] = {dx_usage_of(f->control_pid, &usage[0]),
                     f->data_pid > 0 && dx_usage_of(f->data_pid, &usage[1])};
    static const enum family rows[] = {FAMILY_CPU, FAMILY_MEMORY, FAMILY_THREADS, FAMILY_DESCRIPTORS,
                                       FAMILY_DESCRIPTORS_MAX};
    for (unsigned p = 0; p < 2; p++) {
        labels_begin(&l[p]);
        labels_add(&l[p], "process", p ? "data" : "control");
    }
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        write_family(w, rows[i]);
        for (unsigned p = 0; p < 2; p++) {
            const struct dx_usage *u = &usage[p];
            if (!there[p])
                continue;
            const uint64_t values[] = {u->cpu_us, u->memory_bytes, u->threads, u->descriptors,
                                       u->descriptors_max};
            if (rows[i] == FAMILY_CPU)
                write_seconds(w, &l[p], values[i]);
            else if (values[i])
                write_value(w, &l[p], values[i]);
        }
    }
}

void metrics_write(const struct dx_admin_facts *f, uint64_t hash, bool open, struct dx_text *out)
{
    struct writer w = {.out = out, .open = open};
    write_infos(&w, f, hash);
    write_program(&w, f);
    write_processes(&w, f);
    write_limits(&w, f->config);
    write_counters(&w, f);
    write_pools(&w, f);
    if (open)
        dx_text_adds(out, "# EOF\n");
}

static void print_row(struct dx_text *out, const char *name, enum type type, const char *labels,
                      const char *sentence)
{
    dx_text_addf(out, "| `%s%s` | %s | %s | %s |\n", name, suffixes[type], type_words[type],
                 labels[0] ? labels : "-", sentence);
}

void metrics_print(struct dx_text *out)
{
    struct told t;
    dx_text_adds(out, "| name | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        print_row(out, families[i].name, families[i].type, families[i].labels, families[i].sentence);
    for (unsigned c = 0; c < DX_COUNTER_COUNT; c++)
        if (counter_told((enum dx_counter)c, &t))
            print_row(out, t.name, t.total ? COUNTER : GAUGE, "", dx_counter_sentence((enum dx_counter)c));
}

/* ---- which format ---- */

/* In thousandths; 1000 without q (RFC 9110 12.4.2). */
static unsigned weight_of(struct dx_slice params)
{
    while (params.n) {
        size_t end = dx_slice_find(params, ';');
        struct dx_slice param = dx_slice_trim(dx_slice_of(params.p, end));
        params =
            end < params.n ? dx_slice_of(params.p + end + 1, params.n - end - 1) : dx_slice_of(params.p, 0);
        if (param.n < 3 || !dx_slice_eq_nocase(dx_slice_of(param.p, 2), DX_SLICE("q=")))
            continue;
        unsigned weight = param.p[2] == '1' ? 1000 : 0, place = 100;
        for (size_t i = 4; i < param.n && place && weight < 1000; i++, place /= 10)
            weight += param.p[i] >= '0' && param.p[i] <= '9' ? (unsigned)(param.p[i] - '0') * place : 0;
        return weight;
    }
    return 1000;
}

bool metrics_wants_open(struct dx_slice accept)
{
    struct dx_slice item;
    unsigned open = 0, plain = 0;
    while (dx_slice_next_item(&accept, &item)) {
        size_t end = dx_slice_find(item, ';');
        struct dx_slice type = dx_slice_trim(dx_slice_of(item.p, end));
        unsigned weight = weight_of(dx_slice_of(item.p + end, item.n - end));
        if (dx_slice_eq_nocase(type, DX_SLICE("application/openmetrics-text")))
            open = weight > open ? weight : open;
        else if (dx_slice_eq_nocase(type, DX_SLICE("text/plain")))
            plain = weight > plain ? weight : plain;
    }
    return open > 0 && open >= plain;
}

void answer_metrics(struct dx_admin *a, struct dx_admin_reply *r)
{
    struct dx_admin_facts facts;
    struct dx_text text;
    bool open = metrics_wants_open(reply_ask(r)->accept);
    admin_facts(a, &facts);
    if (a->hashed_generation != facts.generation) {
        a->config_hash = metrics_hash(facts.config);
        a->hashed_generation = facts.generation;
    }
    dx_text_init(&text);
    metrics_write(&facts, a->config_hash, open, &text);
    reply_field(r, "Vary", "Accept");
    reply_send_made(r, 200, open ? TYPE_OPEN : TYPE_PLAIN, &text);
    dx_text_fini(&text);
}
