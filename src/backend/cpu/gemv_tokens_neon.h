/* gemv_tokens.h for NEON: the same rounding and the same order, for vectors of four.  A chunk of
 * nibbles is one block of 32, and a chunk of groups half of two groups, so all lanes of a chunk
 * share a scale.  Included by NEON files alone. */
#ifndef HN_BACKEND_CPU_GEMV_TOKENS_NEON_H
#define HN_BACKEND_CPU_GEMV_TOKENS_NEON_H

#include "backend/cpu/codes_neon.h"

#include <math.h>

#if defined(__aarch64__)

enum { TOKEN_BLOCK = 32, SUPERBLOCK = 256, GROUPS_SCALES = 128, GROUPS_FLOATS = 160, MOST = 32767 };

/* q = 32 elements of x as 16-bit integers up to most; returns their scale. */
INLINE float round_block(const float *x, const int most, int16x8_t q[4])
{
    float32x4_t v[8];
    uint32x4_t largest = vdupq_n_u32(0);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) { /* as integers, magnitudes order as they should, NaN the last */
        v[i] = vld1q_f32(x + 4 * i);
        largest =
            vmaxq_u32(largest, vandq_u32(vreinterpretq_u32_f32(v[i]), vdupq_n_u32(INT32_MAX)));
    }
    uint32_t bits = vmaxvq_u32(largest);
    float top;
    memcpy(&top, &bits, sizeof top);
    if (!(top >= 0x1p-100f && top < HUGE_VALF)) {
        for (int i = 0; i < 4; i++)
            q[i] = vdupq_n_s16(0);
        return top < 0x1p-100f ? 0.0f : NAN;
    }
    float inverse = (float)most / top;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(v[2 * i], inverse));
        int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(v[2 * i + 1], inverse));
        q[i] = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
    }
    return top / (float)most;
}

INLINE int16_t *words_at(float *out)
{
    return (int16_t *)(void *)out;
}

/* apart 16: a byte holds elements p and p+16 of its block (GGUF); 1: elements 2p, 2p+1 (affine).
 * middle is 0: every format has a bias here. */
INLINE void prepare_nibbles(const int n_lanes, const int apart, const struct hn_matrix *w,
                            const float *x, float *out)
{
    (void)n_lanes;
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK, out += 24) {
        int16x8_t q[4], v[4];
        int32x4_t sum = vdupq_n_s32(0);
        float scale = round_block(x + k, MOST, q);
        if (apart == 1) { /* vector i: elements i, i+4, i+8… */
            int16_t in_order[TOKEN_BLOCK];
            for (int i = 0; i < 4; i++)
                vst1q_s16(in_order + 8 * i, q[i]);
            int16x8x4_t by_four = vld4q_s16(in_order);
            for (int i = 0; i < 4; i++)
                v[i] = by_four.val[i];
        } else { /* the even of either half, then the odd */
            v[0] = vuzp1q_s16(q[0], q[1]), v[2] = vuzp2q_s16(q[0], q[1]);
            v[1] = vuzp1q_s16(q[2], q[3]), v[3] = vuzp2q_s16(q[2], q[3]);
        }
        for (int i = 0; i < 4; i++) {
            vst1q_s16(words_at(out) + 8 * i, v[i]);
            sum = vpadalq_s16(sum, v[i]);
        }
        vst1q_f32(out + 16, vdupq_n_f32(scale));
        vst1q_f32(out + 20, vmulq_n_f32(vcvtq_f32_s32(sum), scale));
    }
}

/* Chunk c of a block of 256 stands for 16 bytes of codes: half c%2 of the group in their low
 * nibbles and of the group in their high ones. */
INLINE void prepare_groups(const int n_lanes, const bool six, const struct hn_matrix *w,
                           const float *x, float *out)
{
    (void)n_lanes;
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK) {
        int g = (int)(k % SUPERBLOCK / TOKEN_BLOCK), in_half = g % 4;
        int part = six ? in_half / 2 : in_half % 2;                /* high nibbles? */
        int bytes = g / 4 * 2 + (six ? in_half % 2 : in_half / 2); /* which 32 of them */
        float *block = out + k / SUPERBLOCK * GROUPS_FLOATS;
        float *scales = block + GROUPS_SCALES, *sums = scales + 16;
        int16x8_t q[4];
        float scale = round_block(x + k, MOST, q);
        for (int i = 0; i < 2; i++) {
            float *chunk = block + (2 * bytes + i) * 16;
            int16x8_t even = vuzp1q_s16(q[2 * i], q[2 * i + 1]);
            int16x8_t odd = vuzp2q_s16(q[2 * i], q[2 * i + 1]);
            float sum = scale * vaddvq_f32(vcvtq_f32_s32(vpadalq_s16(vpaddlq_s16(even), odd)));
            vst1q_s16(words_at(chunk) + 8 * part, even);
            vst1q_s16(words_at(chunk) + 8 * (part + 2), odd);
            if (six) {
                scales[2 * g + i] = scale;
                sums[2 * g + i] = sum;
            } else {
                scales[g] = scale;
                sums[g] = i == 0 ? sum : sums[g] + sum;
                scales[g + 8] = sums[g + 8] = 0.0f;
            }
        }
    }
}

/* Floats from a plain token's start to its scales, and to its sums. */
INLINE int64_t plain_scales(int64_t cols)
{
    return cols / 2;
}
INLINE int64_t plain_sums(int64_t cols)
{
    return cols / 2 + cols / TOKEN_BLOCK;
}

/* group: elements that share a bias; 0: there is none */
INLINE void prepare_plain(int64_t group, const struct hn_matrix *w, const float *x, float *out)
{
    float *scales = out + plain_scales(w->cols), *sums = out + plain_sums(w->cols);
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK) {
        int16x8_t q[4];
        int32x4_t pairs = vdupq_n_s32(0);
        float scale = round_block(x + k, MOST, q);
        for (int i = 0; i < 4; i++) {
            vst1q_s16(words_at(out) + k + 8 * i, q[i]);
            pairs = vpadalq_s16(pairs, q[i]);
        }
        scales[k / TOKEN_BLOCK] = scale;
        if (!group)
            continue;
        float sum = scale * vaddvq_f32(vcvtq_f32_s32(pairs)), *to = &sums[k / group];
        *to = k % group ? *to + sum : sum;
    }
}

#endif
#endif
