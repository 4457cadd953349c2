/* Few tokens with AVX-512: weights go from their stored form into the sums, decoded in registers.
 *
 * 4-bit codes are taken 128 at a time, sixteen 32-bit words of eight codes each.  Code s of a word
 * is cut out by a mask, where it stands, as the integer code * 16^s, and meets an x that was
 * divided by 16^s beforehand (exact, both): no shifts.  Scales and biases are applied to the sums
 * of a block: sum over k of (q*scale + bias) * x = scale * (sum of q*x) + bias * (sum of x) */
#include "backend/cpu/gemv.h"
#include "backend/cpu/codes_avx512.h"

#ifndef __AVX512F__
const struct hn_cpu_gemv hn_cpu_gemv_avx512 = {{{0}}};
#else

enum { LANES = 16, BLOCK = 32, CHUNK = 128, CHUNK_FLOATS = 9 * LANES, BLOCK_FLOATS = 3 * LANES };

/* How far ahead memory is asked for, in bytes: a row is too short for the processor to see a stream
 * (4-bit rows of 2048: 6.9 GB/s without, 10.7 with). */
enum { AHEAD = 2048 };

/* ---- 4 bits: the tokens' order ------------------------------------------------------------- */

static void prepare_halves(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_words(LANES, 16, w, x, out);
}

static void prepare_pairs(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_words(LANES, 1, w, x, out);
}

/* ---- 4 bits: one chunk of each format ------------------------------------------------------ */

/* 128 codes, and per lane the scale and bias of its block; blocks past n_blocks are zero. */
struct chunk {
    __m512i codes;
    __m512 scale, bias;
};

/* Lane 4b + j = lane pick(b) of v. */
INLINE __m512 spread(__m512 v, const int b0, const int b1, const int b2, const int b3)
{
    return _mm512_permutexvar_ps(
        _mm512_setr_epi32(b0, b0, b0, b0, b1, b1, b1, b1, b2, b2, b2, b2, b3, b3, b3, b3), v);
}

/* A block is five words, the first of them scale and bias. */
INLINE struct chunk load_q4_1(const unsigned char *at, int64_t n_blocks)
{
    __m512i low, high, word;
    if (n_blocks >= 4) {
        low = _mm512_loadu_si512(at);
        high = _mm512_loadu_si512(at + 16);
    } else {
        low = _mm512_maskz_loadu_epi32(lanes(5 * n_blocks), at);
        high = _mm512_maskz_loadu_epi32(lanes(5 * n_blocks - 4), at + 16);
    }
    word = _mm512_setr_epi32(1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 28, 29, 30, 31);
    struct chunk c = {.codes = _mm512_permutex2var_epi32(low, word, high)};
    __m512i head = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 5, 10, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), low);
    __m512 pairs = _mm512_castps256_ps512(_mm256_cvtph_ps(_mm512_castsi512_si128(head)));
    c.scale = spread(pairs, 0, 2, 4, 6);
    c.bias = spread(pairs, 1, 3, 5, 7);
    return c;
}

INLINE __m128i q4_0_codes(const unsigned char *at, int64_t b, int64_t n_blocks)
{
    return b < n_blocks ? load_16(at + b * 18 + 2) : _mm_setzero_si128();
}

INLINE unsigned q4_0_head(const unsigned char *at, int64_t b, int64_t n_blocks)
{
    uint16_t h = 0;
    if (b < n_blocks)
        memcpy(&h, at + b * 18, sizeof h);
    return h;
}

