/* SPDX-License-Identifier: MIT */
/*
 * Secrets in texts that are about to be shown. What looks like one is written as ***: the values of
 * parameters of a query whose names say so (token, password, signature and the like), and the user
 * information of a URL.
 */
#ifndef DIPLEX_BASE_HIDE_H
#define DIPLEX_BASE_HIDE_H

#include "diplex/base/text.h"

/* As much as fits; *o overflows when something was left out. The text may hold any number of URLs, or be a
 * target. */
void dx_hide(struct dx_out *o, struct dx_slice text);
/* Of a file that a person wrote, so "me:word@host" as well. */
void dx_hide_line(struct dx_out *o, struct dx_slice text);
/* "access_token", "X-Amz-Signature", "pwd"; not "page". */
bool dx_hide_is_secret(struct dx_slice name);

#endif
