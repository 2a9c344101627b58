/* SPDX-License-Identifier: MIT */
/* The hosts file, read anew for each lookup: it is small, and may be written at any time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolve/lookup.h"

#define BLANKS " \t\r\n"

static bool line_names(char *rest, const char *host)
{
    char *kept = NULL;
    for (char *word = strtok_r(rest, BLANKS, &kept); word; word = strtok_r(NULL, BLANKS, &kept)) {
        if (dx_slice_eq_nocase(dx_slice_str(word), dx_slice_str(host)))
            return true;
    }
    return false;
}

static void line_take(char *line, const char *host, uint16_t port, struct lookup_result *r)
{
    struct dx_address a;
    char *kept = NULL;
    line[strcspn(line, "#")] = '\0';
    const char *address = strtok_r(line, BLANKS, &kept);
    if (address && line_names(kept, host) && dx_address_from_ip(dx_slice_str(address), port, &a))
        lookup_result_add(r, &a);
}

void hosts_find(const char *path, const char *host, uint16_t port, struct lookup_result *r)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    if (!f)
        return;
    while (getline(&line, &room, f) >= 0)
        line_take(line, host, port, r);
    free(line);
    (void)fclose(f);
}
