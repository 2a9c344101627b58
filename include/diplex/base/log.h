/* SPDX-License-Identifier: MIT */
/*
 * The program's own log: one line an event, `time level event key=value ...`, values escaped so that nobody
 * can forge a line. Only rooms of floor 5 and above call it; below, errors are returned.
 *
 *     dx_log(DX_LOG_INFO, "server_up", DX_KS("pool", name), DX_KI("after_ms", ms));
 */
#ifndef DIPLEX_BASE_LOG_H
#define DIPLEX_BASE_LOG_H

#include "diplex/base/slice.h"

enum dx_log_level { DX_LOG_DEBUG, DX_LOG_INFO, DX_LOG_WARN, DX_LOG_ERROR };

struct dx_kv {
    const char *key; /* NULL ends the list */
    bool is_number;
    int64_t number;
    struct dx_slice text;
};

#define DX_KS(k, s)     ((struct dx_kv){(k), false, 0, dx_slice_str(s)})
#define DX_KL(k, slice) ((struct dx_kv){(k), false, 0, (slice)})
#define DX_KI(k, i)     ((struct dx_kv){(k), true, (int64_t)(i), {NULL, 0}})
#define DX_LOG_END      ((struct dx_kv){NULL, false, 0, {NULL, 0}})

/* dx_log(level, event, pairs...): zero or more pairs. The event travels in the `...` so that C11 needs no
 * empty argument list. */
#define dx_log(level, ...) \
    dx_log_write((level), DX_LOG_FIRST(__VA_ARGS__, DX_LOG_END), DX_LOG_REST(__VA_ARGS__, DX_LOG_END))
#define DX_LOG_FIRST(event, ...) (event)
#define DX_LOG_REST(event, ...)  ((const struct dx_kv[]){__VA_ARGS__})

/* Safe from any thread. A line is at most 2048 bytes; what does not fit is cut and marked. */
void dx_log_write(enum dx_log_level level, const char *event, const struct dx_kv *kv);

/* What is below the level is not written; the level is INFO until set. */
void dx_log_set_level(enum dx_log_level level);
bool dx_log_level_parse(struct dx_slice word, enum dx_log_level *out) DX_CHECKED; /* debug info warn error */
/* Where lines go (each ends in '\n'); NULL: write(2) to standard error. */
void dx_log_set_sink(void (*sink)(struct dx_slice line));
/* Who hears of each event as well, whatever the level, in the thread that logs it; NULL: nobody. */
void dx_log_set_listener(void (*hear)(enum dx_log_level level, const char *event, const struct dx_kv *kv));
/* Who speaks: put as `from=` into each line ("control", "data"). The string must live for ever. */
void dx_log_set_source(const char *who);

#endif
