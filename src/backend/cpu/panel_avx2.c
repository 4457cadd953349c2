/* Panels of 4- and 8-bit weights with AVX2, in both directions, without a detour through decoded
 * rows.
 *
 * Forward, eight rows' codes are turned as 32-bit words, so that a vector holds one word of each
 * row; the codes are cut out where they stand, as code * 2^shift, converted, and multiplied by
 * scale / 2^shift (exact, both).  Backward, a row's codes already lie along the panel's columns.
 * Scales of 16 bits times codes of 8 are exact in float32, so the one rounding of the fused sum
 * gives the decoder's bits. */
#include "backend/cpu/panel.h"
#include "backend/cpu/codes_avx2.h"

#ifndef __AVX2__
const struct hn_cpu_panel hn_cpu_panel_avx2 = {0};
#else

enum { ROWS = 8, NR = 16, BLOCK = 32 };

/* ---- forward: a panel's columns are rows of w ---------------------------------------------- */

struct rows {
    const unsigned char *at[ROWS];
    size_t stored[ROWS];
};

/* Rows row.. of w; past the n-th the last again, so that every lane is some row. */
static void find_rows(struct rows *r, const struct hn_matrix *w, int64_t row, int n)
{
    for (int i = 0; i < ROWS; i++) {
        r->stored[i] = (size_t)hn_matrix_stored_row(w, row + HN_MIN(i, n - 1));
        r->at[i] = w->data + r->stored[i] * w->row_size;
    }
}

INLINE __m256i two_rows(const struct rows *r, int i, int64_t byte)
{
    __m256i v = _mm256_castsi128_si256(load_16(r->at[i] + byte));
    return _mm256_inserti128_si256(v, load_16(r->at[i + 4] + byte), 1);
}

/* word[d] lane i = the d-th 32-bit word of row i's 16 bytes from byte on. */
INLINE void turn_words(const struct rows *r, int64_t byte, __m256i word[4])
{
    __m256i a = two_rows(r, 0, byte), b = two_rows(r, 1, byte);
    __m256i c = two_rows(r, 2, byte), d = two_rows(r, 3, byte);
    __m256i ab0 = _mm256_unpacklo_epi32(a, b), ab1 = _mm256_unpackhi_epi32(a, b);
    __m256i cd0 = _mm256_unpacklo_epi32(c, d), cd1 = _mm256_unpackhi_epi32(c, d);
    word[0] = _mm256_unpacklo_epi64(ab0, cd0);
    word[1] = _mm256_unpackhi_epi64(ab0, cd0);
    word[2] = _mm256_unpacklo_epi64(ab1, cd1);
    word[3] = _mm256_unpackhi_epi64(ab1, cd1);
}

