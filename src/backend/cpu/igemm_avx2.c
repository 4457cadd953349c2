/* The integer products' pieces with AVX2. */
#include "backend/cpu/codes_avx2.h"
#include "backend/cpu/igemm.h"
#include "backend/cpu/transpose_avx2.h"

#include <math.h>
#include <string.h>

#ifndef __AVX2__
const struct hn_cpu_igemm hn_cpu_igemm_avx2 = {.tokens = 0};
#else

enum { LANES = 8, QUADS = HN_IM_BLOCK / 4, TOKENS = 4 };

INLINE __m256i load_32(const void *at)
{
    return _mm256_loadu_si256(at);
}

INLINE void store_32(void *at, __m256i v)
{
    _mm256_storeu_si256(at, v);
}

/* ---- tokens -------------------------------------------------------------------------------- */

INLINE int32_t sum_integers(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* q[i] = 8 elements of the block of 32 at x; returns their scale. */
INLINE float round_block(const float *x, int most, __m256i q[4])
{
    __m256 v[4];
    __m256i top = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) { /* as integers, magnitudes order as they should, NaN the last */
        v[i] = _mm256_loadu_ps(x + 8 * i);
        top = _mm256_max_epu32(
            top, _mm256_and_si256(_mm256_castps_si256(v[i]), _mm256_set1_epi32(INT32_MAX)));
    }
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    float largest = _mm_cvtss_f32(_mm_castsi128_ps(m));
    if (!(largest >= 0x1p-100f && largest < HUGE_VALF)) {
        q[0] = q[1] = q[2] = q[3] = _mm256_setzero_si256();
        return largest < 0x1p-100f ? 0.0f : NAN;
    }
    __m256 inverse = _mm256_set1_ps((float)most / largest);
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    return largest / (float)most;
}

INLINE void pack(const bool wide, const float *x, int64_t n, int most, unsigned char *out,
                 float *scale, float *sum, int32_t *total)
{
    const __m256i pairs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    for (int64_t k = 0; k < n; k += HN_IM_BLOCK, scale++, sum++, total++) {
        __m256i q[4];
        *scale = round_block(x + k, most, q);
        __m256i all = _mm256_add_epi32(_mm256_add_epi32(q[0], q[1]), _mm256_add_epi32(q[2], q[3]));
        *total = sum_integers(all);
        *sum = *scale * (float)*total;
        __m256i low = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[0], q[1]), 0xd8);
        __m256i high = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[2], q[3]), 0xd8);
        if (wide) {
            store_32(out + 2 * k, _mm256_shuffle_epi8(low, pairs));
            store_32(out + 2 * k + 32, _mm256_shuffle_epi8(high, pairs));
        } else {
            store_32(out + k, _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8));
        }
    }
}

static void pack_8(const float *x, int64_t n, int most, unsigned char *q, float *scale, float *sum,
                   int32_t *total)
{
    pack(false, x, n, most, q, scale, sum, total);
}

static void pack_16(const float *x, int64_t n, int most, unsigned char *q, float *scale, float *sum,
                    int32_t *total)
{
    pack(true, x, n, most, q, scale, sum, total);
}

/* ---- codes: one row's block of 32, in the order of columns ---------------------------------- */

INLINE __m256i low_then_high(__m128i bytes)
{
    __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 32 bits, each at bit 4 of its byte. */
INLINE __m256i fifth_bits(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    const __m256i which = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                           2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bits = _mm256_set1_epi64x((long long)0x8040201008040201u);
    __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32((int)word), which);
    v = _mm256_cmpeq_epi8(_mm256_and_si256(v, bits), bits);
    return _mm256_and_si256(v, _mm256_set1_epi8(16));
}

INLINE __m256i nibbles_k(const unsigned char *at, int high)
{
    return _mm256_and_si256(_mm256_srl_epi16(load_32(at), _mm_cvtsi32_si128(4 * high)),
                            _mm256_set1_epi8(15));
}

INLINE __m256i affine_codes(const unsigned char *at, const int bits)
{
    if (bits == 8)
        return load_32(at);
    __m256i a = _mm256_packus_epi32(affine_8(at, 0, bits), affine_8(at, 1, bits));
    __m256i b = _mm256_packus_epi32(affine_8(at, 2, bits), affine_8(at, 3, bits));
    a = _mm256_permute4x64_epi64(a, 0xd8), b = _mm256_permute4x64_epi64(b, 0xd8);
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8);
}

