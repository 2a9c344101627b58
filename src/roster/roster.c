/* SPDX-License-Identifier: MIT */
/* Following the board's list of a pool, and choosing from it in tiers: up, starting, ejected; primaries
 * before backups in each. */
#include "diplex/roster.h"

#define WEIGHT_PARTS 256u /* a weight in such parts, so that a share of it is a whole number */
#define SLOW_LEAST   10u  /* a slow start begins with this part of the weight: one tenth */

enum tier { TIER_UP, TIER_STARTING, TIER_EJECTED, TIER_COUNT };

void dx_roster_init(struct dx_roster *r, struct dx_board *b, uint32_t board_pool,
                    const struct dx_roster_owner *owner, uint64_t seed)
{
    *r = (struct dx_roster){.board = b, .board_pool = board_pool, .owner = *owner, .random = {seed}};
}

/* Takes the server out of the old list if it is the same one. */
static struct dx_roster_server *take_same(struct dx_roster_server **old, size_t n,
                                          const struct dx_board_server *facts, size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        struct dx_roster_server *s = old[i];
        if (s == NULL || s->facts.id != facts->id || s->facts.generation != facts->generation)
            continue;
        old[i] = NULL;
        *at = i;
        return s;
    }
    return NULL;
}

/* Never 0. */
static uint64_t mark_of(const struct dx_roster *r, const struct dx_address *address)
{
    char text[DX_ADDRESS_TEXT];
    if (!r->marked)
        return 0;
    (void)dx_address_text(address, text, sizeof(text));
    uint64_t mark = dx_siphash(r->salt, dx_slice_str(text));
    return mark != 0 ? mark : 1;
}

void dx_roster_use(struct dx_roster *r, const struct dx_pool_config *settings)
{
    struct dx_slice secret = dx_slice_str(settings->sticky.secret);

    r->balance = settings->balance;
    r->slow_start_ms = settings->slow_start;
    r->marked = settings->sticky.by != DX_STICKY_OFF;
    for (uint64_t i = 0; i < DX_COUNT(r->salt); i++)
        r->salt[i] = secret.n != 0 ? dx_siphash((const uint64_t[2]){i, 0}, secret) : 0;
    dx_roster_follow(r);
}

void dx_roster_follow(struct dx_roster *r)
{
    struct dx_board_server list[DX_BOARD_POOL_SERVERS];
    struct dx_roster_server *old[DX_BOARD_POOL_SERVERS];
    bool whole = true;
    struct dx_balance_server old_scales[DX_BOARD_POOL_SERVERS];
    size_t old_n = r->n, at = 0;
    uint32_t version;
    size_t n = dx_board_pool_read(r->board, r->board_pool, list, &version);

    memcpy(old, r->servers, old_n * sizeof(old[0]));
    memcpy(old_scales, r->scales, old_n * sizeof(old_scales[0]));
    r->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct dx_roster_server *s = take_same(old, old_n, &list[i], &at);
        struct dx_balance_server scale = s != NULL ? old_scales[at] : (struct dx_balance_server){0};
        if (s == NULL)
            s = r->owner.appeared(r->owner.arg, &list[i]);
        whole &= s != NULL;
        if (s == NULL)
            continue; /* out of memory: the others serve, and the next look tries again */
        s->facts = list[i];
        s->mark = mark_of(r, &list[i].address);
        scale.weight = list[i].weight * WEIGHT_PARTS;
        scale.mark = s->mark;
        r->scales[r->n] = scale;
        r->servers[r->n++] = s;
    }
    for (size_t i = 0; i < old_n; i++)
        if (old[i] != NULL)
            r->owner.gone(r->owner.arg, old[i]);
    r->version = whole ? version : version - 1;
}

void dx_roster_clear(struct dx_roster *r)
{
    size_t n = r->n;
    r->n = 0;
    for (size_t i = 0; i < n; i++)
        r->owner.gone(r->owner.arg, r->servers[i]);
}

struct dx_roster_server *dx_roster_find(const struct dx_roster *r, uint32_t id, uint32_t generation)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->servers[i]->facts.id == id && r->servers[i]->facts.generation == generation)
            return r->servers[i];
    return NULL;
}

