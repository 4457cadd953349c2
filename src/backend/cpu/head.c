/* The vocabulary's two operations: looking tokens up, and the loss of predicting them.
 *
 * The loss goes through the vocabulary once, in blocks, with a running maximum and sum per row (as
 * attention does over keys): each share of the vocabulary has its own running sum of dx, and the
 * shares are joined at the end.
 *
 *   logits block [rows, BLOCK] -> exp(logits - max) -> dx [rows, D] += exps * W block
 *
 * so a weight serves all rows of a chunk when it is decoded, and nothing of width V exists. */
#include "backend/cpu/matmul.h"

#include <math.h>
#include <string.h>

enum {
    CHUNK = 256,           /* rows of x at a time */
    BLOCK = 256,           /* vocabulary entries at a time, at most */
    SHARES_PER_THREAD = 2, /* of the vocabulary; each holds [CHUNK, D] */
};

struct embed {
    struct hn_device *dev;
    const struct hn_matrix *w;
    float *y;
};

static void embed_job(void *arg, struct hn_parts *parts)
{
    struct embed *e = arg;
    int64_t t, end, d = e->w->cols;
    while (hn_parts_range(parts, e->dev->batch->n_tokens, 1, &t, &end))
        for (; t < end; t++)
            e->dev->matmul->decode[e->w->layout](e->w, e->dev->batch->tokens[t], 0, d,
                                                 e->y + t * d);
}

void hn_cpu_embed_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_weight *w)
{
    HN_ASSERT(y->rows == dev->batch->n_tokens && y->cols == w->m.cols);
    struct embed e = {dev, &w->m, y->data};
    hn_cpu_run(dev, embed_job, &e, y->rows * y->cols);
}

/* ---- loss ---------------------------------------------------------------------------------- */

/* The running softmax over a share of the vocabulary. */
struct share {
    float *dx;     /* [CHUNK, D] sum of exp(logit - max) * w */
    float *max;    /* [CHUNK] */
    double *sum;   /* [CHUNK] */
    int32_t *best; /* [CHUNK] entry of the maximum */
};

/* One thread's memory. */
struct desk {
    float *logits; /* [CHUNK, BLOCK] */
    float *exps;   /* the same, packed */
    float *panels;
};

struct head {
    struct hn_device *dev;
    const struct hn_matrix *w;
    const float *x;
    float *loss, *hit, *dx;
    const int32_t *targets;
    int64_t d, r0;          /* r0: the chunk's first row */
    struct hn_mm_rows rows; /* the chunk */
    float *target_logits;   /* [CHUNK] */
    int n_shares;
    struct share *shares;
    struct desk *desks;
};

static void pack_job(void *arg, struct hn_parts *parts)
{
    const struct head *p = arg;
    while (hn_parts_next(parts))
        hn_mm_pack_rows(&p->rows, p->x + p->r0 * p->d, parts->at, parts->n);
}

static void scale_row(float *x, int64_t n, float f)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= f;
}

/* Logits for vocabulary entries [v, v+nv), and what they add to the running sums. */
static void vocabulary_block(const struct head *p, const struct share *share,
                             const struct desk *desk, int64_t v, int64_t nv)
{
    const struct hn_cpu_matmul *mm = p->dev->matmul;
    const struct hn_mm_kernel *kernel = p->rows.kernel;
    int64_t n = p->rows.n;
    hn_mm_rows_strip(mm, &p->rows, p->w, v, nv, desk->panels, desk->logits, BLOCK);
    for (int64_t r = 0; r < n; r++) {
        float *row = desk->logits + r * BLOCK, before = share->max[r];
        int64_t target = p->targets[p->r0 + r];
        if (target >= v && target < v + nv)
            p->target_logits[r] = row[target - v];
        int64_t best = mm->softmax_step(row, nv, &share->max[r], &share->sum[r]);
        if (best < 0)
            continue;
        share->best[r] = (int32_t)(v + best);
        if (p->dx && before > -INFINITY)
            scale_row(share->dx + r * p->d, p->d, expf(before - share->max[r]));
    }
    if (!p->dx)
        return;
    hn_mm_pack(kernel, desk->logits, BLOCK, n, 0, hn_mm_n_tiles(kernel, n), nv, desk->exps);
    hn_mm_backward_strip(mm, kernel, p->w, 0, p->d, v, nv, desk->exps, n, desk->panels, share->dx,
                         p->d, true);
}

/* Row r of the chunk: the shares become one softmax. */
static void join_row(const struct head *p, int64_t r, float *row)
{
    float max = -INFINITY;
    double sum = 0.0;
    int32_t best = -1, target = p->targets[p->r0 + r];
    for (int i = 0; i < p->n_shares; i++) {
        if (p->shares[i].max[r] > max) {
            max = p->shares[i].max[r];
            best = p->shares[i].best[r];
        }
    }
    for (int i = 0; i < p->n_shares; i++)
        if (p->shares[i].sum[r] > 0 || isnan(p->shares[i].sum[r]))
            sum += p->shares[i].sum[r] * exp((double)p->shares[i].max[r] - max);
    p->loss[p->r0 + r] = (float)(log(sum) + ((double)max - p->target_logits[r]));
    if (p->hit)
        p->hit[p->r0 + r] = best == target ? 1.0f : 0.0f;
    if (!p->dx)
        return;
    float *dx = p->dx + (p->r0 + r) * p->d;
    p->dev->matmul->decode[p->w->layout](p->w, target, 0, p->d, row);
    for (int64_t k = 0; k < p->d; k++)
        row[k] = -row[k];
    for (int i = 0; i < p->n_shares; i++) {
        if (!(p->shares[i].sum[r] > 0)) /* an empty share of a small vocabulary */
            continue;
        float f = (float)(exp((double)p->shares[i].max[r] - max) / sum);
        const float *part = p->shares[i].dx + r * p->d;
        for (int64_t k = 0; k < p->d; k++)
            row[k] += f * part[k];
    }
    memcpy(dx, row, (size_t)p->d * sizeof *dx);
}