/* Of other than 4 bits.  b: the block of 32; at: the row. */
INLINE __m256i codes(const enum hn_layout layout, const int bits, const unsigned char *at,
                     int64_t b)
{
    switch (layout) {
    case HN_LAYOUT_AFFINE:
        return affine_codes(at + b * 4 * bits, bits);
    case HN_LAYOUT_Q5_0:
        at += b * 22;
        return _mm256_or_si256(low_then_high(load_16(at + 6)), fifth_bits(at + 2));
    case HN_LAYOUT_Q5_1:
        at += b * 24;
        return _mm256_or_si256(low_then_high(load_16(at + 8)), fifth_bits(at + 4));
    case HN_LAYOUT_Q5_K: {
        at += b / 8 * 176;
        __m256i high = _mm256_srl_epi16(load_32(at + 16), _mm_cvtsi32_si128((int)(b % 8)));
        high = _mm256_and_si256(_mm256_slli_epi16(high, 4), _mm256_set1_epi8(16));
        return _mm256_or_si256(nibbles_k(at + 48 + b % 8 / 2 * 32, (int)(b % 2)), high);
    }
    case HN_LAYOUT_Q6_K: {
        at += b / 8 * 210;
        int j = (int)(b % 8);
        __m256i high = load_32(at + 128 + j / 4 * 32);
        high = _mm256_srl_epi16(high, _mm_cvtsi32_si128(2 * (j % 4)));
        high = _mm256_slli_epi16(_mm256_and_si256(high, _mm256_set1_epi8(3)), 4);
        return _mm256_or_si256(nibbles_k(at + j / 4 * 64 + j % 2 * 32, j % 4 / 2), high);
    }
    case HN_LAYOUT_Q8_0:
        return load_32(at + b * 34 + 2);
    default:
        return load_32(at + b * HN_IM_BLOCK);
    }
}

/* Bytes of a block of 32, of whole blocks of 256 the eighth of one. */
INLINE int block_bytes(const enum hn_layout layout, const int bits)
{
    static const int sizes[HN_LAYOUT_COUNT] = {
        [HN_LAYOUT_Q4_0] = 18, [HN_LAYOUT_Q4_1] = 20, [HN_LAYOUT_Q5_0] = 22,
        [HN_LAYOUT_Q5_1] = 24, [HN_LAYOUT_Q8_0] = 34, [HN_LAYOUT_Q4_K] = 18,
        [HN_LAYOUT_Q5_K] = 22, [HN_LAYOUT_Q6_K] = 26, [HN_LAYOUT_BNB8] = 32,
    };
    return layout == HN_LAYOUT_AFFINE ? 4 * bits : sizes[layout];
}

/* ---- rows and their scales ------------------------------------------------------------------ */

/* What lies where of the rows of a panel. */
struct panel_rows {
    const unsigned char *at[HN_IM_ROWS], *next[HN_IM_ROWS]; /* and of the panel after it */
    size_t stored[HN_IM_ROWS];
    int64_t first; /* scale[0] and bias[0] are of this group; eight groups are ready */
    float scale[8][HN_IM_ROWS], bias[8][HN_IM_ROWS];
};

static void find_rows(const struct hn_matrix *w, int64_t row, int n_rows, struct panel_rows *p)
{
    p->first = -8;
    for (int r = 0; r < HN_IM_ROWS; r++) {
        int64_t mine = row + HN_MIN(r, n_rows - 1), after = HN_MIN(mine + HN_IM_ROWS, w->rows - 1);
        p->at[r] = row_at(w, mine);
        p->next[r] = row_at(w, after);
        p->stored[r] = (size_t)hn_matrix_stored_row(w, mine);
    }
}

