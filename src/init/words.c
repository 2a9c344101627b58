/* SPDX-License-Identifier: MIT */
/* Texts that live as long as the reading, variables, and the words of a command as a shell or compose sees
 * them. */
#include <stdarg.h>
#include <stdio.h>

#include "init/internal.h"

#define EXPAND_MAX 65536u /* bytes: a variable may stand many times */

void *init_take(struct init *in, size_t n, size_t bytes)
{
    size_t total = 0;
    void *p = __builtin_mul_overflow(n, bytes, &total) ? NULL : dx_arena_zalloc(&in->arena, total);
    if (!p)
        in->no_memory = true;
    return p;
}

struct dx_slice init_keep(struct init *in, struct dx_slice s)
{
    struct dx_slice kept = DX_SLICE("");
    if (!dx_arena_copy(&in->arena, s, &kept))
        in->no_memory = true;
    return kept;
}

struct dx_slice init_printf(struct init *in, const char *fmt, ...)
{
    char buf[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(buf, sizeof buf, fmt, args);
    va_end(args);
    return init_keep(in, dx_slice_str(buf));
}

bool init_contains(struct dx_slice s, const char *part)
{
    return s.n && memmem(s.p, s.n, part, strlen(part)) != NULL;
}

struct dx_slice init_base_name(struct dx_slice path)
{
    const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;
    size_t at = slash ? (size_t)(slash - path.p) + 1 : 0;
    return dx_slice_of(path.p + at, path.n - at);
}

/* ---- variables ---- */

void init_set(struct init *in, struct variable **all, struct dx_slice name, struct dx_slice value,
              struct place at)
{
    struct variable *v = init_take(in, 1, sizeof *v);
    if (!v)
        return;
    *v = (struct variable){init_keep(in, name), init_keep(in, value), at, *all};
    *all = v;
}

static const struct variable *get(const struct variable *all, struct dx_slice name)
{
    for (; all; all = all->next)
        if (dx_slice_eq(all->name, name))
            return all;
    return NULL;
}

const struct variable *init_get(const struct variable *all, const char *name)
{
    return get(all, dx_slice_str(name));
}

void init_set_pair(struct init *in, struct variable **all, struct dx_slice pair, struct place at)
{
    size_t n = dx_slice_find(pair, '=');
    struct dx_slice name = init_keep(in, dx_slice_of(pair.p, n));
    if (n < pair.n) {
        init_set(in, all, name, dx_slice_of(pair.p + n + 1, pair.n - n - 1), at);
        return;
    }
    const char *outside = in->env(name.p, in->arg);
    if (outside)
        init_set(in, all, name, dx_slice_str(outside), at);
}

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static bool look_up(const struct init *in, struct dx_slice name, const struct variable *all, bool compose,
                    struct dx_slice *out)
{
    char terminated[128];
    const struct variable *v = get(all, name);
    const char *outside = NULL;
    if (compose && name.n < sizeof terminated) {
        memcpy(terminated, name.p, name.n);
        terminated[name.n] = '\0';
        outside = in->env(terminated, in->arg); /* compose asks it before its file of variables */
    }
    if (!v && !outside)
        return false;
    *out = outside ? dx_slice_str(outside) : v->value;
    return true;
}

/* What stands at a dollar sign: how many bytes it takes, and what it becomes; 0: nothing that is known. */
static size_t expand_one(struct init *in, struct dx_slice s, const struct variable *all, bool compose,
                         struct dx_slice *out)
{
    size_t at = 1, n = 0;
    bool braces = s.n > 1 && s.p[1] == '{';
    at += braces;
    while (at + n < s.n && is_name(s.p[at + n], n == 0))
        n++;
    struct dx_slice name = dx_slice_of(s.p + at, n);
    if (n == 0)
        return 0;
    bool known = look_up(in, name, all, compose, out);
    if (!braces)
        return known ? at + n : 0;
    size_t end = dx_slice_find(s, '}');
    if (end == s.n)
        return 0;
    struct dx_slice rest = dx_slice_of(name.p + n, (size_t)(s.p + end - name.p) - n);
    bool colon = rest.n && rest.p[0] == ':';
    rest = dx_slice_of(rest.p + colon, rest.n - colon);
    if (rest.n && rest.p[0] == '-' && (!known || (colon && out->n == 0))) {
        *out = dx_slice_of(rest.p + 1, rest.n - 1);
        known = true;
    }
    return known ? end + 1 : 0;
}

struct dx_slice init_expand(struct init *in, struct dx_slice text, const struct variable *all, bool compose)
{
    struct dx_text out;
    dx_text_init(&out);
    while (text.n && out.n < EXPAND_MAX) {
        size_t n = dx_slice_find(text, '$'), taken = 1;
        struct dx_slice value = DX_SLICE("$");
        dx_text_add(&out, dx_slice_of(text.p, n));
        text = dx_slice_of(text.p + n, text.n - n);
        if (text.n == 0)
            break;
        if (compose && text.n > 1 && text.p[1] == '$')
            taken = 2;
        else if ((taken = expand_one(in, text, all, compose, &value)) == 0)
            taken = 1;
        dx_text_add(&out, value);
        text = dx_slice_of(text.p + taken, text.n - taken);
    }
    struct dx_slice kept = init_keep(in, dx_slice_of(out.p, out.n));
    in->no_memory |= out.failed;
    dx_text_fini(&out);
    return kept;
}

/* ---- words ---- */

void init_add_word(struct init *in, struct words *to, struct dx_slice text, struct place at, bool ends)
{
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 16;
        struct word *more = init_take(in, cap, sizeof *more);
        if (!more)
            return;
        if (to->n)
            memcpy(more, to->at, to->n * sizeof *more);
        to->at = more;
        to->cap = cap;
    }
    to->at[to->n++] = (struct word){init_keep(in, text), at, ends};
}