static void join_job(void *arg, struct hn_parts *parts)
{
    const struct head *p = arg;
    int64_t r, end;
    while (hn_parts_range(parts, p->rows.n, 1, &r, &end))
        for (; r < end; r++)
            join_row(p, r, p->desks[parts->thread].panels);
}

static void share_out(const struct head *p, int64_t i, const struct desk *desk)
{
    const struct share *share = &p->shares[i];
    const struct hn_mm_kernel *kernel = p->rows.kernel;
    int64_t v, end, block = HN_MIN(BLOCK, hn_mm_depth_block(p->dev, kernel, p->w->rows, 8));
    hn_pool_split(p->w->rows, HN_MM_PANEL_MAX, i, p->n_shares, &v, &end);
    for (int64_t r = 0; r < p->rows.n; r++) {
        share->max[r] = -INFINITY;
        share->sum[r] = 0.0;
        share->best[r] = -1;
    }
    if (p->dx)
        memset(share->dx, 0, (size_t)(p->rows.n * p->d) * sizeof(float));
    for (; v < end; v += block)
        vocabulary_block(p, share, desk, v, HN_MIN(block, end - v));
}

static void shares_job(void *arg, struct hn_parts *parts)
{
    const struct head *p = arg;
    hn_mm_enter(p->rows.kernel);
    while (hn_parts_next(parts))
        share_out(p, parts->at, &p->desks[parts->thread]);
    hn_mm_leave(p->rows.kernel);
}

static int count_shares(const struct hn_device *dev)
{
    int threads = hn_pool_size(dev->pool);
    return threads > 1 ? threads * SHARES_PER_THREAD : 1;
}

/* A piece of memory from s; with s NULL only counted. */
static float *piece(struct hn_mm_scratch *s, size_t *total, size_t floats)
{
    *total += hn_mm_scratch_floats(floats);
    return s ? hn_mm_scratch_take(s, floats) : NULL;
}

/* A chunk's memory, from s; with s NULL only counts it: bytes. */
static size_t take(const struct hn_device *dev, const struct hn_mm_kernel *kernel,
                   struct hn_mm_scratch *s, struct head *p, int64_t n_rows)
{
    int64_t chunk = HN_MIN(n_rows, CHUNK);
    size_t rows = (size_t)chunk, d = (size_t)p->d, total = 0;
    size_t shares = (size_t)count_shares(dev), desks = (size_t)hn_pool_size(dev->pool);
    p->rows.packed = piece(s, &total, hn_mm_packed_floats(kernel, chunk, p->d));
    p->target_logits = piece(s, &total, rows);
    p->shares = (void *)piece(s, &total, shares * sizeof *p->shares / sizeof(float));
    p->desks = (void *)piece(s, &total, desks * sizeof *p->desks / sizeof(float));
    for (size_t i = 0; i < shares; i++) {
        struct share share = {.dx = piece(s, &total, rows * d), .max = piece(s, &total, rows)};
        share.sum = (void *)piece(s, &total, rows * 2);
        share.best = (void *)piece(s, &total, rows);
        if (s)
            p->shares[i] = share;
    }
    for (size_t i = 0; i < desks; i++) {
        struct desk desk = {.logits = piece(s, &total, rows * BLOCK)};
        desk.exps = piece(s, &total, hn_mm_packed_floats(kernel, chunk, BLOCK));
        desk.panels = piece(s, &total, HN_MAX(hn_mm_panel_floats(kernel), d));
        if (s)
            p->desks[i] = desk;
    }
    return total * sizeof(float);
}

void hn_cpu_head_loss(struct hn_device *dev, struct hn_tensor *loss, struct hn_tensor *hit,
                      struct hn_tensor *dx, const struct hn_tensor *x, const struct hn_weight *w)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    const struct hn_mm_kernel *kernel = hn_mm_pick(dev->matmul, x->rows);
    HN_ASSERT(x->cols == w->m.cols && x->rows == dev->batch->n_rows && dev->batch->targets);
    struct head p = {.dev = dev,
                     .w = &w->m,
                     .x = x->data,
                     .loss = loss->data,
                     .hit = hit ? hit->data : NULL,
                     .dx = dx ? dx->data : NULL,
                     .targets = dev->batch->targets,
                     .d = x->cols,
                     .n_shares = count_shares(dev)};
    int64_t block = hn_mm_depth_block(dev, kernel, p.d, hn_mm_grain(p.w));
    p.rows = (struct hn_mm_rows){.kernel = kernel, .depth = p.d, .block = block};
    (void)take(dev, kernel, &s, &p, x->rows);
    for (p.r0 = 0; p.r0 < x->rows; p.r0 += CHUNK) {
        p.rows.n = HN_MIN(CHUNK, x->rows - p.r0);
        hn_cpu_run(dev, pack_job, &p, p.rows.n * p.d);
        hn_pool_run(dev->pool, shares_job, &p, p.n_shares);
        hn_cpu_run(dev, join_job, &p, p.dx ? p.rows.n * p.d * p.n_shares : p.rows.n * 64);
    }
}

/* ---- scratch of all products --------------------------------------------------------------- */

size_t hn_cpu_head_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    struct head p = {.d = limits->d_model};
    size_t main = take(dev, &dev->matmul->main, NULL, &p, limits->max_rows);
    size_t plain = take(dev, &dev->matmul->plain, NULL, &p, limits->max_rows);
    return HN_MAX(main, plain);
}
