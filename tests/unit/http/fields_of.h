/* SPDX-License-Identifier: MIT */
/* Fields from strings, as the parser of a wire format would leave them: {"Name: value", ..., NULL}. */
#ifndef TESTS_UNIT_HTTP_FIELDS_OF_H
#define TESTS_UNIT_HTTP_FIELDS_OF_H

#include "diplex/http.h"

#define FIELDS_MAX 40

static inline struct dx_fields fields_of(struct dx_field *at, const char *const *lines)
{
    struct dx_fields f = {at, 0, FIELDS_MAX};

    for (; lines[f.n]; f.n++) {
        DX_ASSERT(f.n < f.max);
        struct dx_slice line = dx_slice_str(lines[f.n]);
        size_t colon = dx_slice_find(line, ':');
        DX_ASSERT(colon < line.n);
        struct dx_slice name = dx_slice_of(line.p, colon);
        struct dx_slice value = dx_slice_trim(dx_slice_of(line.p + colon + 1, line.n - colon - 1));
        at[f.n] = (struct dx_field){name, value, dx_http_field_id(name), false};
    }
    return f;
}

#endif
