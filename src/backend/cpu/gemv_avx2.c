/* Few tokens with AVX2: weights go from their stored form into the sums, decoded in registers; the
 * loops are in gemv_rows.h. */
#include "backend/cpu/gemv.h"
#include "backend/cpu/codes_avx2.h"
#include "backend/cpu/gemv_tokens.h"
#include "backend/cpu/vec_avx2.h"

#ifndef __AVX2__
const struct hn_cpu_gemv hn_cpu_gemv_avx2 = {{{0}}}, hn_cpu_gemv_bytes_avx2 = {{{0}}};
#else

#define LANES_512    0
#define EIGHT_BLOCKS 1
enum { LANES = 8, PASS = 4, PICK_VECTORS = 2 };

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

INLINE ivec i_load_half(const void *p)
{
    return _mm256_zextsi128_si256(load_16(p));
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

INLINE int word_at(const unsigned char *at)
{
    int word;
    memcpy(&word, at, sizeof word);
    return word;
}

INLINE ivec load_codes(const enum kind kind, const unsigned char *a, const unsigned char *b)
{
    const int codes = block_size(kind) - 16;
    if (codes == 0 && b == a + 16)
        return i_load(a);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(a + codes)), load_16(b + codes),
                                   1);
}

INLINE ivec load_fifth(const enum kind kind, const unsigned char *a, const unsigned char *b)
{
    const int fifth = block_size(kind) - 20;
    return _mm256_set_m128i(_mm_set1_epi32(word_at(b + fifth)), _mm_set1_epi32(word_at(a + fifth)));
}

INLINE vec v_halves(float a, float b)
{
    return _mm256_set_m128(_mm_set1_ps(b), _mm_set1_ps(a));
}

INLINE vec v_first_lanes(const float *a, const float *b)
{
    return _mm256_set_m128(_mm_load_ss(b), _mm_load_ss(a));
}

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

INLINE __m256 eight_halves(const unsigned char *at, const int size)
{
    const unsigned char *const each[8] = {at,        at + 2 * size, at + 4 * size, at + 6 * size,
                                          at + size, at + 3 * size, at + 5 * size, at + 7 * size};
    return halves_at(each, 0);
}

/* Of groups of 32, 64 or 128. */
INLINE __m256 eight_of_groups(const enum hn_dtype t, const int group, const unsigned char *at)
{
    if (group == 32)
        return _mm256_permutevar8x32_ps(v_widen(t, at, 0),
                                        _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    if (group == 128) {
        float a = widen(t, at, 0), b = widen(t, at, 1);
        return _mm256_setr_ps(a, a, b, b, a, a, b, b);
    }
    __m128 v; /* four scales, in both halves */
    if (t == HN_F32)
        v = _mm_loadu_ps((const float *)(const void *)at);
    else if (t == HN_F16)
        v = _mm_cvtph_ps(_mm_loadl_epi64((const void *)at));
    else
        v = _mm_castsi128_ps(
            _mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64((const void *)at)), 16));
    return _mm256_set_m128(v, v);
}

INLINE struct eight_heads load_heads(const enum kind kind, const struct eight_at *at)
{
    const int size = block_size(kind);
    struct eight_heads h;
    if (kind == KIND_Q4_0 || kind == KIND_Q5_0) {
        h.scale = h.bias = eight_halves(at->blocks, size);
    } else if (kind == KIND_Q4_1 || kind == KIND_Q5_1) {
        __m256 a = four_heads(at->blocks, size, 0, 2, 1, 3);
        __m256 b = four_heads(at->blocks, size, 4, 6, 5, 7);
        h.scale = _mm256_shuffle_ps(a, b, 0x88);
        h.bias = _mm256_shuffle_ps(a, b, 0xdd);
    } else if (kind == KIND_Q4_K || kind == KIND_Q5_K) {
        const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
        struct scales_k s = scales_k(at->blocks);
        h.scale = _mm256_permutevar8x32_ps(s.scale, order);
        h.bias = _mm256_permutevar8x32_ps(s.bias, order);
    } else {
        const enum hn_dtype t = (enum hn_dtype)((kind - KIND_AFFINE_32) % 3);
        h.scale = eight_of_groups(t, group_of(kind), at->scales);
        h.bias = eight_of_groups(t, group_of(kind), at->biases);
    }
    return h;
}

