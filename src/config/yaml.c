/* SPDX-License-Identifier: MIT */
/*
 * YAML to a tree of texts, mappings and lists, each with its place. The only file that knows libyaml. Aliases
 * share the node they name; a bound on nodes counts what aliases bring, so that a small file cannot stand for
 * a huge one.
 */
#include "config/reader.h"

#include <yaml.h>

#define NODES_MAX 1000000u
#define DEPTH_MAX 64u

struct loader {
    yaml_parser_t parser;
    struct dx_config_reader *r;
    struct dx_config_index anchors;
    size_t total; /* nodes so far, expanded */
};

static struct dx_slice event_text(const yaml_char_t *p) { return dx_slice_str((const char *)p); }

/* Where a byte is, for libyaml's reader, which knows offsets only. */
static void place_of(struct dx_slice text, size_t offset, unsigned *line, unsigned *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < text.n; i++) {
        bool newline = text.p[i] == '\n';
        *line += newline;
        if (newline)
            *column = 1;
        else if (((unsigned char)text.p[i] & 0xc0) != 0x80)
            (*column)++;
    }
}

static const char *syntax_hint(const yaml_parser_t *p)
{
    const char *what = p->problem ? p->problem : "";
    if (strstr(what, "cannot start any token"))
        return " (a text that begins with it must be quoted)";
    if (strstr(what, "expected ',' or '}'") || strstr(what, "expected ',' or ']'"))
        return " (inside [ ] and { }, a text such as ${NAME} must be quoted)";
    return "";
}

static void syntax_fault(struct loader *l, struct dx_slice text)
{
    const yaml_parser_t *p = &l->parser;
    unsigned line = 0, column = 0;
    if (p->error == YAML_MEMORY_ERROR) {
        l->r->no_memory = true;
        return;
    }
    if (p->error == YAML_READER_ERROR) {
        place_of(text, p->problem_offset, &line, &column);
        dx_config_fault_at(l->r, line, column, "not YAML: %s", p->problem ? p->problem : "unreadable");
        return;
    }
    line = (unsigned)p->problem_mark.line + 1;
    column = (unsigned)p->problem_mark.column + 1;
    dx_config_fault_at(l->r, line, column, "not YAML: %s%s%s%s", p->problem ? p->problem : "unreadable",
                       p->context ? ", " : "", p->context ? p->context : "", syntax_hint(p));
}

static struct dx_node *new_node(struct loader *l, enum dx_node_kind kind, const yaml_event_t *e)
{
    struct dx_node *n = dx_config_take(l->r, &l->r->scratch, 1, sizeof *n);
    if (!n)
        return NULL;
    n->kind = kind;
    n->line = (unsigned)e->start_mark.line + 1;
    n->column = (unsigned)e->start_mark.column + 1;
    n->weight = 1;
    n->inset = -1;
    return n;
}

static bool count(struct loader *l, const yaml_event_t *e, size_t nodes)
{
    l->total += nodes < NODES_MAX ? nodes : NODES_MAX;
    if (l->total <= NODES_MAX)
        return true;
    dx_config_fault_at(l->r, (unsigned)e->start_mark.line + 1, (unsigned)e->start_mark.column + 1,
                       "the file stands for more than %u values (aliases counted as often as they are used)",
                       NODES_MAX);
    return false;
}

