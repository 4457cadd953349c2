/* The integer products with SMMLA and USMMLA: a vector of a panel is eight columns of two rows, and
 * meets eight columns of two tokens. */
#include "backend/cpu/igemm_neon.h"

#ifndef __ARM_FEATURE_MATMUL_INT8
const struct hn_cpu_igemm hn_cpu_igemm_neon_i8mm = {.tokens = 0};
#else

enum { PAIRS = TOKENS / 2, ROW_PAIRS = PANEL_ROWS / 2 };

/* Vector 8j + p: columns 8j to 8j+7 of rows 2p and 2p+1. */
INLINE void put_rows(const uint8x16x2_t rows[4], int g, unsigned char *panel)
{
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        unsigned char *to = panel + (2 * g + i) * VECTOR;
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++, to += 16 * VECTOR) {
            uint64x2_t a = vreinterpretq_u64_u8(rows[2 * i].val[h]);
            uint64x2_t b = vreinterpretq_u64_u8(rows[2 * i + 1].val[h]);
            vst1q_u8(to, vreinterpretq_u8_u64(vtrn1q_u64(a, b)));
            vst1q_u8(to + 8 * VECTOR, vreinterpretq_u8_u64(vtrn2q_u64(a, b)));
        }
    }
}

/* sums[p][r] += tokens 2p and 2p+1 times rows 2r and 2r+1, as 2 x 2; of the last of an odd number
 * of tokens both are the same.  lower: the lower bytes of tokens of 16 bits, which are unsigned. */
INLINE void add_bytes(const bool lower, const int nt, const unsigned char *panel,
                      const unsigned char *q, int64_t ld, int32x4_t sums[PAIRS][ROW_PAIRS])
{
#pragma GCC unroll 4
    for (int k = 0; k < HN_IM_BLOCK; k += 8, panel += 8 * VECTOR) {
        uint8x16_t x[PAIRS];
#pragma GCC unroll 2
        for (int p = 0; p < (nt + 1) / 2; p++)
            x[p] = vcombine_u8(vld1_u8(q + 2 * p * ld + k),
                               vld1_u8(q + HN_MIN(2 * p + 1, nt - 1) * ld + k));
#pragma GCC unroll 4
        for (int r = 0; r < ROW_PAIRS; r++) {
            int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(panel + r * VECTOR));
#pragma GCC unroll 2
            for (int p = 0; p < (nt + 1) / 2; p++)
                sums[p][r] = lower ? vusmmlaq_s32(sums[p][r], x[p], w)
                                   : vmmlaq_s32(sums[p][r], vreinterpretq_s8_u8(x[p]), w);
        }
    }
}

INLINE int32x4_t trn_64(const bool second, int32x4_t a, int32x4_t b)
{
    int64x2_t p = vreinterpretq_s64_s32(a), q = vreinterpretq_s64_s32(b);
    return vreinterpretq_s32_s64(second ? vtrn2q_s64(p, q) : vtrn1q_s64(p, q));
}

INLINE void add_block(const bool wide, const int nt, const unsigned char *panel, int first,
                      const unsigned char *q, int64_t ld, int32x4_t s[TOKENS][PANEL_ROWS / 4])
{
    int32x4_t sums[PAIRS][ROW_PAIRS];
    panel += first / 2 * VECTOR;
#pragma GCC unroll 8
    for (int i = 0; i < PAIRS * ROW_PAIRS; i++)
        sums[i / ROW_PAIRS][i % ROW_PAIRS] = vdupq_n_s32(0);
    add_bytes(false, nt, panel, q, ld, sums);
    if (wide) {
#pragma GCC unroll 8
        for (int i = 0; i < PAIRS * ROW_PAIRS; i++)
            sums[i / ROW_PAIRS][i % ROW_PAIRS] = vshlq_n_s32(sums[i / ROW_PAIRS][i % ROW_PAIRS], 8);
        add_bytes(true, nt, panel, q + HN_IM_BLOCK, ld, sums);
    }
    EACH_TOKEN(t)
    EACH_FOUR(v)
    s[t][v] = trn_64(t % 2, sums[t / 2][2 * v], sums[t / 2][2 * v + 1]);
}

TILE(tile_8, false)
TILE(tile_16, true)

const struct hn_cpu_igemm hn_cpu_igemm_neon_i8mm = {
    .form = {[HN_IM_8] = {pack_8, panel_any, tile_8}, [HN_IM_16] = {pack_16, panel_any, tile_16}},
    .tokens = TOKENS,
    .bytes = {true, true},
};

#endif
