/* SPDX-License-Identifier: MIT */
/* What is known of a name: its addresses, kept until a name server has said otherwise, and what was told
 * about it. */
#include "resolve/watched.h"

#include <stdlib.h>

#include "diplex/base/log.h"
#include "diplex/base/text.h"

#define GONE_AFTER 3u /* "no such name" so often in a row is believed */

static void tell_resolved(const struct name *name)
{
    struct dx_text all;
    char one[DX_ADDRESS_TEXT];
    dx_text_init(&all);
    for (size_t i = 0; i < name->n; i++) {
        (void)dx_address_text(&name->addresses[i], one, sizeof one);
        dx_text_addf(&all, "%s%s", i ? "," : "", one);
    }
    dx_log(DX_LOG_INFO, "name_resolved", DX_KS("pool", name->pool->config->name), DX_KS("server", name->text),
           DX_KL("addresses", dx_slice_of(all.p, all.n)));
    dx_text_fini(&all);
}

/* Of this family the lookup has found out nothing: what is known stays. */
static bool result_spares(const struct lookup_result *r, const struct dx_address *a)
{
    return a->u.sa.sa_family == AF_INET ? r->unknown4 : r->unknown6;
}

static bool result_has(const struct lookup_result *r, const struct dx_address *a)
{
    for (size_t i = 0; i < r->n; i++) {
        if (dx_address_eq(&r->addresses[i], a))
            return true;
    }
    return false;
}

static bool name_has(const struct name *name, const struct dx_address *a)
{
    for (size_t i = 0; i < name->n; i++) {
        if (dx_address_eq(&name->addresses[i], a))
            return true;
    }
    return false;
}

/* Name servers turn the order about; ours stays: what was known first, then what is new. True when something
 * changed. */
static bool name_take(struct name *name, const struct lookup_result *r)
{
    size_t kept = 0, before = name->n;
    for (size_t i = 0; i < before; i++) {
        if (result_has(r, &name->addresses[i]) || result_spares(r, &name->addresses[i]))
            name->addresses[kept++] = name->addresses[i];
    }
    bool changed = kept != before;
    name->n = kept;
    for (size_t i = 0; i < r->n && name->n < LOOKUP_ADDRESSES; i++) {
        if (name_has(name, &r->addresses[i]))
            continue;
        name->addresses[name->n++] = r->addresses[i];
        changed = true;
    }
    return changed;
}

static void name_failed(struct name *name, const struct lookup_result *r)
{
    name->gone_in_row = r->outcome == LOOKUP_NO_SUCH_NAME ? name->gone_in_row + 1 : 0;
    if (name->n > 0 && name->gone_in_row >= GONE_AFTER) {
        name->n = 0;
        name->told_failing = true;
        dx_log(DX_LOG_WARN, "name_gone", DX_KS("pool", name->pool->config->name),
               DX_KS("server", name->text));
        return;
    }
    if (name->told_failing)
        return;
    name->told_failing = true;
    dx_log(DX_LOG_WARN, "name_unresolved", DX_KS("pool", name->pool->config->name),
           DX_KS("server", name->text), DX_KS("reason", r->error), DX_KI("addresses_kept", name->n));
}

bool name_is_settled(const struct name *name) { return name->n > 0 && name->gone_in_row == 0; }

void name_answered(struct name *name, const struct lookup_result *r)
{
    if (r->outcome != LOOKUP_FOUND) {
        name_failed(name, r);
        return;
    }
    name->gone_in_row = 0;
    if (r->cut && !name->told_cut)
        dx_log(DX_LOG_WARN, "name_cut", DX_KS("pool", name->pool->config->name), DX_KS("server", name->text),
               DX_KI("addresses_max", LOOKUP_ADDRESSES));
    name->told_cut = r->cut;
    if (name_take(name, r) || name->told_failing)
        tell_resolved(name);
    name->told_failing = false;
}

/* --- life --- */

static void name_free(struct name *name)
{
    if (!name)
        return;
    lookup_cancel(&name->lookup);
    free(name->text);
    free(name);
}

static struct name *name_new(const struct dx_server_config *config)
{
    struct name *name = calloc(1, sizeof *name);
    if (!name)
        return NULL;
    name->config = config;
    name->text = dx_slice_dup(dx_slice_str(config->text));
    if (name->text)
        return name;
    name_free(name);
    return NULL;
}

void names_free(struct name **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++)
        name_free(names[i]);
    free(names);
}

static void name_inherit(struct name *name, const struct watched_pool *old)
{
    for (size_t i = 0; old && i < old->n; i++) {
        const struct name *o = old->names[i];
        if (!o || strcmp(o->text, name->text) != 0)
            continue;
        name->n = o->n;
        memcpy(name->addresses, o->addresses, o->n * sizeof o->addresses[0]);
        name->gone_in_row = o->gone_in_row;
        name->told_failing = o->told_failing;
        name->told_cut = o->told_cut;
        return;
    }
}

struct name **names_new(const struct dx_pool_config *config, const struct watched_pool *old)
{
    struct name **names = calloc((size_t)config->servers_n + 1, sizeof(void *));
    for (size_t i = 0; names && i < config->servers_n; i++) {
        if (config->servers[i].address.len)
            continue;
        DX_ASSERT(config->servers[i].host != NULL);
        names[i] = name_new(&config->servers[i]);
        if (!names[i]) {
            names_free(names, i);
            return NULL;
        }
        name_inherit(names[i], old);
    }
    return names;
}
