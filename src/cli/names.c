/* SPDX-License-Identifier: MIT */
/* The names of pools and servers in the JSON document of /status, for those who complete a word. */
#include "cli/cli.h"

#define DEPTH_MAX 16

/* Where we are in the document: the key under which each level that is open stands, empty for those of a
 * list. */
struct walk {
    struct dx_slice rest;
    struct dx_slice keys[DEPTH_MAX];
    unsigned depth;
    struct dx_slice key; /* the one just read */
};

/* The bytes of a string that begins at the quote. Names that need escapes are nobody's to type. */
static bool take_string(struct walk *w, struct dx_slice *out)
{
    size_t n = 1;
    bool plain = true;
    while (n < w->rest.n && w->rest.p[n] != '"') {
        plain &= w->rest.p[n] != '\\';
        n += w->rest.p[n] == '\\' ? 2 : 1;
    }
    size_t end = n < w->rest.n ? n + 1 : w->rest.n;
    *out = plain && n < w->rest.n ? dx_slice_of(w->rest.p + 1, n - 1) : dx_slice_of(w->rest.p, 0);
    w->rest = dx_slice_of(w->rest.p + end, w->rest.n - end);
    return out->n > 0;
}

static bool is_at(const struct walk *w, enum cli_words what)
{
    static const char *const pool[] = {"", "pools", ""}, *const server[] = {"", "pools", "", "servers", ""};
    const char *const *path = what == CLI_POOLS ? pool : server;
    unsigned n = what == CLI_POOLS ? DX_COUNT(pool) : DX_COUNT(server);
    if (w->depth != n || !dx_slice_eq(w->key, DX_SLICE("name")))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!dx_slice_eq(w->keys[i], dx_slice_str(path[i])))
            return false;
    return true;
}

static void step(struct walk *w, enum cli_words what, void (*found)(struct dx_slice name, void *arg),
                 void *arg)
{
    char c = w->rest.p[0];
    struct dx_slice text;
    if (c == '"') {
        bool plain = take_string(w, &text);
        struct dx_slice after = dx_slice_trim(w->rest);
        if (after.n && after.p[0] == ':')
            w->key = text;
        else if (plain && is_at(w, what))
            found(text, arg);
        return;
    }
    if ((c == '{' || c == '[') && w->depth < DEPTH_MAX)
        w->keys[w->depth++] = w->key;
    else if ((c == '}' || c == ']') && w->depth > 0)
        w->depth--;
    if (c != ' ' && c != '\n' && c != ':')
        w->key = DX_SLICE("");
    w->rest = dx_slice_of(w->rest.p + 1, w->rest.n - 1);
}

void cli_names(struct dx_slice json, enum cli_words what, void (*found)(struct dx_slice name, void *arg),
               void *arg)
{
    struct walk w = {.rest = json, .key = DX_SLICE("")};
    while (w.rest.n)
        step(&w, what, found, arg);
}
