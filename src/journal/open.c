/* SPDX-License-Identifier: MIT */
/* How control opens what a log has as a name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "diplex/journal.h"
#include "diplex/os/fd.h"

#define FILE_MODE    0640
#define SOCKET_ROOM  (256 * 1024) /* of datagrams on their way; one line with its fields has at most 50 KB */
#define STREAM_BYTES 64

/* A root that writes logs into a folder of somebody else must not be led elsewhere by a link there.
 * O_NONBLOCK: a named pipe without a reader is no reason to wait. */
int dx_journal_open_file(const char *path, struct dx_err *err)
{
    int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, FILE_MODE);

    if (fd >= 0)
        return fd;
    if (errno == ELOOP)
        (void)dx_err_set(err, "cannot open the log %s: it is a symbolic link; name what it leads to", path);
    else if (errno == ENXIO)
        (void)dx_err_set(err, "cannot open the log %s: a named pipe that nobody reads, or a socket", path);
    else
        (void)dx_err_sys(err, "cannot open the log %s", path);
    return -1;
}

int dx_journal_open_socket(const char *path, bool *reached, struct dx_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const int room = SOCKET_ROOM;
    size_t n = strlen(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        (void)dx_err_sys(err, "no socket for the log %s", path);
        return -1;
    }
    if (n >= sizeof a.sun_path) {
        (void)dx_err_set(err, "the path is too long for a socket: %s", path);
        dx_fd_close(&fd);
        return -1;
    }
    memcpy(a.sun_path, path, n);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    *reached = connect(fd, (const struct sockaddr *)&a, sizeof a) == 0;
    return fd;
}

/* "device:inode" of the stream; see systemd.exec(5). */
bool dx_journal_is_read_by_systemd(int fd)
{
    const char *said = getenv("JOURNAL_STREAM");
    char is[STREAM_BYTES];
    struct stat st;

    if (said == NULL || fstat(fd, &st) != 0)
        return false;
    (void)snprintf(is, sizeof is, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return strcmp(said, is) == 0;
}

void dx_journal_learn_zone(void) { tzset(); }
