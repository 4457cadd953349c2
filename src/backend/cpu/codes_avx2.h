/* Stored weights as vectors of integers or floats, with AVX2: shared by the decoders and the
 * streaming products.  Included by AVX2 files alone. */
#ifndef HN_BACKEND_CPU_CODES_AVX2_H
#define HN_BACKEND_CPU_CODES_AVX2_H

#include "backend/cpu/cpu.h"

#ifdef __AVX2__
#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE const unsigned char *row_at(const struct hn_matrix *m, int64_t row)
{
    return m->data + (size_t)hn_matrix_stored_row(m, row) * m->row_size;
}

INLINE __m128i load_16(const unsigned char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

INLINE float half(const unsigned char *at)
{
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return _cvtsh_ss(h);
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

/* ---- x in the order of 4-bit words --------------------------------------------------------- */

/* One 4 x 4 square of x: out[s] lane j = row j's element s, times s0*step^s; *sum adds the rows. */
INLINE void square(const float *row0, int64_t stride, float s0, float step, float *out,
                   int64_t out_stride, __m128 *sum)
{
    __m128 r0 = _mm_loadu_ps(row0), r1 = _mm_loadu_ps(row0 + stride);
    __m128 r2 = _mm_loadu_ps(row0 + 2 * stride), r3 = _mm_loadu_ps(row0 + 3 * stride);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    *sum = _mm_add_ps(*sum, _mm_add_ps(_mm_add_ps(r0, r1), _mm_add_ps(r2, r3)));
    _mm_storeu_ps(out, _mm_mul_ps(r0, _mm_set1_ps(s0)));
    _mm_storeu_ps(out + out_stride, _mm_mul_ps(r1, _mm_set1_ps(s0 * step)));
    _mm_storeu_ps(out + 2 * out_stride, _mm_mul_ps(r2, _mm_set1_ps(s0 * step * step)));
    _mm_storeu_ps(out + 3 * out_stride, _mm_mul_ps(r3, _mm_set1_ps(s0 * step * step * step)));
}

/* x for weights read as 32-bit words of eight 4-bit codes, `lanes` words (a chunk) at a time.  Per
 * chunk 9 vectors: vector s < 8 has x of each word's code s, divided by 16^s (s = 7: not divided,
 * since that code would reach the sign and is shifted down), the last the sum of each word's x.
 * The word's code s is, inside its block of 32, for
 *   apart 1   (affine: a byte holds elements 2p and 2p+1)       element 8j + s
 *   apart 16  (GGUF: a byte holds elements p and p+16)          element 4j + s/2 + 16*(s%2)
 * Past the last column x is 0. */
INLINE void prepare_words(const int n_lanes, const int apart, const struct hn_matrix *w,
                          const float *x, float *out)
{
    const int64_t chunk = 8 * n_lanes, floats = 9 * n_lanes;
    memset(out, 0, (size_t)((w->cols + chunk - 1) / chunk * floats) * sizeof *out);
    for (int64_t k = 0; k < w->cols; k += 32) {
        float *to = out + k / chunk * floats + k % chunk / 8;
        __m128 sum = _mm_setzero_ps();
        if (apart == 1) {
            square(x + k, 8, 1.0f, 0x1p-4f, to, n_lanes, &sum);
            square(x + k + 4, 8, 0x1p-16f, 0x1p-4f, to + 4 * n_lanes, n_lanes, &sum);
        } else {
            square(x + k, 4, 1.0f, 0x1p-8f, to, 2 * n_lanes, &sum);
            square(x + k + 16, 4, 0x1p-4f, 0x1p-8f, to + n_lanes, 2 * n_lanes, &sum);
        }
        float *last = to + 7 * n_lanes;
        _mm_storeu_ps(last, _mm_mul_ps(_mm_loadu_ps(last), _mm_set1_ps(0x1p28f)));
        _mm_storeu_ps(to + 8 * n_lanes, sum);
    }
}

#endif
#endif
