/* SPDX-License-Identifier: MIT */
/*
 * config/diplex.schema.json, from the table: JSON Schema (draft 2020-12) for editors that check while one
 * types. It lets through what YAML readers of either version make of a value: `off` may arrive as false, 0660
 * as a number.
 */
#include "config/table.h"

static void add_name(struct dx_text *out, enum dx_config_scope scope)
{
    for (const char *p = dx_config_scopes[scope].id; *p; p++)
        dx_text_addf(out, "%c", *p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
}

static void add_ref(struct dx_text *out, enum dx_config_scope scope)
{
    dx_text_adds(out, "{\"$ref\": \"#/$defs/");
    add_name(out, scope);
    dx_text_adds(out, "\"}");
}

#define VARIABLE "{\"$ref\": \"#/$defs/variable\"}"
#define OFF      "{\"$ref\": \"#/$defs/off\"}"
#define TEXT     "{\"$ref\": \"#/$defs/text\"}"

static void add_words(struct dx_text *out, const struct dx_config_setting *s)
{
    struct dx_slice rest = dx_slice_str(s->words), word;
    bool off = false;
    dx_text_adds(out, "{\"anyOf\": [{\"enum\": [");
    for (bool first = true; dx_config_next_word(&rest, &word); first = false) {
        dx_text_adds(out, first ? "" : ", ");
        dx_text_add_json(out, word);
        off |= dx_slice_eq(word, DX_SLICE("off"));
    }
    dx_text_addf(out, "%s]}, " VARIABLE "]}", off ? ", false" : "");
}

static void add_count(struct dx_text *out, const struct dx_config_setting *s)
{
    dx_text_addf(out,
                 "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": %llu, \"maximum\": %llu}, "
                 "{\"type\": \"string\", \"pattern\": \"^[0-9]+$\"}, " VARIABLE "%s]}",
                 (unsigned long long)s->min, (unsigned long long)s->max,
                 s->type == TYPE_WORKERS ? ", {\"const\": \"auto\"}" : "");
}

static void add_type(struct dx_text *out, const struct dx_config_setting *s);

/* The long form, the short form, and `off` where there is one. */
static void add_group(struct dx_text *out, const struct dx_config_setting *s)
{
    const struct dx_config_scope_row *row = &dx_config_scopes[s->nested];
    dx_text_adds(out, "{\"anyOf\": [");
    add_ref(out, s->nested);
    if (row->short_key) {
        dx_text_adds(out, ", ");
        add_type(out, dx_config_setting_find(s->nested, dx_slice_str(row->short_key)));
    }
    if (row->off_key || s->type == TYPE_HEALTH)
        dx_text_adds(out, ", " OFF);
    dx_text_adds(out, "]}");
}

static void add_list(struct dx_text *out, const struct dx_config_setting *s)
{
    dx_text_adds(out, "{\"anyOf\": [");
    add_group(out, s);
    dx_text_adds(out, ", {\"type\": \"array\", \"minItems\": 1, \"items\": ");
    add_group(out, s);
    dx_text_adds(out, "}]}");
}

/* What is required depends on the place, so that the scopes `pool` and `route` do not say it themselves. */
static void add_pools(struct dx_text *out)
{
    dx_text_adds(
        out, "{\"type\": \"object\", \"patternProperties\": {\"^x-\": true, \"^(wsgi|asgi)([+]unix)?://\": ");
    add_ref(out, SCOPE_POOL);
    dx_text_adds(out, "}, \"additionalProperties\": {\"anyOf\": [" TEXT
                      ", {\"required\": [\"kind\", \"servers\"], \"allOf\": [");
    add_ref(out, SCOPE_POOL);
    dx_text_adds(out, "]}]}}");
}

static void add_routes(struct dx_text *out)
{
    dx_text_adds(out, "{\"anyOf\": [{\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": "
                      "{\"anyOf\": [" TEXT ", {\"required\": [\"pool\"], \"allOf\": [");
    add_ref(out, SCOPE_ROUTE);
    dx_text_adds(out, "]}]}}, {\"type\": \"array\", \"minItems\": 1, \"items\": {\"required\": [\"path\", "
                      "\"pool\"], \"allOf\": [");
    add_ref(out, SCOPE_ROUTE);
    dx_text_adds(out, "]}}]}");
}

static void add_type(struct dx_text *out, const struct dx_config_setting *s)
{
    const char *fixed = dx_config_type_schema(s->type);
    if (fixed)
        dx_text_adds(out, fixed);
    else if (s->type == TYPE_WORD)
        add_words(out, s);
    else if (s->type == TYPE_COUNT || s->type == TYPE_WORKERS)
        add_count(out, s);
    else if (s->type == TYPE_LISTENS || s->type == TYPE_SERVERS)
        add_list(out, s);
    else if (s->type == TYPE_POOLS)
        add_pools(out);
    else if (s->type == TYPE_ROUTES)
        add_routes(out);
    else
        add_group(out, s);
}

static void add_property(struct dx_text *out, const struct dx_config_setting *s)
{
    dx_text_adds(out, "        ");
    dx_text_add_json(out, dx_slice_str(s->key));
    dx_text_adds(out, ": {\n          \"description\": ");
    dx_text_add_json(out, dx_slice_str(s->sentence));
    if (s->fallback && !strchr(s->fallback, '|')) {
        dx_text_adds(out, ",\n          \"default\": ");
        dx_text_add_json(out, dx_slice_str(s->fallback));
    }
    dx_text_adds(out, ",\n          \"allOf\": [");
    add_type(out, s);
    dx_text_adds(out, "]\n        }");
}

static void add_required(struct dx_text *out, enum dx_config_scope scope)
{
    const char *before = ",\n      \"required\": [";
    if (scope == SCOPE_POOL || scope == SCOPE_ROUTE)
        return;
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (s->scope != scope || s->why != dx_config_required)
            continue;
        dx_text_addf(out, "%s\"%s\"", before, s->key);
        before = ", ";
    }
    if (before[1] == ' ')
        dx_text_adds(out, "]");
}

