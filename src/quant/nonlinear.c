/* ggml's 4-bit blocks whose codes stand for the entries of a table:
 *
 *   IQ4_NL  32 weights: d, 16 bytes                         w = d * entry
 *   IQ4_XS  256 weights: d, eight upper bit pairs, eight low nibbles (6-bit scales of groups of
 * 32), 128 bytes                                       w = (d * (scale - 32)) * entry MXFP4   32
 * weights: an exponent e, 16 bytes             w = 2^(e - 128) * entry
 *
 * In each group of 32 the low nibble of byte j is weight j, the high one weight j + 16.
 * Source: gguf.quants (IQ4_NL, IQ4_XS, MXFP4), ggml-common.h. */
#include "quant/codec.h"

#include <math.h>

enum { GROUP = 32, BLOCK = 256 };

static const float uneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                 1,    13,   25,  38,  53,  69,  89,  113};
static const float fp4_doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static void group(const float entry[16], const unsigned char *codes, float d, float *out)
{
    for (int j = 0; j < GROUP / 2; j++) {
        out[j] = d * entry[codes[j] & 15];
        out[j + GROUP / 2] = d * entry[codes[j] >> 4];
    }
}

void hn_decode_iq4_nl(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / GROUP * 18;
    for (; n > 0; n -= GROUP, at += 18, out += GROUP)
        group(uneven, at + 2, hn_dtype_load(HN_F16, at, 0), out);
}

void hn_decode_iq4_xs(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    for (int64_t end = col + n; col < end; col += GROUP, out += GROUP) {
        const unsigned char *b = row + col / BLOCK * 136;
        int k = (int)(col % BLOCK / GROUP);
        unsigned upper = b[2 + k / 4] >> k % 4 * 2 & 3, low = b[4 + k / 2] >> k % 2 * 4 & 15;
        float d = hn_dtype_load(HN_F16, b, 0) * (float)((int)(low | upper << 4) - 32);
        group(uneven, b + 8 + k * 16, d, out);
    }
}

void hn_decode_mxfp4(const unsigned char *row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row + col / GROUP * 17;
    for (; n > 0; n -= GROUP, at += 17, out += GROUP)
        group(fp4_doubled, at + 1, ldexpf(1.0f, at[0] - 128), out);
}
