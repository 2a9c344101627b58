/* SPDX-License-Identifier: MIT */
/*
 * Pools and their servers. Control works on lists of its own and publishes them; data copies what was
 * published. All shared words are atomics: payload stores release and loads acquire, so a reader that saw one
 * word of a newer list also sees that the version moved.
 */
#include "board/layout.h"

#include "diplex/base/hash.h"
#include "diplex/base/text.h"

#define CUT_BYTES 40u /* of a name that is too long; the hash behind it takes sixteen at most */

static void words_store(_Atomic uint64_t *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i * sizeof(uint64_t) < bytes; i++) {
        uint64_t word = 0;
        size_t left = bytes - i * sizeof word;
        memcpy(&word, (const char *)from + i * sizeof word, left < sizeof word ? left : sizeof word);
        atomic_store_explicit(&to[i], word, memory_order_release);
    }
}

static void words_load(void *to, const _Atomic uint64_t *from, size_t bytes)
{
    for (size_t i = 0; i * sizeof(uint64_t) < bytes; i++) {
        uint64_t word = atomic_load_explicit(&from[i], memory_order_acquire);
        size_t left = bytes - i * sizeof word;
        memcpy((char *)to + i * sizeof word, &word, left < sizeof word ? left : sizeof word);
    }
}

/* A name as it stands on the board. One that is too long is cut and ends in a hash of the whole, which tells
 * it from its like. */
static void name_key(const char *name, char key[DX_BOARD_NAME])
{
    size_t n = strlen(name);
    memset(key, 0, DX_BOARD_NAME);
    if (n < DX_BOARD_NAME) {
        memcpy(key, name, n + 1);
        return;
    }
    struct dx_out out = dx_out_of(key, DX_BOARD_NAME - 1);
    dx_out_add(&out, dx_slice_of(name, CUT_BYTES));
    dx_out_byte(&out, '~');
    dx_out_hex(&out, dx_hash_finish(dx_hash_more(DX_HASH_START, dx_slice_of(name, n))));
}

static const struct pool *pool_at(const struct dx_board *b, uint32_t pool)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(pool < DX_BOARD_POOLS);
    return &b->shared->pools[pool];
}

static void publish(struct dx_board *b, uint32_t at)
{
    struct own_list *own = &b->own->pools[at];
    struct pool *pool = &b->shared->pools[at];
    uint32_t version = own->version + 1;
    struct list *list = &pool->copies[version & 1];
    atomic_store_explicit(&list->count, own->used ? own->n + 1 : 0, memory_order_release);
    words_store(list->name, own->name, sizeof own->name);
    for (size_t i = 0; i < own->n; i++)
        words_store(list->records[i], &own->servers[i], sizeof own->servers[i]);
    own->version = version;
    atomic_store_explicit(&pool->version, version, memory_order_release);
}

/* --- reading what was published --- */

/* False when the version moved while we read: what was read is worth nothing. */
static bool list_name(const struct pool *pool, char name[DX_BOARD_NAME], bool *used)
{
    uint32_t version = atomic_load_explicit(&pool->version, memory_order_acquire);
    const struct list *list = &pool->copies[version & 1];
    *used = atomic_load_explicit(&list->count, memory_order_acquire) > 0;
    words_load(name, list->name, DX_BOARD_NAME);
    name[DX_BOARD_NAME - 1] = '\0';
    return atomic_load_explicit(&pool->version, memory_order_relaxed) == version;
}

static bool list_read(const struct pool *pool, struct dx_board_server *out, size_t *n, uint32_t *version)
{
    *version = atomic_load_explicit(&pool->version, memory_order_acquire);
    const struct list *list = &pool->copies[*version & 1];
    uint64_t count = atomic_load_explicit(&list->count, memory_order_acquire);
    *n = count == 0 ? 0 : (size_t)(count - 1);
    if (*n > DX_BOARD_POOL_SERVERS)
        *n = DX_BOARD_POOL_SERVERS;
    for (size_t i = 0; i < *n; i++)
        words_load(&out[i], list->records[i], sizeof out[i]);
    return atomic_load_explicit(&pool->version, memory_order_relaxed) == *version;
}

static bool own_has_name(const struct own_list *own, const char *name)
{
    return own->used && strcmp(own->name, name) == 0;
}

static bool shared_has_name(const struct pool *pool, const char *wanted)
{
    char name[DX_BOARD_NAME];
    bool used = false;
    while (!list_name(pool, name, &used))
        continue;
    return used && strcmp(name, wanted) == 0;
}

uint32_t dx_board_pool_find(const struct dx_board *b, const char *name)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    char key[DX_BOARD_NAME];
    name_key(name, key);
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++) {
        if (b->own ? own_has_name(&b->own->pools[i], key) : shared_has_name(&b->shared->pools[i], key))
            return i;
    }
    return DX_BOARD_NONE;
}

size_t dx_board_pool_read(const struct dx_board *b, uint32_t pool,
                          struct dx_board_server out[DX_BOARD_POOL_SERVERS], uint32_t *version)
{
    const struct pool *shared = pool_at(b, pool);
    size_t n = 0;
    uint32_t read_version = 0;
    if (b->own) {
        const struct own_list *own = &b->own->pools[pool];
        memcpy(out, own->servers, own->n * sizeof out[0]);
        n = own->n;
        read_version = own->version;
    } else {
        while (!list_read(shared, out, &n, &read_version))
            continue;
    }
    if (version)
        *version = read_version;
    return n;
}

