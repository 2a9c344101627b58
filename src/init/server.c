/* SPDX-License-Identifier: MIT */
/*
 * What a command runs: gunicorn, uvicorn, daphne or hypercorn, found wherever it stands, behind `sh -c`,
 * `exec`, `poetry run`, `python -m`, a wait for the database, or in a script. Then the options that matter to
 * a proxy, from their least to their most important source: the environment, gunicorn's file,
 * GUNICORN_CMD_ARGS, the command line. Files of Python are not run: of them only `name = literal` is
 * understood.
 */
#include "init/internal.h"

#define SCRIPTS_DEEP 3

static const char *const names[] = {
    [SERVER_NONE] = "",         [SERVER_GUNICORN] = "gunicorn",   [SERVER_UVICORN] = "uvicorn",
    [SERVER_DAPHNE] = "daphne", [SERVER_HYPERCORN] = "hypercorn", [SERVER_RUNSERVER] = "manage.py runserver",
};

const char *init_server_name(enum server s) { return names[s]; }

static const struct option {
    enum server server;
    const char *long_form, *short_form;
    enum field field;
    const char *setting; /* in gunicorn.conf.py */
} options[] = {
    {SERVER_GUNICORN, "--bind", "-b", BIND, "bind"},
    {SERVER_GUNICORN, "--workers", "-w", WORKERS, "workers"},
    {SERVER_GUNICORN, "--threads", "", THREADS, "threads"},
    {SERVER_GUNICORN, "--timeout", "-t", TIMEOUT, "timeout"},
    {SERVER_GUNICORN, "--keep-alive", "", KEEPALIVE, "keepalive"},
    {SERVER_GUNICORN, "--worker-class", "-k", WORKER_CLASS, "worker_class"},
    {SERVER_GUNICORN, "--config", "-c", CONFIG_FILE, NULL},
    {SERVER_GUNICORN, "--forwarded-allow-ips", "", TRUST, "forwarded_allow_ips"},
    {SERVER_UVICORN, "--host", "", HOST, NULL},
    {SERVER_UVICORN, "--port", "", PORT, NULL},
    {SERVER_UVICORN, "--uds", "", UDS, NULL},
    {SERVER_UVICORN, "--workers", "", WORKERS, NULL},
    {SERVER_UVICORN, "--timeout-keep-alive", "", KEEPALIVE, NULL},
    {SERVER_UVICORN, "--forwarded-allow-ips", "", TRUST, NULL},
    {SERVER_DAPHNE, "--bind", "-b", HOST, NULL},
    {SERVER_DAPHNE, "--port", "-p", PORT, NULL},
    {SERVER_DAPHNE, "--unix-socket", "-u", UDS, NULL},
    {SERVER_DAPHNE, "--proxy-headers", "", TRUST, NULL},
    {SERVER_HYPERCORN, "--bind", "-b", BIND, NULL},
    {SERVER_HYPERCORN, "--workers", "-w", WORKERS, NULL},
    {SERVER_HYPERCORN, "--keep-alive", "", KEEPALIVE, NULL},
};

static enum server server_called(struct dx_slice word)
{
    struct dx_slice base = init_base_name(word);
    for (unsigned i = SERVER_GUNICORN; i <= SERVER_HYPERCORN; i++)
        if (dx_slice_eq(base, dx_slice_str(names[i])))
            return (enum server)i;
    return SERVER_NONE;
}

static void set(struct found *f, enum field field, struct dx_slice text, struct place at, const char *how)
{
    f->values[field] = (struct value){text, at, how};
}

/* ---- options ---- */

/* The value of `--name value`, `--name=value`, `-n value` or `-nvalue`; *taken words. */
static bool match(const struct option *o, const struct words *w, size_t i, struct dx_slice *value,
                  size_t *taken)
{
    struct dx_slice word = w->at[i].text, longer = dx_slice_str(o->long_form),
                    shorter = dx_slice_str(o->short_form);
    bool has_next = i + 1 < w->n && !w->at[i + 1].ends;
    *taken = 1;
    if (dx_slice_eq(word, longer) || (shorter.n && dx_slice_eq(word, shorter))) {
        *value = has_next ? w->at[i + 1].text : DX_SLICE("");
        *taken = has_next ? 2 : 1;
        return true;
    }
    if (dx_slice_starts(word, longer) && word.p[longer.n] == '=') {
        *value = dx_slice_of(word.p + longer.n + 1, word.n - longer.n - 1);
        return true;
    }
    if (shorter.n && dx_slice_starts(word, shorter) && !dx_slice_starts(word, DX_SLICE("--"))) {
        *value = dx_slice_of(word.p + shorter.n, word.n - shorter.n);
        return true;
    }
    return false;
}

