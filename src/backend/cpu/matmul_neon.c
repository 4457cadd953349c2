/* The pieces of the matrix product for NEON (64-bit ARM): vectors of four, 32 registers. */
#include "backend/cpu/codes_neon.h"
#include "backend/cpu/matmul.h"

#include <math.h>

#if !defined(__aarch64__)
const struct hn_cpu_matmul hn_cpu_matmul_neon = {0};
#else

enum { MR = 6, NR = 16, LANES = 4, VECTORS = NR / LANES };

/* ---- tile: 6 rows of 4 vectors ------------------------------------------------------------- */

/* 24 sums, 4 vectors of b, and one element of a at a time. */
INLINE void tile_rows(const int rows, int64_t depth, const float *a, const float *b, float *c,
                      int64_t ldc, int cols, bool add)
{
    float32x4_t s[MR][VECTORS];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            s[i][j] = vdupq_n_f32(0);
    for (int64_t k = 0; k < depth; k++, a += rows, b += NR) {
        float32x4_t bk[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++)
            bk[j] = vld1q_f32(b + j * LANES);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; j++)
                s[i][j] = vfmaq_n_f32(s[i][j], bk[j], a[i]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++, c += ldc) {
        float row[NR];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; j++) {
            if (cols < NR)
                vst1q_f32(row + j * LANES, s[i][j]);
            else if (add)
                vst1q_f32(c + j * LANES, vaddq_f32(s[i][j], vld1q_f32(c + j * LANES)));
            else
                vst1q_f32(c + j * LANES, s[i][j]);
        }
        for (int j = 0; cols < NR && j < cols; j++)
            c[j] = add ? c[j] + row[j] : row[j];
    }
}

/* Each count of rows is its own kernel: the sums must live in registers. */
static void tile_f32_6x16_neon(int rows, int64_t depth, const float *a, const float *b, float *c,
                               int64_t ldc, int cols, bool add)
{
    switch (rows) {
    case 1:
        tile_rows(1, depth, a, b, c, ldc, cols, add);
        break;
    case 2:
        tile_rows(2, depth, a, b, c, ldc, cols, add);
        break;
    case 3:
        tile_rows(3, depth, a, b, c, ldc, cols, add);
        break;
    case 4:
        tile_rows(4, depth, a, b, c, ldc, cols, add);
        break;
    case 5:
        tile_rows(5, depth, a, b, c, ldc, cols, add);
        break;
    default:
        tile_rows(6, depth, a, b, c, ldc, cols, add);
    }
}

/* ---- transposition ------------------------------------------------------------------------- */

/* 4 rows of 4: r[i] = column i. */
INLINE void transpose_4x4(float32x4_t r[4])
{
    float32x4x2_t p = vtrnq_f32(r[0], r[1]), q = vtrnq_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0]));
    r[1] = vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1]));
    r[2] = vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0]));
    r[3] = vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1]));
}

/* to[j*stride + i] = from[i*ld + j], i and j below 4 */
INLINE void turn_4x4(const float *from, int64_t ld, float *to, int64_t stride)
{
    float32x4_t r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        r[i] = vld1q_f32(from + i * ld);
    transpose_4x4(r);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        vst1q_f32(to + i * stride, r[i]);
}

static void pack_f32_6_neon(int rows, const float *x, int64_t ldx, int64_t depth, float *a)
{
    int whole = rows / 4 * 4; /* rows that go four at a time */
    int64_t deep = whole ? depth / 4 * 4 : 0;
    for (int64_t k = 0; k < deep; k += 4)
        turn_4x4(x + k, ldx, a + k * rows, rows);
    for (int64_t k = 0; k < depth; k++)
        for (int i = k < deep ? whole : 0; i < rows; i++)
            a[k * rows + i] = x[i * ldx + k];
}

