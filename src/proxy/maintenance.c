/* SPDX-License-Identifier: MIT */
/*
 * Whether a request's route is under maintenance: by the file, or by a switch on the board, which an operator
 * turned for everything, for its pool or for itself.
 */
#include "proxy/front.h"
#include "proxy/steps.h"

static bool switched_on(const struct exchange *x)
{
    const struct dx_board *b = x->proxy->board;
    const struct dx_slice nothing = {NULL, 0};

    return dx_board_switch(b, nothing, nothing) || dx_board_switch(b, dx_slice_str(x->pool->name), nothing) ||
           dx_board_switch(b, dx_slice_str(x->route->host), dx_slice_str(x->route->path));
}

/* Who comes through a Unix socket has no address, and is one of `unix`. */
static bool let_through(const struct exchange *x)
{
    const struct dx_networks *allow = &x->route->maintenance.allow;
    struct dx_address a;

    if (!dx_address_from_ip(x->client_ip, 0, &a))
        a = (struct dx_address){.u.sa = {.sa_family = AF_UNIX}};
    for (unsigned i = 0; i < allow->n; i++)
        if (dx_cidr_match(&allow->at[i], &a))
            return true;
    return false;
}

bool maintenance_holds(const struct exchange *x)
{
    return (x->route->maintenance.on || switched_on(x)) && !let_through(x);
}