static void read_options(struct found *f, const struct words *w, size_t i)
{
    while (i < w->n && !w->at[i].ends) {
        struct dx_slice value = DX_SLICE("");
        size_t taken = 1;
        for (size_t k = 0; k < DX_COUNT(options); k++) {
            if (options[k].server != f->server || !match(&options[k], w, i, &value, &taken))
                continue;
            set(f, options[k].field, value, w->at[i].at, options[k].long_form);
            break;
        }
        i += taken;
    }
}

/* ---- gunicorn's file ---- */

/* A number or a text in quotes with nothing behind it but a comment; else the expression as it is. */
static struct dx_slice literal(struct dx_slice s)
{
    s = dx_slice_trim(s);
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'')) {
        size_t end = dx_slice_find(dx_slice_of(s.p + 1, s.n - 1), s.p[0]) + 1;
        struct dx_slice rest =
            end < s.n ? dx_slice_trim(dx_slice_of(s.p + end + 1, s.n - end - 1)) : DX_SLICE("?");
        return rest.n == 0 || rest.p[0] == '#' ? dx_slice_of(s.p + 1, end - 1) : s;
    }
    return dx_slice_trim(dx_slice_of(s.p, dx_slice_find(s, '#')));
}

static void read_assignment(struct found *f, struct dx_slice line, struct place at)
{
    size_t n = dx_slice_find(line, '=');
    if (n == line.n || line.p[0] == ' ' || line.p[0] == '\t' || line.p[0] == '#')
        return;
    struct dx_slice name = dx_slice_trim(dx_slice_of(line.p, n));
    for (size_t i = 0; i < DX_COUNT(options); i++)
        if (options[i].setting && dx_slice_eq(name, dx_slice_str(options[i].setting)))
            set(f, options[i].field, literal(dx_slice_of(line.p + n + 1, line.n - n - 1)), at,
                options[i].setting);
}

static void read_python(struct init *in, const struct image *image, struct found *f, struct dx_slice named)
{
    struct place at = {NULL, 0};
    struct dx_slice text;
    if (dx_slice_starts(named, DX_SLICE("file:")))
        named = dx_slice_of(named.p + 5, named.n - 5);
    if (dx_slice_starts(named, DX_SLICE("python:")) || !init_find_script(in, image, named, &at.file, &text))
        return;
    while (text.n) {
        size_t n = dx_slice_find(text, '\n'), taken = n < text.n ? n + 1 : n;
        at.line++;
        if (n)
            read_assignment(f, dx_slice_of(text.p, n - (text.p[n - 1] == '\r')), at);
        text = dx_slice_of(text.p + taken, text.n - taken);
    }
}

/* ---- a server and all that it is told ---- */

static void read_environment(struct found *f, const struct variable *all)
{
    static const struct {
        enum server server;
        const char *name;
        enum field field;
    } rows[] = {
        {SERVER_GUNICORN, "WEB_CONCURRENCY", WORKERS},
        {SERVER_GUNICORN, "FORWARDED_ALLOW_IPS", TRUST},
        {SERVER_UVICORN, "WEB_CONCURRENCY", WORKERS},
        {SERVER_UVICORN, "FORWARDED_ALLOW_IPS", TRUST},
        {SERVER_UVICORN, "UVICORN_HOST", HOST},
        {SERVER_UVICORN, "UVICORN_PORT", PORT},
        {SERVER_GUNICORN, "PORT", PORT},
    };
    for (size_t i = 0; i < DX_COUNT(rows); i++) {
        const struct variable *v = rows[i].server == f->server ? init_get(all, rows[i].name) : NULL;
        if (v && v->value.n)
            set(f, rows[i].field, v->value, v->at, rows[i].name);
    }
}

static void read_gunicorn(struct init *in, const struct image *image, const struct variable *all,
                          struct found *f, const struct words *w, size_t i)
{
    struct found line = {.server = SERVER_GUNICORN, .at = f->at};
    struct words more = {NULL, 0, 0};
    const struct variable *arguments = init_get(all, "GUNICORN_CMD_ARGS");
    if (arguments)
        init_split(in, arguments->value, arguments->at, false, NULL, &more);
    read_options(&line, &more, 0);
    for (size_t k = 0; k < FIELDS; k++)
        if (line.values[k].how)
            line.values[k].how = "GUNICORN_CMD_ARGS";
    read_options(&line, w, i);
    const struct value *named = &line.values[CONFIG_FILE];
    read_python(in, image, f, named->how ? named->text : DX_SLICE("./gunicorn.conf.py"));
    for (size_t k = 0; k < FIELDS; k++)
        if (line.values[k].how)
            f->values[k] = line.values[k];
    struct dx_slice class = f->values[WORKER_CLASS].text;
    f->is_asgi = init_contains(class, "uvicorn") || init_contains(class, "Uvicorn") ||
                 dx_slice_eq(class, DX_SLICE("asgi"));
}

