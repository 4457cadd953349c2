/* What the NEON levels' integer products share: tokens, panels, and a block's sums into the totals.
 * A level's file includes this, then defines how it lays four rows of codes into a panel (put_rows)
 * and its sums of a block (add_block).
 *
 *   tokens HN_IM_8    32 bytes a block, in the order of columns
 *          HN_IM_16   the upper bytes of 32 (signed), then the lower ones: q = 256 upper + lower
 *   panel             as the level likes: 16 rows of 32 signed bytes, unsigned ones as code - 128;
 *                     then scales and biases, for both widths alike
 *
 * Included by NEON files alone. */
#ifndef HN_BACKEND_CPU_IGEMM_NEON_H
#define HN_BACKEND_CPU_IGEMM_NEON_H

#include "backend/cpu/gemv_tokens_neon.h"
#include "backend/cpu/igemm.h"

#if defined(__aarch64__)

enum { TOKENS = 4, VECTOR = 16, PANEL_ROWS = 8 };

#define EACH_TOKEN(t) _Pragma("GCC unroll 4") for (int t = 0; t < nt; t++)
#define EACH_FOUR(v)  _Pragma("GCC unroll 2") for (int v = 0; v < PANEL_ROWS / 4; v++)

/* ---- tokens -------------------------------------------------------------------------------- */

INLINE void pack(const bool wide, const float *x, int64_t n, const int most, unsigned char *q,
                 float *scale, float *sum, int32_t *total)
{
    for (int64_t k = 0; k < n; k += HN_IM_BLOCK, scale++, sum++, total++) {
        int16x8_t v[4];
        int32x4_t pairs = vdupq_n_s32(0);
        *scale = round_block(x + k, most, v);
        for (int i = 0; i < 4; i++) {
            unsigned char *to = q + (wide ? 2 : 1) * k + 8 * i;
            pairs = vpadalq_s16(pairs, v[i]);
            if (wide)
                vst1_s8((int8_t *)to, vshrn_n_s16(v[i], 8));
            vst1_u8(to + (wide ? HN_IM_BLOCK : 0), vmovn_u16(vreinterpretq_u16_s16(v[i])));
        }
        *total = vaddvq_s32(pairs);
        *sum = *scale * (float)*total;
    }
}

static void pack_8(const float *x, int64_t n, int most, unsigned char *q, float *scale, float *sum,
                   int32_t *total)
{
    pack(false, x, n, most, q, scale, sum, total);
}

static void pack_16(const float *x, int64_t n, int most, unsigned char *q, float *scale, float *sum,
                    int32_t *total)
{
    pack(true, x, n, most, q, scale, sum, total);
}

/* ---- panels -------------------------------------------------------------------------------- */

/* Rows 4g to 4g+3 of a block, 32 codes each, to where the level's products want them. */
INLINE void put_rows(const uint8x16x2_t rows[4], int g, unsigned char *panel);

INLINE void panel(const enum hn_layout layout, const int bits, const struct hn_matrix *w,
                  int64_t row, int n_rows, int64_t k0, int64_t depth, unsigned char *to)
{
    const unsigned char *at[HN_IM_ROWS];
    size_t stored[HN_IM_ROWS];
    const size_t groups = layout == HN_LAYOUT_AFFINE ? (size_t)(w->cols / w->group) : 0;
    for (int r = 0; r < HN_IM_ROWS; r++) {
        at[r] = row_at(w, row + HN_MIN(r, n_rows - 1));
        stored[r] = (size_t)hn_matrix_stored_row(w, row + HN_MIN(r, n_rows - 1));
    }
    for (int64_t b = k0 / HN_IM_BLOCK; b < (k0 + depth) / HN_IM_BLOCK; b++, to += HN_IM_BLOCK_8) {
        float *scales = (float *)(void *)(to + HN_IM_BLOCK_8 - HN_IM_SCALES);
        for (int g = 0; g < HN_IM_ROWS / 4; g++) {
            uint8x16x2_t rows[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                rows[i] = codes_32(layout, bits, at[4 * g + i], b);
                for (int h = 0; h < 2 && layout == HN_LAYOUT_AFFINE && bits == 8; h++)
                    rows[i].val[h] = veorq_u8(rows[i].val[h], vdupq_n_u8(128));
            }
            put_rows(rows, g, to);
        }
        for (int r = 0; r < HN_IM_ROWS; r++) {
            struct scale_32 s = scale_32(layout, w->scale_dtype, w, at[r], stored[r] * groups, b);
            scales[r] = layout == HN_LAYOUT_BNB8 ? scale_of_row(w, stored[r]) : s.scale;
            scales[HN_IM_ROWS + r] = s.bias;
        }
    }
}

#define PANEL(layout, bits)                                                                        \
    panel(layout, bits, w, row, n_rows, k0, depth, to);                                            \
    break
