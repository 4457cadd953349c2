/* The integer products on AMX tiles: 16 tokens times the 16 rows of a panel, a block of 32 columns
 * in one tile product, or two where a token's integers are two bytes.  Blocks have scales of their
 * own, so each block's sums go through memory into the float32 totals, which stay in registers.
 *
 *   rows     [16 tokens][32] bytes as packed      columns  [8][16 rows][4] bytes as in the panel
 *
 * Codes are unsigned; what symmetric ones are too large by is taken off the sums. */
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/igemm.h"

#ifndef __AMX_INT8__
const struct hn_cpu_igemm hn_cpu_igemm_amx = {.tokens = 0};
#else

enum { TOKENS = 16, FEW = 8, VECTOR = 64 };

/* Intel SDM, LDTILECFG.  Tile 0: sums, 1: rows, 2: columns; 3: sums, 4: rows of lower bytes.
 * Constant storage, because the compiler does not know that the instruction reads all of it. */
static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles_config = {.palette = 1,
                  .row_bytes = {VECTOR, HN_IM_BLOCK, VECTOR, VECTOR, HN_IM_BLOCK},
                  .rows = {TOKENS, TOKENS, HN_IM_BLOCK / 4, TOKENS, TOKENS}};

static void tiles_enter(void)
{
    _tile_loadconfig(&tiles_config);
}

static void tiles_leave(void)
{
    _tile_release();
}

/* Every block's 32 upper bytes, then its 32 lower ones. */
static void pack_split(const float *x, int64_t n, int most, unsigned char *q, float *scale,
                       float *sum, int32_t *total)
{
    const __m256i order = _mm256_broadcastsi128_si256(/* pack_16's columns 0, 2, 1, 3 */
                                                      _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10,
                                                                    9, 11, 12, 14, 13, 15));
    hn_cpu_igemm_avx2.form[HN_IM_16].pack(x, n, most, q, scale, sum, total);
    for (int64_t k = 0; k < n; k += HN_IM_BLOCK, q += 2 * HN_IM_BLOCK) {
        __m512i words = _mm512_loadu_si512(q);
        __m256i upper = _mm512_cvtepi16_epi8(_mm512_srli_epi16(words, 8));
        _mm256_storeu_si256((__m256i *)(void *)q, _mm256_shuffle_epi8(upper, order));
        _mm256_storeu_si256((__m256i *)(void *)(q + HN_IM_BLOCK),
                            _mm256_shuffle_epi8(_mm512_cvtepi16_epi8(words), order));
    }
}

static void panel_split(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0,
                        int64_t depth, unsigned char *panel)
{
    hn_cpu_igemm_avx2.form[HN_IM_8].panel(w, row, n_rows, k0, depth, panel);
}

/* sums[0] (and with split, [1], of lower bytes): [16 tokens][16 rows] of one block. */
INLINE void block_sums(const bool split, const unsigned char *q, int64_t ld,
                       const unsigned char *panel, int32_t sums[2][TOKENS * HN_IM_ROWS])
{
    _tile_zero(0);
    _tile_loadd(1, q, (size_t)ld);
    _tile_loadd(2, panel, VECTOR);
    _tile_dpbsud(0, 1, 2);
    _tile_stored(0, sums[0], VECTOR);
    if (split) {
        _tile_zero(3);
        _tile_loadd(4, q + HN_IM_BLOCK, (size_t)ld);
        _tile_dpbuud(3, 4, 2);
        _tile_stored(3, sums[1], VECTOR);
    }
}

/* The first nt of most tokens; less: what to take off every code. */
INLINE void tile(const bool split, const bool biased, const int most, int less, int nt,
                 const struct hn_im_tokens *x, int64_t k0, int64_t depth, const unsigned char *at,
                 float *y, int64_t ldy, bool add)
{
    _Alignas(64) int32_t sums[2][2][TOKENS * HN_IM_ROWS];
    const int64_t first = k0 / HN_IM_BLOCK, n_blocks = depth / HN_IM_BLOCK;
    const int64_t width = split ? 2 : 1; /* bytes of a token's element */
    const unsigned char *q = x->q + k0 * width;
    __m512 total[TOKENS];
#pragma GCC unroll 16
    for (int t = 0; t < most; t++)
        total[t] = add && t < nt ? _mm512_loadu_ps(y + t * ldy) : _mm512_setzero_ps();
    block_sums(split, q, x->ld * width, at, sums[0]);
    for (int64_t b = 0; b < n_blocks; b++, at += HN_IM_BLOCK_8) {
        const unsigned char *scales = at + HN_IM_BLOCK_8 - HN_IM_SCALES;
        __m512 scale = _mm512_loadu_ps(scales), bias = _mm512_loadu_ps(scales + VECTOR);
        int32_t(*s)[TOKENS * HN_IM_ROWS] = sums[b % 2];
        int64_t i = first + b;
        q += HN_IM_BLOCK * width;
        if (b + 1 < n_blocks) /* begun before this block's are waited for */
            block_sums(split, q, x->ld * width, at + HN_IM_BLOCK_8, sums[(b + 1) % 2]);
#pragma GCC unroll 16
        for (int t = 0; t < most; t++, i += x->ldb) {
            __asm__("" : "+r"(i)); /* or the compiler keeps 16 of them, where registers are few */
            __m512i dot = _mm512_load_si512(s[0] + t * HN_IM_ROWS);
            if (split)
                dot = _mm512_add_epi32(_mm512_slli_epi32(dot, 8),
                                       _mm512_load_si512(s[1] + t * HN_IM_ROWS));
            if (!biased)
                dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(less * x->total[i]));
            __m512 f = _mm512_mul_ps(scale, _mm512_set1_ps(x->scale[i]));
            total[t] = _mm512_fmadd_ps(f, _mm512_cvtepi32_ps(dot), total[t]);
            if (biased)
                total[t] = _mm512_fmadd_ps(bias, _mm512_set1_ps(x->sum[i]), total[t]);
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < most; t++)
        if (t < nt)
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
        tile(false, false, TOKENS, 128, TOKENS, x, k0, depth, at, y, ldy, add);
    else
        tile(false, true, TOKENS, 0, TOKENS, x, k0, depth, at, y, ldy, add);
}

/* Q6_K's, whose codes are wider than a byte. */
static void tile_16(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                    int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    narrower(hn_cpu_igemm_avx512.form[HN_IM_16].tile, 2, kind, nt, x, k0, depth, at, y, ldy, add);
}

static void tile_split(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                       int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    const int less = kind.whole == HN_IM_SIGNED ? 128 : kind.middle;
    if (kind.biased && nt > FEW)
        tile(true, true, TOKENS, 0, nt, x, k0, depth, at, y, ldy, add);
    else if (kind.biased)
        tile(true, true, FEW, 0, nt, x, k0, depth, at, y, ldy, add);
    else if (nt > FEW)
        tile(true, false, TOKENS, less, nt, x, k0, depth, at, y, ldy, add);
    else
        tile(true, false, FEW, less, nt, x, k0, depth, at, y, ldy, add);
}

const struct hn_cpu_igemm hn_cpu_igemm_amx = {
    .form = {[HN_IM_8] = {.tile = tile_8},
             [HN_IM_16] = {.tile = tile_16},
             [HN_IM_SPLIT] = {pack_split, panel_split, tile_split}},
    .tokens = TOKENS,
    .bytes = {[HN_IM_SPLIT] = true},
    .enter = tiles_enter,
    .leave = tiles_leave,
};

#endif
