/* Decoders with AVX2 of the formats that matmul_avx2.c leaves to C: rows of bitsandbytes and of
 * GGUF's other blocks, bit for bit as hn_matrix_decode.  src/quant has the meaning of each format.
 *
 * A GGUF format is 32 codes of a byte each, cut out of the block, then scale * code (+ bias) by
 * halves of 16; each product and each sum is rounded, as in C. */
#include "backend/cpu/codes_avx2.h"
#include "backend/cpu/matmul.h"

#ifndef __AVX2__
const struct hn_cpu_decode hn_cpu_decode_avx2 = {{0}};
#else

enum { STEP = 32, BLOCK = 256 };

/* ---- 32 codes of a byte -------------------------------------------------------------------- */

/* 16 codes below 256. */
INLINE void store_biased(__m128i codes, float scale, float bias, float *out)
{
    __m256 s = _mm256_set1_ps(scale), b = _mm256_set1_ps(bias);
    __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes));
    __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(codes, 8)));
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_mul_ps(low, s), b));
    _mm256_storeu_ps(out + 8, _mm256_add_ps(_mm256_mul_ps(high, s), b));
}

/* 16 signed codes. */
INLINE void store_signed(__m128i codes, float scale, float *out)
{
    __m256 s = _mm256_set1_ps(scale);
    __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
    __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(codes, 8)));
    _mm256_storeu_ps(out, _mm256_mul_ps(low, s));
    _mm256_storeu_ps(out + 8, _mm256_mul_ps(high, s));
}

INLINE __m256i load_32(const unsigned char *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* Each byte right by n, then the bits of mask. */
INLINE __m256i bits_of(__m256i v, int n, char mask)
{
    return _mm256_and_si256(_mm256_srl_epi16(v, _mm_cvtsi32_si128(n)), _mm256_set1_epi8(mask));
}

INLINE __m128i half_of(__m256i v, const int which)
{
    return which ? _mm256_extracti128_si256(v, 1) : _mm256_castsi256_si128(v);
}

/* 16 bytes of nibbles: the low ones first. */
INLINE __m256i nibbles(const unsigned char *at)
{
    __m128i v = load_16(at);
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* Bit i of the 32 that begin at `at` becomes bit 4 of byte i. */
INLINE __m256i fifths(const unsigned char *at)
{
    int word;
    memcpy(&word, at, sizeof word);
    __m256i spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(word), _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2,
                                                  2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3));
    __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

/* ---- blocks of 32 -------------------------------------------------------------------------- */

static void decode_q5_0(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / STEP * 22;
    for (int64_t k = 0; k < n; k += STEP, at += 22) {
        __m256i q = _mm256_or_si256(nibbles(at + 6), fifths(at + 2));
        q = _mm256_sub_epi8(q, _mm256_set1_epi8(16));
        store_signed(half_of(q, 0), half(at), out + k);
        store_signed(half_of(q, 1), half(at), out + k + 16);
    }
}

static void decode_q5_1(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row) + col / STEP * 24;
    for (int64_t k = 0; k < n; k += STEP, at += 24) {
        __m256i q = _mm256_or_si256(nibbles(at + 8), fifths(at + 4));
        store_biased(half_of(q, 0), half(at), half(at + 2), out + k);
        store_biased(half_of(q, 1), half(at), half(at + 2), out + k + 16);
    }
}

/* 32 nibbles' entries in the table of IQ4_NL and IQ4_XS. */
INLINE void store_uneven(const unsigned char *at, float scale, float *out)
{
    __m128i entry =
        _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
    __m256i q = nibbles(at);
    store_signed(_mm_shuffle_epi8(entry, half_of(q, 0)), scale, out);
    store_signed(_mm_shuffle_epi8(entry, half_of(q, 1)), scale, out + 16);
}

static void decode_iq4_nl(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                          float *out)
{
    const unsigned char *at = row_at(m, row) + col / STEP * 18;
    for (int64_t k = 0; k < n; k += STEP, at += 18)
        store_uneven(at + 2, half(at), out + k);
}

