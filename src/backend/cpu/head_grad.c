/* The gradient of a trained head: dw += (softmax(x w^T) - onehot)^T x, in blocks of the vocabulary,
 * each made by one thread, so that nothing of [rows, V] exists.  The softmax's denominator is known
 * from the loss that head_loss gave for the same rows: log(sum(exp)) = loss + target's logit. */
#include "backend/cpu/grad.h"

enum {
    CHUNK = 256, /* rows of x at a time */
    BLOCK = 256, /* vocabulary entries at a time, at most */
};

struct part {
    float *logits; /* [CHUNK, BLOCK], then the gradient of the logits */
    float *turned; /* [BLOCK, CHUNK] */
    float *packed; /* a block of its depth */
    float *panels;
};

struct head {
    struct hn_device *dev;
    const struct hn_mm_kernel *kernel;
    const struct hn_matrix *w;
    float *dw;
    const float *loss, *x;
    const int32_t *targets;
    int64_t n_rows, d;
    float *packed; /* x, block of depth after block of depth */
    float *lse;    /* [CHUNK] */
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

static void find_lse(const struct head *p, int64_t r0, int64_t r, float *row)
{
    double logit = 0;
    p->dev->matmul->decode[p->w->layout](p->w, p->targets[r0 + r], 0, p->d, row);
    for (int64_t k = 0; k < p->d; k++)
        logit += (double)row[k] * (double)p->x[(r0 + r) * p->d + k];
    p->lse[r] = (float)(logit + (double)p->loss[r0 + r]);
}

/* Vocabulary entries [v, v + nv): their logits' gradient, turned, then their rows of dw. */
static void vocabulary_block(const struct head *p, const struct part *part, int64_t r0, int64_t n,
                             int64_t v, int64_t nv)
{
    const struct hn_cpu_matmul *mm = p->dev->matmul;
    const struct hn_matrix x = {.layout = HN_LAYOUT_F32,
                                .rows = n,
                                .cols = p->d,
                                .data = (const unsigned char *)(p->x + r0 * p->d),
                                .row_size = (size_t)p->d * sizeof(float)};
    int64_t block = hn_mm_depth_block(p->dev, p->kernel, p->d, hn_mm_grain(p->w));
    for (int64_t k = 0; k < p->d; k += block)
        hn_mm_forward_strip(mm, p->kernel, p->w, v, nv, k, HN_MIN(block, p->d - k),
                            p->packed + hn_mm_packed_floats(p->kernel, n, k), n, part->panels,
                            part->logits, BLOCK, k > 0);
    for (int64_t r = 0; r < n; r++) {
        float *row = part->logits + r * BLOCK, max = p->lse[r]; /* no logit is above it */
        int64_t target = p->targets[r0 + r];
        double sum = 0;
        (void)mm->softmax_step(row, nv, &max, &sum);
        for (int64_t i = 0; i < nv; i++)
            part->turned[i * n + r] = row[i];
        if (target >= v && target < v + nv)
            part->turned[(target - v) * n + r] -= 1;
    }
    block = hn_mm_depth_block(p->dev, p->kernel, n, 8);
    for (int64_t r = 0; r < n; r += block) {
        int64_t depth = HN_MIN(block, n - r);
        hn_mm_pack(p->kernel, part->turned + r, n, nv, 0, hn_mm_n_tiles(p->kernel, nv), depth,
                   part->packed);
        hn_mm_backward_strip(mm, p->kernel, &x, 0, p->d, r, depth, part->packed, nv, part->panels,
                             p->dw + v * p->d, p->d, true);
    }
}

static void head_job(void *arg, int thread, int n_threads)
{
    struct head *p = arg;
    const struct part *part = &p->parts[thread];
    int64_t begin, end, first, last;
    hn_pool_split(p->w->rows, HN_MM_PANEL_MAX, thread, n_threads, &begin, &end);
    hn_mm_enter(p->kernel);
    for (int64_t r0 = 0; r0 < p->n_rows; r0 += CHUNK) {
        int64_t n = HN_MIN(CHUNK, p->n_rows - r0);
        pack_rows(p, r0, n, thread, n_threads);
        hn_pool_split(n, 1, thread, n_threads, &first, &last);
        for (int64_t r = first; r < last; r++)
            find_lse(p, r0, r, part->panels);
        hn_pool_barrier(p->dev->pool);
        for (int64_t v = begin; v < end; v += BLOCK)
            vocabulary_block(p, part, r0, n, v, HN_MIN(BLOCK, end - v));
        hn_pool_barrier(p->dev->pool);
    }
    hn_mm_leave(p->kernel);
}

/* Takes the memory from s; with p NULL only counts it. */
static size_t take(const struct hn_mm_kernel *kernel, struct hn_mm_scratch *s, struct head *p,
                   int64_t n_rows, int64_t d, int threads)
{
    int64_t chunk = HN_MIN(n_rows, CHUNK);
    size_t rows = (size_t)chunk, packed = hn_mm_packed_floats(kernel, chunk, d);
    const size_t sizes[] = {rows * BLOCK, rows * BLOCK,
                            hn_mm_packed_floats(kernel, BLOCK, HN_MM_DEPTH_MAX),
                            HN_MAX(hn_mm_panel_floats(), (size_t)d)};
    size_t total =
        hn_mm_scratch_floats((sizeof *p + (size_t)threads * sizeof p->parts[0]) / 4 + 1) +
        hn_mm_scratch_floats(packed) + hn_mm_scratch_floats(rows);
    for (size_t k = 0; k < HN_COUNT(sizes); k++)
        total += hn_mm_scratch_floats(sizes[k]) * (size_t)threads;
    if (!p)
        return total * sizeof(float);
    p->packed = hn_mm_scratch_take(s, packed);
    p->lse = hn_mm_scratch_take(s, rows);
    for (int i = 0; i < threads; i++) {
        struct part *part = &p->parts[i];
        part->logits = hn_mm_scratch_take(s, sizes[0]);
        part->turned = hn_mm_scratch_take(s, sizes[1]);
        part->packed = hn_mm_scratch_take(s, sizes[2]);
        part->panels = hn_mm_scratch_take(s, sizes[3]);
    }
    return total * sizeof(float);
}

void hn_cpu_head_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *loss,
                      const struct hn_tensor *x, const struct hn_weight *w)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    int threads = hn_pool_size(dev->pool);
    HN_ASSERT(x->cols == w->m.cols && x->rows == dev->batch->n_rows && dev->batch->targets);
    HN_ASSERT(dw->rows == w->m.rows && dw->cols == w->m.cols && loss->rows == x->rows);
    struct head *p = (struct head *)(void *)hn_mm_scratch_take(
        &s, (sizeof *p + (size_t)threads * sizeof p->parts[0]) / sizeof(float) + 1);
    p->dev = dev;
    p->w = &w->m;
    p->dw = dw->data;
    p->loss = loss->data;
    p->x = x->data;
    p->targets = dev->batch->targets;
    p->n_rows = x->rows;
    p->d = x->cols;
    p->kernel = hn_mm_pick(dev->matmul, HN_MAX(HN_MIN(p->n_rows, CHUNK), 1));
    take(p->kernel, &s, p, p->n_rows, p->d, threads);
    hn_pool_run(dev->pool, head_job, p);
}

size_t hn_grad_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    const struct hn_mm_kernel *kernel = &dev->matmul->main; /* plain's needs are no larger */
    int threads = hn_pool_size(dev->pool);
    size_t tokens = (size_t)HN_MAX(limits->max_tokens, limits->max_rows);
    size_t rows = HN_MM_TOKENS_MAX;
    size_t linear =
        hn_mm_scratch_floats(rows * tokens) +
        2 * hn_mm_scratch_floats(hn_mm_packed_floats(kernel, (int64_t)rows, HN_MM_DEPTH_MAX)) +
        hn_mm_scratch_floats(hn_mm_panel_floats() * (size_t)threads);
    size_t norm = hn_mm_scratch_floats(tokens * (size_t)HN_MAX(limits->n_heads, 1));
    size_t head = take(kernel, NULL, NULL, limits->max_rows, limits->d_model, threads);
    return HN_MAX(HN_MAX(linear, norm) * sizeof(float), head);
}
