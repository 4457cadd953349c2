/* The integer products' tiles with AVX-512 VNNI: a panel's vector of 16 rows meets a token's four
 * bytes, or two 16-bit integers, in one instruction that adds to 32 bits.  Tokens and panels are
 * AVX2's. */
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/igemm.h"

#ifndef __AVX512VNNI__
const struct hn_cpu_igemm hn_cpu_igemm_avx512 = {.tokens = 0};
#else

enum { TOKENS = 8, VECTOR = 64 };

#define EACH_TOKEN(t) _Pragma("GCC unroll 8") for (int t = 0; t < nt; t++)

INLINE __m512i broadcast_word(const unsigned char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm512_set1_epi32(word);
}

/* s[t] += sums of one block, of 16 rows each. */
INLINE void add_block(const bool wide, const int nt, const unsigned char *panel,
                      const unsigned char *q, int64_t ld, __m512i s[TOKENS])
{
    const int steps = wide ? 16 : 8;
#pragma GCC unroll 16
    for (int j = 0; j < steps; j++) {
        __m512i w = _mm512_loadu_si512(panel + j * VECTOR);
        EACH_TOKEN(t)
        {
            __m512i x = broadcast_word(q + t * ld + 4 * j);
            s[t] = wide ? _mm512_dpwssd_epi32(s[t], w, x) : _mm512_dpbusd_epi32(s[t], w, x);
        }
    }
}

/* less: what to take off every code. */
INLINE void tile(const bool wide, const bool biased, const int less, const int nt,
                 const struct hn_im_tokens *x, int64_t k0, int64_t depth, const unsigned char *at,
                 float *y, int64_t ldy, bool add)
{
    const int width = wide ? 2 : 1, size = wide ? HN_IM_BLOCK_16 : HN_IM_BLOCK_8;
    const unsigned char *q = x->q + k0 * width;
    int64_t first = k0 / HN_IM_BLOCK;
    __m512 total[TOKENS];
    EACH_TOKEN(t)
    total[t] = add ? _mm512_loadu_ps(y + t * ldy) : _mm512_setzero_ps();
    for (int64_t b = 0; b < depth / HN_IM_BLOCK; b++, at += size, q += HN_IM_BLOCK * width) {
        const unsigned char *scales = at + size - HN_IM_SCALES;
        __m512 scale = _mm512_loadu_ps(scales), bias = _mm512_loadu_ps(scales + VECTOR);
        __m512i s[TOKENS];
        EACH_TOKEN(t)
        s[t] = _mm512_set1_epi32(less ? -less * x->total[t * x->ldb + first + b] : 0);
        add_block(wide, nt, at, q, x->ld * width, s);
        int64_t i = first + b;
        EACH_TOKEN(t)
        {
            __asm__("" : "+r"(i)); /* or the compiler keeps one for each token */
            __m512 f = _mm512_mul_ps(scale, _mm512_set1_ps(x->scale[i]));
            total[t] = _mm512_fmadd_ps(f, _mm512_cvtepi32_ps(s[t]), total[t]);
            if (biased)
                total[t] = _mm512_fmadd_ps(bias, _mm512_set1_ps(x->sum[i]), total[t]);
            i += x->ldb;
        }
    }
    EACH_TOKEN(t)
    _mm512_storeu_ps(y + t * ldy, total[t]);
}

/* One kernel per count of tokens: the sums must live in registers. */
#define CASE(wide, biased, less, nt)                                                               \
    case nt:                                                                                       \
        tile(wide, biased, less, nt, x, k0, depth, at, y, ldy, add);                               \
        break
#define TILES(wide, biased, less)                                                                  \
    switch (nt) {                                                                                  \
        CASE(wide, biased, less, 1);                                                               \
        CASE(wide, biased, less, 2);                                                               \
        CASE(wide, biased, less, 3);                                                               \
        CASE(wide, biased, less, 4);                                                               \
        CASE(wide, biased, less, 5);                                                               \
        CASE(wide, biased, less, 6);                                                               \
        CASE(wide, biased, less, 7);                                                               \
        CASE(wide, biased, less, 8);                                                               \
    }

static void tile_8(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                   int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    if (kind.whole == HN_IM_SIGNED)
        TILES(false, false, 128)
    else
        TILES(false, true, 0)
}

static void tile_16(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                    int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    if (kind.biased)
        TILES(true, true, 0)
    else
        TILES(true, false, 0)
}

const struct hn_cpu_igemm hn_cpu_igemm_avx512 = {
    .form = {[HN_IM_8] = {.tile = tile_8}, [HN_IM_16] = {.tile = tile_16}},
    .tokens = TOKENS,
    .bytes = {true, true},
};

#endif
