/* Few tokens with SDOT and UDOT: a token's 16-bit integers q = 256 upper + lower meet codes of a
 * byte in two products of bytes, 16 at a time.  Formats without integer codes are gemv_neon.c's.
 *
 *   prepared, per block of 32: [32] upper bytes (signed), [32] lower bytes, struct rest */
#include "backend/cpu/gemv.h"
#include "backend/cpu/gemv_tokens_neon.h"

#ifndef __ARM_FEATURE_DOTPROD
const struct hn_cpu_gemv hn_cpu_gemv_neon_dot = {{{0}}};
#else

enum { PASS = 4, PREPARED = 2 * TOKEN_BLOCK + 16, AHEAD = 2048 };

#define EACH_TOKEN(t) _Pragma("GCC unroll 4") for (int t = 0; t < nt; t++)

/* sum: of x, by halves of 16 for Q6_K, else all of it first.  more: what the products of codes of
 * whole bytes lack, because one of the two takes them with 128 added. */
struct rest {
    float scale, sum[2];
    int32_t more;
};
_Static_assert(sizeof(struct rest) == PREPARED - 2 * TOKEN_BLOCK, "no padding");

INLINE const struct rest *rest_of(const unsigned char *block)
{
    return (const struct rest *)(const void *)(block + 2 * TOKEN_BLOCK);
}

/* ---- tokens -------------------------------------------------------------------------------- */

static void prepare_split(const struct hn_matrix *w, const float *x, float *out)
{
    unsigned char *to = (unsigned char *)out;
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK, to += PREPARED) {
        int16x8_t q[4];
        int32_t half_sum[2], upper = 0, lower = 0;
        struct rest rest = {.scale = round_block(x + k, MOST, q)};
        for (int i = 0; i < 4; i++) {
            int8x8_t high = vshrn_n_s16(q[i], 8);
            uint8x8_t low = vmovn_u16(vreinterpretq_u16_s16(q[i]));
            vst1_s8((int8_t *)to + 8 * i, high);
            vst1_u8(to + TOKEN_BLOCK + 8 * i, low);
            upper += vaddlv_s8(high), lower += vaddlv_u8(low);
            half_sum[i / 2] = 256 * upper + lower;
        }
        half_sum[1] -= half_sum[0];
        if (w->layout == HN_LAYOUT_Q6_K) {
            rest.sum[0] = rest.scale * (float)half_sum[0];
            rest.sum[1] = rest.scale * (float)half_sum[1];
        } else {
            rest.sum[0] = rest.scale * (float)(half_sum[0] + half_sum[1]);
        }
        rest.more = w->layout == HN_LAYOUT_AFFINE ? 256 * 128 * upper : -128 * lower;
        memcpy(to + 2 * TOKEN_BLOCK, &rest, sizeof rest);
    }
}

/* ---- rows ---------------------------------------------------------------------------------- */

enum whole { SHORT, UNSIGNED, SIGNED }; /* codes of whole bytes, and which */

/* sum of 16 codes times q, added to s, whose lanes hold 256ths before. */
INLINE int32x4_t upper_dot(const enum whole whole, int32x4_t s, uint8x16_t codes,
                           const unsigned char *q)
{
    uint8x16_t c = whole == UNSIGNED ? veorq_u8(codes, vdupq_n_u8(128)) : codes;
    return vdotq_s32(s, vreinterpretq_s8_u8(c), vreinterpretq_s8_u8(vld1q_u8(q)));
}

INLINE int32x4_t lower_dot(const enum whole whole, int32x4_t s, uint8x16_t codes,
                           const unsigned char *q)
{
    uint8x16_t c = whole == SIGNED ? veorq_u8(codes, vdupq_n_u8(128)) : codes;
    return vreinterpretq_s32_u32(vdotq_u32(vreinterpretq_u32_s32(s), c, vld1q_u8(q + TOKEN_BLOCK)));
}

INLINE int32x4_t dot_32(const enum whole whole, uint8x16x2_t c, const unsigned char *q,
                        int32_t more)
{
    int32x4_t s = upper_dot(whole, vdupq_n_s32(0), c.val[0], q);
    s = vshlq_n_s32(upper_dot(whole, s, c.val[1], q + 16), 8);
    if (whole != SHORT)
        s = vaddq_s32(s, vsetq_lane_s32(more, vdupq_n_s32(0), 0));
    return lower_dot(whole, lower_dot(whole, s, c.val[0], q), c.val[1], q + 16);
}

