/* Gradients of trained weights.  dw [out, in] = dy^T x is the backward product with dy turned: its
 * "tokens" are the rows of the weight, its "weight" is x [T, in].
 *
 *   dy [T, out] -> turned [ROWS, T] of a few rows of the weight -> packed -> dw[rows, :] += … x
 *
 * Every element of a gradient belongs to one part, which adds the tokens in their order. */
#include "backend/cpu/grad.h"
#include "base/mem.h"

#include <math.h>

enum {
    ROWS = HN_MM_TOKENS_MAX, /* rows of a weight at a time */
    STRIP = HN_CPU_GRAIN,
    TURN = 16,
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
    float *dbias;
    const float *dy; /* of the rows at hand */
    int64_t n_tokens, out, rows;
    float *turned; /* [rows, T] */
};

static void turn_job(void *arg, struct hn_parts *parts)
{
    const struct linear *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->rows, TURN, &begin, &end))
        for (int64_t t = 0; t < p->n_tokens; t++)
            for (int64_t o = begin; o < end; o++)
                p->turned[o * p->n_tokens + t] = p->dy[t * p->out + o];
}

static void bias_columns(const struct linear *p, int64_t begin, int64_t end)
{
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

static void bias_job(void *arg, struct hn_parts *parts)
{
    const struct linear *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->out, STRIP, &begin, &end))
        bias_columns(p, begin, end);
}

void hn_cpu_linear_grad(struct hn_device *dev, struct hn_tensor *dw, struct hn_tensor *dbias,
                        const struct hn_tensor *dy, const struct hn_tensor *x)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    int64_t in = x->cols, out = dy->cols;
    const struct hn_matrix weight = plain(x->data, x->rows, in);
    struct linear p = {
        .dbias = dbias ? dbias->data : NULL, .dy = dy->data, .n_tokens = x->rows, .out = out};
    HN_ASSERT(dy->rows == x->rows && (!dw || (dw->rows == out && dw->cols == in)));
    if (!p.n_tokens)
        return;
    if (dbias)
        hn_cpu_run(dev, bias_job, &p, p.n_tokens * out);
    if (!dw)
        return;
    p.turned = hn_mm_scratch_take(&s, (size_t)(HN_MIN(ROWS, out) * p.n_tokens));
    for (int64_t o = 0; o < out; o += ROWS) {
        const struct hn_mm_in turned = {&weight, p.turned};
        p.dy = (const float *)dy->data + o;
        p.rows = HN_MIN(ROWS, out - o);
        hn_pool_run(dev->pool, turn_job, &p, hn_pool_cut(dev->pool, (p.rows + TURN - 1) / TURN));
        hn_mm_backward(dev, s, (float *)dw->data + o * in, p.rows, in, &turned, 1, true);
    }
}

/* ---- norms --------------------------------------------------------------------------------- */

struct norm {
    float *dw, *inverse; /* inverse [runs]: 1/sqrt(mean(x^2) + eps) */
    const float *dy, *x;
    int64_t runs, n;
    float eps;
};

static void find_inverse(const struct norm *p, int64_t begin, int64_t end)
{
    for (int64_t r = begin; r < end; r++) {
        double sum = 0;
        for (int64_t i = 0; i < p->n; i++)
            sum += (double)p->x[r * p->n + i] * (double)p->x[r * p->n + i];
        p->inverse[r] = (float)(1 / sqrt(sum / (double)p->n + (double)p->eps));
    }
}

static void inverse_job(void *arg, struct hn_parts *parts)
{
    const struct norm *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->runs, 1, &begin, &end))
        find_inverse(p, begin, end);
}

static void norm_columns(const struct norm *p, int64_t begin, int64_t end)
{
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

static void norm_job(void *arg, struct hn_parts *parts)
{
    const struct norm *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->n, STRIP, &begin, &end))
        norm_columns(p, begin, end);
}

void hn_cpu_rms_norm_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy,
                          const struct hn_tensor *x, float eps)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    HN_ASSERT(dw->rows == 1 && x->cols % dw->cols == 0 && dy->rows == x->rows);
    struct norm p = {.dw = dw->data,
                     .dy = dy->data,
                     .x = x->data,
                     .runs = x->rows * (x->cols / dw->cols),
                     .n = dw->cols,
                     .eps = eps};
    p.inverse = hn_mm_scratch_take(&s, (size_t)p.runs);
    hn_cpu_run(dev, inverse_job, &p, p.runs * p.n);
    hn_cpu_run(dev, norm_job, &p, p.runs * p.n);
}

/* ---- the vocabulary ------------------------------------------------------------------------ */

struct embed {
    const struct hn_batch *batch;
    float *dw;
    const float *dy;
    int64_t d;
};

static void add_columns(const struct embed *p, int64_t begin, int64_t end)
{
    for (int64_t t = 0; t < p->batch->n_tokens; t++) {
        float *dw = p->dw + p->batch->tokens[t] * p->d;
        for (int64_t c = begin; c < end; c++)
            dw[c] += p->dy[t * p->d + c];
    }
}

static void embed_job(void *arg, struct hn_parts *parts)
{
    const struct embed *p = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, p->d, 16, &begin, &end))
        add_columns(p, begin, end);
}

void hn_cpu_embed_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy)
{
    struct embed p = {dev->batch, dw->data, dy->data, dy->cols};
    HN_ASSERT(dw->cols == dy->cols && dy->rows == dev->batch->n_tokens);
    hn_cpu_run(dev, embed_job, &p, dy->rows * p.d);
}
