/* The blocking and the threads of the integer products; what runs inside is the level's table. */
#include "backend/cpu/igemm.h"

#include <string.h>

enum {
    MOST_8 = 127,
    MOST_16 = 32767,
    SLAB = 1 << 20, /* bytes of tokens that all panels meet before the next columns do.  Few visits
                       to the output count for more than tokens in the second cache: a 1.1B model
                       reads 512 tokens 1.4 times as fast as with a quarter of this and of
                       HN_IM_DEPTH (AVX2, one thread) */
};

#define OVERLAY(out, table, slot)                                                                  \
    do {                                                                                           \
        if ((table)->slot)                                                                         \
            (out)->slot = (table)->slot;                                                           \
    } while (0)

void hn_cpu_igemm_select(struct hn_cpu_igemm *out, enum hn_cpu_level level)
{
    static const struct hn_cpu_igemm *const tables[HN_CPU_LEVEL_COUNT] = {
        [HN_CPU_NEON_DOT] = &hn_cpu_igemm_neon_dot, [HN_CPU_NEON_I8MM] = &hn_cpu_igemm_neon_i8mm,
        [HN_CPU_AVX2] = &hn_cpu_igemm_avx2,         [HN_CPU_AVX512] = &hn_cpu_igemm_avx512,
        [HN_CPU_AMX] = &hn_cpu_igemm_amx,
    };
    *out = level == HN_CPU_C ? hn_cpu_igemm_c : (struct hn_cpu_igemm){0};
    for (int k = 0; k <= (int)level; k++) {
        const struct hn_cpu_igemm *table = tables[k];
        if (!table)
            continue;
        for (int i = 0; i < HN_IM_WIDTHS; i++) {
            OVERLAY(out, table, form[i].pack);
            OVERLAY(out, table, form[i].panel);
            OVERLAY(out, table, form[i].tile);
            OVERLAY(out, table, bytes[i]);
        }
        OVERLAY(out, table, tokens);
        OVERLAY(out, table, q6_k);
        OVERLAY(out, table, enter);
        OVERLAY(out, table, leave);
    }
}

/* ---- which products ------------------------------------------------------------------------ */

enum hn_im_width hn_im_width(const struct hn_cpu_igemm *table, const struct hn_matrix *w, int most)
{
    bool narrow = most <= MOST_8, fits = true;
    enum hn_im_width wide = table->form[HN_IM_SPLIT].tile ? HN_IM_SPLIT : HN_IM_16;
    enum hn_im_width width = narrow ? HN_IM_8 : wide;
    switch (w->layout) {
    case HN_LAYOUT_Q4_0:
    case HN_LAYOUT_Q4_1:
    case HN_LAYOUT_Q5_0:
    case HN_LAYOUT_Q5_1:
    case HN_LAYOUT_Q4_K:
    case HN_LAYOUT_Q5_K:
        break;
    case HN_LAYOUT_AFFINE:
    case HN_LAYOUT_Q8_0:
    case HN_LAYOUT_BNB8:
        if (w->layout == HN_LAYOUT_AFFINE && w->bits < 8)
            break;
        if (narrow && !table->bytes[HN_IM_8])
            width = HN_IM_16;
        fits = table->bytes[width] && w->cols % HN_IM_BLOCK == 0;
        break;
    case HN_LAYOUT_Q6_K: /* codes of 13 bits: only products with 8 more fit */
        width = HN_IM_16;
        fits = narrow && table->q6_k;
        break;
    default:
        return HN_IM_NONE;
    }
    return fits && table->form[width].tile ? width : HN_IM_NONE;
}

