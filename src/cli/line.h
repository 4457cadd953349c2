/* Lines that a person types, or a pipe brings: with editing and history where both ends are a
 * terminal and libedit was there to build with, plain otherwise. */
#ifndef HN_CLI_LINE_H
#define HN_CLI_LINE_H

#include "base/buf.h"
#include "base/err.h"

struct hn_line_edit;

struct hn_line {
    struct hn_line_edit *edit; /* NULL: plain */
    bool terminal;             /* somebody types: there is a prompt, and Ctrl-C clears the line */
};

/* history: the file that keeps what was typed, or NULL. */
HN_MUST_USE int hn_line_open(struct hn_line *l, const char *history, struct hone_err *err);
void hn_line_close(struct hn_line *l);
/* 1: a line is in text, without its end; 0: the end of input (Ctrl-D).  HONE_INTERRUPTED: Ctrl-C
 * was pressed, err is not filled.  hn_cli_catch_each_interrupt comes first. */
HN_MUST_USE int hn_line_read(struct hn_line *l, const char *prompt, struct hn_buf *text,
                             struct hone_err *err);

#endif
