/* SPDX-License-Identifier: MIT */
/*
 * Completion: `diplex complete -- WORD...` is asked by a shell what the last of the words may become, and
 * answers from the tables of commands and options, and for servers and pools from the diplex that runs. So
 * the scripts for the shells, which `diplex completion` prints, know nothing themselves and never grow old.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/json.h"

#define ASK_TIMEOUT_MS 1000
#define FILES_WANTED   ":files" /* the shell's own completion of file names */

static const char bash[] = "# SPDX-License-Identifier: MIT\n"
                           "# Completion of diplex for bash, printed by `diplex completion bash`.\n"
                           "_diplex() {\n"
                           "    local line=${COMP_LINE:0:COMP_POINT} words current answer stem\n"
                           "    read -ra words <<<\"$line\"\n"
                           "    [[ $line == *[[:space:]] ]] && words+=('')\n"
                           "    current=${words[${#words[@]} - 1]}\n"
                           "    COMPREPLY=()\n"
                           "    while IFS=$'\\t' read -r answer _; do\n"
                           "        if [[ $answer == " FILES_WANTED " ]]; then\n"
                           "            compopt -o default 2>/dev/null\n"
                           "            COMPREPLY=()\n"
                           "            return\n"
                           "        fi\n"
                           "        COMPREPLY+=(\"$answer\")\n"
                           "    done < <(\"$1\" complete -- \"${words[@]:1}\" 2>/dev/null)\n"
                           "    # To readline a colon begins a new word.\n"
                           "    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
                           "        stem=${current%\"${current##*:}\"}\n"
                           "        COMPREPLY=(\"${COMPREPLY[@]#\"$stem\"}\")\n"
                           "    fi\n"
                           "}\n"
                           "complete -F _diplex diplex\n";

static const char zsh[] =
    "#compdef diplex\n"
    "# SPDX-License-Identifier: MIT\n"
    "# Completion of diplex for zsh, printed by `diplex completion zsh`.\n"
    "_diplex() {\n"
    "    local line word\n"
    "    local -a answers\n"
    "    for line in \"${(@f)$(\"${words[1]}\" complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\"; do\n"
    "        word=${line%%$'\\t'*}\n"
    "        if [[ $word == " FILES_WANTED " ]]; then\n"
    "            _files\n"
    "            return\n"
    "        fi\n"
    "        [[ -n $word ]] && answers+=(\"${word//:/\\\\:}:${line#*$'\\t'}\")\n"
    "    done\n"
    "    _describe diplex answers\n"
    "}\n"
    "if [[ ${funcstack[1]} == _diplex ]]; then\n"
    "    _diplex \"$@\"\n"
    "else\n"
    "    compdef _diplex diplex\n"
    "fi\n";

static const char fish[] =
    "# SPDX-License-Identifier: MIT\n"
    "# Completion of diplex for fish, printed by `diplex completion fish`.\n"
    "function __diplex_complete\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    $words[1] complete -- $words[2..-1] 2>/dev/null\n"
    "end\n"
    "complete -c diplex -f -a '(__diplex_complete | string match -v -- " FILES_WANTED ")'\n"
    "complete -c diplex -F -n '__diplex_complete | string match -q -- " FILES_WANTED "'\n";

int cli_completion(const struct cli_options *o)
{
    static const struct {
        const char *shell, *script;
    } scripts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < DX_COUNT(scripts); i++) {
        if (strcmp(scripts[i].shell, o->rest[0]) == 0) {
            fputs(scripts[i].script, stdout);
            return CLI_OK;
        }
    }
    fprintf(stderr, "diplex completion: for bash, zsh and fish, not \"%s\"\n", o->rest[0]);
    return CLI_USAGE;
}

/* ---- what a word may become ---- */

struct line {
    char **words;
    int n;             /* the last one is being completed; it may be empty */
    const char *first; /* that is neither an option nor its value, before that one and after the command */
};

static const char *current(const struct line *l) { return l->n ? l->words[l->n - 1] : ""; }

static void offer(const struct line *l, const char *word, const char *sentence)
{
    if (strncmp(word, current(l), strlen(current(l))) == 0)
        printf("%s\t%s\n", word, sentence);
}

/* The option that a word is, of a command. NULL: it is none. */
static const struct cli_option *option_of(const struct cli_command *c, const char *word)
{
    const struct cli_option *o;
    for (size_t i = 0; (o = cli_option_at(i)) != NULL; i++) {
        bool is_short = o->short_form[0] && strcmp(word, o->short_form) == 0;
        bool is_long = strncmp(word, "--", 2) == 0 && strcmp(word + 2, o->long_form) == 0;
        if ((is_short || is_long) && cli_option_of(c, o))
            return o;
    }
    return NULL;
}

static void offer_options(const struct line *l, const struct cli_command *c)
{
    const struct cli_option *o;
    char word[64];
    for (size_t i = 0; (o = cli_option_at(i)) != NULL; i++) {
        if (!cli_option_of(c, o))
            continue;
        snprintf(word, sizeof word, "--%s", o->long_form);
        offer(l, word, o->sentence);
        if (o->short_form[0] && strcmp(current(l), "-") == 0)
            offer(l, o->short_form, o->sentence);
    }
}

static void offer_commands(const struct line *l)
{
    const struct cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++)
        if (c->sentence)
            offer(l, c->name, c->sentence);
}

/* What answers may be anybody: nothing of it is to speak to the terminal. */
static void offer_name(const struct line *l, struct dx_slice name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= 0x20 || (unsigned char)name.p[i] >= 0x7f)
            return;
    if (dx_slice_starts(name, dx_slice_str(current(l))))
        printf("%.*s\t\n", DX_SLICE_ARGS(name));
}

