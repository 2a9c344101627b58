/* SPDX-License-Identifier: MIT */
/*
 * `error_pages` and the page of `maintenance`: which file is for which statuses, by whose name's end its form
 * is known; and the files themselves, read by control and passed on to data in one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/reader.h"
#include "diplex/os/fd.h"

static bool form_of(struct dx_slice path, enum dx_page_form *form)
{
    static const struct {
        struct dx_slice end;
        enum dx_page_form form;
    } ends[] = {{{".html", 5}, DX_PAGE_HTML},
                {{".htm", 4}, DX_PAGE_HTML},
                {{".json", 5}, DX_PAGE_JSON},
                {{".txt", 4}, DX_PAGE_TEXT}};

    for (size_t i = 0; i < DX_COUNT(ends); i++) {
        size_t n = ends[i].end.n;
        if (path.n <= n || !dx_slice_eq(dx_slice_of(path.p + path.n - n, n), ends[i].end))
            continue;
        *form = ends[i].form;
        return true;
    }
    return false;
}

/* The file's place in the model's list; the same file is there once. False: a fault. */
static bool file_of(struct dx_config_reader *r, const struct dx_node *v, struct dx_slice path, unsigned *at)
{
    struct dx_config *c = &r->own->model;
    struct dx_page_file file = {.line = v->line, .column = v->column};

    for (*at = 0; *at < c->page_files_n; ++*at)
        if (dx_slice_eq(path, dx_slice_str(c->page_files[*at].path)))
            return true;
    if (path.p[0] != '/')
        dx_config_fault(r, v, "a page is an absolute path, not '%.*s'", DX_SLICE_ARGS(path));
    else if (!form_of(path, &file.form))
        dx_config_fault(r, v, "'%.*s': a page ends in .html, .json or .txt", DX_SLICE_ARGS(path));
    else if (c->page_files_n == DX_PAGE_FILES_MAX)
        dx_config_fault(r, v, "more than %u pages", DX_PAGE_FILES_MAX);
    else {
        if (c->page_files == NULL)
            c->page_files = dx_config_take(r, &r->own->arena, DX_PAGE_FILES_MAX, sizeof(*c->page_files));
        if (c->page_files == NULL)
            return false;
        file.path = dx_config_keep(r, path);
        c->page_files[c->page_files_n++] = file;
        return true;
    }
    return false;
}

/* One file, or one for each form. */
static void add_uses(struct dx_config_reader *r, const char *key, struct dx_node *v, struct dx_page_use use,
                     struct dx_page_uses *uses)
{
    struct dx_node *only[1] = {v}, **items = v->kind == DX_NODE_LIST ? v->items : only;
    size_t n = v->kind == DX_NODE_LIST ? v->n : 1;
    bool had[DX_PAGE_FORMS] = {false};
    struct dx_slice path;

    if (n == 0)
        dx_config_fault(r, v, "'%s' names no page", key);
    for (size_t i = 0; i < n; i++) {
        if (!dx_config_text(r, items[i], key, &path) || !file_of(r, items[i], path, &use.file))
            continue;
        enum dx_page_form form = r->own->model.page_files[use.file].form;
        if (had[form])
            dx_config_fault(r, items[i], "'%s' has a page of this form already", key);
        else
            uses->at[uses->n++] = use;
        had[form] = true;
    }
}

void dx_config_read_pages(struct dx_config_reader *r, const struct dx_config_setting *s, struct dx_node *v,
                          void *base)
{
    struct dx_page_uses uses = {dx_config_take(r, &r->own->arena, DX_PAGE_FORMS, sizeof(*uses.at)), 0};

    if (uses.at == NULL)
        return;
    add_uses(r, s->key, v, (struct dx_page_use){0, 0, 0}, &uses);
    memcpy((char *)base + s->place, &uses, sizeof(uses));
}

/* "404", or "5xx" for a class. */
static bool statuses_of(struct dx_slice key, struct dx_page_use *use)
{
    uint64_t status;

    if (key.n != 3 || (key.p[0] != '4' && key.p[0] != '5'))
        return false;
    unsigned class = (unsigned)(key.p[0] - '0') * 100;
    *use = (struct dx_page_use){class, class + 99, 0};
    if (dx_slice_eq_nocase(dx_slice_of(key.p + 1, 2), DX_SLICE("xx")))
        return true;
    if (!dx_slice_to_u64(key, &status))
        return false;
    use->from = use->to = (unsigned)status;
    return true;
}

/* "4xx" after "4XX"; the same key twice is a fault of any mapping. */
static bool is_there(const struct dx_page_uses *uses, struct dx_page_use use)
{
    for (unsigned i = 0; i < uses->n; i++)
        if (uses->at[i].from == use.from && uses->at[i].to == use.to)
            return true;
    return false;
}

