/* SPDX-License-Identifier: MIT */
/*
 * A page is a template, a text in which names in braces stand for what is known of the answer; what else
 * stands in braces, as in style sheets, is text. A small page is put together, so that it goes out with its
 * head. Of a large one the pieces, of the template and of the values in turn, go to the client as they are.
 */
#include "proxy/page.h"

#include "proxy/steps.h"

#define VALUES_BYTES 4096 /* an id of 128 bytes and a few sentences, each byte escaped */
#define DETAIL_BYTES 640
#define SMALL_BYTES  4096

/* The style sheet's hash is in the policy: nothing else of the page is allowed to do anything. */
#define STYLE                                                                                              \
    ":root{color-scheme:light dark}"                                                                       \
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:1.1rem/1.5 system-ui,sans-serif}" \
    "main{max-width:34rem;padding:2rem 1.5rem}"                                                            \
    "h1{font-size:1.7rem;line-height:1.2;margin:.2em 0 .6em}"                                              \
    "p{margin:0 0 1em}"                                                                                    \
    ".s,.i{opacity:.75;font-size:.9rem}"                                                                   \
    ".i{overflow-wrap:anywhere}"
#define POLICY                                                                                               \
    "default-src 'none'; style-src 'sha256-krWWlHWyRWWxFiXgJ9viqIoICeyQT0Hg2lWTm3RqSsg='; base-uri 'none'; " \
    "form-action 'none'"

static const struct form_row {
    const char *type, *policy, *own_type;
    const char *text;
} forms[] = {
    [FORM_TEXT] = {"text/plain; charset=utf-8", NULL, "text/plain; charset=utf-8",
                   "{status} {reason}\n{detail}\nrequest id: {request_id}\n"},
    [FORM_JSON] =
        {"application/problem+json", NULL, "application/json",
         "{\"type\":\"about:blank\",\"title\":\"{reason}\",\"status\":{status},\"detail\":\"{detail}\","
         "\"request_id\":\"{request_id}\",\"retry_after\":{retry_after}}\n"},
    [FORM_HTML] = {"text/html; charset=utf-8", POLICY, "text/html; charset=utf-8",
                   "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta name=\"robots\" content=\"noindex\">\n<title>{heading}</title>\n"
                   "<style>" STYLE "</style>\n</head>\n<body>\n<main>\n<p class=\"s\">{status} {reason}</p>\n"
                   "<h1>{heading}</h1>\n<p>{detail}</p>\n"
                   "<p class=\"i\">Request id: <code>{request_id}</code></p>\n</main>\n</body>\n</html>\n"},
};

static const struct page_row {
    unsigned status;
    const char *heading, *happened, *advice, *look;
} rows[] = {
#define PAGE(status, heading, happened, advice, look) {status, heading, happened, advice, look},
#define PLACEHOLDER(...)
#include "proxy/pages.def"
};

static const struct placeholder_row {
    struct dx_slice name;
    const char *sentence;
} placeholders[PLACEHOLDER_COUNT] = {
#define PAGE(...)
#define PLACEHOLDER(id, name, sentence) {{name, sizeof(name) - 1}, sentence},
#include "proxy/pages.def"
};

static const struct page_row *row_of(unsigned status)
{
    const struct page_row *of_class = NULL;

    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        if (rows[i].status == status)
            return &rows[i];
        if (rows[i].status == (status < 500 ? 400u : 500u))
            of_class = &rows[i];
    }
    DX_ASSERT(of_class != NULL);
    return of_class;
}

/* --- which form --- */

static struct dx_http_offer better(struct dx_http_offer a, struct dx_http_offer b)
{
    return b.q > a.q || (b.q == a.q && b.close > a.close) ? b : a;
}

/* What the client weighs most; of two the one that it names, and of those the one that it names first. Who
 * says nothing, or that everything is welcome, gets plain text: that is a person with a command line, or a
 * program that does not look. So does who wants something else altogether (RFC 9110 12.5.1 leaves it to us).
 * But a page of the site's own is preferred there to words of ours. */
static enum form form_for(const struct exchange *x, struct dx_slice own[FORM_COUNT])
{
    struct dx_http_offer at[] = {{.type = DX_SLICE("text/plain")},
                                 {.type = DX_SLICE("application/json")},
                                 {.type = DX_SLICE("text/html")},
                                 {.type = DX_SLICE("application/problem+json")}};
    unsigned ranges = 0;
    enum form best = FORM_TEXT;

    for (unsigned i = 0; i < x->request.fields.n; i++)
        if (x->request.fields.at[i].id == DX_FIELD_ACCEPT)
            dx_http_accept(x->request.fields.at[i].value, at, DX_COUNT(at), &ranges);
    at[FORM_JSON] = better(at[FORM_JSON], at[FORM_COUNT]);
    for (unsigned f = FORM_TEXT + 1; f < FORM_COUNT; f++) {
        const struct dx_http_offer *a = &at[best], *b = &at[f];
        bool alike = b->close == a->close && b->at == a->at;
        bool named = b->q > 0 && (b->close > a->close || (b->close == a->close && b->at < a->at));
        if (b->q > a->q || (b->q == a->q && (named || (alike && own[best].n == 0 && own[f].n > 0))))
            best = (enum form)f;
    }
    return best;
}