INLINE short word_16(const unsigned char *at)
{
    short v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* The 16 bits at each of eight places. */
INLINE __m128i eight_halves(const unsigned char *const at[ROWS], int64_t byte)
{
    return _mm_setr_epi16(word_16(at[0] + byte), word_16(at[1] + byte), word_16(at[2] + byte),
                          word_16(at[3] + byte), word_16(at[4] + byte), word_16(at[5] + byte),
                          word_16(at[6] + byte), word_16(at[7] + byte));
}

/* Element g of each row's scales. */
INLINE __m256 row_scales(const struct rows *r, const unsigned char *base, enum hn_dtype t,
                         size_t groups, size_t g)
{
    const unsigned char *at[ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
        at[i] = base + (r->stored[i] * groups + g) * 2;
    __m128i v = eight_halves(at, 0);
    if (t == HN_F16)
        return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

/* Where code s of word d of a block of 32 belongs. */
enum order {
    HALVES, /* 4 bits, GGUF: 4d + s/2 + 16*(s%2) */
    PAIRS,  /* 4 bits, affine: 8d + s */
    BYTES,  /* 8 bits: 4d + s */
};

INLINE int place(const enum order order, int d, int s)
{
    return order == HALVES ? 4 * d + s / 2 + s % 2 * 16 : order == PAIRS ? 8 * d + s : 4 * d + s;
}

/* All codes of 4 words of 8 rows, unsigned, to panel[place * NR]. */
INLINE void put_words(const enum order order, const __m256i word[4], __m256 scale, __m256 bias,
                      float *panel)
{
    const int bits = order == BYTES ? 8 : 4, n = 32 / bits;
#pragma GCC unroll 8
    for (int s = 0; s < n; s++) {
        const bool last = s == n - 1; /* it would reach the sign, so it is shifted down */
        __m256i mask = _mm256_set1_epi32((int)(((1u << bits) - 1) << s * bits));
        __m256 part = last ? scale : _mm256_mul_ps(scale, _mm256_set1_ps(1.0f / (1u << s * bits)));
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            __m256i q =
                last ? _mm256_srli_epi32(word[d], 32 - bits) : _mm256_and_si256(word[d], mask);
            _mm256_storeu_ps(panel + place(order, d, s) * NR,
                             _mm256_fmadd_ps(_mm256_cvtepi32_ps(q), part, bias));
        }
    }
}

/* One block of 32 of eight rows. */
INLINE void gguf_block(const enum hn_layout layout, const struct rows *r, int64_t block,
                       float *panel)
{
    const int64_t at = block * (layout == HN_LAYOUT_Q4_0 ? 18 : layout == HN_LAYOUT_Q4_1 ? 20 : 34);
    __m256 scale = _mm256_cvtph_ps(eight_halves(r->at, at)), bias;
    __m256i word[4];
    if (layout == HN_LAYOUT_Q8_0) {
        bias = _mm256_mul_ps(scale, _mm256_set1_ps(-128.0f));
        for (int half = 0; half < 2; half++) {
            turn_words(r, at + 2 + 16 * half, word);
#pragma GCC unroll 4
            for (int d = 0; d < 4; d++) /* signed codes + 128 */
                word[d] = _mm256_xor_si256(word[d], _mm256_set1_epi8(-128));
            put_words(BYTES, word, scale, bias, panel + 16 * half * NR);
        }
        return;
    }
    if (layout == HN_LAYOUT_Q4_1)
        bias = _mm256_cvtph_ps(eight_halves(r->at, at + 2));
    else
        bias = _mm256_mul_ps(scale, _mm256_set1_ps(-8.0f));
    turn_words(r, at + (layout == HN_LAYOUT_Q4_1 ? 4 : 2), word);
    put_words(HALVES, word, scale, bias, panel);
}

INLINE bool gguf_panel(const enum hn_layout layout, const struct hn_matrix *w, int64_t row,
                       int cols, int64_t k0, int64_t depth, float *panel)
{
    for (int half = 0; half < cols; half += ROWS) {
        struct rows r;
        find_rows(&r, w, row + half, HN_MIN(ROWS, cols - half));
        for (int64_t k = 0; k < depth; k += BLOCK)
            gguf_block(layout, &r, (k0 + k) / BLOCK, panel + k * NR + half);
    }
    return true;
}

static bool panel_q4_0(const struct hn_matrix *w, int64_t row, int cols, int64_t k0, int64_t depth,
                       float *panel)
{
    return gguf_panel(HN_LAYOUT_Q4_0, w, row, cols, k0, depth, panel);
}

static bool panel_q4_1(const struct hn_matrix *w, int64_t row, int cols, int64_t k0, int64_t depth,
                       float *panel)
{
    return gguf_panel(HN_LAYOUT_Q4_1, w, row, cols, k0, depth, panel);
}

static bool panel_q8_0(const struct hn_matrix *w, int64_t row, int cols, int64_t k0, int64_t depth,
                       float *panel)
{
    return gguf_panel(HN_LAYOUT_Q8_0, w, row, cols, k0, depth, panel);
}

static bool suits_affine(const struct hn_matrix *w)
{
    return (w->bits == 4 || w->bits == 8) && w->scale_dtype != HN_F32;
}

static void affine_group(const struct hn_matrix *w, const struct rows *r, size_t g, float *panel)
{
    size_t groups = (size_t)(w->cols / w->group);
    __m256 scale = row_scales(r, w->scales, w->scale_dtype, groups, g);
    __m256 bias = row_scales(r, w->biases, w->scale_dtype, groups, g);
    int64_t at = (int64_t)g * w->group * w->bits / 8;
    __m256i word[4];
    if (w->bits == 4) {
        for (int64_t i = 0; i < w->group; i += 32) {
            turn_words(r, at + i / 2, word);
            put_words(PAIRS, word, scale, bias, panel + i * NR);
        }
        return;
    }
    for (int64_t i = 0; i < w->group; i += 16) {
        turn_words(r, at + i, word);
        put_words(BYTES, word, scale, bias, panel + i * NR);
    }
}

static bool panel_affine(const struct hn_matrix *w, int64_t row, int cols, int64_t k0,
                         int64_t depth, float *panel)
{
    if (!suits_affine(w))
        return false;
    for (int half = 0; half < cols; half += ROWS) {
        struct rows r;
        find_rows(&r, w, row + half, HN_MIN(ROWS, cols - half));
        for (int64_t k = 0; k < depth; k += w->group)
            affine_group(w, &r, (size_t)((k0 + k) / w->group), panel + k * NR + half);
    }
    return true;
}

/* ---- backward: a panel's columns are columns of w ------------------------------------------ */

/* 16 unsigned codes of one byte each. */
INLINE void put_16(__m128i codes, __m256 scale, __m256 bias, float *out)
{
    __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes));
    __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(codes, 8)));
    _mm256_storeu_ps(out, _mm256_fmadd_ps(low, scale, bias));
    _mm256_storeu_ps(out + 8, _mm256_fmadd_ps(high, scale, bias));
}

INLINE void split_nibbles(const unsigned char *at, __m128i *low, __m128i *high)
{
    __m128i v = load_16(at), mask = _mm_set1_epi8(15);
    *low = _mm_and_si128(v, mask);
    *high = _mm_and_si128(_mm_srli_epi16(v, 4), mask);
}

