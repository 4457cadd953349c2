/* The eight AMX tiles as the matrix products use them: four of sums stand for 32 tokens x 32
 * columns, two hold columns and two rows of bfloat16 operands.  Included by AMX files alone. */
#ifndef HN_BACKEND_CPU_AMX_TILES_H
#define HN_BACKEND_CPU_AMX_TILES_H

#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/matmul.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__)

enum { SIDE = 16, STEP = 32, MR = 32, NR = 32, TILE_FLOATS = 256 };

/* Intel SDM, LDTILECFG.  Tiles 0-3: sums [row half][column half]; 4, 5: columns; 6, 7: rows.
 * Constant storage, because the compiler does not know that the instruction reads all of it. */
static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles_config = {.palette = 1,
                  .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                  .rows = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE}};

static void tiles_enter(void)
{
    _tile_loadconfig(&tiles_config);
}

static void tiles_leave(void)
{
    _tile_release();
}

static void tile_zero(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

static void tile_load(const float *c, size_t row_size)
{
    _tile_loadd(0, c, row_size);
    _tile_loadd(1, c + SIDE, row_size);
    _tile_loadd(2, c + SIDE * row_size / sizeof *c, row_size);
    _tile_loadd(3, c + SIDE * row_size / sizeof *c + SIDE, row_size);
}

static void tile_store(float *c, size_t row_size)
{
    _tile_stored(0, c, row_size);
    _tile_stored(1, c + SIDE, row_size);
    _tile_stored(2, c + SIDE * row_size / sizeof *c, row_size);
    _tile_stored(3, c + SIDE * row_size / sizeof *c + SIDE, row_size);
}

/* c (= or +=) the first rows and cols of the sums [MR][NR] that the tiles were stored to, for a c
 * that ends before the tiles do. */
INLINE void put_sums(int rows, const float *sums, float *c, int64_t ldc, int cols, bool add)
{
    __mmask16 m0 = lanes(cols), m1 = lanes(cols - SIDE);
    for (int i = 0; i < rows; i++, c += ldc) {
        __m512 s0 = _mm512_load_ps(sums + i * NR), s1 = _mm512_load_ps(sums + i * NR + SIDE);
        if (add) {
            s0 = _mm512_add_ps(s0, _mm512_maskz_loadu_ps(m0, c));
            s1 = _mm512_add_ps(s1, _mm512_maskz_loadu_ps(m1, c + SIDE));
        }
        _mm512_mask_storeu_ps(c, m0, s0);
        _mm512_mask_storeu_ps(c + SIDE, m1, s1);
    }
}

/* The panel's rows even and odd, 16 columns each, as 16 pairs of bfloat16 [column][2], rounded to
 * nearest even; subnormal numbers become 0. */
INLINE __m512i interleave_bf16(__m512 even, __m512 odd)
{
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
}

/* ---- packed tokens: per 16 rows, per step, one after the other the terms [16 rows][32 depth] */

/* 32 floats as so many bfloat16 terms, TILE_FLOATS apart, each of what those before it leave. */
INLINE void split_row(const int terms, __m512 v0, __m512 v1, float *to)
{
    for (int term = 0; term < terms; term++, to += TILE_FLOATS) {
        __m512i t = (__m512i)_mm512_cvtne2ps_pbh(v1, v0);
        _mm512_storeu_si512(to, t);
        if (term + 1 == terms)
            return;
        v0 = _mm512_sub_ps(v0, widen_bf16(_mm512_castsi512_si256(t)));
        v1 = _mm512_sub_ps(v1, widen_bf16(_mm512_extracti64x4_epi64(t, 1)));
    }
}

INLINE void pack_terms(const int terms, int rows, const float *x, int64_t ldx, int64_t depth,
                       float *a)
{
    for (int r0 = 0; r0 < rows; r0 += SIDE) {
        for (int64_t k = 0; k < depth; k += STEP, a += terms * TILE_FLOATS) {
            __mmask16 m0 = lanes(depth - k), m1 = lanes(depth - k - SIDE);
            for (int i = 0; i < SIDE; i++) {
                bool used = r0 + i < rows; /* the other rows are 0 */
                const float *from = x + (used ? r0 + i : 0) * ldx + k;
                __m512 v0 = _mm512_maskz_loadu_ps(used ? m0 : 0, from);
                __m512 v1 = _mm512_maskz_loadu_ps(used ? m1 : 0, from + SIDE);
                split_row(terms, v0, v1, a + i * SIDE);
            }
        }
    }
}

/* ---- the tile of a struct hn_mm_kernel ---- */

/* Adds the products of n_steps steps to the sums; without `both`, of the first 16 rows alone. */
typedef void sum_up_fn(bool both, int64_t n_steps, const float *a, const float *b);

INLINE void tile_32x32(sum_up_fn *sum_up, int rows, int64_t depth, const float *a, const float *b,
                       float *c, int64_t ldc, int cols, bool add)
{
    int64_t n_steps = (depth + STEP - 1) / STEP;
    if (rows == MR && cols == NR) {
        if (add)
            tile_load(c, (size_t)ldc * sizeof *c);
        else
            tile_zero();
        sum_up(true, n_steps, a, b);
        tile_store(c, (size_t)ldc * sizeof *c);
        return;
    }
    _Alignas(64) float sums[MR * NR]; /* c may end before the tiles do */
    tile_zero();
    sum_up(rows > SIDE, n_steps, a, b);
    tile_store(sums, NR * sizeof *sums);
    put_sums(rows, sums, c, ldc, cols, add);
}

#endif
#endif
