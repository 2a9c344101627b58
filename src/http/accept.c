/* SPDX-License-Identifier: MIT */
/*
 * What a client wants to read (RFC 9110 12.5.1). A range that breaks the grammar, or whose weight does, says
 * nothing; the others count. Parameters of a range other than its weight are read and not compared, because
 * what is offered has none: such a range is taken for a little less than the bare type.
 */
#include "diplex/http.h"
#include "diplex/http/chars.h"

#define MOST 1000 /* a weight of 1 */

enum { ANY = 1, ANY_OF_TYPE, WITH_PARAMETERS, EXACT };

struct range {
    struct dx_slice type, subtype;
    bool parameters;
    unsigned q;
};

static struct dx_slice token(struct dx_slice *s)
{
    size_t n = 0;
    while (n < s->n && dx_http_char(s->p[n]) & DX_CHAR_TOKEN)
        n++;
    struct dx_slice got = dx_slice_of(s->p, n);
    *s = dx_slice_of(s->p + n, s->n - n);
    return got;
}

static bool take(struct dx_slice *s, char c)
{
    if (s->n == 0 || *s->p != c)
        return false;
    *s = dx_slice_of(s->p + 1, s->n - 1);
    return true;
}

static void blanks(struct dx_slice *s)
{
    while (take(s, ' ') || take(s, '\t'))
        continue;
}

/* The bytes up to the closing quote, which is taken too. False: there is none. */
static bool quoted(struct dx_slice *s)
{
    if (!take(s, '"'))
        return false;
    while (s->n > 0) {
        if (take(s, '"'))
            return true;
        if (take(s, '\\') && s->n == 0)
            return false;
        *s = dx_slice_of(s->p + 1, s->n - 1);
    }
    return false;
}

/* "0", "0.5", "1.000": up to three digits behind the point, and nothing above one. */
static bool weight(struct dx_slice s, unsigned *q)
{
    unsigned value, place = MOST / 10;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return false;
    value = s.p[0] == '1' ? MOST : 0;
    for (size_t i = 2; i < s.n; i++, place /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        value += (unsigned)(s.p[i] - '0') * place;
    }
    if (value > MOST)
        return false;
    *q = value;
    return true;
}

/* What follows a ';': nothing, or a name and its value. */
static bool parameter(struct dx_slice *s, struct range *r)
{
    blanks(s);
    struct dx_slice name = token(s);
    if (name.n == 0)
        return true;
    if (!take(s, '='))
        return false;
    if (dx_slice_eq_nocase(name, DX_SLICE("q"))) {
        struct dx_slice value = token(s);
        return weight(value, &r->q);
    }
    r->parameters = true;
    return token(s).n > 0 || quoted(s);
}

static bool read_range(struct dx_slice s, struct range *r)
{
    *r = (struct range){.q = MOST};
    r->type = token(&s);
    if (r->type.n == 0 || !take(&s, '/'))
        return false;
    r->subtype = token(&s);
    if (r->subtype.n == 0)
        return false;
    for (;;) {
        blanks(&s);
        if (s.n == 0)
            break;
        if (!take(&s, ';') || !parameter(&s, r))
            return false;
    }
    return !dx_slice_eq(r->type, DX_SLICE("*")) || dx_slice_eq(r->subtype, DX_SLICE("*"));
}

/* The next element of the list: a comma inside quotes ends none. */
static bool next(struct dx_slice *rest, struct dx_slice *element)
{
    bool inside = false;
    size_t n = 0;

    if (rest->n == 0)
        return false;
    for (; n < rest->n && (inside || rest->p[n] != ','); n++) {
        if (rest->p[n] == '"')
            inside = !inside;
        else if (inside && rest->p[n] == '\\' && n + 1 < rest->n)
            n++;
    }
    *element = dx_slice_trim(dx_slice_of(rest->p, n));
    size_t used = n < rest->n ? n + 1 : n;
    *rest = dx_slice_of(rest->p + used, rest->n - used);
    return true;
}

/* How closely the range names the type; 0: not at all. */
static unsigned match(const struct range *r, struct dx_slice offered)
{
    size_t slash = dx_slice_find(offered, '/');
    struct dx_slice type = dx_slice_of(offered.p, slash);
    struct dx_slice subtype = dx_slice_of(offered.p + slash + 1, offered.n - slash - 1);

    if (dx_slice_eq(r->type, DX_SLICE("*")))
        return ANY;
    if (!dx_slice_eq_nocase(r->type, type))
        return 0;
    if (dx_slice_eq(r->subtype, DX_SLICE("*")))
        return ANY_OF_TYPE;
    if (!dx_slice_eq_nocase(r->subtype, subtype))
        return 0;
    return r->parameters ? WITH_PARAMETERS : EXACT;
}

void dx_http_accept(struct dx_slice value, struct dx_http_offer *offers, unsigned n, unsigned *ranges)
{
    struct dx_slice element;
    struct range r;

    while (next(&value, &element)) {
        if (!read_range(element, &r))
            continue;
        ++*ranges;
        for (unsigned i = 0; i < n; i++) {
            struct dx_http_offer *o = &offers[i];
            unsigned close = match(&r, o->type);
            if (close == 0 || close < o->close || (close == o->close && r.q <= o->q))
                continue;
            *o = (struct dx_http_offer){.type = o->type, .q = r.q, .close = close, .at = *ranges};
        }
    }
}