INLINE struct eight_heads load_two_heads(const enum kind kind, const struct eight_at *at, int a,
                                         int b)
{
    struct eight_heads h;
    if (kind < KIND_AFFINE_32) {
        const unsigned char *pa = at->blocks + a * block_size(kind);
        const unsigned char *pb = at->blocks + b * block_size(kind);
        h.scale = h.bias = v_halves(half(pa), half(pb));
        if (kind == KIND_Q4_1 || kind == KIND_Q5_1)
            h.bias = v_halves(half(pa + 2), half(pb + 2));
    } else {
        const enum hn_dtype t = (enum hn_dtype)((kind - KIND_AFFINE_32) % 3);
        const size_t ga = (size_t)(a * TOKEN_BLOCK / group_of(kind));
        const size_t gb = (size_t)(b * TOKEN_BLOCK / group_of(kind));
        h.scale = v_halves(widen(t, at->scales, ga), widen(t, at->scales, gb));
        h.bias = v_halves(widen(t, at->biases, ga), widen(t, at->biases, gb));
    }
    return h;
}

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
    struct scales_k s = scales_k(block);
    g.scale[0] = s.scale;
    g.bias[0] = s.bias;
    g.scale[1] = g.bias[1] = _mm256_setzero_ps();
    return g;
}

/* Eight groups: the first four in both halves, then the others.  Sixteen: as they are. */
INLINE struct group_values group_values(const enum hn_layout layout, const vec v[2])
{
    if (layout == HN_LAYOUT_Q6_K)
        return (struct group_values){{v[0], v[1]}};
    return (struct group_values){
        {_mm256_permute2f128_ps(v[0], v[0], 0x00), _mm256_permute2f128_ps(v[0], v[0], 0x11)}};
}

INLINE vec v_of_groups(const enum hn_layout layout, const struct group_values *g, const int chunk,
                       const int part)
{
    if (layout == HN_LAYOUT_Q6_K) {
        const int i = 2 * (chunk % 2) + 4 * part;
        return _mm256_permutevar8x32_ps(g->v[chunk / 2],
                                        _mm256_setr_epi32(i, i, i, i, i + 1, i + 1, i + 1, i + 1));
    }
    return spread_lane(g->v[chunk / 2], 2 * (chunk % 2) + part);
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

/* ---- the class int8: tokens of bytes --------------------------------------------------------- */

/* Of two blocks, bits first*8 to first*8+15 of each, at bit 4 of a byte each. */
INLINE ivec fifth_bytes(ivec bits, const char first)
{
    const char a = first, b = (char)(first + 1);
    const ivec which =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b));
    const ivec each = _mm256_set1_epi64x((long long)0x8040201008040201u);
    ivec v = _mm256_and_si256(_mm256_shuffle_epi8(bits, which), each);
    return _mm256_and_si256(_mm256_cmpeq_epi8(v, each), _mm256_set1_epi8(16));
}

/* Groups a (even) and a + 1 lie in the same 32 bytes, low and high nibbles; bit a and a + 1 of 32
 * more are their fifth. */
INLINE void cut_bytes_k(const enum kind kind, const unsigned char *block, const int a, ivec n[2])
{
    const ivec apart = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4), low = _mm256_set1_epi8(15);
    const ivec bit = _mm256_setr_epi32(a, a, a, a, a + 1, a + 1, a + 1, a + 1);
    const unsigned char *at = block + (kind == KIND_Q4_K ? 16 : 48) + a * 16;
    for (int i = 0; i < 2; i++) {
        ivec codes = _mm256_broadcastsi128_si256(load_16(at + 16 * i));
        n[i] = _mm256_and_si256(_mm256_srlv_epi32(codes, apart), low);
        if (kind == KIND_Q4_K)
            continue;
        ivec fifth = _mm256_broadcastsi128_si256(load_16(block + 16 + 16 * i));
        fifth = _mm256_and_si256(_mm256_srlv_epi32(fifth, bit), _mm256_set1_epi8(1));
        n[i] = _mm256_or_si256(n[i], _mm256_slli_epi16(fifth, 4));
    }
}

