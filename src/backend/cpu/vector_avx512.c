/* AVX-512 inner loops: sixteen lanes, ragged ends by mask.  The loops are in vector_loops.h. */
#include "backend/cpu/vec_avx512.h"
#include "backend/cpu/vector.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

typedef __mmask16 part;
typedef __mmask16 seen_lanes;
#define W             16
#define V_PANEL       4
#define V_ROWS        6
#define V_ROWS_NARROW 12
#define V_FEW         4

INLINE part v_part(int64_t n)
{
    return (part)((1u << n) - 1);
}

INLINE part v_all(void)
{
    return 0xffff;
}

INLINE vec v_load_part(const float *p, part m)
{
    return _mm512_maskz_loadu_ps(m, p);
}

INLINE void v_store_part(float *p, part m, vec x)
{
    _mm512_mask_storeu_ps(p, m, x);
}

INLINE vec v_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

INLINE vec v_sqrt(vec a)
{
    return _mm512_sqrt_ps(a);
}

INLINE vec v_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

INLINE vec v_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

INLINE vec v_negate_if(bool yes, vec a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(yes ? -0.0f : 0.0f));
}

INLINE vec v_fnma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

INLINE vec v_round(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE vec v_ldexp(vec a, vec n)
{
    return _mm512_scalef_ps(a, n);
}

INLINE vec v_ldexp_normal(vec a, vec n, vec x, float lo)
{
    __mmask16 high = _mm512_cmp_ps_mask(x, _mm512_set1_ps(lo), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(high, a, n);
}

INLINE float v_sum(vec a)
{
    return _mm512_reduce_add_ps(a);
}

/* Pairs are interleaved and added, four times. */
INLINE void v_sums4(float *p, const vec s[4])
{
    __m256 h[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        h[i] = _mm256_add_ps(_mm512_castps512_ps256(s[i]), _mm512_extractf32x8_ps(s[i], 1));
    __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(h[0], h[1]), _mm256_hadd_ps(h[2], h[3]));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)));
}

INLINE void v_transpose(vec a[16])
{
    __m512 b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            __m512d u = _mm512_castps_pd(b[i + h]), v = _mm512_castps_pd(b[i + h + 2]);
            a[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(u, v));
            a[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(u, v));
        }
    }
    /* a[4 g + c] has, in its 128-bit lane l, column 4 l + c of rows 4 g .. 4 g + 3. */
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512 p = _mm512_shuffle_f32x4(a[c], a[4 + c], 0x44);
        __m512 q = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0x44);
        __m512 r = _mm512_shuffle_f32x4(a[c], a[4 + c], 0xee);
        __m512 s = _mm512_shuffle_f32x4(a[8 + c], a[12 + c], 0xee);
        b[c] = _mm512_shuffle_f32x4(p, q, 0x88);
        b[4 + c] = _mm512_shuffle_f32x4(p, q, 0xdd);
        b[8 + c] = _mm512_shuffle_f32x4(r, s, 0x88);
        b[12 + c] = _mm512_shuffle_f32x4(r, s, 0xdd);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        a[i] = b[i];
}

INLINE ivec v_keys(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}

INLINE ivec v_key(int64_t j)
{
    return _mm512_set1_epi32((int)j);
}

INLINE ivec v_count(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

INLINE ivec v_iadd(ivec a, ivec b)
{
    return _mm512_add_epi32(a, b);
}

INLINE seen_lanes v_seen(ivec lo, ivec hi, ivec j)
{
    return _mm512_cmple_epi32_mask(lo, j) & _mm512_cmpgt_epi32_mask(hi, j);
}

INLINE vec v_if(seen_lanes seen, vec a)
{
    return _mm512_maskz_mov_ps(seen, a);
}

INLINE vec v_seen_max(seen_lanes seen, vec a, vec b)
{
    return _mm512_mask_max_ps(a, seen, a, b);
}

static double v_sum_squares(const float *x, int64_t n)
{
    __m512d s[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        s[k] = _mm512_setzero_pd();
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            __m512d d = _mm512_cvtps_pd(_mm256_loadu_ps(x + i + 8 * k));
            s[k] = _mm512_fmadd_pd(d, d, s[k]);
        }
    }
    for (; i < n; i += 8) {
        __mmask8 m = (__mmask8)v_part(HN_MIN(n - i, 8));
        __m512d d = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(m, x + i));
        s[0] = _mm512_fmadd_pd(d, d, s[0]);
    }
    return _mm512_reduce_add_pd(
        _mm512_add_pd(_mm512_add_pd(s[0], s[1]), _mm512_add_pd(s[2], s[3])));
}

INLINE vec v_widen(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE vec v_bytes(const int8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* The value comes second: of a NaN and a number, min and max give the second. */
INLINE void v_narrow(uint16_t *p, vec x, float top)
{
    vec y = _mm512_max_ps(_mm512_set1_ps(-top), _mm512_min_ps(_mm512_set1_ps(top), x));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(y, _MM_FROUND_TO_NEAREST_INT));
}

#include "backend/cpu/vector_loops.h"

const struct hn_cpu_vector hn_cpu_vector_avx512 = HN_VECTOR_TABLE;

#else
const struct hn_cpu_vector hn_cpu_vector_avx512 = {0};
#endif
