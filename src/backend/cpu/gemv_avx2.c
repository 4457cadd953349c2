/* Few tokens with AVX2: weights go from their stored form into the sums, decoded in registers; the
 * loops are in gemv_rows.h. */
#include "backend/cpu/gemv.h"
#include "backend/cpu/codes_avx2.h"
#include "backend/cpu/gemv_tokens.h"

#ifndef __AVX2__
const struct hn_cpu_gemv hn_cpu_gemv_avx2 = {{{0}}};
#else

#define LANES_512 0
#define EIGHT_BLOCKS 1
enum { LANES = 8, PASS = 4 };
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
INLINE float v_sum(vec a)
{
    return sum_lanes(a);
}
INLINE vec v_plain(const enum hn_layout layout, const unsigned char *at)
{
    return load_plain_8(layout, at);
}
INLINE vec v_widen(enum hn_dtype t, const unsigned char *base, size_t i)
{
    return load_plain_8((enum hn_layout)t, base + i * (t == HN_F32 ? 4 : 2));
}

INLINE ivec i_set32(int x)
{
    return _mm256_set1_epi32(x);
}
INLINE ivec i_load(const void *p)
{
    return _mm256_loadu_si256(p);
}
INLINE ivec i_load_half(const void *p)
{
    return _mm256_zextsi128_si256(load_16(p));
}
INLINE ivec i_and(ivec a, ivec b)
{
    return _mm256_and_si256(a, b);
}
INLINE ivec i_or(ivec a, ivec b)
{
    return _mm256_or_si256(a, b);
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
/* Lane l of each four: right by 4l. */
INLINE ivec i_srl_by_lane(ivec a)
{
    return _mm256_srlv_epi32(a, _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12));
}
/* sum + products of 16-bit integers, added in pairs */
INLINE ivec i_dot(ivec sum, ivec a, ivec b)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

struct values {
    vec low, high;
};

#include "backend/cpu/gemv_rows.h"

/* ---- blocks of 32 -------------------------------------------------------------------------- */

INLINE __m256 two(float a, float b)
{
    return _mm256_set_m128(_mm_set1_ps(b), _mm_set1_ps(a));
}

INLINE int word_at(const unsigned char *at)
{
    int word;
    memcpy(&word, at, sizeof word);
    return word;
}

INLINE __m256i two_codes(const unsigned char *a, const unsigned char *b)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(a)),
                                   b ? load_16(b) : _mm_setzero_si128(), 1);
}

INLINE __m256i two_words(const unsigned char *a, const unsigned char *b)
{
    return _mm256_set_m128i(_mm_set1_epi32(b ? word_at(b) : 0), _mm_set1_epi32(word_at(a)));
}

/* Blocks of size bytes: scale and bias, fifth bits in Q5_1, codes. */
INLINE struct chunk load_biased(const int size, const unsigned char *at, const bool pair)
{
    const unsigned char *next = at + size;
    struct chunk c = {.words = two_codes(next - 16, pair ? next + size - 16 : NULL)};
    __m128i heads = _mm_insert_epi32(_mm_cvtsi32_si128(word_at(at)), pair ? word_at(next) : 0, 1);
    __m256 v = _mm256_castps128_ps256(_mm_cvtph_ps(heads));
    c.scale = _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2));
    c.bias = _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3));
    if (size == 24)
        c.fifth = two_words(at + 4, pair ? next + 4 : NULL);
    return c;
}

/* Blocks of size bytes: a scale, fifth bits in Q5_0, then codes, whose middle is zero. */
INLINE struct chunk load_symmetric(const int size, const unsigned char *at, const bool pair)
{
    const unsigned char *next = at + size;
    struct chunk c = {.words = two_codes(next - 16, pair ? next + size - 16 : NULL)};
    c.scale = two(half(at), pair ? half(next) : 0.0f);
    if (size == 22)
        c.fifth = two_words(at + 2, pair ? next + 2 : NULL);
    return c;
}

INLINE struct chunk load_affine4(const enum hn_dtype t, const int group, const struct hn_matrix *w,
                                 const unsigned char *at, size_t g, const bool pair)
{
    struct chunk c = {.words = two_codes(at, pair ? at + 16 : NULL)};
    if (group == 32) {
        c.scale = two(widen(t, w->scales, g), pair ? widen(t, w->scales, g + 1) : 0.0f);
        c.bias = two(widen(t, w->biases, g), pair ? widen(t, w->biases, g + 1) : 0.0f);
    } else {
        c.scale = _mm256_set1_ps(widen(t, w->scales, g));
        c.bias = _mm256_set1_ps(widen(t, w->biases, g));
    }
    return c;
}

