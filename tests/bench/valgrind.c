/* SPDX-License-Identifier: MIT */
/*
 * Lets valgrind look at the data process: preloaded into diplex, it puts the command in VALGRIND_DATA, one
 * word a line, in front of what control starts. Control execs /proc/self/exe, which under valgrind would be
 * valgrind itself; the last word of the command is therefore the program's path. Descriptors and the other
 * arguments stay as they are. Files that valgrind is to write to must be open to the user whom data becomes.
 * Built by valgrind.py, for counting (instructions.py) and for checking (tests/e2e/harness.py).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS = 32, COMMAND_BYTES = 4096 };

int execv(const char *path, char *const argv[])
{
    static char text[COMMAND_BYTES];
    char *words[ARGUMENTS], *rest = text;
    size_t count = 0;
    const char *command = getenv("VALGRIND_DATA");
    if (!command || strcmp(path, "/proc/self/exe") != 0)
        return execve(path, argv, environ);
    if (strlen(command) >= sizeof text) {
        errno = E2BIG;
        return -1;
    }
    strcpy(text, command);
    for (char *word; count < ARGUMENTS && (word = strsep(&rest, "\n")) != NULL;)
        words[count++] = word;
    for (size_t i = 1; argv[i]; i++) {
        if (count >= ARGUMENTS - 1) {
            errno = E2BIG;
            return -1;
        }
        words[count++] = argv[i];
    }
    words[count] = NULL;
    unsetenv("LD_PRELOAD"); /* or it would be loaded into what is looked at */
    return execve(words[0], words, environ);
}
