/* The encoders.  Source of the blocks: ggml-quants.c (quantize_row_*_ref), whose arithmetic is
 * float32 throughout, in this order. */
#include "quant/encode_row.h"
#include "quant/affine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 32 };

bool hn_storage_writable(enum hn_layout layout)
{
    switch (layout) {
    case HN_LAYOUT_F32:
    case HN_LAYOUT_F16:
    case HN_LAYOUT_BF16:
    case HN_LAYOUT_AFFINE:
    case HN_LAYOUT_Q4_0:
    case HN_LAYOUT_Q4_1:
    case HN_LAYOUT_Q5_0:
    case HN_LAYOUT_Q5_1:
    case HN_LAYOUT_Q8_0:
        return true;
    default:
        return false;
    }
}

bool hn_storage_fits(const struct hn_storage *s, int64_t cols)
{
    int unit = s->layout == HN_LAYOUT_AFFINE ? s->group : hn_layout_block(s->layout);
    return cols % unit == 0;
}

const char *hn_storage_name(const struct hn_storage *s, char out[48])
{
    if (s->layout == HN_LAYOUT_AFFINE)
        snprintf(out, 48, "affine %d-bit, groups of %d", s->bits, s->group);
    else
        snprintf(out, 48, "%s", hn_layout_name(s->layout));
    return out;
}

struct hn_storage hn_storage_of(const struct hn_matrix *m)
{
    if (m->layout != HN_LAYOUT_AFFINE)
        return (struct hn_storage){.layout = m->layout};
    return (struct hn_storage){m->layout, m->bits, m->group, m->scale_dtype};
}

bool hn_storage_same(const struct hn_storage *a, const struct hn_storage *b)
{
    if (a->layout != b->layout || a->layout != HN_LAYOUT_AFFINE)
        return a->layout == b->layout;
    return a->bits == b->bits && a->group == b->group && a->scale_dtype == b->scale_dtype;
}

static void put_half(unsigned char *at, float v)
{
    hn_dtype_store(HN_F16, at, 0, v);
}

/* 1 / d, or 0 where that is none: then d is 0 as float16 too. */
static float inverse_of(float d)
{
    float inverse = d != 0 ? 1.0f / d : 0;
    return isfinite(inverse) ? inverse : 0;
}

/* Two halves of a block of codes below 16: byte j holds weight j low and weight j + 16 high. */
static void put_nibbles(unsigned char *at, const uint8_t codes[BLOCK])
{
    for (int j = 0; j < BLOCK / 2; j++)
        at[j] = (unsigned char)((codes[j] & 15) | (codes[j + BLOCK / 2] & 15) << 4);
}

/* Codes below 32: the fifth bits as one little-endian word, then the nibbles. */
static void put_fives(unsigned char *at, const uint8_t codes[BLOCK])
{
    uint32_t high = 0;
    for (int j = 0; j < BLOCK; j++)
        high |= (uint32_t)(codes[j] >> 4) << j;
    for (int k = 0; k < 4; k++)
        at[k] = (unsigned char)(high >> 8 * k);
    put_nibbles(at + 4, codes);
}

/* floor(v), at most top; v is not negative but for rounding. */
static uint8_t code_of(float v, int top)
{
    int q = (int)v;
    return (uint8_t)(q < top ? q : top);
}

/* Q4_0 and Q5_0: the value of the largest magnitude lies at the lowest code. */
static float symmetric(const float *x, int half, uint8_t codes[BLOCK])
{
    float largest = 0, edge = 0;
    for (int j = 0; j < BLOCK; j++)
        if (fabsf(x[j]) > largest) {
            largest = fabsf(x[j]);
            edge = x[j];
        }
    float d = edge / (float)-half, inverse = inverse_of(d);
    for (int j = 0; j < BLOCK; j++)
        codes[j] = code_of(x[j] * inverse + ((float)half + 0.5f), 2 * half - 1);
    return d;
}

/* Q4_1 and Q5_1: from the least value to the greatest in top steps. */
static float spread(const float *x, int top, uint8_t codes[BLOCK], float *least)
{
    float min = x[0], max = x[0];
    for (int j = 1; j < BLOCK; j++) {
        min = x[j] < min ? x[j] : min;
        max = x[j] > max ? x[j] : max;
    }
    float d = (max - min) / (float)top, inverse = inverse_of(d);
    for (int j = 0; j < BLOCK; j++)
        codes[j] = code_of((x[j] - min) * inverse + 0.5f, top);
    *least = min;
    return d;
}

