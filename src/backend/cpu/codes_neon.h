/* Stored weights as vectors of integers or floats, with NEON: shared by the decoders and the
 * streaming products.  Included by NEON files alone. */
#ifndef HN_BACKEND_CPU_CODES_NEON_H
#define HN_BACKEND_CPU_CODES_NEON_H

#include "backend/cpu/cpu.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

INLINE const unsigned char *row_at(const struct hn_matrix *m, int64_t row)
{
    return m->data + (size_t)hn_matrix_stored_row(m, row) * m->row_size;
}

INLINE float half(const unsigned char *at)
{
    __fp16 h;
    memcpy(&h, at, sizeof h);
    return (float)h;
}

/* Element i of an array of scales. */
INLINE float widen(enum hn_dtype t, const unsigned char *at, size_t i)
{
    float v;
    uint16_t h;
    switch (t) {
    case HN_F32:
        memcpy(&v, at + i * 4, 4);
        return v;
    case HN_F16:
        return half(at + i * 2);
    default:
        memcpy(&h, at + i * 2, 2);
        return vget_lane_f32(vreinterpret_f32_u32(vdup_n_u32((uint32_t)h << 16)), 0);
    }
}

_Static_assert((int)HN_LAYOUT_F16 == (int)HN_F16 && (int)HN_LAYOUT_BF16 == (int)HN_BF16,
               "plain layouts are named as their types");

/* 4 plain elements. */
INLINE float32x4_t load_plain_4(const enum hn_layout layout, const unsigned char *at)
{
    if (layout == HN_LAYOUT_F32)
        return vreinterpretq_f32_u8(vld1q_u8(at));
    if (layout == HN_LAYOUT_F16)
        return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at)));
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(at)), 16));
}

/* ---- codes of odd widths ------------------------------------------------------------------- */

/* Where 8 codes of bits each lie in the 8 bytes that begin with them: the two bytes of each code,
 * and how far (negative: right) it must move. */
struct code_places {
    uint8x16_t bytes;
    int16x8_t shift;
};

INLINE struct code_places code_places(const int bits)
{
    uint8_t bytes[16];
    int16_t shift[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        bytes[2 * i] = (uint8_t)(i * bits / 8);
        bytes[2 * i + 1] = (uint8_t)(i * bits / 8 + 1);
        shift[i] = (int16_t)(-(i * bits % 8));
    }
    return (struct code_places){vld1q_u8(bytes), vld1q_s16(shift)};
}

/* The first 8 codes of bits each in a little-endian word. */
INLINE uint16x8_t codes_8(uint64_t word, const int bits)
{
    const struct code_places p = code_places(bits);
    uint8x16_t table = vcombine_u8(vcreate_u8(word), vdup_n_u8(0));
    uint16x8_t pairs = vreinterpretq_u16_u8(vqtbl1q_u8(table, p.bytes));
    return vandq_u16(vshlq_u16(pairs, p.shift), vdupq_n_u16((uint16_t)((1 << bits) - 1)));
}

INLINE uint64_t word_64(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* ---- fifth bits ---------------------------------------------------------------------------- */

/* 16 in each of the 16 bytes whose bit of the two bytes at `at` is set. */
INLINE uint8x16_t fifth_16(const unsigned char *at)
{
    static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t two = vcombine_u8(vdup_n_u8(at[0]), vdup_n_u8(at[1]));
    return vandq_u8(vtstq_u8(two, vld1q_u8(bit)), vdupq_n_u8(16));
}

/* ---- blocks of 256 ------------------------------------------------------------------------- */

/* d * scale and -(dmin * min) of a Q4_K or Q5_K block's eight groups; src/quant/kquants.c has the
 * packing of the 12 bytes. */
struct scales_k {
    float32x4_t scale[2], bias[2];
};

INLINE void six_bits(uint32_t first, uint32_t last, float f, float32x4_t out[2])
{
    uint16x8_t v = vmovl_u8(vcreate_u8((uint64_t)last << 32 | first));
    out[0] = vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_low_u16(v))), f);
    out[1] = vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(vget_high_u16(v))), f);
}

INLINE struct scales_k scales_k(const unsigned char *block)
{
    uint32_t u[3];
    memcpy(u, block + 4, sizeof u);
    struct scales_k s;
    six_bits(u[0] & 0x3f3f3f3fu, (u[2] & 0x0f0f0f0fu) | (u[0] >> 2 & 0x30303030u), half(block),
             s.scale);
    six_bits(u[1] & 0x3f3f3f3fu, (u[2] >> 4 & 0x0f0f0f0fu) | (u[1] >> 2 & 0x30303030u),
             -half(block + 2), s.bias);
    return s;
}

/* ---- one row's block of 32, in the order of columns ------------------------------------------ */

/* Codes 0-15, then 16-31; of whole bytes as they are stored. */
INLINE uint8x16x2_t low_then_high(uint8x16_t bytes)
{
    return (uint8x16x2_t){{vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4)}};
}

/* Those of at[0..31], down by n bits and masked. */
INLINE uint8x16x2_t bits_32(const unsigned char *at, int n, const int mask)
{
    int8x16_t by = vdupq_n_s8((int8_t)-n);
    uint8x16_t m = vdupq_n_u8((uint8_t)mask);
    return (uint8x16x2_t){
        {vandq_u8(vshlq_u8(vld1q_u8(at), by), m), vandq_u8(vshlq_u8(vld1q_u8(at + 16), by), m)}};
}

/* low | high << 4 */
INLINE uint8x16x2_t above(uint8x16x2_t low, uint8x16x2_t high)
{
    return (uint8x16x2_t){
        {vsliq_n_u8(low.val[0], high.val[0], 4), vsliq_n_u8(low.val[1], high.val[1], 4)}};
}