static void take_server(struct init *in, const struct image *image, const struct variable *all,
                        const struct words *w, size_t i, struct found *f)
{
    *f = (struct found){.server = server_called(w->at[i].text), .at = w->at[i].at, .is_asgi = true};
    read_environment(f, all);
    if (f->server == SERVER_GUNICORN)
        read_gunicorn(in, image, all, f, w, i + 1);
    else
        read_options(f, w, i + 1);
}

/* ---- where it stands ---- */

static bool is_shell(struct dx_slice word)
{
    static const char *const shells[] = {"sh", "bash", "ash", "dash", "zsh"};
    for (size_t i = 0; i < DX_COUNT(shells); i++)
        if (dx_slice_eq(init_base_name(word), dx_slice_str(shells[i])))
            return true;
    return false;
}

/* `pip install gunicorn` runs none, nor does `mkdir /run/gunicorn`. */
static bool only_speaks_of_it(const struct words *w, size_t i)
{
    static const char *const others[] = {"pip",   "pip3",  "apt",    "apt-get", "apk",   "echo",  "printf",
                                         "which", "pkill", "chown",  "chmod",   "mkdir", "touch", "rm",
                                         "cp",    "ln",    "mv",     "cd",      "ls",    "test",  "[",
                                         "[[",    "if",    "source", "export"};
    for (size_t k = i; k > 0 && !w->at[k - 1].ends; k--)
        for (size_t o = 0; o < DX_COUNT(others); o++)
            if (dx_slice_eq(init_base_name(w->at[k - 1].text), dx_slice_str(others[o])))
                return true;
    return false;
}

struct search {
    struct init *in;
    const struct image *image;
    const struct variable *all;
    struct found *found;
};

static void look(const struct search *s, const struct words *w, unsigned depth);

static void look_in_text(const struct search *s, struct dx_slice text, struct place at, unsigned depth)
{
    struct words words = {NULL, 0, 0};
    init_split(s->in, text, at, true, s->all, &words);
    look(s, &words, depth);
}

static void look_in_script(const struct search *s, const struct word *w, unsigned depth)
{
    struct place at = {NULL, 1};
    struct dx_slice text;
    bool maybe = w->text.n > 1 &&
                 (w->text.p[0] == '/' || w->text.p[0] == '.' || init_contains(w->text, ".sh")) &&
                 !init_contains(w->text, ".py");
    if (maybe && depth < SCRIPTS_DEEP && init_find_script(s->in, s->image, w->text, &at.file, &text))
        look_in_text(s, text, at, depth + 1);
}

/* Bundled letters with c in them: -c, -ec, -lc. */
static bool is_dash_c(struct dx_slice word)
{
    return word.n >= 2 && word.n <= 4 && word.p[0] == '-' && word.p[1] != '-' && init_contains(word, "c");
}

static void look(const struct search *s, const struct words *w, unsigned depth)
{
    bool shell = false;
    for (size_t i = 0; i < w->n && s->found->server == SERVER_NONE; i++) {
        struct dx_slice word = w->at[i].text;
        bool has_next = i + 1 < w->n && !w->at[i + 1].ends;
        shell = !w->at[i].ends && (shell || is_shell(word));
        if (w->at[i].ends)
            continue;
        if (server_called(word) != SERVER_NONE && !only_speaks_of_it(w, i))
            take_server(s->in, s->image, s->all, w, i, s->found);
        else if (shell && has_next && is_dash_c(word) && depth < SCRIPTS_DEEP)
            look_in_text(s, w->at[i + 1].text, w->at[i + 1].at, depth + 1);
        else if (dx_slice_eq(init_base_name(word), DX_SLICE("manage.py")) && has_next &&
                 dx_slice_starts(w->at[i + 1].text, DX_SLICE("runserver")))
            *s->found = (struct found){.server = SERVER_RUNSERVER, .at = w->at[i].at};
        else
            look_in_script(s, &w->at[i], depth);
    }
}

void init_find_server(struct init *in, const struct image *image, const struct variable *all,
                      const struct words *words, struct found *out)
{
    const struct search s = {in, image, all, out};
    *out = (struct found){.server = SERVER_NONE};
    look(&s, words, 0);
}
