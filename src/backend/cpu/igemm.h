/* Products of several tokens with weights of integer codes, in integers: prompts and batches of
 * sequences behind a cache, and every product of the class int8.
 *
 * A weight is code * scale + bias with a scale and a bias per block of 32; a block of a token is
 * rounded to q * scale.  Per row and token, block after block in the order of columns:
 *
 *   total = fma(weight's scale * token's scale, sum of code * q, total)     the sum is exact
 *   total = fma(weight's bias, sum of the token's block, total)             formats with a bias
 *
 * so neither the other tokens nor the threads nor the level change a bit of a result.
 *
 *   tokens (all threads, shared)          panel (one thread, its cache)            output
 *   q [T][K], scale, sum [T][K/32]        16 rows: per block codes, scale, bias    [T][N]
 *
 * Tokens are 8 or 16 bits wide, and so are the codes beside them (igemm_c.c is the specification):
 *
 *   HN_IM_8: codes 0 .. 63, as eight vectors of [16 rows][4 columns], the middle of symmetric
 *   formats in the bias.  With AVX2 products are added in 16 bits, as many as surely fit, then in
 *   32.  Where a level sums four products in 32 bits at once, codes of whole bytes too, signed ones
 *   as code + 128, which the tile takes back.
 *
 *   HN_IM_16: codes of 8 bits and a sign, as sixteen vectors of [16 rows][2 columns]; vectors 2m
 *   and 2m+1 hold columns 4m and 4m+2, 4m+1 and 4m+3, and so do the tokens.
 *
 *   HN_IM_SPLIT: tokens of 16 bits as upper bytes, which are signed, and lower ones, which are not,
 *   beside the panels of HN_IM_8: where products of bytes are so fast that two are faster than one
 *   of 16 bits.
 *
 * How a level orders tokens and panels inside their blocks is its own affair. */
#ifndef HN_BACKEND_CPU_IGEMM_H
#define HN_BACKEND_CPU_IGEMM_H

#include "backend/cpu/matmul.h"

enum hn_im_width {
    HN_IM_8,
    HN_IM_16,
    HN_IM_SPLIT, /* not of C: the same bits as HN_IM_16 */
    HN_IM_WIDTHS,
    HN_IM_NONE = HN_IM_WIDTHS,
};

enum {
    HN_IM_BLOCK = 32,
    HN_IM_ROWS = 16,       /* of a panel */
    HN_IM_TOKENS_MAX = 16, /* of a tile, of any level */
    HN_IM_DEPTH = 2048,    /* columns of a panel of bytes, at most; of 16 bits half as many */
    HN_IM_SCALES = 2 * HN_IM_ROWS * (int)sizeof(float),      /* bytes: scales, then biases */
    HN_IM_BLOCK_8 = HN_IM_ROWS * HN_IM_BLOCK + HN_IM_SCALES, /* bytes of a panel's block */
    HN_IM_BLOCK_16 = 2 * HN_IM_ROWS * HN_IM_BLOCK + HN_IM_SCALES,
};

/* Rounded tokens of one width; block b of token t has scale[t*ldb + b], sum[t*ldb + b] (of what the
 * integers stand for) and total[t*ldb + b] (of the integers). */
struct hn_im_tokens {
    unsigned char *q; /* elements of 1 or 2 bytes, token t from t*ld on */
    float *scale, *sum;
    int32_t *total;
    int64_t ld, ldb;
};

/* Those from token n on; width: bytes of an element. */
static inline struct hn_im_tokens hn_im_tokens_from(const struct hn_im_tokens *x, int64_t n,
                                                    int width)
{
    return (struct hn_im_tokens){x->q + n * x->ld * width,
                                 x->scale + n * x->ldb,
                                 x->sum + n * x->ldb,
                                 x->total + n * x->ldb,
                                 x->ld,
                                 x->ldb};
}

/* What a tile must know of a weight's codes. */
struct hn_im_kind {
    int chain;   /* HN_IM_8: products of two that surely fit 16 bits together: 1, 2, 4 or 8 */
    bool biased; /* false: every bias is zero */
    int middle;  /* of codes that have one instead of a bias: 8, 16 or 0 */
    enum { HN_IM_SHORT, HN_IM_UNSIGNED, HN_IM_SIGNED } whole; /* codes of whole bytes, and which */
};

/* One token x [n], n a multiple of 32, to q, scale, sum and total; magnitudes are at most `most`
 * (127, or with HN_IM_16 32767).  A block with an infinity or a NaN has the scale NaN; one below
 * 2^-100 is zero. */
typedef void hn_im_pack_fn(const float *x, int64_t n, int most, unsigned char *q, float *scale,
                           float *sum, int32_t *total);
/* Rows [row, row + n_rows) and columns [k0, k0 + depth) as a panel; n_rows <= HN_IM_ROWS, the
 * others are anything finite. */
typedef void hn_im_panel_fn(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0,
                            int64_t depth, unsigned char *panel);
/* y [nt][HN_IM_ROWS] (= or, with add, +=) the first nt tokens, as many as the table says at most,
 * from column k0 on, times a panel.  What stands behind them up to that many is read, and goes
 * nowhere. */
typedef void hn_im_tile_fn(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                           int64_t depth, const unsigned char *panel, float *y, int64_t ldy,
                           bool add);

struct hn_cpu_igemm {
    struct hn_im_form {
        hn_im_pack_fn *pack;
        hn_im_panel_fn *panel;
        hn_im_tile_fn *tile;
    } form[HN_IM_WIDTHS];
    int tokens;               /* of a tile, at most */
    bool bytes[HN_IM_WIDTHS]; /* takes codes of whole bytes */
    bool q6_k; /* HN_IM_16 takes codes of 13 bits: Q6_K's with their groups' scales */
    /* When not NULL: a thread calls them before its first tile and after its last. */
    void (*enter)(void);
    void (*leave)(void);
};
extern const struct hn_cpu_igemm hn_cpu_igemm_c, hn_cpu_igemm_neon_dot, hn_cpu_igemm_neon_i8mm,
    hn_cpu_igemm_avx2, hn_cpu_igemm_avx512, hn_cpu_igemm_amx;
/* *out = the level's own table over those of lower levels; C's, the specification, stands under no
 * other: what a level has no tile for is faster in float32. */
void hn_cpu_igemm_select(struct hn_cpu_igemm *out, enum hn_cpu_level level);

/* How wide a table's products of w are, HN_IM_NONE when it has no integer codes or the table no
 * tile for them; and of which kind.  most: of its tokens. */
enum hn_im_width hn_im_width(const struct hn_cpu_igemm *table, const struct hn_matrix *w, int most);
struct hn_im_kind hn_im_kind(const struct hn_matrix *w, enum hn_im_width width);

/* The magnitude that tokens are rounded to for w in this step: 127, 32767 or, where w must meet
 * them as they are or another kernel is faster, 0. */
int hn_im_most(const struct hn_device *dev, const struct hn_matrix *w, int64_t n_tokens);

/* y[i] (= or +=) x [T, K] W_i^T + bias_i with tokens rounded to most, for n <= HN_LINEAR_MAX
 * weights that have a width for it. */
void hn_im_forward(struct hn_device *dev, struct hn_mm_scratch s, const float *x, int64_t n_tokens,
                   int64_t depth, const struct hn_mm_out *out, int n, bool add, int most);
/* Floats of scratch that it needs. */
size_t hn_im_scratch_needed(const struct hn_device *dev, int64_t n_tokens, int64_t width);

#endif