INLINE struct chunk load_q4_0(const unsigned char *at, int64_t n_blocks)
{
    __m256i a = _mm256_inserti128_si256(_mm256_castsi128_si256(q4_0_codes(at, 0, n_blocks)),
                                        q4_0_codes(at, 1, n_blocks), 1);
    __m256i b = _mm256_inserti128_si256(_mm256_castsi128_si256(q4_0_codes(at, 2, n_blocks)),
                                        q4_0_codes(at, 3, n_blocks), 1);
    struct chunk c = {.codes = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1)};
    unsigned low = q4_0_head(at, 0, n_blocks) | q4_0_head(at, 1, n_blocks) << 16;
    unsigned high = q4_0_head(at, 2, n_blocks) | q4_0_head(at, 3, n_blocks) << 16;
    __m128 d = _mm_cvtph_ps(_mm_insert_epi32(_mm_cvtsi32_si128((int)low), (int)high, 1));
    c.scale = spread(_mm512_castps128_ps512(d), 0, 1, 2, 3);
    c.bias = _mm512_mul_ps(c.scale, _mm512_set1_ps(-8.0f));
    return c;
}

/* Entries i.. of an array of scales where m says, widened. */
INLINE __m512 load_scales(const enum hn_dtype t, const unsigned char *base, size_t i, __mmask8 m)
{
    if (t == HN_F32)
        return _mm512_castps128_ps512(_mm_maskz_loadu_ps(m, base + i * 4));
    __m128i h = _mm_maskz_loadu_epi16(m, base + i * 2);
    if (t == HN_F16)
        return _mm512_castps128_ps512(_mm_cvtph_ps(h));
    return _mm512_castps128_ps512(_mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(h), 16)));
}

/* g: the chunk's first group; shift: log2 of the blocks in a group. */
INLINE struct chunk load_affine4(const enum hn_dtype t, const struct hn_matrix *w,
                                 const unsigned char *at, size_t g, int64_t n_blocks,
                                 const int shift)
{
    int64_t n = (HN_MIN(n_blocks, 4) + (1 << shift) - 1) >> shift;
    __m512i lane = _mm512_srli_epi32(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), (unsigned)shift);
    struct chunk c = {.codes = n_blocks >= 4 ? _mm512_loadu_si512(at)
                                             : _mm512_maskz_loadu_epi32(lanes(4 * n_blocks), at)};
    c.scale = _mm512_permutexvar_ps(lane, load_scales(t, w->scales, g, (__mmask8)lanes(n)));
    c.bias = _mm512_permutexvar_ps(lane, load_scales(t, w->biases, g, (__mmask8)lanes(n)));
    return c;
}

/* ---- 4 bits: rows -------------------------------------------------------------------------- */

INLINE void add_chunk(const int nt, const struct chunk *c, const float *x, int64_t ldx,
                      __m512 total[])
{
    __m512 sum[HN_MM_VECTORS_MAX];
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++) {
        __m512i cut = s == 7 ? _mm512_srli_epi32(c->codes, 28)
                             : _mm512_and_si512(c->codes, _mm512_set1_epi32((int)(0xfu << 4 * s)));
        __m512 q = _mm512_cvtepi32_ps(cut);
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++) {
            __m512 xs = _mm512_loadu_ps(x + t * ldx + s * LANES);
            sum[t] = s ? _mm512_fmadd_ps(q, xs, sum[t]) : _mm512_mul_ps(q, xs);
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < nt; t++) {
        total[t] = _mm512_fmadd_ps(c->scale, sum[t], total[t]);
        total[t] = _mm512_fmadd_ps(c->bias, _mm512_loadu_ps(x + t * ldx + 8 * LANES), total[t]);
    }
}

/* The 4-bit kinds; those of the affine layout by group and by type of scale. */
enum kind {
    Q4_0,
    Q4_1,
    AFFINE_32, /* + enum hn_dtype F32, F16 or BF16 */
    AFFINE_64 = AFFINE_32 + 3,
    AFFINE_128 = AFFINE_64 + 3,
};

INLINE struct chunk load_chunk(const enum kind kind, const struct hn_matrix *w,
                               const unsigned char *row, size_t groups, int64_t k, int64_t n_blocks)
{
    if (kind == Q4_1)
        return load_q4_1(row + k / BLOCK * 20, n_blocks);
    if (kind == Q4_0)
        return load_q4_0(row + k / BLOCK * 18, n_blocks);
    const int shift = kind < AFFINE_64 ? 0 : kind < AFFINE_128 ? 1 : 2;
    return load_affine4((enum hn_dtype)((kind - AFFINE_32) % 3), w, row + k / 2,
                        groups + (size_t)(k >> shift) / BLOCK, n_blocks, shift);
}