/* A route as the configuration writes it; those beyond the board's room and what had none have no path. */
static void offer_route(const struct line *l, const struct json *route)
{
    struct dx_slice host = json_text(route, "host"), prefix = json_text(route, "prefix");
    struct dx_text name;
    if (prefix.n == 0 || prefix.p[0] != '/')
        return;
    dx_text_init(&name);
    dx_text_add(&name, host);
    dx_text_add(&name, prefix);
    if (!name.failed)
        offer_name(l, dx_slice_of(name.p, name.n));
    dx_text_fini(&name);
}

/* On: pools and routes. Off: what is on, but for everything, which needs no name. */
static void offer_switches(const struct line *l, const struct json *all)
{
    bool on = strcmp(l->first, "on") == 0;
    const struct json *name = on ? NULL : json_first(json_at(all, "maintenance"), "switched_on");
    for (; name; name = name->next)
        if (!dx_slice_eq(name->text, DX_SLICE("*")))
            offer_name(l, name->text);
    for (const struct json *route = on ? json_first(all, "routes") : NULL; route; route = route->next)
        offer_route(l, route);
}

static void offer_those_in(const struct line *l, struct dx_slice status, enum cli_words what)
{
    struct dx_arena arena;
    dx_arena_init(&arena, NULL, 0);
    const struct json *all = json_read(&arena, status);
    if (what == CLI_SWITCH)
        offer_switches(l, all);
    for (const struct json *pool = json_first(all, "pools"); pool; pool = pool->next) {
        if (what == CLI_POOLS || (what == CLI_SWITCH && strcmp(l->first, "on") == 0))
            offer_name(l, json_text(pool, "name"));
        const struct json *server = what == CLI_SERVERS ? json_first(pool, "servers") : NULL;
        for (; server; server = server->next)
            offer_name(l, json_text(server, "name"));
    }
    dx_arena_reset(&arena);
}

/* The running diplex is found as the command itself would find it, by the options that are on the line
 * already. */
static void offer_names(struct line *l, const struct cli_command *c, enum cli_words what)
{
    struct cli_options o = {0};
    struct dx_fetch_answer answer;
    int exit_code = CLI_OK;
    for (int i = 0; i + 1 < l->n; i++) {
        const struct cli_option *option = option_of(c, l->words[i]);
        if (option && option->letter == 'c')
            o.file = l->words[i + 1];
        else if (option && option->letter == 'a')
            o.admin = l->words[i + 1];
        else if (option && option->letter == 't')
            o.token_file = l->words[i + 1];
    }
    if (!cli_ask(&o, "GET", "/status?requests=no&config=no", ASK_TIMEOUT_MS, &answer, &exit_code))
        return;
    if (answer.status == 200 && answer.body)
        offer_those_in(l, dx_slice_str(answer.body), what);
    free(answer.body);
}

static void offer_all(const struct line *l, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        offer(l, words[i], "");
}

static const char *const levels[] = {"debug", "info", "warn", "error"};

static void offer_words(struct line *l, const struct cli_command *c, enum cli_words what)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    static const char *const shells[] = {"bash", "zsh", "fish"}, *const level[] = {"level"},
                             *const on_off[] = {"on", "off"};
    switch (what) {
    case CLI_NOTHING:
        return;
    case CLI_FILES:
        puts(FILES_WANTED);
        return;
    case CLI_COMMANDS:
        offer_commands(l);
        return;
    case CLI_METHODS:
        offer_all(l, methods, DX_COUNT(methods));
        return;
    case CLI_SHELLS:
        offer_all(l, shells, DX_COUNT(shells));
        return;
    case CLI_LEVEL:
        offer_all(l, level, DX_COUNT(level));
        return;
    case CLI_SWITCH:
        offer_all(l, on_off, DX_COUNT(on_off));
        return;
    case CLI_SERVERS:
    case CLI_POOLS:
        offer_names(l, c, what);
        return;
    }
}

/* Words that are neither options nor their values, before the current one. */
static int plain_words(struct line *l, const struct cli_command *c)
{
    int plain = 0;
    for (int i = 1; i < l->n - 1; i++) {
        const struct cli_option *o = option_of(c, l->words[i]);
        if (l->words[i][0] != '-' && !o && plain++ == 0)
            l->first = l->words[i];
        i += o && o->value;
    }
    return plain;
}

int cli_complete(const struct cli_options *o)
{
    struct line l = {o->rest, o->rest_n, NULL};
    const struct cli_command *c =
        l.n > 1 && l.words[0][0] != '-' ? cli_command_find(l.words[0]) : cli_command_find("run");
    if (l.n < 2 && current(&l)[0] != '-') {
        offer_commands(&l);
        return CLI_OK;
    }
    if (!c)
        return CLI_OK;
    const struct cli_option *before = l.n > 1 ? option_of(c, l.words[l.n - 2]) : NULL;
    if (before && before->value)
        offer_words(&l, c, before->complete);
    else if (current(&l)[0] == '-')
        offer_options(&l, c);
    else if (plain_words(&l, c) == 0)
        offer_words(&l, c, c->complete);
    else if (plain_words(&l, c) == 1 && c->complete == CLI_LEVEL)
        offer_all(&l, levels, DX_COUNT(levels));
    else if (plain_words(&l, c) == 1 && c->complete == CLI_SWITCH)
        offer_names(&l, c, CLI_SWITCH);
    return CLI_OK;
}
