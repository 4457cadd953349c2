#include "cli/line.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/line_edit.h"

enum { MAX_LINE = 16 << 20 };

int hn_line_open(struct hn_line *l, const char *history, struct hone_err *err)
{
    const char *term = getenv("TERM");
    *l = (struct hn_line){.terminal = isatty(STDIN_FILENO) != 0};
    bool editable = l->terminal && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
    return editable ? hn_line_edit_open(&l->edit, history, err) : 0;
}

void hn_line_close(struct hn_line *l)
{
    hn_line_edit_close(&l->edit);
    *l = (struct hn_line){0};
}

/* Colours in a prompt stand between \1's, for libedit; plain prompts have none. */
static void show_prompt(const char *prompt)
{
    FILE *out = isatty(STDOUT_FILENO) ? stdout : stderr;
    bool inside = false;
    for (; *prompt; prompt++) {
        if (*prompt == '\1')
            inside = !inside;
        else if (!inside)
            fputc(*prompt, out);
    }
    fflush(out);
}

/* Wait until a line was typed; false: Ctrl-C came.  The signal is let in only while the wait is
 * ready for it: between a look at the flag and a read it would be lost. */
static bool wait_for_line(void)
{
    sigset_t interrupt, before;
    fd_set set;
    int ready = 0;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    while (ready <= 0 && !hn_cli_interrupted()) {
        FD_ZERO(&set);
        FD_SET(STDIN_FILENO, &set);
        ready = pselect(STDIN_FILENO + 1, &set, NULL, NULL, NULL, &before);
        if (ready < 0 && errno != EINTR)
            break; /* the read will tell */
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready != 0 && !hn_cli_interrupted();
}

static int read_plain(struct hn_buf *text, struct hone_err *err)
{
    int c;
    errno = 0;
    while ((c = getchar()) != EOF && c != '\n') {
        hn_buf_add_char(text, (char)c);
        if (text->len > MAX_LINE)
            return hn_fail(err, HONE_FAILED, "a line of standard input is longer than %d bytes",
                           MAX_LINE);
    }
    if (text->failed)
        return hn_fail_memory(err, "reading a line");
    if (c == EOF && ferror(stdin) && errno == EINTR && hn_cli_interrupted()) {
        clearerr(stdin);
        hn_buf_clear(text);
        return HONE_INTERRUPTED;
    }
    if (c == EOF && ferror(stdin))
        return hn_fail(err, HONE_FAILED, "standard input cannot be read: %s", strerror(errno));
    if (text->len && text->data[text->len - 1] == '\r')
        text->data[--text->len] = 0;
    return c == EOF && !text->len ? 0 : 1;
}

int hn_line_read(struct hn_line *l, const char *prompt, struct hn_buf *text, struct hone_err *err)
{
    hn_buf_clear(text);
    hn_cli_break_reads(true);
    bool typed = !l->edit && l->terminal;
    if (typed)
        show_prompt(prompt);
    int got = HONE_INTERRUPTED;
    if (l->edit)
        got = hn_line_edit_read(l->edit, prompt, text, err);
    else if (!typed || wait_for_line())
        got = read_plain(text, err);
    hn_cli_break_reads(false);
    if (got == HONE_INTERRUPTED && typed) {
        hn_cli_forget_interrupts();
        fputc('\n', stderr);
    }
    return got;
}
