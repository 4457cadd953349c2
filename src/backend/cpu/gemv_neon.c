/* Few tokens with NEON: weights go from their stored form into the sums, decoded in registers; the
 * loops are in gemv_rows.h. */
#include "backend/cpu/codes_neon.h"
#include "backend/cpu/gemv.h"
#include "backend/cpu/gemv_tokens_neon.h"

#if !defined(__aarch64__)
const struct hn_cpu_gemv hn_cpu_gemv_neon = {{{0}}};
#else

#define LANES_512    0
#define EIGHT_BLOCKS 0
enum { LANES = 4, PASS = 4, PICK_VECTORS = 4 };
typedef float32x4_t vec;
typedef int32x4_t ivec;

INLINE vec v_set(float x)
{
    return vdupq_n_f32(x);
}
INLINE vec v_load(const float *p)
{
    return vld1q_f32(p);
}
INLINE void v_store(float *p, vec a)
{
    vst1q_f32(p, a);
}
INLINE vec v_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}
INLINE vec v_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}
INLINE vec v_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}
INLINE vec v_float(ivec a)
{
    return vcvtq_f32_s32(a);
}
INLINE float v_sum(vec a)
{
    return vaddvq_f32(a);
}
INLINE vec v_plain(const enum hn_layout layout, const unsigned char *at)
{
    return load_plain_4(layout, at);
}
INLINE vec v_widen(enum hn_dtype t, const unsigned char *base, size_t i)
{
    return load_plain_4((enum hn_layout)t, base + i * (t == HN_F32 ? 4 : 2));
}

INLINE ivec i_set32(int x)
{
    return vdupq_n_s32(x);
}
INLINE ivec i_load(const void *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}
INLINE ivec i_load_half(const void *p)
{
    return vreinterpretq_s32_u8(vcombine_u8(vld1_u8(p), vdup_n_u8(0)));
}
INLINE ivec i_and(ivec a, ivec b)
{
    return vandq_s32(a, b);
}
INLINE ivec i_or(ivec a, ivec b)
{
    return vorrq_s32(a, b);
}
/* Shifts by a vector, because not every compiler takes n for a constant here. */
INLINE ivec i_srl16(ivec a, const int n)
{
    return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(a), vdupq_n_s16((int16_t)-n)));
}
INLINE ivec i_srl32(ivec a, const int n)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-n)));
}
INLINE ivec i_sll32(ivec a, const int n)
{
    return vshlq_s32(a, vdupq_n_s32(n));
}
/* Lane l: right by 4l. */
INLINE ivec i_srl_by_lane(ivec a)
{
    static const int32_t by[4] = {0, -4, -8, -12};
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vld1q_s32(by)));
}
/* sum + products of 16-bit integers; which lane a product falls in does not matter, because all
 * lanes share a block */
INLINE ivec i_dot(ivec sum, ivec a, ivec b)
{
    int16x8_t p = vreinterpretq_s16_s32(a), q = vreinterpretq_s16_s32(b);
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(p), vget_low_s16(q)), p, q);
}

/* Sixteen floats as a table of 64 bytes. */
struct values {
    uint8x16x4_t bytes;
};

/* v rounded to t (NaN apart, which no map holds). */
INLINE float32x4_t rounded(const enum hn_dtype t, float32x4_t v)
{
    if (t == HN_F32)
        return v;
    if (t == HN_F16)
        return vcvt_f32_f16(vcvt_f16_f32(v));
    uint32x4_t i = vreinterpretq_u32_f32(v);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(i, 16), vdupq_n_u32(1));
    i = vaddq_u32(i, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    return vreinterpretq_f32_u32(vandq_u32(i, vdupq_n_u32(0xffff0000u)));
}

INLINE struct values values_of(const enum hn_dtype t, const unsigned char *map, float scale)
{
    struct values v;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        float32x4_t f = vmulq_n_f32(load_plain_4(HN_LAYOUT_F32, map + 16 * i), scale);
        v.bytes.val[i] = vreinterpretq_u8_f32(rounded(t, f));
    }
    return v;
}

/* Those of four codes, one in each lane. */
INLINE float32x4_t look_up(const struct values *v, uint32x4_t codes)
{
    uint32x4_t at = vmlaq_n_u32(vdupq_n_u32(0x03020100u), codes, 0x04040404u);
    return vreinterpretq_f32_u8(vqtbl4q_u8(v->bytes, vreinterpretq_u8_u32(at)));
}

#include "backend/cpu/gemv_rows.h"

/* ---- blocks of 32 -------------------------------------------------------------------------- */

INLINE ivec word_of(const unsigned char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return vdupq_n_s32(word);
}

