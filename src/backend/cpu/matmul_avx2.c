/* The pieces of the matrix product for AVX2, FMA and F16C. */
#include "backend/cpu/codes_avx2.h"
#include "backend/cpu/matmul.h"
#include "backend/cpu/transpose_avx2.h"

#include <math.h>

#ifndef __AVX2__
const struct hn_cpu_matmul hn_cpu_matmul_avx2 = {0};
#else

enum { MR = 6, NR = 16, LANES = 8 };

/* ---- tile: 6 rows of 2 vectors ------------------------------------------------------------- */

/* The first n lanes. */
INLINE __m256i lanes(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE void store_row(float *c, __m256 v0, __m256 v1, int cols, bool add)
{
    if (cols == NR) {
        if (add) {
            v0 = _mm256_add_ps(v0, _mm256_loadu_ps(c));
            v1 = _mm256_add_ps(v1, _mm256_loadu_ps(c + LANES));
        }
        _mm256_storeu_ps(c, v0);
        _mm256_storeu_ps(c + LANES, v1);
        return;
    }
    __m256i m0 = lanes(cols), m1 = lanes(cols - LANES);
    if (add) {
        v0 = _mm256_add_ps(v0, _mm256_maskload_ps(c, m0));
        if (cols > LANES)
            v1 = _mm256_add_ps(v1, _mm256_maskload_ps(c + LANES, m1));
    }
    _mm256_maskstore_ps(c, m0, v0);
    if (cols > LANES)
        _mm256_maskstore_ps(c + LANES, m1, v1);
}

INLINE void tile_step(const int rows, const float *a, const float *b, __m256 s0[MR], __m256 s1[MR])
{
    __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + LANES);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        __m256 ai = _mm256_broadcast_ss(a + i);
        s0[i] = _mm256_fmadd_ps(ai, b0, s0[i]);
        s1[i] = _mm256_fmadd_ps(ai, b1, s1[i]);
    }
    __asm__ volatile("" ::: "memory"); /* later steps' loads stay behind, lest registers run out */
}

/* Counting costs three instructions where a step has twenty; a core whose other half is busy, as on
 * rented machines, is bound by their number (four steps at once: a sixth faster there). */
enum { STEPS = 4 };

INLINE void tile_rows(const int rows, int64_t depth, const float *a, const float *b, float *c,
                      int64_t ldc, int cols, bool add)
{
    __m256 s0[MR], s1[MR];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        s0[i] = s1[i] = _mm256_setzero_ps();
    if (add) {
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            HN_PREFETCH(c + i * ldc);
            HN_PREFETCH(c + i * ldc + NR - 1);
        }
    }
    const float *end = b + depth * NR, *whole = b + depth / STEPS * STEPS * NR;
    for (; b < whole; a += STEPS * rows, b += STEPS * NR) {
#pragma GCC unroll 4
        for (int step = 0; step < STEPS; step++)
            tile_step(rows, a + step * rows, b + step * NR, s0, s1);
    }
    for (; b < end; a += rows, b += NR)
        tile_step(rows, a, b, s0, s1);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        store_row(c + i * ldc, s0[i], s1[i], cols, add);
}

static void tile_f32_6x16(int rows, int64_t depth, const float *a, const float *b, float *c,
                          int64_t ldc, int cols, bool add)
{
    switch (rows) {
    case 1:
        tile_rows(1, depth, a, b, c, ldc, cols, add);
        break;
    case 2:
        tile_rows(2, depth, a, b, c, ldc, cols, add);
        break;
    case 3:
        tile_rows(3, depth, a, b, c, ldc, cols, add);
        break;
    case 4:
        tile_rows(4, depth, a, b, c, ldc, cols, add);
        break;
    case 5:
        tile_rows(5, depth, a, b, c, ldc, cols, add);
        break;
    default:
        tile_rows(6, depth, a, b, c, ldc, cols, add);
    }
}

/* ---- transposition ------------------------------------------------------------------------- */

static void pack_f32_6(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    int64_t k = 0;
    /* Rows past the tile repeat the last; their lanes fall on the next step's place, which the next
     * store fills, so the last steps go one by one. */
    for (; k + 2 * LANES <= depth; k += LANES) {
        __m256 r[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            r[i] = _mm256_loadu_ps(x + HN_MIN(i, rows - 1) * ldx + k);
        transpose_8x8(r);
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            _mm256_storeu_ps(a + (k + i) * rows, r[i]);
    }
    for (; k < depth; k++)
        for (int i = 0; i < rows; i++)
            a[k * rows + i] = x[i * ldx + k];
}

static void transpose_f32_16(int cols, const float *w, int64_t ldw, int64_t depth, float *panel)
{
    int64_t k = 0;
    if (cols == NR) {
        for (; k + LANES <= depth; k += LANES) {
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                __m256 r[8];
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++)
                    r[i] = _mm256_loadu_ps(w + (half * 8 + i) * ldw + k);
                transpose_8x8(r);
#pragma GCC unroll 8
                for (int i = 0; i < 8; i++)
                    _mm256_storeu_ps(panel + (k + i) * NR + half * 8, r[i]);
            }
        }
    }
    for (; k < depth; k++)
        for (int j = 0; j < NR; j++)
            panel[k * NR + j] = j < cols ? w[j * ldw + k] : 0.0f;
}

