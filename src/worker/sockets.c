/* SPDX-License-Identifier: MIT */
/* The listening sockets that control has sent: kept by the main thread, lent to workers. */
#include <unistd.h>

#include "diplex/os/fd.h"
#include "worker/data.h"

void sockets_init(struct sockets all[SOCKETS_MAX])
{
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        memset(all[i].fd, 0xff, sizeof(all[i].fd)); /* -1 everywhere */
}

struct sockets *sockets_find(struct sockets all[SOCKETS_MAX], const char *text)
{
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        if (strcmp(all[i].text, text) == 0)
            return &all[i];
    return NULL;
}

static bool is_shared(const struct sockets *s) { return s->fd[0] >= 0 && s->fd[0] == s->fd[1]; }

/* From the last one on, as control does: the others keep their places among those that share the port. */
static void close_from(struct sockets *s, unsigned first)
{
    for (unsigned i = DX_BOARD_WORKERS; i-- > first;) {
        bool same = i > 0 && s->fd[i] == s->fd[0];
        if (s->fd[i] >= 0 && !same)
            close(s->fd[i]);
        s->fd[i] = -1;
    }
    if (first == 0)
        s->text[0] = '\0';
}

/* One that was to be closed, by a data process that did not live to do it, refuses connections still. */
void sockets_take(struct sockets all[SOCKETS_MAX], struct dx_letter *l)
{
    struct sockets *s = sockets_find(all, l->text);

    if (s == NULL)
        s = sockets_find(all, "");
    bool fits = s != NULL && l->fd >= 0 && (l->worker == DX_LETTER_ANY || l->worker < DX_BOARD_WORKERS);
    if (!fits) {
        dx_log(DX_LOG_ERROR, "listener_refused", DX_KS("listen", l->text));
        dx_fd_close(&l->fd);
        return;
    }
    dx_listen_refuse_no_more(l->fd);
    memcpy(s->text, l->text, sizeof(s->text));
    s->lent = l->number != 0;
    s->dropped = 0;
    if (l->worker != DX_LETTER_ANY)
        s->fd[l->worker] = l->fd;
    for (unsigned i = 0; l->worker == DX_LETTER_ANY && i < DX_BOARD_WORKERS; i++)
        s->fd[i] = l->fd;
    l->fd = -1;
}

void sockets_drop(struct sockets all[SOCKETS_MAX], const char *text, unsigned from)
{
    struct sockets *s = text[0] == '\0' ? NULL : sockets_find(all, text);
    if (s != NULL && from < DX_BOARD_WORKERS)
        s->dropped = from + 1;
}

void sockets_close_unused(struct sockets all[SOCKETS_MAX], const struct dx_config *c, unsigned workers)
{
    for (unsigned i = 0; i < SOCKETS_MAX; i++) {
        bool named = all[i].text[0] == '\0';
        for (unsigned k = 0; k < c->listen_n; k++)
            named |= strcmp(c->listen[k].text, all[i].text) == 0;
        if (!named)
            close_from(&all[i], 0);
        else if (!is_shared(&all[i]))
            close_from(&all[i], workers);
    }
}

void sockets_close_all(struct sockets all[SOCKETS_MAX])
{
    for (unsigned i = 0; i < SOCKETS_MAX; i++)
        if (all[i].text[0] != '\0')
            close_from(&all[i], 0);
}
