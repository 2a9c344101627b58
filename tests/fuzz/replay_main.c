/* SPDX-License-Identifier: MIT */
/*
 * Feeds every file of the corpus directories named on the command line to a fuzz target, so that inputs once found
 * interesting are ordinary tests in ordinary builds. A directory that is missing or empty is a failure: a corpus that
 * was lost must not look like one that passed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* The copy is exactly as long as the input, so that the sanitizers see a read past its end. */
static void replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (file == NULL || data == NULL || fread(data, 1, size, file) != size)
        die(path);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    (void)fclose(file);
}

static unsigned replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        die(path);
    unsigned replayed = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char name[4096];
        struct stat about;
        int n = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof name || stat(name, &about) != 0)
            die(entry->d_name);
        if (!S_ISREG(about.st_mode))
            continue;
        replay_file(name, (size_t)about.st_size);
        replayed++;
    }
    (void)closedir(directory);
    return replayed;
}

int main(int argc, char **argv)
{
    unsigned replayed = 0;
    for (int i = 1; i < argc; i++)
        replayed += replay_directory(argv[i]);
    (void)printf("%u inputs replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
