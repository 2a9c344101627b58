/* SPDX-License-Identifier: MIT */
/* Finds libcurl and its functions at run time, under the name that the build saw. */
#include "fetch/library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *symbol;
    size_t place; /* of the pointer in struct fetch_curl */
} functions[] = {
#define X(name) {"curl_" #name, offsetof(struct fetch_curl, name)},
#include "fetch/functions.def"
#undef X
};

static bool find_functions(void *library, struct fetch_curl *out, struct dx_err *err)
{
    struct fetch_curl curl;
    for (size_t i = 0; i < DX_COUNT(functions); i++) {
        void *function = dlsym(library, functions[i].symbol);
        if (!function) {
            (void)dx_err_set(err, "%s has no function %s", DIPLEX_CURL_SONAME, functions[i].symbol);
            return false;
        }
        memcpy((char *)&curl + functions[i].place, &function, sizeof function); /* POSIX lets them be alike */
    }
    *out = curl;
    return true;
}

/* Never unloaded: not all of the libraries that come with it survive that. Loading it again costs nothing. */
static bool load(struct fetch_curl *out, struct dx_err *err)
{
    void *library = dlopen(DIPLEX_CURL_SONAME, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        (void)dx_err_set(err, "cannot load libcurl: %s", dlerror());
        return false;
    }
    bool ok = find_functions(library, out, err);
    (void)dlclose(library);
    return ok;
}

bool fetch_curl_init(struct fetch_curl *out, struct dx_err *err)
{
    struct fetch_curl curl;
    if (!load(&curl, err))
        return false;
    if (curl.global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
        return dx_err_set(err, "cannot start libcurl");
    *out = curl;
    return true;
}

void fetch_curl_fini(const struct fetch_curl *curl) { curl->global_cleanup(); }
