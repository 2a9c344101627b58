/* SPDX-License-Identifier: MIT */
/* The configurations that are in force, or were and still serve a request: kept by the main thread of data
 * until the last worker has let go, so that no worker frees one. */
#include <stdlib.h>

#include "worker/internal.h"

struct place {
    struct place *next;
    struct dx_snapshot *snapshot;
};

void archive_init(struct archive *a, int bell) { *a = (struct archive){.bell = bell}; }

bool archive_add(struct archive *a, struct dx_snapshot *s)
{
    struct place *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return false;
    p->snapshot = s;
    p->next = a->first;
    a->first = p;
    dx_snapshot_keep(s, a->bell);
    return true;
}

void archive_clear(struct archive *a, const struct dx_snapshot *in_force)
{
    for (struct place **at = &a->first; *at != NULL;) {
        struct place *p = *at;
        if (p->snapshot == in_force || !dx_snapshot_kept_alone(p->snapshot)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        dx_snapshot_unref(&p->snapshot);
        free(p);
    }
}