static void add_scope(struct dx_text *out, enum dx_config_scope scope)
{
    const char *before = "";
    dx_text_adds(out, ",\n    \"");
    add_name(out, scope);
    dx_text_adds(out, "\": {\n      \"description\": ");
    dx_text_add_json(out, dx_slice_str(dx_config_scopes[scope].sentence));
    dx_text_adds(out, ",\n      \"type\": \"object\",\n      \"properties\": {\n");
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        if (dx_config_settings[i].scope != scope)
            continue;
        dx_text_adds(out, before);
        add_property(out, &dx_config_settings[i]);
        before = ",\n";
    }
    dx_text_adds(out, "\n      },\n");
    if (scope == SCOPE_TOP || scope == SCOPE_POOL)
        dx_text_adds(out, "      \"patternProperties\": {\"^x-\": true},\n");
    dx_text_adds(out, "      \"additionalProperties\": false");
    add_required(out, scope);
    if (scope == SCOPE_TOP)
        dx_text_adds(out, ",\n      \"anyOf\": [{\"required\": [\"pools\"]}, {\"required\": [\"routes\"]}]");
    dx_text_adds(out, "\n    }");
}

static const char head[] =
    "{\n"
    "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
    "  \"title\": \"diplex configuration\",\n"
    "  \"$comment\": \"Generated from src/config/settings.def by `diplex schema`.\",\n"
    "  \"$ref\": \"#/$defs/top\",\n"
    "  \"$defs\": {\n"
    "    \"variable\": {\"type\": \"string\", \"pattern\": \"[$][{]\"},\n"
    "    \"off\": {\"enum\": [\"off\", false]},\n"
    "    \"text\": {\"type\": [\"string\", \"number\"], \"minLength\": 1},\n"
    "    \"texts\": {\"anyOf\": [{\"$ref\": \"#/$defs/text\"}, {\"type\": \"array\", \"items\": {\"$ref\": "
    "\"#/$defs/text\"}}]},\n"
    "    \"address\": {\"type\": [\"string\", \"integer\"], \"minLength\": 1, \"minimum\": 0, \"maximum\": "
    "65535},\n"
    "    \"flag\": {\"enum\": [true, false, \"yes\", \"no\", \"on\", \"off\", \"true\", \"false\"]},\n"
    "    \"duration\": {\n"
    "      \"description\": \"500ms, 10s, 5m, 1h, 2d, 1m30s; 0\",\n"
    "      \"anyOf\": [{\"const\": 0}, {\"type\": \"string\", \"pattern\": "
    "\"^(0|([0-9]+(ms|s|m|h|d))+)$\"}, " VARIABLE "]\n"
    "    },\n"
    "    \"size\": {\n"
    "      \"description\": \"512, 64KB, 100MB, 1GB\",\n"
    "      \"anyOf\": [\n"
    "        {\"type\": \"integer\", \"minimum\": 0},\n"
    "        {\"type\": \"string\", \"pattern\": \"^[0-9]+[KkMmGgTt]?[Bb]?$\"},\n"
    "        " VARIABLE "\n"
    "      ]\n"
    "    },\n"
    "    \"status\": {\n"
    "      \"anyOf\": [\n"
    "        {\"type\": \"integer\", \"minimum\": 100, \"maximum\": 599},\n"
    "        {\"type\": \"string\", \"pattern\": \"^[1-5][0-9 ,-]*$\"},\n"
    "        " VARIABLE "\n"
    "      ]\n"
    "    },\n"
    "    \"statuses\": {\n"
    "      \"anyOf\": [\n"
    "        {\"$ref\": \"#/$defs/status\"},\n"
    "        {\"type\": \"array\", \"minItems\": 1, \"items\": {\"$ref\": \"#/$defs/status\"}}\n"
    "      ]\n"
    "    }";

void dx_config_schema(struct dx_text *out)
{
    dx_text_adds(out, head);
    for (unsigned scope = 0; scope < SCOPE_COUNT; scope++)
        add_scope(out, (enum dx_config_scope)scope);
    dx_text_adds(out, "\n  }\n}\n");
}
