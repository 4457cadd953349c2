/* Gradients of trained weights.  dw [out, in] = dy^T x is the backward product with dy turned: its
 * "tokens" are the rows of the weight, its "weight" is x [T, in].
 *
 *   dy [T, out] -> turned [ROWS, T] of a few rows of the weight -> packed -> dw[rows, :] += … x
 *
 * Every element of a gradient belongs to one thread, which adds the tokens in their order. */
#include "backend/cpu/grad.h"
#include "base/mem.h"

#include <math.h>

enum {
    ROWS = HN_MM_TOKENS_MAX, /* rows of a weight at a time */
    STRIP = HN_CPU_GRAIN,
};

static struct hn_matrix plain(const float *x, int64_t rows, int64_t cols)
{
    return (struct hn_matrix){.layout = HN_LAYOUT_F32,
                              .rows = rows,
                              .cols = cols,
                              .data = (const unsigned char *)x,
                              .row_size = (size_t)cols * sizeof *x};
}

int hn_cpu_weight_of_tensor(struct hn_device *dev, const struct hn_tensor *t,
                            struct hn_weight **out, struct hone_err *err)
{
    (void)dev;
    struct hn_weight *w = hn_calloc(1, sizeof *w);
    if (!w)
        return hn_fail_memory(err, "opening a weight");
    w->m = plain(t->data, t->rows, t->cols);
    w->borrowed = true;
    w->vector = t->rows == 1 ? t->data : NULL;
    *out = w;
    return 0;
}

/* ---- linears ------------------------------------------------------------------------------- */

struct linear {
    struct hn_device *dev;
    const struct hn_mm_kernel *kernel;
    float *dw, *dbias;
    const float *dy, *x;
    int64_t n_tokens, in, out;
    float *turned;    /* [ROWS, T] */
    float *packed[2]; /* a block of its depth */
    float *panels;    /* per thread */
};

/* turned[o - o0][t] = dy[t][o] of this thread's share of rows [o0, o0 + n). */
static void turn(const struct linear *p, int64_t o0, int64_t n, int thread, int n_threads)
{
    int64_t begin, end;
    hn_pool_split(n, 16, thread, n_threads, &begin, &end);
    for (int64_t t = 0; t < p->n_tokens; t++)
        for (int64_t o = begin; o < end; o++)
            p->turned[o * p->n_tokens + t] = p->dy[t * p->out + o0 + o];
}

static void bias_part(const struct linear *p, int thread, int n_threads)
{
    int64_t begin, end;
    hn_pool_split(p->out, STRIP, thread, n_threads, &begin, &end);
    for (int64_t c0 = begin; c0 < end; c0 += STRIP) {
        int64_t n = HN_MIN(STRIP, end - c0);
        float sum[STRIP] = {0};
        for (int64_t t = 0; t < p->n_tokens; t++)
            for (int64_t c = 0; c < n; c++)
                sum[c] += p->dy[t * p->out + c0 + c];
        for (int64_t c = 0; c < n; c++)
            p->dbias[c0 + c] += sum[c];
    }
}

static void linear_job(void *arg, int thread, int n_threads)
{
    struct linear *p = arg;
    float *panels = p->panels + (size_t)thread * hn_mm_panel_floats();
    const struct hn_matrix x = plain(p->x, p->n_tokens, p->in);
    int64_t begin, end, tile, last, block = hn_mm_depth_block(p->dev, p->kernel, p->n_tokens, 8);
    int which = 0;
    if (p->dbias)
        bias_part(p, thread, n_threads);
    if (!p->dw)
        return;
    hn_pool_split(p->in, p->kernel->nr, thread, n_threads, &begin, &end);
    hn_mm_enter(p->kernel);
    for (int64_t o0 = 0; o0 < p->out; o0 += ROWS) {
        int64_t n = HN_MIN(ROWS, p->out - o0);
        turn(p, o0, n, thread, n_threads);
        hn_pool_barrier(p->dev->pool);
        hn_pool_split(hn_mm_n_tiles(p->kernel, n), 1, thread, n_threads, &tile, &last);
        for (int64_t t0 = 0; t0 < p->n_tokens; t0 += block, which ^= 1) {
            int64_t depth = HN_MIN(block, p->n_tokens - t0);
            hn_mm_pack(p->kernel, p->turned + t0, p->n_tokens, n, tile, last, depth,
                       p->packed[which]);
            hn_pool_barrier(p->dev->pool);
            hn_mm_backward_strip(p->dev->matmul, p->kernel, &x, begin, end - begin, t0, depth,
                                 p->packed[which], n, panels, p->dw + o0 * p->in + begin, p->in,
                                 true);
        }
        hn_pool_barrier(p->dev->pool); /* turned is about to be replaced */
    }
    hn_mm_leave(p->kernel);
}

