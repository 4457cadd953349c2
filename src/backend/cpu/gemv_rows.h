/* The loops of the streaming products, for any width of register.  An instruction-set file defines
 * LANES, PASS, vec, ivec and the v_ and i_ functions used here, how the codes of each format are
 * loaded, and includes this once, after the order of the tokens (gemv_tokens.h or its like).
 *
 * A weight is code * scale + bias; per lane, with the products and their sum s in integers:
 *   sum over a block of (code*scale + bias) * x = (scale * x's scale) * s + bias * (sum of x) */
#ifndef HN_BACKEND_CPU_GEMV_ROWS_H
#define HN_BACKEND_CPU_GEMV_ROWS_H

#include "backend/cpu/gemv.h"

/* How far ahead memory is asked for, in bytes: a row is too short for the processor to see a stream
 * (4-bit rows of 2048: 6.9 GB/s without, 10.7 with). */
enum { AHEAD = 2048 };

#define EACH_TOKEN(t) _Pragma("GCC unroll 8") for (int t = 0; t < nt; t++)

INLINE void zero_sums(const int nt, vec total[])
{
    EACH_TOKEN(t)
    total[t] = v_set(0.0f);
}

INLINE void store_sums(const int nt, const vec total[], float *y, int64_t ldy)
{
    EACH_TOKEN(t)
    y[t * ldy] = v_sum(total[t]);
}

INLINE const int16_t *words_of(const float *x)
{
    return (const int16_t *)(const void *)x;
}

/* ---- 4 and 5 bits in blocks of 32 ---------------------------------------------------------- */

/* The kinds of nibbles; those of the affine layout by group and by type of scale.  Those of blocks
 * of 256, whose bytes hold two groups of 32 each, meet tokens of bytes alone. */
enum kind {
    KIND_Q4_0,
    KIND_Q4_1,
    KIND_Q5_0,
    KIND_Q5_1,
    KIND_AFFINE_32, /* + enum hn_dtype F32, F16 or BF16 */
    KIND_AFFINE_64 = KIND_AFFINE_32 + 3,
    KIND_AFFINE_128 = KIND_AFFINE_64 + 3,
    KIND_Q4_K = KIND_AFFINE_128 + 3,
    KIND_Q5_K,
};

INLINE void cut_nibbles(ivec words, ivec n[4])
{
    ivec low = i_set32(0x000f000f);
    n[0] = i_and(words, low);
    n[1] = i_and(i_srl16(words, 4), low);
    n[2] = i_and(i_srl16(words, 8), low);
    n[3] = i_srl16(words, 12);
}

/* Bits a and b of each lane become bit 4 of its two halves. */
INLINE ivec fifth_of(ivec bits, const int a, const int b)
{
    ivec low = a < 4 ? i_sll32(bits, 4 - a) : i_srl32(bits, a - 4);
    return i_or(i_and(low, i_set32(0x10)), i_and(i_sll32(bits, 20 - b), i_set32(0x100000)));
}

/* Lane l of a block holds elements 4l to 4l+3, and 16 more: nibble 0 is elements 4l and 4l+2. */
INLINE void add_fifth(ivec bits, ivec n[4])
{
    bits = i_srl_by_lane(bits);
    n[0] = i_or(n[0], fifth_of(bits, 0, 2));
    n[1] = i_or(n[1], fifth_of(bits, 16, 18));
    n[2] = i_or(n[2], fifth_of(bits, 1, 3));
    n[3] = i_or(n[3], fifth_of(bits, 17, 19));
}

#if EIGHT_BLOCKS
/* Eight blocks (LANES 8): scales and biases are made together and meet the token's at once. */

/* The middle of the codes, of formats that have one in the place of a bias. */
INLINE int middle_of(const enum kind kind)
{
    return kind == KIND_Q4_0 ? 8 : kind == KIND_Q5_0 ? 16 : 0;
}

INLINE int group_of(const enum kind kind)
{
    return kind < KIND_AFFINE_64 ? 32 : kind < KIND_AFFINE_128 ? 64 : 128;
}

INLINE bool is_affine(const enum kind kind)
{
    return kind >= KIND_AFFINE_32 && kind < KIND_Q4_K;
}

/* Of blocks of 256, the eighth of one. */
INLINE int block_size(const enum kind kind)
{
    return kind == KIND_Q4_K ? 18 : kind == KIND_Q5_K ? 22 : is_affine(kind) ? 16 : 18 + 2 * kind;
}