uint32_t dx_board_pool_version(const struct dx_board *b, uint32_t pool)
{
    const struct pool *shared = pool_at(b, pool);
    return b->own ? b->own->pools[pool].version
                  : atomic_load_explicit(&shared->version, memory_order_acquire);
}

/* --- control writes --- */

static struct own_list *own_pool(struct dx_board *b, uint32_t pool)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own && pool < DX_BOARD_POOLS);
    DX_ASSERT(b->own->pools[pool].used);
    return &b->own->pools[pool];
}

uint32_t dx_board_pool_add(struct dx_board *b, const char *name)
{
    DX_MAGIC_OK(b, BOARD_MAGIC);
    DX_ASSERT(b->own);
    DX_ASSERT(dx_board_pool_find(b, name) == DX_BOARD_NONE);
    for (uint32_t i = 0; i < DX_BOARD_POOLS; i++) {
        struct own_list *own = &b->own->pools[i];
        if (own->used)
            continue;
        own->used = true;
        own->n = 0;
        name_key(name, own->name);
        dx_board_pool_hold_set(b, i, DX_HOLD_NONE);
        if (own->ever_used)
            dx_board_pool_begins(b, i);
        own->ever_used = true;
        publish(b, i);
        return i;
    }
    return DX_BOARD_NONE;
}

static bool is_listed(uint32_t id, const struct dx_board_server *servers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (servers[i].id == id)
            return true;
    }
    return false;
}

void dx_board_pool_remove(struct dx_board *b, uint32_t pool)
{
    struct own_list *own = own_pool(b, pool);
    for (size_t i = 0; i < own->n; i++)
        b->own->places[own->servers[i].id].pool = DX_BOARD_NONE;
    own->used = false;
    own->n = 0;
    memset(own->name, 0, sizeof own->name);
    publish(b, pool);
}

/* The next free place, one with nothing running on it if there is such. */
static uint32_t place_find(const struct dx_board *b)
{
    uint32_t busy = DX_BOARD_NONE;
    for (uint32_t i = 0; i < DX_BOARD_SERVERS; i++) {
        uint32_t id = (b->own->next_place + i) % DX_BOARD_SERVERS;
        if (b->own->places[id].pool != DX_BOARD_NONE)
            continue;
        if (id >= b->own->places_top || dx_board_server_active(b, id) == 0)
            return id;
        if (busy == DX_BOARD_NONE)
            busy = id;
    }
    return busy;
}

static uint32_t place_take(struct dx_board *b, uint32_t pool, const struct dx_address *address)
{
    uint32_t id = place_find(b);
    DX_ASSERT(id != DX_BOARD_NONE);
    struct place *place = &b->own->places[id];
    place->pool = pool;
    place->generation++;
    place->address = *address;
    b->own->next_place = (id + 1) % DX_BOARD_SERVERS;
    if (id >= b->own->places_top)
        b->own->places_top = id + 1;
    dx_board_server_set(b, id, DX_SERVER_STARTING, DX_WHY_NONE);
    dx_board_server_set_risen(b, id, 0);
    return id;
}

/* A place that goes on; a changed address is another server. */
static void place_keep(struct dx_board *b, uint32_t pool, const struct dx_board_server *s)
{
    DX_ASSERT(s->id < DX_BOARD_SERVERS);
    struct place *place = &b->own->places[s->id];
    DX_ASSERT(place->pool == pool);
    if (dx_address_eq(&place->address, &s->address))
        return;
    place->generation++;
    place->address = s->address;
}

/* The pool's own places that are no longer listed are not counted: a request may still run there, and is not
 * to be mixed up with a new server's. */
static bool fits(const struct dx_board *b, const struct dx_board_server *servers, size_t n)
{
    size_t wanted = 0, available = 0;
    for (size_t i = 0; i < n; i++)
        wanted += servers[i].id == DX_BOARD_NONE;
    for (size_t i = 0; i < DX_BOARD_SERVERS; i++)
        available += b->own->places[i].pool == DX_BOARD_NONE;
    return n <= DX_BOARD_POOL_SERVERS && wanted <= available;
}

/* Field by field into a zeroed record: nothing of our stack travels in the padding. */
static void record_set(struct dx_board_server *to, const struct dx_board_server *from)
{
    memset(to, 0, sizeof *to);
    to->id = from->id;
    to->generation = from->generation;
    to->weight = from->weight;
    to->backup = from->backup;
    memcpy(to->name, from->name, strnlen(from->name, DX_BOARD_NAME - 1));
    DX_ASSERT(from->address.len <= sizeof to->address.u);
    to->address.len = from->address.len;
    memcpy(&to->address.u, &from->address.u, from->address.len);
}

bool dx_board_pool_write(struct dx_board *b, uint32_t pool, struct dx_board_server *servers, size_t n)
{
    struct own_list *own = own_pool(b, pool);
    if (!fits(b, servers, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (servers[i].id == DX_BOARD_NONE)
            servers[i].id = place_take(b, pool, &servers[i].address);
        else
            place_keep(b, pool, &servers[i]);
        DX_ASSERT(!is_listed(servers[i].id, servers, i));
        servers[i].generation = b->own->places[servers[i].id].generation;
    }
    for (size_t i = 0; i < own->n; i++) {
        if (!is_listed(own->servers[i].id, servers, n))
            b->own->places[own->servers[i].id].pool = DX_BOARD_NONE;
    }
    for (size_t i = 0; i < n; i++)
        record_set(&own->servers[i], &servers[i]);
    own->n = n;
    publish(b, pool);
    return true;
}
