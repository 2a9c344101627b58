/* SPDX-License-Identifier: MIT */
/* Markdown to man(7), line by line: cli/roff.h says which Markdown. */
#include "cli/roff.h"

#define COLUMNS_MAX 8

enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_ITEM, BLOCK_FENCE, BLOCK_TABLE };

struct roff {
    struct dx_text *out;
    enum block block;
    bool fresh; /* right after a heading, where a paragraph needs no mark */
    struct dx_slice header[COLUMNS_MAX];
};

/* ---- within a line ---- */

static void add_char(struct dx_text *out, char c, bool literal)
{
    static const struct {
        char c;
        const char *roff;
    } names[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"},
                 {'^', "\\(ha"}, {'~', "\\(ti"}, {'`', "\\(ga"}};
    for (size_t i = 0; i < (literal ? DX_COUNT(names) : 1u); i++) {
        if (names[i].c == c) {
            dx_text_adds(out, names[i].roff);
            return;
        }
    }
    dx_text_add(out, dx_slice_of(&c, 1));
}

/* The text of [text](where), or an empty slice when there is none here. */
static struct dx_slice link_text(struct dx_slice s, size_t *taken)
{
    size_t close = dx_slice_find(s, ']');
    struct dx_slice rest = dx_slice_of(s.p + close, s.n - close);
    size_t end = dx_slice_find(rest, ')');
    if (s.p[0] != '[' || !dx_slice_starts(rest, DX_SLICE("](")) || end == rest.n)
        return dx_slice_of(s.p, 0);
    *taken = close + end + 1;
    return dx_slice_of(s.p + 1, close - 1);
}

static void add_inline(struct dx_text *out, struct dx_slice s);

static size_t add_piece(struct dx_text *out, struct dx_slice s, bool *literal, bool *strong)
{
    size_t taken = 1;
    if (s.p[0] == '`') {
        *literal = !*literal;
        dx_text_adds(out, *literal ? "\\fB" : "\\fR");
        return 1;
    }
    if (!*literal && dx_slice_starts(s, DX_SLICE("**"))) {
        *strong = !*strong;
        dx_text_adds(out, *strong ? "\\fB" : "\\fR");
        return 2;
    }
    struct dx_slice link = *literal ? dx_slice_of(s.p, 0) : link_text(s, &taken);
    if (link.n)
        add_inline(out, link);
    else
        add_char(out, s.p[0], *literal);
    return taken;
}

static void add_inline(struct dx_text *out, struct dx_slice s)
{
    bool literal = false, strong = false;
    while (s.n) {
        size_t taken = add_piece(out, s, &literal, &strong);
        s = dx_slice_of(s.p + taken, s.n - taken);
    }
}

/* A line that begins with one of the two would be a request to roff. */
static void add_line(struct dx_text *out, struct dx_slice s)
{
    if (s.n && (s.p[0] == '.' || s.p[0] == '\''))
        dx_text_adds(out, "\\&");
    add_inline(out, s);
    dx_text_adds(out, "\n");
}

/* ---- tables ---- */

static unsigned split(struct dx_slice row, struct dx_slice cells[COLUMNS_MAX])
{
    unsigned n = 0;
    row = dx_slice_of(row.p + 1, row.n - 1);
    while (row.n && n < COLUMNS_MAX) {
        size_t end = dx_slice_find(row, '|');
        cells[n++] = dx_slice_trim(dx_slice_of(row.p, end));
        size_t taken = end < row.n ? end + 1 : end;
        row = dx_slice_of(row.p + taken, row.n - taken);
    }
    return n;
}