/* ---- blocks of 256 ------------------------------------------------------------------------- */

static void decode_iq4_xs(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n,
                          float *out)
{
    const unsigned char *at = row_at(m, row);
    for (int64_t end = col + n; col < end; col += STEP, out += STEP) {
        const unsigned char *b = at + col / BLOCK * 136;
        int k = (int)(col % BLOCK / STEP);
        unsigned upper = b[2 + k / 4] >> k % 4 * 2 & 3, low = b[4 + k / 2] >> k % 2 * 4 & 15;
        store_uneven(b + 8 + k * 16, half(b) * (float)((int)(low | upper << 4) - 32), out);
    }
}

static void decode_q2_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row);
    for (int64_t end = col + n; col < end; col += STEP, out += STEP) {
        const unsigned char *b = at + col / BLOCK * 84;
        int k = (int)(col % BLOCK / STEP);
        __m256i q = bits_of(load_32(b + 16 + k / 4 * 32), k % 4 * 2, 3);
        float d = half(b + 80), dmin = half(b + 82);
        for (int i = 0; i < 2; i++) {
            unsigned both = b[2 * k + i];
            store_biased(half_of(q, i), d * (float)(both & 15), -(dmin * (float)(both >> 4)),
                         out + i * 16);
        }
    }
}

static void decode_q3_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row);
    for (int64_t end = col + n; col < end; col += STEP, out += STEP) {
        const unsigned char *b = at + col / BLOCK * 110, *s = b + 96;
        int k = (int)(col % BLOCK / STEP);
        __m256i q = bits_of(load_32(b + 32 + k / 4 * 32), k % 4 * 2, 3);
        q = _mm256_or_si256(q, _mm256_slli_epi16(bits_of(load_32(b), k, 1), 2));
        q = _mm256_sub_epi8(q, _mm256_set1_epi8(4));
        for (int i = 0; i < 2; i++) {
            int g = 2 * k + i;
            int scale = (s[g % 8] >> g / 8 * 4 & 15) | (s[8 + g % 4] >> g / 4 * 2 & 3) << 4;
            store_signed(half_of(q, i), half(b + 108) * (float)(scale - 32), out + i * 16);
        }
    }
}

/* Q4_K, and Q5_K with upper bits at byte 16. */
INLINE void decode_45(const bool five, const struct hn_matrix *m, int64_t row, int64_t col,
                      int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row);
    float scale[8], bias[8];
    for (int64_t end = col + n, of = -1; col < end; col += STEP, out += STEP) {
        const unsigned char *b = at + col / BLOCK * (five ? 176 : 144);
        int k = (int)(col % BLOCK / STEP);
        if (of != col / BLOCK) {
            struct scales_k s = scales_k(b);
            _mm256_storeu_ps(scale, s.scale);
            _mm256_storeu_ps(bias, s.bias);
            of = col / BLOCK;
        }
        __m256i q = bits_of(load_32(b + (five ? 48 : 16) + k / 2 * 32), k % 2 * 4, 15);
        if (five)
            q = _mm256_or_si256(q, _mm256_slli_epi16(bits_of(load_32(b + 16), k, 1), 4));
        store_biased(half_of(q, 0), scale[k], bias[k], out);
        store_biased(half_of(q, 1), scale[k], bias[k], out + 16);
    }
}

static void decode_q4_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_45(false, m, row, col, n, out);
}

static void decode_q5_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    decode_45(true, m, row, col, n, out);
}

static void decode_q6_k(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const unsigned char *at = row_at(m, row);
    for (int64_t end = col + n; col < end; col += STEP, out += STEP) {
        const unsigned char *b = at + col / BLOCK * 210;
        int k = (int)(col % BLOCK / STEP), part = k / 4;
        __m256i q = bits_of(load_32(b + part * 64 + k % 2 * 32), k % 4 / 2 * 4, 15);
        __m256i high = bits_of(load_32(b + 128 + part * 32), k % 4 * 2, 3);
        q = _mm256_or_si256(q, _mm256_slli_epi16(high, 4));
        q = _mm256_sub_epi8(q, _mm256_set1_epi8(32));
        float d = half(b + 208);
        for (int i = 0; i < 2; i++)
            store_signed(half_of(q, i), d * (float)(signed char)b[192 + 2 * k + i], out + i * 16);
    }
}