static void panel_any(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0, int64_t depth,
                      unsigned char *to)
{
    switch (w->layout == HN_LAYOUT_AFFINE ? (int)HN_LAYOUT_COUNT + w->bits : (int)w->layout) {
    case HN_LAYOUT_Q4_0:
        PANEL(HN_LAYOUT_Q4_0, 4);
    case HN_LAYOUT_Q4_1:
        PANEL(HN_LAYOUT_Q4_1, 4);
    case HN_LAYOUT_Q5_0:
        PANEL(HN_LAYOUT_Q5_0, 5);
    case HN_LAYOUT_Q5_1:
        PANEL(HN_LAYOUT_Q5_1, 5);
    case HN_LAYOUT_Q4_K:
        PANEL(HN_LAYOUT_Q4_K, 4);
    case HN_LAYOUT_Q5_K:
        PANEL(HN_LAYOUT_Q5_K, 5);
    case HN_LAYOUT_Q8_0:
        PANEL(HN_LAYOUT_Q8_0, 8);
    case HN_LAYOUT_BNB8:
        PANEL(HN_LAYOUT_BNB8, 8);
    case HN_LAYOUT_COUNT + 2:
        PANEL(HN_LAYOUT_AFFINE, 2);
    case HN_LAYOUT_COUNT + 3:
        PANEL(HN_LAYOUT_AFFINE, 3);
    case HN_LAYOUT_COUNT + 4:
        PANEL(HN_LAYOUT_AFFINE, 4);
    case HN_LAYOUT_COUNT + 5:
        PANEL(HN_LAYOUT_AFFINE, 5);
    case HN_LAYOUT_COUNT + 6:
        PANEL(HN_LAYOUT_AFFINE, 6);
    default:
        PANEL(HN_LAYOUT_AFFINE, 8);
    }
}

/* ---- tiles --------------------------------------------------------------------------------- */

/* s[t][v] = sums of one block of token t, at q + t*ld, with rows first + 4v to first + 4v + 3. */
INLINE void add_block(const bool wide, const int nt, const unsigned char *panel, int first,
                      const unsigned char *q, int64_t ld, int32x4_t s[TOKENS][PANEL_ROWS / 4]);

/* off: less is to be taken off every code. */
INLINE void tile(const bool wide, const bool biased, const bool off, const int nt, const int less,
                 const struct hn_im_tokens *x, int64_t k0, int64_t depth, const unsigned char *at,
                 float *y, int64_t ldy, bool add)
{
    const int width = wide ? 2 : 1;
    for (int first = 0; first < HN_IM_ROWS; first += PANEL_ROWS) {
        const unsigned char *q = x->q + k0 * width, *block = at;
        float32x4_t total[TOKENS][PANEL_ROWS / 4];
        EACH_TOKEN(t)
        EACH_FOUR(v)
        total[t][v] = add ? vld1q_f32(y + t * ldy + first + 4 * v) : vdupq_n_f32(0);
        for (int64_t b = k0 / HN_IM_BLOCK; b < (k0 + depth) / HN_IM_BLOCK; b++) {
            const float *scales =
                (const float *)(const void *)(block + HN_IM_BLOCK_8 - HN_IM_SCALES) + first;
            int32x4_t s[TOKENS][PANEL_ROWS / 4];
            add_block(wide, nt, block, first, q, x->ld * width, s);
            EACH_TOKEN(t)
            EACH_FOUR(v)
            {
                int64_t i = t * x->ldb + b;
                if (off)
                    s[t][v] = vsubq_s32(s[t][v], vdupq_n_s32(less * x->total[i]));
                float32x4_t f = vmulq_n_f32(vld1q_f32(scales + 4 * v), x->scale[i]);
                total[t][v] = vfmaq_f32(total[t][v], f, vcvtq_f32_s32(s[t][v]));
                if (biased)
                    total[t][v] =
                        vfmaq_n_f32(total[t][v], vld1q_f32(scales + HN_IM_ROWS + 4 * v), x->sum[i]);
            }
            block += HN_IM_BLOCK_8;
            q += HN_IM_BLOCK * width;
        }
        EACH_TOKEN(t)
        EACH_FOUR(v)
        vst1q_f32(y + t * ldy + first + 4 * v, total[t][v]);
    }
}

/* One kernel per count of tokens: the sums must live in registers. */
#define CASE(wide, biased, off, nt)                                                                \
    case nt:                                                                                       \
        tile(wide, biased, off, nt, less, x, k0, depth, at, y, ldy, add);                          \
        break
#define TILES(wide, biased, off)                                                                   \
    switch (nt) {                                                                                  \
        CASE(wide, biased, off, 1);                                                                \
        CASE(wide, biased, off, 2);                                                                \
        CASE(wide, biased, off, 3);                                                                \
        CASE(wide, biased, off, 4);                                                                \
    }
#define TILE(name, wide)                                                                           \
    static void name(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,     \
                     int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)      \
    {                                                                                              \
        const int less = kind.whole == HN_IM_UNSIGNED ? -128 : kind.biased ? 0 : kind.middle;      \
        if (!less && !kind.biased)                                                                 \
            TILES(wide, false, false)                                                              \
        else if (!less)                                                                            \
            TILES(wide, true, false)                                                               \
        else if (kind.biased)                                                                      \
            TILES(wide, true, true)                                                                \
        else                                                                                       \
            TILES(wide, false, true)                                                               \
    }

#endif
#endif