static void transpose_f32_16_neon(int cols, const float *w, int64_t ldw, int64_t depth,
                                  float *panel)
{
    int64_t k = 0;
    for (; cols == NR && k + 4 <= depth; k += 4)
#pragma GCC unroll 4
        for (int j = 0; j < NR; j += 4)
            turn_4x4(w + j * ldw + k, ldw, panel + k * NR + j, NR);
    for (; k < depth; k++)
        for (int j = 0; j < NR; j++)
            panel[k * NR + j] = j < cols ? w[j * ldw + k] : 0.0f;
}

static void spread_f32_16_neon(const float *w, int64_t n, int64_t stride, float *panel)
{
    int64_t j = 0;
    for (; j + NR <= n; j += NR, panel += stride)
        memcpy(panel, w + j, NR * sizeof *panel);
    for (int i = 0; j < n && i < NR; i++)
        panel[i] = j + i < n ? w[j + i] : 0.0f;
}

/* ---- decoders ------------------------------------------------------------------------------ */

/* 8 codes; one product and one sum, each rounded. */
INLINE void store_8(uint16x8_t q, float32x4_t scale, float32x4_t bias, float *out)
{
    float32x4_t low = vcvtq_f32_u32(vmovl_u16(vget_low_u16(q)));
    float32x4_t high = vcvtq_f32_u32(vmovl_u16(vget_high_u16(q)));
    vst1q_f32(out, vaddq_f32(vmulq_f32(low, scale), bias));
    vst1q_f32(out + 4, vaddq_f32(vmulq_f32(high, scale), bias));
}

/* 16 codes of one byte each. */
INLINE void store_16(uint8x16_t q, float32x4_t scale, float32x4_t bias, float *out)
{
    store_8(vmovl_u8(vget_low_u8(q)), scale, bias, out);
    store_8(vmovl_u8(vget_high_u8(q)), scale, bias, out + 8);
}

/* 16 signed codes. */
INLINE void store_signed(int8x16_t q, float32x4_t scale, float *out)
{
    int16x8_t half[2] = {vmovl_s8(vget_low_s8(q)), vmovl_s8(vget_high_s8(q))};
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++, out += 8) {
        float32x4_t low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(half[i])));
        float32x4_t high = vcvtq_f32_s32(vmovl_s16(vget_high_s16(half[i])));
        vst1q_f32(out, vmulq_f32(low, scale));
        vst1q_f32(out + 4, vmulq_f32(high, scale));
    }
}

static void decode_f32(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    memcpy(out, row_at(m, row) + col * 4, (size_t)n * sizeof *out);
}

INLINE void decode_halves(const enum hn_layout layout, const unsigned char *at, int64_t n,
                          float *out)
{
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        vst1q_f32(out + k, load_plain_4(layout, at + k * 2));
    for (; k < n; k++)
        out[k] = widen((enum hn_dtype)layout, at, (size_t)k);
}

static void decode_f16(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_halves(HN_LAYOUT_F16, row_at(m, row) + col * 2, n, out);
}

static void decode_bf16(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_halves(HN_LAYOUT_BF16, row_at(m, row) + col * 2, n, out);
}

/* GGUF's blocks of 32 with 4 or 5 bits: where the fifth bits and the codes lie in a block, and
 * whether codes have a bias or a middle that counts as zero. */
INLINE void decode_blocks(const int size, const int fifth, const int codes, const int middle,
                          const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                          float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * size;
    for (int64_t k = 0; k < n; k += 32, at += size) {
        uint8x16_t v = vld1q_u8(at + codes);
        uint8x16_t q[2] = {vandq_u8(v, vdupq_n_u8(15)), vshrq_n_u8(v, 4)};
        float32x4_t d = vdupq_n_f32(half(at));
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            if (fifth)
                q[i] = vorrq_u8(q[i], fifth_16(at + fifth + 2 * i));
            if (middle)
                store_signed(vreinterpretq_s8_u8(vsubq_u8(q[i], vdupq_n_u8((uint8_t)middle))), d,
                             out + k + 16 * i);
            else
                store_16(q[i], d, vdupq_n_f32(half(at + 2)), out + k + 16 * i);
        }
    }
}