INLINE void cut_bytes(const enum kind kind, const unsigned char *blocks, const int a, const int b,
                      ivec n[2])
{
    if (kind == KIND_Q4_K || kind == KIND_Q5_K) {
        cut_bytes_k(kind, blocks, a, n);
        return;
    }
    const unsigned char *at_a = blocks + a * block_size(kind),
                        *at_b = blocks + b * block_size(kind);
    const ivec low = _mm256_set1_epi8(15);
    ivec codes = load_codes(kind, at_a, at_b);
    n[0] = _mm256_and_si256(codes, low);
    n[1] = _mm256_and_si256(_mm256_srli_epi16(codes, 4), low);
    if (kind == KIND_Q5_0 || kind == KIND_Q5_1) {
        ivec bits = load_fifth(kind, at_a, at_b);
        n[0] = _mm256_or_si256(n[0], fifth_bytes(bits, 0));
        n[1] = _mm256_or_si256(n[1], fifth_bytes(bits, 2));
    }
}

/* Four products of 31 and 127 fit 16 bits. */
INLINE ivec i_dot_bytes(const ivec n[2], ivec x0, ivec x1)
{
    ivec pairs = _mm256_add_epi16(_mm256_maddubs_epi16(n[0], x0), _mm256_maddubs_epi16(n[1], x1));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE void rows_of_bytes(const enum kind kind, const int nt, const struct hn_matrix *w,
                          int64_t row, int64_t n, const float *x, int64_t ldx, float *y,
                          int64_t ldy)
{
    rows_eight(true, kind, nt, w, row, n, x, ldx, y, ldy);
}

/* Q6_K: a scale for each 16, so its products take them in as integers.  A token's block is that of
 * prepare_eight, but with the sums of 16s, in their order, in the place of the 32s'. */
enum { Q6_SUMS = 8 * LANES + 8, Q6_FLOATS = Q6_SUMS + 16 };

/* Groups of 32 number 2*pair and 2*pair + 1: 16 of each in a vector. */
INLINE void cut_q6_k(const unsigned char *block, const int pair, ivec n[2])
{
    const int shift = 4 * (pair % 2); /* of both the nibbles and the two upper bits */
    const ivec apart =
        _mm256_setr_epi32(shift, shift, shift, shift, shift + 2, shift + 2, shift + 2, shift + 2);
    const unsigned char *low = block + 64 * (pair / 2), *high = block + 128 + 32 * (pair / 2);
    for (int i = 0; i < 2; i++) {
        ivec upper = _mm256_broadcastsi128_si256(load_16(high + 16 * i));
        upper = _mm256_and_si256(_mm256_srlv_epi32(upper, apart), _mm256_set1_epi8(3));
        ivec codes = _mm256_set_m128i(load_16(low + 32 + 16 * i), load_16(low + 16 * i));
        codes = _mm256_and_si256(_mm256_srli_epi16(codes, shift), _mm256_set1_epi8(15));
        n[i] = _mm256_or_si256(codes, _mm256_slli_epi16(upper, 4));
    }
}

/* Scale a of 16 in the first half, a + 2 in the second, as 16-bit integers. */
INLINE ivec two_scales(__m128i scales, const char a)
{
    const char b = (char)(a + 2);
    return _mm256_cvtepi8_epi16(
        _mm_shuffle_epi8(scales, _mm_setr_epi8(a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b)));
}

INLINE void add_q6_k(const int nt, const unsigned char *block, const float *x, int64_t ldx,
                     vec total[PASS])
{
    const __m128i scales = load_16(block + 192);
    const vec d = v_set(half(block + 208)), less = v_mul(d, v_set(-32.0f));
    vec scale[PASS], first = v_mul(less, v_float(_mm256_cvtepi8_epi32(scales)));
    vec last = v_mul(less, v_float(_mm256_cvtepi8_epi32(_mm_srli_si128(scales, 8))));
    EACH_TOKEN(t)
    {
        const float *xt = x + t * ldx, *sums = xt + Q6_SUMS;
        scale[t] = v_mul(d, v_load(xt + eight_scales(true)));
        total[t] = v_fma(first, v_load(sums), v_fma(last, v_load(sums + 8), total[t]));
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; pair++) {
        const ivec s0 = two_scales(scales, (char)(4 * pair));
        const ivec s1 = two_scales(scales, (char)(4 * pair + 1));
        ivec n[2];
        cut_q6_k(block, pair, n);
        EACH_TOKEN(t)
        {
            const float *xt = x + t * ldx + pair * two_floats(true);
            ivec sum = _mm256_madd_epi16(_mm256_maddubs_epi16(n[0], i_load(xt)), s0);
            sum = i_dot(sum, _mm256_maddubs_epi16(n[1], i_load(xt + LANES)), s1);
            total[t] = v_fma(spread_lane(scale[t], pair), v_float(sum), total[t]);
        }
    }
}

INLINE void rows_q6_k(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                      int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    enum { SIZE = 210 };
    (void)layout;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        vec total[PASS];
        zero_sums(nt, total);
        for (int64_t i = 0; i < w->cols / SUPERBLOCK; i++, at += SIZE) {
            for (int p = 0; p < SIZE; p += 64)
                HN_PREFETCH(at + p + AHEAD);
            add_q6_k(nt, at, x + i * Q6_FLOATS, ldx, total);
        }
        store_sums(nt, total, y + j, ldy);
    }
}