/* --- choosing --- */

static bool was_tried(const struct dx_tried *t, uint32_t id)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->id[i] == id)
            return true;
    return false;
}

static enum tier tier_of(const struct dx_board *b, uint32_t id)
{
    switch (dx_board_server_state(b, id)) {
    case DX_SERVER_UP:
        return TIER_UP;
    case DX_SERVER_STARTING:
        return TIER_STARTING;
    case DX_SERVER_DOWN:
        break;
    }
    return dx_board_server_why(b, id) == DX_WHY_PASSIVE ? TIER_EJECTED : TIER_COUNT;
}

bool dx_roster_may_serve(const struct dx_board *b, uint32_t server)
{
    return tier_of(b, server) != TIER_COUNT;
}

/* Marks who may be chosen in this tier; false when nobody may. */
static bool mark_usable(struct dx_roster *r, const struct dx_tried *tried, enum tier tier, bool backup)
{
    bool any = false;

    for (size_t i = 0; i < r->n; i++) {
        const struct dx_board_server *s = &r->servers[i]->facts;
        bool usable = s->backup == backup && tier_of(r->board, s->id) == tier && !was_tried(tried, s->id);
        r->scales[i].usable = usable;
        any |= usable;
    }
    return any;
}

static bool mark_best_tier(struct dx_roster *r, const struct dx_tried *tried)
{
    for (enum tier tier = TIER_UP; tier < TIER_COUNT; tier++)
        if (mark_usable(r, tried, tier, false) || mark_usable(r, tried, tier, true))
            return true;
    return false;
}

/* Slow start: the weight climbs evenly from a small part to the whole. */
static unsigned weight_now(const struct dx_roster *r, const struct dx_board_server *s, uint64_t now_ms)
{
    uint64_t risen_ms = dx_board_server_risen_ms(r->board, s->id), slow_ms = r->slow_start_ms;
    uint64_t since = now_ms > risen_ms ? now_ms - risen_ms : 0, whole = (uint64_t)s->weight * WEIGHT_PARTS;

    if (risen_ms == 0 || since >= slow_ms)
        return (unsigned)whole;
    if (since < slow_ms / SLOW_LEAST)
        since = slow_ms / SLOW_LEAST;
    uint64_t part = whole * since / slow_ms;
    return part > 0 ? (unsigned)part : 1;
}

static void weigh(struct dx_roster *r, uint64_t now_ms)
{
    for (size_t i = 0; r->slow_start_ms != 0 && i < r->n; i++)
        r->scales[i].weight = weight_now(r, &r->servers[i]->facts, now_ms);
    if (r->balance == DX_BALANCE_ROUND_ROBIN)
        return;
    for (size_t i = 0; i < r->n; i++)
        if (r->scales[i].usable)
            r->scales[i].active = dx_board_server_active(r->board, r->servers[i]->facts.id);
}

static size_t choose(struct dx_roster *r, const struct dx_wish *wish)
{
    for (size_t i = 0; wish->mark != 0 && i < r->n; i++)
        if (r->scales[i].usable && r->scales[i].mark == wish->mark)
            return i;
    if (wish->key != 0)
        return dx_balance_pick_key(r->scales, r->n, wish->key);
    return dx_balance_pick(r->balance, r->scales, r->n, dx_random_next(&r->random));
}

struct dx_roster_server *dx_roster_pick(struct dx_roster *r, const struct dx_roster_ask *ask, bool *full)
{
    dx_roster_look(r);
    bool any = ask->tried->n < DX_TRIED_MAX && mark_best_tier(r, ask->tried);
    if (full != NULL)
        *full = any;
    if (!any)
        return NULL;
    for (size_t i = 0; ask->may != NULL && i < r->n; i++)
        r->scales[i].usable = r->scales[i].usable && ask->may(r->servers[i], ask->arg);
    weigh(r, ask->now_ms);
    size_t at = choose(r, &ask->wish);
    return at == DX_BALANCE_NONE ? NULL : r->servers[at];
}
