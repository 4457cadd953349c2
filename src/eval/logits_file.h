/* The next-token logits of rows of tokens, into a file and out of it: [positions, V] float32. */
#ifndef HN_EVAL_LOGITS_FILE_H
#define HN_EVAL_LOGITS_FILE_H

#include "base/err.h"
#include "hone/compare.h"

/* Write the logits of the first rows[i].positions tokens of every row. */
HN_MUST_USE int hn_logits_write(struct hone_model *m, const struct hone_compare_row *rows, size_t n,
                                const char *path, struct hone_err *err);

#endif