/* ---- bitsandbytes -------------------------------------------------------------------------- */

INLINE __m256 rounded(enum hn_dtype t, __m256 v)
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

INLINE float scale_of(const struct hn_bnb4 *b, int64_t block)
{
    if (!b->nested_map)
        return widen(HN_F32, b->absmax, (size_t)block);
    float v = widen(HN_F32, b->nested_map, b->absmax[block]);
    return v * widen(HN_F32, b->nested_absmax, (size_t)(block / b->nested_block)) +
           b->nested_offset;
}

/* Element e of data: two in a byte, the first one high. */
INLINE unsigned code_at(const unsigned char *data, int64_t e)
{
    return data[e / 2] >> (e % 2 ? 0 : 4) & 15;
}

static void decode_bnb4(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const struct hn_bnb4 *b = m->bnb4;
    const __m256i shift = _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24);
    __m256 map[2] = {load_plain_8(HN_LAYOUT_F32, b->map), load_plain_8(HN_LAYOUT_F32, b->map + 32)};
    int64_t e = hn_matrix_stored_row(m, row) * m->cols + col, end = e + n;
    while (e < end) {
        int64_t block = e / b->block, stop = HN_MIN(end, (block + 1) * b->block);
        __m256 scale = _mm256_set1_ps(scale_of(b, block));
        __m256 low = rounded(b->dtype, _mm256_mul_ps(map[0], scale));
        __m256 high = rounded(b->dtype, _mm256_mul_ps(map[1], scale));
        for (; e % 2 == 0 && e + 8 <= stop; e += 8, out += 8) {
            int word;
            memcpy(&word, m->data + e / 2, sizeof word);
            __m256i code = _mm256_srlv_epi32(_mm256_set1_epi32(word), shift);
            __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(code, 28));
            _mm256_storeu_ps(out, _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, code),
                                                   _mm256_permutevar8x32_ps(high, code), upper));
        }
        float values[16];
        _mm256_storeu_ps(values, low);
        _mm256_storeu_ps(values + 8, high);
        for (; e < stop; e++)
            *out++ = values[code_at(m->data, e)];
    }
}

static void decode_bnb8(const struct hn_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const float over_127 = 7.874015718698502e-3f;
    const unsigned char *at = row_at(m, row) + col;
    float scale = widen(HN_F32, m->scales, (size_t)hn_matrix_stored_row(m, row));
    __m256 s = _mm256_set1_ps(scale), f = _mm256_set1_ps(over_127);
    int64_t k = 0;
    for (; k + 8 <= n; k += 8) {
        __m128i codes = _mm_loadl_epi64((const __m128i *)(const void *)(at + k));
        __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), s);
        _mm256_storeu_ps(out + k, _mm256_mul_ps(v, f));
    }
    for (; k < n; k++)
        out[k] = (float)(signed char)at[k] * scale * over_127;
}

const struct hn_cpu_decode hn_cpu_decode_avx2 = {{
    [HN_LAYOUT_Q5_0] = decode_q5_0,
    [HN_LAYOUT_Q5_1] = decode_q5_1,
    [HN_LAYOUT_Q2_K] = decode_q2_k,
    [HN_LAYOUT_Q3_K] = decode_q3_k,
    [HN_LAYOUT_Q4_K] = decode_q4_k,
    [HN_LAYOUT_Q5_K] = decode_q5_k,
    [HN_LAYOUT_Q6_K] = decode_q6_k,
    [HN_LAYOUT_IQ4_NL] = decode_iq4_nl,
    [HN_LAYOUT_IQ4_XS] = decode_iq4_xs,
    [HN_LAYOUT_BNB4] = decode_bnb4,
    [HN_LAYOUT_BNB8] = decode_bnb8,
}};

#endif
