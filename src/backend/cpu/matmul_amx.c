/* Products of float32 on AMX tiles: every operand is split in bfloat16 terms,
 *
 *   v = high + low + rest + e,   |low| <= 2^-8 |v|,  |rest| <= 2^-16 |v|,  |e| <= 2^-24 |v|
 *   x w ~ x.high w.high + (x.high w.low + x.low w.high)
 *         + (x.high w.rest + x.low w.low + x.rest w.high),   off by less than 2^-22 |x w|
 *
 * and the six tile products are summed in float32.  Weights whose low or rest terms are all 0, as
 * of a bfloat16 model, take fewer products.
 *
 * Behind a cache two terms and three products are enough, off by at most 3 * 2^-16 |x w|: what
 * rounding tokens to 16-bit integers costs.  (Twenty optimizer steps can bring that past 1e-4.)
 *
 * A step takes 32 of depth.
 *
 *   packed tokens, per 16 rows: per step [high|low|rest] [16 rows][32 depth] bf16
 *   settled panel: a line with the number of terms, then per step: per 16 columns [high|low|rest]
 *                  [16 pairs of depth][16 columns][2] bf16 */
#include "backend/cpu/amx_tiles.h"

#if !defined(__AMX_BF16__) || !defined(__AVX512BF16__)
const struct hn_mm_kernel hn_mm_kernel_amx = {0}, hn_mm_kernel_amx_rounded = {0};
#else

enum { TERMS = 3, FEWER = 2 };

/* ---- operands ------------------------------------------------------------------------------ */

static void pack_amx(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    pack_terms(TERMS, rows, x, ldx, depth, a);
}

static void pack_fewer(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    pack_terms(FEWER, rows, x, ldx, depth, a);
}

/* v rounded to a bfloat16 (half away from zero), as a float's bits. */
INLINE __m512i high_bits(__m512 v)
{
    return _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(0x8000)),
                            _mm512_set1_epi32((int)0xffff0000));
}

INLINE __m512i pair_up(__m512i even, __m512i odd)
{
    return _mm512_or_si512(_mm512_srli_epi32(even, 16), odd);
}

/* v, every NaN as the one that high_bits keeps (rounding would carry others over into 0). */
INLINE __m512 plain_nan(__m512 v)
{
    return _mm512_fixupimm_ps(v, v, _mm512_set1_epi32(0x11111133), 0);
}

/* Pairs of two rows of 16 columns; seen gathers the bits of each term. */
INLINE void settle_pair(const int terms, __m512 even, __m512 odd, float *to, __m512i seen[TERMS])
{
    even = plain_nan(even);
    odd = plain_nan(odd);
#pragma GCC unroll 3
    for (int term = 0; term < terms; term++) {
        __m512i e = high_bits(even), o = high_bits(odd), pair = pair_up(e, o);
        even = _mm512_sub_ps(even, _mm512_castsi512_ps(e));
        odd = _mm512_sub_ps(odd, _mm512_castsi512_ps(o));
        seen[term] = _mm512_or_si512(seen[term], pair);
        _mm512_storeu_si512(to + term * TILE_FLOATS, pair);
    }
}

INLINE void settle_terms(const int terms, int64_t depth, const float *panel, float *settled)
{
    float *steps = settled + HN_MM_HEAD;
    __m512i seen[TERMS] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    for (int64_t k = 0; k < depth; k += 2) {
        __mmask16 second = k + 1 < depth ? 0xffff : 0;
        for (int j = 0; j < 2; j++) {
            const float *from = panel + k * NR + j * SIDE;
            float *to = steps + (k / STEP * 2 + j) * terms * TILE_FLOATS + k % STEP / 2 * SIDE;
            settle_pair(terms, _mm512_loadu_ps(from), _mm512_maskz_loadu_ps(second, from + NR), to,
                        seen);
        }
    }
    for (int64_t k = (depth + 1) / 2 * 2; k % STEP; k += 2) /* 0 to the end of the step */
        for (int j = 0; j < 2 * terms; j++)
            _mm512_storeu_ps(steps + (k / STEP * 2 * terms + j) * TILE_FLOATS + k % STEP / 2 * SIDE,
                             _mm512_setzero_ps());
    /* a term of -0 alone counts as there; no harm */
    settled[0] = _mm512_test_epi32_mask(seen[2], seen[2])   ? 3.0f
                 : _mm512_test_epi32_mask(seen[1], seen[1]) ? 2.0f
                                                            : 1.0f;
}

