/* How a token is laid out for the streaming products: rounded to 16-bit integers, block by block,
 * in the order in which the codes of a format come out of their words.  Included by AVX2 and
 * AVX-512 files alone.
 *
 * A block of 32 elements x is scale * q with scale = max |x| / 32767 and q = round(x / scale): off
 * by 2^-16 of the block's largest at most.  Products of codes and q, and their sums over a block,
 * are exact in 32 bits.  A block that holds an infinity or a NaN is NaN.
 *
 *   nibbles   chunks of 8*LANES codes, which are LANES 32-bit words of 4-bit codes; 32 bits lie in
 *             one lane.  Per chunk four vectors of 16-bit integers, vector i for the i-th nibble
 *             of each 16-bit half of a word, then per lane the scale of its block and the sum of
 *             its x
 *   eight     the vectors of eight blocks' four chunks (LANES 8), then the blocks' scales and their
 *             sums of x, both in the order 0, 2, 4, 6, 1, 3, 5, 7; where codes have a middle in the
 *             place of a bias, the sums are of the integers, times -middle.  Of the class int8 a
 *             chunk is two vectors of bytes (scale = max |x| / 127): what meets the low nibbles of
 *             the words' bytes, then the high ones
 *   groups    blocks of 256: the vectors of their chunks (two groups share bytes: nibbles 0 and 2
 *             are of one, 1 and 3 of the other), then 16 scales and 16 sums of x, one of each for
 *             every group in its order, zeros after them
 *   plain     the integers as they come, then the scale of each block, then the sum of x of each
 *             group of the weight */
#ifndef HN_BACKEND_CPU_GEMV_TOKENS_H
#define HN_BACKEND_CPU_GEMV_TOKENS_H

#include "backend/cpu/codes_avx2.h"

#include <math.h>

#ifdef __AVX2__

enum { TOKEN_BLOCK = 32, SUPERBLOCK = 256, GROUPS_SCALES = 128, GROUPS_FLOATS = 160 };

/* Floats before the scales of eight blocks, and of all. */
INLINE int eight_scales(const bool bytes)
{
    return bytes ? 64 : 128;
}
INLINE int eight_floats(const bool bytes)
{
    return eight_scales(bytes) + 16;
}
/* Their order: 0, 2, 4, 6 | 1, 3, 5, 7. */
INLINE int place_in_eight(int b)
{
    return b / 2 + b % 2 * 4;
}

/* q[0], q[1] = 32 elements of x as integers of 16 bits, at most `largest` in magnitude; returns
 * their scale. */
INLINE float round_to(const float largest, const float *x, __m256i q[2])
{
    __m256 v[4];
    __m256i most = _mm256_setzero_si256(), integers[4];
    for (int i = 0; i < 4; i++) { /* as integers, magnitudes order as they should, NaN the last */
        v[i] = _mm256_loadu_ps(x + 8 * i);
        most = _mm256_max_epu32(
            most, _mm256_and_si256(_mm256_castps_si256(v[i]), _mm256_set1_epi32(INT32_MAX)));
    }
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    float top = _mm_cvtss_f32(_mm_castsi128_ps(m));
    if (!(top >= 0x1p-100f && top < HUGE_VALF)) {
        q[0] = q[1] = _mm256_setzero_si256();
        return top < 0x1p-100f ? 0.0f : NAN;
    }
    __m256 inverse = _mm256_set1_ps(largest / top);
    for (int i = 0; i < 4; i++)
        integers[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    for (int i = 0; i < 2; i++)
        q[i] = _mm256_permute4x64_epi64(_mm256_packs_epi32(integers[2 * i], integers[2 * i + 1]),
                                        0xd8);
    return top / largest;
}

INLINE float round_block(const float *x, __m256i q[2])
{
    return round_to(32767.0f, x, q);
}

/* Elements 0, 2, 4… of 16, then 1, 3, 5… */
INLINE __m256i even_odd(__m256i v)
{
    const __m256i pick = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0,
                                          1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(v, pick), 0xd8);
}

INLINE void store_8(int16_t *at, __m128i v)
{
    _mm_storeu_si128((__m128i *)(void *)at, v);
}