INLINE void rows_4bit(const enum kind kind, const int nt, const struct hn_matrix *w, int64_t row,
                      int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const int64_t size = kind == Q4_1 ? 80 : kind == Q4_0 ? 72 : 64, whole = w->cols / CHUNK;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        size_t groups = 0;
        if (kind >= AFFINE_32)
            groups = (size_t)hn_matrix_stored_row(w, row + j) * (size_t)(w->cols / w->group);
        __m512 total[HN_MM_VECTORS_MAX];
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            total[t] = _mm512_setzero_ps();
        for (int64_t i = 0; i < whole; i++) {
            HN_PREFETCH(at + i * size + AHEAD);
            if (size > 64)
                HN_PREFETCH(at + i * size + AHEAD + 64);
            struct chunk c = load_chunk(kind, w, at, groups, i * CHUNK, 4);
            add_chunk(nt, &c, x + i * CHUNK_FLOATS, ldx, total);
        }
        if (w->cols % CHUNK) {
            int64_t left = w->cols % CHUNK / BLOCK;
            struct chunk c = load_chunk(kind, w, at, groups, whole * CHUNK, left);
            add_chunk(nt, &c, x + whole * CHUNK_FLOATS, ldx, total);
        }
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            y[t * ldy + j] = _mm512_reduce_add_ps(total[t]);
    }
}

/* ---- other codes: 32 at a time in their own order ------------------------------------------ */

/* x, and after each 32 of them the sixteen sums of the halves. */
static void prepare_blocks(const struct hn_matrix *w, const float *x, float *out)
{
    for (int64_t k = 0; k < w->cols; k += BLOCK, out += BLOCK_FLOATS) {
        __m512 a = _mm512_loadu_ps(x + k), b = _mm512_loadu_ps(x + k + LANES);
        _mm512_storeu_ps(out, a);
        _mm512_storeu_ps(out + LANES, b);
        _mm512_storeu_ps(out + 2 * LANES, _mm512_add_ps(a, b));
    }
}

INLINE void add_codes(const int nt, __m512i c0, __m512i c1, const float *x, int64_t ldx,
                      __m512 sum[])
{
    __m512 q0 = _mm512_cvtepi32_ps(c0), q1 = _mm512_cvtepi32_ps(c1);
#pragma GCC unroll 8
    for (int t = 0; t < nt; t++) {
        sum[t] = _mm512_fmadd_ps(q0, _mm512_loadu_ps(x + t * ldx), sum[t]);
        sum[t] = _mm512_fmadd_ps(q1, _mm512_loadu_ps(x + t * ldx + LANES), sum[t]);
    }
}

INLINE void rows_q8_0(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                      int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    (void)layout;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        __m512 total[HN_MM_VECTORS_MAX];
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            total[t] = _mm512_setzero_ps();
        for (int64_t b = 0; b < w->cols / BLOCK; b++, at += 34) {
            HN_PREFETCH(at + AHEAD);
            __m512 scale = _mm512_set1_ps(half(at)), sum[HN_MM_VECTORS_MAX];
#pragma GCC unroll 8
            for (int t = 0; t < nt; t++)
                sum[t] = _mm512_setzero_ps();
            add_codes(nt, _mm512_cvtepi8_epi32(load_16(at + 2)),
                      _mm512_cvtepi8_epi32(load_16(at + 18)), x + b * BLOCK_FLOATS, ldx, sum);
#pragma GCC unroll 8
            for (int t = 0; t < nt; t++)
                total[t] = _mm512_fmadd_ps(scale, sum[t], total[t]);
        }
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            y[t * ldy + j] = _mm512_reduce_add_ps(total[t]);
    }
}

