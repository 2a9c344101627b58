/* SPDX-License-Identifier: MIT */
/* `diplex hold` and `diplex release`: orders over the admin socket. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

#define HOLD_TIMEOUT_MS 10000

static int tell(const struct cli_options *o, const char *path, const char *more, const char *done)
{
    struct dx_fetch_answer answer;
    struct dx_text text;
    int exit_code = CLI_OK;
    dx_text_init(&text);
    dx_text_addf(&text, "%s?pool=", path);
    cli_add_escaped(&text, o->rest[0]);
    dx_text_adds(&text, more);
    bool asked = !text.failed && cli_ask(o, "POST", text.p, HOLD_TIMEOUT_MS, &answer, &exit_code);
    dx_text_fini(&text);
    if (!asked)
        return exit_code;
    if (answer.status == 200) {
        printf("%s: %s\n", o->rest[0], done);
    } else {
        fprintf(stderr, "diplex: %s", answer.body ? answer.body : "no answer\n");
        exit_code = CLI_USAGE;
    }
    free(answer.body);
    return exit_code;
}

int cli_hold(const struct cli_options *o)
{
    if (o->writes)
        return tell(o, "/hold", "&methods=unsafe",
                    "requests with unsafe methods are held until `diplex release`");
    return tell(o, "/hold", "", "all new requests are held until `diplex release`");
}

int cli_release(const struct cli_options *o) { return tell(o, "/release", "", "released"); }
