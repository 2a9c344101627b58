/* SPDX-License-Identifier: MIT */
/* The table of subcommands, and the way from argv to one of them. */
#include "cli/cli.h"

#include <stdio.h>

#include "diplex/worker.h"

#define HANDOVER_FD     3
#define DATA_LETTERS_FD 3 /* where control puts its end of the letters */

static int run(const struct cli_options *o) { return dx_control_run(o->file); }

static int data(const struct cli_options *o)
{
    (void)o;
    return dx_data_run(DATA_LETTERS_FD);
}

static int rehearse(const struct cli_options *o) { return dx_control_rehearse(o->file, HANDOVER_FD); }

static int version(const struct cli_options *o)
{
    (void)o;
    puts("diplex " DIPLEX_VERSION);
    return CLI_OK;
}

static int help(const struct cli_options *o)
{
    const struct cli_command *c = o->rest_n ? cli_command_find(o->rest[0]) : NULL;
    if (o->rest_n && !c)
        return cli_unknown(o->rest[0]);
    cli_help(c);
    return CLI_OK;
}

static int schema(const struct cli_options *o)
{
    struct dx_text text;
    (void)o;
    dx_text_init(&text);
    dx_config_schema(&text);
    return cli_print(&text);
}

static const struct cli_command commands[] = {
    {"run", "c", 0, 0, run, "[-c FILE]", "serve; also what `diplex` alone does",
     "SIGTERM and SIGINT stop it, running requests may finish; a second one stops it at once.\n"
     "SIGHUP reads the file again, SIGUSR1 opens the files of its logs again, SIGUSR2 upgrades.\n",
     CLI_NOTHING},
    {"check", "cq", 0, 0, cli_check, "[-c FILE] [-q]", "check a configuration and print what is in force", "",
     CLI_NOTHING},
    {"init", "oSF", 0, 1, cli_init, "[COMPOSE] [-o FILE] [--stdout] [--force]",
     "write a first configuration, from a compose file if there is one",
     "COMPOSE is a compose file or its folder; without it the current one. Services that run gunicorn,\n"
     "uvicorn, daphne or hypercorn become pools, with what their commands, scripts and files say of ports,\n"
     "workers, time-outs and health. Nothing is run. Each value says where it comes from, and what could "
     "not\n"
     "be found out has a question mark. Exit code 1: there is a file already, or no such service.\n",
     CLI_FILES},
    {"explain", "cHf", 2, 2, cli_explain, "METHOD URL [-c FILE] [-H FIELD]... [-f IP]",
     "say where a request would go, and why",
     "URL is http://host[:port]/path, or /path alone. Nothing is sent. Exit code 1: diplex itself\n"
     "would refuse.\n",
     CLI_METHODS},
    {"healthcheck", "cat", 0, 0, cli_healthcheck, "[-c FILE] [-a PATH]",
     "exit 0 when the running diplex serves", "", CLI_NOTHING},
    {"reload", "cat", 0, 0, cli_reload, "[-c FILE] [-a PATH]",
     "make the running diplex read its file again, and wait for it",
     "The running diplex reads the file it was started with. Exit code 2: it is faulty, nothing has\n"
     "changed, the faults are printed; 1: nothing answers.\n",
     CLI_NOTHING},
    {"upgrade", "cat", 0, 0, cli_upgrade, "[-c FILE] [-a PATH]",
     "put the program file that stands there now in the place of the running one",
     "No connection is lost: the new program takes the sockets over, and what the old one has begun it\n"
     "ends. SIGUSR2 does the same without an answer. Exit code 2: the new program or the configuration is "
     "no\n"
     "good, and the old one goes on; 1: nothing answers, or not now.\n",
     CLI_NOTHING},
    {"reopen", "cat", 0, 0, cli_reopen, "[-c FILE] [-a PATH]",
     "make the running diplex open its log files again",
     "For logrotate, after it has moved them; SIGUSR1 does the same without an answer. Exit code 1: one\n"
     "cannot be opened, and the old one goes on, or nothing answers.\n",
     CLI_NOTHING},
    {"status", "catj", 0, 0, cli_status, "[--json] [-c FILE] [-a PATH]",
     "print how the running diplex is: pools, servers, slots, who waits, what runs",
     "Colours only on a terminal, and not with NO_COLOR. --json is for programs; docs/admin.md describes "
     "it.\n"
     "Exit code 0: it was told, whatever it is; 1: nothing answers; 2: the configuration is faulty.\n",
     CLI_NOTHING},
    {"top", "cat1", 0, 0, cli_top, "[--once] [-c FILE] [-a PATH]",
     "watch the running diplex: requests a second, latency, slots, queues, what runs longest",
     "q ends it, p stops the picture, s sorts by another column, arrows or j and k scroll.\n"
     "Exit code 1: nothing answered when it began.\n",
     CLI_NOTHING},
    {"log", "cat", 2, 2, cli_log, "level LEVEL [-c FILE] [-a PATH]",
     "change the level of the running diplex's own log until its next reload",
     "LEVEL is debug, info, warn or error.\n", CLI_LEVEL},
    {"drain", "catw", 1, 1, cli_drain, "SERVER [-w TIME] [-c FILE] [-a PATH]",
     "send a server no new request until `diplex undrain`",
     "SERVER is a name as in the configuration, which means every address behind it, or an address, or\n"
     "name@address; with POOL/ before it where more than one pool has such a server. What runs there may\n"
     "finish, streams and WebSockets too. It stays drained over reloads, while the file names it.\n"
     "Exit code 1: something still runs there after TIME, or nothing answers; 2: there is no such server.\n",
     CLI_SERVERS},
    {"undrain", "cat", 1, 1, cli_undrain, "SERVER [-c FILE] [-a PATH]",
     "send a drained server requests again", "", CLI_SERVERS},
    {"hold", "catW", 1, 1, cli_hold, "POOL [--writes] [-c FILE] [-a PATH]",
     "keep a pool's new requests waiting until `diplex release`",
     "For a migration, or a restart that diplex cannot see. Requests that run already go on. Each waits at\n"
     "most hold.wait of the pool (30s where its hold is off), and no more than hold.max of them; past that\n"
     "they are answered 503. It lasts over reloads. Exit code 2: there is no such pool; 1: nothing\n"
     "answers.\n",
     CLI_POOLS},
    {"release", "cat", 1, 1, cli_release, "POOL [-c FILE] [-a PATH]",
     "let the requests go on that `diplex hold` keeps", "", CLI_POOLS},
    {"maintenance", "cat", 0, 2, cli_maintenance, "[on|off [POOL|ROUTE]] [-c FILE] [-a PATH]",
     "answer in place of the application while it is worked on",
     "ROUTE is written as in the configuration: /shop/ or example.com/; without a name it is everything.\n"
     "Clients get the page of `maintenance` in the configuration, those in its `allow` the application. It\n"
     "takes effect at once, lasts over reloads and upgrades, and ends with `off` or with diplex. Without "
     "`on`\n"
     "and `off` it prints what is on. Exit code 2: there is no such pool or route; 1: nothing answers.\n",
     CLI_SWITCH},
    {"version", "", 0, 0, version, "", "print the version", "", CLI_NOTHING},
    {"help", "", 0, 1, help, "[COMMAND]", "print this, or the help of one command", "", CLI_COMMANDS},
    {"manual", "", 0, 1, cli_manual, "[PAGE]", NULL,
     "Prints docs/configuration.md, or the manual page diplex.1 or diplex.yaml.5.\n", CLI_NOTHING},
    {"schema", "", 0, 0, schema, "", NULL, "Prints config/diplex.schema.json.\n", CLI_NOTHING},
    {"completion", "", 1, 1, cli_completion, "SHELL", NULL,
     "Prints the completion script for bash, zsh or fish: `source <(diplex completion bash)`.\n", CLI_SHELLS},
    {"complete", "", 0, CLI_WORDS_MAX, cli_complete, "-- WORD...", NULL,
     "Prints what the last of the words of a command line may become; asked by the shells' completion.\n",
     CLI_NOTHING},
    {"rehearse", "c", 0, 0, rehearse, "[-c FILE]", NULL,
     "Says whether this program can take over from a running one; started by `diplex run` only.\n",
     CLI_NOTHING},
    {"data", "", 0, 0, data, "", NULL, "The data process; started by `diplex run` only.\n", CLI_NOTHING},
};