/* 16 codes of Q6_K, which share a scale of their own. */
INLINE int32x4_t dot_16(uint8x16_t c, const unsigned char *q)
{
    int32x4_t s = vshlq_n_s32(upper_dot(SHORT, vdupq_n_s32(0), c, q), 8);
    return lower_dot(SHORT, s, c, q);
}

/* The sums of a row over its blocks: biased is one more sum, of biases, which all lanes share. */
struct sums {
    float32x4_t products;
    float biases;
};

INLINE void add_q6_k(const int nt, const unsigned char *at, int64_t b, uint8x16x2_t c,
                     const unsigned char *x, int64_t ldx, struct sums total[PASS])
{
    const unsigned char *block = at + b / 8 * 210;
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        float scale = half(block + 208) * (float)(signed char)block[192 + b % 8 * 2 + h];
        EACH_TOKEN(t)
        {
            const struct rest *rest = rest_of(x + t * ldx);
            float32x4_t s = vcvtq_f32_s32(dot_16(c.val[h], x + t * ldx + 16 * h));
            total[t].products = vfmaq_n_f32(total[t].products, s, scale * rest->scale);
            total[t].biases = fmaf(scale * -32.0f, rest->sum[h], total[t].biases);
        }
    }
}

INLINE void rows_split(const enum hn_layout layout, const int bits, const enum hn_dtype type,
                       const int nt, const struct hn_matrix *w, int64_t row, int64_t n,
                       const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const bool affine = layout == HN_LAYOUT_AFFINE;
    const bool is_signed = layout == HN_LAYOUT_Q8_0 || layout == HN_LAYOUT_BNB8;
    const int64_t n_blocks = w->cols / TOKEN_BLOCK;
    const enum whole whole = is_signed ? SIGNED : affine && bits == 8 ? UNSIGNED : SHORT;
    for (int64_t j = 0; j < n; j++) {
        size_t stored = (size_t)hn_matrix_stored_row(w, row + j);
        const unsigned char *at = w->data + stored * w->row_size;
        const unsigned char *q = (const unsigned char *)x;
        size_t groups = affine ? stored * (size_t)(w->cols / w->group) : 0;
        struct sums total[PASS];
        EACH_TOKEN(t)
        total[t] = (struct sums){vdupq_n_f32(0), 0};
        for (int64_t b = 0; b < n_blocks; b++, q += PREPARED) {
            uint8x16x2_t c = codes_32(layout, bits, at, b);
            HN_PREFETCH(at + b * bytes_32(layout, bits) + AHEAD);
            if (layout == HN_LAYOUT_Q6_K) {
                add_q6_k(nt, at, b, c, q, ldx * (int64_t)sizeof *x, total);
                continue;
            }
            struct scale_32 s = scale_32(layout, type, w, at, groups, b);
            EACH_TOKEN(t)
            {
                const unsigned char *qt = q + t * ldx * (int64_t)sizeof *x;
                const struct rest *rest = rest_of(qt);
                float32x4_t f = vcvtq_f32_s32(dot_32(whole, c, qt, rest->more));
                total[t].products = vfmaq_n_f32(total[t].products, f, s.scale * rest->scale);
                if (!is_signed)
                    total[t].biases = fmaf(s.bias, rest->sum[0], total[t].biases);
            }
        }
        float f = layout == HN_LAYOUT_BNB8 ? scale_of_row(w, stored) : 1.0f;
        EACH_TOKEN(t)
        y[t * ldy + j] = f * (vaddvq_f32(total[t].products) + total[t].biases);
    }
}

/* ---- the table ----------------------------------------------------------------------------- */

/* One kernel per count of tokens: the sums must live in registers. */
#define CASE(layout, bits, type, nt)                                                               \
    case nt:                                                                                       \
        rows_split(layout, bits, type, nt, w, row, n, x + t * ldx, ldx, y + t * ldy, ldy);         \
        break