/* Where eight blocks lie; scales and biases of the affine layout. */
struct eight_at {
    const unsigned char *blocks, *scales, *biases;
};
/* In the order 0, 2, 4, 6 | 1, 3, 5, 7; no bias where codes have a middle. */
struct eight_heads {
    vec scale, bias;
};
INLINE struct eight_heads load_heads(const enum kind kind, const struct eight_at *at);
/* Scale and bias of blocks a and b of the eight, each everywhere in its half. */
INLINE struct eight_heads load_two_heads(const enum kind kind, const struct eight_at *at, int a,
                                         int b);
/* Codes and fifth bits of two blocks, a half each. */
INLINE ivec load_codes(const enum kind kind, const unsigned char *a, const unsigned char *b);
INLINE ivec load_fifth(const enum kind kind, const unsigned char *a, const unsigned char *b);
/* Lane i of each half, everywhere in that half. */
INLINE vec spread_lane(vec v, const int i);
/* a everywhere in the first half, b in the second; and in the first lane of each, zeros after it.
 */
INLINE vec v_halves(float a, float b);
INLINE vec v_first_lanes(const float *a, const float *b);

/* For tokens of bytes: the codes of blocks a and b of the eight, as bytes, 16 of each in a vector;
 * and the sums of their products with a token's, four to a lane. */
INLINE void cut_bytes(const enum kind kind, const unsigned char *blocks, const int a, const int b,
                      ivec n[2]);
INLINE ivec i_dot_bytes(const ivec n[2], ivec x0, ivec x1);

/* Floats of a token for two blocks. */
INLINE int two_floats(const bool bytes)
{
    return (bytes ? 2 : 4) * LANES;
}

/* Two blocks of codes meet a token's integers; scale: everywhere in its half. */
INLINE vec add_two(const bool bytes, const ivec n[4], const float *x, vec scale, vec sum)
{
    if (bytes)
        return v_fma(scale, v_float(i_dot_bytes(n, i_load(x), i_load(x + LANES))), sum);
    ivec s = i_dot(i_set32(0), n[0], i_load(x));
    s = i_dot(s, n[1], i_load(x + LANES));
    s = i_dot(s, n[2], i_load(x + 2 * LANES));
    s = i_dot(s, n[3], i_load(x + 3 * LANES));
    return v_fma(scale, v_float(s), sum);
}

INLINE void cut_two(const bool bytes, const enum kind kind, const unsigned char *blocks,
                    const int a, const int b, ivec n[4])
{
    if (bytes) {
        cut_bytes(kind, blocks, a, b, n);
        return;
    }
    const unsigned char *at_a = blocks + a * block_size(kind),
                        *at_b = blocks + b * block_size(kind);
    cut_nibbles(load_codes(kind, at_a, at_b), n);
    if (kind == KIND_Q5_0 || kind == KIND_Q5_1)
        add_fifth(load_fifth(kind, at_a, at_b), n);
}

INLINE void add_eight(const bool bytes, const enum kind kind, const int nt,
                      const struct eight_at *at, const float *x, int64_t ldx, vec total[2][PASS])
{
    struct eight_heads h = load_heads(kind, at);
    vec scale[PASS];
    EACH_TOKEN(t)
    {
        const float *xs = x + t * ldx + eight_scales(bytes);
        scale[t] = v_mul(h.scale, v_load(xs));
        vec of_sums = middle_of(kind) ? scale[t] : h.bias;
        total[0][t] = v_fma(of_sums, v_load(xs + 8), total[0][t]);
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; pair++) {
        ivec n[4];
        cut_two(bytes, kind, at->blocks, 2 * pair, 2 * pair + 1, n);
        EACH_TOKEN(t)
        {
            const float *xt = x + t * ldx + pair * two_floats(bytes);
            vec *sum = &total[nt > 2 ? 0 : pair % 2][t];
            *sum = add_two(bytes, n, xt, spread_lane(scale[t], pair), *sum);
        }
    }
}

/* The row's last n blocks, fewer than eight, in pairs; where there is no second, the first stands
 * in its place and the token has zeros. */
INLINE void add_last(const bool bytes, const enum kind kind, const int nt,
                     const struct eight_at *at, const int n, const float *x, int64_t ldx,
                     vec total[PASS])
{
    for (int a = 0; a < n; a += 2) {
        const int b = a + 1 < n ? a + 1 : a, pair = a / 2;
        struct eight_heads h = load_two_heads(kind, at, a, b);
        ivec codes[4];
        cut_two(bytes, kind, at->blocks, a, b, codes);
        EACH_TOKEN(t)
        {
            const float *xt = x + t * ldx, *xs = xt + eight_scales(bytes) + pair;
            vec scale = v_mul(h.scale, v_halves(xs[0], xs[4]));
            vec of_sums = middle_of(kind) ? scale : h.bias;
            vec sum = v_fma(of_sums, v_first_lanes(xs + 8, xs + 12), total[t]);
            total[t] = add_two(bytes, codes, xt + pair * two_floats(bytes), scale, sum);
        }
    }
}