static void settle_amx(int64_t depth, const float *panel, float *settled)
{
    settle_terms(TERMS, depth, panel, settled);
}

static void settle_fewer(int64_t depth, const float *panel, float *settled)
{
    settle_terms(FEWER, depth, panel, settled);
}

/* ---- tile ---------------------------------------------------------------------------------- */

/* The columns in tiles 4 and 5 meet one term of the rows: of the 16 in tile 6 and, with both, the
 * 16 in tile 7, which are loaded first where a is not NULL. */
INLINE void meet(const bool both, const float *a, const float *a1)
{
    if (a)
        _tile_loadd(6, a, 64);
    _tile_dpbf16ps(0, 6, 4);
    _tile_dpbf16ps(1, 6, 5);
    if (both) {
        if (a)
            _tile_loadd(7, a1, 64);
        _tile_dpbf16ps(2, 7, 4);
        _tile_dpbf16ps(3, 7, 5);
    }
}

INLINE void load_columns(const int terms, const float *b)
{
    _tile_loadd(4, b, 64);
    _tile_loadd(5, b + terms * TILE_FLOATS, 64);
}

/* Sums of 32 rows, or of the first 16, of so many terms with weights of w_terms.  Small products
 * come first within a step where that costs nothing. */
INLINE void steps(const int terms, const int w_terms, const bool both, int64_t n_steps,
                  const float *a, const float *b)
{
    enum { HIGH, LOW = TILE_FLOATS, REST = 2 * TILE_FLOATS };
    const int64_t next = terms * TILE_FLOATS;
    const float *a1 = a + n_steps * next;
    for (int64_t k = 0; k < n_steps; k++, a += next, a1 += next, b += 2 * next) {
        load_columns(terms, b + HIGH);
        if (terms > 2)
            meet(both, a + REST, a1 + REST);
        meet(both, a + LOW, a1 + LOW);
        meet(both, a + HIGH, a1 + HIGH);
        if (w_terms > 2) {
            load_columns(terms, b + REST);
            meet(both, NULL, NULL);
        }
        if (w_terms > 1) {
            load_columns(terms, b + LOW);
            meet(both, NULL, NULL);
            if (terms > 2)
                meet(both, a + LOW, a1 + LOW);
        }
    }
}

static void sum_up(bool both, int64_t n_steps, const float *a, const float *b)
{
    float terms = b[0];
    b += HN_MM_HEAD;
    if (!both)
        steps(TERMS, 3, false, n_steps, a, b);
    else if (terms > 2)
        steps(TERMS, 3, true, n_steps, a, b);
    else if (terms > 1)
        steps(TERMS, 2, true, n_steps, a, b);
    else
        steps(TERMS, 1, true, n_steps, a, b);
}

static void sum_up_fewer(bool both, int64_t n_steps, const float *a, const float *b)
{
    float terms = b[0];
    b += HN_MM_HEAD;
    if (!both)
        steps(FEWER, 2, false, n_steps, a, b);
    else if (terms > 1)
        steps(FEWER, 2, true, n_steps, a, b);
    else
        steps(FEWER, 1, true, n_steps, a, b);
}

static void tile_bf16x6_32x32(int rows, int64_t depth, const float *a, const float *b, float *c,
                              int64_t ldc, int cols, bool add)
{
    tile_32x32(sum_up, rows, depth, a, b, c, ldc, cols, add);
}

static void tile_bf16x3_32x32(int rows, int64_t depth, const float *a, const float *b, float *c,
                              int64_t ldc, int cols, bool add)
{
    tile_32x32(sum_up_fewer, rows, depth, a, b, c, ldc, cols, add);
}

const struct hn_mm_kernel hn_mm_kernel_amx = {
    .mr = MR,
    .nr = NR,
    .class = HN_CLASS_EXACT,
    .least_tokens = 64,
    .row_grain = SIDE,
    .depth_grain = STEP,
    .element_size = 2 * TERMS,
    .tile = tile_bf16x6_32x32,
    .pack = pack_amx,
    .settle = settle_amx,
    .enter = tiles_enter,
    .leave = tiles_leave,
};

const struct hn_mm_kernel hn_mm_kernel_amx_rounded = {
    .mr = MR,
    .nr = NR,
    .class = HN_CLASS_EXACT,
    .least_tokens = 64,
    .row_grain = SIDE,
    .depth_grain = STEP,
    .element_size = 2 * FEWER,
    .tile = tile_bf16x3_32x32,
    .pack = pack_fewer,
    .settle = settle_fewer,
    .enter = tiles_enter,
    .leave = tiles_leave,
};

#endif
