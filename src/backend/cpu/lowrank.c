#include "backend/cpu/lowrank.h"
#include "backend/cpu/dropout.h"

#include <string.h>

static struct hn_drop drop_of(const struct hn_device *dev, const struct hn_adapter *ad,
                              const struct hn_tensor *x)
{
    return hn_drop_open(dev, ad->dropout, ad->module, x);
}

/* Parts for n items in whole grains. */
static int64_t cut(const struct hn_device *dev, int64_t n, int64_t grain)
{
    return hn_pool_cut(dev->pool, (n + grain - 1) / grain);
}

/* ---- h = drop(x) A^T ----------------------------------------------------------------------- */

struct down {
    const struct hn_cpu_matmul *mm;
    struct hn_drop drop;
    const float *x, *a;
    float *h;
    int64_t n_tokens, cols, rank;
    float *rows; /* per thread: dropped rows, then a mask */
    size_t rows_floats;
};

static void down_tokens(const struct down *p, int64_t begin, int64_t end, float *rows)
{
    unsigned char *mask = (unsigned char *)(rows + HN_MM_VECTORS_MAX * p->cols);
    for (int64_t t = begin; t < end; t += HN_MM_VECTORS_MAX) {
        int n = (int)HN_MIN(HN_MM_VECTORS_MAX, end - t);
        const float *x = p->x + t * p->cols;
        if (p->drop.threshold) {
            for (int i = 0; i < n; i++) {
                hn_drop_mask(p->mm, &p->drop, t + i, p->cols, mask);
                p->mm->masked(mask, p->drop.inverse, x + i * p->cols, p->cols, rows + i * p->cols,
                              false);
            }
            x = rows;
        }
        p->mm->dots(x, p->cols, n, p->a, p->cols, (int)p->rank, p->cols, p->h + t * p->rank,
                    p->rank);
    }
}

static void down_job(void *arg, struct hn_parts *parts)
{
    const struct down *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->n_tokens, HN_MM_VECTORS_MAX, &begin, &end))
        down_tokens(p, begin, end, p->rows + (size_t)parts->thread * p->rows_floats);
}

static size_t down_floats(int64_t width)
{
    return hn_mm_scratch_floats(HN_MM_VECTORS_MAX * (size_t)width + hn_drop_mask_size(width) / 4);
}

void hn_lowrank_down(struct hn_device *dev, struct hn_mm_scratch s, float *h,
                     const struct hn_tensor *x, const struct hn_adapter *ad)
{
    struct down p = {.mm = dev->matmul,
                     .drop = drop_of(dev, ad, x),
                     .x = x->data,
                     .a = ad->a->data,
                     .h = h,
                     .n_tokens = x->rows,
                     .cols = x->cols,
                     .rank = ad->a->rows,
                     .rows_floats = down_floats(x->cols)};
    p.rows = hn_mm_scratch_take(&s, p.rows_floats * (size_t)hn_pool_size(dev->pool));
    hn_pool_run(dev->pool, down_job, &p, cut(dev, p.n_tokens, HN_MM_VECTORS_MAX));
}

/* ---- y += scale h B^T ---------------------------------------------------------------------- */

static struct hn_matrix plain(const struct hn_tensor *t)
{
    return (struct hn_matrix){.layout = HN_LAYOUT_F32,
                              .rows = t->rows,
                              .cols = t->cols,
                              .data = t->data,
                              .row_size = (size_t)t->cols * sizeof(float)};
}

void hn_lowrank_up(struct hn_device *dev, struct hn_mm_scratch s, float *y, const float *h,
                   int64_t n_tokens, const struct hn_adapter *ad)
{
    int64_t rank = ad->b->cols;
    float *scaled = hn_mm_scratch_take(&s, (size_t)(n_tokens * rank));
    for (int64_t i = 0; i < n_tokens * rank; i++)
        scaled[i] = h[i] * ad->scale;
    struct hn_matrix b = plain(ad->b);
    struct hn_mm_out out = {&b, NULL, y};
    hn_mm_forward(dev, s, scaled, n_tokens, rank, &out, 1, true);
}

