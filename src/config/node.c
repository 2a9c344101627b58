/* SPDX-License-Identifier: MIT */
/* Small questions about the tree and its texts, and memory for those who build on it. */
#include "config/reader.h"

void *dx_config_take(struct dx_config_reader *r, struct dx_arena *arena, size_t n, size_t bytes)
{
    size_t total = 0;
    void *p = __builtin_mul_overflow(n, bytes, &total) ? NULL : dx_arena_zalloc(arena, total);
    if (!p)
        r->no_memory = true;
    return p;
}

const char *dx_config_keep(struct dx_config_reader *r, struct dx_slice s)
{
    struct dx_slice kept = DX_SLICE("");
    if (!dx_arena_copy(&r->own->arena, s, &kept))
        r->no_memory = true;
    return kept.p;
}

struct dx_node *dx_node_find(const struct dx_node *map, const char *key)
{
    if (map->kind != DX_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++) {
        if (dx_slice_eq(map->pairs[i].key->text, dx_slice_str(key)))
            return map->pairs[i].value;
    }
    return NULL;
}

bool dx_config_is_null(const struct dx_node *n)
{
    return n->kind == DX_NODE_TEXT && n->plain &&
           (n->text.n == 0 || dx_slice_eq(n->text, DX_SLICE("~")) ||
            dx_slice_eq_nocase(n->text, DX_SLICE("null")));
}

bool dx_config_has_control(struct dx_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    }
    return false;
}

/* The length of the character at p (RFC 3629 4), or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

size_t dx_config_utf8_check(struct dx_slice s)
{
    for (size_t i = 0; i < s.n;) {
        size_t length = utf8_length((const unsigned char *)s.p + i, s.n - i);
        if (length == 0)
            return i;
        i += length;
    }
    return s.n;
}
