/* SPDX-License-Identifier: MIT */
/* What stands beside a compose file: files of variables, Dockerfiles, and the scripts that go into images. */
#include <stdlib.h>
#include <sys/stat.h>

#include "diplex/os/fd.h"
#include "init/internal.h"

#define FILE_MAX ((size_t)1 << 20)

const char *init_join(struct init *in, const char *folder, struct dx_slice path)
{
    while (dx_slice_starts(path, DX_SLICE("./")))
        path = dx_slice_of(path.p + 2, path.n - 2);
    bool here = folder[0] == '\0' || strcmp(folder, ".") == 0 || (path.n && path.p[0] == '/');
    if (dx_slice_eq(path, DX_SLICE(".")) || path.n == 0)
        return init_keep(in, dx_slice_str(folder)).p;
    if (here)
        return init_keep(in, path).p;
    return init_printf(in, "%s/%.*s", folder, DX_SLICE_ARGS(path)).p;
}

bool init_read(struct init *in, const char *path, struct dx_slice *out)
{
    char *text = NULL;
    size_t n = 0;
    struct stat st;
    const char *from_here = init_join(in, in->folder, dx_slice_str(path));
    if (stat(from_here, &st) != 0 || !S_ISREG(st.st_mode)) /* who opens a pipe may wait for ever */
        return false;
    if (!dx_fd_read_file(from_here, FILE_MAX, &text, &n))
        return false;
    *out = init_keep(in, dx_slice_of(text, n));
    free(text);
    return true;
}

/* Takes the next line off; false when there is none left. */
static bool next_line(struct dx_slice *rest, struct dx_slice *line)
{
    if (rest->n == 0)
        return false;
    size_t n = dx_slice_find(*rest, '\n'), taken = n < rest->n ? n + 1 : n;
    *line = dx_slice_of(rest->p, n && rest->p[n - 1] == '\r' ? n - 1 : n);
    *rest = dx_slice_of(rest->p + taken, rest->n - taken);
    return true;
}

static struct dx_slice unquote(struct dx_slice s)
{
    bool quoted = s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];
    return quoted ? dx_slice_of(s.p + 1, s.n - 2) : s;
}

void init_read_variables(struct init *in, const char *path, struct variable **all)
{
    struct dx_slice rest, line;
    struct place at = {path, 0};
    if (!init_read(in, path, &rest))
        return;
    while (next_line(&rest, &line)) {
        at.line++;
        line = dx_slice_trim(line);
        if (dx_slice_starts(line, DX_SLICE("export ")))
            line = dx_slice_trim(dx_slice_of(line.p + 7, line.n - 7));
        size_t n = dx_slice_find(line, '=');
        if (n == line.n || line.p[0] == '#')
            continue;
        struct dx_slice value = dx_slice_trim(dx_slice_of(line.p + n + 1, line.n - n - 1));
        init_set(in, all, dx_slice_trim(dx_slice_of(line.p, n)), unquote(value), at);
    }
}

/* ---- Dockerfiles ---- */

struct docker {
    struct init *in;
    struct image *image;
    struct place at;
};

/* ["a", "b"] or words for a shell. */
static void take_command(struct docker *d, struct dx_slice text, struct words *to)
{
    *to = (struct words){NULL, 0, 0};
    if (text.n == 0 || text.p[0] != '[') {
        init_add_word(d->in, to, DX_SLICE("sh"), d->at, false);
        init_add_word(d->in, to, DX_SLICE("-c"), d->at, false);
        init_add_word(d->in, to, text, d->at, false);
        return;
    }
    text = dx_slice_of(text.p + 1, text.n - 1 - (text.p[text.n - 1] == ']'));
    struct dx_slice item;
    while (dx_slice_next_item(&text, &item))
        init_add_word(d->in, to, unquote(item), d->at, false);
}

/* Without options such as --chown=; the last word is where the others go. */
static void take_copy(struct docker *d, struct dx_slice text)
{
    struct words words = {NULL, 0, 0};
    init_split(d->in, text, d->at, false, NULL, &words);
    bool other_stage = init_contains(text, "--from=");
    for (size_t i = 0; i + 1 < words.n && !other_stage; i++) {
        struct copied *c = init_take(d->in, 1, sizeof *c);
        if (!c || dx_slice_starts(words.at[i].text, DX_SLICE("--")))
            continue;
        *c = (struct copied){words.at[i].text, words.at[words.n - 1].text, d->image->copied};
        d->image->copied = c;
    }
}

