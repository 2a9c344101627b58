/* SPDX-License-Identifier: MIT */
/* The settings that every transfer shares, and curl's reasons in words that mean something to whoever runs a
 * Django server. */
#include "fetch/easy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "diplex/base/text.h"

bool fetch_set_long(const struct fetch_curl *curl, CURL *easy, CURLoption option, long value)
{
    return curl->easy_setopt(easy, option, value) == CURLE_OK;
}

bool fetch_set_str(const struct fetch_curl *curl, CURL *easy, CURLoption option, const char *value)
{
    return curl->easy_setopt(easy, option, value) == CURLE_OK;
}

static bool set_protocols(const struct fetch_curl *curl, CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    return fetch_set_str(curl, easy, CURLOPT_PROTOCOLS_STR, "http");
#else
    return fetch_set_long(curl, easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP);
#endif
}

/* The URL names the address itself, so that nothing is ever looked up; the Host field says what the server is
 * to be called. */
static bool set_target(const struct fetch_curl *curl, CURL *easy, const struct dx_address *address,
                       const char *path)
{
    char where[DX_ADDRESS_TEXT];
    struct dx_text url;
    (void)dx_address_text(address, where, sizeof where);
    dx_text_init(&url);
    dx_text_addf(&url, "http://%s%s", dx_address_is_unix(address) ? "localhost" : where, path);
    bool ok = !url.failed && fetch_set_str(curl, easy, CURLOPT_URL, url.p);
    dx_text_fini(&url);
    if (ok && dx_address_is_unix(address))
        ok = fetch_set_str(curl, easy, CURLOPT_UNIX_SOCKET_PATH, address->u.un.sun_path);
    return ok;
}

bool fetch_easy_set(const struct fetch_curl *curl, CURL *easy, const struct dx_address *address,
                    const char *path, uint64_t timeout_ms)
{
    DX_ASSERT(address->len > 0 && path[0] == '/' && timeout_ms > 0);
    long ms = timeout_ms > LONG_MAX ? LONG_MAX : (long)timeout_ms;
    return set_target(curl, easy, address, path) && set_protocols(curl, easy) &&
           fetch_set_long(curl, easy, CURLOPT_PATH_AS_IS, 1) &&
           fetch_set_long(curl, easy, CURLOPT_NOSIGNAL, 1) &&
           fetch_set_long(curl, easy, CURLOPT_TIMEOUT_MS, ms) &&
           fetch_set_long(curl, easy, CURLOPT_CONNECTTIMEOUT_MS, ms) &&
           fetch_set_long(curl, easy, CURLOPT_FOLLOWLOCATION, 0) &&
           fetch_set_long(curl, easy, CURLOPT_FRESH_CONNECT, 1) &&
           fetch_set_long(curl, easy, CURLOPT_FORBID_REUSE, 1) &&
           fetch_set_str(curl, easy, CURLOPT_PROXY, "") &&
           fetch_set_long(curl, easy, CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
           fetch_set_long(curl, easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
}

static long os_error(const struct fetch_curl *curl, CURL *easy)
{
    long number = 0;
    return curl->easy_getinfo(easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK ? number : 0;
}

/* A Unix socket whose backlog is full refuses with EAGAIN at once where TCP would let us wait: the server is
 * busy, not away. curl takes EAGAIN for "under way", finds the socket hung up and has no error number to
 * show; nothing else on a Unix socket ends like that. */
static bool is_backlog_full(const struct fetch_curl *curl, CURL *easy, CURLcode code, bool is_unix)
{
    return is_unix && code == CURLE_COULDNT_CONNECT && os_error(curl, easy) == 0;
}

bool fetch_error_is_timeout(const struct fetch_curl *curl, CURL *easy, CURLcode code, bool is_unix)
{
    return code == CURLE_OPERATION_TIMEDOUT || is_backlog_full(curl, easy, code, is_unix);
}

static const char *connect_words(long number)
{
    switch (number) {
    case ECONNREFUSED:
        return "connection refused";
    case ENOENT:
        return "no such socket";
    case EACCES:
        return "permission denied";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "no route to host";
    default:
        return "cannot connect";
    }
}

const char *fetch_error_words(const struct fetch_curl *curl, CURL *easy, CURLcode code, bool is_unix)
{
    if (is_backlog_full(curl, easy, code, is_unix))
        return "backlog full";
    switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_COULDNT_CONNECT:
        return connect_words(os_error(curl, easy));
    case CURLE_GOT_NOTHING:
        return "closed without an answer";
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_ABORTED_BY_CALLBACK: /* by ours, which could not send */
        return "connection reset";
    case CURLE_PARTIAL_FILE:
        return "closed in the middle of the answer";
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return "the answer is not HTTP/1";
    default:
        return curl->easy_strerror(code);
    }
}
