/* SPDX-License-Identifier: MIT */
/* The subcommands that ask the running diplex over its admin socket or address. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "diplex/os/fd.h"

#define HEALTH_TIMEOUT_MS 5000
#define RELOAD_TIMEOUT_MS 60000
#define REOPEN_TIMEOUT_MS 10000
#define TOKEN_FILE_MOST   4096

/* Where a running diplex is asked, and with what token. Both owned. */
struct place {
    char *where, *token;
};

static char *copy(const char *s) { return s ? dx_slice_dup(dx_slice_str(s)) : NULL; }

static char *builtin_admin(void)
{
    struct dx_config_faults faults = {0};
    struct dx_config *config =
        dx_config_parse(dx_config_builtin_text(), "(built in)", dx_control_env, NULL, &faults);
    char *path = config ? copy(config->admin.socket) : NULL;
    dx_config_free(&config);
    dx_config_faults_fini(&faults);
    return path;
}

/* The wildcard listens on this machine too. */
static char *url_of(const char *listen)
{
    struct dx_text url;
    dx_text_init(&url);
    dx_text_addf(&url, "http://%s%s%s", listen[0] == ':' || !strchr(listen, ':') ? "127.0.0.1" : "",
                 strchr(listen, ':') ? "" : ":", listen);
    char *copied = url.failed ? NULL : dx_slice_dup(dx_slice_of(url.p, url.n));
    dx_text_fini(&url);
    return copied;
}

/*
 * NULL in *p when there can be none. The file may have become faulty since diplex was started with it, and
 * that alone must not make a container unhealthy: then the usual path is tried, and *faults holds what is
 * wrong with the file.
 */
static void find_place(const struct cli_options *o, struct place *p, struct dx_text *faults)
{
    struct cli_loaded loaded;
    if (o->admin) {
        p->where = copy(o->admin);
        return;
    }
    if (!cli_load(o->file, &loaded, faults)) {
        p->where = builtin_admin();
        return;
    }
    const struct dx_config *c = loaded.config;
    if (c->admin.socket) {
        p->where = copy(c->admin.socket);
    } else if (c->admin.listen.text) {
        p->where = url_of(c->admin.listen.text);
        p->token = copy(c->admin.token);
    } else {
        dx_text_addf(faults, "error: \"admin\" is off in %s\n", loaded.source.name);
    }
    cli_loaded_fini(&loaded);
}

/* A file's first line; else the environment's; else what the configuration says. False: the file cannot be
 * read. */
static bool find_token(const struct cli_options *o, struct place *p, struct dx_text *faults)
{
    const char *said = getenv("DIPLEX_ADMIN_TOKEN");
    char *text = NULL;
    size_t n = 0;
    if (o->token_file && !dx_fd_read_file(o->token_file, TOKEN_FILE_MOST, &text, &n)) {
        dx_text_addf(faults, "error: cannot read %s: %s\n", o->token_file, strerror(errno));
        return false;
    }
    if (text || (said && *said)) {
        free(p->token);
        p->token =
            dx_slice_dup(dx_slice_trim(text ? dx_slice_of(text, strcspn(text, "\r\n")) : dx_slice_str(said)));
    }
    free(text);
    return true;
}

static void hide_token(struct place *p)
{
    if (p->token)
        explicit_bzero(p->token, strlen(p->token));
    free(p->token);
    free(p->where);
}

/* One that is not let in has nothing else to say. */
static bool is_let_in(const struct place *p, struct dx_fetch_answer *answer, struct dx_text *why)
{
    if (answer->status != 401 && answer->status != 403)
        return true;
    dx_text_addf(why, "diplex: %s refuses: %s%s", p->where, answer->body,
                 answer->status == 401 ? "(DIPLEX_ADMIN_TOKEN in the environment, or --token-file FILE)\n"
                                       : "");
    free(answer->body);
    return false;
}

