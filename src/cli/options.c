/* SPDX-License-Identifier: MIT */
/* Options, and the configuration they name. */
#include <getopt.h>
#include <stdio.h>

#include "cli/cli.h"

#define HELP_COLUMN 22
#define HELP_WIDTH  80

static const struct cli_option options[] = {
#define OPTION(letter, short_form, long_form, value, complete, sentence) \
    {letter, short_form, long_form, value, CLI_##complete, sentence},
#include "cli/options.def"
};

#define LETTERS_BYTES (2 * DX_COUNT(options) + 2)

const struct cli_option *cli_option_at(size_t i) { return i < DX_COUNT(options) ? &options[i] : NULL; }

bool cli_option_of(const struct cli_command *c, const struct cli_option *o)
{
    return o->letter == 'h' || strchr(c->options, o->letter);
}

/* The sentence below its column, broken between words. */
static void print_sentence(const char *sentence)
{
    for (size_t at = HELP_COLUMN; *sentence;) {
        size_t n = strcspn(sentence, " "), next = n + strspn(sentence + n, " ");
        bool fits = at + 1 + n <= HELP_WIDTH;
        if (at == HELP_COLUMN)
            printf("%.*s", (int)n, sentence);
        else if (fits)
            printf(" %.*s", (int)n, sentence);
        else
            printf("\n%*s%.*s", HELP_COLUMN, "", (int)n, sentence);
        at = (fits ? at + 1 : HELP_COLUMN + 1) + n;
        sentence += next;
    }
    puts("");
}

void cli_options_print(const struct cli_command *c)
{
    char left[HELP_COLUMN * 2];
    bool any = false;
    for (size_t i = 0; i < DX_COUNT(options); i++) {
        const struct cli_option *o = &options[i];
        if (!strchr(c->options, o->letter))
            continue;
        printf("%s", any ? "" : "\n");
        any = true;
        snprintf(left, sizeof left, "  %2s%s --%s%s%s", o->short_form, o->short_form[0] ? "," : " ",
                 o->long_form, o->value ? " " : "", o->value ? o->value : "");
        printf("%-*s", HELP_COLUMN, left);
        print_sentence(o->sentence);
    }
}

/* What getopt_long wants, made of the rows. The leading ':' tells a missing value from an unknown option. */
static void getopt_tables(struct option longs[DX_COUNT(options) + 1], char letters[LETTERS_BYTES])
{
    char *to = letters;
    *to++ = ':';
    for (size_t i = 0; i < DX_COUNT(options); i++) {
        const struct cli_option *o = &options[i];
        longs[i] = (struct option){o->long_form, o->value ? required_argument : no_argument, NULL, o->letter};
        if (!o->short_form[0])
            continue;
        *to++ = o->letter;
        if (o->value)
            *to++ = ':';
    }
    longs[DX_COUNT(options)] = (struct option){NULL, 0, NULL, 0};
    *to = '\0';
}

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
    case 'o':
        o->output = optarg;
        return true;
    case 'S':
        o->to_stdout = true;
        return true;
    case 'F':
        o->force = true;
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
    case 't':
        o->token_file = optarg;
        return true;
    case '1':
        o->once = true;
        return true;
    case 'j':
        o->json = true;
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
    struct option longs[DX_COUNT(options) + 1];
    char letters[LETTERS_BYTES];
    struct cli_options o = {0};
    int letter;
    getopt_tables(longs, letters);
    opterr = 0;
    while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
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

/* What the configuration names beside itself. */
static bool load_pages(const struct cli_loaded *l, struct dx_text *report)
{
    struct dx_config_faults faults = {0};
    bool good = dx_config_pages_read(l->config, &faults);
    if (!good)
        dx_config_faults_print(&faults, dx_slice_of(l->source.text, l->source.n), l->source.name, report);
    dx_config_faults_fini(&faults);
    return good;
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
    struct cli_loaded loaded = {{NULL, 0, NULL}, NULL};
    struct dx_text text;
    dx_text_init(&text);
    if (!cli_load(o->file, &loaded, &text) || !load_pages(&loaded, &text)) {
        cli_loaded_fini(&loaded);
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
