/* The inner loops of everything but the frozen weights' products: one table per instruction set.
 * vector_c.c is the specification; the other files overlay the slots they improve.
 *
 * No slot allocates, threads or knows a tensor.  Pointers are aligned to 4 bytes, no more, unless a
 * slot says otherwise.  A slot reads and writes exactly the elements named here.  Sums are float32
 * in an order that the level chooses once and for all (lanes, then a fixed tree), or double where
 * the slot says so: the same level gives the same bits. */
#ifndef HN_BACKEND_CPU_VECTOR_H
#define HN_BACKEND_CPU_VECTOR_H

#include "backend/cpu/cpu.h"

/* Constants of one AdamW step, worked out once in double:
 *   g' = grad_scale g;  m = beta1 m + (1-beta1) g';  v = beta2 v + (1-beta2) g'^2;
 *   p = decay p - rate m / (sqrt(v) root + eps)
 * with decay = 1 - lr*weight_decay and, under bias correction, rate = lr / (1-beta1^step) and
 * root = 1 / sqrt(1-beta2^step): torch.optim.AdamW's single-tensor formula. */
struct hn_cpu_adamw {
    float grad_scale, beta1, one_beta1, beta2, one_beta2, decay, rate, root, eps;
};

void hn_cpu_adamw_constants(const struct hn_adamw *o, struct hn_cpu_adamw *k);

#define HN_F16_MAX 65504.0f /* the largest float16 */

/* Columns of a score tile are handled in whole groups of this many, at every level. */
enum { HN_CPU_LANES = 16 };

/* Rows of keys or values as cpu.h has them, size bytes apart; widened as they are read. */
struct hn_cpu_rows {
    const unsigned char *data;
    int64_t size;
    enum hn_kv_type type;
    const unsigned char *next; /* as many rows that are read after these, asked for meanwhile; or
                                  NULL */
};

struct hn_cpu_vector {
    /* y = x / sqrt(mean(x^2) + eps) * w for each of rows rows of n; y may be x. */
    void (*rms_norm_fwd)(float *y, const float *x, const float *w, int64_t rows, int64_t n,
                         float eps);
    /* With r = 1/sqrt(mean(x^2) + eps): dx (+)= r (dy w - x r^2 mean(dy w x)); dx may be dy. */
    void (*rms_norm_bwd)(float *dx, const float *dy, const float *x, const float *w, int64_t rows,
                         int64_t n, float eps, bool accumulate);

    /* Rotate n_heads heads of head_size, pairs (i, i + n_freqs), i < n_freqs:
     * x_i = x_i cos_i - x_j sin_i, x_j = x_j cos_i + x_i sin_i; back: the angle negated. */
    void (*rope)(float *x, const float *cos, const float *sin, int64_t n_heads, int64_t head_size,
                 int64_t n_freqs, bool back);

    /* a = g s(g) u with s(g) = 1/(1 + exp(-g)) */
    void (*glu_fwd)(float *a, const float *gate, const float *up, int64_t n);
    /* dup = da g s, dgate = da u s (1 + g (1 - s)); dgate may be gate, dup may be up. */
    void (*glu_bwd)(float *dgate, float *dup, const float *da, const float *gate, const float *up,
                    int64_t n);

    void (*add)(float *y, const float *x, int64_t n);            /* y += x */
    void (*scale)(float *y, const float *x, float f, int64_t n); /* y = x f; y may be x */
    float (*dot)(const float *a, const float *b, int64_t n);
    double (*sum_squares)(const float *x, int64_t n); /* in double */
    void (*adamw)(float *p, const float *g, float *m, float *v, int64_t n,
                  const struct hn_cpu_adamw *k);

    /* n rounds of independent multiply-adds in registers, for measuring the peak; *x is any factor
     * below one, and then a number that depends on all of them.  Returns the floating-point
     * operations done. */
    double (*burn)(int64_t n, float *x);

