/* SPDX-License-Identifier: MIT */
/*
 * YAML as a tree of texts, mappings and lists, each with its place: what the configuration is read from, and
 * whoever has to read YAML that is not ours (compose files, in `init`). Anchors and merge keys are resolved.
 */
#ifndef DIPLEX_CONFIG_TREE_H
#define DIPLEX_CONFIG_TREE_H

#include "diplex/base/err.h"
#include "diplex/base/slice.h"

enum dx_node_kind { DX_NODE_TEXT, DX_NODE_MAP, DX_NODE_LIST };
enum dx_node_state { DX_NODE_RAW, DX_NODE_READY, DX_NODE_BAD }; /* have its variables been put in? */

struct dx_node {
    enum dx_node_kind kind;
    unsigned line, column; /* from 1, in characters */
    bool plain;            /* a text without quotes */
    int inset;             /* columns from the node's place to its first character; -1: cannot be told */
    enum dx_node_state state;
    struct dx_slice text; /* terminated */
    struct dx_pair *pairs;
    struct dx_node **items;
    size_t n;      /* pairs or items */
    size_t weight; /* nodes in it, with what aliases bring */
};

struct dx_pair {
    struct dx_node *key, *value;
};

struct dx_node *dx_node_find(const struct dx_node *map,
                             const char *key); /* NULL: no such key, or no mapping */

struct dx_config_tree;
/* Unknown tags are passed over. NULL: no YAML, or out of memory; err has the first fault with its place. */
struct dx_config_tree *dx_config_tree_new(struct dx_slice text, const char *file,
                                          struct dx_err *err) DX_CHECKED;
const struct dx_node *dx_config_tree_root(const struct dx_config_tree *t); /* NULL: an empty file */
void dx_config_tree_free(struct dx_config_tree **t);

#endif
