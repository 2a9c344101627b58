/* SPDX-License-Identifier: MIT */
/* version "-" trace-id "-" parent-id "-" flags, all of them lower-case hexadecimal; W3C Trace Context 3.2. */
#include "diplex/http/trace.h"

#define TRACE_AT  3u
#define PARENT_AT 36u
#define PARENT_N  16u
#define FLAGS_AT  53u
#define SAMPLED   0x01
#define RANDOM    0x02 /* level 2, 3.2.2.5.2: the trace id's last seven bytes are random */

static bool is_hex(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != '0')
            return false;
    return true;
}

/* Version ff is forbidden; 00 has nothing behind its flags, later ones may. */
bool dx_http_trace_id(struct dx_slice v, struct dx_slice *id)
{
    if (v.n < DX_TRACE_PARENT || !is_hex(v.p, 2) || (v.p[0] == 'f' && v.p[1] == 'f'))
        return false;
    if (v.n > DX_TRACE_PARENT && (is_zero(v.p, 2) || v.p[DX_TRACE_PARENT] != '-'))
        return false;
    if (v.p[TRACE_AT - 1] != '-' || v.p[PARENT_AT - 1] != '-' || v.p[FLAGS_AT - 1] != '-')
        return false;
    if (!is_hex(v.p + TRACE_AT, DX_TRACE_ID) || is_zero(v.p + TRACE_AT, DX_TRACE_ID) ||
        !is_hex(v.p + PARENT_AT, PARENT_N) || is_zero(v.p + PARENT_AT, PARENT_N) ||
        !is_hex(v.p + FLAGS_AT, 2))
        return false;
    *id = dx_slice_of(v.p + TRACE_AT, DX_TRACE_ID);
    return true;
}

const struct dx_field *dx_http_trace_find(const struct dx_fields *f, struct dx_slice *id)
{
    const struct dx_field *found = NULL;

    for (unsigned i = 0; i < f->n; i++) {
        if (f->at[i].id != DX_FIELD_TRACEPARENT || f->at[i].drop)
            continue;
        if (found != NULL)
            return NULL;
        found = &f->at[i];
    }
    return found != NULL && dx_http_trace_id(found->value, id) ? found : NULL;
}

static char *put_hex(char *p, uint64_t v)
{
    static const char digits[] = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4)
        *p++ = digits[v >> shift & 0xf];
    return p;
}

void dx_http_trace_write(const uint64_t random[3], bool sampled, char out[DX_TRACE_PARENT])
{
    char *p = out;
    *p++ = '0';
    *p++ = '0';
    *p++ = '-';
    p = put_hex(p, random[0] | (random[0] == 0)); /* neither id is all zeros */
    p = put_hex(p, random[1]);
    *p++ = '-';
    p = put_hex(p, random[2] | (random[2] == 0));
    *p++ = '-';
    *p++ = '0';
    *p = (char)('0' + (RANDOM | (sampled ? SAMPLED : 0)));
}
