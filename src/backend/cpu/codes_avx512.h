/* Stored weights as vectors of 16, with AVX-512: shared by the decoders and the streaming products.
 * Included by AVX-512 files alone. */
#ifndef HN_BACKEND_CPU_CODES_AVX512_H
#define HN_BACKEND_CPU_CODES_AVX512_H

#include "backend/cpu/codes_avx2.h"

#ifdef __AVX512F__

/* The first n of 16 lanes; n may be negative. */
INLINE __mmask16 lanes(int64_t n)
{
    return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

INLINE __m512 widen_bf16(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

/* Up to 16 plain elements. */
INLINE __m512 load_plain(const enum hn_layout layout, __mmask16 m, const unsigned char *at)
{
    if (layout == HN_LAYOUT_F32)
        return _mm512_maskz_loadu_ps(m, at);
    __m256i h = _mm256_maskz_loadu_epi16(m, at);
    return layout == HN_LAYOUT_F16 ? _mm512_cvtph_ps(h) : widen_bf16(h);
}

/* 16 codes of bits each, which begin at a byte: each lane takes the two bytes that its code lies in
 * and shifts them. */
INLINE __m512i affine_16(const unsigned char *at, const int bits)
{
    if (bits == 8)
        return _mm512_cvtepu8_epi32(load_16(at));
    __m512i bit =
        _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                           _mm512_set1_epi32(bits));
    /* bytes b and b+1 of the 16, then two of none (top bit set) */
    __m512i pick =
        _mm512_add_epi32(_mm512_mullo_epi32(_mm512_srli_epi32(bit, 3), _mm512_set1_epi32(0x101)),
                         _mm512_set1_epi32((int)0x80800100));
    __m128i bytes = _mm_maskz_loadu_epi8((__mmask16)((1u << 2 * bits) - 1), at);
    __m512i pair = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), pick);
    return _mm512_and_si512(_mm512_srlv_epi32(pair, _mm512_and_si512(bit, _mm512_set1_epi32(7))),
                            _mm512_set1_epi32((1 << bits) - 1));
}

#endif
#endif
