/* SPDX-License-Identifier: MIT */
/* The two formats of GET /metrics, for the files that write it: metrics.c and metrics_pools.c. */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include "diplex/admin.h"
#include "diplex/board/routes.h"
#include "diplex/board/seats.h"

enum family {
#define FAMILY(id, name, type, labels, sentence) FAMILY_##id,
#include "admin/metrics.def"
    FAMILY_COUNT
};

/* Labels as they stand between the braces, already escaped. */
#define LABELS_BYTES 2048
struct labels {
    char text[LABELS_BYTES];
    size_t n;
    bool cut; /* they did not fit: what they are of is left out */
};
void labels_begin(struct labels *l);
void labels_add(struct labels *l, const char *name, const char *value);
void labels_add_route(struct labels *l, const char *host, const char *prefix);

struct writer {
    struct dx_text *out;
    bool open; /* OpenMetrics; else Prometheus's own text format */
    const char *name;
    const char *suffix; /* of its values */
};

/* The lines before a family's values. Each family stands once, all its values together. */
void write_family(struct writer *w, enum family f);
/* One value of the family begun last. */
void write_value(struct writer *w, const struct labels *l, uint64_t value);
void write_seconds(struct writer *w, const struct labels *l, uint64_t us);
void write_histogram(struct writer *w, const struct labels *l, const struct dx_board_histogram_sum *h);

/* metrics_pools.c: what there is for each route, pool and server. */
void write_pools(struct writer *w, const struct dx_admin_facts *f);

void metrics_print(struct dx_text *out); /* all there are, for docs/metrics.md */

/* Who asks with this Accept wants OpenMetrics. */
bool metrics_wants_open(struct dx_slice accept);
/* Of the configuration as it may be shown: long tables take their time. */
uint64_t metrics_hash(const struct dx_config *config);
void metrics_write(const struct dx_admin_facts *f, uint64_t hash, bool open, struct dx_text *out);

#endif
