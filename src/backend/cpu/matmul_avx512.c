/* The pieces of the matrix product for AVX-512 (F, BW, DQ, VL). */
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/matmul.h"

#ifndef __AVX512F__
const struct hn_cpu_matmul hn_cpu_matmul_avx512 = {0};
#else

enum { MR = 14, NR = 32, LANES = 16 };

/* ---- tile: 14 rows of 2 vectors
 * ------------------------------------------------------------------- */

INLINE void tile_rows(const int rows, int64_t depth, const float *a, const float *b, float *c,
                      int64_t ldc, int cols, bool add)
{
    __m512 s0[MR], s1[MR];
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++)
        s0[i] = s1[i] = _mm512_setzero_ps();
    if (add) {
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            HN_PREFETCH(c + i * ldc);
            HN_PREFETCH(c + i * ldc + LANES);
        }
    }
    for (int64_t k = 0; k < depth; k++, a += rows, b += NR) {
        __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + LANES);
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            __m512 ai = _mm512_set1_ps(a[i]);
            s0[i] = _mm512_fmadd_ps(ai, b0, s0[i]);
            s1[i] = _mm512_fmadd_ps(ai, b1, s1[i]);
        }
    }
    __mmask16 m0 = lanes(cols), m1 = lanes(cols - LANES);
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++, c += ldc) {
        if (add) {
            s0[i] = _mm512_add_ps(s0[i], _mm512_maskz_loadu_ps(m0, c));
            s1[i] = _mm512_add_ps(s1[i], _mm512_maskz_loadu_ps(m1, c + LANES));
        }
        _mm512_mask_storeu_ps(c, m0, s0[i]);
        _mm512_mask_storeu_ps(c + LANES, m1, s1[i]);
    }
}

/* Each count of rows is its own kernel: the sums must live in registers. */
static void tile_f32_14x32(int rows, int64_t depth, const float *a, const float *b, float *c,
                           int64_t ldc, int cols, bool add)
{
    switch (rows) {
#define ROWS(n)                                                                                    \
    case n:                                                                                        \
        tile_rows(n, depth, a, b, c, ldc, cols, add);                                              \
        break
        ROWS(1);
        ROWS(2);
        ROWS(3);
        ROWS(4);
        ROWS(5);
        ROWS(6);
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
        ROWS(13);
#undef ROWS
    default:
        tile_rows(14, depth, a, b, c, ldc, cols, add);
    }
}

/* ---- transposition
 * -------------------------------------------------------------------------------- */

/* 16 rows of 16: r[i] = column i. */
INLINE void transpose_16x16(__m512 r[16])
{
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    /* r[4g + j]: lane l holds column 4l + j of rows 4g..4g+3 */
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        t[j] = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88);
        t[4 + j] = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xdd);
        t[8 + j] = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88);
        t[12 + j] = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xdd);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        r[j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xdd);
        r[4 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0x88);
        r[12 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0xdd);
    }
}

static void pack_f32_14(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    __mmask16 used = lanes(rows);
    for (int64_t k = 0; k < depth; k += LANES) {
        __mmask16 m = lanes(depth - k);
        int n = (int)HN_MIN(LANES, depth - k);
        __m512 r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = _mm512_maskz_loadu_ps(m, x + HN_MIN(i, rows - 1) * ldx + k);
        transpose_16x16(r);
        float *to = a + k * rows;
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            if (i < n)
                _mm512_mask_storeu_ps(to + i * rows, used, r[i]);
    }
}

static void transpose_f32_32(int cols, const float *w, int64_t ldw, int64_t depth, float *panel)
{
    for (int half = 0; half < NR; half += LANES) {
        for (int64_t k = 0; k < depth; k += LANES) {
            __mmask16 m = lanes(depth - k);
            int n = (int)HN_MIN(LANES, depth - k);
            __m512 r[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                r[i] = _mm512_maskz_loadu_ps(half + i < cols ? m : 0, w + (half + i) * ldw + k);
            transpose_16x16(r);
            float *to = panel + k * NR + half;
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (i < n)
                    _mm512_storeu_ps(to + i * NR, r[i]);
        }
    }
}

/* ---- decoders
 * ------------------------------------------------------------------------------------- */

/* 16 codes of one byte each; one product and one sum, each rounded. */
INLINE void store_codes(__m512i codes, __m512 scale, __m512 bias, float *out)
{
    _mm512_storeu_ps(out, _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(codes), scale), bias));
}

INLINE void store_signed(__m512i codes, __m512 scale, float *out)
{
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_cvtepi32_ps(codes), scale));
}

static void decode_f16(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col * 2;
    for (int64_t k = 0; k < n; k += LANES) {
        __mmask16 used = lanes(n - k);
        _mm512_mask_storeu_ps(out + k, used, load_plain(HN_LAYOUT_F16, used, at + k * 2));
    }
}

static void decode_bf16(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col * 2;
    for (int64_t k = 0; k < n; k += LANES) {
        __mmask16 used = lanes(n - k);
        _mm512_mask_storeu_ps(out + k, used, load_plain(HN_LAYOUT_BF16, used, at + k * 2));
    }
}

