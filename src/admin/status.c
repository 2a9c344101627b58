/* SPDX-License-Identifier: MIT */
/* The document of GET /status: what runs, what is in force, how the last reload went, all counters. */
#include "admin/status.h"

#include <stdlib.h>

#include "admin/routes.h"
#include "diplex/base/hide.h"
#include "diplex/board/seats.h"
#include "diplex/os/clock.h"

void put_string(struct dx_text *out, const char *key, const char *value)
{
    dx_text_addf(out, "\"%s\":", key);
    if (value)
        dx_text_add_json(out, dx_slice_str(value));
    else
        dx_text_adds(out, "null");
}

void put_number(struct dx_text *out, const char *key, uint64_t value)
{
    dx_text_addf(out, "\"%s\":%llu", key, (unsigned long long)value);
}

void put_flag(struct dx_text *out, const char *key, bool value)
{
    dx_text_addf(out, "\"%s\":%s", key, value ? "true" : "false");
}

static void add_process(const struct dx_admin_facts *f, struct dx_text *out)
{
    put_string(out, "version", DIPLEX_VERSION);
    dx_text_adds(out, ",\n ");
    put_string(out, "state", f->state);
    dx_text_addf(out, ",\"ready\":%s,\n ", f->ready ? "true" : "false");
    put_number(out, "uptime_ms", f->uptime_ms);
    dx_text_adds(out, ",");
    put_number(out, "control_pid", (uint64_t)f->control_pid);
    if (f->data_pid > 0) {
        dx_text_adds(out, ",");
        put_number(out, "data_pid", (uint64_t)f->data_pid);
    } else {
        dx_text_adds(out, ",\"data_pid\":null");
    }
    dx_text_adds(out, ",");
    put_number(out, "data_starts", dx_board_data_starts(f->board));
    dx_text_adds(out, ",");
    put_number(out, "data_deaths", f->data_deaths);
    dx_text_adds(out, ",");
    put_number(out, "workers", f->workers);
    dx_text_adds(out, ",\n ");
    put_string(out, "file", f->file);
    dx_text_adds(out, ",");
    put_number(out, "generation", f->generation);
    dx_text_adds(out, ",");
    put_number(out, "reloads", f->reloads);
    dx_text_adds(out, ",\n ");
    put_string(out, "sandbox", f->sandbox);
    dx_text_adds(out, ",\n \"listen\":[");
    for (size_t i = 0; i < f->listen_n; i++) {
        dx_text_adds(out, i ? "," : "");
        dx_text_add_json(out, dx_slice_str(f->listen[i]));
    }
    dx_text_adds(out, "],\n ");
}

static void add_leaving(const struct dx_admin_facts *f, struct dx_text *out)
{
    dx_text_adds(out, "\"leaving\":[");
    for (size_t i = 0; i < f->leaving_n; i++) {
        const struct dx_admin_leaving *l = &f->leaving[i];
        dx_text_adds(out, i ? ",{" : "{");
        put_number(out, "pid", (uint64_t)l->pid);
        dx_text_adds(out, ",");
        put_number(out, "for_ms", l->for_ms);
        if (l->seen)
            dx_text_addf(out, ",\"requests\":%llu,\"connections\":%llu}", (unsigned long long)l->requests,
                         (unsigned long long)l->connections);
        else
            dx_text_adds(out, ",\"requests\":null,\"connections\":null}");
    }
    dx_text_adds(out, "],\n ");
}