/* Each lane's sum over the four vectors of a chunk, times its scale. */
INLINE void sum_nibbles(const int n_lanes, const int16_t *words, const float *scales, float *sums)
{
    for (int l = 0; l < n_lanes; l += 8) {
        __m256i sum = _mm256_setzero_si256();
        for (int i = 0; i < 4; i++) {
            const int16_t *at = words + 2 * (i * n_lanes + l);
            sum = _mm256_add_epi32(
                sum, _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)at),
                                       _mm256_set1_epi16(1)));
        }
        _mm256_storeu_ps(sums + l,
                         _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scales + l)));
    }
}

/* The 32 integers of a block, eight for each nibble of the 16-bit halves of its words.
 * apart 16: a byte holds elements p and p+16 of its block (GGUF); 1: elements 2p, 2p+1 (affine) */
INLINE void order_nibbles(const int apart, const __m256i q[2], __m128i v[4])
{
    __m256i a = even_odd(q[0]), c = even_odd(q[1]); /* [even|odd] of each half */
    v[0] = _mm256_castsi256_si128(a), v[2] = _mm256_extracti128_si256(a, 1);
    v[1] = _mm256_castsi256_si128(c), v[3] = _mm256_extracti128_si256(c, 1);
    if (apart == 1) {
        a = even_odd(_mm256_set_m128i(v[1], v[0])); /* of the even: 4i | 4i+2 */
        c = even_odd(_mm256_set_m128i(v[3], v[2])); /* of the odd: 4i+1 | 4i+3 */
        v[0] = _mm256_castsi256_si128(a), v[2] = _mm256_extracti128_si256(a, 1);
        v[1] = _mm256_castsi256_si128(c), v[3] = _mm256_extracti128_si256(c, 1);
    }
}

INLINE void prepare_nibbles(const int n_lanes, const int apart, const struct hn_matrix *w,
                            const float *x, float *out)
{
    const int chunk_floats = 6 * n_lanes;
    int64_t n_chunks = (w->cols + 8 * n_lanes - 1) / (8 * n_lanes);
    if (w->cols % (8 * n_lanes))
        memset(out + (n_chunks - 1) * chunk_floats, 0, (size_t)chunk_floats * sizeof *out);
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK) {
        float *chunk = out + k / (8 * n_lanes) * chunk_floats;
        int b = (int)(k % (8 * n_lanes) / TOKEN_BLOCK);
        int16_t *at = (int16_t *)(void *)chunk + 8 * b;
        __m256i q[2];
        __m128i v[4];
        float scale = round_block(x + k, q);
        order_nibbles(apart, q, v);
        for (int i = 0; i < 4; i++)
            store_8(at + 2 * i * n_lanes, v[i]);
        _mm_storeu_ps(chunk + 4 * n_lanes + 4 * b, _mm_set1_ps(scale));
    }
    for (int64_t i = 0; i < n_chunks; i++, out += chunk_floats)
        sum_nibbles(n_lanes, (const int16_t *)(const void *)out, out + 4 * n_lanes,
                    out + 5 * n_lanes);
}

/* Sum of 16 integers, exact. */
INLINE float sum_16(__m256i q)
{
    return sum_lanes(_mm256_cvtepi32_ps(_mm256_madd_epi16(q, _mm256_set1_epi16(1))));
}

