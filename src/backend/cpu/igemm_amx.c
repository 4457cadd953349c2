/* The integer products of 8 bits on AMX tiles: 16 tokens times the 16 rows of a panel, a block of
 * 32 columns in one tile product.  Blocks have scales of their own, so each block's sums go through
 * memory into the float32 totals, which stay in registers.  Fewer tokens are AVX-512's.
 *
 *   rows     [16 tokens][32] bytes as packed      columns  [8][16 rows][4] bytes as in the panel */
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/igemm.h"

#ifndef __AMX_INT8__
const struct hn_cpu_igemm hn_cpu_igemm_amx = {.tokens = 0};
#else

enum { TOKENS = 16, VECTOR = 64 };

/* Intel SDM, LDTILECFG.  Tile 0: sums, 1: rows, 2: columns.  Constant storage, because the compiler
 * does not know that the instruction reads all of it. */
static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles_config = {.palette = 1,
                  .row_bytes = {VECTOR, HN_IM_BLOCK, VECTOR},
                  .rows = {TOKENS, TOKENS, HN_IM_BLOCK / 4}};

static void tiles_enter(void)
{
    _tile_loadconfig(&tiles_config);
}

static void tiles_leave(void)
{
    _tile_release();
}

/* less: what to take off every code. */
INLINE void tile(const bool biased, const int less, const struct hn_im_tokens *x, int64_t k0,
                 int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    _Alignas(64) int32_t sums[2][TOKENS * HN_IM_ROWS];
    const int64_t first = k0 / HN_IM_BLOCK;
    __m512 total[TOKENS];
#pragma GCC unroll 16
    for (int t = 0; t < TOKENS; t++)
        total[t] = add ? _mm512_loadu_ps(y + t * ldy) : _mm512_setzero_ps();
    for (int64_t b = 0; b < depth / HN_IM_BLOCK; b++, at += HN_IM_BLOCK_8) {
        const unsigned char *scales = at + HN_IM_BLOCK_8 - HN_IM_SCALES;
        __m512 scale = _mm512_loadu_ps(scales), bias = _mm512_loadu_ps(scales + VECTOR);
        int32_t *s = sums[b % 2];
        int64_t i = first + b;
        _tile_zero(0);
        _tile_loadd(1, x->q + k0 + b * HN_IM_BLOCK, (size_t)x->ld);
        _tile_loadd(2, at, VECTOR);
        _tile_dpbsud(0, 1, 2);
        _tile_stored(0, s, VECTOR);
#pragma GCC unroll 16
        for (int t = 0; t < TOKENS; t++, i += x->ldb) {
            __asm__("" : "+r"(i)); /* or the compiler keeps 16 of them, where registers are few */
            __m512i dot = _mm512_load_si512(s + t * HN_IM_ROWS);
            if (less)
                dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(less * x->total[i]));
            __m512 f = _mm512_mul_ps(scale, _mm512_set1_ps(x->scale[i]));
            total[t] = _mm512_fmadd_ps(f, _mm512_cvtepi32_ps(dot), total[t]);
            if (biased)
                total[t] = _mm512_fmadd_ps(bias, _mm512_set1_ps(x->sum[i]), total[t]);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < TOKENS; t++)
        _mm512_storeu_ps(y + t * ldy, total[t]);
}

/* What AVX-512 does, in as many tokens as it takes. */
static void narrower(hn_im_tile_fn *fn, int width, struct hn_im_kind kind, int nt,
                     const struct hn_im_tokens *x, int64_t k0, int64_t depth,
                     const unsigned char *at, float *y, int64_t ldy, bool add)
{
    const int most = hn_cpu_igemm_avx512.tokens;
    for (int t = 0; t < nt; t += most) {
        struct hn_im_tokens rest = hn_im_tokens_from(x, t, width);
        fn(kind, HN_MIN(most, nt - t), &rest, k0, depth, at, y + t * ldy, ldy, add);
    }
}

static void tile_8(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                   int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    if (nt < TOKENS)
        narrower(hn_cpu_igemm_avx512.form[HN_IM_8].tile, 1, kind, nt, x, k0, depth, at, y, ldy,
                 add);
    else if (kind.whole == HN_IM_SIGNED)
        tile(false, 128, x, k0, depth, at, y, ldy, add);
    else
        tile(true, 0, x, k0, depth, at, y, ldy, add);
}

static void tile_16(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                    int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    narrower(hn_cpu_igemm_avx512.form[HN_IM_16].tile, 2, kind, nt, x, k0, depth, at, y, ldy, add);
}

const struct hn_cpu_igemm hn_cpu_igemm_amx = {
    .form = {[HN_IM_8] = {.tile = tile_8}, [HN_IM_16] = {.tile = tile_16}},
    .tokens = TOKENS,
    .enter = tiles_enter,
    .leave = tiles_leave,
};

#endif
