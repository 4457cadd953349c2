/* Rows of token ids laid end to end, as a backend takes them.  Storage is made once, for a bound.
 */
#ifndef HN_MODEL_BATCH_H
#define HN_MODEL_BATCH_H

#include "backend/backend.h"

struct hn_batch_rows {
    struct hn_batch batch; /* what to run; its pointers are the arrays below */
    int64_t max_tokens, max_seqs;
    int32_t *tokens, *positions, *offsets, *rows, *targets;
};

HN_MUST_USE int hn_batch_init(struct hn_batch_rows *b, int64_t max_tokens, int64_t max_seqs,
                              struct hone_err *err);
void hn_batch_release(struct hn_batch_rows *b);
void hn_batch_clear(struct hn_batch_rows *b);
/* Append one sequence.  trained[i] != 0: token i (i > 0) is to be predicted from those before it;
 * NULL: every token but the first. */
void hn_batch_add(struct hn_batch_rows *b, const int32_t *ids, int64_t n, const uint8_t *trained);

#endif