struct hn_im_kind hn_im_kind(const struct hn_matrix *w, enum hn_im_width width)
{
    const int bits = w->layout == HN_LAYOUT_AFFINE ? w->bits : 0;
    const bool five = w->layout == HN_LAYOUT_Q5_0 || w->layout == HN_LAYOUT_Q5_1 ||
                      w->layout == HN_LAYOUT_Q5_K || bits == 5;
    /* 2 * 127 * (15, 31, 63) * chain < 2^15 */
    struct hn_im_kind kind = {.chain = bits == 6 ? 2 : five ? 4 : 8, .biased = true};
    if (w->layout == HN_LAYOUT_Q4_0 || w->layout == HN_LAYOUT_Q5_0) {
        kind.middle = five ? 16 : 8;
        kind.biased = width == HN_IM_8;
    } else if (w->layout == HN_LAYOUT_Q8_0 || w->layout == HN_LAYOUT_BNB8) {
        kind.whole = HN_IM_SIGNED;
        kind.biased = false;
    } else if (w->layout == HN_LAYOUT_Q6_K) {
        kind.biased = false;
    } else if (bits == 8) {
        kind.whole = HN_IM_UNSIGNED;
    }
    return kind;
}

/* Tokens behind a cache that w's rows stream past: a panel is not worth its making (AVX2, Q4_0:
 * two tokens take 1.5 times one's time, four 2.5 times, with panels 3 and 4 times).  Where every
 * byte is two columns, rows gain until there are two passes of them (eight tokens: 1.1 to 1.2 times
 * faster), but not beside AVX-512's sums of bytes; and so do Q6_K's, whose panels are of 16 bits,
 * as bytes (1.5 times). */
static int64_t few_tokens(const struct hn_device *dev, const struct hn_matrix *w, bool int8)
{
    bool avx2 = dev->level == HN_CPU_AVX2, avx512 = dev->level >= HN_CPU_AVX512;
    if (w->layout == HN_LAYOUT_AFFINE && w->bits == 4 && (avx2 || (avx512 && !int8)))
        return HN_MM_VECTORS_MAX;
    return w->layout == HN_LAYOUT_Q6_K && int8 && avx2 ? HN_MM_VECTORS_MAX : 4;
}

/* In the exact class, float32 is as fast at the levels below. */
static bool may_round(const struct hn_device *dev)
{
    return dev->compute == HN_CLASS_INT8 || dev->level >= HN_CPU_NEON_DOT;
}

int hn_im_most(const struct hn_device *dev, const struct hn_matrix *w, int64_t n_tokens)
{
    bool generates = hn_cpu_generates(dev), int8 = dev->compute == HN_CLASS_INT8;
    bool streams = dev->matmul->gemv.layout[w->layout].rows;
    int most = int8 ? MOST_8 : MOST_16;
    if (!may_round(dev) || (!int8 && !generates) || hn_mm_rounds(dev, n_tokens))
        return 0;
    if (n_tokens <= few_tokens(dev, w, int8) && generates && streams)
        return 0;
    return hn_im_width(dev->igemm, w, most) == HN_IM_NONE ? 0 : most;
}

/* ---- the product --------------------------------------------------------------------------- */

struct product {
    struct hn_device *dev;
    const struct hn_cpu_igemm *table;
    const float *x;
    int64_t n_tokens, depth;
    int64_t t0, nt, k0, slab; /* at hand: tokens [t0, t0 + nt), columns [k0, k0 + slab) */
    const struct hn_mm_out *out;
    int n, most;
    bool add, uses[HN_IM_WIDTHS];
    struct hn_im_tokens tokens[HN_IM_WIDTHS];
    unsigned char *panels; /* per thread */
};

static int width_bytes(enum hn_im_width width)
{
    return width == HN_IM_8 ? 1 : 2;
}

enum { PANEL_BYTES = HN_IM_DEPTH / HN_IM_BLOCK * HN_IM_BLOCK_8 };
_Static_assert(HN_IM_DEPTH / 2 / HN_IM_BLOCK * HN_IM_BLOCK_16 <= PANEL_BYTES,
               "16 bits at half the depth need no more");

