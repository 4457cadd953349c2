/* Few tokens with AVX-512: weights go from their stored form into the sums, decoded in registers;
 * the loops are in gemv_rows.h. */
#include "backend/cpu/gemv.h"
#include "backend/cpu/codes_avx512.h"
#include "backend/cpu/gemv_tokens.h"
#include "backend/cpu/vec_avx512.h"

#ifndef __AVX512F__
const struct hn_cpu_gemv hn_cpu_gemv_avx512 = {{{0}}};
#else

#define LANES_512    1
#define EIGHT_BLOCKS 0
enum { LANES = 16, PASS = 8, PICK_VECTORS = 1 };

INLINE float v_sum(vec a)
{
    return _mm512_reduce_add_ps(a);
}
INLINE vec v_plain(const enum hn_layout layout, const unsigned char *at)
{
    return load_plain(layout, 0xffff, at);
}
INLINE vec v_widen(enum hn_dtype t, const unsigned char *base, size_t i)
{
    return load_plain((enum hn_layout)t, 0xffff, base + i * (t == HN_F32 ? 4 : 2));
}

INLINE ivec i_load_half(const void *p)
{
    return _mm512_maskz_loadu_epi32(0xff, p);
}
/* Lane l of each four: right by 4l. */
INLINE ivec i_srl_by_lane(ivec a)
{
    return _mm512_srlv_epi32(a,
                             _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12));
}
/* sum + products of 16-bit integers, added in pairs */
INLINE ivec i_dot(ivec sum, ivec a, ivec b)
{
    return _mm512_dpwssd_epi32(sum, a, b);
}

/* of the blocks in lanes 0-7 and 8-15 */
struct values {
    vec map, second;
};

#include "backend/cpu/gemv_rows.h"

/* ---- blocks of 32 -------------------------------------------------------------------------- */

/* Lanes 4b.. = lane pick(b) of v. */
INLINE __m512i spread(__m512i v, const int b0, const int b1, const int b2, const int b3)
{
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(b0, b0, b0, b0, b1, b1, b1, b1, b2, b2, b2, b2, b3, b3, b3, b3), v);
}

INLINE vec spread_ps(vec v, const int b0, const int b1, const int b2, const int b3)
{
    return _mm512_castsi512_ps(spread(_mm512_castps_si512(v), b0, b1, b2, b3));
}

/* Scale and bias from words whose halves they are, at lanes b0, b1… of heads. */
INLINE void set_pairs(struct chunk *c, __m512i heads, const int b0, const int b1, const int b2,
                      const int b3)
{
    __m512i four = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(b0, b1, b2, b3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), heads);
    vec pairs = _mm512_castps256_ps512(_mm256_cvtph_ps(_mm512_castsi512_si128(four)));
    c->scale = spread_ps(pairs, 0, 2, 4, 6);
    c->bias = spread_ps(pairs, 1, 3, 5, 7);
}

/* A block is five words, the first of them scale and bias. */
INLINE struct chunk load_q4_1(const unsigned char *at, int64_t n_blocks)
{
    __m512i low, high, word;
    if (n_blocks >= 4) {
        low = _mm512_loadu_si512(at);
        high = _mm512_loadu_si512(at + 16);
    } else {
        low = _mm512_maskz_loadu_epi32(lanes(5 * n_blocks), at);
        high = _mm512_maskz_loadu_epi32(lanes(5 * n_blocks - 4), at + 16);
    }
    word = _mm512_setr_epi32(1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 28, 29, 30, 31);
    struct chunk c = {.words = _mm512_permutex2var_epi32(low, word, high)};
    set_pairs(&c, low, 0, 5, 10, 15);
    return c;
}

/* A block is six words: scale and bias, fifth bits, codes. */
INLINE struct chunk load_q5_1(const unsigned char *at, int64_t n_blocks)
{
    __m512i low, high, word, head;
    if (n_blocks >= 4) {
        low = _mm512_loadu_si512(at);
        high = _mm512_loadu_si512(at + 32);
    } else {
        low = _mm512_maskz_loadu_epi32(lanes(6 * n_blocks), at);
        high = _mm512_maskz_loadu_epi32(lanes(6 * n_blocks - 8), at + 32);
    }
    word = _mm512_setr_epi32(2, 3, 4, 5, 8, 9, 10, 11, 14, 15, 24, 25, 28, 29, 30, 31);
    head = _mm512_setr_epi32(0, 6, 12, 26, 1, 7, 13, 27, 0, 0, 0, 0, 0, 0, 0, 0);
    struct chunk c = {.words = _mm512_permutex2var_epi32(low, word, high)};
    head = _mm512_permutex2var_epi32(low, head, high);
    c.fifth = spread(head, 4, 5, 6, 7);
    set_pairs(&c, head, 0, 1, 2, 3);
    return c;
}