static void add_row(struct roff *r, struct dx_slice line)
{
    struct dx_slice cells[COLUMNS_MAX] = {{NULL, 0}};
    unsigned n = split(line, cells);
    bool any = false;
    if (dx_slice_starts(line, DX_SLICE("|---")))
        return;
    if (r->block != BLOCK_TABLE) {
        memcpy(r->header, cells, sizeof cells);
        r->block = BLOCK_TABLE;
        return;
    }
    dx_text_adds(r->out, ".TP\n");
    add_inline(r->out, cells[0]);
    for (unsigned i = 1; i + 1 < n; i++) {
        if (cells[i].n == 0 || dx_slice_eq(cells[i], DX_SLICE("-")))
            continue;
        dx_text_adds(r->out, any ? "; " : " (");
        if (dx_slice_eq(r->header[i], DX_SLICE("default")))
            dx_text_adds(r->out, "default: ");
        add_inline(r->out, cells[i]);
        any = true;
    }
    dx_text_adds(r->out, any ? ")\n" : "\n");
    add_line(r->out, n > 1 ? cells[n - 1] : DX_SLICE(""));
}

/* ---- lines ---- */

static void begin_paragraph(struct roff *r)
{
    if (!r->fresh)
        dx_text_adds(r->out, ".PP\n");
    r->fresh = false;
}

static void add_heading(struct roff *r, struct dx_slice line)
{
    size_t level = 0;
    while (level < line.n && line.p[level] == '#')
        level++;
    struct dx_slice title = dx_slice_trim(dx_slice_of(line.p + level, line.n - level));
    if (level < 2)
        return;
    dx_text_adds(r->out, level == 2 ? ".SH " : ".SS ");
    for (size_t i = 0; i < title.n; i++) {
        char c = title.p[i];
        if (c != '`')
            add_char(r->out, level == 2 && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c, c != '\'');
    }
    dx_text_adds(r->out, "\n");
    r->fresh = true;
}

static void toggle_fence(struct roff *r)
{
    if (r->block == BLOCK_FENCE) {
        dx_text_adds(r->out, ".fi\n.in\n");
        r->block = BLOCK_NONE;
        return;
    }
    begin_paragraph(r);
    dx_text_adds(r->out, ".in +4n\n.nf\n");
    r->block = BLOCK_FENCE;
}

static void add_fenced(struct roff *r, struct dx_slice line)
{
    if (line.n && (line.p[0] == '.' || line.p[0] == '\''))
        dx_text_adds(r->out, "\\&");
    for (size_t i = 0; i < line.n; i++)
        add_char(r->out, line.p[i], true);
    dx_text_adds(r->out, "\n");
}

static void add_prose(struct roff *r, struct dx_slice line)
{
    struct dx_slice text = dx_slice_trim(line);
    bool item = dx_slice_starts(line, DX_SLICE("- "));
    if (item) {
        dx_text_adds(r->out, ".IP \\(bu 2\n");
        text = dx_slice_of(text.p + 2, text.n - 2);
        r->fresh = false;
    } else if (r->block != BLOCK_TEXT && r->block != BLOCK_ITEM) {
        begin_paragraph(r);
    }
    r->block = item || r->block == BLOCK_ITEM ? BLOCK_ITEM : BLOCK_TEXT;
    add_line(r->out, text);
}

static void take_line(struct roff *r, struct dx_slice line)
{
    if (dx_slice_starts(line, DX_SLICE("```"))) {
        toggle_fence(r);
        return;
    }
    if (r->block == BLOCK_FENCE) {
        add_fenced(r, line);
        return;
    }
    if (line.n == 0 || dx_slice_starts(line, DX_SLICE("<!--"))) {
        r->block = BLOCK_NONE;
        return;
    }
    if (line.p[0] == '#') {
        r->block = BLOCK_NONE;
        add_heading(r, line);
    } else if (line.p[0] == '|') {
        add_row(r, line);
    } else {
        add_prose(r, line);
    }
}

void cli_roff_add(struct dx_text *out, struct dx_slice markdown)
{
    struct roff r = {.out = out, .fresh = true};
    while (markdown.n) {
        size_t n = dx_slice_find(markdown, '\n');
        take_line(&r, dx_slice_of(markdown.p, n));
        size_t taken = n < markdown.n ? n + 1 : n;
        markdown = dx_slice_of(markdown.p + taken, markdown.n - taken);
    }
}
