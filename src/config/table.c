/* SPDX-License-Identifier: MIT */
/* The rows of settings.def and types.def, and questions about them. */
#include "config/table.h"

#include <inttypes.h>
#include <stdio.h>

#include "diplex/base/units.h"

#define HOUR          UINT64_C(3600000)
#define DAY           (24 * HOUR)
#define KB(n)         (UINT64_C(n) << 10)
#define GB(n)         (UINT64_C(n) << 30)
#define TB(n)         (UINT64_C(n) << 40)
#define CONFIG(field) offsetof(struct dx_config, field)
#define POOL(field)   offsetof(struct dx_pool_config, field)
#define LISTEN(field) offsetof(struct dx_listen_config, field)
#define SERVER(field) offsetof(struct dx_server_config, field)
#define ROUTE(field)  offsetof(struct dx_route_config, field)
#define NOWHERE       0

#define REQUIRED dx_config_required

const char dx_config_required[] = "required";

const struct dx_config_scope_row dx_config_scopes[SCOPE_COUNT] = {
#define SCOPE(id, owner, shortkey, offkey, heading, sentence) \
    {#id, SCOPE_##owner, shortkey, offkey, heading, sentence},
#define SETTING(...)
#define NESTED(...)
#include "config/settings.def"
};

const struct dx_config_setting dx_config_settings[] = {
#define SCOPE(...)
#define SETTING(scope, key, type, place, fallback, min, max, words, why, sentence) \
    {SCOPE_##scope, key, TYPE_##type, place, fallback, min, max, words, why, SCOPE_COUNT, sentence},
#define NESTED(scope, key, type, place, fallback, nested, why, sentence) \
    {SCOPE_##scope, key, TYPE_##type, place, fallback, 0, 0, NULL, why, SCOPE_##nested, sentence},
#include "config/settings.def"
};
const size_t dx_config_settings_n = DX_COUNT(dx_config_settings);

static const struct type_row {
    const char *name, *schema;
} types[] = {
#define TYPE(id, name, schema) {name, schema},
#include "config/types.def"
};

const struct dx_config_setting *dx_config_setting_find(enum dx_config_scope scope, struct dx_slice key)
{
    for (size_t i = 0; i < dx_config_settings_n; i++) {
        const struct dx_config_setting *s = &dx_config_settings[i];
        if (s->scope == scope && dx_slice_eq(key, dx_slice_str(s->key)))
            return s;
    }
    return NULL;
}

size_t dx_config_setting_index(const struct dx_config_setting *s)
{
    size_t at = (size_t)(s - dx_config_settings);
    DX_ASSERT(at < dx_config_settings_n);
    return at;
}

const char *dx_config_type_name(enum dx_config_type type) { return types[type].name; }
const char *dx_config_type_schema(enum dx_config_type type) { return types[type].schema; }

struct dx_slice dx_config_setting_fallback(const struct dx_config_setting *s, enum dx_kind kind)
{
    struct dx_slice all = dx_slice_str(s->fallback);
    size_t bar = dx_slice_find(all, '|');
    if (bar == all.n)
        return all;
    return kind == DX_KIND_WSGI ? dx_slice_of(all.p, bar) : dx_slice_of(all.p + bar + 1, all.n - bar - 1);
}

const char *dx_config_setting_number(const struct dx_config_setting *s, uint64_t value, char buf[32])
{
    if (s->type == TYPE_DURATION)
        return dx_units_duration_text(value, buf, 32);
    if (s->type == TYPE_SIZE)
        return dx_units_size_text(value, buf, 32);
    (void)snprintf(buf, 32,
                   s->type == TYPE_MODE      ? "%04" PRIo64
                   : s->type == TYPE_PERCENT ? "%" PRIu64 "%%"
                                             : "%" PRIu64,
                   value);
    return buf;
}

bool dx_config_next_word(struct dx_slice *rest, struct dx_slice *word)
{
    struct dx_slice s = dx_slice_trim(*rest);
    if (s.n == 0)
        return false;
    size_t n = dx_slice_find(s, ' ');
    *word = dx_slice_of(s.p, n);
    *rest = dx_slice_of(s.p + n, s.n - n);
    return true;
}
