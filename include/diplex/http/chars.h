/* SPDX-License-Identifier: MIT */
/* What a byte may be in HTTP: one table for all that reads or checks messages, so that each byte is looked at
 * once. */
#ifndef DIPLEX_HTTP_CHARS_H
#define DIPLEX_HTTP_CHARS_H

#include "diplex/base/slice.h"

enum dx_http_char {
    DX_CHAR_TOKEN = 1,      /* tchar (RFC 9110 5.6.2) */
    DX_CHAR_TARGET = 2,     /* visible ASCII but '#', which a request target never holds (RFC 9112 3.2) */
    DX_CHAR_HOST = 4,       /* letters, digits, '-', '_': inside a label of a host name */
    DX_CHAR_TEXT = 8,       /* HTAB, SP, VCHAR, obs-text: what a field value is made of (RFC 9110 5.5) */
    DX_CHAR_UNDERSCORE = 16 /* WSGI cannot tell it from '-' in a field name */
};

extern const unsigned char dx_http_chars[256];

static inline unsigned dx_http_char(char c) { return dx_http_chars[(unsigned char)c]; }

static inline char dx_http_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

/* True if s is not empty and all its bytes have the bit. */
static inline bool dx_http_chars_all(struct dx_slice s, enum dx_http_char bit)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!(dx_http_char(s.p[i]) & (unsigned)bit))
            return false;
    }
    return s.n > 0;
}

#endif
