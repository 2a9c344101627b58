/* SPDX-License-Identifier: MIT */
/* The table of paths, and the way from a request to the function that answers it. */
#include "admin/guests.h"

static const struct path_row paths[] = {
#define PATH(path, methods, who, function, sentence) {path, methods, who, function, sentence},
#include "admin/paths.def"
};

const struct path_row *path_find(struct dx_slice path)
{
    for (size_t i = 0; i < DX_COUNT(paths); i++)
        if (dx_slice_eq(path, dx_slice_str(paths[i].path)))
            return &paths[i];
    return NULL;
}

void path_list(struct dx_text *out)
{
    dx_text_adds(out, "there are:\n");
    for (size_t i = 0; i < DX_COUNT(paths); i++)
        dx_text_addf(out, "  %-4s %-10s %s\n", paths[i].methods & GET ? "GET" : "POST", paths[i].path,
                     paths[i].sentence);
}

void path_answer(struct dx_admin *a, struct dx_admin_reply *r)
{
    struct dx_text text;
    if (!r->refused && r->row) {
        r->row->answer(a, r);
        return;
    }
    dx_text_init(&text);
    if (r->refused)
        dx_text_addf(&text, "%s\n", r->refusal);
    else
        path_list(&text);
    reply_send_made(r, r->refused ? r->refused : 404, TYPE_TEXT, &text);
    dx_text_fini(&text);
}