bool cli_try(const struct cli_options *o, const char *method, const char *path, uint64_t timeout_ms,
             struct dx_fetch_answer *answer, struct dx_text *why)
{
    struct place p = {NULL, NULL};
    struct dx_err err = {{0}};
    find_place(o, &p, why);
    bool ok = find_token(o, &p, why) && p.where;
    if (ok && !dx_fetch_once(&(struct dx_fetch_place){p.where, dx_fetch_is_url(p.where) ? p.token : NULL},
                             method, path, timeout_ms, answer, &err)) {
        const char *usual = why->n ? " (the usual path; the faulty file may name another: -a PATH)" : "";
        dx_text_addf(why, "diplex: no running diplex answers on %s%s: %s\n", p.where, usual, err.text);
        ok = false;
    }
    if (ok && !is_let_in(&p, answer, why))
        ok = false;
    hide_token(&p);
    return ok;
}

bool cli_ask(const struct cli_options *o, const char *method, const char *path, uint64_t timeout_ms,
             struct dx_fetch_answer *answer, int *exit_code)
{
    struct dx_text why;
    dx_text_init(&why);
    bool ok = cli_try(o, method, path, timeout_ms, answer, &why);
    if (!ok) {
        fputs(why.p ? why.p : "", stderr);
        *exit_code = why.p && strncmp(why.p, "diplex: ", 8) != 0 ? CLI_USAGE : CLI_FAILED;
    }
    dx_text_fini(&why);
    return ok;
}

int cli_healthcheck(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    /* A container's health is yes or no: everything that is not yes is 1. */
    if (!cli_ask(o, "GET", "/healthz", HEALTH_TIMEOUT_MS, &answer, &exit_code))
        return CLI_FAILED;
    bool ok = answer.status == 200;
    fputs(answer.body ? answer.body : "", ok ? stdout : stderr);
    free(answer.body);
    return ok ? CLI_OK : CLI_FAILED;
}

/* The words of "after_restart" in the answer: names of settings, so nothing in them is escaped. */
static void print_unapplied(const char *json)
{
    static const char key[] = "\"after_restart\":\"";
    const char *at = json ? strstr(json, key) : NULL;
    size_t n = at ? strcspn(at + sizeof key - 1, "\"") : 0;
    if (n)
        printf("in force after `diplex upgrade` or a restart: %.*s\n", (int)n, at + sizeof key - 1);
}

int cli_reload(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    if (!cli_ask(o, "POST", "/reload", RELOAD_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    if (answer.status == 200) {
        puts("reloaded");
        print_unapplied(answer.body);
    } else {
        fprintf(stderr, "%s%s", answer.body ? answer.body : "",
                "diplex: not reloaded, nothing has changed\n");
        exit_code = answer.status == 422 ? CLI_USAGE : CLI_FAILED;
    }
    free(answer.body);
    return exit_code;
}

static void print_upgraded(struct dx_slice body)
{
    struct dx_arena arena;
    dx_arena_init(&arena, NULL, 0);
    const struct json *told = json_read(&arena, body);
    struct dx_slice from = json_text(told, "from"), to = json_text(told, "to");
    printf("upgraded from %.*s to %.*s: data process %.0f serves, the one before it finishes what it has "
           "begun\n",
           DX_SLICE_ARGS(from), DX_SLICE_ARGS(to), json_number(told, "data_pid"));
    dx_arena_reset(&arena);
}

int cli_upgrade(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    if (!cli_ask(o, "POST", "/upgrade", RELOAD_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    if (answer.status == 200) {
        print_upgraded(dx_slice_of(answer.body, answer.body_n));
    } else {
        fprintf(stderr, "%s\ndiplex: not upgraded, the old one goes on\n", answer.body ? answer.body : "");
        exit_code = answer.status == 422 ? CLI_USAGE : CLI_FAILED;
    }
    free(answer.body);
    return exit_code;
}

int cli_reopen(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    if (!cli_ask(o, "POST", "/reopen", REOPEN_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    bool ok = answer.status == 200;
    if (ok)
        puts("reopened");
    else
        fprintf(stderr, "%sdiplex: the old one goes on\n", answer.body ? answer.body : "");
    free(answer.body);
    return ok ? CLI_OK : CLI_FAILED;
}
