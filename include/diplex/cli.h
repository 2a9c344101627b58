/* SPDX-License-Identifier: MIT */
/* The command line: subcommands and their options. */
#ifndef DIPLEX_CLI_H
#define DIPLEX_CLI_H

/* Exit codes of every subcommand: 0 done, 1 it failed, 2 usage or configuration. */
int dx_cli_run(int argc, char **argv);

#endif
