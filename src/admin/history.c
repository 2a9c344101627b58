/* SPDX-License-Identifier: MIT */
/*
 * Samples stand in a ring that all pools share: place k of every pool's columns is of the moment times[k]. A
 * pool that came later has nothing to say of the places before it. Samples and events are numbered from one
 * counter, so that "what is new since N" is one question.
 */
#include "diplex/admin/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/samples.h"
#include "diplex/base/date.h"

#define HISTORY_MAGIC 0x48495354u
#define VALUE_BYTES   ((size_t)160) /* of one value of an event */
#define FACTS_BYTES   ((size_t)640) /* of all its values, as JSON */
#define RUN_BYTES     24

static const char *const series_names[] = {
#define SERIES(id, name) name,
#include "admin/history.def"
};

static const struct kind {
    const char *word, *sentence;
} kinds[] = {
#define EVENT(word, sentence) {word, sentence},
#include "admin/history.def"
};

struct pool {
    char *name;
    bool seen;  /* in the sample at hand */
    bool known; /* `last` is of the sample before */
    struct totals last;
    struct row rows[DX_HISTORY_SAMPLES];
};

struct moment {
    uint64_t number, at_ms;
};

struct event {
    uint64_t number;
    struct dx_history_time time;
    enum dx_log_level level;
    const struct kind *kind;
    char facts[FACTS_BYTES]; /* "key":value,... */
};

struct dx_history {
    uint32_t magic;
    char run[RUN_BYTES]; /* tells this history from that of another start */
    uint64_t numbers;
    uint64_t samples; /* taken so far; the next one's place is this modulo the ring's size */
    struct moment times[DX_HISTORY_SAMPLES];
    struct pool **pools;
    size_t pools_n;
    uint64_t events_n; /* noted so far */
    struct event events[DX_HISTORY_EVENTS];
};

struct dx_history *dx_history_new(struct dx_history_time now)
{
    struct dx_history *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    DX_MAGIC_SET(h, HISTORY_MAGIC);
    (void)snprintf(h->run, sizeof h->run, "%llx", (unsigned long long)now.wall_us);
    return h;
}

static void pool_free(struct pool *p)
{
    free(p->name);
    free(p);
}

void dx_history_free(struct dx_history **hp)
{
    struct dx_history *h = *hp;
    if (!h)
        return;
    DX_MAGIC_OK(h, HISTORY_MAGIC);
    for (size_t i = 0; i < h->pools_n; i++)
        pool_free(h->pools[i]);
    free(h->pools);
    DX_MAGIC_CLEAR(h);
    free(h);
    *hp = NULL;
}

/* --- samples --- */

static struct pool *pool_new(struct dx_history *h, const char *name)
{
    struct pool **pools = realloc(h->pools, (h->pools_n + 1) * sizeof(struct pool *));
    if (!pools)
        return NULL;
    h->pools = pools;
    struct pool *p = calloc(1, sizeof *p);
    if (p)
        p->name = dx_slice_dup(dx_slice_str(name));
    if (!p || !p->name) {
        free(p);
        return NULL;
    }
    memset(p->rows, 0xff, sizeof p->rows); /* NOTHING everywhere */
    h->pools[h->pools_n++] = p;
    return p;
}

static struct pool *pool_of(struct dx_history *h, const char *name)
{
    for (size_t i = 0; i < h->pools_n; i++) {
        if (strcmp(h->pools[i]->name, name) == 0)
            return h->pools[i];
    }
    return pool_new(h, name);
}

/* Whoever is in the configuration no longer. */
static void drop_unseen(struct dx_history *h)
{
    for (size_t i = h->pools_n; i-- > 0;) {
        if (!h->pools[i]->seen) {
            pool_free(h->pools[i]);
            h->pools[i] = h->pools[--h->pools_n];
        }
    }
}

void dx_history_sample(struct dx_history *h, const struct dx_board *board, const struct dx_config *config,
                       struct dx_history_time now)
{
    DX_MAGIC_OK(h, HISTORY_MAGIC);
    size_t place = h->samples % DX_HISTORY_SAMPLES;
    struct dx_board_server *servers = calloc(DX_BOARD_POOL_SERVERS, sizeof *servers);
    if (!servers)
        return;
    for (size_t i = 0; i < h->pools_n; i++) {
        h->pools[i]->seen = false;
        memset(&h->pools[i]->rows[place], 0xff, sizeof(struct row));
    }
    for (unsigned i = 0; i < config->pools_n; i++) {
        struct pool *p = pool_of(h, config->pools[i].name);
        if (!p)
            continue;
        p->seen = true;
        p->known = samples_take(board, p->name, servers, p->known, &p->last, &p->rows[place]);
    }
    drop_unseen(h);
    h->times[place] = (struct moment){.number = ++h->numbers, .at_ms = now.at_ms};
    h->samples++;
    free(servers);
}

/* --- events --- */

static const struct kind *kind_of(const char *word)
{
    for (size_t i = 0; i < DX_COUNT(kinds); i++) {
        if (strcmp(kinds[i].word, word) == 0)
            return &kinds[i];
    }
    return NULL;
}

