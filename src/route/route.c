/* SPDX-License-Identifier: MIT */
/*
 * The prefix table: two open hash tables over copies of the keys, made once, never changed.
 *
 *   hosts      name -> group. A group is all routes of one host; group 0 is the routes without one. Names are
 * hashed from their end, so one walk over a host passes every "*.suffix" on its way to the whole name. Each
 * group knows the next one to try (the nearest wildcard above it, at last group 0): no search at lookup.
 *   prefixes   (group, prefix without its trailing '/') -> index. One walk over a path hashes it byte by byte
 * and looks at each segment boundary; the deepest hit wins. The walk ends where the group's deepest and
 * longest prefix end, so neither long paths nor many routes cost anything.
 */
#include "diplex/route.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "diplex/base/hash.h"

#define ROUTE_MAGIC   0x524f5554u
#define EMPTY         UINT32_MAX /* a slot that holds nothing */
#define ERR_KEY_BYTES 90         /* of a host or prefix quoted in an error */

struct group {
    struct dx_slice name; /* "example.com", ".example.com" for "*.example.com", empty for group 0 */
    bool wild;
    uint32_t next;       /* tried after this one; group 0 ends the chain */
    uint64_t hash, seed; /* of the name; for the prefixes of this group */
    size_t longest;      /* bytes of its longest prefix */
    unsigned depth;      /* segments of its deepest prefix */
    bool any;            /* it has routes (group 0 may have none) */
};

struct entry {
    struct dx_slice prefix; /* without its trailing '/', so "/" is empty */
    uint64_t hash;
    uint32_t group;
};

/* Open addressing, at most half full, so a probe soon meets an empty slot. */
struct slots {
    uint32_t *at;
    size_t mask;
};

struct dx_route_table {
    uint32_t magic;
    uint32_t groups_n;
    size_t entries_n;
    struct group *groups;  /* at most entries_n + 1 */
    struct entry *entries; /* in the order of the keys: the index is the result */
    struct slots hosts, prefixes;
    char *bytes; /* what all slices point into */
};

static bool slots_init(struct slots *s, size_t n)
{
    size_t size = 4;
    while (size < 2 * n)
        size *= 2;
    s->at = malloc(size * sizeof *s->at);
    if (!s->at)
        return false;
    memset(s->at, 0xff, size * sizeof *s->at);
    s->mask = size - 1;
    return true;
}

static void slots_put(struct slots *s, uint64_t hash, uint32_t value)
{
    size_t i = hash & s->mask;
    while (s->at[i] != EMPTY)
        i = (i + 1) & s->mask;
    s->at[i] = value;
}

static uint32_t host_probe(const struct dx_route_table *t, uint64_t state, struct dx_slice name, bool wild)
{
    uint64_t hash = dx_hash_finish(state);

    for (size_t i = hash & t->hosts.mask; t->hosts.at[i] != EMPTY; i = (i + 1) & t->hosts.mask) {
        const struct group *g = &t->groups[t->hosts.at[i]];
        if (g->hash == hash && g->wild == wild && dx_slice_eq(g->name, name))
            return t->hosts.at[i];
    }
    return EMPTY;
}

/* The most specific wildcard that covers a name; *state is then the hash state of the whole name. 0 when
 * there is none. */
static uint32_t host_walk(const struct dx_route_table *t, struct dx_slice name, uint64_t *state)
{
    uint64_t h = DX_HASH_START;
    uint32_t found = 0;

    for (size_t i = name.n; i-- > 0;) {
        h = dx_hash_byte(h, (unsigned char)name.p[i]);
        if (name.p[i] != '.' || i == 0)
            continue;
        uint32_t g = host_probe(t, h, dx_slice_of(name.p + i, name.n - i), true);
        if (g != EMPTY)
            found = g;
    }
    *state = h;
    return found;
}

