/* SPDX-License-Identifier: MIT */
/*
 * What a program that was put in the place of another takes over of what it was left, while it starts. The
 * board goes on as it is when both lay it out in the same way. If not, there is a new one: counters that only
 * grow go on from what is told of them by name; servers are judged anew, histograms begin anew, and the data
 * processes of the old board are not seen on it.
 */
#include "diplex/os/fd.h"
#include "supervise/control.h"

int inherit_fd(const struct control *c, const char *word)
{
    struct dx_slice rest = {NULL, 0}, line;
    return c->heritage.bytes && heritage_next(&c->heritage, word, &rest, &line) ? heritage_fd(&line) : -1;
}

static struct dx_board *resume(const struct control *c, bool *left)
{
    struct dx_slice rest = {NULL, 0}, line;
    struct dx_err err = {{0}};
    *left = c->heritage.bytes && heritage_next(&c->heritage, "board", &rest, &line);
    if (!*left)
        return NULL;
    int fd = heritage_fd(&line), own = heritage_fd(&line);
    bool same = heritage_value(&c->heritage, "layout") == dx_board_layout();
    struct dx_board *b = same ? dx_board_resume(fd, own, &err) : NULL;
    dx_fd_close(&own);
    if (!b) {
        dx_log(DX_LOG_WARN, "board_new",
               DX_KS("why",
                     same ? err.text : "this version lays it out in another way: servers are judged anew"));
        dx_fd_close(&fd);
    }
    return b;
}

/* Names that are none here are of counters that another version has. */
static void carry(struct dx_board *b, const struct heritage *h)
{
    struct dx_slice rest = {NULL, 0}, line;
    while (heritage_next(h, "counter", &rest, &line)) {
        uint64_t n = heritage_number(&line);
        (void)!dx_board_counter_carry(b, line, n);
    }
    dx_board_data_starts_carry(b, (unsigned)heritage_value(h, "data_starts"));
}

struct dx_board *inherit_board(const struct control *c, struct dx_err *err)
{
    bool left;
    struct dx_board *b = resume(c, &left);
    if (b)
        return b;
    b = dx_board_new(c->now->workers, err);
    if (b && left)
        carry(b, &c->heritage);
    return b;
}

uint64_t inherit_left_us(const struct heritage *h, pid_t leaver)
{
    struct dx_slice rest = {NULL, 0}, line;
    while (heritage_next(h, "left", &rest, &line))
        if ((pid_t)heritage_number(&line) == leaver)
            return heritage_number(&line);
    return 0;
}