static void take_variables(struct docker *d, struct dx_slice text)
{
    struct words words = {NULL, 0, 0};
    init_split(d->in, text, d->at, false, NULL, &words);
    if (words.n == 2 && dx_slice_find(words.at[0].text, '=') == words.at[0].text.n) {
        init_set(d->in, &d->image->variables, words.at[0].text, words.at[1].text, d->at);
        return;
    }
    for (size_t i = 0; i < words.n; i++)
        if (dx_slice_find(words.at[i].text, '=') < words.at[i].text.n)
            init_set_pair(d->in, &d->image->variables, words.at[i].text, d->at);
}

static void take_instruction(struct docker *d, struct dx_slice line)
{
    size_t n = dx_slice_find(line, ' ');
    struct dx_slice name = dx_slice_of(line.p, n), rest = dx_slice_trim(dx_slice_of(line.p + n, line.n - n));
    if (dx_slice_eq_nocase(name, DX_SLICE("FROM"))) {
        d->image->entrypoint = d->image->command = (struct words){NULL, 0, 0};
    } else if (dx_slice_eq_nocase(name, DX_SLICE("ENTRYPOINT"))) {
        take_command(d, rest, &d->image->entrypoint);
    } else if (dx_slice_eq_nocase(name, DX_SLICE("CMD"))) {
        take_command(d, rest, &d->image->command);
    } else if (dx_slice_eq_nocase(name, DX_SLICE("COPY")) || dx_slice_eq_nocase(name, DX_SLICE("ADD"))) {
        take_copy(d, rest);
    } else if (dx_slice_eq_nocase(name, DX_SLICE("ENV"))) {
        take_variables(d, rest);
    } else if (dx_slice_eq_nocase(name, DX_SLICE("HEALTHCHECK"))) {
        d->image->health = (struct word){rest, d->at, false};
    }
}

void init_read_image(struct init *in, const char *context, struct dx_slice dockerfile, struct image *out)
{
    struct dx_slice rest, line;
    struct dx_text whole;
    unsigned number = 0;
    struct docker d = {.in = in, .image = out};
    d.at.file = init_join(in, context, dockerfile);
    *out = (struct image){.context = context};
    if (!init_read(in, d.at.file, &rest))
        return;
    out->file = d.at.file;
    dx_text_init(&whole);
    while (next_line(&rest, &line)) {
        number++;
        line = dx_slice_trim(line);
        if (whole.n == 0)
            d.at.line = number;
        if (line.n && line.p[0] == '#')
            continue;
        bool goes_on = line.n && line.p[line.n - 1] == '\\';
        dx_text_add(&whole, dx_slice_of(line.p, line.n - goes_on));
        if (goes_on)
            continue;
        if (whole.n)
            take_instruction(&d, init_keep(in, dx_slice_of(whole.p, whole.n)));
        dx_text_reset(&whole);
    }
    in->no_memory |= whole.failed;
    dx_text_fini(&whole);
}

/* ---- scripts ---- */

static bool try(struct init *in, const char *context, struct dx_slice path, const char **file,
                struct dx_slice *text)
{
    const char *name = init_join(in, context ? context : "", path);
    if (!init_read(in, name, text))
        return false;
    *file = name;
    return true;
}

/* Where a COPY put it: the very file, or a folder with it. */
static struct dx_slice copied_from(struct init *in, const struct copied *c, struct dx_slice path)
{
    struct dx_slice base = init_base_name(path), to = c->to;
    if (dx_slice_eq(to, path))
        return c->from;
    while (to.n > 1 && to.p[to.n - 1] == '/')
        to.n--;
    if (!dx_slice_starts(path, to) || path.n <= to.n + 1 || path.p[to.n] != '/')
        return DX_SLICE("");
    if (dx_slice_eq(init_base_name(c->from), base))
        return c->from;
    struct dx_slice below = dx_slice_of(path.p + to.n + 1, path.n - to.n - 1);
    return init_printf(in, "%.*s/%.*s", DX_SLICE_ARGS(c->from), DX_SLICE_ARGS(below));
}

bool init_find_script(struct init *in, const struct image *image, struct dx_slice path, const char **file,
                      struct dx_slice *text)
{
    for (const struct copied *c = image->copied; c; c = c->next) {
        struct dx_slice from = copied_from(in, c, path);
        if (from.n && try(in, image->context, from, file, text))
            return true;
    }
    if (path.n && path.p[0] != '/' && try(in, image->context, path, file, text))
        return true;
    /* /code/start.sh is most often start.sh of the project, mounted or copied whole. */
    size_t second = path.n > 1 ? dx_slice_find(dx_slice_of(path.p + 1, path.n - 1), '/') + 2 : path.n;
    if (second < path.n && path.p[0] == '/' &&
        try(in, image->context, dx_slice_of(path.p + second, path.n - second), file, text))
        return true;
    return try(in, image->context, init_base_name(path), file, text);
}