/* Eight rows' words. */
INLINE void transpose_words(__m256i rows[8])
{
    __m256 r[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_castsi256_ps(rows[i]);
    transpose_8x8(r);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        rows[i] = _mm256_castps_si256(r[i]);
}

/* Eight groups of eight rows: to[g] from column first on. */
INLINE void put_scales(__m256 of_row[8], int first, float to[8][HN_IM_ROWS])
{
    transpose_8x8(of_row);
    for (int g = 0; g < 8; g++)
        _mm256_storeu_ps(&to[g][first], of_row[g]);
}

/* Elements [from, from + n) of an array of scales; what is beyond the eighth is left out. */
INLINE __m256 widen_some(enum hn_dtype t, const unsigned char *base, size_t from, int64_t n)
{
    float out[LANES] = {0};
    if (n >= LANES)
        return load_plain_8((enum hn_layout)t, base + from * hn_dtype_size(t));
    for (int64_t i = 0; i < n; i++)
        out[i] = widen(t, base, from + (size_t)i);
    return _mm256_loadu_ps(out);
}

/* Eight groups' scales and biases, from that of block b on (of whole blocks of 256: its own). */
static void find_scales(const enum hn_layout layout, const int size, const struct hn_matrix *w,
                        int64_t group, int64_t b, struct panel_rows *p)
{
    const bool affine = layout == HN_LAYOUT_AFFINE;
    p->first = affine ? group : group / 8 * 8;
    for (int first = 0; first < HN_IM_ROWS; first += 8) {
        __m256 scale[8], bias[8];
        for (int r = 0; r < 8; r++) {
            if (affine) {
                int64_t n = w->cols / w->group;
                size_t from = p->stored[first + r] * (size_t)n + (size_t)group;
                scale[r] = widen_some(w->scale_dtype, w->scales, from, n - group);
                bias[r] = widen_some(w->scale_dtype, w->biases, from, n - group);
            } else {
                struct scales_k k = scales_k(p->at[first + r] + b / 8 * 8 * size);
                scale[r] = k.scale;
                bias[r] = k.bias;
            }
        }
        put_scales(scale, first, p->scale);
        put_scales(bias, first, p->bias);
    }
}

/* As scales_of, of blocks with a scale in float16 `from` bytes after their row's first. */
INLINE void half_scales_of(const bool biased, const struct panel_rows *p, int64_t from,
                           const float middle, float *out)
{
    for (int r = 0; r < HN_IM_ROWS; r += LANES, out += LANES) {
        __m256 scale = halves_at(p->at + r, from);
        _mm256_storeu_ps(out, scale);
        _mm256_storeu_ps(out + HN_IM_ROWS, biased ? halves_at(p->at + r, from + 2)
                                                  : _mm256_mul_ps(scale, _mm256_set1_ps(-middle)));
    }
}

/* Scales and biases of block b; middle: of symmetric codes that keep it, else 0. */
INLINE void scales_of(const enum hn_layout layout, const int size, const struct hn_matrix *w,
                      struct panel_rows *p, int64_t b, const float middle, float *out)
{
    const bool has_half =
        layout == HN_LAYOUT_Q4_0 || layout == HN_LAYOUT_Q5_0 || layout == HN_LAYOUT_Q8_0;
    const bool has_two = layout == HN_LAYOUT_Q4_1 || layout == HN_LAYOUT_Q5_1;
    if (has_half || has_two) {
        half_scales_of(has_two, p, b * size, middle, out);
    } else if (layout == HN_LAYOUT_Q6_K) {
        half_scales_of(false, p, b / 8 * 210 + 208, 0, out);
    } else if (layout == HN_LAYOUT_BNB8) {
        for (int r = 0; r < HN_IM_ROWS; r++) {
            out[r] = widen(HN_F32, w->scales, p->stored[r]) *
                     7.874015718698502e-3f; /* float32(1/127): hn_decode_bnb8 */
            out[HN_IM_ROWS + r] = 0;
        }
    } else {
        int64_t g = layout == HN_LAYOUT_AFFINE ? b >> w->group / 64 : b; /* 32, 64, 128: 0, 1, 2 */
        if (g < p->first || g >= p->first + 8)
            find_scales(layout, size, w, g, b, p);
        memcpy(out, p->scale[g - p->first], sizeof p->scale[0]);
        memcpy(out + HN_IM_ROWS, p->bias[g - p->first], sizeof p->bias[0]);
    }
}

/* ---- panels -------------------------------------------------------------------------------- */

/* (code - 32) * the scale of its group, of one row, still in the order of columns. */
INLINE void scaled_codes_q6_k(const unsigned char *at, int64_t b, __m256i code, __m256i out[2])
{
    const unsigned char *scales = at + b / 8 * 210 + 192 + 2 * (b % 8);
    code = _mm256_sub_epi8(code, _mm256_set1_epi8(32));
    for (int i = 0; i < 2; i++) {
        __m128i half_of = i ? _mm256_extracti128_si256(code, 1) : _mm256_castsi256_si128(code);
        out[i] = _mm256_mullo_epi16(_mm256_cvtepi8_epi16(half_of),
                                    _mm256_set1_epi16((signed char)scales[i]));
    }
}

/* Eight rows' block as 16-bit integers, when their codes are wider than a byte. */
INLINE void spread_q6_k(const struct panel_rows *p, int first, int64_t b, unsigned char *to)
{
    const __m256i pairs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    __m256i rows[2][8];
    for (int r = 0; r < 8; r++) {
        const unsigned char *at = p->at[first + r];
        __m256i half_of[2];
        scaled_codes_q6_k(at, b, codes(HN_LAYOUT_Q6_K, 6, at, b), half_of);
        rows[0][r] = _mm256_shuffle_epi8(half_of[0], pairs);
        rows[1][r] = _mm256_shuffle_epi8(half_of[1], pairs);
    }
    for (int h = 0; h < 2; h++) {
        transpose_words(rows[h]);
        for (int i = 0; i < 8; i++)
            store_32(to + (8 * h + i) * HN_IM_ROWS * 4, rows[h][i]);
    }
}

/* Four columns of eight rows as 16-bit integers. */
INLINE void store_wide(__m256i even, __m256i odd, const int middle, unsigned char *to)
{
    if (middle) {
        even = _mm256_sub_epi16(even, _mm256_set1_epi16((short)middle));
        odd = _mm256_sub_epi16(odd, _mm256_set1_epi16((short)middle));
    }
    store_32(to, even);
    store_32(to + HN_IM_ROWS * 4, odd);
}

/* One block of eight rows: bytes as they are, or as 16-bit integers less the middle. */
INLINE void spread(const enum hn_layout layout, const int bits, const bool wide, const int middle,
                   const struct panel_rows *p, int first, int64_t b, unsigned char *to)
{
    const bool is_signed = layout == HN_LAYOUT_Q8_0 || layout == HN_LAYOUT_BNB8;
    __m256i rows[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; r++)
        rows[r] = codes(layout, bits, p->at[first + r], b);
    transpose_words(rows);
#pragma GCC unroll 8
    for (int i = 0; i < QUADS; i++) {
        if (!wide) {
            if (is_signed) /* code + 128 */
                rows[i] = _mm256_xor_si256(rows[i], _mm256_set1_epi8((char)0x80));
            store_32(to + i * HN_IM_ROWS * 4, rows[i]);
            continue;
        }
        __m256i even, odd;
        if (is_signed) {
            even = _mm256_srai_epi16(_mm256_slli_epi16(rows[i], 8), 8);
            odd = _mm256_srai_epi16(rows[i], 8);
        } else {
            even = _mm256_and_si256(rows[i], _mm256_set1_epi16(255));
            odd = _mm256_srli_epi16(rows[i], 8);
        }
        store_wide(even, odd, middle, to + 2 * i * HN_IM_ROWS * 4);
    }
}

/* The nibbles of 16 bytes of eight rows: low and high ones are 16 columns each, or with `side`
 * every byte is two columns, and high goes unused.  Words are transposed while they are packed. */
INLINE void spread_nibbles(const bool side, const bool wide, const int middle,
                           const unsigned char *const at[8], int64_t from, unsigned char *low,
                           unsigned char *high)
{
    const int quad = HN_IM_ROWS * 4 * (wide ? 2 : 1); /* bytes of four columns */
    const __m256i four = wide ? _mm256_set1_epi16(15) : _mm256_set1_epi8(15);
    const __m256i swap = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15));
    __m256i v[4];
    transpose_16_bytes(at, from, v);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        unsigned char *first = low + i * quad, *second = high + i * quad;
        if (side)
            first = low + 2 * i * quad, second = first + quad;
        if (side && wide) /* bytes 0 and 2 are the first four columns */
            v[i] = _mm256_shuffle_epi8(v[i], swap);
        __m256i n0 = _mm256_and_si256(v[i], four);
        __m256i n1 = _mm256_and_si256(_mm256_srli_epi16(v[i], 4), four);
        if (!wide) {
            if (side) {
                __m256 a = _mm256_castsi256_ps(_mm256_unpacklo_epi8(n0, n1)); /* rows 0, 1 | 4, 5 */
                __m256 b = _mm256_castsi256_ps(_mm256_unpackhi_epi8(n0, n1)); /* 2, 3 | 6, 7 */
                n0 = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
                n1 = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
            }
            store_32(first, n0);
            store_32(second, n1);
            continue;
        }
        __m256i n2 = _mm256_and_si256(_mm256_srli_epi16(v[i], 8), four);
        __m256i n3 = _mm256_srli_epi16(v[i], 12);
        store_wide(n0, side ? n1 : n2, middle, first);
        store_wide(side ? n2 : n1, n3, middle, second);
    }
}

