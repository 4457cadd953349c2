/* The gradient of a trained head: dw += (softmax(x w^T) - onehot)^T x, in blocks of the vocabulary,
 * each made by one thread, so that nothing of [rows, V] exists.  The softmax's denominator is known
 * from the loss that head_loss gave for the same rows: log(sum(exp)) = loss + target's logit. */
#include "backend/cpu/grad.h"

enum {
    CHUNK = 256, /* rows of x at a time */
    BLOCK = 256, /* vocabulary entries at a time, at most */
};

/* One thread's memory. */
struct desk {
    float *logits; /* [CHUNK, BLOCK], then the gradient of the logits */
    float *turned; /* [BLOCK, CHUNK] */
    float *packed; /* a block of its depth */
    float *panels;
};

struct head {
    struct hn_device *dev;
    const struct hn_matrix *w;
    float *dw;
    const float *loss, *x;
    const int32_t *targets;
    int64_t d, r0;          /* r0: the chunk's first row */
    struct hn_mm_rows rows; /* the chunk */
    float *lse;             /* [CHUNK] */
    float *desks;           /* per thread */
};

static size_t desk_floats(const struct hn_mm_kernel *kernel, int64_t chunk, int64_t d)
{
    size_t rows = (size_t)chunk, packed = hn_mm_packed_floats(kernel, BLOCK, HN_MM_DEPTH_MAX);
    return 2 * hn_mm_scratch_floats(rows * BLOCK) + hn_mm_scratch_floats(packed) +
           hn_mm_scratch_floats(HN_MAX(hn_mm_panel_floats(kernel), (size_t)d));
}

static struct desk desk_of(const struct head *p, int64_t chunk, int thread)
{
    size_t floats = hn_mm_scratch_floats((size_t)chunk * BLOCK);
    size_t packed = hn_mm_packed_floats(p->rows.kernel, BLOCK, HN_MM_DEPTH_MAX);
    float *at = p->desks + (size_t)thread * desk_floats(p->rows.kernel, chunk, p->d);
    struct desk desk = {.logits = at, .turned = at + floats, .packed = at + 2 * floats};
    desk.panels = desk.packed + hn_mm_scratch_floats(packed);
    return desk;
}

static void find_lse(const struct head *p, int64_t r, float *row)
{
    int64_t at = p->r0 + r;
    double logit = 0;
    p->dev->matmul->decode[p->w->layout](p->w, p->targets[at], 0, p->d, row);
    for (int64_t k = 0; k < p->d; k++)
        logit += (double)row[k] * (double)p->x[at * p->d + k];
    p->lse[r] = (float)(logit + (double)p->loss[at]);
}

static void rows_job(void *arg, struct hn_parts *parts)
{
    const struct head *p = arg;
    float *row = desk_of(p, p->rows.n, parts->thread).panels;
    int64_t r, end;
    while (hn_parts_range(parts, p->rows.n, 1, &r, &end)) {
        hn_mm_pack_rows(&p->rows, p->x + p->r0 * p->d, parts->at, parts->n);
        for (; r < end; r++)
            find_lse(p, r, row);
    }
}

/* Vocabulary entries [v, v + nv): their logits' gradient, turned, then their rows of dw. */
static void vocabulary_block(const struct head *p, const struct desk *desk, int64_t v, int64_t nv)
{
    const struct hn_cpu_matmul *mm = p->dev->matmul;
    const struct hn_mm_kernel *kernel = p->rows.kernel;
    int64_t n = p->rows.n, block = hn_mm_depth_block(p->dev, kernel, n, 8);
    const struct hn_matrix x = {.layout = HN_LAYOUT_F32,
                                .rows = n,
                                .cols = p->d,
                                .data = (const unsigned char *)(p->x + p->r0 * p->d),
                                .row_size = (size_t)p->d * sizeof(float)};
    hn_mm_rows_strip(mm, &p->rows, p->w, v, nv, desk->panels, desk->logits, BLOCK);
    for (int64_t r = 0; r < n; r++) {
        float *row = desk->logits + r * BLOCK, max = p->lse[r]; /* no logit is above it */
        int64_t target = p->targets[p->r0 + r];
        double sum = 0;
        (void)mm->softmax_step(row, nv, &max, &sum);
        for (int64_t i = 0; i < nv; i++)
            desk->turned[i * n + r] = row[i];
        if (target >= v && target < v + nv)
            desk->turned[(target - v) * n + r] -= 1;
    }
    for (int64_t r = 0; r < n; r += block) {
        int64_t depth = HN_MIN(block, n - r);
        hn_mm_pack(kernel, desk->turned + r, n, nv, 0, hn_mm_n_tiles(kernel, nv), depth,
                   desk->packed);
        hn_mm_backward_strip(mm, kernel, &x, 0, p->d, r, depth, desk->packed, nv, desk->panels,
                             p->dw + v * p->d, p->d, true);
    }
}