INLINE void rows_eight(const bool bytes, const enum kind kind, const int nt,
                       const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                       int64_t ldx, float *y, int64_t ldy)
{
    enum { EIGHT = 8 * TOKEN_BLOCK };
    const bool affine = is_affine(kind);
    const int64_t size = 8 * block_size(kind), whole = w->cols / EIGHT;
    const size_t width = affine ? hn_dtype_size(w->scale_dtype) : 0;
    const int last = (int)(w->cols % EIGHT / TOKEN_BLOCK);
    const size_t step = affine ? (size_t)(EIGHT / group_of(kind)) * width : 0;
    for (int64_t j = 0; j < n; j++) {
        size_t first = 0; /* byte of the row's scales */
        if (affine)
            first = (size_t)(hn_matrix_stored_row(w, row + j) * (w->cols / w->group)) * width;
        struct eight_at at = {row_at(w, row + j), affine ? w->scales + first : NULL,
                              affine ? w->biases + first : NULL};
        vec total[2][PASS]; /* two, lest a single token's sum waits for itself */
        zero_sums(nt, total[0]);
        zero_sums(nt, total[1]);
        for (int64_t i = 0; i < whole; i++) {
#pragma GCC unroll 4
            for (int64_t p = 0; p < size; p += 64)
                HN_PREFETCH(at.blocks + p + AHEAD);
            add_eight(bytes, kind, nt, &at, x + i * eight_floats(bytes), ldx, total);
            at.blocks += size;
            if (affine) {
                at.scales += step;
                at.biases += step;
            }
        }
        add_last(bytes, kind, nt, &at, last, x + whole * eight_floats(bytes), ldx, total[1]);
        EACH_TOKEN(t)
        total[0][t] = v_add(total[0][t], total[1][t]);
        store_sums(nt, total[0], y + j, ldy);
    }
}

INLINE void rows_nibbles(const enum kind kind, const int nt, const struct hn_matrix *w, int64_t row,
                         int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    rows_eight(false, kind, nt, w, row, n, x, ldx, y, ldy);
}

INLINE int middle_of_layout(enum hn_layout layout)
{
    return layout == HN_LAYOUT_Q4_0   ? middle_of(KIND_Q4_0)
           : layout == HN_LAYOUT_Q5_0 ? middle_of(KIND_Q5_0)
                                      : 0;
}

static void prepare_halves(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_eight(false, 16, middle_of_layout(w->layout), w, x, out);
}

static void prepare_pairs(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_eight(false, 1, 0, w, x, out);
}
#else
/* A chunk: LANES words of nibbles; per lane the scale and the bias of its block and, of the formats
 * that have them, its fifth bits.  Blocks past n_blocks are zero. */
struct chunk {
    ivec words, fifth;
    vec scale, bias;
};
INLINE struct chunk load_chunk(const enum kind kind, const struct hn_matrix *w,
                               const unsigned char *row, size_t groups, int64_t k,
                               int64_t n_blocks);

INLINE void add_chunk(const enum kind kind, const int nt, const struct chunk *c, const float *x,
                      int64_t ldx, vec total[])
{
    ivec n[4];
    cut_nibbles(c->words, n);
    if (kind == KIND_Q5_0 || kind == KIND_Q5_1)
        add_fifth(c->fifth, n);
    EACH_TOKEN(t)
    {
        const float *xt = x + t * ldx;
        ivec s = i_dot(i_set32(0), n[0], i_load(xt));
        s = i_dot(s, n[1], i_load(xt + LANES));
        s = i_dot(s, n[2], i_load(xt + 2 * LANES));
        s = i_dot(s, n[3], i_load(xt + 3 * LANES));
        vec scale = v_mul(c->scale, v_load(xt + 4 * LANES));
        total[t] = v_fma(scale, v_float(s), total[t]);
        total[t] = v_fma(c->bias, v_load(xt + 5 * LANES), total[t]);
    }
}