#define BYTES(name, kind) GEMV(bytes_##name, rows_of_bytes, kind)
EACH_NIBBLES(BYTES)
BYTES(q4_k, KIND_Q4_K)
BYTES(q5_k, KIND_Q5_K)
GEMV(bytes_q6_k, rows_q6_k, HN_LAYOUT_Q6_K)

static void bytes_affine(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                         int64_t ldx, int nt, float *y, int64_t ldy)
{
    static hn_gemv_rows_fn *const by_group[3][3] = NIBBLES_BY_GROUP(bytes_);
    hn_gemv_rows_fn *fn = w->bits == 4 ? by_group[w->group / 64][w->scale_dtype] : gemv_affine;
    fn(w, row, n, x, ldx, nt, y, ldy);
}

static void prepare_bytes_halves(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_eight(true, 16, middle_of_layout(w->layout), w, x, out);
}

static void prepare_bytes_q6_k(const struct hn_matrix *w, const float *x, float *out)
{
    for (int64_t k = 0; k < w->cols; k += TOKEN_BLOCK) {
        float *eight = out + k / SUPERBLOCK * Q6_FLOATS;
        int b = (int)(k % SUPERBLOCK / TOKEN_BLOCK);
        ivec q[2];
        float scale = put_in_eight(true, 16, x + k, b, eight, q);
        for (int i = 0; i < 2; i++)
            eight[Q6_SUMS + 2 * b + i] = scale * sum_16(q[i]);
    }
}

static void prepare_bytes_affine(const struct hn_matrix *w, const float *x, float *out)
{
    if (w->bits == 4)
        prepare_eight(true, 1, 0, w, x, out);
    else
        prepare_affine(w, x, out);
}

const struct hn_cpu_gemv hn_cpu_gemv_bytes_avx2 = {{
    [HN_LAYOUT_AFFINE] = {prepare_bytes_affine, bytes_affine, NULL},
    [HN_LAYOUT_Q4_0] = {prepare_bytes_halves, bytes_q4_0, NULL},
    [HN_LAYOUT_Q4_1] = {prepare_bytes_halves, bytes_q4_1, NULL},
    [HN_LAYOUT_Q5_0] = {prepare_bytes_halves, bytes_q5_0, NULL},
    [HN_LAYOUT_Q5_1] = {prepare_bytes_halves, bytes_q5_1, NULL},
    [HN_LAYOUT_Q4_K] = {prepare_bytes_halves, bytes_q4_k, NULL},
    [HN_LAYOUT_Q5_K] = {prepare_bytes_halves, bytes_q5_k, NULL},
    [HN_LAYOUT_Q6_K] = {prepare_bytes_q6_k, bytes_q6_k, NULL},
}};

#endif
