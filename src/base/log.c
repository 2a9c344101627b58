/* SPDX-License-Identifier: MIT */
/*
 * One event, one line, one write(2). The line is built on the stack and nothing is locked, so any thread may
 * call. A value that does not fit is cut, the rest is left out, and the line ends in `cut=1`.
 */
#include "diplex/base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "diplex/base/date.h"
#include "diplex/base/text.h"

#define LINE_BYTES ((size_t)2048)
#define CUT_MARK   " cut=1"
#define TAIL_BYTES (sizeof(CUT_MARK)) /* the mark and the newline */

static const char *const level_words[] = {"debug", "info", "warn", "error"};

static atomic_int least_level = DX_LOG_INFO;
static _Atomic(const char *) source;
static _Atomic(void (*)(struct dx_slice)) line_sink;
static _Atomic(void (*)(enum dx_log_level, const char *, const struct dx_kv *)) listener;

void dx_log_set_level(enum dx_log_level level) { atomic_store(&least_level, (int)level); }
void dx_log_set_source(const char *who) { atomic_store(&source, who); }
void dx_log_set_sink(void (*sink)(struct dx_slice line)) { atomic_store(&line_sink, sink); }
void dx_log_set_listener(void (*hear)(enum dx_log_level, const char *, const struct dx_kv *))
{
    atomic_store(&listener, hear);
}

bool dx_log_level_parse(struct dx_slice word, enum dx_log_level *out)
{
    for (size_t i = 0; i < DX_COUNT(level_words); i++) {
        if (dx_slice_eq(word, dx_slice_str(level_words[i]))) {
            *out = (enum dx_log_level)i;
            return true;
        }
    }
    return false;
}

static void out_time(struct dx_out *o)
{
    struct timespec now = {0};
    char text[DX_DATE_RFC3339_LEN + 1];
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        now.tv_sec = 0;
    dx_date_rfc3339((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u, text);
    dx_out_add(o, dx_slice_of(text, DX_DATE_RFC3339_LEN));
}

static void out_pair(struct dx_out *o, const struct dx_kv *kv, struct dx_slice text)
{
    dx_out_byte(o, ' ');
    dx_out_add(o, dx_slice_str(kv->key));
    dx_out_byte(o, '=');
    if (!kv->is_number) {
        dx_out_logvalue(o, text);
        return;
    }
    if (kv->number < 0)
        dx_out_byte(o, '-');
    dx_out_u64(o, kv->number < 0 ? 0 - (uint64_t)kv->number : (uint64_t)kv->number);
}

/* False when the line is full: the pair was cut, or left out when not even a beginning of its value fits. */
static bool out_pair_or_cut(struct dx_out *o, const struct dx_kv *kv)
{
    const struct dx_out before = *o;
    out_pair(o, kv, kv->text);
    if (!o->overflow)
        return true;
    *o = before;
    size_t room = (size_t)(o->end - o->p);
    size_t frame = strlen(kv->key) + 4;                  /* space, '=', two quotes */
    size_t fits = room > frame ? (room - frame) / 4 : 0; /* an escaped byte takes four */
    if (!kv->is_number && fits > 0 && fits < kv->text.n)
        out_pair(o, kv, dx_slice_of(kv->text.p, fits));
    return false;
}

static void send_line(struct dx_slice line)
{
    void (*sink)(struct dx_slice) = atomic_load(&line_sink);
    if (sink) {
        sink(line);
        return;
    }
    /* A log that cannot be written has nowhere to complain; a second write could tear lines apart. */
    while (write(STDERR_FILENO, line.p, line.n) < 0 && errno == EINTR)
        continue;
}

void dx_log_write(enum dx_log_level level, const char *event, const struct dx_kv *kv)
{
    char line[LINE_BYTES];
    struct dx_out o = dx_out_of(line, sizeof line - TAIL_BYTES);
    int saved_errno = errno;
    const char *who = atomic_load(&source);
    void (*hear)(enum dx_log_level, const char *, const struct dx_kv *) = atomic_load(&listener);

    if (hear)
        hear(level, event, kv);
    if ((int)level < atomic_load(&least_level))
        return;
    DX_ASSERT((size_t)level < DX_COUNT(level_words));
    out_time(&o);
    dx_out_byte(&o, ' ');
    dx_out_add(&o, dx_slice_str(level_words[level]));
    dx_out_byte(&o, ' ');
    dx_out_add(&o, dx_slice_str(event));
    bool whole = !who || out_pair_or_cut(&o, &DX_KS("from", who));
    for (; whole && kv && kv->key; kv++)
        whole = out_pair_or_cut(&o, kv);
    o.end += TAIL_BYTES;
    if (!whole)
        DX_OUT_LIT(&o, CUT_MARK);
    dx_out_byte(&o, '\n');
    send_line(dx_out_slice(&o));
    errno = saved_errno;
}