INLINE void rows_nibbles(const enum kind kind, const int nt, const struct hn_matrix *w, int64_t row,
                         int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    enum { CHUNK = 8 * LANES, CHUNK_BLOCKS = LANES / 4, CHUNK_FLOATS = 6 * LANES };
    static const int sizes[] = {18, 20, 22, 24};
    const int64_t size = (kind < KIND_AFFINE_32 ? sizes[kind] : 16) * CHUNK_BLOCKS;
    const int64_t whole = w->cols / CHUNK;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        size_t groups = 0;
        if (kind >= KIND_AFFINE_32)
            groups = (size_t)hn_matrix_stored_row(w, row + j) * (size_t)(w->cols / w->group);
        vec total[PASS];
        zero_sums(nt, total);
        for (int64_t i = 0; i < whole; i++) {
            HN_PREFETCH(at + i * size + AHEAD);
            if (size > 64)
                HN_PREFETCH(at + i * size + AHEAD + 64);
            struct chunk c = load_chunk(kind, w, at, groups, i * CHUNK, CHUNK_BLOCKS);
            add_chunk(kind, nt, &c, x + i * CHUNK_FLOATS, ldx, total);
        }
        if (w->cols % CHUNK) {
            int64_t left = w->cols % CHUNK / TOKEN_BLOCK;
            struct chunk c = load_chunk(kind, w, at, groups, whole * CHUNK, left);
            add_chunk(kind, nt, &c, x + whole * CHUNK_FLOATS, ldx, total);
        }
        store_sums(nt, total, y + j, ldy);
    }
}

static void prepare_halves(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_nibbles(LANES, 16, w, x, out);
}

static void prepare_pairs(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_nibbles(LANES, 1, w, x, out);
}
#endif

/* ---- blocks of 256 ------------------------------------------------------------------------- */

/* Scales and biases of a block's eight groups (Q6_K: sixteen), in their order; zeros after them. */
enum { GROUP_VECTORS = 16 / LANES };
struct group_scales {
    vec scale[GROUP_VECTORS], bias[GROUP_VECTORS];
};
INLINE struct group_scales load_scales_k(const enum hn_layout layout, const unsigned char *block);
/* What v_of_groups picks from. */
struct group_values {
    vec v[PICK_VECTORS];
};
INLINE struct group_values group_values(const enum hn_layout layout, const vec v[GROUP_VECTORS]);
/* Per lane, the value of the group that part (nibbles 0 and 2, or 1 and 3) of a chunk holds. */
INLINE vec v_of_groups(const enum hn_layout layout, const struct group_values *g, const int chunk,
                       const int part);

/* The upper bits of a chunk, moved to where its nibbles want them.  i_upper leaves bits 2p and 2p+1
 * of each byte (p: which 32 bytes of codes) at the byte's bits 0 and 1; of Q6_K the pair of its
 * group there, and the pair of the group 64 elements on at bits 4 and 5. */
INLINE ivec i_upper(const enum hn_layout layout, const unsigned char *high, const int chunk);

INLINE void add_upper(const enum hn_layout layout, ivec u, ivec n[4])
{
    if (layout == HN_LAYOUT_Q5_K) {
        ivec bit = i_set32(0x00100010);
        n[0] = i_or(n[0], i_and(i_sll32(u, 4), bit));
        n[1] = i_or(n[1], i_and(i_sll32(u, 3), bit));
        n[2] = i_or(n[2], i_and(i_srl32(u, 4), bit));
        n[3] = i_or(n[3], i_and(i_srl32(u, 5), bit));
    } else {
        ivec pair = i_set32(0x00300030);
        n[0] = i_or(n[0], i_and(i_sll32(u, 4), pair));
        n[1] = i_or(n[1], i_and(u, pair));
        n[2] = i_or(n[2], i_and(i_srl32(u, 4), pair));
        n[3] = i_or(n[3], i_and(i_srl32(u, 8), pair));
    }
}