struct splitter {
    struct init *in;
    struct dx_slice rest;
    struct place at;
    bool shell;
    const struct variable *all;
    struct words *to;
    struct dx_text word;
    bool any; /* a word has begun, be it an empty one in quotes */
};

static void end_word(struct splitter *s)
{
    if (s->any)
        init_add_word(s->in, s->to, dx_slice_of(s->word.p, s->word.n), s->at, false);
    s->any = false;
    dx_text_reset(&s->word);
}

static void skip(struct splitter *s, size_t n) { s->rest = dx_slice_of(s->rest.p + n, s->rest.n - n); }

static void add(struct splitter *s, struct dx_slice text, bool variables)
{
    dx_text_add(&s->word, variables && s->shell ? init_expand(s->in, text, s->all, false) : text);
    s->any = true;
}

static void take_quoted(struct splitter *s, char quote)
{
    skip(s, 1);
    size_t n = 0;
    while (n < s->rest.n && s->rest.p[n] != quote)
        n += s->rest.p[n] == '\\' && quote == '"' && n + 1 < s->rest.n ? 2 : 1;
    struct dx_slice inside = dx_slice_of(s->rest.p, n < s->rest.n ? n : s->rest.n);
    for (size_t i = 0; i < inside.n; i++)
        s->at.line += inside.p[i] == '\n';
    add(s, inside, quote == '"');
    skip(s, n < s->rest.n ? n + 1 : s->rest.n);
}

/* `&&`, `||`, `;`, `|`, `&`, parentheses, the end of a line: what follows is another command. */
static void take_operator(struct splitter *s)
{
    end_word(s);
    s->at.line += s->rest.p[0] == '\n';
    init_add_word(s->in, s->to, DX_SLICE(";"), s->at, true);
    skip(s, 1);
}

/* $(...) and `...` stay as they are: nothing is run. */
static size_t substitution(struct dx_slice s)
{
    int depth = 0;
    if (s.p[0] == '`') {
        struct dx_slice rest = dx_slice_of(s.p + 1, s.n - 1);
        size_t n = dx_slice_find(rest, '`');
        return n < rest.n ? n + 2 : 0;
    }
    if (s.n < 2 || s.p[0] != '$' || s.p[1] != '(')
        return 0;
    for (size_t i = 1; i < s.n; i++) {
        depth += (s.p[i] == '(') - (s.p[i] == ')');
        if (depth == 0)
            return i + 1;
    }
    return 0;
}

static void take_plain(struct splitter *s)
{
    const char *stops = s->shell ? " \t\r\n\"'\\;&|()`" : " \t\r\n\"'\\";
    size_t n = 1;
    while (n < s->rest.n && !strchr(stops, s->rest.p[n]) &&
           !substitution(dx_slice_of(s->rest.p + n, s->rest.n - n)))
        n++;
    add(s, dx_slice_of(s->rest.p, n), true);
    skip(s, n);
}

static void step(struct splitter *s)
{
    char c = s->rest.p[0];
    size_t n = s->shell ? substitution(s->rest) : 0;
    bool next_is_end = s->rest.n > 1 && s->rest.p[1] == '\n';
    if (c == '\\' && (next_is_end || s->rest.n == 1)) {
        s->at.line += next_is_end;
        skip(s, next_is_end ? 2 : 1);
    } else if (n) {
        add(s, dx_slice_of(s->rest.p, n), false);
        skip(s, n);
    } else if (c == '\\') {
        add(s, dx_slice_of(s->rest.p + 1, 1), false);
        skip(s, 2);
    } else if (c == '"' || c == '\'') {
        take_quoted(s, c);
    } else if (c == '#' && !s->any && s->shell) {
        skip(s, dx_slice_find(s->rest, '\n'));
    } else if (s->shell && strchr("\n;&|()", c)) {
        take_operator(s);
    } else if (strchr(" \t\r\n", c)) {
        end_word(s);
        skip(s, 1);
    } else {
        take_plain(s);
    }
}

void init_split(struct init *in, struct dx_slice text, struct place at, bool shell,
                const struct variable *all, struct words *to)
{
    struct splitter s = {.in = in, .rest = text, .at = at, .shell = shell, .all = all, .to = to};
    dx_text_init(&s.word);
    while (s.rest.n)
        step(&s);
    end_word(&s);
    in->no_memory |= s.word.failed;
    dx_text_fini(&s.word);
}
