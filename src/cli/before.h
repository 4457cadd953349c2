/* An earlier run of `hone test --json`, read back to be shown beside a new one. */
#ifndef HN_CLI_BEFORE_H
#define HN_CLI_BEFORE_H

#include "cli/ui.h"
#include "hone/test.h"

struct hn_before;
HN_MUST_USE int hn_before_open(struct hn_before **out, const char *path, struct hone_err *err);
void hn_before_close(struct hn_before **b);
/* A row of the new run; fails when the old one had another prompt there. */
HN_MUST_USE int hn_before_add(struct hn_before *b, const struct hone_test_row *row,
                              struct hone_err *err);
/* The table of both, and up to three rows that show the difference best. */
void hn_before_print(struct hn_before *b, const struct hone_test_summary *now, struct hn_ui *ui);

#endif
