/* SPDX-License-Identifier: MIT */
/* The program. A reader or a peer that goes away, and a file that has reached its limit, are errors to be
 * returned, never signals; and whoever writes to a standard stream reaches nothing else. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "diplex/cli.h"

/* Started with a standard stream closed, as `>&-` does, the next socket or pipe would get its number, and the
 * log would be written into that. */
static void fill_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return dx_cli_run(argc, argv);
}
