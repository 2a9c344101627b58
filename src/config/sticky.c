/* SPDX-License-Identifier: MIT */
/* `sticky` of a pool: a cookie or a header that is named says `by`; and the cookie's name when nobody said.
 */
#include "config/reader.h"

#include "diplex/base/hash.h"

#define PREFIX "diplex_"

/* A pool's name is fit for a cookie; a URL is not, and would tell the server's address. */
static const char *default_cookie(struct dx_config_reader *r, const char *pool)
{
    char buf[128];
    struct dx_slice name = dx_slice_str(pool);
    struct dx_out out = dx_out_of(buf, sizeof buf);
    DX_OUT_LIT(&out, PREFIX);
    if (dx_config_is_url(name))
        dx_out_hex(&out, dx_hash_finish(dx_hash_more(DX_HASH_START, name)));
    else
        dx_out_add(&out, name);
    DX_ASSERT(!out.overflow);
    return dx_config_keep(r, dx_out_slice(&out));
}

/* NULL: fine. Otherwise what is wrong. */
static const char *wrong_with(const struct dx_pool_config *pool, bool said)
{
    enum dx_sticky by = pool->sticky.by;
    if (pool->sticky.cookie && pool->sticky.header)
        return "'sticky' takes a 'cookie' or a 'header', not both";
    if (by == DX_STICKY_HEADER && !pool->sticky.header)
        return "'sticky' by header needs its name: sticky: {header: X-Session}";
    if (said && pool->sticky.cookie && by != DX_STICKY_COOKIE)
        return "'cookie' is only for 'by: cookie'";
    if (said && pool->sticky.header && by != DX_STICKY_HEADER)
        return "'header' is only for 'by: header'";
    if (pool->sticky.secret && by == DX_STICKY_OFF && !pool->sticky.cookie && !pool->sticky.header)
        return "'secret' says not what to be sticky by: add 'by', 'cookie' or 'header'";
    return NULL;
}

/* What it is sticky by stands where its name does. */
static void follows(struct dx_config_reader *r, const struct dx_node *name, struct dx_pool_config *pool,
                    enum dx_sticky by)
{
    if (r->lines)
        r->lines[dx_config_setting_index(dx_config_setting_find(SCOPE_STICKY, DX_SLICE("by")))] = name->line;
    pool->sticky.by = by;
}

void dx_config_sticky_finish(struct dx_config_reader *r, const struct dx_node *value,
                             struct dx_pool_config *pool)
{
    const struct dx_node *sticky = dx_node_find(value, "sticky");
    if (!sticky)
        return;
    bool said = sticky->kind == DX_NODE_TEXT || dx_node_find(sticky, "by");
    const char *wrong = wrong_with(pool, said);
    if (wrong) {
        dx_config_fault(r, sticky, "%s", wrong);
        return;
    }
    if (!said && pool->sticky.cookie)
        follows(r, dx_node_find(sticky, "cookie"), pool, DX_STICKY_COOKIE);
    if (!said && pool->sticky.header)
        follows(r, dx_node_find(sticky, "header"), pool, DX_STICKY_HEADER);
    if (pool->sticky.by == DX_STICKY_COOKIE && !pool->sticky.cookie)
        pool->sticky.cookie = default_cookie(r, pool->name);
}
