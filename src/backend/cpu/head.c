/* The vocabulary's two operations: looking tokens up, and the loss of predicting them.
 *
 * The loss goes through the vocabulary once, in blocks, with a running maximum and sum per row (as
 * attention does over keys): each thread has its own part of the vocabulary and its own running sum
 * of dx, and the parts are joined at the end.
 *
 *   logits block [rows, BLOCK] -> exp(logits - max) -> dx [rows, D] += exps * W block
 *
 * so a weight serves all rows of a chunk when it is decoded, and nothing of width V exists. */
#include "backend/cpu/matmul.h"

#include <math.h>
#include <string.h>

enum {
    CHUNK = 256, /* rows of x at a time */
    BLOCK = 256, /* vocabulary entries at a time, at most */
};

struct embed {
    struct hn_device *dev;
    const struct hn_matrix *w;
    float *y;
};

static void embed_job(void *arg, int thread, int n_threads)
{
    struct embed *e = arg;
    int64_t begin, end, d = e->w->cols;
    hn_pool_split(e->dev->batch->n_tokens, 1, thread, n_threads, &begin, &end);
    for (int64_t t = begin; t < end; t++)
        e->dev->matmul->decode[e->w->layout](e->w, e->dev->batch->tokens[t], 0, d, e->y + t * d);
}

void hn_cpu_embed_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_weight *w)
{
    HN_ASSERT(y->rows == dev->batch->n_tokens && y->cols == w->m.cols);
    struct embed e = {dev, &w->m, y->data};
    hn_pool_run(dev->pool, embed_job, &e);
}

/* ---- loss ---------------------------------------------------------------------------------- */

/* One thread's running softmax over its part of the vocabulary. */
struct part {
    float *logits; /* [CHUNK, BLOCK] */
    float *exps;   /* the same, packed */
    float *dx;     /* [CHUNK, D] sum of exp(logit - max) * w */
    float *panels;
    float *max;    /* [CHUNK] */
    double *sum;   /* [CHUNK] */
    int32_t *best; /* [CHUNK] entry of the maximum */
};

struct head {
    struct hn_device *dev;
    const struct hn_mm_kernel *kernel;
    const struct hn_matrix *w;
    const float *x;
    float *loss, *hit, *dx;
    const int32_t *targets;
    int64_t n_rows, d;
    float *packed;        /* x, block of depth after block of depth */
    float *target_logits; /* [CHUNK] */
    struct part parts[];
};

static void pack_rows(const struct head *p, int64_t r0, int64_t n, int thread, int n_threads)
{
    int64_t begin, end, block = hn_mm_depth_block(p->dev, p->kernel, p->d, hn_mm_grain(p->w));
    hn_pool_split(hn_mm_n_tiles(p->kernel, n), 1, thread, n_threads, &begin, &end);
    for (int64_t k = 0; k < p->d; k += block)
        hn_mm_pack(p->kernel, p->x + r0 * p->d + k, p->d, n, begin, end, HN_MIN(block, p->d - k),
                   p->packed + hn_mm_packed_floats(p->kernel, n, k));
}

static void scale_row(float *x, int64_t n, float f)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= f;
}

/* Logits of n rows for vocabulary entries [v, v+nv), and what they add to the running sums. */
static void vocabulary_block(const struct head *p, const struct part *part, int64_t r0, int64_t n,
                             int64_t v, int64_t nv)
{
    const struct hn_cpu_matmul *mm = p->dev->matmul;
    int64_t block = hn_mm_depth_block(p->dev, p->kernel, p->d, hn_mm_grain(p->w));
    for (int64_t k = 0; k < p->d; k += block)
        hn_mm_forward_strip(mm, p->kernel, p->w, v, nv, k, HN_MIN(block, p->d - k),
                            p->packed + hn_mm_packed_floats(p->kernel, n, k), n, part->panels,
                            part->logits, BLOCK, k > 0);
    for (int64_t r = 0; r < n; r++) {
        float *row = part->logits + r * BLOCK, before = part->max[r];
        int64_t target = p->targets[r0 + r];
        if (target >= v && target < v + nv)
            p->target_logits[r] = row[target - v];
        int64_t best = mm->softmax_step(row, nv, &part->max[r], &part->sum[r]);
        if (best < 0)
            continue;
        part->best[r] = (int32_t)(v + best);
        if (p->dx && before > -INFINITY)
            scale_row(part->dx + r * p->d, p->d, expf(before - part->max[r]));
    }
    if (!p->dx)
        return;
    hn_mm_pack(p->kernel, part->logits, BLOCK, n, 0, hn_mm_n_tiles(p->kernel, n), nv, part->exps);
    hn_mm_backward_strip(mm, p->kernel, p->w, 0, p->d, v, nv, part->exps, n, part->panels, part->dx,
                         p->d, true);
}

/* Row r of the chunk: the threads' parts become one softmax. */
static void join_row(const struct head *p, int64_t r0, int64_t r, int n_parts, float *row)
{
    float max = -INFINITY;
    double sum = 0.0;
    int32_t best = -1, target = p->targets[r0 + r];
    for (int i = 0; i < n_parts; i++) {
        if (p->parts[i].max[r] > max) {
            max = p->parts[i].max[r];
            best = p->parts[i].best[r];
        }
    }
    for (int i = 0; i < n_parts; i++)
        if (p->parts[i].sum[r] > 0 || isnan(p->parts[i].sum[r]))
            sum += p->parts[i].sum[r] * exp((double)p->parts[i].max[r] - max);
    p->loss[r0 + r] = (float)(log(sum) + ((double)max - p->target_logits[r]));
    if (p->hit)
        p->hit[r0 + r] = best == target ? 1.0f : 0.0f;
    if (!p->dx)
        return;
    float *dx = p->dx + (r0 + r) * p->d;
    p->dev->matmul->decode[p->w->layout](p->w, target, 0, p->d, row);
    for (int64_t k = 0; k < p->d; k++)
        row[k] = -row[k];
    for (int i = 0; i < n_parts; i++) {
        if (!(p->parts[i].sum[r] > 0)) /* a thread without a share of the vocabulary */
            continue;
        float f = (float)(exp((double)p->parts[i].max[r] - max) / sum);
        const float *part = p->parts[i].dx + r * p->d;
        for (int64_t k = 0; k < p->d; k++)
            row[k] += f * part[k];
    }
    memcpy(dx, row, (size_t)p->d * sizeof *dx);
}