static void decode_q4_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_blocks(18, 0, 2, 8, m, row, col, n, out);
}

static void decode_q4_1(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_blocks(20, 0, 4, 0, m, row, col, n, out);
}

static void decode_q5_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_blocks(22, 2, 6, 16, m, row, col, n, out);
}

static void decode_q5_1(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_blocks(24, 4, 8, 0, m, row, col, n, out);
}

static void decode_q8_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / 32 * 34;
    for (int64_t k = 0; k < n; k += 32, at += 34) {
        float32x4_t d = vdupq_n_f32(half(at));
        store_signed(vreinterpretq_s8_u8(vld1q_u8(at + 2)), d, out + k);
        store_signed(vreinterpretq_s8_u8(vld1q_u8(at + 18)), d, out + k + 16);
    }
}

/* The codes of group j of a Q4_K or Q5_K block. */
INLINE void decode_group_k(const bool five, const unsigned char *block, int j, float *out)
{
    struct scales_k s = scales_k(block);
    float scales[8], biases[8];
    memcpy(scales, s.scale, sizeof scales);
    memcpy(biases, s.bias, sizeof biases);
    float32x4_t scale = vdupq_n_f32(scales[j]), bias = vdupq_n_f32(biases[j]);
    const unsigned char *codes = block + (five ? 48 : 16) + j / 2 * 32, *high = block + 16;
#pragma GCC unroll 2
    for (int i = 0; i < 32; i += 16) {
        uint8x16_t q = vshlq_u8(vld1q_u8(codes + i), vdupq_n_s8((int8_t)(j % 2 * -4)));
        q = vandq_u8(q, vdupq_n_u8(15));
        if (five) {
            uint8x16_t bit = vshlq_u8(vld1q_u8(high + i), vdupq_n_s8((int8_t)-j));
            q = vorrq_u8(q, vshlq_n_u8(vandq_u8(bit, vdupq_n_u8(1)), 4));
        }
        store_16(q, scale, bias, out + i);
    }
}

static void decode_q4_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    for (int64_t k = col; k < col + n; k += 32, out += 32)
        decode_group_k(false, row_at(m, row) + k / 256 * 144, (int)(k % 256 / 32), out);
}

static void decode_q5_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    for (int64_t k = col; k < col + n; k += 32, out += 32)
        decode_group_k(true, row_at(m, row) + k / 256 * 176, (int)(k % 256 / 32), out);
}

static void decode_q6_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    for (int64_t k = col; k < col + n; k += 32, out += 32) {
        const unsigned char *b = row_at(m, row) + k / 256 * 210;
        int half_block = (int)(k % 256 / 128), g = (int)(k % 128 / 32);
        const unsigned char *low = b + half_block * 64 + g % 2 * 32;
        const unsigned char *high = b + 128 + half_block * 32;
        const unsigned char *scales = b + 192 + half_block * 8 + 2 * g;
        float d = half(b + 208);
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
            uint8x16_t q = vshlq_u8(vld1q_u8(low + 16 * i), vdupq_n_s8((int8_t)(g / 2 * -4)));
            uint8x16_t top = vshlq_u8(vld1q_u8(high + 16 * i), vdupq_n_s8((int8_t)(-2 * g)));
            q = vandq_u8(q, vdupq_n_u8(15));
            q = vorrq_u8(q, vshlq_n_u8(vandq_u8(top, vdupq_n_u8(3)), 4));
            store_signed(vreinterpretq_s8_u8(vsubq_u8(q, vdupq_n_u8(32))),
                         vdupq_n_f32(d * (float)(signed char)scales[i]), out + 16 * i);
        }
    }
}