static uint32_t host_find(const struct dx_route_table *t, struct dx_slice host)
{
    uint64_t state;

    if (t->groups_n == 1 || host.n == 0)
        return 0;
    uint32_t wild = host_walk(t, host, &state);
    uint32_t exact = host_probe(t, state, host, false);
    return exact != EMPTY ? exact : wild;
}

static int prefix_probe(const struct dx_route_table *t, uint32_t group, uint64_t state,
                        struct dx_slice prefix)
{
    uint64_t hash = dx_hash_finish(state);

    for (size_t i = hash & t->prefixes.mask; t->prefixes.at[i] != EMPTY; i = (i + 1) & t->prefixes.mask) {
        const struct entry *e = &t->entries[t->prefixes.at[i]];
        if (e->hash == hash && e->group == group && dx_slice_eq(e->prefix, prefix))
            return (int)t->prefixes.at[i];
    }
    return DX_ROUTE_NONE;
}

/* The prefix "/" is the empty one and matches whatever comes, also the "*" of OPTIONS. */
static int prefix_find(const struct dx_route_table *t, uint32_t group, struct dx_slice path)
{
    const struct group *g = &t->groups[group];
    size_t limit = path.n < g->longest ? path.n : g->longest;
    uint64_t h = g->seed;
    int best = prefix_probe(t, group, h, dx_slice_of(path.p, 0));
    size_t i = 0;

    for (unsigned depth = 0; depth < g->depth && i < limit; depth++) {
        do
            h = dx_hash_byte(h, (unsigned char)path.p[i++]);
        while (i < limit && path.p[i] != '/');
        if (i < path.n && path.p[i] != '/')
            break; /* longer than every prefix, and not at a boundary */
        int hit = prefix_probe(t, group, h, dx_slice_of(path.p, i));
        if (hit != DX_ROUTE_NONE)
            best = hit;
    }
    return best;
}

int dx_route_find(const struct dx_route_table *t, struct dx_slice host, struct dx_slice path)
{
    DX_MAGIC_OK(t, ROUTE_MAGIC);
    for (uint32_t g = host_find(t, host);; g = t->groups[g].next) {
        int found = t->groups[g].any ? prefix_find(t, g, path) : DX_ROUTE_NONE;
        if (found != DX_ROUTE_NONE || g == 0)
            return found;
    }
}

/* --- making one
 * ------------------------------------------------------------------------------------------------- */

static struct dx_slice copy_bytes(char **to, struct dx_slice s)
{
    char *p = *to;
    if (s.n)
        memcpy(p, s.p, s.n);
    *to += s.n;
    return dx_slice_of(p, s.n);
}

/* The group of a host, made if it is new. */
static uint32_t group_get(struct dx_route_table *t, struct dx_slice host, char **bytes)
{
    if (host.n == 0)
        return 0;

    bool wild = host.n > 2 && dx_slice_starts(host, DX_SLICE("*."));
    struct dx_slice name = wild ? dx_slice_of(host.p + 1, host.n - 1) : host;
    uint64_t state = DX_HASH_START;
    for (size_t i = name.n; i-- > 0;)
        state = dx_hash_byte(state, (unsigned char)name.p[i]);
    uint32_t found = host_probe(t, state, name, wild);
    if (found != EMPTY)
        return found;

    uint32_t index = t->groups_n++;
    uint64_t hash = dx_hash_finish(state);
    t->groups[index] = (struct group){.name = copy_bytes(bytes, name),
                                      .wild = wild,
                                      .hash = hash,
                                      .seed = dx_hash_finish(DX_HASH_START + index)};
    slots_put(&t->hosts, hash, index);
    return index;
}

static bool duplicate(struct dx_err *err, const struct dx_route_key *keys, size_t a, size_t b)
{
    const struct dx_route_key *x = &keys[a], *y = &keys[b];
    struct dx_slice host = x->host, p = x->prefix, q = y->prefix;

    host.n = host.n < ERR_KEY_BYTES ? host.n : ERR_KEY_BYTES;
    p.n = p.n < ERR_KEY_BYTES ? p.n : ERR_KEY_BYTES;
    q.n = q.n < ERR_KEY_BYTES ? q.n : ERR_KEY_BYTES;
    return dx_err_set(err, "routes %zu and %zu have the same prefix: \"%.*s\" and \"%.*s\"%s%.*s", a, b,
                      DX_SLICE_ARGS(p), DX_SLICE_ARGS(q), host.n ? " of host " : "", DX_SLICE_ARGS(host));
}

