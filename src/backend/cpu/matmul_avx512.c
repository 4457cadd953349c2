/* The pieces of the matrix product for AVX-512 (F, BW, DQ, VL). */
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/matmul.h"

#include <math.h>

#ifndef __AVX512F__
const struct hn_cpu_matmul hn_cpu_matmul_avx512 = {0};
#else

enum { MR = 14, NR = 32, LANES = 16 };

/* ---- tile: 14 rows of 2 vectors ------------------------------------------------------------ */

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

/* ---- transposition ------------------------------------------------------------------------- */

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

static void spread_f32_32(const float *w, int64_t n, int64_t stride, float *panel)
{
    for (int64_t j = 0; j < n; j += NR, panel += stride) {
        _mm512_storeu_ps(panel, _mm512_maskz_loadu_ps(lanes(n - j), w + j));
        _mm512_storeu_ps(panel + LANES, _mm512_maskz_loadu_ps(lanes(n - j - LANES), w + j + LANES));
    }
}

/* ---- decoders ------------------------------------------------------------------------------ */

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

/* ---- dot products of a few rows with a few rows -------------------------------------------- */

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

/* ---- dropout ------------------------------------------------------------------------------- */

/* Eight Philox counters c, one per 64-bit lane; only the low halves of c0..c3 count. */
INLINE void philox_8(const uint32_t key[2], __m512i c[4])
{
    __m512i m0 = _mm512_set1_epi64(0xD2511F53u), m1 = _mm512_set1_epi64(0xCD9E8D57u);
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        __m512i p0 = _mm512_mul_epu32(m0, c[0]), p1 = _mm512_mul_epu32(m1, c[2]);
        __m512i high0 = _mm512_shuffle_epi32(p0, _MM_PERM_DDBB);
        __m512i high1 = _mm512_shuffle_epi32(p1, _MM_PERM_DDBB);
        c[0] = _mm512_ternarylogic_epi32(high1, c[1], _mm512_set1_epi32((int)k0), 0x96);
        c[2] = _mm512_ternarylogic_epi32(high0, c[3], _mm512_set1_epi32((int)k1), 0x96);
        c[1] = p1;
        c[3] = p0;
    }
}

static void dropout_mask_64(const uint32_t key[2], uint32_t t, uint32_t module, uint32_t step,
                            uint32_t threshold, int64_t n, unsigned char *mask)
{
    int64_t size = (n + 7) / 8;
    if (threshold > 0xffff) {
        memset(mask, 0, (size_t)size);
        return;
    }
    __m512i least = _mm512_set1_epi16((short)threshold);
    /* lanes in an order that the two halves of unpacking put right */
    __m512i index = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    for (int64_t i = 0; i < size; i += 8) {
        __m512i c[4] = {_mm512_add_epi64(index, _mm512_set1_epi64(i)), _mm512_set1_epi64(t),
                        _mm512_set1_epi64(module), _mm512_set1_epi64(step)};
        philox_8(key, c);
        __m512i low = _mm512_mask_shuffle_epi32(c[0], 0xaaaa, c[1], _MM_PERM_CCAA);
        __m512i high = _mm512_mask_shuffle_epi32(c[2], 0xaaaa, c[3], _MM_PERM_CCAA);
        uint64_t first = _mm512_cmpge_epu16_mask(_mm512_unpacklo_epi64(low, high), least);
        uint64_t last = _mm512_cmpge_epu16_mask(_mm512_unpackhi_epi64(low, high), least);
        uint64_t bits = first | last << 32;
        memcpy(mask + i, &bits, (size_t)HN_MIN(8, size - i));
    }
}

static void masked_16(const unsigned char *mask, float scale, const float *x, int64_t n, float *y,
                      bool add)
{
    __m512 s = _mm512_set1_ps(scale);
    for (int64_t c = 0; c < n; c += LANES) {
        __mmask16 m = lanes(n - c);
        uint16_t bits = mask[c / 8];
        if (n - c > 8)
            bits = (uint16_t)(bits | mask[c / 8 + 1] << 8);
        __m512 kept = _mm512_maskz_mul_ps(m & bits, _mm512_maskz_loadu_ps(m, x + c), s);
        if (add)
            kept = _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + c), kept);
        _mm512_mask_storeu_ps(y + c, m, kept);
    }
}

/* ---- softmax ------------------------------------------------------------------------------- */

#define LEAST -0x1.f310e4p5f /* log 2^-90 */

/* exp of x <= 0 within 2 ulp: x = k ln2 + r, |r| <= ln2/2, and Taylor's polynomial of degree 7,
 * whose error is below 2^-27.  NaN stays. */
INLINE __m512 exp_16(__m512 x)
{
    __mmask16 keep = _mm512_cmp_ps_mask(x, _mm512_set1_ps(LEAST), _CMP_NLT_UQ);
    x = _mm512_max_ps(_mm512_set1_ps(LEAST), x);
    __m512 k = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(0x1.715476p0f)), 0);
    __m512 r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0x1.62e4p-1f), x);
    r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0x1.7f7d1cp-20f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r);
    __m512 e = _mm512_scalef_ps(_mm512_add_ps(p, _mm512_set1_ps(1.0f)), k);
    return _mm512_maskz_mov_ps(keep, e);
}

static int64_t softmax_step_16(float *x, int64_t n, float *max, double *sum)
{
    __m512 none = _mm512_set1_ps(-INFINITY), top = none, total = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += LANES) /* a NaN is passed over here, and met below */
        top = _mm512_max_ps(_mm512_mask_loadu_ps(none, lanes(n - i), x + i), top);
    float old = *max, now = _mm512_reduce_max_ps(top);
    int64_t best = -1;
    if (!(now > old))
        now = old;
    for (int64_t i = 0; now > old && best < 0; i += LANES) {
        __mmask16 m =
            _mm512_mask_cmp_ps_mask(lanes(n - i), _mm512_maskz_loadu_ps(lanes(n - i), x + i),
                                    _mm512_set1_ps(now), _CMP_EQ_OQ);
        best = m ? i + __builtin_ctz(m) : -1;
    }
    for (int64_t i = 0; i < n; i += LANES) {
        __mmask16 m = lanes(n - i);
        __m512 e = exp_16(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), _mm512_set1_ps(now)));
        _mm512_mask_storeu_ps(x + i, m, e);
        total = _mm512_mask_add_ps(total, m, total, e);
    }
    double s = (double)_mm512_reduce_add_ps(total);
    *sum = best < 0 ? *sum + s : *sum * exp((double)old - now) + s;
    *max = now;
    return best;
}

const struct hn_cpu_matmul hn_cpu_matmul_avx512 = {
    .plain = {.mr = MR,
              .nr = NR,
              .row_grain = 1,
              .depth_grain = 1,
              .element_size = 4,
              .tile = tile_f32_14x32,
              .pack = pack_f32_14,
              .transpose = transpose_f32_32,
              .spread = spread_f32_32},
    .decode = {[HN_LAYOUT_F16] = decode_f16,
               [HN_LAYOUT_BF16] = decode_bf16,
               [HN_LAYOUT_AFFINE] = decode_affine,
               [HN_LAYOUT_Q4_0] = decode_q4_0,
               [HN_LAYOUT_Q4_1] = decode_q4_1,
               [HN_LAYOUT_Q8_0] = decode_q8_0},
    .dots = dots_f32,
    .dropout_mask = dropout_mask_64,
    .masked = masked_16,
    .softmax_step = softmax_step_16,
};

#endif
