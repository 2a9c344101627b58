/* SPDX-License-Identifier: MIT */
/* The program. A reader or a peer that goes away is an error to be returned, never a signal. */
#include <signal.h>

#include "diplex/cli.h"

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return dx_cli_run(argc, argv);
}