    /* C [m, n] (+)= A [m, k] B [k, n]: the attention products.  A(i, l) lies at a[i*a_row +
     * l*a_col], so either operand order of A costs the same; B and C are row-major with rows ldb,
     * ldc apart. The k terms are added in ascending order, one accumulator per element of C, which
     * starts at zero (or at C, accumulate). */
    void (*product)(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col,
                    const float *b, int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate);

    /* y [n, m] = the m rows x[0..m) of n elements each, transposed; rows of y are ldy apart. */
    void (*transpose)(float *y, int64_t ldy, const float *const *x, int64_t m, int64_t n);

    /* y [n_rows, hd] = x */
    void (*widen)(float *y, const struct hn_cpu_rows *x, int64_t n_rows, int64_t hd);
    /* n numbers to float16 (bit patterns): to nearest even, and what is beyond +-HN_F16_MAX to
     * that.  Both: the same bits at every level. */
    void (*narrow)(uint16_t *y, const float *x, int64_t n);

    /* One step of the online softmax (Milakov and Gimelshein 2018) on raw scores s [n_keys, ld], a
     * query per column, n_cols columns (a multiple of HN_CPU_LANES).  Key j counts in column c when
     * first[c] <= j < last[c]; always, when first is NULL.  With x = scale s:
     *   new = max(max, x over j);  shrink = exp(max - new);  s = exp(x - new), 0 if not seen;
     *   sum = sum shrink + (sum of s);  max = new. */
    void (*softmax)(float *s, int64_t ld, int64_t n_keys, int64_t n_cols, float scale,
                    const int32_t *first, const int32_t *last, float *max, float *sum,
                    float *shrink);
    /* The same for a few query rows, a query per row of s: each slot passes once over its tile for
     * some rows together.
     *   scores_few:  s [n_rows, n_keys] = q [n_rows, hd] k^T
     *   softmax_few: softmax, of rows
     *   weigh_few:   y [n_rows, hd] = y shrink + s v
     * Rows of q and y are hd apart, rows of s lds; each has room for n_keys rounded up to
     * HN_CPU_LANES, and what is beyond n_keys becomes anything. */
    void (*scores_few)(float *s, int64_t lds, const struct hn_cpu_rows *k, const float *q,
                       int64_t n_rows, int64_t n_keys, int64_t hd);
    void (*softmax_few)(float *s, int64_t lds, int64_t n_rows, int64_t n_keys, float scale,
                        const int32_t *first, const int32_t *last, float *max, float *sum,
                        float *shrink);
    void (*weigh_few)(float *y, const float *shrink, const float *s, int64_t lds,
                      const struct hn_cpu_rows *v, int64_t n_rows, int64_t n_keys, int64_t hd);
    /* The backward of softmax on a tile [n_rows, ld], a query per row, n_cols keys (a multiple of
     * HN_CPU_LANES): p holds raw scores, ds the products dp = do v^T.
     *   p = exp(scale p - lse_row) where seen, else 0;  ds = scale p (dp - delta_row) */
    void (*softmax_bwd)(float *p, float *ds, int64_t ld, int64_t n_rows, int64_t n_cols,
                        float scale, const int32_t *first, const int32_t *last, const float *lse,
                        const float *delta);
};

/* n numbers to integers of magnitude most at most; returns their scale.  Numbers with an infinity
 * or a NaN among them have the scale NaN; those below 2^-100 are zero. */
float hn_cpu_round_block(int32_t *q, const float *x, int64_t n, int most);

/* Each has NULL in the slots that it leaves to the levels below; all NULL when the compiler does
 * not target its processor. */
extern const struct hn_cpu_vector hn_cpu_vector_c; /* complete */
extern const struct hn_cpu_vector hn_cpu_vector_neon, hn_cpu_vector_avx2, hn_cpu_vector_avx512;

/* C's table with every level up to this one laid over it. */
void hn_cpu_vector_select(struct hn_cpu_vector *out, enum hn_cpu_level level);

#endif
