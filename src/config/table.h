/* SPDX-License-Identifier: MIT */
/* The settings table of settings.def as rows that code can walk. */
#ifndef DIPLEX_CONFIG_TABLE_H
#define DIPLEX_CONFIG_TABLE_H

#include "diplex/config.h"

enum dx_config_scope {
#define SCOPE(id, owner, shortkey, offkey, heading, sentence) SCOPE_##id,
#define SETTING(...)
#define NESTED(...)
#include "config/settings.def"
    SCOPE_COUNT,
};

enum dx_config_type {
#define TYPE(id, name, schema) TYPE_##id,
#include "config/types.def"
};

struct dx_config_scope_row {
    const char *id;
    enum dx_config_scope owner;
    const char *short_key, *off_key;
    const char *heading, *sentence;
};

struct dx_config_setting {
    enum dx_config_scope scope;
    const char *key;
    enum dx_config_type type;
    size_t place;                /* offset in the owner's object */
    const char *fallback;        /* the default, as text; NULL: none, or derived */
    uint64_t min, max;           /* 0 and 0: unbounded */
    const char *words;           /* of TYPE_WORD, in the order of the enum */
    const char *why;             /* of a derived default; dx_config_required: there must be a value */
    enum dx_config_scope nested; /* SCOPE_COUNT: none */
    const char *sentence;
};

extern const char dx_config_required[];
extern const struct dx_config_scope_row dx_config_scopes[SCOPE_COUNT];
extern const struct dx_config_setting dx_config_settings[];
extern const size_t dx_config_settings_n;

/* NULL when the scope has no such key. */
const struct dx_config_setting *dx_config_setting_find(enum dx_config_scope scope, struct dx_slice key);
size_t dx_config_setting_index(const struct dx_config_setting *s);
const char *dx_config_type_name(enum dx_config_type type);
const char *dx_config_type_schema(enum dx_config_type type); /* NULL: built from the row */
/* The default for a kind: "1s|4s" has one for each. Empty when there is none. */
struct dx_slice dx_config_setting_fallback(const struct dx_config_setting *s, enum dx_kind kind);
/* A number of the row as people write it: a duration, a size, a count. */
const char *dx_config_setting_number(const struct dx_config_setting *s, uint64_t value, char buf[32]);
/* Takes the next of space-separated words off *rest. */
bool dx_config_next_word(struct dx_slice *rest, struct dx_slice *word) DX_CHECKED;

#endif
