/* Few tokens with AVX2: as gemv_avx512.c, with 4-bit codes 64 at a time, eight words of eight
 * codes; code s of a word stays where it stands and meets an x divided by 16^s. */
#include "backend/cpu/gemv.h"
#include "backend/cpu/codes_avx2.h"

#ifndef __AVX2__
const struct hn_cpu_gemv hn_cpu_gemv_avx2 = {{{0}}};
#else

enum {
    LANES = 8,
    BLOCK = 32,
    CHUNK = 64,
    CHUNK_FLOATS = 9 * LANES, /* as prepare_words lays them out */
    BLOCK_FLOATS = BLOCK + LANES,
    PASS = 4,     /* tokens whose sums fit the registers */
    AHEAD = 2048, /* bytes that memory is asked for in advance: rows are too short for a stream */
};

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

/* 64 codes, and per lane the scale and bias of its block; a missing second block is zero. */
struct chunk {
    __m256i codes;
    __m256 scale, bias;
};

INLINE __m256 two(float a, float b)
{
    return _mm256_set_m128(_mm_set1_ps(b), _mm_set1_ps(a));
}

INLINE int word_at(const unsigned char *at)
{
    int word;
    memcpy(&word, at, sizeof word);
    return word;
}

INLINE __m256i two_codes(const unsigned char *a, const unsigned char *b)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(a)),
                                   b ? load_16(b) : _mm_setzero_si128(), 1);
}

INLINE struct chunk load_q4_1(const unsigned char *at, const bool pair)
{
    struct chunk c = {.codes = two_codes(at + 4, pair ? at + 24 : NULL)};
    __m128i heads =
        _mm_insert_epi32(_mm_cvtsi32_si128(word_at(at)), pair ? word_at(at + 20) : 0, 1);
    __m256 v = _mm256_castps128_ps256(_mm_cvtph_ps(heads));
    c.scale = _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2));
    c.bias = _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3));
    return c;
}

INLINE struct chunk load_q4_0(const unsigned char *at, const bool pair)
{
    struct chunk c = {.codes = two_codes(at + 2, pair ? at + 20 : NULL)};
    c.scale = two(half(at), pair ? half(at + 18) : 0.0f);
    c.bias = _mm256_mul_ps(c.scale, _mm256_set1_ps(-8.0f));
    return c;
}

INLINE struct chunk load_affine4(const struct hn_matrix *w, const unsigned char *at, size_t g,
                                 const bool pair)
{
    struct chunk c = {.codes = two_codes(at, pair ? at + 16 : NULL)};
    enum hn_dtype t = w->scale_dtype;
    if (w->group == 32) {
        c.scale = two(widen(t, w->scales, g), pair ? widen(t, w->scales, g + 1) : 0.0f);
        c.bias = two(widen(t, w->biases, g), pair ? widen(t, w->biases, g + 1) : 0.0f);
    } else {
        c.scale = _mm256_set1_ps(widen(t, w->scales, g));
        c.bias = _mm256_set1_ps(widen(t, w->biases, g));
    }
    return c;
}

INLINE struct chunk load_chunk(const enum hn_layout layout, const struct hn_matrix *w,
                               const unsigned char *row, size_t groups, int64_t k, const bool pair)
{
    if (layout == HN_LAYOUT_Q4_1)
        return load_q4_1(row + k / BLOCK * 20, pair);
    if (layout == HN_LAYOUT_Q4_0)
        return load_q4_0(row + k / BLOCK * 18, pair);
    return load_affine4(w, row + k / 2, groups + (size_t)(k / w->group), pair);
}

/* ---- 4 bits: rows -------------------------------------------------------------------------- */

INLINE void add_chunk(const int nt, const struct chunk *c, const float *x, int64_t ldx,
                      __m256 total[])
{
    __m256 sum[PASS];
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++) {
        __m256i cut = s == 7 ? _mm256_srli_epi32(c->codes, 28)
                             : _mm256_and_si256(c->codes, _mm256_set1_epi32((int)(0xfu << 4 * s)));
        __m256 q = _mm256_cvtepi32_ps(cut);
#pragma GCC unroll 4
        for (int t = 0; t < nt; t++) {
            __m256 xs = _mm256_loadu_ps(x + t * ldx + s * LANES);
            sum[t] = s ? _mm256_fmadd_ps(q, xs, sum[t]) : _mm256_mul_ps(q, xs);
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++) {
        total[t] = _mm256_fmadd_ps(c->scale, sum[t], total[t]);
        total[t] = _mm256_fmadd_ps(c->bias, _mm256_loadu_ps(x + t * ldx + 8 * LANES), total[t]);
    }
}