static void decode_q4_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 18;
    __m512i low = _mm512_set1_epi32(15), eight = _mm512_set1_epi32(8);
    for (int64_t k = 0; k < n; k += 32, at += 18) {
        __m512 d = _mm512_set1_ps(half(at));
        __m512i q = _mm512_cvtepu8_epi32(load_16(at + 2));
        store_signed(_mm512_sub_epi32(_mm512_and_si512(q, low), eight), d, out + k);
        store_signed(_mm512_sub_epi32(_mm512_srli_epi32(q, 4), eight), d, out + k + 16);
    }
}

static void decode_q4_1(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 20;
    __m512i low = _mm512_set1_epi32(15);
    for (int64_t k = 0; k < n; k += 32, at += 20) {
        __m512 d = _mm512_set1_ps(half(at)), bias = _mm512_set1_ps(half(at + 2));
        __m512i q = _mm512_cvtepu8_epi32(load_16(at + 4));
        store_codes(_mm512_and_si512(q, low), d, bias, out + k);
        store_codes(_mm512_srli_epi32(q, 4), d, bias, out + k + 16);
    }
}

static void decode_q8_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 34;
    for (int64_t k = 0; k < n; k += 32, at += 34) {
        __m512 d = _mm512_set1_ps(half(at));
        store_signed(_mm512_cvtepi8_epi32(load_16(at + 2)), d, out + k);
        store_signed(_mm512_cvtepi8_epi32(load_16(at + 18)), d, out + k + 16);
    }
}

INLINE void affine_row(const struct hn_matrix *m, const int bits, int64_t row, int64_t col,
                       int64_t n, float *out)
{
    size_t stored = (size_t)hn_matrix_stored_row(m, row);
    const unsigned char *at = m->data + stored * m->row_size + col / 8 * bits;
    size_t g = (stored * (size_t)m->cols + (size_t)col) / (size_t)m->group;
    for (int64_t k = 0; k < n; g++) {
        __m512 scale = _mm512_set1_ps(widen(m->scale_dtype, m->scales, g));
        __m512 bias = _mm512_set1_ps(widen(m->scale_dtype, m->biases, g));
        for (int i = 0; i < m->group; i += LANES, k += LANES, at += 2 * bits)
            store_codes(affine_16(at, bits), scale, bias, out + k);
    }
}

static void decode_affine(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                          float *out)
{
    switch (m->bits) {
    case 2:
        affine_row(m, 2, row, col, n, out);
        break;
    case 3:
        affine_row(m, 3, row, col, n, out);
        break;
    case 4:
        affine_row(m, 4, row, col, n, out);
        break;
    case 5:
        affine_row(m, 5, row, col, n, out);
        break;
    case 6:
        affine_row(m, 6, row, col, n, out);
        break;
    default:
        affine_row(m, 8, row, col, n, out);
    }
}

/* ---- dot products of a few rows with a few rows
 * ---------------------------------------------------- */

INLINE void dots_block(const int nt, const int n, const float *x, int64_t ldx, const float *w,
                       int64_t ldw, int64_t depth, float *y, int64_t ldy)
{
    __m512 s[4][4];
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            s[t][i] = _mm512_setzero_ps();
    for (int64_t k = 0; k < depth; k += LANES) {
        __mmask16 m = lanes(depth - k);
        __m512 wi[4];
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            wi[i] = _mm512_maskz_loadu_ps(m, w + i * ldw + k);
#pragma GCC unroll 4
        for (int t = 0; t < nt; t++) {
            __m512 xt = _mm512_maskz_loadu_ps(m, x + t * ldx + k);
#pragma GCC unroll 4
            for (int i = 0; i < n; i++)
                s[t][i] = _mm512_fmadd_ps(xt, wi[i], s[t][i]);
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            y[t * ldy + i] = _mm512_reduce_add_ps(s[t][i]);
}

static void dots_f32(const float *x, int64_t ldx, int nt, const float *w, int64_t ldw, int n,
                     int64_t depth, float *y, int64_t ldy)
{
    for (int t = 0; t < nt;) {
        int tb = nt - t >= 4 ? 4 : 1;
        for (int i = 0; i < n;) {
            int ib = n - i >= 4 ? 4 : 1;
            const float *xt = x + t * ldx, *wi = w + i * ldw;
            float *to = y + t * ldy + i;
            if (tb == 4 && ib == 4)
                dots_block(4, 4, xt, ldx, wi, ldw, depth, to, ldy);
            else if (tb == 4)
                dots_block(4, 1, xt, ldx, wi, ldw, depth, to, ldy);
            else if (ib == 4)
                dots_block(1, 4, xt, ldx, wi, ldw, depth, to, ldy);
            else
                dots_block(1, 1, xt, ldx, wi, ldw, depth, to, ldy);
            i += ib;
        }
        t += tb;
    }
}

const struct hn_cpu_matmul hn_cpu_matmul_avx512 = {
    .mr = MR,
    .nr = NR,
    .tile = tile_f32_14x32,
    .pack = pack_f32_14,
    .transpose = transpose_f32_32,
    .decode = {[HN_LAYOUT_F16] = decode_f16,
               [HN_LAYOUT_BF16] = decode_bf16,
               [HN_LAYOUT_AFFINE] = decode_affine,
               [HN_LAYOUT_Q4_0] = decode_q4_0,
               [HN_LAYOUT_Q4_1] = decode_q4_1,
               [HN_LAYOUT_Q8_0] = decode_q8_0},
    .dots = dots_f32,
};

#endif
