/* SPDX-License-Identifier: MIT */
/*
 * Variables in texts, as compose files write them: ${NAME}, ${NAME:-default}, ${NAME-default},
 * ${NAME:?message},
 * ${NAME?message}, and $$ for a dollar sign. Done when a text is read and not before, so that places stay
 * right and what nobody reads is not asked for. What comes out is one text: a variable can never add a key.
 */
#include "config/reader.h"

#define TEXT_MAX  65536u
#define NAME_MAX_ 127u
#define DEPTH_MAX 8u

struct expansion {
    struct dx_config_reader *r;
    const struct dx_node *node;
    struct dx_text out;
};

/* Always false, so that `return fault(...)` reads well. */
static bool fault(const struct expansion *x, const char *at, const char *what, struct dx_slice name)
{
    unsigned line = x->node->line, column = x->node->column;
    bool inside = x->node->inset >= 0 && at >= x->node->text.p && at <= x->node->text.p + x->node->text.n;
    if (inside) {
        column += (unsigned)x->node->inset;
        for (const char *p = x->node->text.p; p < at; p++)
            column += ((unsigned char)*p & 0xc0) != 0x80;
    }
    dx_config_fault_at(x->r, line, column, "%.*s%s", DX_SLICE_ARGS(name), what);
    return false;
}

static bool is_name(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

/* The brace that closes what was opened before s; s.n when there is none. */
static size_t closing_brace(struct dx_slice s)
{
    unsigned open = 1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '$' && i + 1 < s.n && (s.p[i + 1] == '{' || s.p[i + 1] == '$'))
            open += s.p[++i] == '{';
        else if (s.p[i] == '}' && --open == 0)
            return i;
    }
    return s.n;
}

static bool expand(struct expansion *x, struct dx_slice s, unsigned depth);

static const char *look_up(const struct expansion *x, struct dx_slice name)
{
    char key[NAME_MAX_ + 1];
    DX_ASSERT(name.n <= NAME_MAX_);
    memcpy(key, name.p, name.n);
    key[name.n] = '\0';
    return x->r->env ? x->r->env(key, x->r->arg) : NULL;
}

static bool say_unset(const struct expansion *x, struct dx_slice name, struct dx_slice message)
{
    struct dx_text t;
    dx_text_init(&t);
    dx_text_add(&t, name);
    dx_text_adds(&t, " is not set: ");
    dx_text_add(&t, message);
    (void)fault(x, name.p - 2, "", dx_slice_of(t.p, t.n));
    dx_text_fini(&t);
    return false;
}

/* `body` is what stands between the braces. */
static bool expand_variable(struct expansion *x, struct dx_slice body, unsigned depth)
{
    size_t n = 0;
    while (n < body.n && n <= NAME_MAX_ && is_name(body.p[n], n == 0))
        n++;
    struct dx_slice name = dx_slice_of(body.p, n), rest = dx_slice_of(body.p + n, body.n - n);
    if (n == 0 || n > NAME_MAX_)
        return fault(x, body.p - 2, "${ } must begin with a variable's name", DX_SLICE(""));
    const char *value = look_up(x, name);
    size_t colon = rest.n && rest.p[0] == ':' ? 1 : 0;
    bool unset = !value || (colon && !*value);
    char op = rest.n > colon ? rest.p[colon] : '\0';
    struct dx_slice operand =
        rest.n > colon ? dx_slice_of(rest.p + colon + 1, rest.n - colon - 1) : dx_slice_of(rest.p, 0);
    if (rest.n && op != '-' && op != '?')
        return fault(x, body.p - 2, ": write ${NAME}, ${NAME:-default} or ${NAME:?message}", name);
    if (!unset) {
        dx_text_adds(&x->out, value);
        return true;
    }
    if (op == '-')
        return expand(x, operand, depth + 1);
    if (op == '?')
        return say_unset(x, name, operand.n ? operand : DX_SLICE("it must be"));
    return fault(x, body.p - 2, " is not set; ${NAME:-default} would give it a default", name);
}

static bool expand(struct expansion *x, struct dx_slice s, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return fault(x, s.p, "variables nested too deep", DX_SLICE(""));
    while (s.n && x->out.n <= TEXT_MAX) {
        size_t n = dx_slice_find(s, '$');
        dx_text_add(&x->out, dx_slice_of(s.p, n));
        s = dx_slice_of(s.p + n, s.n - n);
        if (s.n == 0)
            break;
        char mark = s.n > 1 ? s.p[1] : '\0';
        if (mark == '$') {
            dx_text_adds(&x->out, "$");
            s = dx_slice_of(s.p + 2, s.n - 2);
            continue;
        }
        if (mark != '{')
            return fault(x, s.p, "a lone '$': write $$ for a dollar sign, ${NAME} for a variable",
                         DX_SLICE(""));
        struct dx_slice body = dx_slice_of(s.p + 2, s.n - 2);
        size_t close = closing_brace(body);
        if (close == body.n)
            return fault(x, s.p, "'${' without its '}'", DX_SLICE(""));
        if (!expand_variable(x, dx_slice_of(body.p, close), depth))
            return false;
        s = dx_slice_of(body.p + close + 1, body.n - close - 1);
    }
    return x->out.n <= TEXT_MAX ||
           fault(x, s.p, "longer than 64KB once its variables are put in", DX_SLICE(""));
}

static bool expand_node(struct dx_config_reader *r, struct dx_node *n)
{
    struct expansion x = {.r = r, .node = n};
    struct dx_slice made = DX_SLICE("");
    dx_text_init(&x.out);
    bool ok = expand(&x, n->text, 0);
    if (ok && (x.out.failed || !dx_arena_copy(&r->scratch, dx_slice_of(x.out.p, x.out.n), &made)))
        ok = !(r->no_memory = true);
    dx_text_fini(&x.out);
    if (ok)
        n->text = made;
    return ok;
}

/* What is put in may not be what the file itself could not say. */
static bool is_clean(struct dx_config_reader *r, const struct dx_node *n, const char *what)
{
    if (dx_config_has_control(n->text))
        dx_config_fault(r, n, "'%s' holds a control character", what);
    else if (n->text.n == 0)
        dx_config_fault(r, n, "'%s' is empty; leave the key out for its default", what);
    else if (dx_config_utf8_check(n->text) != n->text.n)
        dx_config_fault(r, n, "'%s' is not UTF-8 once its variables are put in", what);
    else
        return true;
    return false;
}

bool dx_config_text(struct dx_config_reader *r, struct dx_node *n, const char *what, struct dx_slice *out)
{
    if (n->kind != DX_NODE_TEXT) {
        dx_config_fault(r, n, "'%s' must be a text, not a %s", what,
                        n->kind == DX_NODE_MAP ? "mapping" : "list");
        return false;
    }
    if (dx_config_is_null(n)) {
        dx_config_fault(r, n, "'%s' has no value; leave the key out for its default", what);
        return false;
    }
    if (n->state == DX_NODE_RAW) {
        bool plain = dx_slice_find(n->text, '$') == n->text.n;
        n->state = (plain || expand_node(r, n)) && is_clean(r, n, what) ? DX_NODE_READY : DX_NODE_BAD;
    }
    if (n->state == DX_NODE_BAD)
        return false;
    *out = n->text;
    return true;
}
