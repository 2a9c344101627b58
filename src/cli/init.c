/* SPDX-License-Identifier: MIT */
/* `diplex init`: writes a first file, from a compose file where there is one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "diplex/init.h"
#include "diplex/os/fd.h"

#define OUTPUT "diplex.yaml"

/* As compose itself looks for it. */
static const char *const usual[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
                                    "docker-compose.yaml"};

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The compose file to read, in *path; false: there is none, and none was named. */
static bool find_compose(const struct cli_options *o, struct dx_text *path)
{
    const char *named = o->rest_n ? o->rest[0] : NULL;
    if (named && !is_folder(named)) {
        dx_text_adds(path, named);
        return true;
    }
    for (size_t i = 0; i < DX_COUNT(usual); i++) {
        dx_text_reset(path);
        dx_text_addf(path, "%s%s%s", named ? named : "", named ? "/" : "", usual[i]);
        if (!path->failed && access(path->p, F_OK) == 0)
            return true;
    }
    dx_text_reset(path);
    return false;
}

/* What is written is what `diplex check` takes: anything else is a fault of ours, and nobody is to get such a
 * file. */
static bool is_sound(const struct dx_text *text)
{
    struct dx_config_faults faults = {0};
    struct dx_text report;
    struct dx_slice all = dx_slice_of(text->p, text->n);
    struct dx_config *config = dx_config_parse(all, OUTPUT, dx_control_env, NULL, &faults);
    bool ok = config != NULL;
    dx_text_init(&report);
    dx_config_faults_print(&faults, all, OUTPUT, &report);
    if (!ok)
        fprintf(stderr, "diplex init: what came of it is no configuration, which is a fault of diplex:\n%s",
                report.p ? report.p : "");
    dx_text_fini(&report);
    dx_config_faults_fini(&faults);
    dx_config_free(&config);
    return ok;
}

static int write_file(const char *name, const struct dx_text *text, bool force)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0644);
    if (fd < 0 && errno == EEXIST) {
        fprintf(stderr,
                "diplex init: %s is there already, and stays as it is: --force, --stdout, or -o FILE\n",
                name);
        return CLI_FAILED;
    }
    bool ok = fd >= 0 && dx_fd_write_all(fd, dx_slice_of(text->p, text->n));
    if (!ok)
        fprintf(stderr, "diplex init: cannot write %s: %s\n", name, strerror(errno));
    dx_fd_close(&fd);
    return ok ? CLI_OK : CLI_FAILED;
}

static int deliver(const struct cli_options *o, const struct dx_text *text, const struct dx_text *notes,
                   const char *from)
{
    const char *name = o->output ? o->output : OUTPUT;
    if (text->failed || notes->failed) {
        fputs("diplex init: out of memory\n", stderr);
        return CLI_FAILED;
    }
    if (!is_sound(text))
        return CLI_FAILED;
    int exit_code = CLI_OK;
    if (o->to_stdout)
        fwrite(text->p, 1, text->n, stdout);
    else
        exit_code = write_file(name, text, o->force);
    if (exit_code != CLI_OK)
        return exit_code;
    if (!o->to_stdout)
        fprintf(stderr, "wrote %s%s%s\n", name, from ? " from " : "", from ? from : "");
    fputs(notes->p ? notes->p : "", stderr);
    return CLI_OK;
}

int cli_init(const struct cli_options *o)
{
    struct dx_text path, text, notes;
    struct dx_err err = {{0}};
    int exit_code = CLI_FAILED;
    dx_text_init(&path);
    dx_text_init(&text);
    dx_text_init(&notes);
    bool found = find_compose(o, &path);
    if (!found && o->rest_n) {
        fprintf(stderr, "diplex init: there is no compose file in %s\n", o->rest[0]);
    } else if (found && dx_init_from_compose(path.p, dx_control_env, NULL, &text, &notes, &err)) {
        exit_code = deliver(o, &text, &notes, path.p);
    } else if (found && o->rest_n) {
        fprintf(stderr, "diplex init: %s\n", err.text);
    } else {
        if (found)
            dx_text_addf(&notes, "%s; so it is the smallest file\n", err.text);
        dx_text_reset(&text);
        dx_init_smallest(&text);
        exit_code = deliver(o, &text, &notes, NULL);
    }
    dx_text_fini(&path);
    dx_text_fini(&text);
    dx_text_fini(&notes);
    return exit_code;
}
