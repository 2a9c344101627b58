/* SPDX-License-Identifier: MIT */
/* What control tells and does when it is asked through a door: the facts of /status, and the verbs. */
#include <stdlib.h>
#include <unistd.h>

#include "diplex/os/clock.h"
#include "supervise/control.h"

static void tell(void *arg, struct dx_admin_facts *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    bool ready = (c->data_ready || c->swapping) && !c->stopping;
    size_t n = c->stopping ? 0 : c->now->listeners_n;
    const char **listen = realloc(c->listen_shown, (n ? n : 1) * sizeof *listen);
    if (listen)
        c->listen_shown = listen;
    else
        n = 0;
    for (size_t i = 0; i < n; i++)
        listen[i] = c->now->listeners[i]->shown;
    const struct dx_admin_leaving *leaving;
    size_t leaving_n = leavers_tell(c, &leaving);
    *out = (struct dx_admin_facts){
        .ready = ready,
        .state = c->stopping     ? "stopping"
                 : ready         ? "ready"
                 : c->ever_ready ? "restarting"
                                 : "starting",
        .file = c->now->source.name,
        .control_pid = getpid(),
        .data_pid = c->data,
        .uptime_ms = (dx_clock_us() - c->started_us) / 1000,
        .generation = c->now->generation,
        .workers = c->now->workers,
        .reloads = c->reloads,
        .data_deaths = c->deaths,
        .sandbox = c->sandbox_text[0] ? c->sandbox_text : NULL,
        .leaving = leaving,
        .leaving_n = leaving_n,
        .listen = listen,
        .listen_n = n,
        .admin_socket = c->doors[DOOR_SOCKET].text,
        .admin_listen = c->doors[DOOR_TCP].text ? c->doors[DOOR_TCP].shown : NULL,
        .reload = {.any = c->last_reload.at_us != 0,
                   .ok = c->last_reload.ok,
                   .wall_us = c->last_reload.wall_us,
                   .ok_wall_us = c->last_reload.ok_wall_us,
                   .refused = c->last_reload.refused,
                   .ms_ago = (dx_clock_us() - c->last_reload.at_us) / 1000,
                   .error = c->last_reload.ok ? NULL : c->last_reload.text,
                   .after_restart = c->last_reload.ok ? c->last_reload.text : ""},
        .log_level = c->log_level,
        .maintained = c->maintained,
        .maintained_n = c->maintained_n,
        .config = c->now->config,
        .board = c->board,
        .health = c->health,
    };
}

static void reload(void *arg, struct dx_admin_reply *reply)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    reload_ask(c, reply);
}

static void upgrade(void *arg, struct dx_admin_reply *reply)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    upgrade_ask(c, reply);
}

static void look(void *arg, struct dx_admin_reply *reply)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    look_ask(c, reply);
}

static bool set_level(void *arg, enum dx_log_level level)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    if (c->stopping)
        return false;
    control_set_log_level(c, level);
    const struct dx_letter letter = {.type = DX_LETTER_LEVEL, .number = level, .fd = -1};
    letters_send(c, &letter);
    leavers_send(c, &letter);
    return true;
}

static bool drain(void *arg, enum dx_admin_drain what, struct dx_slice server, struct dx_text *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    return drain_server(c, what, server, out);
}

static bool reopen(void *arg, struct dx_text *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    return logs_reopen(c, out);
}

static bool hold(void *arg, enum dx_board_hold what, struct dx_slice pool, struct dx_text *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    return hold_pool(c, what, pool, out);
}

static bool maintain(void *arg, bool on, struct dx_slice name, struct dx_text *out)
{
    struct control *c = arg;
    DX_MAGIC_OK(c, CONTROL_MAGIC);
    return maintenance_switch(c, on, name, out);
}

const struct dx_admin_owner *door_owner(struct control *c, struct dx_admin_owner *out)
{
    *out = (struct dx_admin_owner){.facts = tell,
                                   .reload = reload,
                                   .upgrade = upgrade,
                                   .reopen = reopen,
                                   .look = look,
                                   .level = set_level,
                                   .drain = drain,
                                   .hold = hold,
                                   .maintenance = maintain,
                                   .history = history_tell,
                                   .arg = c};
    return out;
}