static float bytes_of(const float *x, unsigned char *at)
{
    float largest = 0;
    for (int j = 0; j < BLOCK; j++)
        largest = fabsf(x[j]) > largest ? fabsf(x[j]) : largest;
    float d = largest / 127, inverse = inverse_of(d);
    for (int j = 0; j < BLOCK; j++)
        at[j] = (unsigned char)(signed char)roundf(x[j] * inverse);
    return d;
}

/* One block; false when its scale is too large for float16. */
static bool encode_block(enum hn_layout layout, const float *x, unsigned char *at)
{
    uint8_t codes[BLOCK];
    float d = 0, least = 0;
    switch (layout) {
    case HN_LAYOUT_Q4_0:
        d = symmetric(x, 8, codes);
        put_nibbles(at + 2, codes);
        break;
    case HN_LAYOUT_Q5_0:
        d = symmetric(x, 16, codes);
        put_fives(at + 2, codes);
        break;
    case HN_LAYOUT_Q4_1:
        d = spread(x, 15, codes, &least);
        put_half(at + 2, least);
        put_nibbles(at + 4, codes);
        break;
    case HN_LAYOUT_Q5_1:
        d = spread(x, 31, codes, &least);
        put_half(at + 2, least);
        put_fives(at + 4, codes);
        break;
    default:
        d = bytes_of(x, at + 2);
    }
    put_half(at, d);
    return fabsf(d) < 65520 && fabsf(least) < 65520;
}

/* Plain elements keep infinities and NaN, but make no new ones. */
static enum hn_encode_result encode_plain(enum hn_dtype t, const float *row, int64_t cols,
                                          unsigned char *data)
{
    bool lost = false;
    for (int64_t i = 0; i < cols; i++) {
        hn_dtype_store(t, data, (size_t)i, row[i]);
        lost |= t != HN_F32 && isinf(hn_dtype_load(t, data, (size_t)i)) && !isinf(row[i]);
    }
    return lost ? HN_ENCODE_TOO_LARGE : HN_ENCODED;
}

static enum hn_encode_result encode_affine(const struct hn_storage *s, float *row, int64_t cols,
                                           struct hn_encoded to)
{
    for (int64_t i = 0; i < cols && s->scale_dtype != HN_F32; i++) {
        unsigned char half[2];
        hn_dtype_store(s->scale_dtype, half, 0, row[i]);
        row[i] = hn_dtype_load(s->scale_dtype, half, 0);
    }
    if (!hn_all_finite(row, cols))
        return HN_ENCODE_TOO_LARGE;
    hn_affine_quantize(row, cols, s->bits, s->group, s->scale_dtype, to.data, to.scales, to.biases);
    for (int64_t g = 0; g < cols / s->group; g++)
        if (!isfinite(hn_dtype_load(s->scale_dtype, to.scales, (size_t)g)))
            return HN_ENCODE_TOO_LARGE;
    return HN_ENCODED;
}

enum hn_encode_result hn_encode_row(const struct hn_storage *s, float *row, int64_t cols,
                                    struct hn_encoded to)
{
    if (s->layout == HN_LAYOUT_F32 || s->layout == HN_LAYOUT_F16 || s->layout == HN_LAYOUT_BF16)
        return encode_plain(s->layout == HN_LAYOUT_F32   ? HN_F32
                            : s->layout == HN_LAYOUT_F16 ? HN_F16
                                                         : HN_BF16,
                            row, cols, to.data);
    if (!hn_all_finite(row, cols))
        return HN_ENCODE_NOT_FINITE;
    if (s->layout == HN_LAYOUT_AFFINE)
        return encode_affine(s, row, cols, to);
    size_t block = hn_layout_row_size(s->layout, BLOCK, 0);
    bool good = true;
    for (int64_t i = 0; i < cols; i += BLOCK)
        good &= encode_block(s->layout, row + i, to.data + (size_t)(i / BLOCK) * block);
    return good ? HN_ENCODED : HN_ENCODE_TOO_LARGE;
}
