/* SPDX-License-Identifier: MIT */
/* A sentence for a person about why something failed. Functions that take one fill it only on failure. */
#ifndef DIPLEX_BASE_ERR_H
#define DIPLEX_BASE_ERR_H

#include <stdbool.h>

#include "diplex/base/check.h"

struct dx_err {
    char text[320];
};

/* Always returns false, so that `return dx_err_set(err, ...)` reads well. `err` may be NULL. */
bool dx_err_set(struct dx_err *err, const char *fmt, ...) DX_PRINTF(2, 3);
/* The same, followed by ": " and what errno says. */
bool dx_err_sys(struct dx_err *err, const char *fmt, ...) DX_PRINTF(2, 3);

/* What an errno means, as a string that lives for ever and may be asked for from any thread. */
const char *dx_err_text(int error);

#endif
