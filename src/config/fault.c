/* SPDX-License-Identifier: MIT */
/*
 * Faults: collected wherever they are found, sorted into the order of the file, and printed with the line and
 * a caret. Nothing that a file or the environment holds reaches a terminal with its control characters.
 */
#include "config/reader.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "diplex/base/hide.h"

#define FAULTS_MAX 200u /* more help nobody, and each costs a search for the nearest word */

bool dx_config_faults_full(const struct dx_config_faults *f) { return f->n >= FAULTS_MAX; }

static bool is_control(const unsigned char *p)
{
    return *p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
}

/* Cuts a character that was cut in half, and takes the control characters out. */
static void clean(char *text, bool was_cut)
{
    size_t n = strlen(text);
    while (was_cut && n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
        text[--n] = '\0';
    if (was_cut && n > 0 && ((unsigned char)text[n - 1] & 0x80))
        text[n - 1] = '\0';
    for (char *p = text; *p; p++) {
        if (is_control((const unsigned char *)p))
            *p = '?';
    }
}

DX_PRINTF(4, 0)
static void add(struct dx_config_reader *r, unsigned line, unsigned column, const char *fmt, va_list args)
{
    struct dx_config_faults *f = r->faults;
    if (dx_config_faults_full(f))
        return;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 8;
        struct dx_config_fault *wider = realloc(f->at, cap * sizeof *wider);
        if (!wider) {
            r->no_memory = true;
            return;
        }
        f->at = wider;
        f->cap = cap;
    }
    struct dx_config_fault *fault = &f->at[f->n++];
    *fault = (struct dx_config_fault){.line = line, .column = column};
    char text[sizeof fault->text];
    int n = vsnprintf(text, sizeof text, fmt, args);
    struct dx_out out = dx_out_of(fault->text, sizeof fault->text - 1);
    dx_hide_line(&out, dx_slice_str(text));
    *out.p = '\0';
    clean(fault->text, n >= (int)sizeof text || out.overflow);
}

void dx_config_fault_at(struct dx_config_reader *r, unsigned line, unsigned column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(r, line, column, fmt, args);
    va_end(args);
}

void dx_config_fault(struct dx_config_reader *r, const struct dx_node *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(r, at ? at->line : 0, at ? at->column : 0, fmt, args);
    va_end(args);
}

