/* Panels of 4- and 8-bit weights with AVX2, in both directions, without a detour through decoded
 * rows: forward as panel_rows.h says; backward, a row's codes already lie along the panel's
 * columns.
 */
#include "backend/cpu/panel.h"
#include "backend/cpu/codes_avx2.h"
#include "backend/cpu/transpose_avx2.h"
#include "backend/cpu/vec_avx2.h"

#ifndef __AVX2__
const struct hn_cpu_panel hn_cpu_panel_avx2 = {0};
#else

enum { ROWS = 8, NR = 16 };

#include "backend/cpu/panel_rows.h"

/* ---- forward: a panel's columns are rows of w ---------------------------------------------- */

INLINE void turn_words(const struct rows *r, int64_t byte, ivec word[4])
{
    transpose_16_bytes(r->at, byte, word);
}

INLINE vec v_halves(const struct rows *r, int64_t byte)
{
    return _mm256_cvtph_ps(half_words_at(r->at, byte));
}

INLINE vec v_scales(const unsigned char *const at[ROWS], enum hn_dtype t)
{
    __m128i v = half_words_at(at, 0);
    if (t == HN_F16)
        return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
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
    .layout = PANEL_ROWS,
    .across = {[HN_LAYOUT_AFFINE] = across_affine,
               [HN_LAYOUT_Q4_0] = across_q4_0,
               [HN_LAYOUT_Q4_1] = across_q4_1,
               [HN_LAYOUT_Q8_0] = across_q8_0},
};

#endif
