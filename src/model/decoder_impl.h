/* What the parts of the decoder share while a plan is built. */
#ifndef HN_MODEL_DECODER_IMPL_H
#define HN_MODEL_DECODER_IMPL_H

#include "model/decoder.h"

/* The values of one block that its backward pass reads. */
struct hn_saved {
    hn_value x;       /* [T, D] */
    hn_value q, k, v; /* [T, heads*HD] as attention sees them */
    hn_value q0, k0;  /* before the per-head norm */
    hn_value o, lse;  /* [T, H*HD], [T, H] */
    /* Of the last block, the picked rows in the place of all T: */
    hn_value late_o;             /* [T, H*HD] o itself, or its picked rows */
    hn_value xm;                 /* [T, D] */
    hn_value gate, up;           /* [T, F], or HN_NONE: made again in pieces */
    hn_value h[HN_LINEAR_COUNT]; /* [T, R] */
    hn_value z[HN_LINEAR_COUNT]; /* [T, out] of DoRA: before the magnitudes */
};

struct hn_build {
    const struct hone_model *m;
    const struct hn_decoder_options *o;
    struct hn_plan *p;
    int64_t ffn_rows; /* of a piece */
};

/* Rows [first, first + n) of the tokens or of the picked rows. */
struct hn_build_rows {
    enum hn_rows of;
    int64_t first, n;
};

/* As many as there may be. */
static inline int64_t hn_build_most(const struct hn_build *b, enum hn_rows of)
{
    return of == HN_ROWS_TOKENS ? b->o->max_tokens : b->o->max_rows;
}

/* A tensor for these rows: of all rows, a whole one. */
hn_value hn_build_piece(struct hn_build *b, const struct hn_build_rows *r, int64_t cols);

/* Is anything trained of the linears first..last: an adapter, or the weight itself? */
bool hn_build_adapted(const struct hn_build *b, int64_t l, enum hn_linear_id first,
                      enum hn_linear_id last);

/* y[i] (+)= linears first..first+n-1 of block l of the rows x; keep (may be NULL) receives what
 * their backward pass reads. */
void hn_build_linears(struct hn_build *b, int64_t l, enum hn_linear_id first, int n, hn_value x,
                      const hn_value *y, bool add, struct hn_saved *keep,
                      const struct hn_build_rows *r);
/* dx (HN_NONE: not wanted) = the gradient of the input of linears first..first+n-1. */
void hn_build_linears_bwd(struct hn_build *b, int64_t l, enum hn_linear_id first, int n,
                          hn_value dx, const hn_value *dy, hn_value x, const struct hn_saved *s,
                          const struct hn_build_rows *r);

#endif