INLINE __m128i codes_at(const unsigned char *at, int64_t b, int64_t n_blocks)
{
    return b < n_blocks ? load_16(at) : _mm_setzero_si128();
}

INLINE unsigned head_at(const unsigned char *at, int64_t b, int64_t n_blocks)
{
    uint16_t h = 0;
    if (b < n_blocks)
        memcpy(&h, at, sizeof h);
    return h;
}

INLINE int fifth_at(const unsigned char *at, int64_t b, int64_t n_blocks)
{
    int bits = 0;
    if (b < n_blocks)
        memcpy(&bits, at, sizeof bits);
    return bits;
}

/* Blocks of size bytes: a scale, fifth bits in Q5_0, then codes, whose middle is zero. */
INLINE struct chunk load_symmetric(const int size, const float middle, const unsigned char *at,
                                   int64_t n)
{
    const unsigned char *q = at + size - 16;
    __m256i a = _mm256_inserti128_si256(_mm256_castsi128_si256(codes_at(q, 0, n)),
                                        codes_at(q + size, 1, n), 1);
    __m256i b = _mm256_inserti128_si256(_mm256_castsi128_si256(codes_at(q + 2 * size, 2, n)),
                                        codes_at(q + 3 * size, 3, n), 1);
    struct chunk c = {.words = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1)};
    unsigned low = head_at(at, 0, n) | head_at(at + size, 1, n) << 16;
    unsigned high = head_at(at + 2 * size, 2, n) | head_at(at + 3 * size, 3, n) << 16;
    __m128 d = _mm_cvtph_ps(_mm_insert_epi32(_mm_cvtsi32_si128((int)low), (int)high, 1));
    c.scale = spread_ps(_mm512_castps128_ps512(d), 0, 1, 2, 3);
    c.bias = _mm512_mul_ps(c.scale, _mm512_set1_ps(-middle));
    if (size == 22) {
        __m128i bits = _mm_cvtsi32_si128(fifth_at(at + 2, 0, n));
        bits = _mm_insert_epi32(bits, fifth_at(at + 24, 1, n), 1);
        bits = _mm_insert_epi32(bits, fifth_at(at + 46, 2, n), 2);
        bits = _mm_insert_epi32(bits, fifth_at(at + 68, 3, n), 3);
        c.fifth = spread(_mm512_castsi128_si512(bits), 0, 1, 2, 3);
    }
    return c;
}

/* Entries i.. of an array of scales where m says, widened. */
INLINE __m512 load_scales(const enum hn_dtype t, const unsigned char *base, size_t i, __mmask8 m)
{
    if (t == HN_F32)
        return _mm512_castps128_ps512(_mm_maskz_loadu_ps(m, base + i * 4));
    __m128i h = _mm_maskz_loadu_epi16(m, base + i * 2);
    if (t == HN_F16)
        return _mm512_castps128_ps512(_mm_cvtph_ps(h));
    return _mm512_castps128_ps512(_mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(h), 16)));
}

/* g: the chunk's first group; shift: log2 of the blocks in a group. */
INLINE struct chunk load_affine4(const enum hn_dtype t, const struct hn_matrix *w,
                                 const unsigned char *at, size_t g, int64_t n_blocks,
                                 const int shift)
{
    int64_t n = (HN_MIN(n_blocks, 4) + (1 << shift) - 1) >> shift;
    __m512i lane = _mm512_srli_epi32(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), (unsigned)shift);
    struct chunk c = {.words = n_blocks >= 4 ? _mm512_loadu_si512(at)
                                             : _mm512_maskz_loadu_epi32(lanes(4 * n_blocks), at)};
    c.scale = _mm512_permutexvar_ps(lane, load_scales(t, w->scales, g, (__mmask8)lanes(n)));
    c.bias = _mm512_permutexvar_ps(lane, load_scales(t, w->biases, g, (__mmask8)lanes(n)));
    return c;
}

INLINE struct chunk load_chunk(const enum kind kind, const struct hn_matrix *w,
                               const unsigned char *row, size_t groups, int64_t k, int64_t n_blocks)
{
    int64_t b = k / TOKEN_BLOCK;
    if (kind == KIND_Q4_0)
        return load_symmetric(18, 8.0f, row + b * 18, n_blocks);
    if (kind == KIND_Q4_1)
        return load_q4_1(row + b * 20, n_blocks);
    if (kind == KIND_Q5_0)
        return load_symmetric(22, 16.0f, row + b * 22, n_blocks);
    if (kind == KIND_Q5_1)
        return load_q5_1(row + b * 24, n_blocks);
    const int shift = kind < KIND_AFFINE_64 ? 0 : kind < KIND_AFFINE_128 ? 1 : 2;
    return load_affine4((enum hn_dtype)((kind - KIND_AFFINE_32) % 3), w, row + k / 2,
                        groups + ((size_t)b >> shift), n_blocks, shift);
}