const struct cli_command *cli_command_at(size_t i) { return i < DX_COUNT(commands) ? &commands[i] : NULL; }

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < DX_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

void cli_help(const struct cli_command *c)
{
    if (c) {
        printf("usage: diplex %s%s%s\n", c->name, c->usage[0] ? " " : "", c->usage);
        cli_options_print(c);
        printf("%s%s", c->help[0] ? "\n" : "", c->help);
        return;
    }
    puts("usage: diplex [COMMAND] [OPTIONS]\n\nOne port, two Djangos: sends requests to gunicorn and uvicorn "
         "by their path.\n");
    for (size_t i = 0; i < DX_COUNT(commands); i++)
        if (commands[i].sentence)
            printf("  %-12s %s\n", commands[i].name, commands[i].sentence);
    puts("\n`diplex help COMMAND` says more. Exit codes: 0 done, 1 it failed, 2 usage or configuration.");
}

/* ---- did you mean ---- */

/* How many letters have to be changed, added, or left out, counted along one row. */
static size_t edits(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);
    if (n >= DX_COUNT(row))
        return n;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t changed = diagonal + (a[i] != b[j - 1]);
            diagonal = row[j];
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = changed < other ? changed : other;
        }
    }
    return row[n];
}

int cli_unknown(const char *word)
{
    const char *near = NULL;
    size_t best = strlen(word) / 2 + 2; /* about half of it has to be right */
    for (size_t i = 0; i < DX_COUNT(commands); i++) {
        size_t distance = commands[i].sentence ? edits(word, commands[i].name) : best;
        if (distance < best) {
            best = distance;
            near = commands[i].name;
        }
    }
    fprintf(stderr, "diplex: there is no command \"%s\"", word);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?\n", near);
    else
        fputs("; `diplex help` lists them\n", stderr);
    return CLI_USAGE;
}

int dx_cli_run(int argc, char **argv)
{
    struct cli_options options;
    int exit_code = CLI_OK;
    const struct cli_command *c = cli_command_find("run");
    const char *first = argc > 1 ? argv[1] : "";
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0)
        return version(NULL);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        cli_help(NULL);
        return CLI_OK;
    }
    if (first[0] && first[0] != '-') {
        c = cli_command_find(first);
        if (!c)
            return cli_unknown(first);
        argc--;
        argv++;
    }
    if (argc < 1 || !c)
        return CLI_USAGE;
    return cli_options_parse(c, argc, argv, &options, &exit_code) ? c->run(&options) : exit_code;
}
