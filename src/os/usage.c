/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat, limits and fd (proc(5)), read with system calls alone: a few hundred bytes each. */
#include "diplex/os/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diplex/base/slice.h"
#include "diplex/os/fd.h"

#define PATH_BYTES 64
#define TEXT_BYTES 4096

/* The numbers of stat behind the name, from the third field on: its place in proc(5) less three. */
enum { STAT_UTIME = 14 - 3, STAT_STIME = 15 - 3, STAT_THREADS = 20 - 3, STAT_RSS = 24 - 3, STAT_FIELDS };

static bool read_text(pid_t pid, const char *name, char text[TEXT_BYTES])
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t n = 0;
    ssize_t got;
    while (n < TEXT_BYTES - 1 && (got = read(fd, text + n, TEXT_BYTES - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    dx_fd_close(&fd);
    return n > 0;
}

/* The name stands in parentheses and may hold anything, those too. */
static bool read_stat(const char *text, uint64_t fields[STAT_FIELDS])
{
    const char *p = strrchr(text, ')');
    if (!p || strlen(p) < 4)
        return false;
    p += 4; /* ") S" and a blank */
    for (unsigned i = 1; i < STAT_FIELDS; i++) {
        char *end;
        fields[i] = (uint64_t)strtoll(p, &end, 10);
        if (end == p)
            return false;
        p = end;
    }
    return true;
}

/* Linux 6.2 and newer tell how many there are to everybody. */
static uint64_t descriptors_of(pid_t pid)
{
    char path[PATH_BYTES];
    struct stat st;
    uint64_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    if (stat(path, &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    uint64_t others = pid == getpid() ? 3 : 2; /* `.`, `..`, and the one that we look through */
    return n > others ? n - others : 0;
}

static uint64_t most_descriptors(const char *limits)
{
    const char *line = strstr(limits, "Max open files");
    unsigned long long most;
    return line && sscanf(line + strlen("Max open files"), "%llu", &most) == 1 ? most : 0;
}

bool dx_usage_of(pid_t pid, struct dx_usage *out)
{
    char text[TEXT_BYTES];
    uint64_t f[STAT_FIELDS] = {0};
    long ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
    if (ticks <= 0 || page <= 0 || !read_text(pid, "stat", text) || !read_stat(text, f))
        return false;
    *out = (struct dx_usage){
        .cpu_us = (f[STAT_UTIME] + f[STAT_STIME]) * 1000000 / (uint64_t)ticks,
        .memory_bytes = f[STAT_RSS] * (uint64_t)page,
        .threads = f[STAT_THREADS],
        .descriptors = descriptors_of(pid),
        .descriptors_max = read_text(pid, "limits", text) ? most_descriptors(text) : 0,
    };
    return true;
}
