/* SPDX-License-Identifier: MIT */
/*
 * Maintenance by hand: the names that an operator switched on, and the switches on the board that the workers
 * look at. A name is a pool's, a route's as in the configuration, or nothing for everything. It stays on over
 * reloads, starts of data and upgrades, also while the file does not name it, and ends with diplex.
 */
#include <stdlib.h>

#include "supervise/control.h"

/* The route of this name; a last '/' makes no difference, as in routes. */
static bool is_route(const struct dx_route_config *route, struct dx_slice name)
{
    struct dx_slice host = dx_slice_str(route->host), path = dx_slice_str(route->path);

    if (name.n > 0 && name.p[name.n - 1] == '/')
        name.n--;
    if (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    return name.n == host.n + path.n && dx_slice_starts(name, host) &&
           dx_slice_eq(dx_slice_of(name.p + host.n, path.n), path);
}

/* The name as it stands on the board and is shown; NULL: there is no such thing, or no memory. */
static char *known_as(const struct control *c, struct dx_slice name)
{
    const struct dx_config *config = c->now->config;
    struct dx_text text;

    if (name.n == 0 || dx_slice_eq(name, DX_SLICE("*")))
        return dx_slice_dup(DX_SLICE(""));
    for (unsigned i = 0; i < config->pools_n; i++)
        if (dx_slice_eq(name, dx_slice_str(config->pools[i].name)))
            return dx_slice_dup(name);
    for (unsigned i = 0; i < config->routes_n; i++) {
        if (!is_route(&config->routes[i], name))
            continue;
        dx_text_init(&text);
        dx_text_addf(&text, "%s%s", config->routes[i].host, config->routes[i].path);
        char *found = text.failed ? NULL : dx_slice_dup(dx_slice_of(text.p, text.n));
        dx_text_fini(&text);
        return found;
    }
    return NULL;
}

static void list_known(const struct control *c, struct dx_text *out)
{
    const struct dx_config *config = c->now->config;

    dx_text_adds(out, "no pool or route is called so; there are:\n");
    for (unsigned i = 0; i < config->pools_n; i++)
        dx_text_addf(out, "  %s\n", config->pools[i].name);
    for (unsigned i = 0; i < config->routes_n; i++)
        dx_text_addf(out, "  %s%s\n", config->routes[i].host, config->routes[i].path);
}

static size_t place_of(const struct control *c, struct dx_slice name)
{
    size_t i = 0;
    while (i < c->maintained_n && !dx_slice_eq(name, dx_slice_str(c->maintained[i])))
        i++;
    return i;
}

static bool switch_on(struct control *c, char *name, struct dx_text *out)
{
    if (c->maintained_n == DX_BOARD_SWITCHES || !dx_board_switch_set(c->board, dx_slice_str(name), true)) {
        dx_text_addf(out, "more than %u pools and routes: switch everything on instead\n", DX_BOARD_SWITCHES);
        free(name);
        return false;
    }
    c->maintained[c->maintained_n++] = name;
    dx_log(DX_LOG_INFO, "maintenance_on", DX_KS("of", *name ? name : "*"));
    return true;
}

static void switch_off(struct control *c, size_t at)
{
    char *name = c->maintained[at];

    /* Two plans' names may be one key: what is off is off. */
    (void)!dx_board_switch_set(c->board, dx_slice_str(name), false);
    c->maintained[at] = c->maintained[--c->maintained_n];
    dx_log(DX_LOG_INFO, "maintenance_off", DX_KS("of", *name ? name : "*"));
    free(name);
}

bool maintenance_switch(struct control *c, bool on, struct dx_slice name, struct dx_text *out)
{
    char *known = known_as(c, name);
    size_t at = place_of(c, known ? dx_slice_str(known) : name);
    bool is_on = at < c->maintained_n;

    if (!known && !is_on) {
        list_known(c, out);
        return false;
    }
    if (on && !is_on)
        return switch_on(c, known, out);
    free(known);
    if (!on && is_on)
        switch_off(c, at);
    return true;
}

void maintenance_inherit(struct control *c, struct dx_slice name)
{
    char *known = dx_slice_dup(name);
    bool room = known && c->maintained_n < DX_BOARD_SWITCHES;

    if (room && dx_board_switch_set(c->board, name, true)) {
        c->maintained[c->maintained_n++] = known;
        return;
    }
    dx_log(DX_LOG_ERROR, "maintenance_lost", DX_KL("of", name));
    free(known);
}

void maintenance_fini(struct control *c)
{
    while (c->maintained_n > 0)
        free(c->maintained[--c->maintained_n]);
}
