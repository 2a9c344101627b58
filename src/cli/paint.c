/* SPDX-License-Identifier: MIT */
/* Cells, colours and small numbers for people. */
#include "cli/paint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_LEAST  40u
#define ROWS_DEFAULT 24u

static const char *const codes[] = {
    [PAINT_PLAIN] = "",        [PAINT_STRONG] = "\033[1m", [PAINT_FAINT] = "\033[2m",
    [PAINT_GOOD] = "\033[32m", [PAINT_BAD] = "\033[31m",   [PAINT_WARN] = "\033[33m",
    [PAINT_TITLE] = "\033[7m",
};

static unsigned number_of(const char *variable)
{
    const char *s = getenv(variable);
    uint64_t v = 0;
    return s && dx_slice_to_u64(dx_slice_str(s), &v) && v < 10000 ? (unsigned)v : 0;
}

struct paint paint_for_stdout(struct dx_text *out)
{
    struct winsize size = {0};
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool is_terminal = isatty(STDOUT_FILENO);
    struct paint p = {.out = out, .line_end = "\n"};
    p.colour = is_terminal && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
    if (is_terminal)
        p.width =
            ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : number_of("COLUMNS");
    if (p.width && p.width < WIDTH_LEAST)
        p.width = WIDTH_LEAST;
    return p;
}

unsigned paint_rows(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row)
        return size.ws_row;
    unsigned rows = number_of("LINES");
    return rows ? rows : ROWS_DEFAULT;
}

/* ---- characters ---- */

/* The bytes of the character at p, and whether a terminal shows it and does nothing else. */
static size_t character(struct dx_slice s, size_t at, bool *good)
{
    const unsigned char *p = (const unsigned char *)s.p + at;
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    *good = n > 0 && n <= s.n - at;
    for (size_t i = 1; *good && i < n; i++)
        *good = (p[i] & 0xc0) == 0x80;
    if (!*good)
        return 1;
    unsigned v = n == 1   ? p[0]
                 : n == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
                 : n == 3 ? (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)
                          : 0x10000;
    bool steers = v < 0x20 || (v >= 0x7f && v < 0xa0);
    bool turns = v == 0x61c || (v >= 0x200b && v <= 0x200f) || (v >= 0x2028 && v <= 0x202e) ||
                 (v >= 0x2060 && v <= 0x206f) || v == 0xfeff;
    *good = !steers && !turns;
    return n;
}

size_t paint_length(struct dx_slice text)
{
    size_t n = 0;
    bool good;
    for (size_t at = 0; at < text.n; n++)
        at += character(text, at, &good);
    return n;
}

/* At most so many characters. */
static unsigned put(struct paint *p, enum paint_style style, struct dx_slice text, unsigned most)
{
    unsigned n = 0, room = p->width == 0 ? most : p->width > p->column ? p->width - p->column : 0;
    bool coloured = p->colour && style != PAINT_PLAIN && text.n > 0 && room > 0, good;
    if (coloured)
        dx_text_adds(p->out, codes[style]);
    for (size_t at = 0; at < text.n && n < most && n < room; n++) {
        size_t bytes = character(text, at, &good);
        dx_text_add(p->out, good ? dx_slice_of(text.p + at, bytes) : DX_SLICE("?"));
        at += bytes;
    }
    if (coloured)
        dx_text_adds(p->out, "\033[0m");
    p->column += n;
    return n;
}

static void blanks(struct paint *p, unsigned n)
{
    while (n-- > 0)
        put(p, PAINT_PLAIN, DX_SLICE(" "), 1);
}

/* ---- cells ---- */

void paint_text(struct paint *p, enum paint_style style, struct dx_slice text)
{
    put(p, style, text, UINT32_MAX);
}

void paint_str(struct paint *p, enum paint_style style, const char *text)
{
    paint_text(p, style, dx_slice_str(text));
}

void paint_f(struct paint *p, enum paint_style style, const char *fmt, ...)
{
    char buf[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(buf, sizeof buf, fmt, args);
    va_end(args);
    paint_str(p, style, buf);
}

void paint_cell(struct paint *p, enum paint_style style, unsigned width, struct dx_slice text)
{
    unsigned n = put(p, style, text, width);
    blanks(p, width - n + 1);
}

void paint_right(struct paint *p, enum paint_style style, unsigned width, struct dx_slice text)
{
    size_t n = paint_length(text);
    blanks(p, n < width ? width - (unsigned)n : 0);
    put(p, style, text, width);
    blanks(p, 1);
}

void paint_bar(struct paint *p, unsigned width, double busy, double all)
{
    char bar[128];
    unsigned cells = all < width ? (unsigned)all : width;
    cells = cells < sizeof bar ? cells : sizeof bar;
    unsigned full = all > 0 ? (unsigned)(busy / all * cells + (busy > 0 && busy < all ? 0.5 : 0)) : 0;
    full = full > cells ? cells : full;
    memset(bar, '#', full);
    memset(bar + full, '.', cells - full);
    paint_str(p, PAINT_FAINT, "[");
    paint_text(p,
               busy >= all           ? PAINT_BAD
               : busy * 4 >= all * 3 ? PAINT_WARN
                                     : PAINT_GOOD,
               dx_slice_of(bar, full));
    paint_text(p, PAINT_FAINT, dx_slice_of(bar + full, cells - full));
    paint_str(p, PAINT_FAINT, "]");
    blanks(p, width - cells + 1);
}

void paint_end(struct paint *p)
{
    while (p->out->n && p->out->p[p->out->n - 1] == ' ')
        p->out->p[--p->out->n] = '\0';
    dx_text_adds(p->out, p->line_end);
    p->column = 0;
}

/* ---- numbers ---- */

struct dx_slice paint_time(double ms, char buf[PAINT_SMALL])
{
    unsigned long long s = ms > 0 ? (unsigned long long)(ms / 1000) : 0;
    if (ms < 9.95)
        (void)snprintf(buf, PAINT_SMALL, "%.1fms", ms > 0 ? ms : 0);
    else if (ms < 1000)
        (void)snprintf(buf, PAINT_SMALL, "%.0fms", ms);
    else if (s < 60)
        (void)snprintf(buf, PAINT_SMALL, "%.1fs", ms / 1000);
    else if (s < 3600)
        (void)snprintf(buf, PAINT_SMALL, "%llum %llus", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(buf, PAINT_SMALL, "%lluh %llum", s / 3600, s / 60 % 60);
    else
        (void)snprintf(buf, PAINT_SMALL, "%llud %lluh", s / 86400, s / 3600 % 24);
    return dx_slice_str(buf);
}

struct dx_slice paint_count(double n, char buf[PAINT_SMALL])
{
    if (n < 100000)
        (void)snprintf(buf, PAINT_SMALL, n < 10 && n > (double)(long)n ? "%.1f" : "%.0f", n);
    else if (n < 1e6)
        (void)snprintf(buf, PAINT_SMALL, "%.0fk", n / 1e3);
    else if (n < 1e9)
        (void)snprintf(buf, PAINT_SMALL, "%.1fM", n / 1e6);
    else
        (void)snprintf(buf, PAINT_SMALL, "%.1fG", n / 1e9);
    return dx_slice_str(buf);
}
