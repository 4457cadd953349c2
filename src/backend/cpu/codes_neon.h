/* Stored weights as vectors of integers or floats, with NEON: shared by the decoders and the
 * streaming products.  Included by NEON files alone. */
#ifndef HN_BACKEND_CPU_CODES_NEON_H
#define HN_BACKEND_CPU_CODES_NEON_H

#include "backend/cpu/cpu.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

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
        return hn_bf16_to_f32(h);
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

#endif
#endif
