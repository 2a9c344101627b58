/* SPDX-License-Identifier: MIT */
/*
 * A compose file: which of its services run a server, with what. A command is a text or a list, of the
 * service or of its Dockerfile; variables come from `environment`, `env_file` and the Dockerfile, in this
 * order of importance.
 */
#include <stdio.h>
#include <stdlib.h>

#include "init/internal.h"

#define EXTENDS_DEEP 8

struct compose {
    struct init *in;
    const char *file;           /* its name alone */
    struct variable *variables; /* of the file .env beside it */
    const struct dx_node *services;
};

static struct place place_of(const struct compose *c, const struct dx_node *n)
{
    return (struct place){c->file, n->line};
}

static struct dx_slice text_of(const struct compose *c, const struct dx_node *n)
{
    return n && n->kind == DX_NODE_TEXT ? init_expand(c->in, n->text, c->variables, true) : DX_SLICE("");
}

/* A key of a service, or of the one in the same file that it extends. */
static const struct dx_node *find(const struct compose *c, const struct dx_node *service, const char *key)
{
    for (unsigned i = 0; service && i < EXTENDS_DEEP; i++) {
        const struct dx_node *n = dx_node_find(service, key), *other = dx_node_find(service, "extends");
        if (n)
            return n;
        if (other && other->kind == DX_NODE_MAP)
            other = dx_node_find(other, "file") ? NULL : dx_node_find(other, "service");
        bool named = other && other->kind == DX_NODE_TEXT;
        service = named ? dx_node_find(c->services, other->text.p) : NULL;
    }
    return NULL;
}

/* ---- variables ---- */

static void read_environment(const struct compose *c, const struct dx_node *n, struct variable **all)
{
    if (n && n->kind == DX_NODE_MAP) {
        for (size_t i = 0; i < n->n; i++) {
            const struct dx_node *key = n->pairs[i].key, *value = n->pairs[i].value;
            if (value->kind == DX_NODE_TEXT && (value->text.n || !value->plain))
                init_set(c->in, all, key->text, text_of(c, value), place_of(c, key));
            else if (value->kind == DX_NODE_TEXT)
                init_set_pair(c->in, all, key->text, place_of(c, key));
        }
    }
    for (size_t i = 0; n && n->kind == DX_NODE_LIST && i < n->n; i++)
        init_set_pair(c->in, all, text_of(c, n->items[i]), place_of(c, n->items[i]));
}

static void read_env_file(const struct compose *c, const struct dx_node *n, struct variable **all)
{
    if (!n)
        return;
    if (n->kind == DX_NODE_LIST) {
        for (size_t i = 0; i < n->n; i++)
            read_env_file(c, n->items[i], all);
        return;
    }
    const struct dx_node *path = n->kind == DX_NODE_MAP ? dx_node_find(n, "path") : n;
    struct dx_slice text = text_of(c, path);
    if (text.n)
        init_read_variables(c->in, init_join(c->in, "", text), all);
}

/* ---- the command ---- */

static void add_command(const struct compose *c, const struct dx_node *n, struct words *to)
{
    if (n->kind == DX_NODE_TEXT) {
        init_split(c->in, text_of(c, n), place_of(c, n), false, NULL, to);
        return;
    }
    for (size_t i = 0; n->kind == DX_NODE_LIST && i < n->n; i++)
        init_add_word(c->in, to, text_of(c, n->items[i]), place_of(c, n->items[i]), false);
}

static void add_words(struct init *in, const struct words *from, struct words *to)
{
    for (size_t i = 0; i < from->n; i++)
        init_add_word(in, to, from->at[i].text, from->at[i].at, from->at[i].ends);
}

/* `entrypoint` takes the image's CMD away, `command` takes its place (as Docker has it). */
static void read_command(const struct compose *c, const struct dx_node *service, const struct image *image,
                         struct words *out)
{
    const struct dx_node *entrypoint = find(c, service, "entrypoint"), *command = find(c, service, "command");
    if (entrypoint)
        add_command(c, entrypoint, out);
    else
        add_words(c->in, &image->entrypoint, out);
    if (command)
        add_command(c, command, out);
    else if (!entrypoint)
        add_words(c->in, &image->command, out);
}

static void read_build(const struct compose *c, const struct dx_node *n, struct image *out)
{
    struct dx_slice context = DX_SLICE("."), dockerfile = DX_SLICE("Dockerfile");
    *out = (struct image){.context = ""};
    if (!n)
        return;
    if (n->kind == DX_NODE_TEXT)
        context = text_of(c, n);
    if (n->kind == DX_NODE_MAP && dx_node_find(n, "context"))
        context = text_of(c, dx_node_find(n, "context"));
    if (n->kind == DX_NODE_MAP && dx_node_find(n, "dockerfile"))
        dockerfile = text_of(c, dx_node_find(n, "dockerfile"));
    init_read_image(c->in, init_join(c->in, "", context), dockerfile, out);
}

/* ---- what else matters ---- */

