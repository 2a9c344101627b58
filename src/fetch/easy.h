/* SPDX-License-Identifier: MIT */
/* What a transfer of ours always is, for the files of this room: a plain HTTP request to one given address,
 * no redirect, no proxy, no reuse. */
#ifndef FETCH_EASY_H
#define FETCH_EASY_H

#include "diplex/os/address.h"
#include "fetch/library.h"

/* Sets everything but the body's sink. Strings are copied by curl. False when out of memory or when curl will
 * not have the path. */
bool fetch_easy_set(const struct fetch_curl *curl, CURL *easy, const struct dx_address *address,
                    const char *path, uint64_t timeout_ms) DX_CHECKED;

/* Why there is no answer, in words for a log, which live for ever. */
const char *fetch_error_words(const struct fetch_curl *curl, CURL *easy, CURLcode code, bool is_unix);
bool fetch_error_is_timeout(const struct fetch_curl *curl, CURL *easy, CURLcode code, bool is_unix);

/* curl_easy_setopt is a macro that takes anything; these take what the option wants. */
bool fetch_set_long(const struct fetch_curl *curl, CURL *easy, CURLoption option, long value) DX_CHECKED;
bool fetch_set_str(const struct fetch_curl *curl, CURL *easy, CURLoption option,
                   const char *value) DX_CHECKED;

#endif