static void head_job(void *arg, int thread, int n_threads)
{
    struct head *p = arg;
    const struct part *part = &p->parts[thread];
    int64_t begin, end, first, last;
    int64_t block = HN_MIN(BLOCK, hn_mm_depth_block(p->dev, p->kernel, p->w->rows, 8));
    hn_pool_split(p->w->rows, HN_MM_PANEL_MAX, thread, n_threads, &begin, &end);
    hn_mm_enter(p->kernel);
    for (int64_t r0 = 0; r0 < p->n_rows; r0 += CHUNK) {
        int64_t n = HN_MIN(CHUNK, p->n_rows - r0);
        pack_rows(p, r0, n, thread, n_threads);
        for (int64_t r = 0; r < n; r++) {
            part->max[r] = -INFINITY;
            part->sum[r] = 0.0;
            part->best[r] = -1;
        }
        if (p->dx)
            memset(part->dx, 0, (size_t)(n * p->d) * sizeof(float));
        hn_pool_barrier(p->dev->pool);
        for (int64_t v = begin; v < end; v += block)
            vocabulary_block(p, part, r0, n, v, HN_MIN(block, end - v));
        hn_pool_barrier(p->dev->pool);
        hn_pool_split(n, 1, thread, n_threads, &first, &last);
        for (int64_t r = first; r < last; r++)
            join_row(p, r0, r, n_threads, part->panels);
        hn_pool_barrier(p->dev->pool);
    }
    hn_mm_leave(p->kernel);
}

/* Takes the chunk's memory from s; with p NULL only counts it. */
static size_t take(const struct hn_mm_kernel *kernel, struct hn_mm_scratch *s, struct head *p,
                   int64_t n_rows, int64_t d, int threads)
{
    int64_t chunk = HN_MIN(n_rows, CHUNK);
    size_t rows = (size_t)chunk, exps = hn_mm_packed_floats(kernel, chunk, BLOCK);
    size_t packed = hn_mm_packed_floats(kernel, chunk, d), total = 0;
    size_t panels = HN_MAX(hn_mm_panel_floats(), (size_t)d);
    const size_t sizes[] = {rows * BLOCK, exps, rows * (size_t)d, panels, rows, rows * 2, rows};
    total = hn_mm_scratch_floats((sizeof *p + (size_t)threads * sizeof p->parts[0]) / 4 + 1) +
            hn_mm_scratch_floats(packed) + hn_mm_scratch_floats(rows);
    for (size_t k = 0; k < HN_COUNT(sizes); k++)
        total += hn_mm_scratch_floats(sizes[k]) * (size_t)threads;
    if (!p)
        return total * sizeof(float);
    p->packed = hn_mm_scratch_take(s, packed);
    p->target_logits = hn_mm_scratch_take(s, rows);
    for (int i = 0; i < threads; i++) {
        struct part *part = &p->parts[i];
        part->logits = hn_mm_scratch_take(s, sizes[0]);
        part->exps = hn_mm_scratch_take(s, sizes[1]);
        part->dx = hn_mm_scratch_take(s, sizes[2]);
        part->panels = hn_mm_scratch_take(s, sizes[3]);
        part->max = hn_mm_scratch_take(s, sizes[4]);
        part->sum = (double *)(void *)hn_mm_scratch_take(s, sizes[5]);
        part->best = (int32_t *)(void *)hn_mm_scratch_take(s, sizes[6]);
    }
    return total * sizeof(float);
}

void hn_cpu_head_loss(struct hn_device *dev, struct hn_tensor *loss, struct hn_tensor *hit,
                      struct hn_tensor *dx, const struct hn_tensor *x, const struct hn_weight *w)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    int threads = hn_pool_size(dev->pool);
    HN_ASSERT(x->cols == w->m.cols && x->rows == dev->batch->n_rows && dev->batch->targets);
    struct head *p = (struct head *)(void *)hn_mm_scratch_take(
        &s, (sizeof *p + (size_t)threads * sizeof p->parts[0]) / sizeof(float) + 1);
    p->dev = dev;
    p->w = &w->m;
    p->x = x->data;
    p->loss = loss->data;
    p->hit = hit ? hit->data : NULL;
    p->dx = dx ? dx->data : NULL;
    p->targets = dev->batch->targets;
    p->n_rows = x->rows;
    p->d = x->cols;
    p->kernel = hn_mm_pick(dev->matmul, p->n_rows);
    take(p->kernel, &s, p, p->n_rows, p->d, threads);
    hn_pool_run(dev->pool, head_job, p);
}

/* ---- scratch of all products --------------------------------------------------------------- */

size_t hn_cpu_head_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    int threads = hn_pool_size(dev->pool);
    size_t main = take(&dev->matmul->main, NULL, NULL, limits->max_rows, limits->d_model, threads);
    size_t plain =
        take(&dev->matmul->plain, NULL, NULL, limits->max_rows, limits->d_model, threads);
    return HN_MAX(main, plain);
}
