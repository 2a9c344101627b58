/* SPDX-License-Identifier: MIT */
/* The subcommands that ask the running diplex over its admin socket. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

#define HEALTH_TIMEOUT_MS 5000
#define RELOAD_TIMEOUT_MS 60000
#define STATUS_TIMEOUT_MS 10000

static char *builtin_admin(void)
{
    struct dx_config_faults faults = {0};
    struct dx_config *config =
        dx_config_parse(dx_config_builtin_text(), "(built in)", dx_control_env, NULL, &faults);
    char *path = config && config->admin.socket ? dx_slice_dup(dx_slice_str(config->admin.socket)) : NULL;
    dx_config_free(&config);
    dx_config_faults_fini(&faults);
    return path;
}

/*
 * The path of the socket; NULL when there can be none. The file may have become faulty since diplex was
 * started with it, and that alone must not make a container unhealthy: then the usual path is tried, and
 * *faults holds what is wrong with the file.
 */
static char *find_socket(const struct cli_options *o, struct dx_text *faults)
{
    struct cli_loaded loaded;
    char *path = NULL;
    if (o->admin)
        return dx_slice_dup(dx_slice_str(o->admin));
    if (!cli_load(o->file, &loaded, faults))
        return builtin_admin();
    if (loaded.config->admin.socket)
        path = dx_slice_dup(dx_slice_str(loaded.config->admin.socket));
    else
        dx_text_addf(faults, "error: \"admin\" is off in %s\n", loaded.source.name);
    cli_loaded_fini(&loaded);
    return path;
}

bool cli_ask(const struct cli_options *o, const char *method, const char *path, uint64_t timeout_ms,
             struct dx_fetch_answer *answer, int *exit_code)
{
    struct dx_text faults;
    struct dx_err err = {{0}};
    dx_text_init(&faults);
    char *socket_path = find_socket(o, &faults);
    bool ok = socket_path && dx_fetch_once(socket_path, method, path, timeout_ms, answer, &err);
    if (!ok) {
        fputs(faults.p ? faults.p : "", stderr);
        const char *usual = faults.n ? " (the usual path; the faulty file may name another: -a PATH)" : "";
        if (socket_path)
            fprintf(stderr, "diplex: no running diplex answers on %s%s: %s\n", socket_path, usual, err.text);
        *exit_code = faults.n ? CLI_USAGE : CLI_FAILED;
    }
    dx_text_fini(&faults);
    free(socket_path);
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
        printf("a restart is needed for: %.*s\n", (int)n, at + sizeof key - 1);
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

int cli_reopen(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    if (!cli_ask(o, "POST", "/reopen", STATUS_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    bool ok = answer.status == 200;
    if (ok)
        puts("reopened");
    else
        fprintf(stderr, "%sdiplex: the old one goes on\n", answer.body ? answer.body : "");
    free(answer.body);
    return ok ? CLI_OK : CLI_FAILED;
}

int cli_status(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    if (!cli_ask(o, "GET", "/status", STATUS_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    bool ok = answer.status == 200;
    fputs(answer.body ? answer.body : "", ok ? stdout : stderr);
    free(answer.body);
    return ok ? CLI_OK : CLI_FAILED;
}
