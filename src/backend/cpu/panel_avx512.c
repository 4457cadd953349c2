/* Panels of 4- and 8-bit weights with AVX-512, as panel_rows.h says. */
#include "backend/cpu/panel.h"
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/vec_avx512.h"

#ifndef __AVX512F__
const struct hn_cpu_panel hn_cpu_panel_avx512 = {0};
#else

enum { ROWS = 16, NR = 32 };

#include "backend/cpu/panel_rows.h"

INLINE __m512i four_rows(const struct rows *r, int i, int64_t byte)
{
    __m512i v = _mm512_castsi128_si512(load_16(r->at[i] + byte));
    v = _mm512_inserti32x4(v, load_16(r->at[i + 4] + byte), 1);
    v = _mm512_inserti32x4(v, load_16(r->at[i + 8] + byte), 2);
    return _mm512_inserti32x4(v, load_16(r->at[i + 12] + byte), 3);
}

INLINE void turn_words(const struct rows *r, int64_t byte, ivec word[4])
{
    __m512i a = four_rows(r, 0, byte), b = four_rows(r, 1, byte);
    __m512i c = four_rows(r, 2, byte), d = four_rows(r, 3, byte);
    __m512i ab0 = _mm512_unpacklo_epi32(a, b), ab1 = _mm512_unpackhi_epi32(a, b);
    __m512i cd0 = _mm512_unpacklo_epi32(c, d), cd1 = _mm512_unpackhi_epi32(c, d);
    word[0] = _mm512_unpacklo_epi64(ab0, cd0);
    word[1] = _mm512_unpackhi_epi64(ab0, cd0);
    word[2] = _mm512_unpacklo_epi64(ab1, cd1);
    word[3] = _mm512_unpackhi_epi64(ab1, cd1);
}

/* A block is longer than the four bytes that a lane gathers. */
INLINE vec v_halves(const struct rows *r, int64_t byte)
{
    __m512i v = _mm512_i32gather_epi32(_mm512_loadu_si512(r->offset), r->at[0] + byte, 1);
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

INLINE vec v_scales(const unsigned char *const at[ROWS], enum hn_dtype t)
{
    uint16_t h[ROWS];
    for (int i = 0; i < ROWS; i++)
        memcpy(&h[i], at[i], sizeof h[i]);
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)h);
    return t == HN_F16 ? _mm512_cvtph_ps(v) : widen_bf16(v);
}

const struct hn_cpu_panel hn_cpu_panel_avx512 = {.layout = PANEL_ROWS};

#endif