INLINE void rows_affine(const int bits, const int nt, const struct hn_matrix *w, int64_t row,
                        int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        size_t g = (size_t)hn_matrix_stored_row(w, row + j) * (size_t)(w->cols / w->group);
        const float *xk = x;
        __m512 total[HN_MM_VECTORS_MAX];
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            total[t] = _mm512_setzero_ps();
        for (int64_t k = 0; k < w->cols; k += w->group, g++) {
            __m512 zero = _mm512_setzero_ps(), sum[HN_MM_VECTORS_MAX], xs[HN_MM_VECTORS_MAX];
            __m512 scale = _mm512_set1_ps(widen(w->scale_dtype, w->scales, g));
            __m512 bias = _mm512_set1_ps(widen(w->scale_dtype, w->biases, g));
#pragma GCC unroll 8
            for (int t = 0; t < nt; t++)
                sum[t] = xs[t] = zero;
            for (int i = 0; i < w->group; i += BLOCK, at += 4 * bits, xk += BLOCK_FLOATS) {
                HN_PREFETCH(at + AHEAD);
                add_codes(nt, affine_16(at, bits), affine_16(at + 2 * bits, bits), xk, ldx, sum);
#pragma GCC unroll 8
                for (int t = 0; t < nt; t++)
                    xs[t] = _mm512_add_ps(xs[t], _mm512_loadu_ps(xk + t * ldx + 2 * LANES));
            }
#pragma GCC unroll 8
            for (int t = 0; t < nt; t++) {
                total[t] = _mm512_fmadd_ps(scale, sum[t], total[t]);
                total[t] = _mm512_fmadd_ps(bias, xs[t], total[t]);
            }
        }
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            y[t * ldy + j] = _mm512_reduce_add_ps(total[t]);
    }
}

/* ---- plain weights ------------------------------------------------------------------------- */

/* Four sums per token hide the latency when there is one; with more tokens one each does. */
INLINE void rows_plain(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                       int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const int64_t size = layout == HN_LAYOUT_F32 ? 4 : 2;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        __m512 sum[HN_MM_VECTORS_MAX][4];
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++)
            sum[t][0] = sum[t][1] = sum[t][2] = sum[t][3] = _mm512_setzero_ps();
        int64_t k = 0;
        for (; k + 4 * LANES <= w->cols; k += 4 * LANES) {
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                __m512 v = load_plain(layout, 0xffff, at + (k + i * LANES) * size);
                if (layout == HN_LAYOUT_F32 || i % 2 == 0)
                    HN_PREFETCH(at + (k + i * LANES) * size + AHEAD);
#pragma GCC unroll 8
                for (int t = 0; t < nt; t++) {
                    __m512 *s = &sum[t][nt > 4 ? 0 : i];
                    *s = _mm512_fmadd_ps(v, _mm512_loadu_ps(x + t * ldx + k + i * LANES), *s);
                }
            }
        }
        for (; k < w->cols; k += LANES) {
            __mmask16 m = lanes(w->cols - k);
            __m512 v = load_plain(layout, m, at + k * size);
#pragma GCC unroll 8
            for (int t = 0; t < nt; t++)
                sum[t][0] =
                    _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(m, x + t * ldx + k), sum[t][0]);
        }
#pragma GCC unroll 8
        for (int t = 0; t < nt; t++) {
            __m512 s = sum[t][0];
            if (nt <= 4)
                s = _mm512_add_ps(_mm512_add_ps(s, sum[t][1]), _mm512_add_ps(sum[t][2], sum[t][3]));
            y[t * ldy + j] = _mm512_reduce_add_ps(s);
        }
    }
}

/* ---- the table ----------------------------------------------------------------------------- */

/* One kernel per count of tokens: the sums must live in registers. */
#define CASE(rows, kind, nt)                                                                       \
    case nt:                                                                                       \
        rows(kind, nt, w, row, n, x, ldx, y, ldy);                                                 \
        break
