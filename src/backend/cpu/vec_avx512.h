/* What every kernel does to a register with AVX-512, under the names that the loops shared by the
 * levels use.  Included by AVX-512 files alone. */
#ifndef HN_BACKEND_CPU_VEC_AVX512_H
#define HN_BACKEND_CPU_VEC_AVX512_H

#include "backend/cpu/cpu.h"

#ifdef __AVX512F__
#include <immintrin.h>

typedef __m512 vec;
typedef __m512i ivec;

INLINE vec v_set(float x)
{
    return _mm512_set1_ps(x);
}
INLINE vec v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
INLINE void v_store(float *p, vec a)
{
    _mm512_storeu_ps(p, a);
}
INLINE vec v_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
INLINE vec v_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
INLINE vec v_float(ivec a)
{
    return _mm512_cvtepi32_ps(a);
}
INLINE ivec i_set32(int x)
{
    return _mm512_set1_epi32(x);
}
INLINE ivec i_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
INLINE ivec i_and(ivec a, ivec b)
{
    return _mm512_and_si512(a, b);
}
INLINE ivec i_or(ivec a, ivec b)
{
    return _mm512_or_si512(a, b);
}
INLINE ivec i_xor(ivec a, ivec b)
{
    return _mm512_xor_si512(a, b);
}
INLINE ivec i_srl16(ivec a, const int n)
{
    return _mm512_srli_epi16(a, (unsigned)n);
}
INLINE ivec i_srl32(ivec a, const int n)
{
    return _mm512_srli_epi32(a, (unsigned)n);
}
INLINE ivec i_sll32(ivec a, const int n)
{
    return _mm512_slli_epi32(a, (unsigned)n);
}

#endif
#endif