/* The same as bytes: what meets the low nibbles of bytes, and the high ones. */
INLINE void order_bytes(const int apart, const __m256i q[2], __m128i v[2])
{
    __m256i a = q[0], c = q[1];
    if (apart == 1) { /* the even elements, then the odd ones */
        __m256i e = even_odd(q[0]), f = even_odd(q[1]);
        a = _mm256_permute2x128_si256(e, f, 0x20);
        c = _mm256_permute2x128_si256(e, f, 0x31);
    }
    v[0] = _mm_packs_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    v[1] = _mm_packs_epi16(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
}

/* Block b of eight: its integers q, ordered, and its scale go to their places; returns the scale.
 */
INLINE float put_in_eight(const bool bytes, const int apart, const float *x, int b, float *eight,
                          __m256i q[2])
{
    const int vectors = bytes ? 2 : 4;
    unsigned char *at = (unsigned char *)eight + (b / 2 * vectors * 2 + b % 2) * 16;
    __m128i v[4];
    float scale = round_to(bytes ? 127.0f : 32767.0f, x, q);
    if (bytes)
        order_bytes(apart, q, v);
    else
        order_nibbles(apart, q, v);
    for (int i = 0; i < vectors; i++)
        _mm_storeu_si128((__m128i *)(void *)(at + 32 * i), v[i]);
    eight[eight_scales(bytes) + place_in_eight(b)] = scale;
    return scale;
}

INLINE void prepare_eight(const bool bytes, const int apart, const int middle,
                          const struct hn_matrix *w, const float *x, float *out)
{
    enum { EIGHT = 8 * TOKEN_BLOCK };
    const int size = eight_floats(bytes);
    if (w->cols % EIGHT)
        memset(out + w->cols / EIGHT * size, 0, (size_t)size * sizeof *out);
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK) {
        float *eight = out + k / EIGHT * size;
        int b = (int)(k % EIGHT / TOKEN_BLOCK);
        __m256i q[2];
        float scale = put_in_eight(bytes, apart, x + k, b, eight, q);
        float sum = sum_16(q[0]) + sum_16(q[1]);
        eight[eight_scales(bytes) + 8 + place_in_eight(b)] =
            middle ? (float)-middle * sum : scale * sum;
    }
}

/* Where group g of 256 elements goes: which chunk, which eight lanes in it, which nibble pair. */
struct group_place {
    int chunk, lanes, part;
};

/* Q4_K, Q5_K: 32 bytes hold groups 2p (low nibbles) and 2p+1.  Q6_K: 64 bytes hold four groups, the
 * first two low. */
INLINE struct group_place place_group(const int n_lanes, const bool six, int g)
{
    int in_half = g % 4, bytes = six ? in_half % 2 : in_half / 2; /* which 32 bytes of the 64 */
    struct group_place p = {.part = six ? in_half / 2 : in_half % 2};
    p.chunk = n_lanes == 16 ? g / 4 : g / 4 * 2 + bytes;
    p.lanes = n_lanes == 16 ? 8 * bytes : 0;
    return p;
}

INLINE void prepare_groups(const int n_lanes, const bool six, const struct hn_matrix *w,
                           const float *x, float *out)
{
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK) {
        int g = (int)(k % SUPERBLOCK / TOKEN_BLOCK);
        struct group_place p = place_group(n_lanes, six, g);
        float *block = out + k / SUPERBLOCK * GROUPS_FLOATS;
        float *scales = block + GROUPS_SCALES, *sums = scales + 16;
        int16_t *at = (int16_t *)(void *)(block + p.chunk * 4 * n_lanes);
        __m256i q[2];
        float scale = round_block(x + k, q);
        at += 2 * (p.part * n_lanes + p.lanes);
        for (int i = 0; i < 2; i++) {
            __m256i v = even_odd(q[i]);
            store_8(at + 8 * i, _mm256_castsi256_si128(v));
            store_8(at + 8 * i + 4 * n_lanes, _mm256_extracti128_si256(v, 1));
        }
        if (six) {
            for (int i = 0; i < 2; i++) {
                scales[2 * g + i] = scale;
                sums[2 * g + i] = scale * sum_16(q[i]);
            }
        } else {
            scales[g] = scale;
            sums[g] = scale * (sum_16(q[0]) + sum_16(q[1]));
            scales[g + 8] = sums[g + 8] = 0.0f;
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
        __m256i q[2];
        float scale = round_block(x + k, q);
        for (int i = 0; i < 2; i++)
            _mm256_storeu_si256((__m256i *)(void *)((int16_t *)(void *)out + k + 16 * i), q[i]);
        scales[k / TOKEN_BLOCK] = scale;
        if (!group)
            continue;
        __m256i ones = _mm256_set1_epi16(1),
                pairs =
                    _mm256_add_epi32(_mm256_madd_epi16(q[0], ones), _mm256_madd_epi16(q[1], ones));
        float sum = scale * sum_lanes(_mm256_cvtepi32_ps(pairs)), *to = &sums[k / group];
        *to = k % group ? *to + sum : sum;
    }
}

#endif
#endif
