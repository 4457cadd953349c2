/* The decoder, written once: it turns a model and a purpose into a planned list of operations. */
#ifndef HN_MODEL_DECODER_H
#define HN_MODEL_DECODER_H

#include "model/model.h"
#include "model/plan.h"

enum hn_purpose {
    HN_FOR_TRAINING,   /* loss per picked row, and gradients into the adapters' da, db */
    HN_FOR_LOSS,       /* loss (and hit) per picked row */
    HN_FOR_LOGITS,     /* logits [n_rows, V] of the picked rows, no cache */
    HN_FOR_GENERATION, /* logits of the picked rows, behind the cache */
};

struct hn_decoder_options {
    enum hn_purpose purpose;
    bool checkpoint_blocks; /* keep only each block's input; recompute the block in the backward
                               pass */
    int64_t max_tokens, max_seqs, max_rows, max_context;
    struct hn_kv *kv; /* HN_FOR_GENERATION */
};

/* out is initialised here and released by the caller, also after a failure. */
HN_MUST_USE int hn_decoder_plan(const struct hone_model *m, const struct hn_decoder_options *o,
                                struct hn_plan *out, struct hone_err *err);

#endif