INLINE void rows_groups(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                        int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    enum { CHUNKS = 32 / LANES, CHUNK_FLOATS = 4 * LANES };
    const bool six = layout == HN_LAYOUT_Q6_K;
    const int size = six ? 210 : layout == HN_LAYOUT_Q5_K ? 176 : 144;
    const int codes = six ? 0 : layout == HN_LAYOUT_Q5_K ? 48 : 16;
    const int n_vectors = six ? GROUP_VECTORS : (GROUP_VECTORS + 1) / 2;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        const float *xk = x;
        vec total[2][PASS]; /* one a part, lest a single token's sum waits for itself */
        zero_sums(nt, total[0]);
        zero_sums(nt, total[1]);
        for (int64_t k = 0; k < w->cols; k += SUPERBLOCK, at += size, xk += GROUPS_FLOATS) {
            struct group_scales g = load_scales_k(layout, at);
            struct group_values scales[PASS];
            for (int i = 0; i < size; i += 64)
                HN_PREFETCH(at + i + AHEAD);
            EACH_TOKEN(t)
            {
                const float *xs = xk + t * ldx + GROUPS_SCALES, *sums = xs + 16;
                vec both[GROUP_VECTORS];
#pragma GCC unroll 4
                for (int i = 0; i < GROUP_VECTORS; i++) {
                    both[i] = v_mul(g.scale[i], v_load(xs + i * LANES));
                    if (i < n_vectors)
                        total[0][t] = v_fma(g.bias[i], v_load(sums + i * LANES), total[0][t]);
                }
                scales[t] = group_values(layout, both);
            }
#pragma GCC unroll 4
            for (int c = 0; c < CHUNKS; c++) {
                ivec v[4];
                cut_nibbles(i_load(at + codes + c * 4 * LANES), v);
                if (layout == HN_LAYOUT_Q5_K)
                    add_upper(layout, i_upper(layout, at + 16, c), v);
                else if (six)
                    add_upper(layout, i_upper(layout, at + 128, c), v);
#pragma GCC unroll 2
                for (int part = 0; part < 2; part++) {
                    EACH_TOKEN(t)
                    {
                        const float *xt = xk + t * ldx + c * CHUNK_FLOATS;
                        ivec s = i_dot(i_set32(0), v[part], i_load(xt + part * LANES));
                        s = i_dot(s, v[part + 2], i_load(xt + (part + 2) * LANES));
                        vec *sum = &total[nt > 2 ? 0 : part][t];
                        *sum = v_fma(v_of_groups(layout, &scales[t], c, part), v_float(s), *sum);
                    }
                }
            }
        }
        EACH_TOKEN(t)
        total[0][t] = v_add(total[0][t], total[1][t]);
        store_sums(nt, total[0], y + j, ldy);
    }
}

static void prepare_k(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_groups(LANES, w->layout == HN_LAYOUT_Q6_K, w, x, out);
}

/* ---- whole bytes and odd widths ------------------------------------------------------------ */

enum { VECTORS = TOKEN_BLOCK / (2 * LANES) }; /* of 16-bit integers, in a block */

/* 2*LANES signed bytes. */
INLINE ivec i_signed(const unsigned char *at);
/* 2*LANES codes of bits each; reads up to 16 bytes beyond them when bits is not 8. */
INLINE ivec i_codes(const unsigned char *at, const int bits);

INLINE void add_plain(const int nt, const ivec q[VECTORS], float scale, const float *x, int64_t ldx,
                      int64_t block, const float *scales, vec total[])
{
    vec f = v_set(scale);
    EACH_TOKEN(t)
    {
        const int16_t *xt = words_of(x + t * ldx) + block * TOKEN_BLOCK;
        ivec s = i_set32(0);
#pragma GCC unroll 2
        for (int i = 0; i < VECTORS; i++)
            s = i_dot(s, q[i], i_load(xt + i * 2 * LANES));
        total[t] = v_fma(v_mul(f, v_set(scales[t * ldx + block])), v_float(s), total[t]);
    }
}

INLINE void rows_bytes(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                       int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const bool q8 = layout == HN_LAYOUT_Q8_0;
    const float *scales = x + plain_scales(w->cols);
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        float scale = 1.0f;
        vec total[PASS];
        zero_sums(nt, total);
        for (int64_t b = 0; b < w->cols / TOKEN_BLOCK; b++, at += q8 ? 34 : 32) {
            ivec q[VECTORS];
            HN_PREFETCH(at + AHEAD);
            if (q8)
                scale = half(at);
#pragma GCC unroll 2
            for (int i = 0; i < VECTORS; i++)
                q[i] = i_signed(at + (q8 ? 2 : 0) + i * 2 * LANES);
            add_plain(nt, q, scale, x, ldx, b, scales, total);
        }
        store_sums(nt, total, y + j, ldy);
        if (!q8) {
            float f = widen(HN_F32, w->scales, (size_t)hn_matrix_stored_row(w, row + j));
            EACH_TOKEN(t)
            y[t * ldy + j] *= f * 7.874015718698502e-3f; /* float32(1/127): hn_decode_bnb8 */
        }
    }
}

/* The biases' part: sum over groups of bias * (sum of x). */
INLINE float bias_sum(const struct hn_matrix *w, size_t groups, const float *sums)
{
    int64_t n = w->cols / w->group, i = 0;
    vec total = v_set(0.0f);
    for (; i + LANES <= n; i += LANES)
        total =
            v_fma(v_widen(w->scale_dtype, w->biases, groups + (size_t)i), v_load(sums + i), total);
    float sum = v_sum(total);
    for (; i < n; i++)
        sum += widen(w->scale_dtype, w->biases, groups + (size_t)i) * sums[i];
    return sum;
}

/* The scales of LANES groups from g on, of a row's whose scales begin at groups; fewer at its end.
 */