/* ---- backward ------------------------------------------------------------------------------ */

struct backward {
    const struct hn_cpu_matmul *mm;
    const struct hn_adapter *ad;
    struct hn_drop drop;
    const float *dy, *x, *h;
    float *dx;
    int64_t n_tokens, in, out, rank;
    int64_t t0, nt;      /* the block of tokens at hand */
    float *bt;           /* [R, out] = B^T */
    float *a_panels;     /* per nr columns of A: [R][nr] */
    float *g;            /* per HN_MM_TOKENS_MAX tokens, [nt, R] = scale dy B */
    unsigned char *mask; /* [nt] of hn_drop_mask_size(in) */
    float *work;         /* per thread */
    size_t work_floats;
};

/* B^T and A's panels, shared. */
static void prepare_part(const struct backward *p, int64_t part, int64_t n_parts)
{
    const float *a = p->ad->a->data, *b = p->ad->b->data;
    int64_t begin, end, nr = p->mm->plain.nr;
    hn_pool_split(p->out, 16, part, n_parts, &begin, &end);
    for (int64_t r = 0; r < p->rank; r++)
        for (int64_t n = begin; n < end; n++)
            p->bt[r * p->out + n] = b[n * p->rank + r];
    hn_pool_split(p->in, nr, part, n_parts, &begin, &end);
    for (int64_t k = begin; k < end; k += nr)
        for (int64_t r = 0; r < p->rank; r++)
            for (int64_t j = 0; j < nr; j++)
                p->a_panels[k * p->rank + r * nr + j] = k + j < p->in ? a[r * p->in + k + j] : 0.0f;
}

static void prepare_job(void *arg, struct hn_parts *parts)
{
    while (hn_parts_next(parts))
        prepare_part(arg, parts->at, parts->n);
}

/* g, the masks and dx for tokens [begin, end) of the block. */
static void token_part(const struct backward *p, int64_t begin, int64_t end, float *work)
{
    const struct hn_cpu_matmul *mm = p->mm;
    int64_t t0 = p->t0;
    float *packed = work, *sums = work + hn_mm_scratch_floats((size_t)(mm->plain.mr * p->rank));
    for (int64_t t = begin; t < end; t += HN_MM_VECTORS_MAX) {
        int n = (int)HN_MIN(HN_MM_VECTORS_MAX, end - t);
        float *g = p->g + t * p->rank;
        mm->dots(p->dy + (t0 + t) * p->out, p->out, n, p->bt, p->out, (int)p->rank, p->out, g,
                 p->rank);
        for (int64_t i = 0; i < n * p->rank; i++)
            g[i] *= p->ad->scale;
    }
    if (p->drop.threshold)
        for (int64_t t = begin; t < end; t++)
            hn_drop_mask(mm, &p->drop, t0 + t, p->in,
                         p->mask + (size_t)t * hn_drop_mask_size(p->in));
    if (!p->dx)
        return;
    for (int64_t t = begin; t < end; t += mm->plain.mr) {
        int rows = (int)HN_MIN(mm->plain.mr, end - t);
        float *dx = p->dx + (t0 + t) * p->in;
        bool masked = p->drop.threshold != 0;
        mm->plain.pack(rows, p->g + t * p->rank, p->rank, p->rank, packed);
        for (int64_t k = 0; k < p->in; k += mm->plain.nr)
            mm->plain.tile(rows, p->rank, packed, p->a_panels + k * p->rank,
                           (masked ? sums : dx) + k, p->in, (int)HN_MIN(mm->plain.nr, p->in - k),
                           !masked);
        for (int i = 0; masked && i < rows; i++)
            mm->masked(p->mask + (size_t)(t + i) * hn_drop_mask_size(p->in), p->drop.inverse,
                       sums + i * p->in, p->in, dx + i * p->in, true);
    }
}

