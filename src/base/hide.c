/* SPDX-License-Identifier: MIT */
/* Finds what is not to be shown by its name and its place, never by its value. */
#include "diplex/base/hide.h"

#define HIDDEN DX_SLICE("***")

/* In any part of a name. */
static const char *const parts[] = {"token",      "secret",  "passw",   "signature",
                                    "apikey",     "api_key", "api-key", "session",
                                    "credential", "jwt",     "oauth",   "authorization"};
/* The whole of a name. */
static const char *const names[] = {"auth", "key", "sig", "code", "pass", "pwd",
                                    "pw",   "sid", "otp", "pin",  "nonce"};

static bool has_part(struct dx_slice name, struct dx_slice part)
{
    for (size_t i = 0; i + part.n <= name.n; i++)
        if (dx_slice_eq_nocase(dx_slice_of(name.p + i, part.n), part))
            return true;
    return false;
}

bool dx_hide_is_secret(struct dx_slice name)
{
    for (size_t i = 0; i < DX_COUNT(names); i++)
        if (dx_slice_eq_nocase(name, dx_slice_str(names[i])))
            return true;
    for (size_t i = 0; i < DX_COUNT(parts); i++)
        if (has_part(name, dx_slice_str(parts[i])))
            return true;
    return false;
}

static void put(struct dx_out *o, struct dx_slice s)
{
    size_t room = (size_t)(o->end - o->p);
    o->overflow |= s.n > room;
    dx_out_add(o, dx_slice_of(s.p, s.n < room ? s.n : room));
}

/* How far it goes until one of the bytes, or white space, or a quote. */
static size_t until(struct dx_slice s, const char *ends)
{
    size_t n = 0;
    while (n < s.n && (unsigned char)s.p[n] > ' ' && s.p[n] != '"' && s.p[n] != '\'' && !strchr(ends, s.p[n]))
        n++;
    return n;
}

static struct dx_slice rest(struct dx_slice s, size_t from) { return dx_slice_of(s.p + from, s.n - from); }

/* Behind "://". Returns what is left. */
static struct dx_slice hide_user(struct dx_out *o, struct dx_slice s)
{
    size_t at = until(s, "/?#\\");
    while (at > 0 && s.p[at - 1] != '@')
        at--;
    if (at == 0)
        return s;
    put(o, HIDDEN);
    return rest(s, at - 1);
}

/* Behind a mark that may begin a parameter. */
static struct dx_slice hide_value(struct dx_out *o, struct dx_slice s)
{
    size_t name = until(s, "=&;?#");
    if (name == s.n || s.p[name] != '=' || !dx_hide_is_secret(dx_slice_of(s.p, name)))
        return s;
    put(o, dx_slice_of(s.p, name + 1));
    s = rest(s, name + 1);
    size_t value = until(s, "&;#");
    if (value > 0)
        put(o, HIDDEN);
    return rest(s, value);
}

#define NO_LOGIN "\"'[]{}(),/="

/* How long "me:word" is that ends where text[n] is '@'; 0 when none does. */
static size_t login_before(struct dx_slice text, size_t n)
{
    bool colon = false;
    size_t from = n;
    while (from > 0 && (unsigned char)text.p[from - 1] > ' ' && !strchr(NO_LOGIN, text.p[from - 1]))
        colon |= text.p[--from] == ':' && from + 1 < n;
    return colon ? n - from : 0;
}

/* A word may hold an '@' itself. Returns what is left, beginning with the last one. */
static struct dx_slice hide_login(struct dx_out *o, struct dx_slice text, size_t from, size_t at)
{
    for (size_t i = at; i < text.n && (unsigned char)text.p[i] > ' ' && !strchr(NO_LOGIN, text.p[i]); i++)
        at = text.p[i] == '@' ? i : at;
    put(o, dx_slice_of(text.p, from));
    put(o, HIDDEN);
    put(o, dx_slice_of(text.p + at, 1));
    return rest(text, at + 1);
}

static void hide(struct dx_out *o, struct dx_slice text, bool logins)
{
    while (text.n > 0) {
        size_t n = 0, login = 0;
        bool url = false, mark = false;
        for (; n < text.n && !url && !mark && login == 0; n++) {
            mark = strchr("?&;#", text.p[n]) != NULL && text.p[n] != '\0';
            url = n >= 2 && text.p[n] == '/' && text.p[n - 1] == '/' && text.p[n - 2] == ':';
            login = logins && text.p[n] == '@' ? login_before(text, n) : 0;
        }
        if (login > 0) {
            text = hide_login(o, text, n - 1 - login, n - 1);
            continue;
        }
        put(o, dx_slice_of(text.p, n));
        text = rest(text, n);
        if (url)
            text = hide_user(o, text);
        else if (mark)
            text = hide_value(o, text);
    }
}

void dx_hide(struct dx_out *o, struct dx_slice text) { hide(o, text, false); }
void dx_hide_line(struct dx_out *o, struct dx_slice text) { hide(o, text, true); }
