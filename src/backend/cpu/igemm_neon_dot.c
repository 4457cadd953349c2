/* The integer products with SDOT and UDOT: a vector of a panel is four columns of four rows, and
 * meets four columns of a token. */
#include "backend/cpu/igemm_neon.h"

#ifndef __ARM_FEATURE_DOTPROD
const struct hn_cpu_igemm hn_cpu_igemm_neon_dot = {.tokens = 0};
#else

/* Vector 4j + g: columns 4j to 4j+3 of rows 4g to 4g+3. */
INLINE void put_rows(const uint8x16x2_t rows[4], int g, unsigned char *panel)
{
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++, panel += 16 * VECTOR) {
        uint32x4_t r[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            r[i] = vreinterpretq_u32_u8(rows[i].val[h]);
        uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(r[0], r[1]));
        uint64x2_t b = vreinterpretq_u64_u32(vtrn2q_u32(r[0], r[1]));
        uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(r[2], r[3]));
        uint64x2_t d = vreinterpretq_u64_u32(vtrn2q_u32(r[2], r[3]));
        vst1q_u8(panel + g * VECTOR, vreinterpretq_u8_u64(vtrn1q_u64(a, c)));
        vst1q_u8(panel + (4 + g) * VECTOR, vreinterpretq_u8_u64(vtrn1q_u64(b, d)));
        vst1q_u8(panel + (8 + g) * VECTOR, vreinterpretq_u8_u64(vtrn2q_u64(a, c)));
        vst1q_u8(panel + (12 + g) * VECTOR, vreinterpretq_u8_u64(vtrn2q_u64(b, d)));
    }
}

INLINE int32x4_t as_signed(uint32x4_t v)
{
    return vreinterpretq_s32_u32(v);
}

/* Four columns, at word j of the token's 16: a lane must be a constant to every compiler. */
#define ADD_WORD(dot, type, j)                                                                     \
    EACH_FOUR(v)                                                                                   \
    {                                                                                              \
        type w = vld1q_##type(panel + (4 * (j) + v) * VECTOR);                                     \
        EACH_TOKEN(t)                                                                              \
        s[t][v] = dot(s[t][v], w, x[t], j);                                                        \
    }
#define ADD_16(dot, type)                                                                          \
    do {                                                                                           \
        ADD_WORD(dot, type, 0)                                                                     \
        ADD_WORD(dot, type, 1)                                                                     \
        ADD_WORD(dot, type, 2)                                                                     \
        ADD_WORD(dot, type, 3)                                                                     \
    } while (0)

typedef int8x16_t signed_bytes;
typedef uint8x16_t unsigned_bytes;
#define vld1q_signed_bytes(at)   vreinterpretq_s8_u8(vld1q_u8(at))
#define vld1q_unsigned_bytes(at) vld1q_u8(at)
#define DOT_UNSIGNED(s, w, x, j)                                                                   \
    as_signed(vdotq_laneq_u32(vreinterpretq_u32_s32(s), w, vreinterpretq_u8_s8(x), j))

/* Columns h*16 to h*16+15; lower: the lower bytes of tokens of 16 bits, which are unsigned, and so
 * must the codes be. */
INLINE void add_half(const bool lower, const int nt, const unsigned char *panel,
                     const unsigned char *q, int64_t ld, int32x4_t s[TOKENS][PANEL_ROWS / 4])
{
    int8x16_t x[TOKENS];
    EACH_TOKEN(t)
    x[t] = vreinterpretq_s8_u8(vld1q_u8(q + t * ld));
    if (lower)
        ADD_16(DOT_UNSIGNED, unsigned_bytes);
    else
        ADD_16(vdotq_laneq_s32, signed_bytes);
}

INLINE void add_block(const bool wide, const int nt, const unsigned char *panel, int first,
                      const unsigned char *q, int64_t ld, int32x4_t s[TOKENS][PANEL_ROWS / 4])
{
    panel += first / 4 * VECTOR;
    EACH_TOKEN(t)
    EACH_FOUR(v)
    s[t][v] = vdupq_n_s32(0);
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++)
        add_half(false, nt, panel + 16 * h * VECTOR, q + 16 * h, ld, s);
    if (!wide)
        return;
    EACH_TOKEN(t)
    EACH_FOUR(v)
    s[t][v] = vshlq_n_s32(s[t][v], 8);
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++)
        add_half(true, nt, panel + 16 * h * VECTOR, q + HN_IM_BLOCK + 16 * h, ld, s);
}

TILE(tile_8, false)
TILE(tile_16, true)

const struct hn_cpu_igemm hn_cpu_igemm_neon_dot = {
    .form = {[HN_IM_8] = {pack_8, panel_any, tile_8}, [HN_IM_16] = {pack_16, panel_any, tile_16}},
    .tokens = TOKENS,
    .bytes = {[HN_IM_8] = true},
};

#endif