/* left[0..nt) [., r0..r0+rows) of [nt, R], contiguous. */
static const float *rank_slice(const float *left, int64_t nt, int64_t rank, int64_t r0, int rows,
                               float *copy)
{
    if (rows == rank)
        return left;
    for (int64_t t = 0; t < nt; t++)
        memcpy(copy + t * rows, left + t * rank + r0, (size_t)rows * sizeof *copy);
    return copy;
}

/* da[:, k..k+nr) += g^T drop(x)[:, k..k+nr) */
static void da_panel(const struct backward *p, int64_t k, float *work)
{
    const struct hn_cpu_matmul *mm = p->mm;
    int64_t t0 = p->t0, nt = p->nt;
    float *panel = work, *copy = work + (size_t)(HN_MM_TOKENS_MAX * HN_MM_PANEL_MAX);
    int cols = (int)HN_MIN(mm->plain.nr, p->in - k);
    for (int64_t t = 0; t < nt; t++) {
        const float *x = p->x + (t0 + t) * p->in + k;
        if (p->drop.threshold)
            mm->masked(p->mask + (size_t)t * hn_drop_mask_size(p->in) + k / 8, p->drop.inverse, x,
                       cols, panel + t * mm->plain.nr, false);
        else
            memcpy(panel + t * mm->plain.nr, x, (size_t)cols * sizeof *panel);
        memset(panel + t * mm->plain.nr + cols, 0, (size_t)(mm->plain.nr - cols) * sizeof *panel);
    }
    for (int64_t r = 0; r < p->rank; r += mm->plain.mr) {
        int rows = (int)HN_MIN(mm->plain.mr, p->rank - r);
        mm->plain.tile(rows, nt, rank_slice(p->g, nt, p->rank, r, rows, copy), panel,
                       (float *)p->ad->da->data + r * p->in + k, p->in, cols, true);
    }
}

/* db[n..n+nr, :) += scale dy[:, n..n+nr)^T h */
static void db_panel(const struct backward *p, int64_t n, float *work)
{
    const struct hn_cpu_matmul *mm = p->mm;
    int64_t t0 = p->t0, nt = p->nt;
    float *panel = work, *copy = work + (size_t)(HN_MM_TOKENS_MAX * HN_MM_PANEL_MAX);
    float *sums = copy + HN_MM_TOKENS_MAX * HN_MM_PLAIN_MAX, *db = p->ad->db->data;
    int cols = (int)HN_MIN(mm->plain.nr, p->out - n);
    for (int64_t t = 0; t < nt; t++) {
        memcpy(panel + t * mm->plain.nr, p->dy + (t0 + t) * p->out + n,
               (size_t)cols * sizeof *panel);
        memset(panel + t * mm->plain.nr + cols, 0, (size_t)(mm->plain.nr - cols) * sizeof *panel);
    }
    for (int64_t r = 0; r < p->rank; r += mm->plain.mr) {
        int rows = (int)HN_MIN(mm->plain.mr, p->rank - r);
        const float *h = rank_slice(p->h + t0 * p->rank, nt, p->rank, r, rows, copy);
        mm->plain.tile(rows, nt, h, panel, sums, mm->plain.nr, cols, false);
        for (int j = 0; j < cols; j++)
            for (int i = 0; i < rows; i++)
                db[(n + j) * p->rank + r + i] += p->ad->scale * sums[i * mm->plain.nr + j];
    }
}

static void token_job(void *arg, struct hn_parts *parts)
{
    const struct backward *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->nt, HN_MM_VECTORS_MAX, &begin, &end))
        token_part(p, begin, end, p->work + (size_t)parts->thread * p->work_floats);
}

/* da's panels, then db's. */
static void gradient_job(void *arg, struct hn_parts *parts)
{
    const struct backward *p = arg;
    float *work = p->work + (size_t)parts->thread * p->work_floats;
    int64_t i, end, nr = p->mm->plain.nr, n_da = (p->in + nr - 1) / nr;
    while (hn_parts_range(parts, n_da + (p->out + nr - 1) / nr, 1, &i, &end))
        for (; i < end; i++) {
            if (i < n_da)
                da_panel(p, i * nr, work);
            else
                db_panel(p, (i - n_da) * nr, work);
        }
}