/* One block of eight rows of 4-bit codes; of Q4_K, whose bytes hold two blocks, both. */
INLINE void spread_4_bits(const enum hn_layout layout, const bool wide, const int middle,
                          const struct panel_rows *p, int first, int64_t b, unsigned char *to)
{
    const unsigned char *const *at = p->at + first;
    const int half_block = HN_IM_ROWS * 16 * (wide ? 2 : 1);
    if (layout == HN_LAYOUT_AFFINE) {
        spread_nibbles(true, wide, middle, at, b * 16, to, NULL);
    } else if (layout == HN_LAYOUT_Q4_K) {
        unsigned char *next = to + (wide ? HN_IM_BLOCK_16 : HN_IM_BLOCK_8);
        int64_t from = b / 8 * 144 + 16 + b % 8 / 2 * 32;
        spread_nibbles(false, wide, middle, at, from, to, next);
        spread_nibbles(false, wide, middle, at, from + 16, to + half_block, next + half_block);
    } else {
        const int size = block_bytes(layout, 4);
        spread_nibbles(false, wide, middle, at, b * size + size - 16, to, to + half_block);
    }
}

INLINE void panel(const enum hn_layout layout, const int bits, const bool wide,
                  const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0, int64_t depth,
                  unsigned char *to)
{
    const int middle = layout == HN_LAYOUT_Q4_0 ? 8 : layout == HN_LAYOUT_Q5_0 ? 16 : 0;
    const int size = block_bytes(layout, bits), out_size = wide ? HN_IM_BLOCK_16 : HN_IM_BLOCK_8;
    struct panel_rows p;
    find_rows(w, row, n_rows, &p);
    for (int64_t b = k0 / HN_IM_BLOCK, end = (k0 + depth) / HN_IM_BLOCK; b < end; b++) {
        if (b * size % 64 < size)
            for (int r = 0; r < HN_IM_ROWS; r++)
                HN_PREFETCH(p.next[r] + b * size);
        for (int first = 0; first < HN_IM_ROWS; first += 8) {
            if (layout == HN_LAYOUT_Q6_K)
                spread_q6_k(&p, first, b, to + first * 4);
            else if (bits != 4)
                spread(layout, bits, wide, middle, &p, first, b, to + first * 4);
            else if (layout != HN_LAYOUT_Q4_K || b % 2 == 0)
                spread_4_bits(layout, wide, middle, &p, first, b, to + first * 4);
        }
        scales_of(layout, size, w, &p, b, wide ? 0.0f : (float)middle,
                  (float *)(void *)(to + out_size - HN_IM_SCALES));
        to += out_size;
    }
}