static void pack_tokens(const struct product *p, int64_t begin, int64_t end)
{
    for (int i = 0; i < HN_IM_WIDTHS; i++) {
        const struct hn_im_tokens *to = &p->tokens[i];
        for (int64_t t = begin; t < end && p->uses[i]; t++)
            p->table->form[i].pack(p->x + (p->t0 + t) * p->depth, p->depth, p->most,
                                   to->q + t * to->ld * width_bytes((enum hn_im_width)i),
                                   to->scale + t * to->ldb, to->sum + t * to->ldb,
                                   to->total + t * to->ldb);
    }
}

static void pack_job(void *arg, struct hn_parts *parts)
{
    const struct product *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->nt, 1, &begin, &end))
        pack_tokens(p, begin, end);
}

/* Tokens [0, n) from column k0 on times one panel of rows <= HN_IM_ROWS columns of y. */
static void sweep(const struct product *p, enum hn_im_width width, struct hn_im_kind kind,
                  int64_t n, int64_t k0, int64_t depth, const unsigned char *panel, float *y,
                  int64_t ldy, int rows, bool add)
{
    hn_im_tile_fn *tile = p->table->form[width].tile;
    struct hn_im_tokens x = p->tokens[width];
    for (int64_t t = 0; t < n; t += p->table->tokens) {
        int nt = (int)HN_MIN(p->table->tokens, n - t);
        float *to = y + t * ldy;
        for (int i = nt; i < HN_MIN(2 * nt, n - t) && add; i++) /* the next tile starts with them */
            HN_PREFETCH(to + i * ldy);
        if (rows == HN_IM_ROWS) {
            tile(kind, nt, &x, k0, depth, panel, to, ldy, add);
        } else {
            float edge[HN_IM_TOKENS_MAX * HN_IM_ROWS] = {0};
            for (int i = 0; i < nt && add; i++)
                memcpy(edge + i * HN_IM_ROWS, to + i * ldy, (size_t)rows * sizeof *y);
            tile(kind, nt, &x, k0, depth, panel, edge, HN_IM_ROWS, add);
            for (int i = 0; i < nt; i++)
                memcpy(to + i * ldy, edge + i * HN_IM_ROWS, (size_t)rows * sizeof *y);
        }
        x = hn_im_tokens_from(&x, nt, width_bytes(width));
    }
}

/* The slab against a part's rows of output i. */
static void output_slab(const struct product *p, int i, const struct hn_parts *parts)
{
    const struct hn_mm_out *o = &p->out[i];
    enum hn_im_width width = hn_im_width(p->table, o->w, p->most);
    struct hn_im_kind kind = hn_im_kind(o->w, width);
    unsigned char *panel = p->panels + (size_t)parts->thread * PANEL_BYTES;
    int64_t begin, end, n = p->nt, k0 = p->k0, k1 = p->k0 + p->slab;
    int64_t most = HN_IM_DEPTH / width_bytes(width);
    float *y = o->y + p->t0 * o->w->rows;
    hn_mm_part_rows(p->out, p->n, HN_IM_ROWS, i, parts->at, parts->n, &begin, &end);
    if (o->bias && k0 == 0)
        hn_mm_start_output(o, y, n, begin, end, p->add);
    for (int64_t j = begin; j < end; j += HN_IM_ROWS) {
        int rows = (int)HN_MIN(HN_IM_ROWS, end - j);
        for (int64_t k = k0; k < k1; k += most) {
            int64_t depth = HN_MIN(most, k1 - k);
            p->table->form[width].panel(o->w, j, rows, k, depth, panel);
            sweep(p, width, kind, n, k, depth, panel, y + j, o->w->rows, rows,
                  p->add || o->bias || k > 0);
        }
    }
}

static void slab_job(void *arg, struct hn_parts *parts)
{
    const struct product *p = arg;
    if (p->table->enter)
        p->table->enter();
    while (hn_parts_next(parts))
        for (int i = 0; i < p->n; i++)
            output_slab(p, i, parts);
    if (p->table->leave)
        p->table->leave();
}

