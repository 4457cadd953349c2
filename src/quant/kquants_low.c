/* ggml's "K" blocks of 256 weights of 2 and 3 bits, in sixteen groups of 16:
 *
 *   Q2_K  16 bytes of (4-bit scale low, 4-bit min high), 64 bytes of codes, d, dmin
 *                                         w = (d * scale) * q - (dmin * min)
 *   Q3_K  32 bytes of upper bits, 64 bytes of codes, 12 bytes of sixteen 6-bit scales, d
 *                                         w = (d * (scale - 32)) * (q - 4)
 *
 * Weights 128h + 32j + l of a block (h < 2, j < 4, l < 32) have bits 2j and 2j+1 of code byte
 * 32h + l, and bit 4h + j of upper byte l.  Source: gguf.quants (Q2_K, Q3_K), ggml-common.h. */
#include "quant/codec.h"

enum { BLOCK = 256, HALF = 128, STEP = 32, GROUP = 16 };

void hn_decode_q2_k(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    for (int64_t end = col + n; col < end; col += STEP, out += STEP) {
        const unsigned char *b = row + col / BLOCK * 84;
        int half = (int)(col % BLOCK / HALF), j = (int)(col % HALF / STEP);
        const unsigned char *codes = b + 16 + half * 32;
        float d = hn_dtype_load(HN_F16, b, 40), dmin = hn_dtype_load(HN_F16, b, 41);
        for (int k = 0; k < 2; k++) {
            unsigned both = b[half * 8 + j * 2 + k];
            float scale = d * (float)(both & 15), min = dmin * (float)(both >> 4);
            for (int l = k * GROUP; l < (k + 1) * GROUP; l++)
                out[l] = scale * (float)(codes[l] >> 2 * j & 3) - min;
        }
    }
}

/* The 6-bit scale of group k: its low nibble in bytes 0-7, its upper two bits in bytes 8-11. */
static int scale_3(const unsigned char *s, int k)
{
    return (s[k % 8] >> k / 8 * 4 & 15) | (s[8 + k % 4] >> k / 4 * 2 & 3) << 4;
}

void hn_decode_q3_k(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    for (int64_t end = col + n; col < end; col += STEP, out += STEP) {
        const unsigned char *b = row + col / BLOCK * 110;
        int half = (int)(col % BLOCK / HALF), j = (int)(col % HALF / STEP);
        const unsigned char *codes = b + 32 + half * 32;
        float d = hn_dtype_load(HN_F16, b, 54);
        for (int k = 0; k < 2; k++) {
            float scale = d * (float)(scale_3(b + 96, half * 8 + j * 2 + k) - 32);
            for (int l = k * GROUP; l < (k + 1) * GROUP; l++) {
                int q = (codes[l] >> 2 * j & 3) | (b[l] >> (half * 4 + j) & 1) << 2;
                out[l] = scale * (float)(q - 4);
            }
        }
    }
}
