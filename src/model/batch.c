#include "model/batch.h"
#include "base/mem.h"

#include <string.h>

int hn_batch_init(struct hn_batch_rows *b, int64_t max_tokens, int64_t max_seqs,
                  struct hone_err *err)
{
    *b = (struct hn_batch_rows){.max_tokens = max_tokens, .max_seqs = max_seqs};
    b->tokens = hn_calloc((size_t)max_tokens, sizeof *b->tokens);
    b->positions = hn_calloc((size_t)max_tokens, sizeof *b->positions);
    b->rows = hn_calloc((size_t)max_tokens, sizeof *b->rows);
    b->targets = hn_calloc((size_t)max_tokens, sizeof *b->targets);
    b->offsets = hn_calloc((size_t)max_seqs + 1, sizeof *b->offsets);
    if (!b->tokens || !b->positions || !b->rows || !b->targets || !b->offsets) {
        hn_batch_release(b);
        return hn_fail_memory(err, "preparing batches");
    }
    hn_batch_clear(b);
    return 0;
}

void hn_batch_release(struct hn_batch_rows *b)
{
    hn_free(b->tokens);
    hn_free(b->positions);
    hn_free(b->rows);
    hn_free(b->targets);
    hn_free(b->offsets);
    *b = (struct hn_batch_rows){0};
}

void hn_batch_clear(struct hn_batch_rows *b)
{
    b->batch = (struct hn_batch){.tokens = b->tokens,
                                 .positions = b->positions,
                                 .offsets = b->offsets,
                                 .rows = b->rows,
                                 .targets = b->targets};
    b->offsets[0] = 0;
}

void hn_batch_add(struct hn_batch_rows *b, const int32_t *ids, int64_t n, const uint8_t *trained)
{
    struct hn_batch *t = &b->batch;
    HN_ASSERT(t->n_tokens + n <= b->max_tokens && t->n_seqs < b->max_seqs);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = t->n_tokens + i;
        b->tokens[at] = ids[i];
        b->positions[at] = (int32_t)i;
        if (i + 1 < n && (!trained || trained[i + 1])) {
            b->rows[t->n_rows] = (int32_t)at;
            b->targets[t->n_rows++] = ids[i + 1];
        }
    }
    t->n_tokens += n;
    b->offsets[++t->n_seqs] = (int32_t)t->n_tokens;
}