#define GEMV(name, rows, kind)                                                                     \
    static void name(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,            \
                     int64_t ldx, int n_tokens, float *y, int64_t ldy)                             \
    {                                                                                              \
        switch (n_tokens) {                                                                        \
            CASE(rows, kind, 1);                                                                   \
            CASE(rows, kind, 2);                                                                   \
            CASE(rows, kind, 3);                                                                   \
            CASE(rows, kind, 4);                                                                   \
            CASE(rows, kind, 5);                                                                   \
            CASE(rows, kind, 6);                                                                   \
            CASE(rows, kind, 7);                                                                   \
            CASE(rows, kind, 8);                                                                   \
        }                                                                                          \
    }

GEMV(gemv_q4_0, rows_4bit, Q4_0)
GEMV(gemv_q4_1, rows_4bit, Q4_1)
GEMV(gemv_4_32_f32, rows_4bit, AFFINE_32 + HN_F32)
GEMV(gemv_4_32_f16, rows_4bit, AFFINE_32 + HN_F16)
GEMV(gemv_4_32_bf16, rows_4bit, AFFINE_32 + HN_BF16)
GEMV(gemv_4_64_f32, rows_4bit, AFFINE_64 + HN_F32)
GEMV(gemv_4_64_f16, rows_4bit, AFFINE_64 + HN_F16)
GEMV(gemv_4_64_bf16, rows_4bit, AFFINE_64 + HN_BF16)
GEMV(gemv_4_128_f32, rows_4bit, AFFINE_128 + HN_F32)
GEMV(gemv_4_128_f16, rows_4bit, AFFINE_128 + HN_F16)
GEMV(gemv_4_128_bf16, rows_4bit, AFFINE_128 + HN_BF16)
GEMV(gemv_q8_0, rows_q8_0, HN_LAYOUT_Q8_0)
GEMV(gemv_f32, rows_plain, HN_LAYOUT_F32)
GEMV(gemv_f16, rows_plain, HN_LAYOUT_F16)
GEMV(gemv_bf16, rows_plain, HN_LAYOUT_BF16)
GEMV(gemv_affine2, rows_affine, 2)
GEMV(gemv_affine3, rows_affine, 3)
GEMV(gemv_affine5, rows_affine, 5)
GEMV(gemv_affine6, rows_affine, 6)
GEMV(gemv_affine8, rows_affine, 8)

static void prepare_affine(const struct hn_matrix *w, const float *x, float *out)
{
    if (w->bits == 4)
        prepare_pairs(w, x, out);
    else
        prepare_blocks(w, x, out);
}

static void gemv_affine(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                        int64_t ldx, int nt, float *y, int64_t ldy)
{
    static hn_gemv_rows_fn *const by_bits[9] = {
        [2] = gemv_affine2, [3] = gemv_affine3, [5] = gemv_affine5,
        [6] = gemv_affine6, [8] = gemv_affine8,
    };
    static hn_gemv_rows_fn *const by_group[3][3] = {
        {gemv_4_32_f32, gemv_4_32_f16, gemv_4_32_bf16},
        {gemv_4_64_f32, gemv_4_64_f16, gemv_4_64_bf16},
        {gemv_4_128_f32, gemv_4_128_f16, gemv_4_128_bf16},
    };
    hn_gemv_rows_fn *fn = w->bits == 4 ? by_group[w->group / 64][w->scale_dtype] : by_bits[w->bits];
    fn(w, row, n, x, ldx, nt, y, ldy);
}

const struct hn_cpu_gemv hn_cpu_gemv_avx512 = {{
    [HN_LAYOUT_F32] = {NULL, gemv_f32},
    [HN_LAYOUT_F16] = {NULL, gemv_f16},
    [HN_LAYOUT_BF16] = {NULL, gemv_bf16},
    [HN_LAYOUT_AFFINE] = {prepare_affine, gemv_affine},
    [HN_LAYOUT_Q4_0] = {prepare_halves, gemv_q4_0},
    [HN_LAYOUT_Q4_1] = {prepare_halves, gemv_q4_1},
    [HN_LAYOUT_Q8_0] = {prepare_blocks, gemv_q8_0},
}};

#endif