/* A text, a list, or a list of mappings, as one text. */
static struct word flat(const struct compose *c, const struct dx_node *n)
{
    struct word out = {.text = DX_SLICE("")};
    if (!n)
        return out;
    out.at = place_of(c, n);
    out.text = text_of(c, n);
    for (size_t i = 0; n->kind == DX_NODE_LIST && i < n->n; i++) {
        const struct dx_node *item = n->items[i];
        if (item->kind == DX_NODE_MAP)
            item = dx_node_find(item, "published");
        struct dx_slice text = item ? text_of(c, item) : DX_SLICE("");
        out.text =
            init_printf(c->in, "%.*s%s%.*s", DX_SLICE_ARGS(out.text), i ? " " : "", DX_SLICE_ARGS(text));
    }
    return out;
}

static struct word read_health(const struct compose *c, const struct dx_node *service,
                               const struct image *image)
{
    const struct dx_node *check = find(c, service, "healthcheck");
    const struct dx_node *test = check ? dx_node_find(check, "test") : NULL;
    return test ? flat(c, test) : image->health;
}

/* What compose allows, so that nothing else gets into what is written. */
static bool is_service_name(struct dx_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("-_.", s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'z') &&
            !(s.p[i] >= 'A' && s.p[i] <= 'Z') && !(s.p[i] >= '0' && s.p[i] <= '9'))
            return false;
    return s.n > 0 && s.n < 64;
}

static struct service *read_service(const struct compose *c, const struct dx_pair *pair)
{
    struct image image;
    struct words words = {NULL, 0, 0};
    struct service *s = init_take(c->in, 1, sizeof *s);
    if (!s || pair->value->kind != DX_NODE_MAP || !is_service_name(pair->key->text))
        return NULL;
    *s = (struct service){.name = pair->key->text, .line = pair->key->line};
    read_build(c, find(c, pair->value, "build"), &image);
    struct variable *all = image.variables;
    read_env_file(c, find(c, pair->value, "env_file"), &all);
    read_environment(c, find(c, pair->value, "environment"), &all);
    read_command(c, pair->value, &image, &words);
    init_find_server(c->in, &image, all, &words, &s->found);
    s->health = read_health(c, pair->value, &image);
    s->ports = flat(c, find(c, pair->value, "ports"));
    s->trusts = init_get(all, "FORWARDED_ALLOW_IPS") != NULL || s->found.values[TRUST].how != NULL;
    return s;
}

static struct service *read_services(const struct compose *c)
{
    struct service *first = NULL, **last = &first;
    for (size_t i = 0; i < c->services->n; i++) {
        struct service *s = read_service(c, &c->services->pairs[i]);
        if (!s || s->found.server == SERVER_NONE)
            continue;
        *last = s;
        last = &s->next;
    }
    return first;
}

static bool read_tree(struct init *in, const char *file, const struct dx_node *root, struct dx_text *out,
                      struct dx_err *err)
{
    struct compose c = {.in = in, .file = file, .services = root ? dx_node_find(root, "services") : NULL};
    if (!c.services || c.services->kind != DX_NODE_MAP)
        return dx_err_set(err, "%s has no `services`: it is no compose file", file);
    init_read_variables(in, ".env", &c.variables);
    const struct service *services = read_services(&c);
    bool any = false;
    for (const struct service *s = services; s; s = s->next)
        any |= s->found.server != SERVER_RUNSERVER;
    if (in->no_memory)
        return dx_err_set(err, "out of memory");
    if (services && !any)
        return dx_err_set(err,
                          "%s:%u: service %.*s runs manage.py runserver, which is for development: start it "
                          "with gunicorn or uvicorn",
                          services->found.at.file, services->found.at.line, DX_SLICE_ARGS(services->name));
    if (!any)
        return dx_err_set(
            err, "no service of %s runs gunicorn, uvicorn, daphne or hypercorn, as far as can be seen", file);
    init_write(in, file, services, out);
    return !in->no_memory || dx_err_set(err, "out of memory");
}

bool dx_init_from_compose(const char *path, dx_init_env env, void *arg, struct dx_text *out,
                          struct dx_text *notes, struct dx_err *err)
{
    struct init in = {.env = env, .arg = arg, .folder = "", .notes = notes};
    struct dx_slice whole = dx_slice_str(path), file = init_base_name(whole), text;
    dx_arena_init(&in.arena, NULL, 0);
    struct dx_slice folder = dx_slice_of(path, whole.n - file.n);
    if (folder.n > 1)
        folder.n--; /* without the slash */
    const char *name = init_keep(&in, file).p;
    bool ok = false;
    if (!init_read(&in, path, &text)) {
        dx_err_sys(err, "cannot read %s", path);
    } else {
        in.folder = init_keep(&in, folder).p;
        struct dx_config_tree *tree = dx_config_tree_new(text, path, err);
        ok = tree && read_tree(&in, name, dx_config_tree_root(tree), out, err);
        dx_config_tree_free(&tree);
    }
    dx_arena_reset(&in.arena);
    return ok;
}
