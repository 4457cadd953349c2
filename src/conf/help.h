/* What people read about options, made from the table. */
#ifndef HN_CONF_HELP_H
#define HN_CONF_HELP_H

#include "base/buf.h"
#include "conf/option.h"

/* The list of commands, as `hone --help` prints it. */
void hn_help_commands(struct hn_buf *out, int width);
/* One command: usage, text, options by group, examples. */
void hn_help_command(struct hn_buf *out, enum hn_command_id command, int width);
/* docs/options.md. */
void hn_help_markdown(struct hn_buf *out);

#endif
