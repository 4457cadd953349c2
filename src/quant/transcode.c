/* From one quantised layout to another by way of what they share: 32 codes, a scale and a bias,
 * value = code * scale + bias. */
#include "quant/codec.h"
#include "quant/encode_row.h"

#include <math.h>
#include <string.h>

enum { GROUP = 32 };

struct group {
    uint8_t codes[GROUP];
    float scale, bias;
};

/* Bits that the codes of a layout need, or 0 when it is not of this kind. */
static int code_bits(const struct hn_matrix *m)
{
    switch (m->layout) {
    case HN_LAYOUT_AFFINE:
        return m->bits;
    case HN_LAYOUT_Q4_0:
    case HN_LAYOUT_Q4_1:
    case HN_LAYOUT_Q4_K:
        return 4;
    case HN_LAYOUT_Q5_0:
    case HN_LAYOUT_Q5_1:
    case HN_LAYOUT_Q5_K:
        return 5;
    case HN_LAYOUT_Q8_0:
        return 8;
    default:
        return 0;
    }
}

bool hn_transcodes(const struct hn_matrix *m, const struct hn_storage *s)
{
    int bits = code_bits(m);
    if (!bits)
        return false;
    switch (s->layout) {
    case HN_LAYOUT_AFFINE:
        return m->layout == HN_LAYOUT_AFFINE ? s->bits == m->bits && s->group == m->group
                                             : s->bits == bits && s->group == GROUP;
    case HN_LAYOUT_Q4_1:
        return bits <= 4;
    case HN_LAYOUT_Q5_1:
        return bits <= 5;
    default:
        return false;
    }
}

static float half_at(const unsigned char *at, size_t i)
{
    return hn_dtype_load(HN_F16, at, i);
}

static void take_nibbles(const unsigned char *at, uint8_t codes[GROUP])
{
    for (int j = 0; j < GROUP / 2; j++) {
        codes[j] = at[j] & 15;
        codes[j + GROUP / 2] = at[j] >> 4;
    }
}

static void take_fives(const unsigned char *at, uint8_t codes[GROUP])
{
    take_nibbles(at + 4, codes);
    for (int j = 0; j < GROUP; j++)
        codes[j] |= (uint8_t)((at[j / 8] >> j % 8 & 1) << 4);
}

/* Group j of eight of a K block (kquants.c): its 6-bit scale and min are multiplied into one
 * float32 each, which is exact. */
static void take_k(const struct hn_matrix *m, const unsigned char *row, int64_t col,
                   struct group *g)
{
    bool five = m->layout == HN_LAYOUT_Q5_K;
    const unsigned char *b = row + col / 256 * (five ? 176 : 144), *s = b + 4;
    int j = (int)(col % 256 / GROUP), scale, min;
    if (j < 4) {
        scale = s[j] & 63;
        min = s[j + 4] & 63;
    } else {
        scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
    g->scale = half_at(b, 0) * (float)scale;
    g->bias = -(half_at(b, 1) * (float)min);
    const unsigned char *codes = b + (five ? 48 : 16) + j / 2 * 32;
    for (int l = 0; l < GROUP; l++) {
        g->codes[l] = codes[l] >> j % 2 * 4 & 15;
        if (five)
            g->codes[l] |= (uint8_t)((b[16 + l] >> j & 1) << 4);
    }
}

/* The group of stored row `row` that begins at column col. */
static void take(const struct hn_matrix *m, int64_t row, int64_t col, struct group *g)
{
    const unsigned char *at = m->data + (size_t)row * m->row_size;
    const unsigned char *block =
        at + (size_t)(col / GROUP) * hn_layout_row_size(m->layout, GROUP, m->bits);
    size_t i = 0;
    switch (m->layout) {
    case HN_LAYOUT_AFFINE:
        i = (size_t)row * (size_t)(m->cols / m->group) + (size_t)(col / m->group);
        g->scale = hn_dtype_load(m->scale_dtype, m->scales, i);
        g->bias = hn_dtype_load(m->scale_dtype, m->biases, i);
        for (int j = 0; j < GROUP; j++)
            g->codes[j] = (uint8_t)hn_affine_code(at, col + j, m->bits);
        return;
    case HN_LAYOUT_Q4_K:
    case HN_LAYOUT_Q5_K:
        take_k(m, at, col, g);
        return;
    case HN_LAYOUT_Q4_0:
        take_nibbles(block + 2, g->codes);
        break;
    case HN_LAYOUT_Q4_1:
        take_nibbles(block + 4, g->codes);
        break;
    case HN_LAYOUT_Q5_0:
        take_fives(block + 2, g->codes);
        break;
    case HN_LAYOUT_Q5_1:
        take_fives(block + 4, g->codes);
        break;
    default: /* Q8_0: int8 as an offset from -128 */
        for (int j = 0; j < GROUP; j++)
            g->codes[j] = block[2 + j] ^ 128;
    }
    g->scale = half_at(block, 0);
    if (m->layout == HN_LAYOUT_Q4_1 || m->layout == HN_LAYOUT_Q5_1)
        g->bias = half_at(block, 1);
    else
        g->bias = -(float)(1 << (code_bits(m) - 1)) * g->scale;
}

/* Store v as element i of type t: was it exact?  *fits turns false when it became infinite. */
static bool put(enum hn_dtype t, unsigned char *to, size_t i, float v, bool *fits)
{
    hn_dtype_store(t, to, i, v);
    float stored = hn_dtype_load(t, to, i);
    *fits &= isfinite(stored) != 0;
    return stored == v;
}

static void put_codes(const struct group *g, int bits, unsigned char *to)
{
    uint64_t word = 0;
    int held = 0;
    for (int j = 0; j < GROUP; j++) {
        word |= (uint64_t)g->codes[j] << held;
        for (held += bits; held >= 8; held -= 8, word >>= 8)
            *to++ = (unsigned char)word;
    }
}

static void put_block(const struct group *g, bool five, unsigned char *at)
{
    unsigned char *nibbles = at + (five ? 8 : 4);
    if (five)
        memset(at + 4, 0, 4);
    for (int j = 0; j < GROUP && five; j++)
        at[4 + j / 8] |= (unsigned char)((g->codes[j] >> 4) << j % 8);
    for (int j = 0; j < GROUP / 2; j++)
        nibbles[j] = (unsigned char)((g->codes[j] & 15) | (g->codes[j + GROUP / 2] & 15) << 4);
}

bool hn_transcode_row(const struct hn_matrix *m, int64_t row, const struct hn_storage *s,
                      struct hn_encoded to, int64_t *n_inexact)
{
    size_t size = hn_layout_row_size(s->layout, GROUP, s->bits);
    bool fits = true;
    for (int64_t col = 0; col < m->cols; col += GROUP, to.data += size) {
        struct group g;
        bool exact = true;
        take(m, row, col, &g);
        if (s->layout == HN_LAYOUT_AFFINE) {
            size_t i = (size_t)(col / s->group);
            exact = put(s->scale_dtype, to.scales, i, g.scale, &fits);
            exact &= put(s->scale_dtype, to.biases, i, g.bias, &fits);
            put_codes(&g, s->bits, to.data);
        } else {
            exact = put(HN_F16, to.data, 0, g.scale, &fits);
            exact &= put(HN_F16, to.data, 1, g.bias, &fits);
            put_block(&g, s->layout == HN_LAYOUT_Q5_1, to.data);
        }
        *n_inexact += !exact;
    }
    return fits;
}
