/* The product of the class bf16 in plain C: every operand rounded to the nearest bfloat16 (ties to
 * even), then multiplied and summed as float32.  The specification of the kernels that have
 * instructions for it; it is slower than the exact product, so no level but c uses it.
 *
 *   packed tokens, per tile: [depth][rows] float32 that are bfloat16
 *   settled panel:           [depth][16]   likewise */
#include "backend/cpu/matmul.h"

enum { MR = 4, NR = 16 };

static float rounded(float v)
{
    return hn_bf16_to_f32(hn_bf16_from_f32(v));
}

static void pack_bf16_c(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    for (int64_t k = 0; k < depth; k++)
        for (int i = 0; i < rows; i++)
            a[k * rows + i] = rounded(x[i * ldx + k]);
}

static void settle_bf16_c(int64_t depth, const float *panel, float *settled)
{
    for (int64_t i = 0; i < depth * NR; i++)
        settled[i] = rounded(panel[i]);
}

static void tile_bf16_c(int rows, int64_t depth, const float *a, const float *b, float *c,
                        int64_t ldc, int cols, bool add)
{
    hn_cpu_matmul_c.plain.tile(rows, depth, a, b, c, ldc, cols, add);
}

const struct hn_mm_kernel hn_mm_kernel_bf16_c = {
    .mr = MR,
    .nr = NR,
    .class = HN_CLASS_BF16,
    .row_grain = 1,
    .depth_grain = 1,
    .element_size = 4,
    .tile = tile_bf16_c,
    .pack = pack_bf16_c,
    .settle = settle_bf16_c,
};
