/* SPDX-License-Identifier: MIT */
/* `diplex maintenance`: switches it on and off over the admin socket, or says what is on. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

#define MAINTENANCE_TIMEOUT_MS 10000

static int ask(const struct cli_options *o, const char *method, const char *path, const char *done)
{
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;

    if (!cli_ask(o, method, path, MAINTENANCE_TIMEOUT_MS, &answer, &exit_code))
        return exit_code;
    if (answer.status == 200) {
        fputs(done ? done : answer.body ? answer.body : "", stdout);
    } else {
        fprintf(stderr, "diplex: %s", answer.body ? answer.body : "no answer\n");
        exit_code = CLI_USAGE;
    }
    free(answer.body);
    return exit_code;
}

int cli_maintenance(const struct cli_options *o)
{
    const char *name = o->rest_n > 1 ? o->rest[1] : "*";
    struct dx_text path, done;

    if (o->rest_n == 0)
        return ask(o, "GET", "/maintenance", NULL);
    bool on = strcmp(o->rest[0], "on") == 0;
    if (!on && strcmp(o->rest[0], "off") != 0) {
        fprintf(stderr, "diplex: maintenance is \"on\" or \"off\", not \"%s\"\n", o->rest[0]);
        return CLI_USAGE;
    }
    dx_text_init(&path);
    dx_text_init(&done);
    dx_text_addf(&path, "/maintenance?%s=", on ? "on" : "off");
    cli_add_escaped(&path, name);
    dx_text_addf(&done, "%s: maintenance is %s\n", strcmp(name, "*") == 0 ? "everything" : name,
                 on ? "on until `diplex maintenance off`" : "off");
    int exit_code = path.failed || done.failed ? CLI_FAILED : ask(o, "POST", path.p, done.p);
    dx_text_fini(&path);
    dx_text_fini(&done);
    return exit_code;
}
