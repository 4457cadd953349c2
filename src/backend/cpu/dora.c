/* The lengths of an adapted weight's rows, and their part of the forward and backward pass.
 *
 *   |w + scale b A|^2 = |w|^2 + 2 scale b.(A w) + scale^2 b.(A A^T b)      (w, b: a row of W, B)
 *
 * |w|^2 never changes; A W^T is a product of R tokens, so a weight is read once per update and W +
 * scale B A never exists. */
#include "backend/cpu/dora.h"

#include <math.h>

struct job {
    struct hn_device *dev;
    const struct hn_matrix *w;
    int64_t rows, cols; /* of W; of z */
    float *work;        /* per thread */
    size_t work_floats;
    float *squares, *norm, *factor, *y, *dm;
    const float *x, *bias, *magnitude, *b, *products; /* products [R, out] = A W^T */
    const double *gram;                               /* [R, R] = A A^T */
    int64_t rank;
    double scale;
    bool add;
};

static void square_row(const struct job *j, int64_t n, float *row)
{
    double sum = 0;
    j->dev->matmul->decode[j->w->layout](j->w, n, 0, j->cols, row);
    for (int64_t c = 0; c < j->cols; c++)
        sum += (double)row[c] * (double)row[c];
    j->squares[n] = (float)sum;
}

static void squares_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t n, end;
    while (hn_parts_range(parts, j->rows, 1, &n, &end))
        for (; n < end; n++)
            square_row(j, n, j->work + (size_t)parts->thread * j->work_floats);
}

void hn_cpu_row_squares(struct hn_device *dev, struct hn_tensor *squares, const struct hn_weight *w)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    struct job j = {.dev = dev, .w = &w->m, .rows = w->m.rows, .cols = w->m.cols};
    HN_ASSERT(squares->cols == w->m.rows);
    j.squares = squares->data;
    j.work_floats = hn_mm_scratch_floats((size_t)j.cols);
    j.work = hn_mm_scratch_take(&s, j.work_floats * (size_t)hn_pool_size(dev->pool));
    hn_pool_run(dev->pool, squares_job, &j, hn_pool_cut(dev->pool, j.rows));
}

static void norm_rows(const struct job *j, int64_t n, int64_t end)
{
    int64_t rank = j->rank;
    for (; n < end; n++) {
        const float *b = j->b + n * rank;
        double linear = 0, square = 0;
        for (int64_t r = 0; r < rank; r++) {
            double sum = 0;
            for (int64_t k = 0; k < rank; k++)
                sum += j->gram[r * rank + k] * (double)b[k];
            square += (double)b[r] * sum;
            linear += (double)b[r] * (double)j->products[r * j->rows + n];
        }
        double all = (double)j->squares[n] + 2 * j->scale * linear + j->scale * j->scale * square;
        double norm = sqrt(HN_MAX(all, 0));
        j->norm[n] = (float)norm;
        j->factor[n] = norm > 0 ? (float)((double)j->magnitude[n] / norm) : 0;
    }
}

static void norms_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t n, end;
    while (hn_parts_range(parts, j->rows, HN_CPU_GRAIN, &n, &end))
        norm_rows(j, n, end);
}

/* The rows of A with one another. */
static void gram_rows(const struct job *j, int64_t r, int64_t end)
{
    double *gram = (double *)(void *)j->y;
    int64_t in = j->cols;
    for (; r < end; r++) {
        for (int64_t k = 0; k < j->rank; k++) {
            double sum = 0;
            for (int64_t c = 0; c < in; c++)
                sum += (double)j->x[r * in + c] * (double)j->x[k * in + c];
            gram[r * j->rank + k] = sum;
        }
    }
}

static void gram_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t r, end;
    while (hn_parts_range(parts, j->rank, 1, &r, &end))
        gram_rows(j, r, end);
}

