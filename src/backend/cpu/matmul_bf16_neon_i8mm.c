/* The product of the bf16 class with BFMMLA: both operands rounded once to bfloat16; two rows and
 * two columns meet four steps of depth in one instruction.  It adds products in pairs, rounds to
 * odd (off by less than 2^-23 of each sum, but the sums are half as many) and takes subnormal
 * operands and sums for 0 (Arm ARM, BFDotAdd), which no bound of ours sees.
 *
 *   packed tokens, per tile: per step of 4 depth, per pair of rows [2 rows][4 depth] bf16
 *   settled panel:           per 8 columns, per step of 4 depth, per pair [2 columns][4 depth] bf16
 */
#include "backend/cpu/codes_neon.h"
#include "backend/cpu/matmul.h"

#ifndef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
const struct hn_mm_kernel hn_mm_kernel_bf16_neon = {0};
#else

enum { MR = 8, NR = 16, STEP = 4, PAIRS = MR / 2, SIDE = 8, COL_PAIRS = SIDE / 2 };

/* Two times four numbers, rounded to nearest even. */
INLINE bfloat16x8_t narrow(float32x4_t first, float32x4_t second)
{
    return vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(first), second);
}

INLINE void put(float *at, bfloat16x8_t v)
{
    vst1q_bf16((bfloat16_t *)(void *)at, v);
}

INLINE bfloat16x8_t get(const float *at)
{
    return vld1q_bf16((const bfloat16_t *)(const void *)at);
}

static void pack_bf16_pairs(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    for (int64_t k = 0; k < depth; k += STEP) {
        size_t size = (size_t)HN_MIN(STEP, depth - k) * sizeof *x;
        for (int r = 0; r < rows; r += 2, a += 4) { /* eight halves */
            float pair[2][STEP] = {{0}};
            for (int i = 0; i < 2 && r + i < rows; i++)
                memcpy(pair[i], x + (r + i) * ldx + k, size);
            put(a, narrow(vld1q_f32(pair[0]), vld1q_f32(pair[1])));
        }
    }
}

static void settle_bf16_pairs(int64_t depth, const float *panel, float *settled)
{
    for (int side = 0; side < NR; side += SIDE) {
        for (int64_t k = 0; k < depth; k += STEP) {
            for (int j = side; j < side + SIDE; j += 4, settled += 8) {
                float32x4_t r[STEP]; /* depth, then columns */
#pragma GCC unroll 4
                for (int i = 0; i < STEP; i++)
                    r[i] = k + i < depth ? vld1q_f32(panel + (k + i) * NR + j) : vdupq_n_f32(0);
                float32x4x2_t p = vtrnq_f32(r[0], r[1]), q = vtrnq_f32(r[2], r[3]);
                put(settled, narrow(vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0])),
                                    vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1]))));
                put(settled + 4,
                    narrow(vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0])),
                           vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1]))));
            }
        }
    }
}

/* c (= or +=) the first rows and cols of the sums, each of 2 rows and 2 columns. */
INLINE void put_sums(int rows, float32x4_t s[PAIRS][COL_PAIRS], const int pairs, float *c,
                     int64_t ldc, int cols, bool add)
{
    float row[SIDE];
#pragma GCC unroll 8
    for (int i = 0; i < 2 * pairs; i++, c += ldc) {
        if (i >= rows)
            return;
#pragma GCC unroll 2
        for (int v = 0; v < SIDE / 4; v++) {
            float64x2_t a = vreinterpretq_f64_f32(s[i / 2][2 * v]);
            float64x2_t b = vreinterpretq_f64_f32(s[i / 2][2 * v + 1]);
            float32x4_t sum = vreinterpretq_f32_f64(i % 2 ? vtrn2q_f64(a, b) : vtrn1q_f64(a, b));
            if (cols < SIDE)
                vst1q_f32(row + 4 * v, sum);
            else
                vst1q_f32(c + 4 * v, add ? vaddq_f32(sum, vld1q_f32(c + 4 * v)) : sum);
        }
        for (int j = 0; cols < SIDE && j < cols; j++)
            c[j] = add ? c[j] + row[j] : row[j];
    }
}

INLINE void tile_pairs(const int pairs, int rows, int64_t depth, const float *a, const float *b,
                       float *c, int64_t ldc, int cols, bool add)
{
    int64_t n_steps = (depth + STEP - 1) / STEP;
    for (int side = 0; side < NR && side < cols; side += SIDE) {
        float32x4_t s[PAIRS][COL_PAIRS];
        const float *at = a;
#pragma GCC unroll 16
        for (int i = 0; i < pairs * COL_PAIRS; i++)
            s[i / COL_PAIRS][i % COL_PAIRS] = vdupq_n_f32(0);
        for (int64_t k = 0; k < n_steps; k++, at += 4 * pairs, b += 4 * COL_PAIRS) {
            bfloat16x8_t w[COL_PAIRS];
#pragma GCC unroll 4
            for (int j = 0; j < COL_PAIRS; j++)
                w[j] = get(b + 4 * j);
#pragma GCC unroll 4
            for (int i = 0; i < pairs; i++)
#pragma GCC unroll 4
                for (int j = 0; j < COL_PAIRS; j++)
                    s[i][j] = vbfmmlaq_f32(s[i][j], get(at + 4 * i), w[j]);
        }
        put_sums(rows, s, pairs, c + side, ldc, cols - side, add);
    }
}

static void tile_bf16_8x16_neon(int rows, int64_t depth, const float *a, const float *b, float *c,
                                int64_t ldc, int cols, bool add)
{
    switch ((rows + 1) / 2) {
    case 1:
        tile_pairs(1, rows, depth, a, b, c, ldc, cols, add);
        break;
    case 2:
        tile_pairs(2, rows, depth, a, b, c, ldc, cols, add);
        break;
    case 3:
        tile_pairs(3, rows, depth, a, b, c, ldc, cols, add);
        break;
    default:
        tile_pairs(4, rows, depth, a, b, c, ldc, cols, add);
    }
}

const struct hn_mm_kernel hn_mm_kernel_bf16_neon = {
    .mr = MR,
    .nr = NR,
    .class = HN_CLASS_BF16,
    .least_tokens = 16,
    .row_grain = 2,
    .depth_grain = STEP,
    .element_size = 2,
    .tile = tile_bf16_8x16_neon,
    .pack = pack_bf16_pairs,
    .settle = settle_bf16_pairs,
};

#endif
