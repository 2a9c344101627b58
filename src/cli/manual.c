/* SPDX-License-Identifier: MIT */
/* `diplex manual`: the reference in Markdown, and the manual pages, all from the tables of the program. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/roff.h"
#include "diplex/board.h"
#include "diplex/proxy.h"

static void add_options(struct dx_text *md)
{
    const struct cli_option *o;
    const struct cli_command *c;
    dx_text_adds(md, "## Options\n\n| option | |\n|---|---|\n");
    for (size_t i = 0; (o = cli_option_at(i)) != NULL; i++) {
        dx_text_addf(md, "| `%s%s--%s`%s%s | %s (", o->short_form, o->short_form[0] ? "`, `" : "",
                     o->long_form, o->value ? " " : "", o->value ? o->value : "", o->sentence);
        bool of_all = o->letter == 'h';
        const char *before = "";
        for (size_t k = 0; !of_all && (c = cli_command_at(k)) != NULL; k++) {
            if (!cli_option_of(c, o))
                continue;
            dx_text_addf(md, "%s`%s`", before, c->name);
            before = ", ";
        }
        dx_text_adds(md, of_all ? "all commands). |\n" : "). |\n");
    }
}

static void add_commands(struct dx_text *md)
{
    const struct cli_command *c;
    dx_text_adds(md, "\n## Commands\n\n");
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++)
        if (c->sentence)
            dx_text_addf(md, "### diplex %s%s%s\n\n%s\n\n%s%s", c->name, c->usage[0] ? " " : "", c->usage,
                         c->sentence, c->help, c->help[0] ? "\n" : "");
}

static void add_counters(struct dx_text *md)
{
    dx_text_adds(
        md, "\n## Counters\n\n`diplex status` prints these among `counters`.\n\n| name | |\n|---|---|\n");
    for (unsigned i = 0; i < DX_COUNTER_COUNT; i++)
        dx_text_addf(md, "| `%s` | %s |\n", dx_counter_name((enum dx_counter)i),
                     dx_counter_sentence((enum dx_counter)i));
}

static const char description[] = "## Description\n"
                                  "\n"
                                  "`diplex` is an edge proxy for Django projects that run sync views under "
                                  "gunicorn and async views under uvicorn. It "
                                  "listens on one port and sends each request, by its host and path, to a "
                                  "pool of servers that are all of one kind. "
                                  "Without a command it serves, as `diplex run` does.\n"
                                  "\n";

static const char signals_and_files[] =
    "\n## Signals\n"
    "\n"
    "| signal | |\n"
    "|---|---|\n"
    "| `SIGTERM`, `SIGINT` | Stop: requests that run may finish within `shutdown_timeout`. A second one "
    "stops at once. |\n"
    "| `SIGHUP` | Read the file again, as `diplex reload` does. |\n"
    "| `SIGUSR2` | Put the program file that stands there now in our place, as `diplex upgrade` does. |\n"
    "\n"
    "## Exit status\n"
    "\n"
    "| code | |\n"
    "|---|---|\n"
    "| 0 | It is done. |\n"
    "| 1 | It failed; nothing answers; not healthy. |\n"
    "| 2 | Usage, or a faulty configuration: every fault is on standard error. |\n"
    "\n"
    "## Files\n"
    "\n"
    "| file | |\n"
    "|---|---|\n"
    "| `./diplex.yaml`, `/etc/diplex/diplex.yaml` | The configuration, where none is named: the first that "
    "is there. |\n"
    "| `/run/diplex/admin.sock` | The admin socket of a diplex that root or systemd started. |\n"
    "\n"
    "## Environment\n"
    "\n"
    "| variable | |\n"
    "|---|---|\n"
    "| `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID` | How a service manager is told, see "
    "`systemd.service`(5). |\n"
    "| `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES` | Sockets that it opened, see `systemd.socket`(5). |\n"
    "| `XDG_RUNTIME_DIR` | Where the admin socket is, for users other than root. |\n"
    "\n"
    "Any variable may stand in the configuration as `${NAME}`.\n"
    "\n"
    "## Outcomes\n"
    "\n"
    "How a request can end: the word is `outcome` in the access log, the number the status that diplex "
    "answers by itself.\n"
    "\n";

static void end_page(struct dx_text *out, struct dx_text *md, const char *see_also)
{
    cli_roff_add(out, dx_slice_of(md->p, md->n));
    out->failed |= md->failed;
    dx_text_fini(md);
    dx_text_addf(out, ".SH SEE ALSO\n%s\n", see_also);
}

static void page_of_program(struct dx_text *out)
{
    struct dx_text md;
    dx_text_init(&md);
    dx_text_adds(out, ".TH DIPLEX 1 \"\" \"diplex " DIPLEX_VERSION "\" \"User commands\"\n"
                      ".SH NAME\ndiplex \\- one port, two Djangos\n"
                      ".SH SYNOPSIS\n.B diplex\n[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]\n");
    dx_text_adds(&md, description);
    add_options(&md);
    add_commands(&md);
    dx_text_adds(&md, signals_and_files);
    dx_proxy_print_outcomes(&md);
    add_counters(&md);
    end_page(out, &md, ".BR diplex.yaml (5),\n.BR systemd.socket (5)");
}

static void page_of_file(struct dx_text *out)
{
    struct dx_text md;
    dx_text_init(&md);
    dx_text_adds(out, ".TH DIPLEX.YAML 5 \"\" \"diplex " DIPLEX_VERSION "\" \"File formats\"\n"
                      ".SH NAME\ndiplex.yaml \\- configuration of diplex\n"
                      ".SH DESCRIPTION\n");
    dx_config_manual(&md);
    end_page(out, &md, ".BR diplex (1)");
}

static const struct page {
    const char *name;
    void (*write)(struct dx_text *out);
} pages[] = {
    {"configuration.md", dx_config_manual},
    {"diplex.1", page_of_program},
    {"diplex.yaml.5", page_of_file},
};

int cli_manual(const struct cli_options *o)
{
    struct dx_text text;
    const char *name = o->rest_n ? o->rest[0] : pages[0].name;
    for (size_t i = 0; i < DX_COUNT(pages); i++) {
        if (strcmp(pages[i].name, name) != 0)
            continue;
        dx_text_init(&text);
        pages[i].write(&text);
        return cli_print(&text);
    }
    fprintf(stderr, "diplex manual: there is no page \"%s\"; there are", name);
    for (size_t i = 0; i < DX_COUNT(pages); i++)
        fprintf(stderr, "%s %s", i ? "," : "", pages[i].name);
    fputs("\n", stderr);
    return CLI_USAGE;
}
