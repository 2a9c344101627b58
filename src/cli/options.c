/* SPDX-License-Identifier: MIT */
/* Options, and the configuration they name. */
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"

static const struct option longs[] = {
    {"config", required_argument, NULL, 'c'},
    {"quiet", no_argument, NULL, 'q'},
    {"admin", required_argument, NULL, 'a'},
    {"header", required_argument, NULL, 'H'},
    {"from", required_argument, NULL, 'f'},
    {"wait", required_argument, NULL, 'w'},
    {"writes", no_argument, NULL, 'W'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool complain(const struct cli_command *c, int *exit_code, const char *what)
{
    fprintf(stderr, "diplex %s: %s\nusage: diplex %s %s\n", c->name, what, c->name, c->usage);
    *exit_code = CLI_USAGE;
    return false;
}

static bool take(const struct cli_command *c, int letter, struct cli_options *o, int *exit_code)
{
    switch (letter) {
    case 'c':
        o->file = optarg;
        return true;
    case 'q':
        o->quiet = true;
        return true;
    case 'a':
        o->admin = optarg;
        return true;
    case 'f':
        o->from = optarg;
        return true;
    case 'W':
        o->writes = true;
        return true;
    case 'w':
        o->wait = optarg;
        return true;
    default:
        if (o->fields_n == CLI_FIELDS_MAX)
            return complain(c, exit_code, "too many header fields");
        o->fields[o->fields_n++] = optarg;
        return true;
    }
}

bool cli_options_parse(const struct cli_command *c, int argc, char **argv, struct cli_options *out,
                       int *exit_code)
{
    struct cli_options o = {0};
    int letter;
    opterr = 0;
    while ((letter = getopt_long(argc, argv, ":c:qa:H:f:w:Wh", longs, NULL)) != -1) {
        if (letter == 'h') {
            cli_help(c);
            *exit_code = CLI_OK;
            return false;
        }
        if (letter == ':')
            return complain(c, exit_code, "an option lacks its value");
        if (letter == '?' || !strchr(c->options, letter))
            return complain(c, exit_code, "there is no such option");
        if (!take(c, letter, &o, exit_code))
            return false;
    }
    o.rest = argv + optind;
    o.rest_n = argc - optind;
    if (o.rest_n < c->rest_min)
        return complain(c, exit_code, "something is missing");
    if (o.rest_n > c->rest_max)
        return complain(c, exit_code, "too many words");
    *out = o;
    return true;
}

bool cli_load(const char *file, struct cli_loaded *out, struct dx_text *report)
{
    struct dx_err err = {{0}};
    struct dx_config_faults faults = {0};
    struct cli_loaded l = {{NULL, 0, NULL}, NULL};
    if (!dx_control_source_read(file, &l.source, &err)) {
        dx_text_addf(report, "error: %s\n", err.text);
        return false;
    }
    struct dx_slice text = dx_slice_of(l.source.text, l.source.n);
    l.config = dx_config_parse(text, l.source.name, dx_control_env, NULL, &faults);
    if (!l.config)
        dx_config_faults_print(&faults, text, l.source.name, report);
    dx_config_faults_fini(&faults);
    if (!l.config) {
        cli_loaded_fini(&l);
        return false;
    }
    *out = l;
    return true;
}

void cli_loaded_fini(struct cli_loaded *l)
{
    dx_config_free(&l->config);
    dx_control_source_fini(&l->source);
}

int cli_print(struct dx_text *t)
{
    bool whole = !t->failed;
    if (whole)
        fwrite(t->p ? t->p : "", 1, t->n, stdout);
    else
        fputs("diplex: out of memory\n", stderr);
    dx_text_fini(t);
    return whole ? CLI_OK : CLI_FAILED;
}

int cli_check(const struct cli_options *o)
{
    struct cli_loaded loaded;
    struct dx_text text;
    dx_text_init(&text);
    if (!cli_load(o->file, &loaded, &text)) {
        fwrite(text.p ? text.p : "", 1, text.n, stderr);
        if (text.failed)
            fputs("diplex: out of memory\n", stderr);
        dx_text_fini(&text);
        return CLI_USAGE;
    }
    if (!o->quiet)
        dx_config_print(loaded.config, &text);
    int exit_code = cli_print(&text);
    cli_loaded_fini(&loaded);
    return exit_code;
}
