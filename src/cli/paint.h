/* SPDX-License-Identifier: MIT */
/*
 * Lines for a terminal: cells of a width, colours only where they are wanted, nothing past the right edge.
 * What is painted may come from anybody (a path, a host): what could steer a terminal is painted as `?`.
 */
#ifndef CLI_PAINT_H
#define CLI_PAINT_H

#include "diplex/base/text.h"

enum paint_style { PAINT_PLAIN, PAINT_STRONG, PAINT_FAINT, PAINT_GOOD, PAINT_BAD, PAINT_WARN, PAINT_TITLE };

struct paint {
    struct dx_text *out;
    bool colour;
    const char *line_end;
    unsigned width;  /* 0: no edge */
    unsigned column; /* of this line, in characters */
};

/* For standard output as it is: a terminal's width and colours, or neither (NO_COLOR, TERM=dumb, no
 * terminal). */
struct paint paint_for_stdout(struct dx_text *out);
unsigned paint_rows(void); /* of the terminal; 24 when nobody knows */

void paint_text(struct paint *p, enum paint_style style, struct dx_slice text);
void paint_str(struct paint *p, enum paint_style style, const char *text);
void paint_f(struct paint *p, enum paint_style style, const char *fmt, ...) DX_PRINTF(3, 4);
/* Cut to the width, or filled up to it, and a blank behind it. */
void paint_cell(struct paint *p, enum paint_style style, unsigned width, struct dx_slice text);
void paint_right(struct paint *p, enum paint_style style, unsigned width, struct dx_slice text);
/* [####....]: so many of so many; at most `width` characters between the brackets. */
void paint_bar(struct paint *p, unsigned width, double busy, double all);
void paint_end(struct paint *p); /* of the line */

size_t paint_length(struct dx_slice text); /* in characters */

#define PAINT_SMALL 24
/* "850ms", "12.3s", "4m 10s", "3h 20m", "2d 4h"; "1234", "12.3k", "4.5M". */
struct dx_slice paint_time(double ms, char buf[PAINT_SMALL]);
struct dx_slice paint_count(double n, char buf[PAINT_SMALL]);

#endif