void hn_cpu_linear_grad(struct hn_device *dev, struct hn_tensor *dw, struct hn_tensor *dbias,
                        const struct hn_tensor *dy, const struct hn_tensor *x)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    struct linear p = {.dev = dev,
                       .dw = dw ? dw->data : NULL,
                       .dbias = dbias ? dbias->data : NULL,
                       .dy = dy->data,
                       .x = x->data,
                       .n_tokens = x->rows,
                       .in = x->cols,
                       .out = dy->cols};
    HN_ASSERT(dy->rows == x->rows && (!dw || (dw->rows == p.out && dw->cols == p.in)));
    if (!p.n_tokens)
        return;
    int64_t rows = HN_MIN(ROWS, p.out);
    p.kernel = hn_mm_pick(dev->matmul, rows);
    size_t packed = hn_mm_packed_floats(p.kernel, rows, HN_MM_DEPTH_MAX);
    p.turned = hn_mm_scratch_take(&s, (size_t)(rows * p.n_tokens));
    p.packed[0] = hn_mm_scratch_take(&s, packed);
    p.packed[1] = hn_mm_scratch_take(&s, packed);
    p.panels = hn_mm_scratch_take(&s, hn_mm_panel_floats() * (size_t)hn_pool_size(dev->pool));
    hn_pool_run(dev->pool, linear_job, &p);
}

/* ---- norms --------------------------------------------------------------------------------- */

struct norm {
    struct hn_device *dev;
    float *dw, *inverse; /* inverse [runs]: 1/sqrt(mean(x^2) + eps) */
    const float *dy, *x;
    int64_t runs, n;
    float eps;
};

static void norm_job(void *arg, int thread, int n_threads)
{
    struct norm *p = arg;
    int64_t begin, end;
    hn_pool_split(p->runs, 1, thread, n_threads, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        double sum = 0;
        for (int64_t i = 0; i < p->n; i++)
            sum += (double)p->x[r * p->n + i] * (double)p->x[r * p->n + i];
        p->inverse[r] = (float)(1 / sqrt(sum / (double)p->n + (double)p->eps));
    }
    hn_pool_barrier(p->dev->pool);
    hn_pool_split(p->n, STRIP, thread, n_threads, &begin, &end);
    for (int64_t c0 = begin; c0 < end; c0 += STRIP) {
        int64_t n = HN_MIN(STRIP, end - c0);
        float sum[STRIP] = {0};
        for (int64_t r = 0; r < p->runs; r++)
            for (int64_t c = 0; c < n; c++)
                sum[c] += p->dy[r * p->n + c0 + c] * (p->x[r * p->n + c0 + c] * p->inverse[r]);
        for (int64_t c = 0; c < n; c++)
            p->dw[c0 + c] += sum[c];
    }
}

void hn_cpu_rms_norm_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy,
                          const struct hn_tensor *x, float eps)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    HN_ASSERT(dw->rows == 1 && x->cols % dw->cols == 0 && dy->rows == x->rows);
    struct norm p = {.dev = dev,
                     .dw = dw->data,
                     .dy = dy->data,
                     .x = x->data,
                     .runs = x->rows * (x->cols / dw->cols),
                     .n = dw->cols,
                     .eps = eps};
    p.inverse = hn_mm_scratch_take(&s, (size_t)p.runs);
    hn_pool_run(dev->pool, norm_job, &p);
}

/* ---- the vocabulary ------------------------------------------------------------------------ */

struct embed {
    const struct hn_batch *batch;
    float *dw;
    const float *dy;
    int64_t d;
};

static void embed_job(void *arg, int thread, int n_threads)
{
    const struct embed *p = arg;
    int64_t begin, end;
    hn_pool_split(p->d, 16, thread, n_threads, &begin, &end);
    for (int64_t t = 0; t < p->batch->n_tokens; t++) {
        float *dw = p->dw + p->batch->tokens[t] * p->d;
        for (int64_t c = begin; c < end; c++)
            dw[c] += p->dy[t * p->d + c];
    }
}

void hn_cpu_embed_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy)
{
    struct embed p = {dev->batch, dw->data, dy->data, dy->cols};
    HN_ASSERT(dw->cols == dy->cols && dy->rows == dev->batch->n_tokens);
    hn_pool_run(dev->pool, embed_job, &p);
}