static size_t characters(struct dx_slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Columns inside a text can be told when it stands on one line as it is meant. */
static int inset_of(const struct dx_node *n, const yaml_event_t *e)
{
    size_t width = e->end_mark.column - e->start_mark.column, quotes = n->plain ? 0 : 2;
    bool same = e->start_mark.line == e->end_mark.line && width == characters(n->text) + quotes;
    return same ? (n->plain ? 0 : 1) : -1;
}

static struct dx_node *load_text(struct loader *l, const yaml_event_t *e)
{
    struct dx_node *n = new_node(l, DX_NODE_TEXT, e);
    if (!n)
        return NULL;
    struct dx_slice value = dx_slice_of((const char *)e->data.scalar.value, e->data.scalar.length);
    if (!dx_arena_copy(&l->r->scratch, value, &n->text)) {
        l->r->no_memory = true;
        return NULL;
    }
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->inset = inset_of(n, e);
    return n;
}

static struct dx_node *load_alias(struct loader *l, const yaml_event_t *e)
{
    struct dx_slice name = event_text(e->data.alias.anchor);
    struct dx_node *n = dx_config_index_get(&l->anchors, name);
    if (n)
        return n;
    dx_config_fault_at(l->r, (unsigned)e->start_mark.line + 1, (unsigned)e->start_mark.column + 1,
                       "'*%.*s' names no anchor above it (a text that begins with '*' must be quoted)",
                       DX_SLICE_ARGS(name));
    return NULL;
}

/* The next event is the caller's to delete. False: faults. */
static bool next(struct loader *l, struct dx_slice text, yaml_event_t *e)
{
    if (yaml_parser_parse(&l->parser, e))
        return true;
    syntax_fault(l, text);
    return false;
}

static struct dx_node *load_node(struct loader *l, struct dx_slice text, const yaml_event_t *e,
                                 unsigned depth);

/* Makes room for one more of what is doubled in size at each power of two. */
static void *widen(struct loader *l, void *old, size_t n, size_t bytes)
{
    if (n & (n - 1))
        return old;
    void *wider = dx_config_take(l->r, &l->r->scratch, n ? n * 2 : 1, bytes);
    if (wider && n)
        memcpy(wider, old, n * bytes);
    return wider;
}

static bool is_merge(const struct dx_node *key)
{
    return key->kind == DX_NODE_TEXT && key->plain && dx_slice_eq(key->text, DX_SLICE("<<"));
}

static bool append_pair(struct loader *l, struct dx_node *map, struct dx_node *key, struct dx_node *value)
{
    struct dx_pair *pairs = widen(l, map->pairs, map->n, sizeof *pairs);
    if (!pairs)
        return false;
    map->pairs = pairs;
    map->pairs[map->n++] = (struct dx_pair){key, value};
    map->weight += key->weight + value->weight;
    return true;
}

static bool append_item(struct loader *l, struct dx_node *list, struct dx_node *item)
{
    struct dx_node **items = widen(l, list->items, list->n, sizeof(struct dx_node *));
    if (!items)
        return false;
    list->items = items;
    list->items[list->n++] = item;
    list->weight += item->weight;
    return true;
}

/* What the mapping says itself stays; of several merged mappings the first one wins. */
static bool merge_one(struct loader *l, struct dx_node *map, struct dx_config_index *seen,
                      const struct dx_node *from, const yaml_event_t *e)
{
    if (from->kind != DX_NODE_MAP) {
        dx_config_fault(l->r, from, "'<<' takes a mapping or a list of mappings, such as <<: *name");
        return true;
    }
    if (!count(l, e, from->weight))
        return false;
    for (size_t i = 0; i < from->n; i++) {
        struct dx_pair p = from->pairs[i];
        if (dx_config_index_get(seen, p.key->text))
            continue;
        if (!append_pair(l, map, p.key, p.value) || !dx_config_index_put(seen, p.key->text, p.key))
            return false;
    }
    return true;
}

static bool merge(struct loader *l, struct dx_node *map, struct dx_config_index *seen,
                  const struct dx_node *from, const yaml_event_t *e)
{
    if (from->kind != DX_NODE_LIST)
        return merge_one(l, map, seen, from, e);
    for (size_t i = 0; i < from->n; i++) {
        if (!merge_one(l, map, seen, from->items[i], e))
            return false;
    }
    return true;
}

/* A key twice is a fault: which of the two was meant? */
static bool key_is_good(struct loader *l, const struct dx_config_index *seen, const struct dx_node *key)
{
    if (key->kind != DX_NODE_TEXT) {
        dx_config_fault(l->r, key, "a key must be a text");
        return false;
    }
    const struct dx_node *first = dx_config_index_get(seen, key->text);
    if (first)
        dx_config_fault(l->r, key, "duplicate key '%.*s': it is on line %u already", DX_SLICE_ARGS(key->text),
                        first->line);
    return !first;
}

static bool load_pair(struct loader *l, struct dx_slice text, const yaml_event_t *key_event, unsigned depth,
                      struct dx_node **key, struct dx_node **value)
{
    yaml_event_t e;
    *key = load_node(l, text, key_event, depth);
    if (!*key || !next(l, text, &e))
        return false;
    *value = load_node(l, text, &e, depth);
    yaml_event_delete(&e);
    return *value != NULL;
}

static bool load_map(struct loader *l, struct dx_slice text, struct dx_node *map, unsigned depth)
{
    struct dx_config_index seen = {.arena = &l->r->scratch};
    struct dx_node *merged = NULL;
    for (;;) {
        yaml_event_t e;
        struct dx_node *key = NULL, *value = NULL;
        if (!next(l, text, &e))
            return false;
        bool end = e.type == YAML_MAPPING_END_EVENT;
        bool ok =
            end ? (!merged || merge(l, map, &seen, merged, &e)) : load_pair(l, text, &e, depth, &key, &value);
        yaml_event_delete(&e);
        if (end || !ok)
            return ok;
        if (!key_is_good(l, &seen, key))
            continue;
        if (!dx_config_index_put(&seen, key->text, key))
            return false;
        if (is_merge(key))
            merged = value;
        else if (!append_pair(l, map, key, value))
            return false;
    }
}

static bool load_list(struct loader *l, struct dx_slice text, struct dx_node *list, unsigned depth)
{
    for (;;) {
        yaml_event_t e;
        if (!next(l, text, &e))
            return false;
        bool end = e.type == YAML_SEQUENCE_END_EVENT;
        struct dx_node *item = end ? NULL : load_node(l, text, &e, depth);
        yaml_event_delete(&e);
        if (end || !item)
            return end;
        if (!append_item(l, list, item))
            return false;
    }
}

static void check_tag(struct loader *l, const struct dx_node *n, const yaml_char_t *tag)
{
    struct dx_slice t = event_text(tag);
    if (t.n > 1 && !dx_slice_starts(t, DX_SLICE("tag:yaml.org,2002:")))
        dx_config_fault(l->r, n, "the tag '%.*s' means nothing here", DX_SLICE_ARGS(t));
}

/* A node becomes an anchor when it is whole, so that nothing can hold itself. */
static struct dx_node *finish_node(struct loader *l, struct dx_node *n, const yaml_char_t *tag,
                                   const yaml_char_t *anchor)
{
    struct dx_slice name = dx_slice_of(NULL, 0);
    check_tag(l, n, tag);
    if (!anchor)
        return n;
    if (dx_arena_copy(&l->r->scratch, event_text(anchor), &name) && dx_config_index_put(&l->anchors, name, n))
        return n;
    l->r->no_memory = true;
    return NULL;
}

static struct dx_node *load_node(struct loader *l, struct dx_slice text, const yaml_event_t *e,
                                 unsigned depth)
{
    struct dx_node *n = NULL;
    if (e->type == YAML_ALIAS_EVENT) {
        n = load_alias(l, e);
        return n && count(l, e, n->weight) ? n : NULL;
    }
    if (!count(l, e, 1))
        return NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        n = load_text(l, e);
        return n ? finish_node(l, n, e->data.scalar.tag, e->data.scalar.anchor) : NULL;
    }
    bool is_map = e->type == YAML_MAPPING_START_EVENT;
    DX_ASSERT(is_map || e->type == YAML_SEQUENCE_START_EVENT);
    n = new_node(l, is_map ? DX_NODE_MAP : DX_NODE_LIST, e);
    if (!n)
        return NULL;
    if (depth >= DEPTH_MAX) {
        dx_config_fault(l->r, n, "nested more than %u deep", DEPTH_MAX);
        return NULL;
    }
    if (!(is_map ? load_map(l, text, n, depth + 1) : load_list(l, text, n, depth + 1)))
        return NULL;
    return is_map ? finish_node(l, n, e->data.mapping_start.tag, e->data.mapping_start.anchor)
                  : finish_node(l, n, e->data.sequence_start.tag, e->data.sequence_start.anchor);
}

