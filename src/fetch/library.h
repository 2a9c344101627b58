/* SPDX-License-Identifier: MIT */
/*
 * libcurl, loaded when it is first needed. It brings some thirty other libraries along, more memory than all
 * the rest of diplex; the data process, the subcommands that ask nobody and a control process without health
 * checks do without.
 */
#ifndef FETCH_LIBRARY_H
#define FETCH_LIBRARY_H

#include <curl/curl.h>

#include "diplex/base/err.h"

/* curl->easy_init() is curl_easy_init(), and so on. */
struct fetch_curl {
#define X(name) __typeof__(curl_##name) *name;
#include "fetch/functions.def"
#undef X
};

/* Loads the library, unless that was done before, and starts it. Each success is to be followed by one
 * fetch_curl_fini. */
bool fetch_curl_init(struct fetch_curl *out, struct dx_err *err) DX_CHECKED;
void fetch_curl_fini(const struct fetch_curl *curl); /* the library stays mapped */

#endif