/* 32 codes of bits each from bits*4 bytes. */
INLINE void affine_32(const unsigned char *at, const int bits, float32x4_t scale, float32x4_t bias,
                      float *out)
{
    if (bits == 8) {
        store_16(vld1q_u8(at), scale, bias, out);
        store_16(vld1q_u8(at + 16), scale, bias, out + 16);
    } else if (bits == 4) {
        uint8x16_t v = vld1q_u8(at), low = vandq_u8(v, vdupq_n_u8(15)), high = vshrq_n_u8(v, 4);
        store_16(vzip1q_u8(low, high), scale, bias, out);
        store_16(vzip2q_u8(low, high), scale, bias, out + 16);
    } else {
        for (int i = 0; i < 4; i++) { /* 8 codes are in a word that ends inside the 32 */
            int byte = HN_MIN(i * bits, 4 * bits - 8);
            store_8(codes_8(word_64(at + byte) >> 8 * (i * bits - byte), bits), scale, bias,
                    out + i * 8);
        }
    }
}

INLINE void affine_row(const struct hn_matrix *m, const int bits, int64_t row, int64_t col,
                       int64_t n, float *out)
{
    size_t stored = (size_t)hn_matrix_stored_row(m, row);
    const unsigned char *at = m->data + stored * m->row_size + col / 8 * bits;
    size_t g = (stored * (size_t)m->cols + (size_t)col) / (size_t)m->group;
    for (int64_t k = 0; k < n; g++) {
        float32x4_t scale = vdupq_n_f32(widen(m->scale_dtype, m->scales, g));
        float32x4_t bias = vdupq_n_f32(widen(m->scale_dtype, m->biases, g));
        for (int i = 0; i < m->group; i += 32, k += 32, at += 4 * bits)
            affine_32(at, bits, scale, bias, out + k);
    }
}

static void decode_affine(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                          float *out)
{
    switch (m->bits) {
    case 2:
        affine_row(m, 2, row, col, n, out);
        break;
    case 3:
        affine_row(m, 3, row, col, n, out);
        break;
    case 4:
        affine_row(m, 4, row, col, n, out);
        break;
    case 5:
        affine_row(m, 5, row, col, n, out);
        break;
    case 6:
        affine_row(m, 6, row, col, n, out);
        break;
    default:
        affine_row(m, 8, row, col, n, out);
    }
}

static void decode_bnb8(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col;
    const float inverse = 7.874015718698502e-3f; /* float32(1/127): hn_decode_bnb8 */
    float scale = widen(HN_F32, m->scales, (size_t)hn_matrix_stored_row(m, row));
    int64_t k = 0;
    for (; k + 16 <= n; k += 16) {
        store_signed(vreinterpretq_s8_u8(vld1q_u8(at + k)), vdupq_n_f32(scale), out + k);
        for (int i = 0; i < 16; i += 4)
            vst1q_f32(out + k + i, vmulq_n_f32(vld1q_f32(out + k + i), inverse));
    }
    for (; k < n; k++)
        out[k] = (float)(signed char)at[k] * scale * inverse;
}

/* ---- dot products of a few rows with a few rows -------------------------------------------- */

static void dots_f32(const float *x, int64_t ldx, int nt, const float *w, int64_t ldw, int n,
                     int64_t depth, float *y, int64_t ldy)
{
    for (int t = 0; t < nt; t++) {
        for (int i = 0; i < n; i++) {
            const float *xt = x + t * ldx, *wi = w + i * ldw;
            float32x4_t s[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
            int64_t k = 0;
            for (; k + 16 <= depth; k += 16)
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++)
                    s[j] = vfmaq_f32(s[j], vld1q_f32(xt + k + 4 * j), vld1q_f32(wi + k + 4 * j));
            float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s[0], s[1]), vaddq_f32(s[2], s[3])));
            for (; k < depth; k++)
                sum += xt[k] * wi[k];
            y[t * ldy + i] = sum;
        }
    }
}

