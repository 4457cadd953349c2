/* Panels whose columns are rows of 4- and 8-bit weights, for any width of register.
 *
 * A vector's worth of rows is turned as 32-bit words, so that a vector holds one word of each row;
 * the codes are cut out where they stand, as code * 2^shift, converted, and multiplied by
 * scale / 2^shift (exact, both).  Scales of 16 bits times codes of 8 are exact in float32, so the
 * one rounding of the fused sum gives the decoder's bits.
 *
 * An instruction-set file defines ROWS, NR, vec, ivec and the v_ and i_ functions used here, and
 * includes this once. */
#ifndef HN_BACKEND_CPU_PANEL_ROWS_H
#define HN_BACKEND_CPU_PANEL_ROWS_H

#include "backend/cpu/panel.h"

enum { BLOCK = 32 };

/* Where some rows begin, as addresses and as bytes after the first. */
struct rows {
    const unsigned char *at[ROWS];
    int32_t offset[ROWS];
    size_t stored[ROWS];
};

/* word[d] lane i = the d-th 32-bit word of row i's 16 bytes from byte on. */
INLINE void turn_words(const struct rows *r, int64_t byte, ivec word[4]);
/* The float16 of each row, byte bytes from its beginning on. */
INLINE vec v_halves(const struct rows *r, int64_t byte);
/* The 16-bit scale at each of these places. */
INLINE vec v_scales(const unsigned char *const at[ROWS], enum hn_dtype t);

/* Rows row.. of w; past the n-th the last again, so that every lane is some row. */
static void find_rows(struct rows *r, const struct hn_matrix *w, int64_t row, int n)
{
    for (int i = 0; i < ROWS; i++) {
        r->stored[i] = (size_t)hn_matrix_stored_row(w, row + HN_MIN(i, n - 1));
        r->at[i] = w->data + r->stored[i] * w->row_size;
        r->offset[i] = (int32_t)(r->at[i] - r->at[0]);
    }
}

/* Element g of each row's scales. */
INLINE vec row_scales(const struct rows *r, const unsigned char *base, enum hn_dtype t,
                      size_t groups, size_t g)
{
    const unsigned char *at[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
        at[i] = base + (r->stored[i] * groups + g) * 2;
    return v_scales(at, t);
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

/* All codes of 4 words of these rows, unsigned, to panel[place * NR]. */
INLINE void put_words(const enum order order, const ivec word[4], vec scale, vec bias, float *panel)
{
    const int bits = order == BYTES ? 8 : 4, n = 32 / bits;
#pragma GCC unroll 8
    for (int s = 0; s < n; s++) {
        const bool last = s == n - 1; /* it would reach the sign, so it is shifted down */
        ivec mask = i_set32((int)(((1u << bits) - 1) << s * bits));
        vec part = last ? scale : v_mul(scale, v_set(1.0f / (1u << s * bits)));
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            ivec q = last ? i_srl32(word[d], 32 - bits) : i_and(word[d], mask);
            v_store(panel + place(order, d, s) * NR, v_fma(v_float(q), part, bias));
        }
    }
}

/* One block of 32 of these rows. */
INLINE void gguf_block(const enum hn_layout layout, const struct rows *r, int64_t block,
                       float *panel)
{
    const int64_t at = block * (layout == HN_LAYOUT_Q4_0 ? 18 : layout == HN_LAYOUT_Q4_1 ? 20 : 34);
    vec scale = v_halves(r, at), bias;
    ivec word[4];
    if (layout == HN_LAYOUT_Q8_0) {
        bias = v_mul(scale, v_set(-128.0f));
        for (int half = 0; half < 2; half++) {
            turn_words(r, at + 2 + 16 * half, word);
#pragma GCC unroll 4
            for (int d = 0; d < 4; d++) /* signed codes + 128 */
                word[d] = i_xor(word[d], i_set32((int)0x80808080));
            put_words(BYTES, word, scale, bias, panel + 16 * half * NR);
        }
        return;
    }
    bias = layout == HN_LAYOUT_Q4_1 ? v_halves(r, at + 2) : v_mul(scale, v_set(-8.0f));
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
    vec scale = row_scales(r, w->scales, w->scale_dtype, groups, g);
    vec bias = row_scales(r, w->biases, w->scale_dtype, groups, g);
    int64_t at = (int64_t)g * w->group * w->bits / 8;
    ivec word[4];
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

/* The four formats' rows of a struct hn_cpu_panel. */
#define PANEL_ROWS                                                                                 \
    {                                                                                              \
        [HN_LAYOUT_AFFINE] = panel_affine, [HN_LAYOUT_Q4_0] = panel_q4_0,                          \
        [HN_LAYOUT_Q4_1] = panel_q4_1, [HN_LAYOUT_Q8_0] = panel_q8_0,                              \
    }

#endif
