/* ggml's "K" blocks of 256 weights, in eight groups of 32 (Q6_K: sixteen of 16) with scales of
 * their own inside one block:
 *
 *   Q4_K  d, dmin, 12 bytes of eight 6-bit (scale, min) pairs, 128 bytes of nibbles
 *   Q5_K  d, dmin, the same 12, 32 bytes of fifth bits, 128 bytes of nibbles
 *                                         w = (d * scale) * q - (dmin * min)
 *   Q6_K  128 bytes of nibbles, 64 of upper bit pairs, 16 int8 scales, d
 *                                         w = (d * scale) * (q - 32)
 *
 * Source: ggml-common.h, ggml-quants.c (dequantize_row_q*_K) and gguf.quants. */
#include "quant/codec.h"

enum { BLOCK = 256, GROUP = 32 };

/* The 6-bit scale and min of group j of 8. */
static void scale_min(const unsigned char *s, int j, float *scale, float *min)
{
    if (j < 4) {
        *scale = (float)(s[j] & 63);
        *min = (float)(s[j + 4] & 63);
    } else {
        *scale = (float)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *min = (float)((s[j + 4] >> 4) | (s[j] >> 6) << 4);
    }
}

void hn_decode_q4_k(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    for (int64_t end = col + n; col < end; col += GROUP, out += GROUP) {
        const unsigned char *b = row + col / BLOCK * 144;
        int j = (int)(col % BLOCK / GROUP);
        const unsigned char *codes = b + 16 + j / 2 * 32;
        float d = hn_dtype_load(HN_F16, b, 0), dmin = hn_dtype_load(HN_F16, b, 1), scale, min;
        scale_min(b + 4, j, &scale, &min);
        d *= scale;
        dmin *= min;
        for (int l = 0; l < GROUP; l++)
            out[l] = d * (float)(codes[l] >> j % 2 * 4 & 15) - dmin;
    }
}

void hn_decode_q5_k(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    for (int64_t end = col + n; col < end; col += GROUP, out += GROUP) {
        const unsigned char *b = row + col / BLOCK * 176, *high = b + 16;
        int j = (int)(col % BLOCK / GROUP);
        const unsigned char *codes = b + 48 + j / 2 * 32;
        float d = hn_dtype_load(HN_F16, b, 0), dmin = hn_dtype_load(HN_F16, b, 1), scale, min;
        scale_min(b + 4, j, &scale, &min);
        d *= scale;
        dmin *= min;
        for (int l = 0; l < GROUP; l++) {
            int q = (codes[l] >> j % 2 * 4 & 15) | (high[l] >> j & 1) << 4;
            out[l] = d * (float)q - dmin;
        }
    }
}

void hn_decode_q6_k(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    for (int64_t end = col + n; col < end; col += GROUP, out += GROUP) {
        const unsigned char *b = row + col / BLOCK * 210;
        int half = (int)(col % BLOCK / 128), k = (int)(col % 128 / GROUP);
        const unsigned char *low = b + half * 64 + k % 2 * 32, *high = b + 128 + half * 32;
        const unsigned char *scales = b + 192 + half * 8 + 2 * k;
        float d = hn_dtype_load(HN_F16, b + 208, 0);
        for (int l = 0; l < GROUP; l++) {
            int q = (low[l] >> k / 2 * 4 & 15) | (high[l] >> 2 * k & 3) << 4;
            out[l] = d * (float)(signed char)scales[l / 16] * (float)(q - 32);
        }
    }
}