/* --- pages of one's own --- */

/* In each form the one that is most exactly for it, which is the first of a single status, else of the class.
 */
static void look_in(const struct dx_config *c, const struct dx_page_uses *uses, unsigned status,
                    struct dx_slice own[FORM_COUNT])
{
    unsigned spans[FORM_COUNT] = {0};

    for (unsigned i = 0; i < uses->n; i++) {
        const struct dx_page_use *u = &uses->at[i];
        const struct dx_page_file *f = &c->page_files[u->file];
        unsigned span = 1 + u->to - u->from;
        bool first = own[f->form].n == 0 || (spans[f->form] > 0 && span < spans[f->form]);
        if (status < u->from || status > u->to || !first)
            continue;
        own[f->form] = f->text;
        spans[f->form] = span;
    }
}

static void own_pages(const struct exchange *x, struct dx_slice own[FORM_COUNT])
{
    const struct dx_config *c = view_config(x->view);

    if (x->outcome == OUTCOME_ANSWERED)
        return;
    if (x->outcome == OUTCOME_MAINTENANCE)
        look_in(c, &x->route->maintenance.pages, 0, own);
    if (x->route != NULL)
        look_in(c, &x->route->error_pages, x->status, own);
    look_in(c, &c->error_pages, x->status, own);
}

/* --- values --- */

static void add_html(struct dx_out *o, struct dx_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            DX_OUT_LIT(o, "&amp;");
            break;
        case '<':
            DX_OUT_LIT(o, "&lt;");
            break;
        case '>':
            DX_OUT_LIT(o, "&gt;");
            break;
        case '"':
            DX_OUT_LIT(o, "&quot;");
            break;
        case '\'':
            DX_OUT_LIT(o, "&#39;");
            break;
        default:
            dx_out_byte(o, s.p[i]);
        }
    }
}

/* As it has to stand in a page of this form. */
static struct dx_slice escaped(struct dx_out *o, enum form form, struct dx_slice s)
{
    const char *from = o->p;
    size_t cut = form == FORM_JSON; /* the quotes are the template's */

    if (form == FORM_HTML)
        add_html(o, s);
    else if (form == FORM_JSON)
        dx_out_json(o, s);
    else
        dx_out_add(o, s);
    return o->overflow ? dx_slice_of(NULL, 0) : dx_slice_of(from + cut, (size_t)(o->p - from) - 2 * cut);
}

static struct dx_slice number(struct dx_out *o, uint64_t v)
{
    const char *from = o->p;
    dx_out_u64(o, v);
    return dx_slice_of(from, (size_t)(o->p - from));
}

/* "in 5 seconds", "in 2 minutes": what is longer than two of a unit is said in the next one, rounded up. */
static void add_delay(struct dx_out *o, uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        const char *one, *more;
    } units[] = {{3600, "hour", "hours"}, {60, "minute", "minutes"}, {1, "second", "seconds"}};
    size_t i = 0;

    while (seconds < 2 * units[i].seconds && units[i].seconds > 1)
        i++;
    uint64_t n = (seconds + units[i].seconds - 1) / units[i].seconds;
    DX_OUT_LIT(o, "Please try again in ");
    dx_out_u64(o, n);
    dx_out_byte(o, ' ');
    dx_out_add(o, dx_slice_str(n == 1 ? units[i].one : units[i].more));
    dx_out_byte(o, '.');
}

/* What a client did wrong is said to it; what is wrong inside is for the log. */
static const char *cause_of(const struct exchange *x)
{
    bool of_client = x->outcome == OUTCOME_BAD_REQUEST || x->outcome == OUTCOME_UPGRADE_REFUSED;
    return x->status < 500 || of_client ? x->reason : NULL;
}

static void add_detail(struct dx_out *o, const struct exchange *x, const struct page_row *row,
                       uint64_t retry_after)
{
    const char *cause = cause_of(x);

    dx_out_add(o, dx_slice_str(row->happened));
    if (cause != NULL) {
        DX_OUT_LIT(o, " (Exactly: ");
        dx_out_add(o, dx_slice_str(cause));
        DX_OUT_LIT(o, ".)");
    }
    if (row->advice[0] == '\0' && retry_after == 0)
        return;
    dx_out_byte(o, ' ');
    if (retry_after > 0)
        add_delay(o, retry_after);
    else
        dx_out_add(o, dx_slice_str(row->advice));
}

static bool fill(struct page *p, const struct exchange *x, enum form form, uint64_t retry_after,
                 struct dx_out *o)
{
    const struct page_row *row = row_of(x->outcome == OUTCOME_MAINTENANCE ? 0 : x->status);
    char said[DETAIL_BYTES];
    struct dx_out detail = dx_out_of(said, sizeof(said));

