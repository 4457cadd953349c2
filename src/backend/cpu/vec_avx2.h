/* What every kernel does to a register with AVX2, under the names that the loops shared by the
 * levels use.  Included by AVX2 files alone. */
#ifndef HN_BACKEND_CPU_VEC_AVX2_H
#define HN_BACKEND_CPU_VEC_AVX2_H

#include "backend/cpu/cpu.h"

#ifdef __AVX2__
#include <immintrin.h>

typedef __m256 vec;
typedef __m256i ivec;

INLINE vec v_set(float x)
{
    return _mm256_set1_ps(x);
}
INLINE vec v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
INLINE void v_store(float *p, vec a)
{
    _mm256_storeu_ps(p, a);
}
INLINE vec v_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
INLINE vec v_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
INLINE vec v_float(ivec a)
{
    return _mm256_cvtepi32_ps(a);
}
INLINE ivec i_set32(int x)
{
    return _mm256_set1_epi32(x);
}
INLINE ivec i_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
INLINE ivec i_and(ivec a, ivec b)
{
    return _mm256_and_si256(a, b);
}
INLINE ivec i_or(ivec a, ivec b)
{
    return _mm256_or_si256(a, b);
}
INLINE ivec i_xor(ivec a, ivec b)
{
    return _mm256_xor_si256(a, b);
}
INLINE ivec i_srl16(ivec a, const int n)
{
    return _mm256_srli_epi16(a, n);
}
INLINE ivec i_srl32(ivec a, const int n)
{
    return _mm256_srli_epi32(a, n);
}
INLINE ivec i_sll32(ivec a, const int n)
{
    return _mm256_slli_epi32(a, n);
}

#endif
#endif