/* One block of one row: 16 columns to out, 16 to the panel beside it. */
INLINE void gguf_across(const enum hn_layout layout, const unsigned char *at, int64_t stride,
                        float *out)
{
    __m256 scale = _mm256_set1_ps(half(at));
    __m128i low, high;
    if (layout == HN_LAYOUT_Q8_0) {
        __m256 bias = _mm256_mul_ps(scale, _mm256_set1_ps(-128.0f));
        __m128i sign = _mm_set1_epi8(-128);
        put_16(_mm_xor_si128(load_16(at + 2), sign), scale, bias, out);
        put_16(_mm_xor_si128(load_16(at + 18), sign), scale, bias, out + stride);
        return;
    }
    __m256 bias = layout == HN_LAYOUT_Q4_1 ? _mm256_set1_ps(half(at + 2))
                                           : _mm256_mul_ps(scale, _mm256_set1_ps(-8.0f));
    split_nibbles(at + (layout == HN_LAYOUT_Q4_1 ? 4 : 2), &low, &high);
    put_16(low, scale, bias, out);
    put_16(high, scale, bias, out + stride);
}

INLINE bool gguf_panels(const enum hn_layout layout, const struct hn_matrix *w, int64_t row,
                        int64_t depth, int64_t col, int64_t cols, int64_t stride, float *panel)
{
    const int64_t size = layout == HN_LAYOUT_Q4_0 ? 18 : layout == HN_LAYOUT_Q4_1 ? 20 : 34;
    for (int64_t j = 0; j < cols; j += BLOCK)
        for (int64_t n = 0; n < depth; n++)
            gguf_across(layout, row_at(w, row + n) + (col + j) / BLOCK * size, stride,
                        panel + j / NR * stride + n * NR);
    return true;
}

static bool across_q4_0(const struct hn_matrix *w, int64_t row, int64_t depth, int64_t col,
                        int64_t cols, int64_t stride, float *panel)
{
    return gguf_panels(HN_LAYOUT_Q4_0, w, row, depth, col, cols, stride, panel);
}

static bool across_q4_1(const struct hn_matrix *w, int64_t row, int64_t depth, int64_t col,
                        int64_t cols, int64_t stride, float *panel)
{
    return gguf_panels(HN_LAYOUT_Q4_1, w, row, depth, col, cols, stride, panel);
}

static bool across_q8_0(const struct hn_matrix *w, int64_t row, int64_t depth, int64_t col,
                        int64_t cols, int64_t stride, float *panel)
{
    return gguf_panels(HN_LAYOUT_Q8_0, w, row, depth, col, cols, stride, panel);
}

/* One group of one row. */
INLINE void affine_across(const struct hn_matrix *w, const int bits, size_t stored, size_t g,
                          int64_t stride, float *out)
{
    const unsigned char *at = w->data + stored * w->row_size + g * (size_t)(w->group * bits / 8);
    size_t scale_at = stored * (size_t)(w->cols / w->group) + g;
    __m256 scale = _mm256_set1_ps(widen(w->scale_dtype, w->scales, scale_at));
    __m256 bias = _mm256_set1_ps(widen(w->scale_dtype, w->biases, scale_at));
    for (int i = 0; i < w->group; i += BLOCK, at += 4 * bits, out += BLOCK / NR * stride) {
        __m128i low, high;
        if (bits == 8) {
            put_16(load_16(at), scale, bias, out);
            put_16(load_16(at + 16), scale, bias, out + stride);
            continue;
        }
        split_nibbles(at, &low, &high);
        put_16(_mm_unpacklo_epi8(low, high), scale, bias, out);
        put_16(_mm_unpackhi_epi8(low, high), scale, bias, out + stride);
    }
}

static bool across_affine(const struct hn_matrix *w, int64_t row, int64_t depth, int64_t col,
                          int64_t cols, int64_t stride, float *panel)
{
    if (!suits_affine(w))
        return false;
    for (int64_t j = 0; j < cols; j += w->group) {
        size_t g = (size_t)((col + j) / w->group);
        float *out = panel + j / NR * stride;
        for (int64_t n = 0; n < depth; n++, out += NR) {
            size_t stored = (size_t)hn_matrix_stored_row(w, row + n);
            if (w->bits == 4)
                affine_across(w, 4, stored, g, stride, out);
            else
                affine_across(w, 8, stored, g, stride, out);
        }
    }
    return true;
}

const struct hn_cpu_panel hn_cpu_panel_avx2 = {
    .layout = {[HN_LAYOUT_AFFINE] = panel_affine,
               [HN_LAYOUT_Q4_0] = panel_q4_0,
               [HN_LAYOUT_Q4_1] = panel_q4_1,
               [HN_LAYOUT_Q8_0] = panel_q8_0},
    .across = {[HN_LAYOUT_AFFINE] = across_affine,
               [HN_LAYOUT_Q4_0] = across_q4_0,
               [HN_LAYOUT_Q4_1] = across_q4_1,
               [HN_LAYOUT_Q8_0] = across_q8_0},
};

#endif