void dx_config_read_error_pages(struct dx_config_reader *r, const struct dx_config_setting *s,
                                struct dx_node *v, void *base)
{
    struct dx_page_uses uses = {NULL, 0};
    struct dx_page_use use;

    if (v->kind != DX_NODE_MAP || v->n == 0) {
        dx_config_fault(r, v, "'%s' is a mapping of statuses to files, such as {404: /etc/diplex/404.html}",
                        s->key);
        return;
    }
    uses.at = dx_config_take(r, &r->own->arena, v->n * DX_PAGE_FORMS, sizeof(*uses.at));
    if (uses.at == NULL)
        return;
    for (size_t i = 0; i < v->n; i++) {
        const struct dx_node *key = v->pairs[i].key;
        char name[8];
        if (!statuses_of(key->text, &use)) {
            dx_config_fault(r, key, "'%.*s' is no status: write 404, 503, 4xx or 5xx",
                            DX_SLICE_ARGS(key->text));
            continue;
        }
        if (is_there(&uses, use)) {
            dx_config_fault(r, key, "'%.*s' has its pages already", DX_SLICE_ARGS(key->text));
            continue;
        }
        memcpy(name, key->text.p, 3);
        name[3] = '\0';
        add_uses(r, name, v->pairs[i].value, use, &uses);
    }
    memcpy((char *)base + s->place, &uses, sizeof(uses));
}

bool dx_config_networks_have(const struct dx_networks *networks, struct dx_slice client_ip)
{
    struct dx_address a;

    if (!dx_address_from_ip(client_ip, 0, &a))
        a = (struct dx_address){.u.sa = {.sa_family = AF_UNIX}, .len = sizeof(sa_family_t)};
    for (unsigned i = 0; i < networks->n; i++)
        if (dx_cidr_match(&networks->at[i], &a))
            return true;
    return false;
}

/* --- the files --- */

/* Never a pipe that nobody writes to, or a device: only an ordinary file. */
static bool read_file(const char *path, char **text, size_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!ok)
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    ok = ok && dx_fd_read_all(fd, DX_PAGE_BYTES_MAX, text, n);
    int error = errno;
    dx_fd_close(&fd);
    errno = error;
    return ok;
}

static const char *why_not(int error)
{
    if (error == EFBIG)
        return "larger than 256KB";
    return error == EINVAL ? "not an ordinary file" : strerror(error);
}

static void read_page(struct dx_config_reader *r, struct dx_page_file *f)
{
    char *text = NULL;
    size_t n = 0;

    if (!read_file(f->path, &text, &n)) {
        dx_config_fault_at(r, f->line, f->column, "cannot read the page %s: %s", f->path, why_not(errno));
        return;
    }
    struct dx_slice got = dx_slice_of(text, n);
    if (n == 0)
        dx_config_fault_at(r, f->line, f->column, "the page %s is empty", f->path);
    else if (dx_config_utf8_check(got) != n)
        dx_config_fault_at(r, f->line, f->column, "the page %s is not UTF-8", f->path);
    else if (!dx_arena_copy(&r->own->arena, got, &f->text))
        r->no_memory = true;
    free(text);
}

static struct dx_config_reader reader_of(struct dx_config *c, struct dx_config_faults *faults)
{
    return (struct dx_config_reader){.own = dx_config_owned_mutable(c), .faults = faults};
}

bool dx_config_pages_read(struct dx_config *c, struct dx_config_faults *faults)
{
    struct dx_config_reader r = reader_of(c, faults);

    for (unsigned i = 0; i < c->page_files_n; i++)
        read_page(&r, &c->page_files[i]);
    if (r.no_memory)
        dx_config_fault_at(&r, 0, 0, "out of memory");
    dx_config_faults_sort(faults);
    return faults->n == 0;
}

void dx_config_pages_write(const struct dx_config *c, struct dx_text *out)
{
    for (unsigned i = 0; i < c->page_files_n; i++) {
        uint64_t n = c->page_files[i].text.n;
        dx_text_add(out, dx_slice_of((const char *)&n, sizeof(n)));
        dx_text_add(out, c->page_files[i].text);
    }
}

bool dx_config_pages_take(struct dx_config *c, struct dx_slice text)
{
    struct dx_config_reader r = reader_of(c, NULL);
    uint64_t n;

    for (unsigned i = 0; i < c->page_files_n; i++) {
        if (text.n < sizeof(n))
            return false;
        memcpy(&n, text.p, sizeof(n));
        text = dx_slice_of(text.p + sizeof(n), text.n - sizeof(n));
        if (n == 0 || n > text.n ||
            !dx_arena_copy(&r.own->arena, dx_slice_of(text.p, (size_t)n), &c->page_files[i].text))
            return false;
        text = dx_slice_of(text.p + n, text.n - (size_t)n);
    }
    return text.n == 0;
}