static bool add_key(struct dx_route_table *t, const struct dx_route_key *keys, size_t i, char **bytes,
                    struct dx_err *err)
{
    struct dx_slice prefix = keys[i].prefix;

    if (prefix.n == 0 || prefix.p[0] != '/') {
        prefix.n = prefix.n < ERR_KEY_BYTES ? prefix.n : ERR_KEY_BYTES;
        return dx_err_set(err, "route %zu: the prefix \"%.*s\" does not begin with '/'", i,
                          DX_SLICE_ARGS(prefix));
    }
    if (prefix.p[prefix.n - 1] == '/')
        prefix.n--;

    uint32_t index = group_get(t, keys[i].host, bytes);
    struct group *g = &t->groups[index];
    uint64_t state = dx_hash_more(g->seed, prefix);
    int same = prefix_probe(t, index, state, prefix);
    if (same != DX_ROUTE_NONE)
        return duplicate(err, keys, (size_t)same, i);

    unsigned depth = 0;
    for (size_t at = 0; at < prefix.n; at++)
        depth += prefix.p[at] == '/';
    g->depth = depth > g->depth ? depth : g->depth;
    g->longest = prefix.n > g->longest ? prefix.n : g->longest;
    g->any = true;
    t->entries[i] = (struct entry){copy_bytes(bytes, prefix), dx_hash_finish(state), index};
    slots_put(&t->prefixes, t->entries[i].hash, (uint32_t)i);
    return true;
}

static bool allocate(struct dx_route_table *t, const struct dx_route_key *keys, size_t n)
{
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++)
        bytes += keys[i].host.n + keys[i].prefix.n;
    t->bytes = malloc(bytes);
    t->entries = calloc(n + 1, sizeof *t->entries);
    t->groups = calloc(n + 1, sizeof *t->groups);
    return t->bytes && t->entries && t->groups && slots_init(&t->hosts, n + 1) && slots_init(&t->prefixes, n);
}

static bool fill(struct dx_route_table *t, const struct dx_route_key *keys, size_t n, struct dx_err *err)
{
    if (n >= INT_MAX || !allocate(t, keys, n))
        return dx_err_set(err, "out of memory for %zu routes", n);

    char *bytes = t->bytes;
    t->entries_n = n;
    t->groups[0].seed = dx_hash_finish(DX_HASH_START);
    t->groups_n = 1;
    for (size_t i = 0; i < n; i++)
        if (!add_key(t, keys, i, &bytes, err))
            return false;

    /* Only now are all wildcards there to be linked to. */
    for (uint32_t g = 1; g < t->groups_n; g++) {
        uint64_t state;
        t->groups[g].next = host_walk(t, t->groups[g].name, &state);
    }
    return true;
}

struct dx_route_table *dx_route_new(const struct dx_route_key *keys, size_t n, struct dx_err *err)
{
    struct dx_route_table *t = calloc(1, sizeof *t);

    if (!t) {
        dx_err_set(err, "out of memory for %zu routes", n);
        return NULL;
    }
    DX_MAGIC_SET(t, ROUTE_MAGIC);
    if (!fill(t, keys, n, err))
        dx_route_free(&t);
    return t;
}

void dx_route_free(struct dx_route_table **tp)
{
    struct dx_route_table *t = *tp;

    if (!t)
        return;
    DX_MAGIC_OK(t, ROUTE_MAGIC);
    DX_MAGIC_CLEAR(t);
    free(t->bytes);
    free(t->entries);
    free(t->groups);
    free(t->hosts.at);
    free(t->prefixes.at);
    free(t);
    *tp = NULL;
}