/* Tokens [t0, t0 + nt), slab by slab. */
static void product_block(struct product *p)
{
    struct hn_pool *pool = p->dev->pool;
    bool wide = p->uses[HN_IM_16] || p->uses[HN_IM_SPLIT];
    int64_t slab = SLAB / p->nt / (wide ? 2 : 1) / HN_IM_DEPTH * HN_IM_DEPTH;
    slab = HN_MAX(slab, HN_IM_DEPTH / 2);
    hn_pool_run(pool, pack_job, p, hn_pool_cut(pool, p->nt));
    for (p->k0 = 0; p->k0 < p->depth; p->k0 += slab) {
        p->slab = HN_MIN(slab, p->depth - p->k0);
        hn_pool_run(pool, slab_job, p, hn_pool_cut(pool, hn_mm_panels(p->out, p->n, HN_IM_ROWS)));
    }
}

/* ---- scratch ------------------------------------------------------------------------------- */

/* Of a block's tokens, with those that its last tile may read. */
static size_t block_tokens(const struct hn_cpu_igemm *table, int64_t n_tokens)
{
    int64_t n = HN_MIN(n_tokens, HN_MM_TOKENS_MAX), of_tile = HN_MAX(1, table->tokens);
    return (size_t)((n + of_tile - 1) / of_tile * of_tile);
}

static size_t token_floats(size_t tokens, int64_t depth, int bytes)
{
    size_t n = tokens * (size_t)depth;
    return hn_mm_scratch_floats(n * (size_t)bytes / sizeof(float)) +
           3 * hn_mm_scratch_floats(n / HN_IM_BLOCK);
}

static size_t panel_floats(const struct hn_device *dev)
{
    return hn_mm_scratch_floats((size_t)hn_pool_size(dev->pool) * PANEL_BYTES / sizeof(float));
}

size_t hn_im_scratch_needed(const struct hn_device *dev, int64_t n_tokens, int64_t width)
{
    bool int8 = dev->compute == HN_CLASS_INT8;
    size_t tokens = block_tokens(dev->igemm, n_tokens);
    if (!may_round(dev))
        return 0;
    size_t bytes = int8 ? token_floats(tokens, width, 1) : 0;
    return panel_floats(dev) + token_floats(tokens, width, 2) + bytes;
}

void hn_im_forward(struct hn_device *dev, struct hn_mm_scratch s, const float *x, int64_t n_tokens,
                   int64_t depth, const struct hn_mm_out *out, int n, bool add, int most)
{
    struct product p = {.dev = dev,
                        .table = dev->igemm,
                        .x = x,
                        .n_tokens = n_tokens,
                        .depth = depth,
                        .out = out,
                        .n = n,
                        .most = most,
                        .add = add};
    for (int i = 0; i < n; i++)
        p.uses[hn_im_width(p.table, out[i].w, most)] = true;
    size_t tokens = block_tokens(p.table, n_tokens) * (size_t)depth;
    for (int i = 0; i < HN_IM_WIDTHS; i++) {
        struct hn_im_tokens *t = &p.tokens[i];
        size_t bytes = tokens * (size_t)width_bytes((enum hn_im_width)i);
        if (!p.uses[i])
            continue;
        t->q = (unsigned char *)hn_mm_scratch_take(&s, bytes / sizeof(float));
        t->scale = hn_mm_scratch_take(&s, tokens / HN_IM_BLOCK);
        t->sum = hn_mm_scratch_take(&s, tokens / HN_IM_BLOCK);
        t->total = (int32_t *)(void *)hn_mm_scratch_take(&s, tokens / HN_IM_BLOCK);
        t->ld = depth;
        t->ldb = depth / HN_IM_BLOCK;
    }
    size_t panels = (size_t)hn_pool_size(dev->pool) * PANEL_BYTES;
    p.panels = (unsigned char *)hn_mm_scratch_take(&s, panels / sizeof(float));
    for (p.t0 = 0; p.t0 < n_tokens; p.t0 += HN_MM_TOKENS_MAX) {
        p.nt = HN_MIN(HN_MM_TOKENS_MAX, n_tokens - p.t0);
        product_block(&p);
    }
}