/* ---- dropout ------------------------------------------------------------------------------- */

/* c[i] = word i of four Philox counters, one per lane. */
INLINE void philox_4(const uint32_t key[2], uint32x4_t c[4])
{
    const uint32_t m0 = 0xD2511F53u, m1 = 0xCD9E8D57u;
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint32x4_t p0 = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(c[0]), m0));
        uint32x4_t q0 = vreinterpretq_u32_u64(vmull_high_n_u32(c[0], m0));
        uint32x4_t p1 = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(c[2]), m1));
        uint32x4_t q1 = vreinterpretq_u32_u64(vmull_high_n_u32(c[2], m1));
        c[0] = veorq_u32(veorq_u32(vuzp2q_u32(p1, q1), c[1]), vdupq_n_u32(k0));
        c[2] = veorq_u32(veorq_u32(vuzp2q_u32(p0, q0), c[3]), vdupq_n_u32(k1));
        c[1] = vuzp1q_u32(p1, q1);
        c[3] = vuzp1q_u32(p0, q0);
    }
}

static void dropout_mask_neon(const uint32_t key[2], uint32_t t, uint32_t module, uint32_t step,
                              uint32_t threshold, int64_t n, unsigned char *mask)
{
    static const uint32_t count[4] = {0, 1, 2, 3};
    static const uint16_t bit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    int64_t size = (n + 7) / 8;
    if (threshold > 0xffff) {
        memset(mask, 0, (size_t)size);
        return;
    }
    uint16x8_t least = vdupq_n_u16((uint16_t)threshold);
    for (int64_t i = 0; i < size; i += 4) {
        uint32x4x4_t c = {{vaddq_u32(vld1q_u32(count), vdupq_n_u32((uint32_t)i)), vdupq_n_u32(t),
                           vdupq_n_u32(module), vdupq_n_u32(step)}};
        uint32_t words[16]; /* those of counter 0, then of counter 1… */
        unsigned char bytes[4];
        philox_4(key, c.val);
        vst4q_u32(words, c);
        for (int j = 0; j < 4; j++) {
            uint16x8_t u = vreinterpretq_u16_u32(vld1q_u32(words + 4 * j));
            bytes[j] = (unsigned char)vaddvq_u16(vandq_u16(vcgeq_u16(u, least), vld1q_u16(bit)));
        }
        memcpy(mask + i, bytes, (size_t)HN_MIN(4, size - i));
    }
}

static void masked_neon(const unsigned char *mask, float scale, const float *x, int64_t n, float *y,
                        bool add)
{
    static const uint32_t bit[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    int64_t c = 0;
    for (; c + 8 <= n; c += 8) {
#pragma GCC unroll 2
        for (int i = 0; i < 8; i += 4) {
            uint32x4_t keep = vtstq_u32(vdupq_n_u32(mask[c / 8]), vld1q_u32(bit + i));
            uint32x4_t v = vreinterpretq_u32_f32(vmulq_n_f32(vld1q_f32(x + c + i), scale));
            float32x4_t kept = vreinterpretq_f32_u32(vandq_u32(v, keep));
            vst1q_f32(y + c + i, add ? vaddq_f32(vld1q_f32(y + c + i), kept) : kept);
        }
    }
    for (; c < n; c++) {
        float kept = mask[c / 8] >> (c % 8) & 1 ? x[c] * scale : 0.0f;
        y[c] = add ? y[c] + kept : kept;
    }
}

/* ---- softmax ------------------------------------------------------------------------------- */

#define LEAST -0x1.f310e4p5f /* log 2^-90 */

/* exp of x <= 0 within 2 ulp: x = k ln2 + r, |r| <= ln2/2, and Taylor's polynomial of degree 7,
 * whose error is below 2^-27.  NaN stays. */
INLINE float32x4_t exp_4(float32x4_t x)
{
    uint32x4_t tiny = vcltq_f32(x, vdupq_n_f32(LEAST));
    x = vmaxq_f32(vdupq_n_f32(LEAST), x);
    float32x4_t k = vrndnq_f32(vmulq_n_f32(x, 0x1.715476p0f));
    float32x4_t r = vfmsq_n_f32(x, k, 0x1.62e4p-1f);
    r = vfmsq_n_f32(r, k, 0x1.7f7d1cp-20f);
    float32x4_t p = vdupq_n_f32(1.0f / 5040);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 720), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 120), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 24), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 6), p, r);
    p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
    p = vaddq_f32(vfmaq_f32(r, vmulq_f32(r, r), p), vdupq_n_f32(1.0f));
    int32x4_t scale = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(k), vdupq_n_s32(127)), 23);
    p = vmulq_f32(p, vreinterpretq_f32_s32(scale));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), tiny));
}

