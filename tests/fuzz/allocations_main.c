/* SPDX-License-Identifier: MIT */
/*
 * Plays the scripts named on the command line again and again, each time with another request for memory, a
 * socket or a pipe that fails, until one passes in which none is left to fail. fuzz_exchange.c looks at what
 * became of it: an answer or an end for each request, and nothing left behind.
 */
#include <stdio.h>
#include <stdlib.h>

#include "exchange/script.h"

#define SCRIPT_MAX 4096

int main(int argc, char **argv)
{
    unsigned played = 0;

    for (int i = 1; i < argc; i++) {
        static uint8_t script[SCRIPT_MAX];
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        size_t n = fread(script, 1, sizeof script, file);
        (void)fclose(file);
        unsigned at = 1;
        while (play_script(script, n, at))
            at++;
        (void)printf("%s: %u requests\n", argv[i], at - 1);
        played += at - 1;
    }
    (void)printf("%u requests failed\n", played);
    return played > 0 ? 0 : 1;
}
