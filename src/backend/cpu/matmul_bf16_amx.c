/* The product of the bf16 class on AMX tiles: both operands rounded once to bfloat16, one tile
 * product, float32 sums.  Tiles take subnormal operands and leave subnormal sums as 0 (Intel SDM,
 * TDPBF16PS): off by less than 2^-126 of the other operand, which no bound of ours sees.
 *
 *   packed tokens, per 16 rows: per step [16 rows][32 depth] bf16
 *   settled panel, per step of 32 depth: per 16 columns [16 pairs of depth][16 columns][2] bf16 */
#include "backend/cpu/amx_tiles.h"

#if !defined(__AMX_BF16__) || !defined(__AVX512BF16__)
const struct hn_mm_kernel hn_mm_kernel_bf16_amx = {0};
#else

static void pack_bf16_rows(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    pack_terms(1, rows, x, ldx, depth, a);
}

static void settle_bf16_tiles(int64_t depth, const float *panel, float *settled)
{
    for (int64_t k = 0; k < (depth + STEP - 1) / STEP * STEP; k += 2) {
        __mmask16 first = k < depth ? 0xffff : 0, second = k + 1 < depth ? 0xffff : 0;
        for (int j = 0; j < 2; j++) {
            const float *from = panel + k * NR + j * SIDE;
            float *to = settled + (k / STEP * 2 + j) * TILE_FLOATS + k % STEP / 2 * SIDE;
            _mm512_storeu_si512(to, interleave_bf16(_mm512_maskz_loadu_ps(first, from),
                                                    _mm512_maskz_loadu_ps(second, from + NR)));
        }
    }
}

/* Sums of 32 rows, or of the first 16. */
INLINE void steps(const bool both, int64_t n_steps, const float *a, const float *b)
{
    const float *a1 = a + n_steps * TILE_FLOATS;
    for (int64_t k = 0; k < n_steps; k++, a += TILE_FLOATS, a1 += TILE_FLOATS) {
        _tile_loadd(6, a, 64);
        _tile_loadd(4, b, 64);
        _tile_dpbf16ps(0, 6, 4);
        _tile_loadd(5, b + TILE_FLOATS, 64);
        _tile_dpbf16ps(1, 6, 5);
        if (both) {
            _tile_loadd(7, a1, 64);
            _tile_dpbf16ps(2, 7, 4);
            _tile_dpbf16ps(3, 7, 5);
        }
        b += 2 * TILE_FLOATS;
    }
}

static void sum_up(bool both, int64_t n_steps, const float *a, const float *b)
{
    if (both)
        steps(true, n_steps, a, b);
    else
        steps(false, n_steps, a, b);
}

static void tile_bf16_32x32(int rows, int64_t depth, const float *a, const float *b, float *c,
                            int64_t ldc, int cols, bool add)
{
    tile_32x32(sum_up, rows, depth, a, b, c, ldc, cols, add);
}

const struct hn_mm_kernel hn_mm_kernel_bf16_amx = {
    .mr = MR,
    .nr = NR,
    .class = HN_CLASS_BF16,
    .least_tokens = 16,
    .row_grain = SIDE,
    .depth_grain = STEP,
    .element_size = 2,
    .tile = tile_bf16_32x32,
    .pack = pack_bf16_rows,
    .settle = settle_bf16_tiles,
    .enter = tiles_enter,
    .leave = tiles_leave,
};

#endif
