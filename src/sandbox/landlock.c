/* SPDX-License-Identifier: MIT */
/*
 * Landlock: of all files only new ones in one folder, no listening, no signals to others. The kernel's header
 * is not used: it is older than the kernel on most machines, and what is needed of it is stable and small.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/internal.h"

/* The same on every architecture. */
#define CREATE_RULESET 444
#define ADD_RULE       445
#define RESTRICT_SELF  446
#define ASK_VERSION    1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define PATH_BENEATH   1  /* LANDLOCK_RULE_PATH_BENEATH */

/* Rights on files, LANDLOCK_ACCESS_FS_...: those of version 1 are bits 0 to 12. */
#define WRITE_FILE  (UINT64_C(1) << 1)
#define READ_FILE   (UINT64_C(1) << 2)
#define REMOVE_FILE (UINT64_C(1) << 5)
#define MAKE_REG    (UINT64_C(1) << 8)
#define ALL_OF_1    ((UINT64_C(1) << 13) - 1)
#define REFER       (UINT64_C(1) << 13) /* version 2 */
#define TRUNCATE    (UINT64_C(1) << 14) /* version 3 */
#define IOCTL_DEV   (UINT64_C(1) << 15) /* version 5 */

#define BIND_TCP       (UINT64_C(1) << 0) /* version 4: control listens, data is handed the sockets */
#define SCOPE_ABSTRACT (UINT64_C(1) << 0) /* version 6: sockets without a file, which no server of ours has \
                                           */
#define SCOPE_SIGNAL   (UINT64_C(1) << 1)

/* Each version takes as much of this as it knows. */
struct ruleset {
    uint64_t files, network, scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

static size_t describe(unsigned version, struct ruleset *out)
{
    *out = (struct ruleset){.files = ALL_OF_1};
    if (version >= 2)
        out->files |= REFER;
    if (version >= 3)
        out->files |= TRUNCATE;
    if (version >= 5)
        out->files |= IOCTL_DEV;
    if (version < 4)
        return sizeof(out->files);
    out->network = BIND_TCP;
    if (version < 6)
        return sizeof(out->files) + sizeof(out->network);
    out->scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
    return sizeof(*out);
}

static bool allow_folder(int ruleset, int folder, uint64_t known)
{
    struct beneath rule = {.folder = folder};
    rule.allowed = (WRITE_FILE | READ_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE) & known;
    return folder < 0 || syscall(ADD_RULE, ruleset, PATH_BENEATH, &rule, 0u) == 0;
}

bool landlock_enter(int folder, unsigned *version)
{
    struct ruleset rules;
    long newest = syscall(CREATE_RULESET, NULL, (size_t)0, ASK_VERSION);
    if (newest <= 0)
        return false;
    size_t bytes = describe((unsigned)newest, &rules);
    int ruleset = (int)syscall(CREATE_RULESET, &rules, bytes, 0u);
    if (ruleset < 0)
        return false;
    bool ok = allow_folder(ruleset, folder, rules.files) && syscall(RESTRICT_SELF, ruleset, 0u) == 0;
    int why = errno;
    close(ruleset);
    errno = why;
    if (ok)
        *version = (unsigned)newest;
    return ok;
}
