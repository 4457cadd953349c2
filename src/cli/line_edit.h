/* Line editing: line_libedit.c is libedit, line_none.c is none. */
#ifndef HN_CLI_LINE_EDIT_H
#define HN_CLI_LINE_EDIT_H

#include "cli/line.h"

/* *out stays NULL, without an error, where there is no line editing. */
HN_MUST_USE int hn_line_edit_open(struct hn_line_edit **out, const char *history,
                                  struct hone_err *err);
void hn_line_edit_close(struct hn_line_edit **e);
/* As hn_line_read. */
HN_MUST_USE int hn_line_edit_read(struct hn_line_edit *e, const char *prompt, struct hn_buf *text,
                                  struct hone_err *err);

#endif