INLINE void widen_some(const struct hn_matrix *w, size_t groups, int64_t g, float out[LANES])
{
    int64_t n = w->cols / w->group - g;
    if (n >= LANES)
        v_store(out, v_widen(w->scale_dtype, w->scales, groups + (size_t)g));
    for (int64_t i = 0; i < n && n < LANES; i++)
        out[i] = widen(w->scale_dtype, w->scales, groups + (size_t)(g + i));
}

INLINE void rows_affine(const int bits, const int nt, const struct hn_matrix *w, int64_t row,
                        int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    const float *scales = x + plain_scales(w->cols), *sums = x + plain_sums(w->cols);
    const int64_t n_blocks = w->cols / TOKEN_BLOCK, size = TOKEN_BLOCK / 8 * bits;
    const int shift = w->group / 64; /* log2 of the blocks in a group of 32, 64 or 128 */
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        unsigned char end[TOKEN_BLOCK + 16] = {0};
        float wide[LANES];
        size_t groups = (size_t)hn_matrix_stored_row(w, row + j) * (size_t)(w->cols / w->group);
        vec total[PASS];
        zero_sums(nt, total);
        for (int64_t b = 0; b < n_blocks; b++, at += size) {
            const unsigned char *from = at;
            ivec q[VECTORS];
            if (bits != 8 && (n_blocks - 1 - b) * size < 16) /* nothing beyond the row is read */
                from = memcpy(end, at, (size_t)size);
            HN_PREFETCH(at + AHEAD);
#pragma GCC unroll 2
            for (int i = 0; i < VECTORS; i++)
                q[i] = i_codes(from + i * 2 * LANES / 8 * bits, bits);
            int64_t g = b >> shift;
            if (b == g << shift && g % LANES == 0)
                widen_some(w, groups, g, wide);
            add_plain(nt, q, wide[g % LANES], x, ldx, b, scales, total);
        }
        EACH_TOKEN(t)
        y[t * ldy + j] = v_sum(total[t]) + bias_sum(w, groups, sums + t * ldx);
    }
}

static void prepare_bytes(const struct hn_matrix *w, const float *x, float *out)
{
    prepare_plain(0, w, x, out);
}

static void prepare_affine(const struct hn_matrix *w, const float *x, float *out)
{
    if (w->bits == 4)
        prepare_pairs(w, x, out);
    else
        prepare_plain(w->group, w, x, out);
}

static bool suits_bytes(const struct hn_matrix *w)
{
    return w->cols % TOKEN_BLOCK == 0;
}

/* ---- bitsandbytes' 4 bits: sixteen values, looked up --------------------------------------- */

enum { BNB_BLOCK = 64 }; /* elements that surely share a scale: 8 words */

/* x in the order of words of eight codes, the first one high in its byte. */
static void prepare_bnb4(const struct hn_matrix *w, const float *x, float *out)
{
    enum { CHUNK = 8 * LANES };
    if (w->cols % CHUNK)
        memset(out + w->cols / CHUNK * CHUNK, 0, CHUNK * sizeof *out);
    for (int64_t k = 0; k < w->cols; k++)
        out[k / CHUNK * CHUNK + (k % 8 ^ 1) * LANES + k % CHUNK / 8] = x[k];
}

static bool suits_bnb4(const struct hn_matrix *w)
{
    return w->cols % BNB_BLOCK == 0 && w->bnb4->block % BNB_BLOCK == 0;
}

INLINE float bnb4_scale(const struct hn_bnb4 *b, int64_t block)
{
    if (!b->nested_map)
        return widen(HN_F32, b->absmax, (size_t)block);
    float v = widen(HN_F32, b->nested_map, b->absmax[block]);
    return v * widen(HN_F32, b->nested_absmax, (size_t)(block / b->nested_block)) +
           b->nested_offset;
}

/* struct values: those of LANES/8 blocks, map * scale rounded to t.  v_lookup: for each lane, which
 * of them its word's lowest code stands for. */
INLINE struct values v_values(const enum hn_dtype t, const unsigned char *map, float a, float b);
INLINE vec v_lookup(const struct values *v, ivec word);

