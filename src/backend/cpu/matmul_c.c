/* The pieces of the matrix product in plain C: what every other level must equal. */
#include "backend/cpu/matmul.h"

#include "base/rng.h"

#include <math.h>

enum { MR = 4, NR = 16 };

static void tile_c(int rows, int64_t depth, const float *a, const float *b, float *c, int64_t ldc,
                   int cols, bool add)
{
    float sum[MR][NR] = {{0}};
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < NR; j++)
                sum[i][j] += a[k * rows + i] * b[k * NR + j];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            c[i * ldc + j] = add ? c[i * ldc + j] + sum[i][j] : sum[i][j];
}

static void pack_c(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < rows; i++)
            a[k * rows + i] = x[i * ldx + k];
}

static void transpose_c(int cols, const float *w, int64_t ldw, int64_t depth, float *panel)
{
    for (int64_t k = 0; k < depth; k++)
        for (int j = 0; j < NR; j++)
            panel[k * NR + j] = j < cols ? w[j * ldw + k] : 0.0f;
}

static void spread_c(const float *w, int64_t n, int64_t stride, float *panel)
{
    for (int64_t j = 0; j < (n + NR - 1) / NR * NR; j++)
        panel[j / NR * stride + j % NR] = j < n ? w[j] : 0.0f;
}

static void dots_c(const float *x, int64_t ldx, int nt, const float *w, int64_t ldw, int n,
                   int64_t depth, float *y, int64_t ldy)
{
    for (int t = 0; t < nt; t++) {
        for (int i = 0; i < n; i++) {
            float sum = 0.0f;
            for (int64_t k = 0; k < depth; k++)
                sum += x[t * ldx + k] * w[i * ldw + k];
            y[t * ldy + i] = sum;
        }
    }
}

static void dropout_mask_c(const uint32_t key[2], uint32_t t, uint32_t module, uint32_t step,
                           uint32_t threshold, int64_t n, unsigned char *mask)
{
    for (int64_t c = 0; c < n; c += 8) {
        uint32_t counter[4] = {(uint32_t)(c / 8), t, module, step}, word[4];
        unsigned bits = 0;
        hn_philox(counter, key, word);
        for (int e = 0; e < 8; e++) {
            uint32_t u = word[e / 2] >> (e % 2 * 16) & 0xffff;
            bits |= (unsigned)(u >= threshold) << e;
        }
        mask[c / 8] = (unsigned char)bits;
    }
}

static void masked_c(const unsigned char *mask, float scale, const float *x, int64_t n, float *y,
                     bool add)
{
    for (int64_t c = 0; c < n; c++) {
        float kept = mask[c / 8] >> (c % 8) & 1 ? x[c] * scale : 0.0f;
        y[c] = add ? y[c] + kept : kept;
    }
}

static int64_t softmax_step_c(float *x, int64_t n, float *max, double *sum)
{
    int64_t best = -1;
    float old = *max, top = old, s = 0.0f;
    for (int64_t i = 0; i < n; i++) {
        if (x[i] > top) {
            top = x[i];
            best = i;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - top);
        x[i] = x[i] < 0x1p-90f ? 0.0f : x[i];
        s += x[i];
    }
    *sum = best < 0 ? *sum + s : *sum * exp((double)old - top) + s;
    *max = top;
    return best;
}

const struct hn_cpu_matmul hn_cpu_matmul_c = {
    .plain = {.mr = MR,
              .nr = NR,
              .row_grain = 1,
              .depth_grain = 1,
              .element_size = 4,
              .tile = tile_c,
              .pack = pack_c,
              .transpose = transpose_c,
              .spread = spread_c},
    .decode = {[HN_LAYOUT_F32] = hn_matrix_decode,
               [HN_LAYOUT_F16] = hn_matrix_decode,
               [HN_LAYOUT_BF16] = hn_matrix_decode,
               [HN_LAYOUT_AFFINE] = hn_matrix_decode,
               [HN_LAYOUT_Q4_0] = hn_matrix_decode,
               [HN_LAYOUT_Q4_1] = hn_matrix_decode,
               [HN_LAYOUT_Q8_0] = hn_matrix_decode},
    .dots = dots_c,
    .dropout_mask = dropout_mask_c,
    .masked = masked_c,
    .softmax_step = softmax_step_c,
};
