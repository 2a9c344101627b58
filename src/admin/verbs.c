/* SPDX-License-Identifier: MIT */
/* The verbs of an operator, read from their queries and handed to the owner, who does what they say. */
#include "admin/inside.h"

void answer_reload(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    owner->reload(owner->arg, r);
}

void answer_upgrade(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    owner->upgrade(owner->arg, r);
}

void answer_reopen(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    struct dx_text text;
    dx_text_init(&text);
    if (owner->reopen(owner->arg, &text))
        reply_send_made(r, 200, TYPE_JSON, &text);
    else
        reply_send_made(r, 503, TYPE_TEXT, &text);
    dx_text_fini(&text);
}

static void send_done(struct dx_admin_reply *r, bool done, const struct dx_text *text)
{
    if (done)
        reply_send_made(r, 200, TYPE_JSON, text);
    else
        reply_send_made(r, 404, TYPE_TEXT, text);
}

static void drain(struct dx_admin *a, struct dx_admin_reply *r, enum dx_admin_drain what)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    const char *server = reply_param(r, "server");
    struct dx_text text;
    if (!server) {
        reply_send(r, 400, TYPE_TEXT, DX_SLICE("say which one: ?server=NAME\n"));
        return;
    }
    dx_text_init(&text);
    bool done = owner->drain(owner->arg, what, dx_slice_str(server), &text);
    send_done(r, done, &text);
    dx_text_fini(&text);
}

void answer_drain(struct dx_admin *a, struct dx_admin_reply *r)
{
    drain(a, r, reply_ask(r)->post ? DX_ADMIN_DRAIN : DX_ADMIN_DRAIN_LOOK);
}

void answer_undrain(struct dx_admin *a, struct dx_admin_reply *r) { drain(a, r, DX_ADMIN_UNDRAIN); }

static void hold(struct dx_admin *a, struct dx_admin_reply *r, enum dx_board_hold what)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    const char *pool = reply_param(r, "pool");
    struct dx_text text;
    if (!pool) {
        reply_send(r, 400, TYPE_TEXT, DX_SLICE("say which one: ?pool=NAME\n"));
        return;
    }
    dx_text_init(&text);
    bool done = owner->hold(owner->arg, what, dx_slice_str(pool), &text);
    send_done(r, done, &text);
    dx_text_fini(&text);
}

void answer_hold(struct dx_admin *a, struct dx_admin_reply *r)
{
    const char *methods = reply_param(r, "methods");
    if (methods && strcmp(methods, "unsafe") != 0)
        reply_send(r, 400, TYPE_TEXT, DX_SLICE("methods can be \"unsafe\", or left out\n"));
    else
        hold(a, r, methods ? DX_HOLD_WRITES : DX_HOLD_ALL);
}

void answer_release(struct dx_admin *a, struct dx_admin_reply *r)
{
    if (reply_param(r, "methods"))
        reply_send(r, 400, TYPE_TEXT, DX_SLICE("a pool is released whole: leave methods out\n"));
    else
        hold(a, r, DX_HOLD_NONE);
}

void answer_log(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    const char *word = reply_param(r, "level");
    enum dx_log_level level;
    struct dx_text text;
    if (!word || !dx_log_level_parse(dx_slice_str(word), &level)) {
        reply_send(r, 400, TYPE_TEXT, DX_SLICE("say which one: ?level=debug, info, warn or error\n"));
        return;
    }
    if (!owner->level(owner->arg, level)) {
        reply_send(r, 503, TYPE_TEXT, DX_SLICE("diplex is stopping\n"));
        return;
    }
    dx_text_init(&text);
    dx_text_addf(&text, "{\"log_level\":\"%s\",\"until\":\"the next reload or restart\"}\n", word);
    reply_send_made(r, 200, TYPE_JSON, &text);
    dx_text_fini(&text);
}

void dx_admin_reply_send(struct dx_admin_reply *reply, enum dx_admin_result result, struct dx_slice text)
{
    struct dx_text body;
    if (result != DX_ADMIN_RELOADED) {
        reply_send(reply, result == DX_ADMIN_REFUSED ? 422 : 503, TYPE_TEXT, text);
        return;
    }
    dx_text_init(&body);
    dx_text_adds(&body, "{\"result\":\"reloaded\",\"after_restart\":");
    dx_text_add_json(&body, text);
    dx_text_adds(&body, "}\n");
    reply_send_made(reply, 200, TYPE_JSON, &body);
    dx_text_fini(&body);
}