INLINE void rows_bnb4(const enum hn_dtype dtype, const int nt, const struct hn_matrix *w,
                      int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    enum { CHUNK = 8 * LANES };
    const struct hn_bnb4 *b = w->bnb4;
    for (int64_t j = 0; j < n; j++) {
        int64_t e = hn_matrix_stored_row(w, row + j) * w->cols;
        const unsigned char *at = w->data + e / 2;
        vec total[PASS];
        zero_sums(nt, total);
        for (int64_t k = 0; k < w->cols; k += CHUNK) {
            bool whole = w->cols - k >= CHUNK;
            float first = bnb4_scale(b, (e + k) / b->block), second = 0;
            if (LANES == 16 && whole)
                second = bnb4_scale(b, (e + k + BNB_BLOCK) / b->block);
            struct values v = v_values(dtype, b->map, first, second);
            ivec word = whole ? i_load(at + k / 2) : i_load_half(at + k / 2);
            HN_PREFETCH(at + k / 2 + AHEAD);
#pragma GCC unroll 8
            for (int s = 0; s < 8; s++) {
                vec value = v_lookup(&v, i_srl32(word, 4 * s));
                EACH_TOKEN(t)
                total[t] = v_fma(value, v_load(x + t * ldx + k + s * LANES), total[t]);
            }
        }
        store_sums(nt, total, y + j, ldy);
    }
}

/* ---- plain weights ------------------------------------------------------------------------- */

/* Several sums per token hide the latency when there are few; with more than four one each does. */
INLINE void rows_plain(const enum hn_layout layout, const int nt, const struct hn_matrix *w,
                       int64_t row, int64_t n, const float *x, int64_t ldx, float *y, int64_t ldy)
{
    enum { CHAINS = 4 };
    const int64_t size = layout == HN_LAYOUT_F32 ? 4 : 2;
    for (int64_t j = 0; j < n; j++) {
        const unsigned char *at = row_at(w, row + j);
        vec sum[PASS][CHAINS];
        EACH_TOKEN(t)
        zero_sums(CHAINS, sum[t]);
        int64_t k = 0;
        for (; k + CHAINS * LANES <= w->cols; k += CHAINS * LANES) {
#pragma GCC unroll 4
            for (int i = 0; i < CHAINS; i++) {
                vec v = v_plain(layout, at + (k + i * LANES) * size);
                if (i * LANES * size % 64 == 0)
                    HN_PREFETCH(at + (k + i * LANES) * size + AHEAD);
                EACH_TOKEN(t)
                {
                    vec *s = &sum[t][nt > 4 ? 0 : nt > 2 ? i % 2 : i];
                    *s = v_fma(v, v_load(x + t * ldx + k + i * LANES), *s);
                }
            }
        }
        EACH_TOKEN(t)
        {
            float s = v_sum(v_add(v_add(sum[t][0], sum[t][1]), v_add(sum[t][2], sum[t][3])));
            for (int64_t i = k; i < w->cols; i++)
                s += x[t * ldx + i] * widen((enum hn_dtype)layout, at, (size_t)i);
            y[t * ldy + j] = s;
        }
    }
}

/* ---- the table ----------------------------------------------------------------------------- */

/* One kernel per count of tokens, because the sums must live in registers: up to four, and PASS
 * where there are registers for more.  (Five to seven are cut in two: the second meets rows that
 * the first has brought into cache, and each count more costs seconds of compile time per
 * instruction set.) */
#define CASE(rows, kind, nt)                                                                       \
    case nt:                                                                                       \
        rows(kind, nt, w, row, n, x + t * ldx, ldx, y + t * ldy, ldy);                             \
        break