static int compare(const void *a, const void *b)
{
    const struct dx_config_fault *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* What is read twice, through an alias, is faulty once. */
void dx_config_faults_sort(struct dx_config_faults *f)
{
    if (f->n < 2)
        return;
    qsort(f->at, f->n, sizeof *f->at, compare);
    size_t kept = 1;
    for (size_t i = 1; i < f->n; i++) {
        if (compare(&f->at[kept - 1], &f->at[i]) != 0)
            f->at[kept++] = f->at[i];
    }
    f->n = kept;
}

static struct dx_slice line_of(struct dx_slice text, unsigned line)
{
    for (; line > 1; line--) {
        size_t n = dx_slice_find(text, '\n');
        if (n == text.n)
            return dx_slice_of(NULL, 0);
        text = dx_slice_of(text.p + n + 1, text.n - n - 1);
    }
    struct dx_slice found = dx_slice_of(text.p, dx_slice_find(text, '\n'));
    if (found.n && found.p[found.n - 1] == '\r')
        found.n--;
    return found;
}

/* ---- secrets: a line is shown to whoever reads the log, so what it says of one is left out ---- */

#define NOT_SHOWN "(not shown)"

static size_t indent_of(struct dx_slice line)
{
    size_t n = 0;
    while (n < line.n && (line.p[n] == ' ' || line.p[n] == '\t' || line.p[n] == '-'))
        n++;
    return n;
}

static size_t secret_word(struct dx_slice s)
{
    static const struct dx_slice words[] = {{"secret", 6}, {"token", 5}};
    for (size_t i = 0; i < DX_COUNT(words); i++)
        if (s.n > words[i].n && dx_slice_eq_nocase(dx_slice_of(s.p, words[i].n), words[i]))
            return words[i].n;
    return 0;
}

/* Whether a line has a key with such a word in its name; what stands before its value may be shown. */
static bool names_a_secret(struct dx_slice line, size_t *before)
{
    for (size_t i = 0; i < line.n; i++) {
        size_t word = secret_word(dx_slice_of(line.p + i, line.n - i)), n = i + word;
        if (word == 0)
            continue;
        while (n < line.n && (isalnum((unsigned char)line.p[n]) || strchr("_-\"' \t", line.p[n]) != NULL))
            n++;
        if (n < line.n && line.p[n] == ':') {
            *before = n + 1;
            return true;
        }
    }
    return false;
}

/* A text may go on below its key: then the nearest line before it that is indented less is that key's. */
static bool goes_on_with_a_secret(struct dx_slice text, struct dx_slice line)
{
    size_t indent = indent_of(line), before;
    for (size_t end = (size_t)(line.p - text.p); end > 0 && indent > 0;) {
        size_t start = end - 1; /* the end of that line */
        while (start > 0 && text.p[start - 1] != '\n')
            start--;
        struct dx_slice above = dx_slice_of(text.p + start, end - 1 - start);
        size_t its = indent_of(above);
        if (its < indent && its < above.n && above.p[its] != '\r' && above.p[its] != '#')
            return names_a_secret(above, &before);
        end = start;
    }
    return false;
}

static void print_line(struct dx_slice line, const char *more, struct dx_text *out)
{
    size_t good = dx_config_utf8_check(line);
    dx_text_adds(out, "    ");
    for (size_t i = 0; i < line.n; i++) {
        unsigned char two[2] = {(unsigned char)line.p[i], i + 1 < line.n ? (unsigned char)line.p[i + 1] : 0};
        bool hidden = i >= good ? two[0] >= 0x80 || is_control(two) : is_control(two);
        dx_text_add(out, hidden && two[0] != '\t' ? DX_SLICE("?") : dx_slice_of(line.p + i, 1));
    }
    dx_text_addf(out, "%s%s\n", *more ? " " : "", more);
}

/* Tabs stay tabs, so that the caret stands below its place however wide they are. */
static void print_caret(struct dx_slice line, unsigned column, struct dx_text *out)
{
    dx_text_adds(out, "    ");
    size_t at = 0;
    for (unsigned c = 1; c < column; c++) {
        dx_text_adds(out, at < line.n && line.p[at] == '\t' ? "\t" : " ");
        for (at += at < line.n; at < line.n && ((unsigned char)line.p[at] & 0xc0) == 0x80;)
            at++;
    }
    dx_text_adds(out, "^\n");
}

/* The caret only where the line is as it was. */
static void print_place(struct dx_slice text, struct dx_slice line, unsigned column, struct dx_text *out)
{
    size_t before = 0;
    if (goes_on_with_a_secret(text, line)) {
        dx_text_adds(out, "    " NOT_SHOWN "\n");
        return;
    }
    if (names_a_secret(line, &before)) {
        print_line(dx_slice_of(line.p, before), NOT_SHOWN, out);
        if (column <= before)
            print_caret(line, column, out);
        return;
    }
    size_t room = 2 * line.n + 8; /* the shortest secret, one byte after `pw=`, makes four bytes six */
    char *buf = malloc(room);
    if (buf == NULL)
        return;
    struct dx_out o = dx_out_of(buf, room);
    dx_hide_line(&o, line);
    DX_ASSERT(!o.overflow);
    print_line(dx_out_slice(&o), "", out);
    if (dx_slice_eq(dx_out_slice(&o), line))
        print_caret(line, column, out);
    free(buf);
}

void dx_config_faults_print(const struct dx_config_faults *faults, struct dx_slice text, const char *file,
                            struct dx_text *out)
{
    for (size_t i = 0; i < faults->n; i++) {
        const struct dx_config_fault *f = &faults->at[i];
        if (f->line == 0) {
            dx_text_addf(out, "%s: error: %s\n", file, f->text);
            continue;
        }
        dx_text_addf(out, "%s:%u:%u: error: %s\n", file, f->line, f->column, f->text);
        struct dx_slice line = line_of(text, f->line);
        if (line.n == 0)
            continue;
        print_place(text, line, f->column, out);
    }
    if (dx_config_faults_full(faults))
        dx_text_addf(out, "%s: error: only the first %u faults found are shown\n", file, FAULTS_MAX);
}

void dx_config_faults_fini(struct dx_config_faults *faults)
{
    free(faults->at);
    *faults = (struct dx_config_faults){0};
}
