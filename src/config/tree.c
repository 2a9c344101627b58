/* SPDX-License-Identifier: MIT */
/* A tree by itself, for those who read YAML that is no configuration of ours. */
#include <stdlib.h>

#include "config/reader.h"

#define TREE_MAGIC 0x54524545u

struct dx_config_tree {
    uint32_t magic;
    struct dx_config_reader reader;
    struct dx_node *root;
};

struct dx_config_tree *dx_config_tree_new(struct dx_slice text, const char *file, struct dx_err *err)
{
    struct dx_config_faults faults = {0};
    struct dx_config_tree *t = calloc(1, sizeof *t);
    if (!t) {
        dx_err_set(err, "out of memory");
        return NULL;
    }
    DX_MAGIC_SET(t, TREE_MAGIC);
    t->reader.faults = &faults;
    dx_arena_init(&t->reader.scratch, NULL, 0);
    bool ok = dx_config_load(&t->reader, text, &t->root);
    dx_config_faults_sort(&faults);
    if (!ok && faults.n)
        dx_err_set(err, "%s:%u:%u: %s", file, faults.at[0].line, faults.at[0].column, faults.at[0].text);
    else if (!ok)
        dx_err_set(err, "%s: out of memory", file);
    dx_config_faults_fini(&faults);
    t->reader.faults = NULL;
    if (!ok)
        dx_config_tree_free(&t);
    return t;
}

const struct dx_node *dx_config_tree_root(const struct dx_config_tree *t)
{
    DX_MAGIC_OK(t, TREE_MAGIC);
    return t->root;
}

void dx_config_tree_free(struct dx_config_tree **tree)
{
    struct dx_config_tree *t = *tree;
    if (!t)
        return;
    DX_MAGIC_OK(t, TREE_MAGIC);
    dx_arena_reset(&t->reader.scratch);
    DX_MAGIC_CLEAR(t);
    free(t);
    *tree = NULL;
}