static void out_number(struct dx_out *o, int64_t n)
{
    if (n < 0)
        dx_out_byte(o, '-');
    dx_out_u64(o, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* Whole pairs only: the one that does not fit is left out, and those after it. */
static void out_facts(struct dx_out *o, const struct dx_kv *kv)
{
    for (; kv && kv->key; kv++) {
        const struct dx_out before = *o;
        size_t n = kv->text.n < VALUE_BYTES ? kv->text.n : VALUE_BYTES;
        if (o->p != o->start)
            dx_out_byte(o, ',');
        dx_out_json(o, dx_slice_str(kv->key));
        dx_out_byte(o, ':');
        if (kv->is_number)
            out_number(o, kv->number);
        else
            dx_out_json(o, dx_slice_of(kv->text.p, n));
        if (o->overflow) {
            *o = before;
            return;
        }
    }
}

void dx_history_event(struct dx_history *h, enum dx_log_level level, const char *event,
                      const struct dx_kv *kv, struct dx_history_time now)
{
    DX_MAGIC_OK(h, HISTORY_MAGIC);
    const struct kind *kind = kind_of(event);
    if (!kind)
        return;
    struct event *e = &h->events[h->events_n % DX_HISTORY_EVENTS];
    struct dx_out o = dx_out_of(e->facts, sizeof e->facts - 1);
    *e = (struct event){.number = ++h->numbers, .time = now, .level = level, .kind = kind};
    out_facts(&o, kv);
    *o.p = '\0';
    h->events_n++;
}

/* --- the document --- */

static uint64_t first_kept(uint64_t taken, uint64_t ring) { return taken > ring ? taken - ring : 0; }

/* The first sample that is newer. */
static uint64_t sample_after(const struct dx_history *h, uint64_t since)
{
    uint64_t k = first_kept(h->samples, DX_HISTORY_SAMPLES);
    while (k < h->samples && h->times[k % DX_HISTORY_SAMPLES].number <= since)
        k++;
    return k;
}

static void write_times(const struct dx_history *h, uint64_t from, struct dx_text *out)
{
    dx_text_adds(out, " \"at_ms\":[");
    for (uint64_t k = from; k < h->samples; k++)
        dx_text_addf(out, "%s%llu", k > from ? "," : "",
                     (unsigned long long)h->times[k % DX_HISTORY_SAMPLES].at_ms);
    dx_text_adds(out, "],\n");
}

static void write_pool(const struct dx_history *h, const struct pool *p, uint64_t from, struct dx_text *out)
{
    dx_text_adds(out, "\n  {\"name\":");
    dx_text_add_json(out, dx_slice_str(p->name));
    for (size_t s = 0; s < SERIES_COUNT; s++) {
        dx_text_addf(out, ",\n   \"%s\":[", series_names[s]);
        for (uint64_t k = from; k < h->samples; k++) {
            uint32_t v = p->rows[k % DX_HISTORY_SAMPLES].v[s];
            dx_text_adds(out, k > from ? "," : "");
            if (v == NOTHING)
                dx_text_adds(out, "null");
            else
                dx_text_addf(out, "%u", v);
        }
        dx_text_adds(out, "]");
    }
    dx_text_adds(out, "}");
}

static void write_event(const struct event *e, struct dx_text *out)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    char time[DX_DATE_RFC3339_LEN + 1];
    dx_date_rfc3339(e->time.wall_us, time);
    dx_text_addf(out,
                 "\n  {\"n\":%llu,\"at_ms\":%llu,\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"text\":",
                 (unsigned long long)e->number, (unsigned long long)e->time.at_ms, time, levels[e->level],
                 e->kind->word);
    dx_text_add_json(out, dx_slice_str(e->kind->sentence));
    dx_text_addf(out, ",\"facts\":{%s}}", e->facts);
}

static void write_events(const struct dx_history *h, uint64_t since, struct dx_text *out)
{
    bool any = false;
    dx_text_adds(out, " \"events\":[");
    for (uint64_t k = first_kept(h->events_n, DX_HISTORY_EVENTS); k < h->events_n; k++) {
        const struct event *e = &h->events[k % DX_HISTORY_EVENTS];
        if (e->number <= since)
            continue;
        dx_text_adds(out, any ? "," : "");
        write_event(e, out);
        any = true;
    }
    dx_text_adds(out, "]}\n");
}

void dx_history_write(const struct dx_history *h, uint64_t since, struct dx_history_time now,
                      struct dx_text *out)
{
    DX_MAGIC_OK(h, HISTORY_MAGIC);
    uint64_t from = sample_after(h, since);
    dx_text_addf(out, "{\"run\":\"%s\",\"every_ms\":%u,\"now_ms\":%llu,\"next\":%llu,\n", h->run,
                 DX_HISTORY_EVERY_MS, (unsigned long long)now.at_ms, (unsigned long long)h->numbers);
    write_times(h, from, out);
    dx_text_adds(out, " \"pools\":[");
    for (size_t i = 0; i < h->pools_n; i++) {
        dx_text_adds(out, i ? "," : "");
        write_pool(h, h->pools[i], from, out);
    }
    dx_text_adds(out, "],\n");
    write_events(h, since, out);
}