#define GEMV(name, layout, bits, type)                                                             \
    static void name(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,            \
                     int64_t ldx, int n_tokens, float *y, int64_t ldy)                             \
    {                                                                                              \
        for (int t = 0; t < n_tokens; t += PASS) {                                                 \
            switch (HN_MIN(PASS, n_tokens - t)) {                                                  \
                CASE(layout, bits, type, 1);                                                       \
                CASE(layout, bits, type, 2);                                                       \
                CASE(layout, bits, type, 3);                                                       \
                CASE(layout, bits, type, 4);                                                       \
            }                                                                                      \
        }                                                                                          \
    }

GEMV(gemv_q4_0, HN_LAYOUT_Q4_0, 4, HN_F16)
GEMV(gemv_q4_1, HN_LAYOUT_Q4_1, 4, HN_F16)
GEMV(gemv_q5_0, HN_LAYOUT_Q5_0, 5, HN_F16)
GEMV(gemv_q5_1, HN_LAYOUT_Q5_1, 5, HN_F16)
GEMV(gemv_q8_0, HN_LAYOUT_Q8_0, 8, HN_F16)
GEMV(gemv_q4_k, HN_LAYOUT_Q4_K, 4, HN_F16)
GEMV(gemv_q5_k, HN_LAYOUT_Q5_K, 5, HN_F16)
GEMV(gemv_q6_k, HN_LAYOUT_Q6_K, 6, HN_F16)
GEMV(gemv_bnb8, HN_LAYOUT_BNB8, 8, HN_F32)
GEMV(gemv_affine2, HN_LAYOUT_AFFINE, 2, w->scale_dtype)
GEMV(gemv_affine3, HN_LAYOUT_AFFINE, 3, w->scale_dtype)
GEMV(gemv_affine4_f32, HN_LAYOUT_AFFINE, 4, HN_F32)
GEMV(gemv_affine4_f16, HN_LAYOUT_AFFINE, 4, HN_F16)
GEMV(gemv_affine4_bf16, HN_LAYOUT_AFFINE, 4, HN_BF16)
GEMV(gemv_affine5, HN_LAYOUT_AFFINE, 5, w->scale_dtype)
GEMV(gemv_affine6, HN_LAYOUT_AFFINE, 6, w->scale_dtype)
GEMV(gemv_affine8, HN_LAYOUT_AFFINE, 8, w->scale_dtype)

static void gemv_affine(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                        int64_t ldx, int nt, float *y, int64_t ldy)
{
    static hn_gemv_rows_fn *const by_bits[9] = {
        [2] = gemv_affine2, [3] = gemv_affine3, [5] = gemv_affine5,
        [6] = gemv_affine6, [8] = gemv_affine8,
    };
    static hn_gemv_rows_fn *const by_type[3] = {gemv_affine4_f32, gemv_affine4_f16,
                                                gemv_affine4_bf16};
    hn_gemv_rows_fn *fn = w->bits == 4 ? by_type[w->scale_dtype] : by_bits[w->bits];
    fn(w, row, n, x, ldx, nt, y, ldy);
}

static bool suits_bytes(const struct hn_matrix *w)
{
    return w->cols % TOKEN_BLOCK == 0;
}

const struct hn_cpu_gemv hn_cpu_gemv_neon_dot = {{
    [HN_LAYOUT_AFFINE] = {prepare_split, gemv_affine, NULL},
    [HN_LAYOUT_Q4_0] = {prepare_split, gemv_q4_0, NULL},
    [HN_LAYOUT_Q4_1] = {prepare_split, gemv_q4_1, NULL},
    [HN_LAYOUT_Q5_0] = {prepare_split, gemv_q5_0, NULL},
    [HN_LAYOUT_Q5_1] = {prepare_split, gemv_q5_1, NULL},
    [HN_LAYOUT_Q8_0] = {prepare_split, gemv_q8_0, NULL},
    [HN_LAYOUT_Q4_K] = {prepare_split, gemv_q4_k, NULL},
    [HN_LAYOUT_Q5_K] = {prepare_split, gemv_q5_k, NULL},
    [HN_LAYOUT_Q6_K] = {prepare_split, gemv_q6_k, NULL},
    [HN_LAYOUT_BNB8] = {prepare_split, gemv_bnb8, suits_bytes},
}};

#endif
