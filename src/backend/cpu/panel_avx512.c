/* Panels of 4- and 8-bit weights with AVX-512, without a detour through decoded rows.
 *
 * Sixteen rows' codes are turned as 32-bit words, so that a vector holds one word of each row; the
 * codes are then cut out where they stand, as code * 2^shift, converted, and multiplied by
 * scale / 2^shift (exact, both).  Scales of 16 bits times codes of 8 are exact in float32, so the
 * one rounding of the fused sum gives the decoder's bits. */
#include "backend/cpu/panel.h"
#include "backend/cpu/codes_avx512.h"

#ifndef __AVX512F__
const struct hn_cpu_panel hn_cpu_panel_avx512 = {0};
#else

enum { ROWS = 16, NR = 32, BLOCK = 32 };

/* Sixteen rows: where each begins, and the same as offsets from the first. */
struct rows {
    const unsigned char *at[ROWS];
    size_t stored[ROWS];
    __m512i offset;
};

/* Rows row.. of w; past the n-th the last again, so that every lane is some row. */
static void find_rows(struct rows *r, const struct hn_matrix *w, int64_t row, int n)
{
    int32_t offset[ROWS];
    for (int i = 0; i < ROWS; i++) {
        r->stored[i] = (size_t)hn_matrix_stored_row(w, row + HN_MIN(i, n - 1));
        r->at[i] = w->data + r->stored[i] * w->row_size;
        offset[i] = (int32_t)(r->at[i] - r->at[0]);
    }
    r->offset = _mm512_loadu_si512(offset);
}

INLINE __m512i four_rows(const struct rows *r, int i, int64_t byte)
{
    __m512i v = _mm512_castsi128_si512(load_16(r->at[i] + byte));
    v = _mm512_inserti32x4(v, load_16(r->at[i + 4] + byte), 1);
    v = _mm512_inserti32x4(v, load_16(r->at[i + 8] + byte), 2);
    return _mm512_inserti32x4(v, load_16(r->at[i + 12] + byte), 3);
}

/* word[d] lane i = the d-th 32-bit word of row i's 16 bytes from byte on. */
INLINE void turn_words(const struct rows *r, int64_t byte, __m512i word[4])
{
    __m512i a = four_rows(r, 0, byte), b = four_rows(r, 1, byte);
    __m512i c = four_rows(r, 2, byte), d = four_rows(r, 3, byte);
    __m512i ab0 = _mm512_unpacklo_epi32(a, b), ab1 = _mm512_unpackhi_epi32(a, b);
    __m512i cd0 = _mm512_unpacklo_epi32(c, d), cd1 = _mm512_unpackhi_epi32(c, d);
    word[0] = _mm512_unpacklo_epi64(ab0, cd0);
    word[1] = _mm512_unpackhi_epi64(ab0, cd0);
    word[2] = _mm512_unpacklo_epi64(ab1, cd1);
    word[3] = _mm512_unpackhi_epi64(ab1, cd1);
}

/* The float16 in the low half of each lane. */
INLINE __m512 low_halves(__m512i v)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

/* Element g of each row's scales. */
INLINE __m512 row_scales(const struct rows *r, const unsigned char *base, enum hn_dtype t,
                         size_t groups, size_t g)
{
    uint16_t h[ROWS];
    for (int i = 0; i < ROWS; i++)
        memcpy(&h[i], base + (r->stored[i] * groups + g) * 2, sizeof h[i]);
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)h);
    if (t == HN_F16)
        return _mm512_cvtph_ps(v);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
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

/* All codes of 4 words of 16 rows, unsigned, to panel[place * NR]. */
INLINE void put_words(const enum order order, const __m512i word[4], __m512 scale, __m512 bias,
                      float *panel)
{
    const int bits = order == BYTES ? 8 : 4, n = 32 / bits;
#pragma GCC unroll 8
    for (int s = 0; s < n; s++) {
        const bool last = s == n - 1; /* it would reach the sign, so it is shifted down */
        __m512i mask = _mm512_set1_epi32((int)(((1u << bits) - 1) << s * bits));
        __m512 part = last ? scale : _mm512_mul_ps(scale, _mm512_set1_ps(1.0f / (1u << s * bits)));
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            __m512i q = last ? _mm512_srli_epi32(word[d], (unsigned)(32 - bits))
                             : _mm512_and_si512(word[d], mask);
            _mm512_storeu_ps(panel + place(order, d, s) * NR,
                             _mm512_fmadd_ps(_mm512_cvtepi32_ps(q), part, bias));
        }
    }
}

