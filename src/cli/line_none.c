/* hone built without libedit: lines are read as the terminal gives them. */
#include "cli/line_edit.h"

int hn_line_edit_open(struct hn_line_edit **out, const char *history, struct hone_err *err)
{
    (void)history;
    (void)err;
    *out = NULL;
    return 0;
}

void hn_line_edit_close(struct hn_line_edit **e)
{
    *e = NULL;
}

int hn_line_edit_read(struct hn_line_edit *e, const char *prompt, struct hn_buf *text,
                      struct hone_err *err)
{
    (void)e;
    (void)prompt;
    (void)text;
    return hn_fail(err, HONE_FAILED, "this hone was built without libedit");
}
