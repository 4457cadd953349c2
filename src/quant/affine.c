#include "quant/affine.h"

#include <math.h>
#include <string.h>

/* Scale and bias of one group: the edge of the larger magnitude is met exactly, and the scale is
 * negative when that is the maximum. */
static void fit(const float *w, int n, float n_bins, float *scale, float *bias)
{
    float min = w[0], max = w[0];
    for (int i = 1; i < n; i++) {
        min = w[i] < min ? w[i] : min;
        max = w[i] > max ? w[i] : max;
    }
    float s = (max - min) / n_bins, edge = max;
    if (s < 1e-7f)
        s = 1e-7f;
    if (fabsf(min) > fabsf(max))
        edge = min;
    else
        s = -s;
    float q0 = rintf(edge / s);
    *bias = 0;
    if (q0 != 0) {
        s = edge / q0;
        *bias = edge;
    }
    *scale = s;
}

void hn_affine_quantize(const float *row, int64_t cols, int bits, int group, enum hn_dtype t,
                        unsigned char *codes, unsigned char *scales, unsigned char *biases)
{
    float n_bins = (float)((1 << bits) - 1);
    uint64_t word = 0;
    int held = 0;
    for (int64_t g = 0; g < cols / group; g++) {
        const float *w = row + g * group;
        float scale, bias;
        fit(w, group, n_bins, &scale, &bias);
        for (int i = 0; i < group; i++) {
            float q = rintf((w[i] - bias) / scale);
            q = q > 0 ? q : 0; /* NaN too */
            word |= (uint64_t)(q < n_bins ? q : n_bins) << held;
            for (held += bits; held >= 8; held -= 8, word >>= 8)
                *codes++ = (unsigned char)word;
        }
        hn_dtype_store(t, scales, (size_t)g, scale);
        hn_dtype_store(t, biases, (size_t)g, bias);
    }
}
