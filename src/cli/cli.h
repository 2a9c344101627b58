/* SPDX-License-Identifier: MIT */
/* The inside of the command line: the table of subcommands and what they share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "diplex/cli.h"
#include "diplex/config.h"
#include "diplex/fetch.h"
#include "diplex/supervise.h"

enum { CLI_OK, CLI_FAILED, CLI_USAGE };

#define CLI_FIELDS_MAX 64
#define CLI_WORDS_MAX  4096 /* of a command line that is being completed */

/* All options there are; a command takes those that its row names. */
struct cli_options {
    const char *file, *admin, *token_file, *from, *wait, *output;
    bool quiet, writes, json, once, to_stdout, force;
    const char *fields[CLI_FIELDS_MAX];
    unsigned fields_n;
    char **rest; /* what is no option */
    int rest_n;
};

/* What a word of the command line may be: shells complete it. */
enum cli_words {
    CLI_NOTHING,
    CLI_FILES,
    CLI_COMMANDS,
    CLI_METHODS,
    CLI_SHELLS,
    CLI_LEVEL,   /* `level`, and then one of the log */
    CLI_SERVERS, /* these two as the running diplex knows them */
    CLI_POOLS,
    CLI_SWITCH, /* `on` or `off`, and then what there is to switch so */
};

struct cli_option { /* a row of options.def */
    char letter;
    const char *short_form, *long_form, *value;
    enum cli_words complete;
    const char *sentence;
};

struct cli_command {
    const char *name;
    const char *options; /* their letters */
    int rest_min, rest_max;
    int (*run)(const struct cli_options *o);
    const char *usage, *sentence; /* sentence NULL: not listed in the help */
    const char *help;
    enum cli_words complete; /* its first word that is no option */
};

const struct cli_command *cli_command_find(const char *name);
const struct cli_command *cli_command_at(size_t i); /* NULL: past the last one */
const struct cli_option *cli_option_at(size_t i);
bool cli_option_of(const struct cli_command *c, const struct cli_option *o); /* does it take it? */
void cli_options_print(const struct cli_command *c);
void cli_help(const struct cli_command *c); /* NULL: of the program */
/* "unknown command" with the nearest one. */
int cli_unknown(const char *word);

/* True: go on. False: *exit_code says how it ended (0 after --help). */
bool cli_options_parse(const struct cli_command *c, int argc, char **argv, struct cli_options *out,
                       int *exit_code) DX_CHECKED;

/* A configuration and the text it came from. With faults these are printed to standard error. */
struct cli_loaded {
    struct dx_control_source source;
    struct dx_config *config;
};
bool cli_load(const char *file, struct cli_loaded *out, struct dx_text *faults) DX_CHECKED;
void cli_loaded_fini(struct cli_loaded *l);
int cli_print(struct dx_text *t); /* to standard output, and frees it; the exit code */

/* Asks the running diplex. False: *exit_code, and the reason was printed. The answer's body is the caller's.
 */
bool cli_ask(const struct cli_options *o, const char *method, const char *path, uint64_t timeout_ms,
             struct dx_fetch_answer *answer, int *exit_code) DX_CHECKED;

/* The same without a word: *why says it. */
bool cli_try(const struct cli_options *o, const char *method, const char *path, uint64_t timeout_ms,
             struct dx_fetch_answer *answer, struct dx_text *why) DX_CHECKED;

/* What a word of the command line is within a query: all but letters and digits escaped (RFC 3986 2.1). */
void cli_add_escaped(struct dx_text *out, const char *s);

int cli_check(const struct cli_options *o);
int cli_complete(const struct cli_options *o);
int cli_completion(const struct cli_options *o);
int cli_drain(const struct cli_options *o);
int cli_explain(const struct cli_options *o);
int cli_healthcheck(const struct cli_options *o);
int cli_hold(const struct cli_options *o);
int cli_release(const struct cli_options *o);
int cli_init(const struct cli_options *o);
int cli_maintenance(const struct cli_options *o);
int cli_manual(const struct cli_options *o);
int cli_reload(const struct cli_options *o);
int cli_upgrade(const struct cli_options *o);
int cli_reopen(const struct cli_options *o);
int cli_status(const struct cli_options *o);
int cli_log(const struct cli_options *o);
int cli_top(const struct cli_options *o);
int cli_undrain(const struct cli_options *o);

#endif