INLINE struct chunk load_chunk(const enum kind kind, const struct hn_matrix *w,
                               const unsigned char *row, size_t groups, int64_t k, int64_t n_blocks)
{
    const bool pair = n_blocks == 2;
    int64_t b = k / TOKEN_BLOCK;
    if (kind == KIND_Q4_0)
        return load_symmetric(18, row + b * 18, pair);
    if (kind == KIND_Q4_1)
        return load_biased(20, row + b * 20, pair);
    if (kind == KIND_Q5_0)
        return load_symmetric(22, row + b * 22, pair);
    if (kind == KIND_Q5_1)
        return load_biased(24, row + b * 24, pair);
    const int group = kind < KIND_AFFINE_64 ? 32 : kind < KIND_AFFINE_128 ? 64 : 128;
    return load_affine4((enum hn_dtype)((kind - KIND_AFFINE_32) % 3), group, w, row + k / 2,
                        groups + (size_t)(k / group), pair);
}

/* Eight blocks at a time: their scales are made together, even blocks in the low half, so that one
 * shuffle inside halves picks a chunk's. */

INLINE __m128i insert_word(__m128i v, const unsigned char *at, const int i)
{
    return _mm_insert_epi32(v, word_at(at), i);
}

/* Scales and biases of blocks a, b, c, d (in steps of size bytes). */
INLINE __m256 four_heads(const unsigned char *at, const int size, const int a, const int b,
                         const int c, const int d)
{
    __m128i v = insert_word(_mm_cvtsi32_si128(word_at(at + a * size)), at + b * size, 1);
    return _mm256_cvtph_ps(insert_word(insert_word(v, at + c * size, 2), at + d * size, 3));
}

INLINE uint16_t half_word(const unsigned char *at)
{
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return h;
}

INLINE __m256 eight_halves(const unsigned char *at, const int size)
{
    __m128i v = _mm_cvtsi32_si128(half_word(at));
    v = _mm_insert_epi16(v, half_word(at + 2 * size), 1);
    v = _mm_insert_epi16(v, half_word(at + 4 * size), 2);
    v = _mm_insert_epi16(v, half_word(at + 6 * size), 3);
    v = _mm_insert_epi16(v, half_word(at + size), 4);
    v = _mm_insert_epi16(v, half_word(at + 3 * size), 5);
    v = _mm_insert_epi16(v, half_word(at + 5 * size), 6);
    return _mm256_cvtph_ps(_mm_insert_epi16(v, half_word(at + 7 * size), 7));
}

/* Of groups of 32, 64 or 128 from group g on. */
INLINE __m256 eight_of_groups(const enum hn_dtype t, const int group, const unsigned char *base,
                              size_t g)
{
    if (group == 32)
        return _mm256_permutevar8x32_ps(v_widen(t, base, g),
                                        _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    if (group == 128) {
        float a = widen(t, base, g), b = widen(t, base, g + 1);
        return _mm256_setr_ps(a, a, b, b, a, a, b, b);
    }
    __m128 v; /* four scales, in both halves */
    if (t == HN_F32)
        v = _mm_loadu_ps((const float *)(const void *)(base + 4 * g));
    else if (t == HN_F16)
        v = _mm_cvtph_ps(_mm_loadl_epi64((const void *)(base + 2 * g)));
    else
        v = _mm_castsi128_ps(
            _mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64((const void *)(base + 2 * g))), 16));
    return _mm256_set_m128(v, v);
}

INLINE int block_size(const enum kind kind)
{
    return kind == KIND_Q4_0   ? 18
           : kind == KIND_Q4_1 ? 20
           : kind == KIND_Q5_0 ? 22
           : kind == KIND_Q5_1 ? 24
                               : 16;
}

INLINE struct eight_blocks load_eight(const enum kind kind, const struct hn_matrix *w,
                                      const unsigned char *row, size_t groups, int64_t k)
{
    const int size = block_size(kind);
    const unsigned char *at = row + k / TOKEN_BLOCK * size;
    struct eight_blocks e;
    if (kind == KIND_Q4_0 || kind == KIND_Q5_0) {
        e.scale = e.bias = eight_halves(at, size);
    } else if (kind == KIND_Q4_1 || kind == KIND_Q5_1) {
        __m256 a = four_heads(at, size, 0, 2, 1, 3), b = four_heads(at, size, 4, 6, 5, 7);
        e.scale = _mm256_shuffle_ps(a, b, 0x88);
        e.bias = _mm256_shuffle_ps(a, b, 0xdd);
    } else {
        const int group = kind < KIND_AFFINE_64 ? 32 : kind < KIND_AFFINE_128 ? 64 : 128;
        const enum hn_dtype t = (enum hn_dtype)((kind - KIND_AFFINE_32) % 3);
        e.scale = eight_of_groups(t, group, w->scales, groups + (size_t)(k / group));
        e.bias = eight_of_groups(t, group, w->biases, groups + (size_t)(k / group));
    }
    return e;
}

