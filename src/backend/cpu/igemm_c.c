/* The specification of the integer products' pieces. */
#include "backend/cpu/igemm.h"
#include "backend/cpu/vector.h"

#include <math.h>
#include <string.h>

/* ---- tokens -------------------------------------------------------------------------------- */

/* Column of a block that stands at place i of tokens and codes of 16 bits. */
static int column_16(int i)
{
    static const int in_four[] = {0, 2, 1, 3};
    return i / 4 * 4 + in_four[i % 4];
}

static void pack(bool wide, const float *x, int64_t n, int most, unsigned char *out, float *scale,
                 float *sum, int32_t *total)
{
    for (int64_t k = 0; k < n; k += HN_IM_BLOCK, scale++, sum++, total++) {
        int32_t q[HN_IM_BLOCK];
        *scale = hn_cpu_round_block(q, x + k, HN_IM_BLOCK, most);
        *total = 0;
        for (int i = 0; i < HN_IM_BLOCK; i++) {
            int16_t v = (int16_t)q[column_16(i)];
            *total += q[i];
            if (wide)
                memcpy(out + 2 * (k + i), &v, 2);
            else
                out[k + i] = (unsigned char)(int8_t)q[i];
        }
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

/* ---- codes --------------------------------------------------------------------------------- */

/* The codes of one block as they are stored, and what they stand for: (code - middle) * scale +
 * bias. */
struct codes {
    int code[HN_IM_BLOCK], middle;
    float scale, bias;
};

static float half_at(const unsigned char *at)
{
    return hn_dtype_load(HN_F16, at, 0);
}

/* 32 nibbles, low halves first, and their fifth bits (NULL: none). */
static void nibbles(struct codes *c, const unsigned char *at, const unsigned char *fifth)
{
    for (int k = 0; k < HN_IM_BLOCK; k++) {
        c->code[k] = at[k % 16] >> k / 16 * 4 & 15;
        if (fifth)
            c->code[k] |= (fifth[k / 8] >> k % 8 & 1) << 4;
    }
}

static struct codes codes_of_32(enum hn_layout layout, const unsigned char *row, int64_t block)
{
    struct codes c = {.scale = 0};
    const unsigned char *at = row + block * (int64_t)hn_layout_row_size(layout, HN_IM_BLOCK, 0);
    c.scale = half_at(at);
    if (layout == HN_LAYOUT_Q4_1 || layout == HN_LAYOUT_Q5_1)
        c.bias = half_at(at + 2);
    switch (layout) {
    case HN_LAYOUT_Q4_0:
        c.middle = 8;
        nibbles(&c, at + 2, NULL);
        break;
    case HN_LAYOUT_Q4_1:
        nibbles(&c, at + 4, NULL);
        break;
    case HN_LAYOUT_Q5_0:
        c.middle = 16;
        nibbles(&c, at + 6, at + 2);
        break;
    case HN_LAYOUT_Q5_1:
        nibbles(&c, at + 8, at + 4);
        break;
    default: /* Q8_0 */
        for (int k = 0; k < HN_IM_BLOCK; k++)
            c.code[k] = (signed char)at[2 + k];
    }
    return c;
}

/* Of Q6_K the codes come with the scales of their groups of 16 multiplied in. */
static struct codes codes_k(enum hn_layout layout, const unsigned char *row, int64_t block)
{
    struct codes c = {.scale = 0};
    int j = (int)(block % 8);
    if (layout == HN_LAYOUT_Q6_K) {
        const unsigned char *b = row + block / 8 * 210, *low = b + j / 4 * 64 + j % 2 * 32;
        const unsigned char *high = b + 128 + j / 4 * 32, *scales = b + 192 + 2 * j;
        c.scale = half_at(b + 208);
        for (int k = 0; k < HN_IM_BLOCK; k++) {
            int q = (low[k] >> j % 4 / 2 * 4 & 15) | (high[k] >> 2 * (j % 4) & 3) << 4;
            c.code[k] = (q - 32) * (signed char)scales[k / 16];
        }
        return c;
    }
    bool five = layout == HN_LAYOUT_Q5_K;
    const unsigned char *b = row + block / 8 * (five ? 176 : 144), *s = b + 4;
    const unsigned char *at = b + (five ? 48 : 16) + j / 2 * 32;
    int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    int min = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    c.scale = half_at(b) * (float)scale;
    c.bias = -half_at(b + 2) * (float)min;
    for (int k = 0; k < HN_IM_BLOCK; k++)
        c.code[k] = (at[k] >> j % 2 * 4 & 15) | (five ? (b[16 + k] >> j & 1) << 4 : 0);
    return c;
}

static struct codes codes_affine(const struct hn_matrix *w, int64_t row, int64_t block)
{
    struct codes c = {.scale = 0};
    const unsigned char *at = w->data + (size_t)row * w->row_size + block * 4 * w->bits;
    size_t g = (size_t)(row * (w->cols / w->group) + block * HN_IM_BLOCK / w->group);
    c.scale = hn_dtype_load(w->scale_dtype, w->scales, g);
    c.bias = hn_dtype_load(w->scale_dtype, w->biases, g);
    for (int k = 0; k < HN_IM_BLOCK; k++) {
        int bit = k * w->bits, word = at[bit / 8];
        if (bit % 8 + w->bits > 8)
            word |= at[bit / 8 + 1] << 8;
        c.code[k] = word >> bit % 8 & ((1 << w->bits) - 1);
    }
    return c;
}

static struct codes codes_of(const struct hn_matrix *w, int64_t row, int64_t block)
{
    int64_t stored = hn_matrix_stored_row(w, row);
    const unsigned char *at = w->data + (size_t)stored * w->row_size;
    if (w->layout == HN_LAYOUT_AFFINE)
        return codes_affine(w, stored, block);
    if (w->layout >= HN_LAYOUT_Q4_K && w->layout <= HN_LAYOUT_Q6_K)
        return codes_k(w->layout, at, block);
    if (w->layout != HN_LAYOUT_BNB8)
        return codes_of_32(w->layout, at, block);
    struct codes c = {.scale = hn_dtype_load(HN_F32, w->scales, (size_t)stored)};
    c.scale *= 7.874015718698502e-3f; /* float32(1/127): hn_decode_bnb8 */
    for (int k = 0; k < HN_IM_BLOCK; k++)
        c.code[k] = (signed char)at[block * HN_IM_BLOCK + k];
    return c;
}

/* ---- panels -------------------------------------------------------------------------------- */

static void panel_8(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0, int64_t depth,
                    unsigned char *panel)
{
    for (int64_t k = 0; k < depth; k += HN_IM_BLOCK, panel += HN_IM_BLOCK_8) {
        float *scales = (float *)(void *)(panel + HN_IM_ROWS * HN_IM_BLOCK);
        const int more = hn_im_kind(w, HN_IM_8).whole == HN_IM_SIGNED ? 128 : 0;
        memset(panel, 0, HN_IM_BLOCK_8);
        for (int r = 0; r < n_rows; r++) {
            struct codes c = codes_of(w, row + r, (k0 + k) / HN_IM_BLOCK);
            for (int i = 0; i < HN_IM_BLOCK; i++)
                panel[(i / 4 * HN_IM_ROWS + r) * 4 + i % 4] = (unsigned char)(c.code[i] + more);
            scales[r] = c.scale;
            scales[HN_IM_ROWS + r] = c.middle ? c.scale * (float)-c.middle : c.bias;
        }
    }
}

static void panel_16(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0, int64_t depth,
                     unsigned char *panel)
{
    for (int64_t k = 0; k < depth; k += HN_IM_BLOCK, panel += HN_IM_BLOCK_16) {
        float *scales = (float *)(void *)(panel + 2 * HN_IM_ROWS * HN_IM_BLOCK);
        memset(panel, 0, HN_IM_BLOCK_16);
        for (int r = 0; r < n_rows; r++) {
            struct codes c = codes_of(w, row + r, (k0 + k) / HN_IM_BLOCK);
            for (int i = 0; i < HN_IM_BLOCK; i++) {
                int16_t v = (int16_t)(c.code[column_16(i)] - c.middle);
                memcpy(panel + ((i / 2 * HN_IM_ROWS + r) * 2 + i % 2) * 2, &v, 2);
            }
            scales[r] = c.scale;
            scales[HN_IM_ROWS + r] = c.bias;
        }
    }
}

/* ---- tiles --------------------------------------------------------------------------------- */

static int32_t dot(bool wide, int less, const unsigned char *panel, int r, const unsigned char *q)
{
    int32_t sum = 0;
    for (int i = 0; i < HN_IM_BLOCK; i++) {
        int16_t code = panel[(i / 4 * HN_IM_ROWS + r) * 4 + i % 4], x = (int8_t)q[i];
        if (wide) {
            memcpy(&code, panel + ((i / 2 * HN_IM_ROWS + r) * 2 + i % 2) * 2, 2);
            memcpy(&x, q + 2 * i, 2);
        }
        sum += (code - less) * x;
    }
    return sum;
}

static void tile(bool wide, struct hn_im_kind kind, int nt, const struct hn_im_tokens *x,
                 int64_t k0, int64_t depth, const unsigned char *panel, float *y, int64_t ldy,
                 bool add)
{
    const int size = wide ? HN_IM_BLOCK_16 : HN_IM_BLOCK_8, width = wide ? 2 : 1;
    const int less = !wide && kind.whole == HN_IM_SIGNED ? 128 : 0;
    for (int t = 0; t < nt; t++) {
        for (int r = 0; r < HN_IM_ROWS; r++) {
            float total = add ? y[t * ldy + r] : 0.0f;
            for (int64_t b = 0; b < depth / HN_IM_BLOCK; b++) {
                const unsigned char *at = panel + b * size;
                const float *scales = (const float *)(const void *)(at + size - HN_IM_SCALES);
                int64_t block = k0 / HN_IM_BLOCK + b;
                const unsigned char *q = x->q + (t * x->ld + block * HN_IM_BLOCK) * width;
                float scale = scales[r] * x->scale[t * x->ldb + block];
                total = fmaf(scale, (float)dot(wide, less, at, r, q), total);
                if (kind.biased)
                    total = fmaf(scales[HN_IM_ROWS + r], x->sum[t * x->ldb + block], total);
            }
            y[t * ldy + r] = total;
        }
    }
}

static void tile_8(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                   int64_t depth, const unsigned char *panel, float *y, int64_t ldy, bool add)
{
    tile(false, kind, nt, x, k0, depth, panel, y, ldy, add);
}

static void tile_16(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                    int64_t depth, const unsigned char *panel, float *y, int64_t ldy, bool add)
{
    tile(true, kind, nt, x, k0, depth, panel, y, ldy, add);
}

const struct hn_cpu_igemm hn_cpu_igemm_c = {
    .form = {[HN_IM_8] = {pack_8, panel_8, tile_8}, [HN_IM_16] = {pack_16, panel_16, tile_16}},
    .tokens = 4,
    .bytes = {true, true},
    .q6_k = true,
};