void hn_cpu_dora_norms(struct hn_device *dev, struct hn_tensor *norm, struct hn_tensor *factor,
                       const struct hn_tensor *magnitude, const struct hn_tensor *squares,
                       const struct hn_weight *w, const struct hn_adapter *ad)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    int64_t rank = ad->a->rows, out = w->m.rows;
    HN_ASSERT(norm->cols == out && magnitude->cols == out && squares->cols == out);
    float *products = hn_mm_scratch_take(&s, (size_t)(rank * out));
    float *gram = hn_mm_scratch_take(&s, (size_t)(rank * rank) * 2);
    const struct hn_mm_out product = {&w->m, NULL, products};
    hn_mm_forward(dev, s, ad->a->data, rank, w->m.cols, &product, 1, false);
    struct job j = {.dev = dev,
                    .rows = out,
                    .cols = w->m.cols,
                    .squares = squares->data,
                    .norm = norm->data,
                    .factor = factor->data,
                    .y = gram,
                    .x = ad->a->data,
                    .magnitude = magnitude->data,
                    .b = ad->b->data,
                    .products = products,
                    .gram = (const double *)(const void *)gram,
                    .rank = rank,
                    .scale = (double)ad->scale};
    hn_cpu_run(dev, gram_job, &j, rank * rank * j.cols);
    hn_cpu_run(dev, norms_job, &j, out * rank * rank);
}

/* ---- forward and backward ------------------------------------------------------------------ */

static void forward_rows(const struct job *j, int64_t t, int64_t end)
{
    for (; t < end; t++) {
        const float *z = j->x + t * j->cols;
        float *y = j->y + t * j->cols;
        if (j->add)
            for (int64_t c = 0; c < j->cols; c++)
                y[c] += j->factor[c] * z[c] + (j->bias ? j->bias[c] : 0);
        else
            for (int64_t c = 0; c < j->cols; c++)
                y[c] = j->factor[c] * z[c] + (j->bias ? j->bias[c] : 0);
    }
}

static void forward_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end;
    while (hn_parts_range(parts, j->rows, 1, &t, &end))
        forward_rows(j, t, end);
}

void hn_cpu_dora_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *z,
                     const struct hn_tensor *factor, const struct hn_weight *bias, bool add)
{
    struct job j = {.rows = z->rows,
                    .cols = z->cols,
                    .factor = factor->data,
                    .y = y->data,
                    .x = z->data,
                    .bias = bias ? bias->vector : NULL,
                    .add = add};
    HN_ASSERT(y->rows == z->rows && y->cols == z->cols && factor->cols == z->cols);
    hn_cpu_run(dev, forward_job, &j, j.rows * j.cols * 2);
}

/* A part has columns of its own, and sums over the tokens in their order. */
static void backward_columns(const struct job *j, int64_t begin, int64_t end)
{
    enum { STRIP = HN_CPU_GRAIN };
    for (int64_t c0 = begin; c0 < end; c0 += STRIP) {
        int64_t n = HN_MIN(STRIP, end - c0);
        float sum[STRIP] = {0};
        for (int64_t t = 0; t < j->rows; t++) {
            const float *dy = j->x + t * j->cols + c0;
            float *z = j->y + t * j->cols + c0;
            for (int64_t c = 0; c < n; c++) {
                sum[c] += dy[c] * z[c];
                z[c] = j->factor[c0 + c] * dy[c];
            }
        }
        for (int64_t c = 0; c < n; c++)
            if (j->norm[c0 + c] > 0)
                j->dm[c0 + c] += sum[c] / j->norm[c0 + c];
    }
}

static void backward_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t begin, end;
    while (hn_parts_range(parts, j->cols, HN_CPU_GRAIN, &begin, &end))
        backward_columns(j, begin, end);
}

void hn_cpu_dora_bwd(struct hn_device *dev, struct hn_tensor *z, struct hn_tensor *dmagnitude,
                     const struct hn_tensor *dy, const struct hn_tensor *factor,
                     const struct hn_tensor *norm)
{
    struct job j = {.rows = z->rows,
                    .cols = z->cols,
                    .norm = norm->data,
                    .factor = factor->data,
                    .y = z->data,
                    .dm = dmagnitude->data,
                    .x = dy->data};
    HN_ASSERT(dy->rows == z->rows && dy->cols == z->cols && dmagnitude->cols == z->cols);
    hn_cpu_run(dev, backward_job, &j, j.rows * j.cols * 2);
}

size_t hn_dora_scratch_size(const struct hn_device *dev, int64_t width, int64_t rank)
{
    size_t threads = (size_t)hn_pool_size(dev->pool), r = (size_t)rank, w = (size_t)width;
    size_t squares = hn_mm_scratch_floats(hn_mm_scratch_floats(w) * threads);
    size_t norms = hn_mm_scratch_floats(r * w) + hn_mm_scratch_floats(2 * r * r) +
                   hn_mm_scratch_needed(dev, rank, width);
    return HN_MAX(squares, norms) * sizeof(float);
}
