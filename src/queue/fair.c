/* SPDX-License-Identifier: MIT */
/*
 * Ranks by client. A client's requests are ranked one after the other, beginning where the gate is now: so of
 * all clients that wait each has one request served before any has its second, however many one has sent.
 */
#include <stdlib.h>

#include "queue/internal.h"

static struct flow **place_of(struct fair *f, uint64_t client)
{
    struct flow **at = &f->flows[dx_hash_finish(client) % FLOWS];
    while (*at != NULL && (*at)->client != client)
        at = &(*at)->next;
    return at;
}

uint64_t fair_rank(struct fair *f, uint64_t client, uint64_t now)
{
    struct flow **at = place_of(f, client);

    if (*at == NULL) {
        struct flow *flow = calloc(1, sizeof(*flow));
        if (flow == NULL)
            return now + 1;
        flow->client = client;
        *at = flow;
    }
    struct flow *flow = *at;
    flow->waiting++;
    flow->last = (flow->last > now ? flow->last : now) + 1;
    return flow->last;
}

void fair_left(struct fair *f, uint64_t client)
{
    struct flow **at = place_of(f, client), *flow = *at;

    if (flow == NULL || --flow->waiting > 0)
        return;
    *at = flow->next; /* nothing of it waits, so that its last rank has passed */
    free(flow);
}

void fair_clear(struct fair *f)
{
    for (unsigned i = 0; i < FLOWS; i++) {
        while (f->flows[i] != NULL) {
            struct flow *flow = f->flows[i];
            f->flows[i] = flow->next;
            free(flow);
        }
    }
}