static void spread_f32_16(const float *w, int64_t n, int64_t stride, float *panel)
{
    int64_t j = 0;
    for (; j + NR <= n; j += NR, panel += stride) {
        _mm256_storeu_ps(panel, _mm256_loadu_ps(w + j));
        _mm256_storeu_ps(panel + LANES, _mm256_loadu_ps(w + j + LANES));
    }
    for (int i = 0; j < n && i < NR; i++)
        panel[i] = j + i < n ? w[j + i] : 0.0f;
}

/* ---- decoders ------------------------------------------------------------------------------ */

INLINE void store_codes(__m128i codes, __m256 scale, __m256 bias, float *out)
{
    __m256 q = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes));
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_mul_ps(q, scale), bias));
}

/* 16 codes of one byte each. */
INLINE void store_16(__m128i codes, __m256 scale, __m256 bias, float *out)
{
    store_codes(codes, scale, bias, out);
    store_codes(_mm_srli_si128(codes, 8), scale, bias, out + 8);
}

static void decode_f32(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    memcpy(out, row_at(m, row) + col * 4, (size_t)n * sizeof *out);
}

INLINE void decode_halves(const enum hn_layout layout, const unsigned char *at, int64_t n,
                          float *out)
{
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        _mm256_storeu_ps(out + k, load_plain_8(layout, at + k * 2));
    for (; k < n; k++)
        out[k] = widen((enum hn_dtype)layout, at, (size_t)k);
}

static void decode_f16(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_halves(HN_LAYOUT_F16, row_at(m, row) + col * 2, n, out);
}

static void decode_bf16(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_halves(HN_LAYOUT_BF16, row_at(m, row) + col * 2, n, out);
}

/* 16 bytes of nibbles: the low ones are elements 0-15, the high ones 16-31. */
INLINE void nibbles(const unsigned char *at, __m128i *low, __m128i *high)
{
    __m128i v = load_16(at), mask = _mm_set1_epi8(15);
    *low = _mm_and_si128(v, mask);
    *high = _mm_and_si128(_mm_srli_epi16(v, 4), mask);
}

/* 8 signed codes. */
INLINE void store_signed(__m128i codes, __m256 scale, float *out)
{
    __m256 q = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
    _mm256_storeu_ps(out, _mm256_mul_ps(q, scale));
}

static void decode_q4_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 18;
    for (int64_t k = 0; k < n; k += 32, at += 18) {
        __m256 d = _mm256_set1_ps(half(at));
        __m128i q[2];
        nibbles(at + 2, &q[0], &q[1]);
        for (int i = 0; i < 2; i++) {
            __m128i v = _mm_sub_epi8(q[i], _mm_set1_epi8(8));
            store_signed(v, d, out + k + i * 16);
            store_signed(_mm_srli_si128(v, 8), d, out + k + i * 16 + 8);
        }
    }
}

static void decode_q4_1(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 20;
    for (int64_t k = 0; k < n; k += 32, at += 20) {
        __m256 d = _mm256_set1_ps(half(at)), bias = _mm256_set1_ps(half(at + 2));
        __m128i low, high;
        nibbles(at + 4, &low, &high);
        store_16(low, d, bias, out + k);
        store_16(high, d, bias, out + k + 16);
    }
}

static void decode_q8_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 34;
    for (int64_t k = 0; k < n; k += 32, at += 34) {
        __m256 d = _mm256_set1_ps(half(at));
        for (int i = 0; i < 32; i += LANES)
            store_signed(_mm_loadl_epi64((const __m128i *)(at + 2 + i)), d, out + k + i);
    }
}

/* 32 codes of bits each from bits*4 bytes. */
INLINE void affine_32(const unsigned char *at, const int bits, __m256 scale, __m256 bias,
                      float *out)
{
    if (bits == 4) {
        __m128i low, high;
        nibbles(at, &low, &high);
        store_16(_mm_unpacklo_epi8(low, high), scale, bias, out);
        store_16(_mm_unpackhi_epi8(low, high), scale, bias, out + 16);
        return;
    }
    for (int i = 0; i < 4; i++) {
        __m256 q = _mm256_cvtepi32_ps(affine_8(at, i, bits));
        _mm256_storeu_ps(out + i * 8, _mm256_add_ps(_mm256_mul_ps(q, scale), bias));
    }
}

