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

/* What a training step keeps from forward to backward; the rest is made again.  Every column of a
 * [T, n] tensor costs its linear's depth to make again, so what is kept first is what the deepest
 * linear made: a block's input (down_proj), then everything else at nearly the same price. */
enum hn_keep {
    HN_KEEP_ALL,
    HN_KEEP_ATTENTION, /* all but gate and up, which are the larger half */
    HN_KEEP_INPUTS,    /* the input of each segment of blocks */
};

/* The number of blocks per segment with which the fewest inputs are alive at a time. */
int64_t hn_decoder_smallest_segment(const struct hone_model *m);

struct hn_decoder_options {
    enum hn_purpose purpose;
    enum hn_keep keep; /* HN_FOR_TRAINING */
    int64_t segment;   /* HN_KEEP_INPUTS: blocks of a segment; 0: 1 */
    int64_t whole;     /* HN_KEEP_ATTENTION: so many of the last blocks keep gate and up too */
    int64_t ffn_rows;  /* rows of a piece of the feed-forward half; 0: the decoder's choice */
    int64_t max_tokens, max_seqs, max_rows, max_context;
    struct hn_kv *kv; /* HN_FOR_GENERATION */
};

/* out is initialised here and released by the caller, also after a failure. */
HN_MUST_USE int hn_decoder_plan(const struct hone_model *m, const struct hn_decoder_options *o,
                                struct hn_plan *out, struct hone_err *err);

#endif