/* The one document of the stream; what is not a node only moves on. */
static bool load_stream(struct loader *l, struct dx_slice text, struct dx_node **out)
{
    bool ok = true, end = false;
    for (unsigned documents = 0; ok && !end;) {
        yaml_event_t e;
        if (!next(l, text, &e))
            return false;
        end = e.type == YAML_STREAM_END_EVENT;
        if (e.type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
            dx_config_fault_at(l->r, (unsigned)e.start_mark.line + 1, (unsigned)e.start_mark.column + 1,
                               "a second document: a configuration is one file with one document");
            ok = false;
        } else if (!end && e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
                   e.type != YAML_DOCUMENT_END_EVENT) {
            *out = load_node(l, text, &e, 0);
            ok = *out != NULL;
        }
        yaml_event_delete(&e);
    }
    return ok;
}

static bool check_utf8(struct dx_config_reader *r, struct dx_slice text)
{
    unsigned line = 0, column = 0;
    size_t bad = dx_config_utf8_check(text);
    if (bad == text.n)
        return true;
    place_of(text, bad, &line, &column);
    dx_config_fault_at(r, line, column, "not UTF-8: byte 0x%02x", (unsigned char)text.p[bad]);
    return false;
}

bool dx_config_load(struct dx_config_reader *r, struct dx_slice text, struct dx_node **out)
{
    struct loader l = {.r = r, .anchors = {.arena = &r->scratch}};
    *out = NULL;
    if (!check_utf8(r, text))
        return false;
    if (!yaml_parser_initialize(&l.parser)) {
        r->no_memory = true;
        return false;
    }
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    bool ok = load_stream(&l, text, out);
    yaml_parser_delete(&l.parser);
    return ok && !r->no_memory;
}