/* A vector of x from i on, other where n ends. */
INLINE float32x4_t load_end(const float *x, int64_t i, int64_t n, float other)
{
    if (i + LANES <= n)
        return vld1q_f32(x + i);
    float v[LANES] = {other, other, other, other};
    memcpy(v, x + i, (size_t)(n - i) * sizeof *v);
    return vld1q_f32(v);
}

static int64_t softmax_step_neon(float *x, int64_t n, float *max, double *sum)
{
    float32x4_t top = vdupq_n_f32(-INFINITY), total = vdupq_n_f32(0);
    for (int64_t i = 0; i < n; i += LANES) /* a NaN is passed over here, and met below */
        top = vmaxnmq_f32(load_end(x, i, n, -INFINITY), top);
    float old = *max, now = vmaxnmvq_f32(top);
    int64_t best = -1;
    if (!(now > old))
        now = old;
    for (int64_t i = 0; now > old && best < 0; i++)
        best = x[i] == now ? i : -1;
    for (int64_t i = 0; i < n; i += LANES) {
        float32x4_t e = exp_4(vsubq_f32(load_end(x, i, n, -INFINITY), vdupq_n_f32(now)));
        if (i + LANES <= n) {
            vst1q_f32(x + i, e);
        } else {
            float v[LANES];
            vst1q_f32(v, e);
            memcpy(x + i, v, (size_t)(n - i) * sizeof *v);
        }
        total = vaddq_f32(total, e);
    }
    double s = (double)vaddvq_f32(total);
    *sum = best < 0 ? *sum + s : *sum * exp((double)old - now) + s;
    *max = now;
    return best;
}

const struct hn_cpu_matmul hn_cpu_matmul_neon = {
    .plain = {.mr = MR,
              .nr = NR,
              .row_grain = 1,
              .depth_grain = 1,
              .element_size = 4,
              .tile = tile_f32_6x16_neon,
              .pack = pack_f32_6_neon,
              .transpose = transpose_f32_16_neon,
              .spread = spread_f32_16_neon},
    .decode = {[HN_LAYOUT_F32] = decode_f32,
               [HN_LAYOUT_F16] = decode_f16,
               [HN_LAYOUT_BF16] = decode_bf16,
               [HN_LAYOUT_AFFINE] = decode_affine,
               [HN_LAYOUT_Q4_0] = decode_q4_0,
               [HN_LAYOUT_Q4_1] = decode_q4_1,
               [HN_LAYOUT_Q5_0] = decode_q5_0,
               [HN_LAYOUT_Q5_1] = decode_q5_1,
               [HN_LAYOUT_Q8_0] = decode_q8_0,
               [HN_LAYOUT_Q4_K] = decode_q4_k,
               [HN_LAYOUT_Q5_K] = decode_q5_k,
               [HN_LAYOUT_Q6_K] = decode_q6_k,
               [HN_LAYOUT_BNB8] = decode_bnb8},
    .dots = dots_f32,
    .dropout_mask = dropout_mask_neon,
    .masked = masked_neon,
    .softmax_step = softmax_step_neon,
};

#endif
