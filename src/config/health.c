/* SPDX-License-Identifier: MIT */
/* `health` of a pool: a path, a mapping or `off`; and the host that a check names when nobody said. */
#include "config/reader.h"

void dx_config_read_health(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                           void *base)
{
    struct dx_pool_config *pool = base;
    bool off = v->kind == DX_NODE_TEXT && dx_slice_eq_nocase(v->text, DX_SLICE("off"));
    pool->health.enabled = !off;
    if (!off)
        dx_config_read_group(r, s->nested, v, v, base);
}
