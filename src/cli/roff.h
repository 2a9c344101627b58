/* SPDX-License-Identifier: MIT */
/* From the Markdown that diplex prints of its tables to a manual page: one text, two forms. */
#ifndef CLI_ROFF_H
#define CLI_ROFF_H

#include "diplex/base/text.h"

/*
 * Appends man(7). Understood is what our own texts use: headings (## a section, ### a subsection; # is
 * dropped), paragraphs, lists with "- ", fenced text, tables, comments in a line of their own, `literal`,
 * **strong** and [links](dropped). A table's first column is a term, its last one what it means, those
 * between stand in parentheses behind the term.
 */
void cli_roff_add(struct dx_text *out, struct dx_slice markdown);

#endif
