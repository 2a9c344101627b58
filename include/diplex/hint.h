/* SPDX-License-Identifier: MIT */
/*
 * The wrong kind: what passing traffic gives away of a mistake in the configuration of Django, gunicorn,
 * uvicorn or diplex, and which setting to change. Only what the heads prove or make likely; bodies are not
 * looked into. Pure: it is the caller who counts and writes the line, as often as the gate lets it.
 */
#ifndef DIPLEX_HINT_H
#define DIPLEX_HINT_H

#include <stdatomic.h>

#include "diplex/base/log.h"
#include "diplex/http.h"

enum dx_hint {
    DX_HINT_NONE,
#define HINT(id, level, word, seen, change) DX_HINT_##id,
#include "diplex/hints.def"
    DX_HINT_COUNT,
};

struct dx_hint_row {
    enum dx_log_level level;
    const char *word, *seen, *change;
};
const struct dx_hint_row *dx_hint_row(enum dx_hint h); /* not of NONE */

/* A request and the answer of a server to it. */
struct dx_hint_facts {
    const struct dx_request *request;
    const struct dx_response *response;
    struct dx_slice sent;    /* the head as the server got it */
    bool introduced;         /* a PROXY protocol header stood before it */
    const char *health_path; /* of the pool; NULL: it has none */
    bool wsgi;               /* the kind of the pool */
};
/* For any final answer: DX_HINT_NONE when there is nothing to say. */
enum dx_hint dx_hint_of_answer(const struct dx_hint_facts *f);
/* For a refusal of diplex's own. */
enum dx_hint dx_hint_of_refusal(unsigned status);
/* For an answer to a probe that counts as a failure; `introduced` as above. */
enum dx_hint dx_hint_of_probe(unsigned status, bool introduced);

/* When a hint was said last. Any number of threads may come to a gate; zeroed: never. */
struct dx_hint_gate {
    _Atomic uint64_t said_ms, seen;
};
/* It was seen once more. True: it is to be said now, because it was not for `every_ms` (0: it never is);
 * *times is how often it was seen since the last time, this one included. */
bool dx_hint_due(struct dx_hint_gate *g, uint64_t now_ms, uint64_t every_ms, uint64_t *times) DX_CHECKED;

/* All rows as Markdown, for docs/operations.md. */
void dx_hint_print(struct dx_text *out);

#endif