#define PANEL(layout, bits, wide)                                                                  \
    panel(layout, bits, wide, w, row, n_rows, k0, depth, to);                                      \
    break
#define PANELS(wide)                                                                               \
    case HN_LAYOUT_Q4_0:                                                                           \
        PANEL(HN_LAYOUT_Q4_0, 4, wide);                                                            \
    case HN_LAYOUT_Q4_1:                                                                           \
        PANEL(HN_LAYOUT_Q4_1, 4, wide);                                                            \
    case HN_LAYOUT_Q5_0:                                                                           \
        PANEL(HN_LAYOUT_Q5_0, 5, wide);                                                            \
    case HN_LAYOUT_Q5_1:                                                                           \
        PANEL(HN_LAYOUT_Q5_1, 5, wide);                                                            \
    case HN_LAYOUT_Q4_K:                                                                           \
        PANEL(HN_LAYOUT_Q4_K, 4, wide);                                                            \
    case HN_LAYOUT_Q5_K:                                                                           \
        PANEL(HN_LAYOUT_Q5_K, 5, wide);                                                            \
    case HN_LAYOUT_Q8_0:                                                                           \
        PANEL(HN_LAYOUT_Q8_0, 8, wide);                                                            \
    case HN_LAYOUT_BNB8:                                                                           \
        PANEL(HN_LAYOUT_BNB8, 8, wide)

