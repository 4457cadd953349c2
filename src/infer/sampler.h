/* From logits to the next token, in mlx-lm's order: repetition penalty, top-p, min-p, top-k (all on
 * untempered probabilities), then a draw at the temperature. */
#ifndef HN_INFER_SAMPLER_H
#define HN_INFER_SAMPLER_H

#include "base/rng.h"
#include "hone/generate.h"

struct hn_sampler {
    const struct hone_generate_options *o;
    struct hn_rng rng;
    int64_t vocab;
    float *logits;  /* [V] working copy */
    int32_t *order; /* [V] candidates, most likely first where they are sorted */
};

int hn_sampler_open(struct hn_sampler *s, const struct hone_generate_options *o, int64_t vocab,
                    struct hone_err *err);
void hn_sampler_close(struct hn_sampler *s);

/* logits [V]; recent[n_recent]: the tokens so far, newest last.  *logprob (may be NULL) = log
 * softmax of the choice, before any filter.  -1: the logits are no numbers to choose by (NaN, or an
 * infinity among the likeliest). */
int32_t hn_sampler_next(struct hn_sampler *s, const float *logits, const int32_t *recent,
                        size_t n_recent, float *logprob);

#endif
