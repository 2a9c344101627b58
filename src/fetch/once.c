/* SPDX-License-Identifier: MIT */
/* One blocking request over a Unix socket: how the command line talks to the control house of a running
 * diplex. */
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

static bool perform(const struct fetch_curl *curl, CURL *easy, const char *socket_path, struct dx_text *body,
                    struct dx_fetch_answer *out, struct dx_err *err)
{
    long status = 0;
    CURLcode code = curl->easy_perform(easy);
    if (code == CURLE_WRITE_ERROR)
        return dx_err_set(err, "the answer of %s is too large", socket_path);
    if (code != CURLE_OK)
        return dx_err_set(err, "%s: %s", socket_path, fetch_error_words(curl, easy, code, true));
    if (curl->easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status <= 0)
        return dx_err_set(err, "%s: no status", socket_path);
    dx_text_adds(body, ""); /* terminated even when empty */
    if (body->failed || !body->p)
        return dx_err_set(err, "out of memory");
    out->status = (unsigned)status;
    out->body = body->p;
    out->body_n = body->n;
    dx_text_init(body); /* given away */
    return true;
}

bool dx_fetch_once(const char *socket_path, const char *method, const char *path, uint64_t timeout_ms,
                   struct dx_fetch_answer *out, struct dx_err *err)
{
    struct dx_address address;
    struct dx_text body, name;
    struct fetch_curl curl;
    dx_text_init(&name);
    dx_text_addf(&name, "unix:%s", socket_path);
    bool ok = !name.failed && dx_address_parse(dx_slice_of(name.p, name.n), false, &address);
    dx_text_fini(&name);
    if (!ok)
        return dx_err_set(err, "%s: not the path of a Unix socket", socket_path);
    if (!fetch_curl_init(&curl, err))
        return false;
    dx_text_init(&body);
    CURL *easy = curl.easy_init();
    ok = easy && fetch_easy_set(&curl, easy, &address, path, timeout_ms) &&
         fetch_set_str(&curl, easy, CURLOPT_USERAGENT, "diplex/" DIPLEX_VERSION) &&
         set_method(&curl, easy, method) &&
         curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
         curl.easy_setopt(easy, CURLOPT_WRITEDATA, &body) == CURLE_OK;
    if (ok)
        ok = perform(&curl, easy, socket_path, &body, out, err);
    else
        (void)dx_err_set(err, "cannot prepare the request %s %s", method, path);
    curl.easy_cleanup(easy);
    dx_text_fini(&body);
    fetch_curl_fini(&curl);
    return ok;
}
