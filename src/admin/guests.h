/* SPDX-License-Identifier: MIT */
/* What the files of this room share of its insides: doors, guests who came in by them, and what they asked.
 */
#ifndef ADMIN_GUESTS_H
#define ADMIN_GUESTS_H

#include "admin/inside.h"
#include "diplex/http1.h"
#include "diplex/net.h"

#define ADMIN_MAGIC 0x41444d49u
#define DOOR_MAGIC  0x444f4f52u
#define GUEST_MAGIC 0x47554553u
#define REPLY_MAGIC 0x5245504cu

#define HEAD_BYTES 8192
#define PARAMS_MAX 16

enum who { ANYONE, READER, OPERATOR };
enum { GET = 1, POST = 2 };

struct path_row {
    const char *path;
    unsigned methods;
    enum who who;
    void (*answer)(struct dx_admin *a, struct dx_admin_reply *r);
    const char *sentence;
};

struct dx_admin {
    uint32_t magic;
    struct dx_loop *loop;
    struct dx_admin_owner owner;
    struct dx_link doors, guests, replies;
    uint64_t config_hash, hashed_generation; /* of what /metrics says of the configuration; 0: not yet */
    uint64_t refused_told_us,
        refused_untold; /* strangers: when that was said last, and how many were since */
};

struct dx_admin_door {
    uint32_t magic;
    struct dx_link link;
    struct dx_admin *admin;
    int fd;
    char *token, *only;
    char **hosts; /* as many as hosts_n */
    size_t hosts_n;
    bool is_tcp, read_open;
    unsigned guests_n;
    struct dx_watch watch;
    struct dx_timer pause;
};

struct guest {
    uint32_t magic;
    struct dx_link link;
    struct dx_admin *admin;
    struct dx_admin_door *door; /* NULL: it was shut meanwhile */
    struct dx_transport transport;
    struct dx_deadline deadline;
    struct dx_task again;
    struct dx_grave grave;
    char ip[DX_ADDRESS_TEXT];
    enum guest_state { GUEST_READS, GUEST_BODY, GUEST_WAITS, GUEST_TAKES, GUEST_PARTS } state;
    struct dx_admin_reply *reply;
    uint64_t body_left;
    bool last;  /* the connection ends with the answer at hand */
    bool begun; /* part of a head is here: its time runs */
    char *out;
    size_t out_n, out_at;
    size_t in_n, in_seen;
    char in[HEAD_BYTES];
};

struct dx_admin_reply {
    uint32_t magic;
    struct dx_link link;
    struct dx_admin *admin;
    struct guest *guest; /* NULL: who asked has left */
    const struct path_row *row;
    struct ask ask;
    unsigned refused; /* the status with which it is; 0: not */
    const char *refusal;
    bool head_only, own_caching;
    char *bytes; /* what `ask` and `params` point into */
    struct {
        const char *name, *value;
    } params[PARAMS_MAX];
    size_t params_n;
    struct dx_text fields;
};

/* guests.c */
void guest_start(struct dx_admin_door *door, int fd, const struct dx_address *peer);
void guest_end(struct guest *g);                             /* closes it, whatever it is at */
void guest_give(struct guest *g, char *bytes, size_t n);     /* its answer, taken over */
bool guest_make_room(struct dx_admin_door *door) DX_CHECKED; /* one that asks nothing is closed for another */

/* replies.c. NULL: out of memory. */
struct dx_admin_reply *reply_new(struct guest *g, const struct dx_request *r) DX_CHECKED;
void reply_free(struct dx_admin_reply **r);
void reply_refuse(struct dx_admin_reply *r, unsigned status, const char *why);

/* trust.c: sets r->refused where the door does not let the request in. */
void trust_look(struct guest *g, const struct dx_request *request, struct dx_admin_reply *r);

/* paths.c */
const struct path_row *path_find(struct dx_slice path);
void path_list(struct dx_text *out); /* all there are, for a person */
void path_answer(struct dx_admin *a, struct dx_admin_reply *r);

#endif