INLINE void panel_affine(const bool wide, const struct hn_matrix *w, int64_t row, int n_rows,
                         int64_t k0, int64_t depth, unsigned char *to)
{
    switch (w->bits) {
    case 2:
        PANEL(HN_LAYOUT_AFFINE, 2, wide);
    case 3:
        PANEL(HN_LAYOUT_AFFINE, 3, wide);
    case 4:
        PANEL(HN_LAYOUT_AFFINE, 4, wide);
    case 5:
        PANEL(HN_LAYOUT_AFFINE, 5, wide);
    case 6:
        PANEL(HN_LAYOUT_AFFINE, 6, wide);
    default:
        PANEL(HN_LAYOUT_AFFINE, 8, wide);
    }
}

static void panel_8(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0, int64_t depth,
                    unsigned char *to)
{
    switch (w->layout) {
        PANELS(false);
    default:
        panel_affine(false, w, row, n_rows, k0, depth, to);
    }
}

static void panel_16(const struct hn_matrix *w, int64_t row, int n_rows, int64_t k0, int64_t depth,
                     unsigned char *to)
{
    switch (w->layout) {
        PANELS(true);
    case HN_LAYOUT_Q6_K:
        PANEL(HN_LAYOUT_Q6_K, 6, true);
    default:
        panel_affine(true, w, row, n_rows, k0, depth, to);
    }
}

/* ---- tiles --------------------------------------------------------------------------------- */

INLINE __m256i broadcast_word(const unsigned char *at)
{
    int32_t word;
    memcpy(&word, at, sizeof word);
    return _mm256_set1_epi32(word);
}

/* A sum that is complete so far.  Without it the compiler, which may reorder sums of integers,
 * makes all products of a block first and keeps them in memory. */
#define SETTLE(sum) __asm__("" : "+x"(sum))

/* s[t][v] = sums of one block, of 8 rows each. */
INLINE void block_8(const int chain, const int nt, const unsigned char *panel,
                    const unsigned char *q, int64_t ld, __m256i s[TOKENS][2])
{
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int i = 0; i < QUADS; i += chain) {
        __m256i pairs[TOKENS][2];
#pragma GCC unroll 8
        for (int j = i; j < i + chain; j++) {
            __m256i w0 = load_32(panel + j * HN_IM_ROWS * 4);
            __m256i w1 = load_32(panel + j * HN_IM_ROWS * 4 + 32);
#pragma GCC unroll 4
            for (int t = 0; t < nt; t++) {
                __m256i x = broadcast_word(q + t * ld + 4 * j);
                __m256i p0 = _mm256_maddubs_epi16(w0, x), p1 = _mm256_maddubs_epi16(w1, x);
                pairs[t][0] = j > i ? _mm256_add_epi16(pairs[t][0], p0) : p0;
                pairs[t][1] = j > i ? _mm256_add_epi16(pairs[t][1], p1) : p1;
                SETTLE(pairs[t][0]);
                SETTLE(pairs[t][1]);
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < nt; t++) {
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                __m256i sum = _mm256_madd_epi16(pairs[t][v], ones);
                s[t][v] = i ? _mm256_add_epi32(s[t][v], sum) : sum;
            }
        }
    }
}