INLINE uint8x16x2_t add_fifths(uint8x16x2_t c, const unsigned char *at)
{
    return (uint8x16x2_t){{vorrq_u8(c.val[0], fifth_16(at)), vorrq_u8(c.val[1], fifth_16(at + 2))}};
}

INLINE uint8x16x2_t affine_codes_32(const unsigned char *at, const int bits)
{
    if (bits == 8)
        return (uint8x16x2_t){{vld1q_u8(at), vld1q_u8(at + 16)}};
    if (bits == 4) {
        uint8x16x2_t c = low_then_high(vld1q_u8(at));
        return (uint8x16x2_t){{vzip1q_u8(c.val[0], c.val[1]), vzip2q_u8(c.val[0], c.val[1])}};
    }
    uint8x8_t eight[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) { /* the word that holds them ends inside the block */
        int byte = HN_MIN(i * bits, 4 * bits - 8);
        eight[i] = vmovn_u16(codes_8(word_64(at + byte) >> 8 * (i * bits - byte), bits));
    }
    return (uint8x16x2_t){{vcombine_u8(eight[0], eight[1]), vcombine_u8(eight[2], eight[3])}};
}

/* b: the block; at: the row. */
INLINE uint8x16x2_t codes_32(const enum hn_layout layout, const int bits, const unsigned char *at,
                             int64_t b)
{
    switch (layout) {
    case HN_LAYOUT_Q4_0:
        return low_then_high(vld1q_u8(at + b * 18 + 2));
    case HN_LAYOUT_Q4_1:
        return low_then_high(vld1q_u8(at + b * 20 + 4));
    case HN_LAYOUT_Q5_0:
        return add_fifths(low_then_high(vld1q_u8(at + b * 22 + 6)), at + b * 22 + 2);
    case HN_LAYOUT_Q5_1:
        return add_fifths(low_then_high(vld1q_u8(at + b * 24 + 8)), at + b * 24 + 4);
    case HN_LAYOUT_Q8_0:
        return affine_codes_32(at + b * 34 + 2, 8);
    case HN_LAYOUT_Q4_K:
        return bits_32(at + b / 8 * 144 + 16 + b % 8 / 2 * 32, (int)(b % 2) * 4, 15);
    case HN_LAYOUT_Q5_K:
        at += b / 8 * 176;
        return above(bits_32(at + 48 + b % 8 / 2 * 32, (int)(b % 2) * 4, 15),
                     bits_32(at + 16, (int)(b % 8), 1));
    case HN_LAYOUT_Q6_K: {
        int j = (int)(b % 8);
        at += b / 8 * 210;
        return above(bits_32(at + j / 4 * 64 + j % 2 * 32, j % 4 / 2 * 4, 15),
                     bits_32(at + 128 + j / 4 * 32, 2 * (j % 4), 3));
    }
    default: /* affine, bitsandbytes' int8 */
        return affine_codes_32(at + b * 4 * bits, bits);
    }
}

/* Bytes of a block, of whole blocks of 256 the eighth of one. */
INLINE int bytes_32(const enum hn_layout layout, const int bits)
{
    static const int sizes[HN_LAYOUT_COUNT] = {
        [HN_LAYOUT_Q4_0] = 18, [HN_LAYOUT_Q4_1] = 20, [HN_LAYOUT_Q5_0] = 22, [HN_LAYOUT_Q5_1] = 24,
        [HN_LAYOUT_Q8_0] = 34, [HN_LAYOUT_Q4_K] = 18, [HN_LAYOUT_Q5_K] = 22, [HN_LAYOUT_Q6_K] = 26,
    };
    return sizes[layout] ? sizes[layout] : 4 * bits;
}

/* Scale and bias of a block of a row at `at`, whose scales begin at groups.  Symmetric codes have
 * the bias that takes their middle back; bitsandbytes' int8 has neither: its scale is the row's. */
struct scale_32 {
    float scale, bias;
};
INLINE struct scale_32 scale_32(const enum hn_layout layout, const enum hn_dtype t,
                                const struct hn_matrix *w, const unsigned char *at, size_t groups,
                                int64_t b)
{
    const unsigned char *block = at + b * bytes_32(layout, 0);
    switch (layout) {
    case HN_LAYOUT_AFFINE: {
        size_t g = groups + (size_t)(b >> (unsigned)w->group / 64); /* of 32, 64 or 128 */
        return (struct scale_32){widen(t, w->scales, g), widen(t, w->biases, g)};
    }
    case HN_LAYOUT_Q4_1:
    case HN_LAYOUT_Q5_1:
        return (struct scale_32){half(block), half(block + 2)};
    case HN_LAYOUT_Q4_K:
    case HN_LAYOUT_Q5_K: {
        const unsigned char *k = at + b / 8 * 8 * bytes_32(layout, 0), *s = k + 4;
        int j = (int)(b % 8);
        int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        int min = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;
        return (struct scale_32){half(k) * (float)scale, -half(k + 2) * (float)min};
    }
    case HN_LAYOUT_BNB8:
        return (struct scale_32){1, 0};
    default: {
        float scale = half(block);
        return (struct scale_32){scale, layout == HN_LAYOUT_Q4_0   ? scale * -8.0f
                                        : layout == HN_LAYOUT_Q5_0 ? scale * -16.0f
                                                                   : 0.0f};
    }
    }
}

/* Of bitsandbytes' int8. */
INLINE float scale_of_row(const struct hn_matrix *w, size_t stored)
{
    return widen(HN_F32, w->scales, stored) *
           7.874015718698502e-3f; /* float32(1/127): hn_decode_bnb8 */
}

#endif
#endif
