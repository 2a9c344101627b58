/* SPDX-License-Identifier: MIT */
/* The configurations that are in force, or were and still serve a request: kept by the main thread of data
 * until the last worker has let go, so that no worker frees one. */
#include <stdlib.h>

#include "worker/internal.h"

struct place {
    struct dx_link link;
    struct dx_snapshot *snapshot;
};

void archive_init(struct archive *a, int bell)
{
    dx_list_init(&a->snapshots);
    a->bell = bell;
}

bool archive_add(struct archive *a, struct dx_snapshot *s)
{
    struct place *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return false;
    p->snapshot = s;
    dx_snapshot_keep(s, a->bell);
    dx_list_push_tail(&a->snapshots, &p->link);
    return true;
}

void archive_clear(struct archive *a, const struct dx_snapshot *in_force)
{
    struct dx_link *next;

    for (struct dx_link *l = a->snapshots.next; l != &a->snapshots; l = next) {
        struct place *p = DX_CONTAINER(l, struct place, link);
        next = l->next;
        if (p->snapshot == in_force || !dx_snapshot_kept_alone(p->snapshot))
            continue;
        dx_list_remove(l);
        dx_snapshot_unref(&p->snapshot);
        free(p);
    }
}
