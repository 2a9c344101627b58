/* SPDX-License-Identifier: MIT */
/* `diplex drain` and `diplex undrain`: orders over the admin socket, and waiting until nothing runs any more.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "diplex/base/units.h"
#include "diplex/os/clock.h"

#define DRAIN_TIMEOUT_MS 10000
#define LOOK_EVERY_MS    100

struct drained { /* what the running diplex says of the server */
    uint64_t addresses, drained, active, connections, pool_up;
};

/* A number of the answer, whose form is our own. */
static uint64_t number_of(const char *json, const char *key)
{
    const char *at = json ? strstr(json, key) : NULL;
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

void cli_add_escaped(struct dx_text *out, const char *s)
{
    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
        dx_text_addf(out, plain ? "%c" : "%%%02X", plain ? *s : (unsigned char)*s);
    }
}

static bool tell(const struct cli_options *o, const char *method, const char *path, struct drained *out,
                 int *exit_code)
{
    struct dx_fetch_answer answer;
    struct dx_text text;
    dx_text_init(&text);
    dx_text_addf(&text, "%s?server=", path);
    cli_add_escaped(&text, o->rest[0]);
    bool asked = !text.failed && cli_ask(o, method, text.p, DRAIN_TIMEOUT_MS, &answer, exit_code);
    dx_text_fini(&text);
    if (!asked)
        return false;
    bool ok = answer.status == 200;
    if (ok)
        *out = (struct drained){.addresses = number_of(answer.body, "\"addresses\":"),
                                .drained = number_of(answer.body, "\"drained\":"),
                                .active = number_of(answer.body, "\"active\":"),
                                .connections = number_of(answer.body, "\"connections\":"),
                                .pool_up = number_of(answer.body, "\"pool_up\":")};
    else
        fprintf(stderr, "diplex: %s", answer.body ? answer.body : "no answer\n");
    free(answer.body);
    if (!ok)
        *exit_code = CLI_USAGE;
    return ok;
}

static void print(const struct cli_options *o, const struct drained *d)
{
    printf("%s: drained, %" PRIu64 " running", o->rest[0], d->active);
    if (d->addresses != 1)
        printf(" on %" PRIu64 " addresses", d->addresses);
    puts("");
    if (d->pool_up == 0)
        puts("its pool has no other server that is up");
}

/* A connection is open from before its request counts until after it: with the last one gone nothing runs.
 * The first look is a moment after the order, which a worker may just have missed. */
static bool wait_for_end(const struct cli_options *o, uint64_t wait_ms, struct drained *d, int *exit_code)
{
    uint64_t until_us = dx_clock_us() + wait_ms * 1000;
    do {
        usleep(LOOK_EVERY_MS * 1000);
        if (!tell(o, "GET", "/drain", d, exit_code))
            return false;
        if (d->drained < d->addresses) {
            fprintf(stderr, "diplex: %s was taken back meanwhile\n", o->rest[0]);
            *exit_code = CLI_FAILED;
            return false;
        }
    } while (d->active + d->connections > 0 && dx_clock_us() < until_us);
    return true;
}

int cli_drain(const struct cli_options *o)
{
    struct drained d = {0};
    uint64_t wait_ms = 0;
    int exit_code = CLI_OK;
    if (o->wait && !dx_units_duration_ms(dx_slice_str(o->wait), &wait_ms)) {
        fprintf(stderr, "diplex drain: --wait takes a duration with its unit, such as 30s\n");
        return CLI_USAGE;
    }
    if (!tell(o, "POST", "/drain", &d, &exit_code))
        return exit_code;
    if (o->wait && !wait_for_end(o, wait_ms, &d, &exit_code))
        return exit_code;
    print(o, &d);
    return o->wait && d.active + d.connections > 0 ? CLI_FAILED : CLI_OK;
}

int cli_undrain(const struct cli_options *o)
{
    struct drained d = {0};
    int exit_code = CLI_OK;
    if (!tell(o, "POST", "/undrain", &d, &exit_code))
        return exit_code;
    printf("%s: not drained\n", o->rest[0]);
    return CLI_OK;
}
