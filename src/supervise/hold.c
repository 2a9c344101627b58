/* SPDX-License-Identifier: MIT */
/* Pools held by hand: the word on the board that the queues of the workers look at. */
#include "supervise/control.h"

static void list_known(const struct plan *p, struct dx_text *out)
{
    dx_text_adds(out, "no pool is called so; there are:\n");
    for (unsigned i = 0; i < p->config->pools_n; i++)
        dx_text_addf(out, "  %s\n", p->pools[i].pool.name);
}

static void report(const struct control *c, const struct watched *pool, struct dx_text *out)
{
    static const char *const words[] = {"none", "unsafe", "all"};
    struct dx_board_waits waits = dx_board_pool_waits(c->board, pool->board);
    dx_text_adds(out, "{\"pool\":");
    dx_text_add_json(out, dx_slice_str(pool->pool.name));
    dx_text_addf(out, ",\"hold\":\"%s\",\"waiting\":%u}\n", words[dx_board_pool_hold(c->board, pool->board)],
                 waits.held + waits.queued);
}

bool hold_pool(struct control *c, enum dx_board_hold hold, struct dx_slice name, struct dx_text *out)
{
    const struct plan *p = c->on_board;
    const struct watched *pool = NULL;

    for (unsigned i = 0; i < p->config->pools_n && !pool; i++)
        if (dx_slice_eq(name, dx_slice_str(p->pools[i].pool.name)))
            pool = &p->pools[i];
    if (!pool) {
        list_known(p, out);
        return false;
    }
    bool changed = dx_board_pool_hold(c->board, pool->board) != hold;
    dx_board_pool_hold_set(c->board, pool->board, hold);
    if (changed && hold == DX_HOLD_NONE)
        dx_log(DX_LOG_INFO, "pool_released", DX_KS("pool", pool->pool.name));
    else if (changed)
        dx_log(DX_LOG_INFO, "pool_held", DX_KS("pool", pool->pool.name),
               DX_KS("methods", hold == DX_HOLD_WRITES ? "unsafe" : "all"));
    report(c, pool, out);
    return true;
}
