/* Stored weights as vectors of integers or floats, with AVX2: shared by the decoders and the
 * streaming products.  Included by AVX2 files alone. */
#ifndef HN_BACKEND_CPU_CODES_AVX2_H
#define HN_BACKEND_CPU_CODES_AVX2_H

#include "backend/cpu/cpu.h"

#ifdef __AVX2__
#include <immintrin.h>
#include <string.h>

INLINE const unsigned char *row_at(const struct hn_matrix *m, int64_t row)
{
    return m->data + (size_t)hn_matrix_stored_row(m, row) * m->row_size;
}

INLINE __m128i load_16(const unsigned char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

INLINE uint16_t half_word(const unsigned char *at)
{
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return h;
}

INLINE float half(const unsigned char *at)
{
    return _cvtsh_ss(half_word(at));
}

/* The 16 bits that lie `from` bytes after these addresses, and as eight float16 numbers. */
INLINE __m128i half_words_at(const unsigned char *const at[8], int64_t from)
{
    __m128i v = _mm_cvtsi32_si128(half_word(at[0] + from));
    v = _mm_insert_epi16(v, half_word(at[1] + from), 1);
    v = _mm_insert_epi16(v, half_word(at[2] + from), 2);
    v = _mm_insert_epi16(v, half_word(at[3] + from), 3);
    v = _mm_insert_epi16(v, half_word(at[4] + from), 4);
    v = _mm_insert_epi16(v, half_word(at[5] + from), 5);
    v = _mm_insert_epi16(v, half_word(at[6] + from), 6);
    return _mm_insert_epi16(v, half_word(at[7] + from), 7);
}

INLINE __m256 halves_at(const unsigned char *const at[8], int64_t from)
{
    return _mm256_cvtph_ps(half_words_at(at, from));
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

/* 8 plain elements. */
INLINE __m256 load_plain_8(const enum hn_layout layout, const unsigned char *at)
{
    if (layout == HN_LAYOUT_F32)
        return _mm256_loadu_ps((const float *)(const void *)at);
    if (layout == HN_LAYOUT_F16)
        return _mm256_cvtph_ps(load_16(at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16(at)), 16));
}

/* Codes 8i..8i+7 of the 32 that begin at `at`.  Eight codes are `bits` bytes: they lie in one
 * 64-bit word that ends inside the 32 codes, and each lane shifts it differently. */
INLINE __m256i affine_8(const unsigned char *at, int i, const int bits)
{
    if (bits == 8)
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(at + 8 * i)));
    int byte = HN_MIN(i * bits, 4 * bits - 8);
    uint64_t word;
    memcpy(&word, at + byte, sizeof word);
    __m256i v = _mm256_set1_epi64x((long long)(word >> 8 * (i * bits - byte)));
    __m256i even = _mm256_srlv_epi64(v, _mm256_setr_epi64x(0, 2 * bits, 4 * bits, 6 * bits));
    __m256i odd = _mm256_srlv_epi64(v, _mm256_setr_epi64x(bits, 3 * bits, 5 * bits, 7 * bits));
    return _mm256_and_si256(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa),
                            _mm256_set1_epi32((1 << bits) - 1));
}

INLINE float sum_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* ---- codes of odd widths ------------------------------------------------------------------- */

/* Where 16 codes of bits each lie in the 16 bytes that both 128-bit lanes hold: the two bytes of
 * each code, and the factor that moves it to the top of its 16 bits. */
struct code_places {
    __m256i bytes, factor;
};

INLINE struct code_places code_places(const int bits)
{
    struct code_places p;
    unsigned char bytes[32];
    uint16_t factor[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        bytes[2 * i] = (unsigned char)(i * bits / 8);
        bytes[2 * i + 1] = (unsigned char)(i * bits / 8 + 1);
        factor[i] = (uint16_t)(1 << (16 - bits - i * bits % 8));
    }
    memcpy(&p.bytes, bytes, sizeof p.bytes);
    memcpy(&p.factor, factor, sizeof p.factor);
    return p;
}

/* ---- blocks of 256 ------------------------------------------------------------------------- */

/* d * scale and -(dmin * min) of a Q4_K or Q5_K block's eight groups; src/quant/kquants.c has the
 * packing of the 12 bytes. */
struct scales_k {
    __m256 scale, bias;
};

INLINE __m256 six_bits(uint32_t first, uint32_t last, float f)
{
    __m128i bytes = _mm_insert_epi32(_mm_cvtsi32_si128((int)first), (int)last, 1);
    return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_set1_ps(f));
}

INLINE struct scales_k scales_k(const unsigned char *block)
{
    uint32_t u[3];
    memcpy(u, block + 4, sizeof u);
    struct scales_k s;
    s.scale =
        six_bits(u[0] & 0x3f3f3f3fu, (u[2] & 0x0f0f0f0fu) | (u[0] >> 2 & 0x30303030u), half(block));
    s.bias = six_bits(u[1] & 0x3f3f3f3fu, (u[2] >> 4 & 0x0f0f0f0fu) | (u[1] >> 2 & 0x30303030u),
                      -half(block + 2));
    return s;
}

#endif
#endif
