/* What was typed before, in a file of lines that only its owner may read.  A history that cannot be
 * kept is no reason to stop: nothing here fails. */
#ifndef HN_CLI_LINE_HISTORY_H
#define HN_CLI_LINE_HISTORY_H

#include "base/compiler.h"

enum { HN_HISTORY_LINES = 1000 };

/* XDG_STATE_HOME/hone/NAME, or ~/.local/state/hone/NAME; hn_free it.  NULL: there is no home. */
char *hn_history_path(const char *name);

/* Hand the last HN_HISTORY_LINES lines to each, oldest first, until it returns non-zero; a file
 * that has grown to more than twice as many is cut to them. */
typedef int hn_history_fn(void *arg, const char *line);
void hn_history_read(const char *path, hn_history_fn *each, void *arg);
/* Add a line; the folder is made (for its owner alone) when it is not there. */
void hn_history_add(const char *path, const char *line);

#endif
