/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: the links live in the objects. A head is a link that points to itself when
 * empty. */
#ifndef DIPLEX_BASE_LIST_H
#define DIPLEX_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "diplex/base/check.h"

struct dx_link {
    struct dx_link *next, *prev;
};

static inline void dx_list_init(struct dx_link *head) { head->next = head->prev = head; }
static inline bool dx_list_empty(const struct dx_link *head) { return head->next == head; }

/* A link that is in no list is either zeroed or was taken out by dx_list_remove. */
static inline bool dx_list_linked(const struct dx_link *l) { return l->next != NULL; }

static inline void dx_list_insert_before(struct dx_link *at, struct dx_link *l)
{
    DX_ASSERT(!dx_list_linked(l));
    l->prev = at->prev;
    l->next = at;
    at->prev->next = l;
    at->prev = l;
}

static inline void dx_list_push_tail(struct dx_link *head, struct dx_link *l)
{
    dx_list_insert_before(head, l);
}
static inline void dx_list_push_head(struct dx_link *head, struct dx_link *l)
{
    dx_list_insert_before(head->next, l);
}

/* Does nothing when the link is in no list. */
static inline void dx_list_remove(struct dx_link *l)
{
    if (!dx_list_linked(l))
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->next = l->prev = NULL;
}

/* Takes the first link off; NULL when empty. */
static inline struct dx_link *dx_list_pop_head(struct dx_link *head)
{
    struct dx_link *l = head->next;
    if (l == head)
        return NULL;
    dx_list_remove(l);
    return l;
}

#define DX_LIST_FOR(var, head) for (struct dx_link *var = (head)->next; var != (head); var = var->next)
/* The current link may be removed inside the loop. */
#define DX_LIST_FOR_SAFE(var, head)                                                  \
    for (struct dx_link *var = (head)->next, *var##_next = var->next; var != (head); \
         var = var##_next, var##_next = var->next)

#endif