static size_t backward_work_floats(int64_t width, int64_t rank)
{
    size_t tokens = hn_mm_scratch_floats((size_t)(HN_MM_PLAIN_MAX * rank)) +
                    hn_mm_scratch_floats((size_t)(HN_MM_PLAIN_MAX * width));
    size_t panels = hn_mm_scratch_floats(HN_MM_TOKENS_MAX * (HN_MM_PANEL_MAX + HN_MM_PLAIN_MAX) +
                                         HN_MM_PLAIN_MAX * HN_MM_PANEL_MAX);
    return HN_MAX(tokens, panels);
}

void hn_lowrank_bwd(struct hn_device *dev, struct hn_mm_scratch s, float *dx, const float *dy,
                    const struct hn_tensor *x, const float *h, const struct hn_adapter *ad)
{
    int64_t n_tokens = x->rows;
    struct backward p = {.mm = dev->matmul,
                         .ad = ad,
                         .drop = drop_of(dev, ad, x),
                         .dy = dy,
                         .x = x->data,
                         .h = h,
                         .dx = dx,
                         .n_tokens = n_tokens,
                         .in = ad->a->cols,
                         .out = ad->b->rows,
                         .rank = ad->a->rows};
    if (!dx && !ad->da)
        return;
    size_t nt = (size_t)HN_MIN(n_tokens, HN_MM_TOKENS_MAX), rank = (size_t)p.rank;
    p.bt = hn_mm_scratch_take(&s, rank * (size_t)p.out);
    p.a_panels = hn_mm_scratch_take(&s, rank * ((size_t)p.in + HN_MM_PANEL_MAX));
    p.g = hn_mm_scratch_take(&s, nt * rank);
    p.mask = (unsigned char *)hn_mm_scratch_take(&s, nt * hn_drop_mask_size(p.in) / sizeof(float));
    p.work_floats = backward_work_floats(p.in, p.rank);
    p.work = hn_mm_scratch_take(&s, p.work_floats * (size_t)hn_pool_size(dev->pool));
    int64_t nr = p.mm->plain.nr;
    hn_pool_run(dev->pool, prepare_job, &p, cut(dev, HN_MAX(p.in, p.out), 16));
    for (p.t0 = 0; p.t0 < n_tokens; p.t0 += HN_MM_TOKENS_MAX) {
        p.nt = HN_MIN(HN_MM_TOKENS_MAX, n_tokens - p.t0);
        hn_pool_run(dev->pool, token_job, &p, cut(dev, p.nt, HN_MM_VECTORS_MAX));
        if (ad->da)
            hn_pool_run(dev->pool, gradient_job, &p, cut(dev, p.in + p.out, nr));
    }
}

size_t hn_lowrank_scratch_size(const struct hn_device *dev, int64_t n_tokens, int64_t width,
                               int64_t rank)
{
    size_t threads = (size_t)hn_pool_size(dev->pool), r = (size_t)rank, w = (size_t)width;
    size_t nt = (size_t)HN_MIN(n_tokens, HN_MM_TOKENS_MAX);
    size_t down = hn_mm_scratch_floats(down_floats(width) * threads);
    size_t up =
        hn_mm_scratch_floats((size_t)n_tokens * r) + hn_mm_scratch_needed(dev, n_tokens, rank);
    size_t bwd = hn_mm_scratch_floats(r * w) + hn_mm_scratch_floats(r * (w + HN_MM_PANEL_MAX)) +
                 hn_mm_scratch_floats(nt * r) +
                 hn_mm_scratch_floats(nt * hn_drop_mask_size(width) / sizeof(float)) +
                 hn_mm_scratch_floats(backward_work_floats(width, rank) * threads);
    return HN_MAX(HN_MAX(down, up), bwd) * sizeof(float);
}
