/* Few tokens: weights stream from memory in their stored form and each meets all tokens at once.
 * What a level lacks is done by decoding a row and dot products. */
#ifndef HN_BACKEND_CPU_GEMV_H
#define HN_BACKEND_CPU_GEMV_H

#include "backend/cpu/cpu.h"

enum { HN_MM_VECTORS_MAX = 8 }; /* tokens */

/* Brings one token x [w->cols] into the form that the rows function of the same level and format
 * reads: at most hn_gemv_prepared_floats(w->cols) floats.  Formats of integer codes round x to
 * 16-bit integers with a scale per block of 32 (gemv_tokens.h), off by 2^-16 of the block's largest
 * at most; they serve generation.  The others keep x as it is. */
typedef void hn_gemv_prepare_fn(const struct hn_matrix *w, const float *x, float *prepared);

/* y[t*ldy + j] = row (row + j) of w times token t, j < n, t < nt <= HN_MM_VECTORS_MAX; token t's
 * prepared form is at x + t*ldx. */
typedef void hn_gemv_rows_fn(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                             int64_t ldx, int nt, float *y, int64_t ldy);

struct hn_cpu_gemv {
    struct {
        hn_gemv_prepare_fn *prepare;              /* NULL: x as it is */
        hn_gemv_rows_fn *rows;                    /* NULL: this level has none */
        bool (*suits)(const struct hn_matrix *w); /* NULL: every matrix of the layout does */
    } layout[HN_LAYOUT_COUNT];
};

extern const struct hn_cpu_gemv hn_cpu_gemv_neon, hn_cpu_gemv_neon_dot, hn_cpu_gemv_avx2,
    hn_cpu_gemv_avx512;
/* The class int8's own, over the level's: x is rounded to 8 bits (docs/numerics.md). */
extern const struct hn_cpu_gemv hn_cpu_gemv_bytes_avx2;

/* True when prepare rounds tokens. */
static inline bool hn_gemv_rounds(enum hn_layout layout)
{
    return layout > HN_LAYOUT_BF16 && layout != HN_LAYOUT_BNB4;
}

static inline size_t hn_gemv_prepared_floats(int64_t cols)
{
    return ((size_t)cols + 127) / 128 * 144;
}

#endif
