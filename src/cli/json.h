/* SPDX-License-Identifier: MIT */
/* Reads the JSON that a running diplex answers with. It may be another version, or no diplex at all: nothing
 * is believed of its form. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "diplex/base/arena.h"

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_MAP };

struct json {
    enum json_kind kind;
    struct dx_slice key;  /* in a mapping */
    struct dx_slice text; /* decoded */
    double number;
    size_t n; /* entries */
    const struct json *first, *next;
};

/* Everything is in the arena, and points into `text` where it can. NULL: no JSON, or out of memory. */
const struct json *json_read(struct dx_arena *a, struct dx_slice text) DX_CHECKED;

/* Fine for NULL and for what is no mapping: then there is nothing. */
const struct json *json_at(const struct json *map, const char *key); /* NULL: not there */
double json_number(const struct json *map, const char *key);         /* 0 */
struct dx_slice json_text(const struct json *map, const char *key);  /* empty */
bool json_flag(const struct json *map, const char *key);             /* false */
bool json_is_null(const struct json *map, const char *key);          /* true also when it is not there */
/* The entries of a list below a mapping. */
const struct json *json_first(const struct json *map, const char *key);
size_t json_count(const struct json *map, const char *key);

#endif