INLINE void store_sums(const int nt, __m256 total[], float *y, int64_t ldy)
{
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
        y[t * ldy] = sum_lanes(total[t]);
}

INLINE void zero_sums(const int nt, __m256 total[])
{
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
        total[t] = _mm256_setzero_ps();
}

INLINE void rows_4bit(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                      int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const int64_t size = layout == HN_LAYOUT_Q4_1 ? 40 : layout == HN_LAYOUT_Q4_0 ? 36 : 32;
    const int64_t pairs = w->cols / CHUNK;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        size_t groups = 0;
        if (layout == HN_LAYOUT_AFFINE)
            groups = (size_t)hn_matrix_stored_row(w, row + j) * (size_t)(w->cols / w->group);
        __m256 total[PASS];
        zero_sums(nt, total);
        for (int64_t i = 0; i < pairs; i++) {
            HN_PREFETCH(at + i * size + AHEAD);
            struct chunk c = load_chunk(layout, w, at, groups, i * CHUNK, true);
            add_chunk(nt, &c, x + i * CHUNK_FLOATS, ldx, total);
        }
        if (w->cols % CHUNK) {
            struct chunk c = load_chunk(layout, w, at, groups, pairs * CHUNK, false);
            add_chunk(nt, &c, x + pairs * CHUNK_FLOATS, ldx, total);
        }
        store_sums(nt, total, y + j, ldy);
    }
}

/* ---- other codes: 32 at a time in their own order ------------------------------------------ */

/* x, and after each 32 of them eight sums of four. */
static void prepare_blocks(const struct hn_matrix *w, const float *x, float *out)
{
    for (int64_t k = 0; k < w->cols; k += BLOCK, out += BLOCK_FLOATS) {
        __m256 sum = _mm256_setzero_ps();
        for (int i = 0; i < BLOCK; i += LANES) {
            __m256 v = _mm256_loadu_ps(x + k + i);
            _mm256_storeu_ps(out + i, v);
            sum = _mm256_add_ps(sum, v);
        }
        _mm256_storeu_ps(out + BLOCK, sum);
    }
}

INLINE void add_codes(const int nt, __m256i codes, const float *x, int64_t ldx, __m256 sum[])
{
    __m256 q = _mm256_cvtepi32_ps(codes);
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
        sum[t] = _mm256_fmadd_ps(q, _mm256_loadu_ps(x + t * ldx), sum[t]);
}

INLINE void add_scaled(const int nt, __m256 scale, const __m256 sum[], __m256 total[])
{
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
        total[t] = _mm256_fmadd_ps(scale, sum[t], total[t]);
}

INLINE void rows_q8_0(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                      int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    (void)layout;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        __m256 total[PASS];
        zero_sums(nt, total);
        for (int64_t b = 0; b < w->cols / BLOCK; b++, at += 34) {
            __m256 scale = _mm256_set1_ps(half(at)), sum[PASS];
            HN_PREFETCH(at + AHEAD);
            zero_sums(nt, sum);
#pragma GCC unroll 4
            for (int i = 0; i < BLOCK; i += LANES) {
                __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)(at + 2 + i));
                add_codes(nt, _mm256_cvtepi8_epi32(q), x + b * BLOCK_FLOATS + i, ldx, sum);
            }
            add_scaled(nt, scale, sum, total);
        }
        store_sums(nt, total, y + j, ldy);
    }
}

