/* SPDX-License-Identifier: MIT */
/*
 * The terminal of `diplex top`: the other screen, no echo, keys one by one. Signals only leave a mark; the
 * loop that waits for keys sees it, so that there is one way out. A stop (Ctrl-Z) gives the terminal back
 * before, and takes it after.
 */
#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "diplex/base/check.h"
#include "diplex/os/fd.h"

#define ENTER  "\033[?1049h\033[?25l\033[H\033[2J"
#define LEAVE  "\033[0m\033[?25h\033[?1049l"
#define ESC_MS 30 /* for the rest of an arrow key */
#define ESCAPE 27

static struct termios before; /* as the terminal was; a signal's handler has no argument */
static bool is_open;
static volatile sig_atomic_t ended, resized, stopped;

static void say(struct dx_slice s)
{
    if (!dx_fd_write_all(STDOUT_FILENO, s))
        ended = 1;
}

static bool enter(void)
{
    struct termios raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
        return false;
    say(DX_SLICE(ENTER));
    return true;
}

static void leave(void)
{
    say(DX_SLICE(LEAVE));
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_signal(int number)
{
    if (number == SIGWINCH || number == SIGCONT)
        resized = 1;
    else if (number == SIGTSTP)
        stopped = 1;
    else
        ended = 1;
}

static void on_panic(void)
{
    if (is_open)
        leave();
}

bool screen_open(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
    struct sigaction action = {.sa_handler = on_signal};
    DX_ASSERT(!is_open);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    for (size_t i = 0; i < DX_COUNT(numbers); i++)
        (void)sigaction(numbers[i], &action, NULL);
    dx_panic_set_hook(on_panic);
    is_open = enter();
    return is_open;
}

void screen_close(void)
{
    if (is_open)
        leave();
    is_open = false;
}

void screen_paint(const struct dx_text *frame) { say(dx_slice_of(frame->p, frame->n)); }

/* SIGSTOP stops at once; what follows it runs after SIGCONT. */
static void stop(void)
{
    stopped = 0;
    leave();
    (void)raise(SIGSTOP);
    if (!enter())
        ended = 1;
    resized = 1;
}

static bool readable(uint64_t ms)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int n = poll(&p, 1, (int)ms);
    if (n > 0 && !(p.revents & POLLIN))
        ended = 1;
    return n > 0 && (p.revents & POLLIN);
}

static bool read_byte(int *out)
{
    unsigned char c;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        ended = 1;
    if (n != 1)
        return false;
    *out = c;
    return true;
}

/* ESC [ A and its like. */
static int arrow(void)
{
    int c = 0, last = 0;
    if (!readable(ESC_MS) || !read_byte(&c) || (c != '[' && c != 'O'))
        return ESCAPE;
    while (readable(ESC_MS) && read_byte(&last) && ((last >= '0' && last <= '9') || last == ';'))
        c = last;
    switch (last) {
    case 'A':
        return SCREEN_UP;
    case 'B':
        return SCREEN_DOWN;
    case '~':
        return c == '5' ? SCREEN_PAGE_UP : c == '6' ? SCREEN_PAGE_DOWN : 0;
    default:
        return 0;
    }
}

enum screen_event screen_wait(uint64_t ms, int *key)
{
    bool here = !ended && !resized && !stopped && readable(ms);
    if (stopped)
        stop();
    if (ended)
        return SCREEN_END;
    if (resized) {
        resized = 0;
        return SCREEN_RESIZED;
    }
    if (!here || !read_byte(key))
        return ended ? SCREEN_END : SCREEN_TIME;
    if (*key == ESCAPE)
        *key = arrow();
    return SCREEN_KEY;
}
