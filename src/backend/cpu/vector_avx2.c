/* AVX2 inner loops: eight lanes, fused multiply-adds.  The loops are in vector_loops.h. */
#include "backend/cpu/transpose_avx2.h"
#include "backend/cpu/vec_avx2.h"
#include "backend/cpu/vector.h"

#if defined(__AVX2__) && defined(__FMA__)

typedef __m256i part;
typedef __m256 seen_lanes;
#define W             8
#define V_PANEL       2
#define V_ROWS        6
#define V_ROWS_NARROW 12
#define V_FEW         3

INLINE part v_part(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE part v_all(void)
{
    return _mm256_set1_epi32(-1);
}

INLINE vec v_load_part(const float *p, part m)
{
    return _mm256_maskload_ps(p, m);
}

INLINE void v_store_part(float *p, part m, vec x)
{
    _mm256_maskstore_ps(p, m, x);
}

INLINE vec v_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

INLINE vec v_sqrt(vec a)
{
    return _mm256_sqrt_ps(a);
}

INLINE vec v_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

INLINE vec v_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

INLINE vec v_negate_if(bool yes, vec a)
{
    return _mm256_xor_ps(a, _mm256_set1_ps(yes ? -0.0f : 0.0f));
}

INLINE vec v_fnma(vec a, vec b, vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

INLINE vec v_round(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* In two steps, so that neither power leaves the normal numbers. */
INLINE vec v_ldexp(vec a, vec n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i one = _mm256_set1_epi32(0x3f800000);
    __m256i p = _mm256_add_epi32(_mm256_slli_epi32(half, 23), one);
    __m256i q = _mm256_add_epi32(_mm256_slli_epi32(_mm256_sub_epi32(whole, half), 23), one);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(p)), _mm256_castsi256_ps(q));
}

INLINE vec v_ldexp_normal(vec a, vec n, vec x, float lo)
{
    __m256i p = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    __m256i y = _mm256_add_epi32(_mm256_castps_si256(a), p);
    __m256 low = _mm256_cmp_ps(x, _mm256_set1_ps(lo), _CMP_LT_OQ);
    return _mm256_andnot_ps(low, _mm256_castsi256_ps(y));
}

INLINE float v_sum(vec a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE void v_sums4(float *p, const vec s[4])
{
    __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)));
}

INLINE void v_transpose(vec a[8])
{
    transpose_8x8(a);
}

INLINE ivec v_keys(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE ivec v_key(int64_t j)
{
    return _mm256_set1_epi32((int)j);
}

INLINE ivec v_count(void)
{
    return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
}

INLINE ivec v_iadd(ivec a, ivec b)
{
    return _mm256_add_epi32(a, b);
}

INLINE seen_lanes v_seen(ivec lo, ivec hi, ivec j)
{
    return _mm256_castsi256_ps(
        _mm256_andnot_si256(_mm256_cmpgt_epi32(lo, j), _mm256_cmpgt_epi32(hi, j)));
}

INLINE vec v_if(seen_lanes seen, vec a)
{
    return _mm256_and_ps(seen, a);
}

INLINE vec v_seen_max(seen_lanes seen, vec a, vec b)
{
    return _mm256_blendv_ps(a, _mm256_max_ps(a, b), seen);
}

static double v_sum_squares(const float *x, int64_t n)
{
    __m256d s[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        s[k] = _mm256_setzero_pd();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            __m256d d = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * k));
            s[k] = _mm256_fmadd_pd(d, d, s[k]);
        }
    }
    double rest = 0;
    for (; i < n; i++)
        rest += (double)x[i] * x[i];
    double out[4];
    _mm256_storeu_pd(out, _mm256_add_pd(_mm256_add_pd(s[0], s[1]), _mm256_add_pd(s[2], s[3])));
    return out[0] + out[1] + (out[2] + out[3]) + rest;
}

INLINE vec v_widen(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE vec v_bytes(const int8_t *p)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

/* The value comes second: of a NaN and a number, min and max give the second. */
INLINE void v_narrow(uint16_t *p, vec x, float top)
{
    vec y = _mm256_max_ps(_mm256_set1_ps(-top), _mm256_min_ps(_mm256_set1_ps(top), x));
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(y, _MM_FROUND_TO_NEAREST_INT));
}

#include "backend/cpu/vector_loops.h"

const struct hn_cpu_vector hn_cpu_vector_avx2 = HN_VECTOR_TABLE;

#else
const struct hn_cpu_vector hn_cpu_vector_avx2 = {0};
#endif