INLINE void gguf_block(const enum hn_layout layout, const struct rows *r, int64_t block,
                       float *panel)
{
    const int64_t at = block * (layout == HN_LAYOUT_Q4_0 ? 18 : layout == HN_LAYOUT_Q4_1 ? 20 : 34);
    /* a block is longer than the four bytes that a lane gathers */
    __m512i head = _mm512_i32gather_epi32(r->offset, r->at[0] + at, 1), word[4];
    __m512 scale = low_halves(head), bias;
    if (layout == HN_LAYOUT_Q8_0) {
        bias = _mm512_mul_ps(scale, _mm512_set1_ps(-128.0f));
        for (int half = 0; half < 2; half++) {
            turn_words(r, at + 2 + 16 * half, word);
#pragma GCC unroll 4
            for (int d = 0; d < 4; d++) /* signed codes + 128 */
                word[d] = _mm512_xor_si512(word[d], _mm512_set1_epi32((int)0x80808080));
            put_words(BYTES, word, scale, bias, panel + 16 * half * NR);
        }
        return;
    }
    if (layout == HN_LAYOUT_Q4_1)
        bias = low_halves(_mm512_srli_epi32(head, 16));
    else
        bias = _mm512_mul_ps(scale, _mm512_set1_ps(-8.0f));
    turn_words(r, at + (layout == HN_LAYOUT_Q4_1 ? 4 : 2), word);
    put_words(HALVES, word, scale, bias, panel);
}

INLINE void gguf_panel(const enum hn_layout layout, const struct hn_matrix *w, int64_t row,
                       int cols, int64_t k0, int64_t depth, float *panel)
{
    for (int half = 0; half < cols; half += ROWS) {
        struct rows r;
        find_rows(&r, w, row + half, HN_MIN(ROWS, cols - half));
        for (int64_t k = 0; k < depth; k += BLOCK)
            gguf_block(layout, &r, (k0 + k) / BLOCK, panel + k * NR + half);
    }
}

static bool panel_q4_0(const struct hn_matrix *w, int64_t row, int cols, int64_t k0, int64_t depth,
                       float *panel)
{
    gguf_panel(HN_LAYOUT_Q4_0, w, row, cols, k0, depth, panel);
    return true;
}

static bool panel_q4_1(const struct hn_matrix *w, int64_t row, int cols, int64_t k0, int64_t depth,
                       float *panel)
{
    gguf_panel(HN_LAYOUT_Q4_1, w, row, cols, k0, depth, panel);
    return true;
}

static bool panel_q8_0(const struct hn_matrix *w, int64_t row, int cols, int64_t k0, int64_t depth,
                       float *panel)
{
    gguf_panel(HN_LAYOUT_Q8_0, w, row, cols, k0, depth, panel);
    return true;
}

static void affine_group(const struct hn_matrix *w, const struct rows *r, size_t g, float *panel)
{
    size_t groups = (size_t)(w->cols / w->group);
    __m512 scale = row_scales(r, w->scales, w->scale_dtype, groups, g);
    __m512 bias = row_scales(r, w->biases, w->scale_dtype, groups, g);
    int64_t at = (int64_t)g * w->group * w->bits / 8;
    __m512i word[4];
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
    if ((w->bits != 4 && w->bits != 8) || w->scale_dtype == HN_F32)
        return false;
    for (int half = 0; half < cols; half += ROWS) {
        struct rows r;
        find_rows(&r, w, row + half, HN_MIN(ROWS, cols - half));
        for (int64_t k = 0; k < depth; k += w->group)
            affine_group(w, &r, (size_t)((k0 + k) / w->group), panel + k * NR + half);
    }
    return true;
}

const struct hn_cpu_panel hn_cpu_panel_avx512 = {
    .layout = {[HN_LAYOUT_AFFINE] = panel_affine,
               [HN_LAYOUT_Q4_0] = panel_q4_0,
               [HN_LAYOUT_Q4_1] = panel_q4_1,
               [HN_LAYOUT_Q8_0] = panel_q8_0},
};

#endif
