/* What hone convert and hone fuse show alike. */
#ifndef HN_CLI_CONVERT_VIEW_H
#define HN_CLI_CONVERT_VIEW_H

#include "cli/cli.h"
#include "hone/convert.h"

/* The options' format and threads of what --to and its like came to. */
void hn_convert_settle(struct hone_convert_options *o, enum hn_convert_to to,
                       const struct hn_settings *set);
/* A hone_convert_fn that draws progress; arg: struct hn_ui. */
int hn_convert_progress(void *arg, const struct hone_convert_progress *p);
/* What became of the weights, and the notes.  source: what they are of ("the base"); fused: how
 * many matrices had what ("had an adapter"); 0: nothing is said of that. */
void hn_convert_print(const struct hone_convert_report *r, const char *source, size_t fused,
                      const char *what, struct hn_ui *ui);
/* The same as members of the open object; fused NULL: without that one. */
void hn_convert_write(struct hn_json_writer *w, const struct hone_convert_report *r,
                      const size_t *fused, double seconds);

#endif