/* ---- blocks of 256 ------------------------------------------------------------------------- */

INLINE struct group_scales load_scales_k(const enum hn_layout layout, const unsigned char *block)
{
    struct group_scales g;
    if (layout == HN_LAYOUT_Q6_K) {
        vec d = _mm512_set1_ps(half(block + 208));
        g.scale[0] =
            _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16(block + 192))));
        g.bias[0] = _mm512_mul_ps(g.scale[0], _mm512_set1_ps(-32.0f));
    } else {
        struct scales_k s = scales_k(block);
        g.scale[0] = _mm512_zextps256_ps512(s.scale);
        g.bias[0] = _mm512_zextps256_ps512(s.bias);
    }
    return g;
}

INLINE struct group_values group_values(const enum hn_layout layout, const vec v[1])
{
    (void)layout;
    return (struct group_values){{v[0]}};
}

INLINE vec v_of_groups(const enum hn_layout layout, const struct group_values *g, const int chunk,
                       const int part)
{
    const int base = layout == HN_LAYOUT_Q6_K ? 8 * chunk + 4 * part : 4 * chunk + part;
    if (layout == HN_LAYOUT_Q6_K)
        return spread_ps(g->v[0], base, base + 1, base + 2, base + 3);
    return spread_ps(g->v[0], base, base, base + 2, base + 2);
}

/* Q5_K: lanes 0-7 want bits 4*chunk and the next, lanes 8-15 the two after. */
INLINE ivec i_upper(const enum hn_layout layout, const unsigned char *high, const int chunk)
{
    const int n = layout == HN_LAYOUT_Q5_K ? 4 * chunk : 0;
    const unsigned char *at = layout == HN_LAYOUT_Q5_K ? high : high + 32 * chunk;
    __m512i v = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)at));
    __m512i by =
        _mm512_inserti64x4(_mm512_set1_epi16((short)n), _mm256_set1_epi16((short)(n + 2)), 1);
    return _mm512_srlv_epi16(v, by);
}

/* ---- whole bytes and odd widths ------------------------------------------------------------ */

INLINE ivec i_signed(const unsigned char *at)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

/* Sixteen codes come from sixteen bytes that each two lanes of 128 bits share: each 16-bit lane
 * takes the two bytes that its code lies in and shifts them. */
INLINE ivec i_codes(const unsigned char *at, const int bits)
{
    if (bits == 8)
        return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)at));
    const struct code_places p = code_places(bits);
    __m512i bytes =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_broadcastsi128_si256(load_16(at))),
                           _mm256_broadcastsi128_si256(load_16(at + 2 * bits)), 1);
    __m512i pairs = _mm512_shuffle_epi8(bytes, _mm512_broadcast_i64x4(p.bytes));
    return _mm512_srli_epi16(_mm512_mullo_epi16(pairs, _mm512_broadcast_i64x4(p.factor)),
                             (unsigned)(16 - bits));
}

/* ---- looked up ----------------------------------------------------------------------------- */

INLINE vec rounded(const enum hn_dtype t, vec v)
{
    if (t == HN_F32)
        return v;
    if (t == HN_F16)
        return _mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    __m512i i = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(i, 16), _mm512_set1_epi32(1));
    i = _mm512_add_epi32(i, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_castsi512_ps(_mm512_and_si512(i, _mm512_set1_epi32((int)0xffff0000u)));
}

INLINE struct values v_values(const enum hn_dtype t, const unsigned char *map, float a, float b)
{
    vec m = _mm512_loadu_ps(map);
    return (struct values){rounded(t, _mm512_mul_ps(m, _mm512_set1_ps(a))),
                           rounded(t, _mm512_mul_ps(m, _mm512_set1_ps(b)))};
}

INLINE vec v_lookup(const struct values *v, ivec word)
{
    const __m512i second =
        _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 16, 16, 16, 16, 16, 16, 16, 16);
    __m512i i = _mm512_or_si512(_mm512_and_si512(word, _mm512_set1_epi32(15)), second);
    return _mm512_permutex2var_ps(v->map, i, v->second);
}

const struct hn_cpu_gemv hn_cpu_gemv_avx512 = GEMV_TABLE;

#endif
