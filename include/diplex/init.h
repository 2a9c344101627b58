/* SPDX-License-Identifier: MIT */
/*
 * A first configuration: the smallest one with comments, or one made from a compose file whose services run
 * gunicorn and uvicorn. Only files are read: the compose file, and what it names beside it (Dockerfiles,
 * start scripts, gunicorn.conf.py, files of variables). Nothing is run, and nobody is asked.
 */
#ifndef DIPLEX_INIT_H
#define DIPLEX_INIT_H

#include "diplex/base/err.h"
#include "diplex/base/text.h"

void dx_init_smallest(struct dx_text *out);

typedef const char *(*dx_init_env)(const char *name, void *arg); /* NULL when unset */

/* Appends the configuration to *out, each value with the place that it comes from, and to *notes what a
 * person should see to, a sentence in each line. False: it is no compose file, or no service of it runs a
 * server that is known. */
bool dx_init_from_compose(const char *path, dx_init_env env, void *arg, struct dx_text *out,
                          struct dx_text *notes, struct dx_err *err) DX_CHECKED;

#endif