/* Lane i of each half, everywhere in that half. */
INLINE __m256 spread_lane(__m256 v, const int i)
{
    switch (i) {
    case 0:
        return _mm256_permute_ps(v, 0x00);
    case 1:
        return _mm256_permute_ps(v, 0x55);
    case 2:
        return _mm256_permute_ps(v, 0xaa);
    default:
        return _mm256_permute_ps(v, 0xff);
    }
}

INLINE struct chunk chunk_of_eight(const enum kind kind, const struct eight_blocks *e,
                                   const unsigned char *at, const int which)
{
    const int size = block_size(kind);
    const unsigned char *next = at + size;
    struct chunk c = {.words = two_codes(next - 16, next + size - 16),
                      .scale = spread_lane(e->scale, which),
                      .bias = spread_lane(e->bias, which)};
    if (kind == KIND_Q5_0)
        c.fifth = two_words(at + 2, next + 2);
    else if (kind == KIND_Q5_1)
        c.fifth = two_words(at + 4, next + 4);
    return c;
}

/* ---- blocks of 256 ------------------------------------------------------------------------- */

INLINE struct group_scales load_scales_k(const enum hn_layout layout, const unsigned char *block)
{
    struct group_scales g;
    if (layout == HN_LAYOUT_Q6_K) {
        __m128i s = load_16(block + 192);
        vec d = _mm256_set1_ps(half(block + 208)), middle = _mm256_set1_ps(-32.0f);
        g.scale[0] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(s)));
        g.scale[1] =
            _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(s, 8))));
        g.bias[0] = _mm256_mul_ps(g.scale[0], middle);
        g.bias[1] = _mm256_mul_ps(g.scale[1], middle);
        return g;
    }
    struct scales_k s = scales_k(block); /* of even groups, then of odd ones, in both halves */
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m256i odd = _mm256_setr_epi32(1, 3, 5, 7, 1, 3, 5, 7);
    g.scale[0] = _mm256_permutevar8x32_ps(s.scale, even);
    g.scale[1] = _mm256_permutevar8x32_ps(s.scale, odd);
    g.bias[0] = _mm256_permutevar8x32_ps(s.bias, even);
    g.bias[1] = _mm256_permutevar8x32_ps(s.bias, odd);
    return g;
}

INLINE vec v_of_groups(const enum hn_layout layout, const vec v[2], const int chunk, const int part)
{
    if (layout == HN_LAYOUT_Q6_K) {
        const int i = 2 * (chunk % 2) + 4 * part;
        return _mm256_permutevar8x32_ps(v[chunk / 2],
                                        _mm256_setr_epi32(i, i, i, i, i + 1, i + 1, i + 1, i + 1));
    }
    return spread_lane(v[part], chunk);
}

INLINE ivec i_upper(const enum hn_layout layout, const unsigned char *high, const int chunk)
{
    if (layout == HN_LAYOUT_Q5_K)
        return i_srl16(i_load(high), 2 * chunk);
    return i_srl16(i_load(high + chunk / 2 * 32), 2 * (chunk % 2));
}

/* ---- whole bytes and odd widths ------------------------------------------------------------ */

INLINE ivec i_signed(const unsigned char *at)
{
    return _mm256_cvtepi8_epi16(load_16(at));
}

INLINE ivec i_codes(const unsigned char *at, const int bits)
{
    if (bits == 8)
        return _mm256_cvtepu8_epi16(load_16(at));
    const struct code_places p = code_places(bits);
    __m256i pairs = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_16(at)), p.bytes);
    return _mm256_srli_epi16(_mm256_mullo_epi16(pairs, p.factor), 16 - bits);
}

/* ---- looked up ----------------------------------------------------------------------------- */

INLINE vec rounded(const enum hn_dtype t, vec v)
{
    if (t == HN_F32)
        return v;
    if (t == HN_F16)
        return _mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    __m256i i = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(i, 16), _mm256_set1_epi32(1));
    i = _mm256_add_epi32(i, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_castsi256_ps(_mm256_and_si256(i, _mm256_set1_epi32((int)0xffff0000u)));
}

INLINE struct values v_values(const enum hn_dtype t, const unsigned char *map, float a, float b)
{
    vec scale = _mm256_set1_ps(a);
    (void)b;
    return (struct values){
        rounded(t, _mm256_mul_ps(v_widen(HN_F32, map, 0), scale)),
        rounded(t, _mm256_mul_ps(v_widen(HN_F32, map, 8), scale)),
    };
}

INLINE vec v_lookup(const struct values *v, ivec word)
{
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(v->low, word),
                            _mm256_permutevar8x32_ps(v->high, word),
                            _mm256_castsi256_ps(_mm256_slli_epi32(word, 28)));
}

const struct hn_cpu_gemv hn_cpu_gemv_avx2 = GEMV_TABLE;

#endif
