/* SPDX-License-Identifier: MIT */
/*
 * Lets callgrind count the data process alone: preloaded into diplex, it puts valgrind in front of what
 * control starts. Control execs /proc/self/exe, which under valgrind would be valgrind itself; here it stays
 * outside, and valgrind is given the program's path. Descriptors and the other arguments stay as they are.
 * From the environment: CALLGRIND is valgrind, CALLGRIND_PROGRAM the program's file, CALLGRIND_OUT where the
 * counts go (a file that the user may write whom data becomes) and CALLGRIND_LOG where valgrind's own words
 * do. Built and used by instructions.py alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ARGUMENTS = 16, PATH_BYTES = 4096 };

int execv(const char *path, char *const argv[])
{
    static char out[PATH_BYTES], log[PATH_BYTES];
    const char *valgrind = getenv("CALLGRIND"), *program = getenv("CALLGRIND_PROGRAM");
    const char *out_path = getenv("CALLGRIND_OUT"), *log_path = getenv("CALLGRIND_LOG");
    if (!valgrind || !program || !out_path || !log_path)
        return execve(path, argv, environ);
    snprintf(out, sizeof out, "--callgrind-out-file=%s", out_path);
    snprintf(log, sizeof log, "--log-file=%s", log_path);
    const char *words[ARGUMENTS] = {valgrind, "--tool=callgrind", "--vgdb=no", out, log, "--", program};
    size_t count = 7;
    for (size_t i = 1; argv[i]; i++) {
        if (count == ARGUMENTS - 1) {
            errno = E2BIG;
            return -1;
        }
        words[count++] = argv[i];
    }
    unsetenv("LD_PRELOAD"); /* or it would be loaded into what is counted */
    return execve(valgrind, (char *const *)words, environ);
}