/* A chunk is one block. */
INLINE struct chunk load_chunk(const enum kind kind, const struct hn_matrix *w,
                               const unsigned char *row, size_t groups, int64_t k, int64_t n_blocks)
{
    static const int sizes[] = {18, 20, 22, 24};
    (void)n_blocks;
    if (kind >= KIND_AFFINE_32) {
        const int group = kind < KIND_AFFINE_64 ? 32 : kind < KIND_AFFINE_128 ? 64 : 128;
        const enum hn_dtype t = (enum hn_dtype)((kind - KIND_AFFINE_32) % 3);
        size_t g = groups + (size_t)(k / group);
        return (struct chunk){.words = i_load(row + k / 2),
                              .scale = v_set(widen(t, w->scales, g)),
                              .bias = v_set(widen(t, w->biases, g))};
    }
    const bool biased = kind == KIND_Q4_1 || kind == KIND_Q5_1;
    const unsigned char *at = row + k / TOKEN_BLOCK * sizes[kind];
    struct chunk c = {.words = i_load(at + sizes[kind] - 16), .scale = v_set(half(at))};
    if (biased)
        c.bias = v_set(half(at + 2));
    else
        c.bias = v_mul(c.scale, v_set(kind == KIND_Q4_0 ? -8.0f : -16.0f));
    if (kind == KIND_Q5_0 || kind == KIND_Q5_1)
        c.fifth = word_of(at + (biased ? 4 : 2));
    return c;
}

/* ---- blocks of 256 ------------------------------------------------------------------------- */

INLINE struct group_scales load_scales_k(const enum hn_layout layout, const unsigned char *block)
{
    struct group_scales g;
    if (layout == HN_LAYOUT_Q6_K) {
        int8x16_t s = vreinterpretq_s8_u8(vld1q_u8(block + 192));
        int16x8_t wide[2] = {vmovl_s8(vget_low_s8(s)), vmovl_s8(vget_high_s8(s))};
        float d = half(block + 208);
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            int32x4_t a = vmovl_s16(vget_low_s16(wide[i])), b = vmovl_s16(vget_high_s16(wide[i]));
            g.scale[2 * i] = vmulq_n_f32(vcvtq_f32_s32(a), d);
            g.scale[2 * i + 1] = vmulq_n_f32(vcvtq_f32_s32(b), d);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            g.bias[i] = v_mul(g.scale[i], v_set(-32.0f));
        return g;
    }
    struct scales_k s = scales_k(block);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        g.scale[i] = i < 2 ? s.scale[i] : v_set(0.0f);
        g.bias[i] = i < 2 ? s.bias[i] : v_set(0.0f);
    }
    return g;
}

INLINE struct group_values group_values(const enum hn_layout layout, const vec v[4])
{
    (void)layout;
    return (struct group_values){{v[0], v[1], v[2], v[3]}};
}

INLINE vec v_of_groups(const enum hn_layout layout, const struct group_values *g, const int chunk,
                       const int part)
{
    const int bytes = chunk / 2; /* which 32 of the block's codes */
    const int i = layout == HN_LAYOUT_Q6_K ? bytes / 2 * 8 + bytes % 2 * 2 + part * 4 + chunk % 2
                                           : 2 * bytes + part;
    return v_set(((const float *)(const void *)g->v)[i]);
}

INLINE ivec i_upper(const enum hn_layout layout, const unsigned char *high, const int chunk)
{
    const int bytes = chunk / 2;
    if (layout == HN_LAYOUT_Q5_K)
        return i_srl16(i_load(high + chunk % 2 * 16), 2 * bytes);
    return i_srl16(i_load(high + bytes / 2 * 32 + chunk % 2 * 16), 2 * (bytes % 2));
}

/* ---- whole bytes and odd widths ------------------------------------------------------------ */

INLINE ivec i_signed(const unsigned char *at)
{
    return vreinterpretq_s32_s16(vmovl_s8(vreinterpret_s8_u8(vld1_u8(at))));
}

INLINE ivec i_codes(const unsigned char *at, const int bits)
{
    if (bits == 8)
        return vreinterpretq_s32_u16(vmovl_u8(vld1_u8(at)));
    return vreinterpretq_s32_u16(codes_8(word_64(at), bits));
}

/* ---- looked up ----------------------------------------------------------------------------- */

INLINE struct values v_values(const enum hn_dtype t, const unsigned char *map, float a, float b)
{
    (void)b;
    return values_of(t, map, a);
}

INLINE vec v_lookup(const struct values *v, ivec word)
{
    return look_up(v, vandq_u32(vreinterpretq_u32_s32(word), vdupq_n_u32(15)));
}

const struct hn_cpu_gemv hn_cpu_gemv_neon = GEMV_TABLE;

#endif
