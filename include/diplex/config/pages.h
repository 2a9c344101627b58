/* SPDX-License-Identifier: MIT */
/*
 * Pages of one's own: `error_pages` and `maintenance`. A model only names their files. Control and `diplex check` read them;
 * data, which opens no file, is handed what control has read, as one text.
 */
#ifndef DIPLEX_CONFIG_PAGES_H
#define DIPLEX_CONFIG_PAGES_H

#include "diplex/base/text.h"
#include "diplex/os/address.h"

enum dx_page_form { DX_PAGE_TEXT, DX_PAGE_JSON, DX_PAGE_HTML, DX_PAGE_FORMS };

#define DX_PAGE_BYTES_MAX ((size_t)256 << 10)
#define DX_PAGE_FILES_MAX 64u

struct dx_page_file {
    const char *path; /* absolute */
    enum dx_page_form form;
    unsigned line, column;
    struct dx_slice text; /* once it was read or taken; never empty then */
};

/* For which statuses a file stands; 0 to 0: maintenance, whatever its status. */
struct dx_page_use { unsigned from, to, file; };
struct dx_page_uses { struct dx_page_use *at; unsigned n; };

struct dx_networks { struct dx_cidr *at; unsigned n; const char **words; unsigned words_n; };
/* Of a client by its address; one without an address came through a Unix socket, and is one of `unix`. */
bool dx_config_networks_have(const struct dx_networks *networks, struct dx_slice client_ip);

struct dx_maintenance_config {
    bool on; /* by the file; an operator may switch it on besides */
    unsigned status;
    uint64_t retry_after;
    struct dx_page_uses pages;
    struct dx_networks allow; /* clients that pass */
};

struct dx_config;
struct dx_config_faults;

/* Reads the files. False: *faults says which of them cannot be had, and why. */
bool dx_config_pages_read(struct dx_config *c, struct dx_config_faults *faults) DX_CHECKED;
/* All of them as one text, and back into a model of the same configuration. False: it does not fit. */
void dx_config_pages_write(const struct dx_config *c, struct dx_text *out);
bool dx_config_pages_take(struct dx_config *c, struct dx_slice text) DX_CHECKED;

#endif
