/* SPDX-License-Identifier: MIT */
/* A plan from a file: its text, the model of it, and its pools with their places on the board. */
#include <stdio.h>
#include <stdlib.h>

#include "supervise/control.h"

#define MORE_BYTES 40

static bool copy_pools(struct plan *p)
{
    p->pools = calloc(p->config->pools_n ? p->config->pools_n : 1, sizeof *p->pools);
    if (!p->pools)
        return false;
    for (unsigned i = 0; i < p->config->pools_n; i++) {
        p->pools[i].board = DX_BOARD_NONE;
        p->pools[i].pool = p->config->pools[i];
    }
    return true;
}

static void report_faults(const struct plan *p, const struct dx_config_faults *faults, struct dx_text *report,
                          struct dx_err *first)
{
    dx_config_faults_print(faults, dx_slice_of(p->source.text, p->source.n), p->source.name, report);
    if (faults->n == 0) {
        dx_err_set(first, "%s: out of memory", p->source.name);
        return;
    }
    const struct dx_config_fault *f = &faults->at[0];
    char more[MORE_BYTES] = "", place[MORE_BYTES] = "";
    if (faults->n > 1)
        snprintf(more, sizeof more, " (and %zu more)", faults->n - 1);
    if (f->line)
        snprintf(place, sizeof place, ":%u:%u", f->line, f->column);
    dx_err_set(first, "%s%s: %s%s", p->source.name, place, f->text, more);
}

struct plan *plan_of_source(struct dx_control_source *source, struct dx_text *report, struct dx_err *first)
{
    struct dx_config_faults faults = {0};
    struct plan *p = calloc(1, sizeof *p);
    if (!p) {
        dx_control_source_fini(source);
        dx_err_set(first, "out of memory");
        goto sentence;
    }
    for (unsigned i = 0; i < DOORS; i++)
        p->door_fds[i] = -1;
    for (unsigned i = 0; i < LOGS; i++)
        p->logs[i].fd = -1;
    p->source = *source;
    *source = (struct dx_control_source){NULL, 0, NULL};
    p->config = dx_config_parse(dx_slice_of(p->source.text, p->source.n), p->source.name, dx_control_env,
                                NULL, &faults);
    bool good = p->config && dx_config_pages_read(p->config, &faults);
    if (!good)
        report_faults(p, &faults, report, first);
    dx_config_faults_fini(&faults);
    if (!good)
        goto out;
    p->workers = control_workers(p->config);
    if (copy_pools(p))
        return p;
    dx_err_set(first, "out of memory");
sentence:
    dx_text_addf(report, "error: %s\n", first->text);
out:
    plan_free(&p);
    return NULL;
}

struct plan *plan_read(const char *file, struct dx_text *report, struct dx_err *first)
{
    struct dx_control_source source;
    if (dx_control_source_read(file, &source, first))
        return plan_of_source(&source, report, first);
    dx_text_addf(report, "error: %s\n", first->text);
    return NULL;
}

void plan_free(struct plan **plan)
{
    struct plan *p = *plan;
    if (!p)
        return;
    listeners_close(p);
    doors_forget(p);
    logs_close(p);
    free(p->pools);
    dx_config_free(&p->config);
    dx_control_source_fini(&p->source);
    free(p);
    *plan = NULL;
}