INLINE void affine_row(const struct hn_matrix *m, const int bits, int64_t row, int64_t col,
                       int64_t n, float *out)
{
    size_t stored = (size_t)hn_matrix_stored_row(m, row);
    const unsigned char *at = m->data + stored * m->row_size + col / 8 * bits;
    size_t g = (stored * (size_t)m->cols + (size_t)col) / (size_t)m->group;
    for (int64_t k = 0; k < n; g++) {
        __m256 scale = _mm256_set1_ps(widen(m->scale_dtype, m->scales, g));
        __m256 bias = _mm256_set1_ps(widen(m->scale_dtype, m->biases, g));
        for (int i = 0; i < m->group; i += 32, k += 32, at += 4 * bits)
            affine_32(at, bits, scale, bias, out + k);
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

/* ---- few tokens, dropout, softmax ---------------------------------------------------------- */

static void dots_f32(const float *x, int64_t ldx, int nt, const float *w, int64_t ldw, int n,
                     int64_t depth, float *y, int64_t ldy)
{
    for (int t = 0; t < nt; t++) {
        for (int i = 0; i < n; i++) {
            const float *xt = x + t * ldx, *wi = w + i * ldw;
            __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
            int64_t k = 0;
            for (; k + 32 <= depth; k += 32) {
                s0 = _mm256_fmadd_ps(_mm256_loadu_ps(xt + k), _mm256_loadu_ps(wi + k), s0);
                s1 = _mm256_fmadd_ps(_mm256_loadu_ps(xt + k + 8), _mm256_loadu_ps(wi + k + 8), s1);
                s2 =
                    _mm256_fmadd_ps(_mm256_loadu_ps(xt + k + 16), _mm256_loadu_ps(wi + k + 16), s2);
                s3 =
                    _mm256_fmadd_ps(_mm256_loadu_ps(xt + k + 24), _mm256_loadu_ps(wi + k + 24), s3);
            }
            float sum = sum_lanes(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
            for (; k < depth; k++)
                sum += xt[k] * wi[k];
            y[t * ldy + i] = sum;
        }
    }
}

/* ---- dropout ------------------------------------------------------------------------------- */

/* Four Philox counters c, one per 64-bit lane; only the low halves of c0..c3 count. */
INLINE void philox_4(const uint32_t key[2], __m256i c[4])
{
    __m256i m0 = _mm256_set1_epi64x(0xD2511F53u), m1 = _mm256_set1_epi64x(0xCD9E8D57u);
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        __m256i p0 = _mm256_mul_epu32(m0, c[0]), p1 = _mm256_mul_epu32(m1, c[2]);
        __m256i high0 = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_set1_epi32((int)k1));
        __m256i high1 = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_set1_epi32((int)k0));
        c[0] = _mm256_xor_si256(high1, c[1]);
        c[2] = _mm256_xor_si256(high0, c[3]);
        c[1] = p1;
        c[3] = p0;
    }
}

static void dropout_mask_32(const uint32_t key[2], uint32_t t, uint32_t module, uint32_t step,
                            uint32_t threshold, int64_t n, unsigned char *mask)
{
    int64_t size = (n + 7) / 8;
    if (threshold > 0xffff) {
        memset(mask, 0, (size_t)size);
        return;
    }
    __m256i least = _mm256_set1_epi16((short)threshold), index = _mm256_setr_epi64x(0, 1, 2, 3);
    for (int64_t i = 0; i < size; i += 4) {
        __m256i c[4] = {_mm256_add_epi64(index, _mm256_set1_epi64x(i)), _mm256_set1_epi64x(t),
                        _mm256_set1_epi64x(module), _mm256_set1_epi64x(step)};
        philox_4(key, c);
        __m256i low = _mm256_blend_epi32(c[0], _mm256_slli_epi64(c[1], 32), 0xaa);
        __m256i high = _mm256_blend_epi32(c[2], _mm256_slli_epi64(c[3], 32), 0xaa);
        __m256i a = _mm256_unpacklo_epi64(low, high), b = _mm256_unpackhi_epi64(low, high);
        a = _mm256_cmpeq_epi16(_mm256_max_epu16(a, least), a); /* a >= least, unsigned */
        b = _mm256_cmpeq_epi16(_mm256_max_epu16(b, least), b);
        int bits = _mm256_movemask_epi8(_mm256_packs_epi16(a, b));
        memcpy(mask + i, &bits, (size_t)HN_MIN(4, size - i));
    }
}

