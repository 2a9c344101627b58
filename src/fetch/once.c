/* SPDX-License-Identifier: MIT */
/* One blocking request over a Unix socket or to an http URL: how the command line talks to the control house
 * of a running diplex. */
#include "diplex/fetch.h"

#include <stdlib.h>

#include "diplex/base/text.h"
#include "fetch/easy.h"

#define BODY_MAX ((size_t)16 << 20)

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
    struct dx_text *body = arg;
    if (body->n + one * n > BODY_MAX)
        return 0;
    dx_text_add(body, dx_slice_of(bytes, one * n));
    return body->failed ? 0 : one * n;
}

static bool set_method(const struct fetch_curl *curl, CURL *easy, const char *method)
{
    if (strcmp(method, "GET") == 0)
        return true;
    if (strcmp(method, "POST") == 0)
        return fetch_set_long(curl, easy, CURLOPT_POST, 1) &&
               fetch_set_str(curl, easy, CURLOPT_COPYPOSTFIELDS, "");
    return fetch_set_str(curl, easy, CURLOPT_CUSTOMREQUEST, method);
}

static bool perform(const struct fetch_curl *curl, CURL *easy, const char *where, struct dx_text *body,
                    struct dx_fetch_answer *out, struct dx_err *err)
{
    long status = 0;
    CURLcode code = curl->easy_perform(easy);
    if (code == CURLE_WRITE_ERROR)
        return dx_err_set(err, "the answer of %s is too large", where);
    if (code != CURLE_OK)
        return dx_err_set(err, "%s: %s", where, fetch_error_words(curl, easy, code, !dx_fetch_is_url(where)));
    if (curl->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status <= 0)
        return dx_err_set(err, "%s: no status", where);
    dx_text_adds(body, ""); /* terminated even when empty */
    if (body->failed || !body->p)
        return dx_err_set(err, "out of memory");
    out->status = (unsigned)status;
    out->body = body->p;
    out->body_n = body->n;
    dx_text_init(body); /* given away */
    return true;
}

bool dx_fetch_is_url(const char *where) { return strncmp(where, "http://", sizeof "http://" - 1) == 0; }

static bool set_url(const struct fetch_curl *curl, CURL *easy, const char *where, const char *path)
{
    struct dx_text url;
    size_t n = strlen(where);
    dx_text_init(&url);
    dx_text_addf(&url, "%.*s%s", (int)(n && where[n - 1] == '/' ? n - 1 : n), where, path);
    bool ok = !url.failed && fetch_set_str(curl, easy, CURLOPT_URL, url.p);
    dx_text_fini(&url);
    return ok;
}

static bool set_place(const struct fetch_curl *curl, CURL *easy, const struct dx_fetch_place *place,
                      const char *path)
{
    if (dx_fetch_is_url(place->where) && !(fetch_set_str(curl, easy, CURLOPT_UNIX_SOCKET_PATH, NULL) &&
                                           set_url(curl, easy, place->where, path)))
        return false;
    return !place->token || (fetch_set_long(curl, easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) &&
                             fetch_set_str(curl, easy, CURLOPT_XOAUTH2_BEARER, place->token));
}

/* Of a URL none is needed: curl looks its name up. */
static bool address_of(const char *where, struct dx_address *out, struct dx_err *err)
{
    struct dx_text name;
    dx_text_init(&name);
    dx_text_addf(&name, "unix:%s", dx_fetch_is_url(where) ? "/" : where);
    bool ok = !name.failed && dx_address_parse(dx_slice_of(name.p, name.n), false, out);
    dx_text_fini(&name);
    return ok || dx_err_set(err, "%s: not the path of a Unix socket", where);
}

bool dx_fetch_once(const struct dx_fetch_place *place, const char *method, const char *path,
                   uint64_t timeout_ms, struct dx_fetch_answer *out, struct dx_err *err)
{
    struct dx_address address;
    struct dx_text body;
    struct fetch_curl curl;
    if (!address_of(place->where, &address, err) || !fetch_curl_init(&curl, err))
        return false;
    dx_text_init(&body);
    CURL *easy = curl.easy_init();
    bool ok = easy && fetch_easy_set(&curl, easy, &address, path, timeout_ms) &&
              set_place(&curl, easy, place, path) &&
              fetch_set_str(&curl, easy, CURLOPT_USERAGENT, "diplex/" DIPLEX_VERSION) &&
              set_method(&curl, easy, method) &&
              curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
              curl.easy_setopt(easy, CURLOPT_WRITEDATA, &body) == CURLE_OK;
    if (ok)
        ok = perform(&curl, easy, place->where, &body, out, err);
    else
        (void)dx_err_set(err, "cannot prepare the request %s %s", method, path);
    curl.easy_cleanup(easy);
    dx_text_fini(&body);
    fetch_curl_fini(&curl);
    return ok;
}