static void vocabulary_job(void *arg, struct hn_parts *parts)
{
    const struct head *p = arg;
    struct desk desk = desk_of(p, p->rows.n, parts->thread);
    int64_t v, end;
    hn_mm_enter(p->rows.kernel);
    while (hn_parts_range(parts, p->w->rows, HN_MM_PANEL_MAX, &v, &end))
        for (; v < end; v += BLOCK)
            vocabulary_block(p, &desk, v, HN_MIN(BLOCK, end - v));
    hn_mm_leave(p->rows.kernel);
}

void hn_cpu_head_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *loss,
                      const struct hn_tensor *x, const struct hn_weight *w)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    int64_t chunk = HN_MIN(x->rows, CHUNK);
    const struct hn_mm_kernel *kernel = hn_mm_pick(dev->matmul, HN_MAX(chunk, 1));
    HN_ASSERT(x->cols == w->m.cols && x->rows == dev->batch->n_rows && dev->batch->targets);
    HN_ASSERT(dw->rows == w->m.rows && dw->cols == w->m.cols && loss->rows == x->rows);
    struct head p = {.dev = dev,
                     .w = &w->m,
                     .dw = dw->data,
                     .loss = loss->data,
                     .x = x->data,
                     .targets = dev->batch->targets,
                     .d = x->cols};
    p.rows = (struct hn_mm_rows){.kernel = kernel,
                                 .depth = p.d,
                                 .block = hn_mm_depth_block(dev, kernel, p.d, hn_mm_grain(p.w))};
    p.rows.packed = hn_mm_scratch_take(&s, hn_mm_packed_floats(kernel, chunk, p.d));
    p.lse = hn_mm_scratch_take(&s, (size_t)chunk);
    p.desks =
        hn_mm_scratch_take(&s, desk_floats(kernel, chunk, p.d) * (size_t)hn_pool_size(dev->pool));
    for (p.r0 = 0; p.r0 < x->rows; p.r0 += CHUNK) {
        p.rows.n = HN_MIN(CHUNK, x->rows - p.r0);
        hn_cpu_run(dev, rows_job, &p, p.rows.n * p.d);
        hn_pool_run(dev->pool, vocabulary_job, &p, hn_pool_cut(dev->pool, w->m.rows / BLOCK + 1));
    }
}

size_t hn_grad_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    const struct hn_mm_kernel *kernel = &dev->matmul->main; /* plain's needs are no larger */
    size_t tokens = (size_t)HN_MAX(limits->max_tokens, limits->max_rows);
    size_t linear = hn_mm_scratch_floats(HN_MM_TOKENS_MAX * tokens) +
                    hn_mm_scratch_needed(dev, HN_MM_TOKENS_MAX, 0);
    size_t norm = hn_mm_scratch_floats(tokens * (size_t)HN_MAX(limits->n_heads, 1));
    int64_t chunk = HN_MIN(limits->max_rows, CHUNK), d = limits->d_model;
    size_t desks = desk_floats(kernel, chunk, d) * (size_t)hn_pool_size(dev->pool);
    size_t head = hn_mm_scratch_floats(hn_mm_packed_floats(kernel, chunk, d)) +
                  hn_mm_scratch_floats((size_t)chunk) + hn_mm_scratch_floats(desks);
    return HN_MAX(HN_MAX(linear, norm), head) * sizeof(float);
}