/* Where it is asked, and how the last reload went. */
static void add_doors(const struct dx_admin_facts *f, struct dx_text *out)
{
    static const char *const reads[] = {"token", "open"};
    dx_text_adds(out, "\"admin\":{");
    put_string(out, "socket", f->admin_socket);
    dx_text_adds(out, ",");
    put_string(out, "listen", f->admin_listen);
    dx_text_adds(out, ",");
    put_string(out, "read", f->admin_listen ? reads[f->config->admin.read] : NULL);
    dx_text_adds(out, "},\n \"last_reload\":");
    if (!f->reload.any) {
        dx_text_adds(out, "null");
        return;
    }
    char at[DX_CLOCK_RFC3339];
    (void)dx_clock_rfc3339(f->reload.wall_us, at, sizeof at);
    dx_text_adds(out, "{");
    put_string(out, "at", at);
    dx_text_adds(out, ",");
    put_number(out, "ms_ago", f->reload.ms_ago);
    dx_text_adds(out, ",");
    put_flag(out, "ok", f->reload.ok);
    dx_text_adds(out, ",");
    put_string(out, "error", f->reload.error);
    dx_text_adds(out, ",");
    put_string(out, "after_restart", f->reload.after_restart);
    dx_text_adds(out, "}");
}

/* As `diplex check` prints it; but that one is told to who may read the file, and this one is not. */
static void add_config(const struct dx_config *config, struct dx_text *out)
{
    struct dx_text text;
    dx_text_init(&text);
    dx_config_print(config, &text);
    size_t room = 2 * text.n + 8; /* the shortest secret, one byte after `pw=`, makes four bytes six */
    char *buf = text.failed ? NULL : malloc(room);
    if (buf) {
        struct dx_out o = dx_out_of(buf, room);
        dx_hide(&o, dx_slice_of(text.p, text.n));
        DX_ASSERT(!o.overflow);
        dx_text_adds(out, ",\n \"config\":{\"text\":");
        dx_text_add_json(out, dx_out_slice(&o));
        dx_text_adds(out, "}");
    }
    out->failed |= buf == NULL;
    free(buf);
    dx_text_fini(&text);
}

static void write_all(struct status *s, bool with_config)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    const struct dx_admin_facts *f = s->facts;
    struct dx_text *out = s->out;
    dx_text_adds(out, "{");
    add_process(f, out);
    add_leaving(f, out);
    put_string(out, "log_level", levels[f->log_level]);
    dx_text_adds(out, ",\n ");
    add_doors(f, out);
    dx_text_adds(out, ",\n \"maintenance\":");
    maintenance_write(f, out);
    dx_text_adds(out, ",\n \"pools\":[");
    status_pools(s);
    dx_text_adds(out, "],\n \"routes\":");
    unsigned left_out = routes_write(f, out);
    dx_text_addf(out, ",\n \"routes_left_out\":%u", left_out);
    dx_text_adds(out, ",\n ");
    status_of_rest(s);
    if (with_config)
        add_config(f->config, out);
    dx_text_adds(out, ",\n \"counters\":{");
    for (unsigned c = 0; c < DX_COUNTER_COUNT; c++) {
        dx_text_adds(out, c ? "," : "");
        put_number(out, dx_counter_name((enum dx_counter)c),
                   dx_board_counter_sum(f->board, (enum dx_counter)c));
    }
    dx_text_adds(out, "}}\n");
}

static bool is_no(const char *param) { return param && strcmp(param, "no") == 0; }

void dx_admin_status_send(struct dx_admin_reply *r, const struct dx_census_list *running)
{
    struct dx_admin_facts facts;
    struct dx_text text;
    struct status s = {.facts = &facts, .running = running, .out = &text};
    admin_facts(reply_admin(r), &facts);
    dx_text_init(&text);
    s.servers = calloc(DX_BOARD_SERVERS, sizeof *s.servers);
    if (s.servers)
        write_all(&s, !is_no(reply_param(r, "config")));
    text.failed |= s.servers == NULL;
    free(s.servers);
    reply_send_made(r, 200, TYPE_JSON, &text);
    dx_text_fini(&text);
}

void answer_status(struct dx_admin *a, struct dx_admin_reply *r)
{
    const struct dx_admin_owner *owner = admin_owner(a);
    if (is_no(reply_param(r, "requests")))
        dx_admin_status_send(r, NULL);
    else
        owner->look(owner->arg, r);
}
