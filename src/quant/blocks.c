/* ggml's blocks of 32 weights along a row: a float16 scale (and minimum), then the codes.
 *
 *   Q4_0  d, 16 bytes   w = (q - 8) * d          byte j: low nibble is weight j, high is j + 16
 *   Q4_1  d, m, 16      w = q * d + m            the same order
 *   Q5_0  d, 4, 16      w = (q - 16) * d         bit i of the 4 bytes is the fifth bit of weight i
 *   Q5_1  d, m, 4, 16   w = q * d + m
 *   Q8_0  d, 32 int8    w = q * d
 *
 * Source: ggml-common.h and gguf.quants, against which the goldens were made. */
#include "quant/codec.h"

enum { BLOCK = 32 };

void hn_decode_q4_0(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / BLOCK * 18;
    for (; n > 0; n -= BLOCK, at += 18, out += BLOCK) {
        float d = hn_dtype_load(HN_F16, at, 0);
        for (int j = 0; j < BLOCK / 2; j++) {
            out[j] = (float)((at[2 + j] & 15) - 8) * d;
            out[j + BLOCK / 2] = (float)((at[2 + j] >> 4) - 8) * d;
        }
    }
}

void hn_decode_q4_1(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / BLOCK * 20;
    for (; n > 0; n -= BLOCK, at += 20, out += BLOCK) {
        float d = hn_dtype_load(HN_F16, at, 0), m = hn_dtype_load(HN_F16, at, 1);
        for (int j = 0; j < BLOCK / 2; j++) {
            out[j] = (float)(at[4 + j] & 15) * d + m;
            out[j + BLOCK / 2] = (float)(at[4 + j] >> 4) * d + m;
        }
    }
}

/* The 32 fifth bits of a block: bit i belongs to weight i. */
static uint32_t fifth_bits(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

void hn_decode_q5_0(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / BLOCK * 22;
    for (; n > 0; n -= BLOCK, at += 22, out += BLOCK) {
        float d = hn_dtype_load(HN_F16, at, 0);
        uint32_t high = fifth_bits(at + 2);
        for (int j = 0; j < BLOCK / 2; j++) {
            int low = (at[6 + j] & 15) | (int)(high >> j & 1) << 4;
            int top = (at[6 + j] >> 4) | (int)(high >> (j + BLOCK / 2) & 1) << 4;
            out[j] = (float)(low - 16) * d;
            out[j + BLOCK / 2] = (float)(top - 16) * d;
        }
    }
}

void hn_decode_q5_1(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / BLOCK * 24;
    for (; n > 0; n -= BLOCK, at += 24, out += BLOCK) {
        float d = hn_dtype_load(HN_F16, at, 0), m = hn_dtype_load(HN_F16, at, 1);
        uint32_t high = fifth_bits(at + 4);
        for (int j = 0; j < BLOCK / 2; j++) {
            int low = (at[8 + j] & 15) | (int)(high >> j & 1) << 4;
            int top = (at[8 + j] >> 4) | (int)(high >> (j + BLOCK / 2) & 1) << 4;
            out[j] = (float)low * d + m;
            out[j + BLOCK / 2] = (float)top * d + m;
        }
    }
}

void hn_decode_q8_0(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / BLOCK * 34;
    for (; n > 0; n -= BLOCK, at += 34, out += BLOCK) {
        float d = hn_dtype_load(HN_F16, at, 0);
        for (int j = 0; j < BLOCK; j++)
            out[j] = (float)(signed char)at[2 + j] * d;
    }
}
