/* SPDX-License-Identifier: MIT */
/* Writes the sentence of a failure; a sentence that is too long is cut. */
#include "diplex/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *dx_err_text(int error)
{
#ifdef __GLIBC__
    const char *text = strerrordesc_np(error);
#else
    const char *text = strerror(error); /* musl's are constants */
#endif
    return text ? text : "unknown error";
}

bool dx_err_set(struct dx_err *err, const char *fmt, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, fmt);
    /* Written aside first: an argument may be the old text of this very error. */
    char text[sizeof err->text];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    memcpy(err->text, text, sizeof text);
    return false;
}

bool dx_err_sys(struct dx_err *err, const char *fmt, ...)
{
    int error = errno;
    if (!err)
        return false;
    va_list args;
    va_start(args, fmt);
    char text[sizeof err->text];
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    snprintf(text + used, sizeof text - used, ": %s", dx_err_text(error));
    memcpy(err->text, text, sizeof text);
    errno = error;
    return false;
}
