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

bool maintenance_holds(const struct exchange *x)
{
    return (x->route->maintenance.on || switched_on(x)) &&
           !dx_config_networks_have(&x->route->maintenance.allow, x->client_ip);
}
