/* SPDX-License-Identifier: MIT */
/* The table of hints as values and as text, and the gate that lets each be said once in a while. */
#include "diplex/hint.h"

static const struct dx_hint_row rows[DX_HINT_COUNT] = {
#define HINT(id, level, word, seen, change) [DX_HINT_##id] = {DX_LOG_##level, word, seen, change},
#include "diplex/hints.def"
};

const struct dx_hint_row *dx_hint_row(enum dx_hint h)
{
    DX_ASSERT(h > DX_HINT_NONE && h < DX_HINT_COUNT);
    return &rows[h];
}

/* Whoever moves `said_ms` says it; who comes in between is counted for the next time. The clocks of two
 * workers may differ by a turn of their loops, so `said_ms` may lie a little ahead. */
bool dx_hint_due(struct dx_hint_gate *g, uint64_t now_ms, uint64_t every_ms, uint64_t *times)
{
    atomic_fetch_add_explicit(&g->seen, 1, memory_order_relaxed);
    uint64_t said = atomic_load_explicit(&g->said_ms, memory_order_relaxed);
    if (every_ms == 0 || (said != 0 && now_ms < said + every_ms))
        return false;
    if (!atomic_compare_exchange_strong_explicit(&g->said_ms, &said, now_ms ? now_ms : 1,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false;
    *times = atomic_exchange_explicit(&g->seen, 0, memory_order_relaxed);
    return *times > 0;
}

void dx_hint_print(struct dx_text *out)
{
    dx_text_adds(out, "| `what=` | seen | change |\n|---|---|---|\n");
    for (unsigned h = DX_HINT_NONE + 1; h < DX_HINT_COUNT; h++)
        dx_text_addf(out, "| `%s` | %s | %s |\n", rows[h].word, rows[h].seen, rows[h].change);
}
