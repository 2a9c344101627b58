/* SPDX-License-Identifier: MIT */
/* `diplex log level LEVEL`: how much the running diplex writes to its own log. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

#define LOG_TIMEOUT_MS 10000

int cli_log(const struct cli_options *o)
{
    struct dx_fetch_answer answer;
    struct dx_text path;
    enum dx_log_level level;
    int exit_code = CLI_OK;
    if (strcmp(o->rest[0], "level") != 0 || !dx_log_level_parse(dx_slice_str(o->rest[1]), &level)) {
        fputs("diplex log: it is `diplex log level debug`, or info, warn, error\n", stderr);
        return CLI_USAGE;
    }
    dx_text_init(&path);
    dx_text_addf(&path, "/log?level=%s", o->rest[1]);
    bool asked = !path.failed && cli_ask(o, "POST", path.p, LOG_TIMEOUT_MS, &answer, &exit_code);
    dx_text_fini(&path);
    if (!asked)
        return exit_code;
    if (answer.status == 200) {
        printf("the log's level is %s until the next reload or restart\n", o->rest[1]);
    } else {
        fprintf(stderr, "diplex: %s", answer.body ? answer.body : "no answer\n");
        exit_code = CLI_FAILED;
    }
    free(answer.body);
    return exit_code;
}