#define GEMV(name, rows, kind)                                                                     \
    static void name(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,            \
                     int64_t ldx, int n_tokens, float *y, int64_t ldy)                             \
    {                                                                                              \
        for (int t = 0, nt; t < n_tokens; t += nt) {                                               \
            nt = n_tokens - t >= PASS ? PASS : HN_MIN(4, n_tokens - t);                            \
            switch (nt) {                                                                          \
                CASE(rows, kind, 1);                                                               \
                CASE(rows, kind, 2);                                                               \
                CASE(rows, kind, 3);                                                               \
                CASE(rows, kind, 4);                                                               \
                MORE(rows, kind);                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#if LANES_512
#define MORE(rows, kind) CASE(rows, kind, PASS)
#else
#define MORE(rows, kind)
#endif

/* Formats of nibbles: names and kinds; those of the affine layout by group and type of scale. */
/* clang-format off */
#define EACH_SCALE(of, group)                                                                      \
    of(4_##group##_f32, KIND_AFFINE_##group + HN_F32)                                              \
    of(4_##group##_f16, KIND_AFFINE_##group + HN_F16)                                              \
    of(4_##group##_bf16, KIND_AFFINE_##group + HN_BF16)
#define EACH_NIBBLES(of)                                                                           \
    of(q4_0, KIND_Q4_0) of(q4_1, KIND_Q4_1) of(q5_0, KIND_Q5_0) of(q5_1, KIND_Q5_1)                \
    EACH_SCALE(of, 32) EACH_SCALE(of, 64) EACH_SCALE(of, 128)
#define BY_SCALE(gemv, group) {gemv##4_##group##_f32, gemv##4_##group##_f16, gemv##4_##group##_bf16}
#define NIBBLES_BY_GROUP(gemv) {BY_SCALE(gemv, 32), BY_SCALE(gemv, 64), BY_SCALE(gemv, 128)}
/* clang-format on */

#define GEMV_NIBBLES(name, kind) GEMV(gemv_##name, rows_nibbles, kind)
EACH_NIBBLES(GEMV_NIBBLES)
GEMV(gemv_q4_k, rows_groups, HN_LAYOUT_Q4_K)
GEMV(gemv_q5_k, rows_groups, HN_LAYOUT_Q5_K)
GEMV(gemv_q6_k, rows_groups, HN_LAYOUT_Q6_K)
GEMV(gemv_q8_0, rows_bytes, HN_LAYOUT_Q8_0)
GEMV(gemv_bnb8, rows_bytes, HN_LAYOUT_BNB8)
GEMV(gemv_affine2, rows_affine, 2)
GEMV(gemv_affine3, rows_affine, 3)
GEMV(gemv_affine5, rows_affine, 5)
GEMV(gemv_affine6, rows_affine, 6)
GEMV(gemv_affine8, rows_affine, 8)
GEMV(gemv_bnb4_f32, rows_bnb4, HN_F32)
GEMV(gemv_bnb4_f16, rows_bnb4, HN_F16)
GEMV(gemv_bnb4_bf16, rows_bnb4, HN_BF16)
GEMV(gemv_f32, rows_plain, HN_LAYOUT_F32)
GEMV(gemv_f16, rows_plain, HN_LAYOUT_F16)
GEMV(gemv_bf16, rows_plain, HN_LAYOUT_BF16)

static void gemv_affine(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                        int64_t ldx, int nt, float *y, int64_t ldy)
{
    static hn_gemv_rows_fn *const by_bits[9] = {
        [2] = gemv_affine2, [3] = gemv_affine3, [5] = gemv_affine5,
        [6] = gemv_affine6, [8] = gemv_affine8,
    };
    static hn_gemv_rows_fn *const by_group[3][3] = NIBBLES_BY_GROUP(gemv_);
    hn_gemv_rows_fn *fn = w->bits == 4 ? by_group[w->group / 64][w->scale_dtype] : by_bits[w->bits];
    fn(w, row, n, x, ldx, nt, y, ldy);
}

static void gemv_bnb4(const struct hn_matrix *w, int64_t row, int64_t n, const float *x,
                      int64_t ldx, int nt, float *y, int64_t ldy)
{
    static hn_gemv_rows_fn *const by_dtype[3] = {gemv_bnb4_f32, gemv_bnb4_f16, gemv_bnb4_bf16};
    by_dtype[w->bnb4->dtype](w, row, n, x, ldx, nt, y, ldy);
}

#define GEMV_TABLE                                                                                 \
    {                                                                                              \
        {                                                                                          \
            [HN_LAYOUT_F32] = {NULL, gemv_f32, NULL}, [HN_LAYOUT_F16] = {NULL, gemv_f16, NULL},    \
            [HN_LAYOUT_BF16] = {NULL, gemv_bf16, NULL},                                            \
            [HN_LAYOUT_AFFINE] = {prepare_affine, gemv_affine, NULL},                              \
            [HN_LAYOUT_Q4_0] = {prepare_halves, gemv_q4_0, NULL},                                  \
            [HN_LAYOUT_Q4_1] = {prepare_halves, gemv_q4_1, NULL},                                  \
            [HN_LAYOUT_Q5_0] = {prepare_halves, gemv_q5_0, NULL},                                  \
            [HN_LAYOUT_Q5_1] = {prepare_halves, gemv_q5_1, NULL},                                  \
            [HN_LAYOUT_Q8_0] = {prepare_bytes, gemv_q8_0, NULL},                                   \
            [HN_LAYOUT_Q4_K] = {prepare_k, gemv_q4_k, NULL},                                       \
            [HN_LAYOUT_Q5_K] = {prepare_k, gemv_q5_k, NULL},                                       \
            [HN_LAYOUT_Q6_K] = {prepare_k, gemv_q6_k, NULL},                                       \
            [HN_LAYOUT_BNB4] = {prepare_bnb4, gemv_bnb4, suits_bnb4},                              \
            [HN_LAYOUT_BNB8] = {prepare_bytes, gemv_bnb8, suits_bytes},                            \
        }                                                                                          \
    }

#endif
