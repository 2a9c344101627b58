/* SPDX-License-Identifier: MIT */
/* The body of an answer that diplex makes itself: which form the client wants to read, and its text. */
#ifndef PROXY_PAGE_H
#define PROXY_PAGE_H

#include "proxy/internal.h"

enum placeholder {
#define PAGE(...)
#define PLACEHOLDER(id, name, sentence) PLACEHOLDER_##id,
#include "proxy/pages.def"
    PLACEHOLDER_COUNT
};

enum form {
    FORM_TEXT = DX_PAGE_TEXT,
    FORM_JSON = DX_PAGE_JSON,
    FORM_HTML = DX_PAGE_HTML,
    FORM_COUNT = DX_PAGE_FORMS
};

/* In the exchange's arena. */
struct page {
    const char *type, *policy; /* fields of the head; policy: of its content, may be NULL */
    struct dx_slice whole;     /* a small page; or else */
    struct dx_slice rest;      /* of the template, still to be written */
    struct dx_slice value[PLACEHOLDER_COUNT];
};

/* For x->status, which is decided. `retry_after` in seconds; 0: nobody knows. NULL: out of memory. */
struct page *page_make(struct exchange *x, uint64_t retry_after);
uint64_t page_bytes(const struct page *p); /* of what is still to be written */
void page_drop(struct page *p);            /* nothing of it is to be written */
/* The next piece of it; false: there is none. Pieces stay where they are as long as the exchange. */
bool page_next(struct page *p, struct dx_slice *piece);

#endif