INLINE void rows_affine(const int bits, const int nt, const struct hn_matrix *w, int64_t row,
                        int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        size_t g = (size_t)hn_matrix_stored_row(w, row + j) * (size_t)(w->cols / w->group);
        const float *xk = x;
        __m256 total[PASS];
        zero_sums(nt, total);
        for (int64_t k = 0; k < w->cols; k += w->group, g++) {
            __m256 scale = _mm256_set1_ps(widen(w->scale_dtype, w->scales, g)), sum[PASS];
            __m256 bias = _mm256_set1_ps(widen(w->scale_dtype, w->biases, g));
            zero_sums(nt, sum);
            for (int b = 0; b < w->group; b += BLOCK, at += 4 * bits, xk += BLOCK_FLOATS) {
                HN_PREFETCH(at + AHEAD);
#pragma GCC unroll 4
                for (int i = 0; i < 4; i++)
                    add_codes(nt, affine_8(at, i, bits), xk + i * LANES, ldx, sum);
#pragma GCC unroll 4
                for (int t = 0; t < nt; t++)
                    total[t] =
                        _mm256_fmadd_ps(bias, _mm256_loadu_ps(xk + t * ldx + BLOCK), total[t]);
            }
            add_scaled(nt, scale, sum, total);
        }
        store_sums(nt, total, y + j, ldy);
    }
}

/* ---- plain weights ------------------------------------------------------------------------- */

/* Two sums per token and row: with one token, two rows' loads and sums run side by side. */
INLINE void rows_plain(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                       int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const int64_t size = layout == HN_LAYOUT_F32 ? 4 : 2;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        __m256 sum[PASS], other[PASS];
        zero_sums(nt, sum);
        zero_sums(nt, other);
        int64_t k = 0;
        for (; k + 2 * LANES <= w->cols; k += 2 * LANES) {
            __m256 a = load_plain_8(layout, at + k * size);
            __m256 b = load_plain_8(layout, at + (k + LANES) * size);
            HN_PREFETCH(at + k * size + AHEAD);
#pragma GCC unroll 4
            for (int t = 0; t < nt; t++) {
                const float *xk = x + t * ldx + k;
                sum[t] = _mm256_fmadd_ps(a, _mm256_loadu_ps(xk), sum[t]);
                other[t] = _mm256_fmadd_ps(b, _mm256_loadu_ps(xk + LANES), other[t]);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < nt; t++) {
            float s = sum_lanes(_mm256_add_ps(sum[t], other[t]));
            for (int64_t i = k; i < w->cols; i++)
                s += x[t * ldx + i] * widen((enum hn_dtype)layout, at, (size_t)i);
            y[t * ldy + j] = s;
        }
    }
}

/* ---- the table ----------------------------------------------------------------------------- */

/* One kernel per count of tokens: the sums must live in registers. */
#define CASE(rows, kind, nt)                                                                       \
    case nt:                                                                                       \
        rows(kind, nt, w, row, n, x + t * ldx, ldx, y + t * ldy, ldy);                             \
        break
#define GEMV(name, rows, kind)                                                                     \
    static void name(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,            \
                     int64_t ldx, int n_tokens, float *y, int64_t ldy)                             \
    {                                                                                              \
        for (int t = 0; t < n_tokens; t += PASS) {                                                 \
            switch (HN_MIN(PASS, n_tokens - t)) {                                                  \
                CASE(rows, kind, 1);                                                               \
                CASE(rows, kind, 2);                                                               \
                CASE(rows, kind, 3);                                                               \
                CASE(rows, kind, 4);                                                               \
            }                                                                                      \
        }                                                                                          \
    }

GEMV(gemv_q4_0, rows_4bit, HN_LAYOUT_Q4_0)
GEMV(gemv_q4_1, rows_4bit, HN_LAYOUT_Q4_1)
GEMV(gemv_affine4, rows_4bit, HN_LAYOUT_AFFINE)
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
        [2] = gemv_affine2, [3] = gemv_affine3, [4] = gemv_affine4,
        [5] = gemv_affine5, [6] = gemv_affine6, [8] = gemv_affine8,
    };
    by_bits[w->bits](w, row, n, x, ldx, nt, y, ldy);
}

const struct hn_cpu_gemv hn_cpu_gemv_avx2 = {{
    [HN_LAYOUT_F32] = {NULL, gemv_f32},
    [HN_LAYOUT_F16] = {NULL, gemv_f16},
    [HN_LAYOUT_BF16] = {NULL, gemv_bf16},
    [HN_LAYOUT_AFFINE] = {prepare_affine, gemv_affine},
    [HN_LAYOUT_Q4_0] = {prepare_halves, gemv_q4_0},
    [HN_LAYOUT_Q4_1] = {prepare_halves, gemv_q4_1},
    [HN_LAYOUT_Q8_0] = {prepare_blocks, gemv_q8_0},
}};

#endif
