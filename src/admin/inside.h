/* SPDX-License-Identifier: MIT */
/*
 * The inside of the admin room: a request as the functions of paths.def see it. A new path is a row there and
 * a function of this form; nothing else of HTTP is its business.
 */
#ifndef ADMIN_INSIDE_H
#define ADMIN_INSIDE_H

#include "diplex/admin.h"
#include "diplex/base/list.h"

/* What was asked. Borrowed until it is answered. */
struct ask {
    struct dx_slice path, query; /* query without its '?' */
    struct dx_slice known;       /* If-None-Match: what the asker has already */
    struct dx_slice accept;      /* the field; empty: there is none */
    bool post;                   /* else GET or HEAD */
};
const struct ask *reply_ask(const struct dx_admin_reply *r);
/* A parameter of the query, decoded, terminated, in bytes of the reply's own; NULL: it is not there, or too
 * long. Each call may end what an earlier one returned for the same name. */
const char *reply_param(struct dx_admin_reply *r, const char *name);

/* Before the answer: one more field of it (Content-Type, Content-Length and Cache-Control: no-store come of
 * themselves; one that is given here stands instead). */
void reply_field(struct dx_admin_reply *r, const char *name, const char *value);
/* Answers, which ends the reply: it must not be touched any more. Fine when the one who asked has left. The
 * body is copied. */
void reply_send(struct dx_admin_reply *r, unsigned status, const char *type, struct dx_slice body);
/* The same of what was made, whole or not at all: 500 when there was not enough memory. */
void reply_send_made(struct dx_admin_reply *r, unsigned status, const char *type, const struct dx_text *t);

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_JSON "application/json"

/* What the owner says now, for whoever has to tell it. */
void admin_facts(struct dx_admin *a, struct dx_admin_facts *out);
struct dx_admin *reply_admin(const struct dx_admin_reply *r);
const struct dx_admin_owner *admin_owner(const struct dx_admin *a);

/* maintenance.c: as an object of JSON. */
void maintenance_write(const struct dx_admin_facts *f, struct dx_text *out);

/* The functions of the table. */
#define PATH(path, methods, who, function, sentence) \
    void function(struct dx_admin *a, struct dx_admin_reply *r);
#include "admin/paths.def"

#endif
