/* bitsandbytes' weights, as bitsandbytes 0.50 decodes them on the CPU. */
#include "quant/codec.h"

/* Blocks (or blocks of blocks) that n things need. */
static int64_t blocks_of(int64_t n, int64_t block)
{
    return n / block + (n % block != 0);
}

static float absmax(const struct hn_bnb4 *b, int64_t i)
{
    if (!b->nested_map)
        return hn_dtype_load(HN_F32, b->absmax, (size_t)i);
    float v = hn_dtype_load(HN_F32, b->nested_map, b->absmax[i]);
    float scale = hn_dtype_load(HN_F32, b->nested_absmax, (size_t)(i / b->nested_block));
    return v * scale + b->nested_offset;
}

static float rounded(enum hn_dtype t, float v)
{
    if (t == HN_F16)
        return hn_f16_to_f32(hn_f16_from_f32(v));
    if (t == HN_BF16)
        return hn_bf16_to_f32(hn_bf16_from_f32(v));
    return v;
}

void hn_decode_bnb4(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const struct hn_bnb4 *b = m->bnb4;
    int64_t e = row * m->cols + col, end = e + n;
    while (e < end) {
        int64_t block = e / b->block, stop = HN_MIN(end, (block + 1) * b->block);
        float scale = absmax(b, block), values[16]; /* of the block's codes */
        for (size_t k = 0; k < 16; k++)
            values[k] = rounded(b->dtype, hn_dtype_load(HN_F32, b->map, k) * scale);
        for (; e < stop; e++)
            *out++ = values[m->data[e / 2] >> (e % 2 ? 0 : 4) & 15];
    }
}

/* functional.py, int8_vectorwise_dequant: code * scale, then times 1/127 in float32. */
void hn_decode_bnb8(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = m->data + (size_t)row * m->row_size + (size_t)col;
    float scale = hn_dtype_load(HN_F32, m->scales, (size_t)row);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(signed char)at[i] * scale * 7.874015718698502e-3f;
}

size_t hn_bnb4_size(const struct hn_bnb4 *b, int64_t n)
{
    size_t blocks = (size_t)blocks_of(n, b->block), maps = 16 * sizeof(float);
    if (!b->nested_map)
        return maps + blocks * sizeof(float);
    return maps + 256 * sizeof(float) + blocks +
           (size_t)blocks_of((int64_t)blocks, b->nested_block) * sizeof(float);
}
