/* SPDX-License-Identifier: MIT */
/* The page as it was put together when diplex was built: src/admin/page/assemble.cmake writes the file with
 * it. */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include <stddef.h>

extern const char page_html[];
extern const size_t page_html_n;
extern const char page_tag[]; /* as in ETag, quotes and all */
extern const char
    page_policy[]; /* Content-Security-Policy, with the hashes of its one style and one script */

#endif