    add_detail(&detail, x, row, retry_after);
    p->value[PLACEHOLDER_STATUS] = number(o, x->status);
    p->value[PLACEHOLDER_REASON] = escaped(o, form, dx_slice_str(dx_http_reason(x->status)));
    p->value[PLACEHOLDER_HEADING] = escaped(o, form, dx_slice_str(row->heading));
    p->value[PLACEHOLDER_DETAIL] = escaped(o, form, dx_out_slice(&detail));
    p->value[PLACEHOLDER_REQUEST_ID] = escaped(o, form, x->request_id);
    if (retry_after > 0)
        p->value[PLACEHOLDER_RETRY_AFTER] = number(o, retry_after);
    else
        p->value[PLACEHOLDER_RETRY_AFTER] = form == FORM_JSON ? DX_SLICE("null") : DX_SLICE("");
    return !o->overflow && !detail.overflow;
}

/* --- pieces --- */

/* The placeholder that `s`, which begins with a brace, begins with; PLACEHOLDER_COUNT: it is only a brace. */
static enum placeholder placeholder_at(struct dx_slice s, size_t *bytes)
{
    for (unsigned i = 0; i < PLACEHOLDER_COUNT; i++) {
        struct dx_slice name = placeholders[i].name;
        if (s.n < name.n + 2 || s.p[name.n + 1] != '}' || memcmp(s.p + 1, name.p, name.n) != 0)
            continue;
        *bytes = name.n + 2;
        return (enum placeholder)i;
    }
    return PLACEHOLDER_COUNT;
}

static struct dx_slice first_piece(struct dx_slice *rest, const struct dx_slice value[PLACEHOLDER_COUNT])
{
    size_t n = 0, bytes = 0;

    while (n < rest->n) {
        n += dx_slice_find(dx_slice_of(rest->p + n, rest->n - n), '{');
        if (n == rest->n)
            break;
        enum placeholder at = placeholder_at(dx_slice_of(rest->p + n, rest->n - n), &bytes);
        if (at != PLACEHOLDER_COUNT && n == 0) {
            *rest = dx_slice_of(rest->p + bytes, rest->n - bytes);
            return value[at];
        }
        if (at != PLACEHOLDER_COUNT)
            break;
        n++;
    }
    struct dx_slice text = dx_slice_of(rest->p, n);
    *rest = dx_slice_of(rest->p + n, rest->n - n);
    return text;
}

uint64_t page_bytes(const struct page *p)
{
    struct dx_slice rest = p->rest;
    uint64_t bytes = p->whole.n;

    while (rest.n > 0)
        bytes += first_piece(&rest, p->value).n;
    return bytes;
}

bool page_next(struct page *p, struct dx_slice *piece)
{
    *piece = p->whole;
    p->whole.n = 0;
    if (piece->n == 0 && p->rest.n > 0)
        *piece = first_piece(&p->rest, p->value);
    return piece->n > 0 || p->rest.n > 0;
}

static bool put_together(struct page *p, struct dx_arena *arena)
{
    uint64_t bytes = page_bytes(p);

    if (bytes > SMALL_BYTES)
        return true;
    char *room = dx_arena_alloc(arena, (size_t)bytes);
    if (room == NULL)
        return false;
    struct dx_out o = dx_out_of(room, (size_t)bytes);
    while (p->rest.n > 0)
        dx_out_add(&o, first_piece(&p->rest, p->value));
    p->whole = dx_out_slice(&o);
    return true;
}

void page_drop(struct page *p) { p->whole.n = p->rest.n = 0; }

struct page *page_make(struct exchange *x, uint64_t retry_after)
{
    struct page *p = dx_arena_alloc(&x->arena, sizeof(*p));
    char *room = dx_arena_alloc(&x->arena, VALUES_BYTES);

    if (p == NULL || room == NULL)
        return NULL;
    struct dx_slice own[FORM_COUNT] = {{NULL, 0}};
    own_pages(x, own);
    enum form form = form_for(x, own);
    struct dx_out o = dx_out_of(room, VALUES_BYTES);
    *p = (struct page){.type = forms[form].type, .policy = forms[form].policy};
    p->rest = dx_slice_str(forms[form].text);
    if (own[form].n > 0)
        *p = (struct page){.type = forms[form].own_type, .rest = own[form]};
    return fill(p, x, form, retry_after, &o) && put_together(p, &x->arena) ? p : NULL;
}

/* --- the tables as text --- */

void dx_proxy_print_pages(struct dx_text *out)
{
    dx_text_adds(out, "| status | heading | words | where an operator looks |\n|---|---|---|---|\n");
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        if (rows[i].status == 0)
            dx_text_adds(out, "| maintenance");
        else
            dx_text_addf(out, "| %u %s", rows[i].status, dx_http_reason(rows[i].status));
        dx_text_addf(out, " | %s | %s%s%s | %s |\n", rows[i].heading, rows[i].happened,
                     rows[i].advice[0] ? " " : "", rows[i].advice, rows[i].look);
    }
}

void dx_proxy_print_placeholders(struct dx_text *out)
{
    dx_text_adds(out, "| placeholder | stands for |\n|---|---|\n");
    for (size_t i = 0; i < PLACEHOLDER_COUNT; i++)
        dx_text_addf(out, "| `{%.*s}` | %s |\n", DX_SLICE_ARGS(placeholders[i].name),
                     placeholders[i].sentence);
}
