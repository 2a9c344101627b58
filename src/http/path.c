/* SPDX-License-Identifier: MIT */
/*
 * The path that routes are matched against: what Django will see after its server has decoded the path once.
 * Dot segments are resolved too; whether that makes a difference is for the caller to see. The servers get
 * the target as it came; this is only for looking up.
 */
#include "diplex/http.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* What is looked for stands in ASCII where few characters of a path do: '\0' < '%' < '.' < all the rest that
 * matters. */
bool dx_http_path_is_normal(struct dx_slice path)
{
    for (size_t i = 0; i < path.n; i++) {
        if (DX_LIKELY((unsigned char)path.p[i] > '.'))
            continue;
        char c = path.p[i];
        if (c == '%' || c == '\0' || (c == '.' && i > 0 && path.p[i - 1] == '/'))
            return false;
    }
    return true;
}

static bool decode(struct dx_slice path, char *buf, size_t *out_n)
{
    size_t n = 0;

    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        if (c == '%') {
            int high = i + 2 < path.n ? hex_value(path.p[i + 1]) : -1;
            int low = i + 2 < path.n ? hex_value(path.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return false;
        buf[n++] = c;
    }
    *out_n = n;
    return true;
}

/* RFC 3986 5.2.4 in place, on a path that begins with '/': what is written never overtakes what is read. */
static size_t remove_dots(char *p, size_t n)
{
    size_t in = 0, out = 0;

    while (in < n) { /* in stands on a '/' */
        size_t end = in + 1;
        while (end < n && p[end] != '/')
            end++;
        size_t segment = end - in - 1;
        bool one = segment == 1 && p[in + 1] == '.';
        bool two = segment == 2 && p[in + 1] == '.' && p[in + 2] == '.';
        if (two) {
            while (out > 0 && p[--out] != '/')
                continue;
        }
        if (!one && !two) {
            memmove(p + out, p + in, end - in);
            out += end - in;
        } else if (end == n) {
            p[out++] = '/';
        }
        in = end;
    }
    return out;
}

bool dx_http_path_decode(struct dx_slice path, char *buf, size_t n, struct dx_slice *out)
{
    size_t decoded;

    if (path.n == 0 || path.p[0] != '/')
        return false;
    DX_ASSERT(n >= path.n);
    if (!decode(path, buf, &decoded))
        return false;
    *out = dx_slice_of(buf, decoded);
    return true;
}

size_t dx_http_path_resolve(char *path, size_t n)
{
    DX_ASSERT(n > 0 && path[0] == '/');
    return remove_dots(path, n);
}

bool dx_http_path_normalise(struct dx_slice path, char *buf, size_t n, struct dx_slice *out)
{
    bool asterisk = dx_slice_eq(path, DX_SLICE("*"));

    if (asterisk || (path.n > 0 && path.p[0] == '/' && dx_http_path_is_normal(path))) {
        *out = path;
        return true;
    }
    if (!dx_http_path_decode(path, buf, n, out))
        return false;
    out->n = dx_http_path_resolve(buf, out->n);
    return true;
}