INLINE void block_16(const int nt, const unsigned char *panel, const unsigned char *q, int64_t ld,
                     __m256i s[TOKENS][2])
{
#pragma GCC unroll 16
    for (int j = 0; j < 2 * QUADS; j++) {
        __m256i w0 = load_32(panel + j * HN_IM_ROWS * 4);
        __m256i w1 = load_32(panel + j * HN_IM_ROWS * 4 + 32);
#pragma GCC unroll 4
        for (int t = 0; t < nt; t++) {
            __m256i x = broadcast_word(q + 2 * t * ld + 4 * j);
            __m256i p0 = _mm256_madd_epi16(w0, x), p1 = _mm256_madd_epi16(w1, x);
            s[t][0] = j ? _mm256_add_epi32(s[t][0], p0) : p0;
            s[t][1] = j ? _mm256_add_epi32(s[t][1], p1) : p1;
            SETTLE(s[t][0]);
            SETTLE(s[t][1]);
        }
    }
}

/* chain 0: 16 bits.  The totals rest in memory between blocks: the sums need the registers. */
INLINE void tile(const int chain, const bool biased, const int nt, const struct hn_im_tokens *x,
                 int64_t k0, int64_t depth, const unsigned char *at, float *y, int64_t ldy,
                 bool add)
{
    const int width = chain ? 1 : 2, size = chain ? HN_IM_BLOCK_8 : HN_IM_BLOCK_16;
    const unsigned char *q = x->q + k0 * width;
    int64_t first = k0 / HN_IM_BLOCK;
    __m256 total[TOKENS][2];
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
        for (int v = 0; v < 2; v++)
            total[t][v] = add ? _mm256_loadu_ps(y + t * ldy + v * LANES) : _mm256_setzero_ps();
    for (int64_t b = 0; b < depth / HN_IM_BLOCK; b++, at += size, q += HN_IM_BLOCK * width) {
        const float *scales = (const float *)(const void *)(at + size - HN_IM_SCALES);
        __m256i s[TOKENS][2];
        if (chain)
            block_8(chain, nt, at, q, x->ld, s);
        else
            block_16(nt, at, q, x->ld, s);
#pragma GCC unroll 4
        for (int t = 0; t < nt; t++) {
            __m256 scale = _mm256_set1_ps(x->scale[t * x->ldb + first + b]);
            __m256 sum = _mm256_set1_ps(biased ? x->sum[t * x->ldb + first + b] : 0.0f);
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                __m256 f = _mm256_mul_ps(_mm256_loadu_ps(scales + v * LANES), scale);
                total[t][v] = _mm256_fmadd_ps(f, _mm256_cvtepi32_ps(s[t][v]), total[t][v]);
                if (biased)
                    total[t][v] = _mm256_fmadd_ps(_mm256_loadu_ps(scales + HN_IM_ROWS + v * LANES),
                                                  sum, total[t][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < nt; t++)
        for (int v = 0; v < 2; v++)
            _mm256_storeu_ps(y + t * ldy + v * LANES, total[t][v]);
}

#define TILES(chain, biased)                                                                       \
    switch (nt) {                                                                                  \
    case 1:                                                                                        \
        tile(chain, biased, 1, x, k0, depth, at, y, ldy, add);                                     \
        break;                                                                                     \
    case 2:                                                                                        \
        tile(chain, biased, 2, x, k0, depth, at, y, ldy, add);                                     \
        break;                                                                                     \
    case 3:                                                                                        \
        tile(chain, biased, 3, x, k0, depth, at, y, ldy, add);                                     \
        break;                                                                                     \
    default:                                                                                       \
        tile(chain, biased, 4, x, k0, depth, at, y, ldy, add);                                     \
    }

static void tile_8(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                   int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    if (kind.chain == 8)
        TILES(8, true)
    else if (kind.chain == 4)
        TILES(4, true)
    else
        TILES(2, true)
}

static void tile_16(struct hn_im_kind kind, int nt, const struct hn_im_tokens *x, int64_t k0,
                    int64_t depth, const unsigned char *at, float *y, int64_t ldy, bool add)
{
    if (kind.biased)
        TILES(0, true)
    else
        TILES(0, false)
}

const struct hn_cpu_igemm hn_cpu_igemm_avx2 = {
    .form = {[HN_IM_8] = {pack_8, panel_8, tile_8}, [HN_IM_16] = {pack_16, panel_16, tile_16}},
    .tokens = TOKENS,
    .bytes = {[HN_IM_16] = true},
    .q6_k = true,
};

#endif