static void masked_8(const unsigned char *mask, float scale, const float *x, int64_t n, float *y,
                     bool add)
{
    __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256 s = _mm256_set1_ps(scale);
    int64_t c = 0;
    for (; c + LANES <= n; c += LANES) {
        __m256i m = _mm256_and_si256(_mm256_set1_epi32(mask[c / 8]), bit);
        __m256 kept = _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(m, bit)),
                                    _mm256_mul_ps(_mm256_loadu_ps(x + c), s));
        _mm256_storeu_ps(y + c, add ? _mm256_add_ps(_mm256_loadu_ps(y + c), kept) : kept);
    }
    for (; c < n; c++) {
        float kept = mask[c / 8] >> (c % 8) & 1 ? x[c] * scale : 0.0f;
        y[c] = add ? y[c] + kept : kept;
    }
}

/* ---- softmax ------------------------------------------------------------------------------- */

#define LEAST -0x1.f310e4p5f /* log 2^-90 */

/* exp of x <= 0 within 2 ulp: x = k ln2 + r, |r| <= ln2/2, and Taylor's polynomial of degree 7,
 * whose error is below 2^-27.  NaN stays. */
INLINE __m256 exp_8(__m256 x)
{
    __m256 tiny = _mm256_cmp_ps(x, _mm256_set1_ps(LEAST), _CMP_LT_OQ);
    x = _mm256_max_ps(_mm256_set1_ps(LEAST), x);
    __m256 k = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p0f)), 0);
    __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(0x1.62e4p-1f), x);
    r = _mm256_fnmadd_ps(k, _mm256_set1_ps(0x1.7f7d1cp-20f), r);
    __m256 p = _mm256_set1_ps(1.0f / 5040);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_add_ps(_mm256_fmadd_ps(_mm256_mul_ps(r, r), p, r), _mm256_set1_ps(1.0f));
    __m256i scale =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)), 23);
    return _mm256_andnot_ps(tiny, _mm256_mul_ps(p, _mm256_castsi256_ps(scale)));
}

/* A vector of x from i on, other where n ends. */
INLINE __m256 load_end(const float *x, int64_t i, int64_t n, float other)
{
    if (i + LANES <= n)
        return _mm256_loadu_ps(x + i);
    __m256i m = lanes((int)(n - i));
    return _mm256_blendv_ps(_mm256_set1_ps(other), _mm256_maskload_ps(x + i, m),
                            _mm256_castsi256_ps(m));
}

static int64_t softmax_step_8(float *x, int64_t n, float *max, double *sum)
{
    __m256 top = _mm256_set1_ps(-INFINITY), total = _mm256_setzero_ps();
    for (int64_t i = 0; i < n; i += LANES) /* a NaN is passed over here, and met below */
        top = _mm256_max_ps(load_end(x, i, n, -INFINITY), top);
    float tops[LANES], old = *max, now = old;
    _mm256_storeu_ps(tops, top);
    for (int i = 0; i < LANES; i++)
        now = tops[i] > now ? tops[i] : now;
    int64_t best = -1;
    for (int64_t i = 0; now > old && best < 0; i += LANES) {
        int m = _mm256_movemask_ps(
            _mm256_cmp_ps(load_end(x, i, n, -INFINITY), _mm256_set1_ps(now), _CMP_EQ_OQ));
        best = m ? i + __builtin_ctz((unsigned)m) : -1;
    }
    for (int64_t i = 0; i < n; i += LANES) {
        __m256 e = exp_8(_mm256_sub_ps(load_end(x, i, n, -INFINITY), _mm256_set1_ps(now)));
        if (i + LANES <= n)
            _mm256_storeu_ps(x + i, e);
        else
            _mm256_maskstore_ps(x + i, lanes((int)(n - i)), e);
        total = _mm256_add_ps(total, e);
    }
    double s = (double)sum_lanes(total);
    *sum = best < 0 ? *sum + s : *sum * exp((double)old - now) + s;
    *max = now;
    return best;
}

const struct hn_cpu_matmul hn_cpu_matmul_avx2 = {
    .plain = {.mr = MR,
              .nr = NR,
              .row_grain = 1,
              .depth_grain = 1,
              .element_size = 4,
              .tile = tile_f32_6x16,
              .pack = pack_f32_6,
              .transpose = transpose_f32_16,
              .spread = spread_f32_16},
    .decode = {[HN_LAYOUT_F32] = decode_f32,
               [HN_LAYOUT_F16] = decode_f16,
               [HN_LAYOUT_BF16] = decode_bf16,
               [HN_LAYOUT_AFFINE] = decode_affine,
               [HN_LAYOUT_Q4_0] = decode_q4_0,
               [HN_LAYOUT_Q4_1] = decode_q4_1,
               [HN_LAYOUT_Q8_0] = decode_q8_0},
    .dots = dots_f32,
    .dropout_mask = dropout_mask_32,
    .masked = masked_8,
    .softmax_step = softmax_step_8,
};

#endif
