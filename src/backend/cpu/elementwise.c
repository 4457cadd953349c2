/* Operations without a structure of their own: gated activation, residual add, copies of rows. */
#include "backend/cpu/vector.h"

#include <string.h>

struct job {
    const struct hn_cpu_vector *vector;
    const struct hn_batch *batch;
    int64_t n, cols;
    float factor;
    float *y, *y2;
    const float *x, *x2, *x3;
};

static int64_t count(const struct hn_tensor *t)
{
    return t->rows * t->cols;
}

static void glu_fwd_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, HN_CPU_GRAIN, &i, &end))
        j->vector->glu_fwd(j->y + i, j->x + i, j->x2 + i, end - i);
}

void hn_cpu_glu_fwd(struct hn_device *dev, struct hn_tensor *a, const struct hn_tensor *gate,
                    const struct hn_tensor *up)
{
    HN_ASSERT(count(a) == count(gate) && count(a) == count(up));
    struct job j = {
        .vector = dev->vector, .n = count(a), .y = a->data, .x = gate->data, .x2 = up->data};
    hn_cpu_run(dev, glu_fwd_part, &j, j.n * 8);
}

static void glu_bwd_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, HN_CPU_GRAIN, &i, &end))
        j->vector->glu_bwd(j->y + i, j->y2 + i, j->x + i, j->x2 + i, j->x3 + i, end - i);
}

void hn_cpu_glu_bwd(struct hn_device *dev, struct hn_tensor *dgate, struct hn_tensor *dup,
                    const struct hn_tensor *da, const struct hn_tensor *gate,
                    const struct hn_tensor *up)
{
    HN_ASSERT(count(da) == count(gate) && count(da) == count(up));
    struct job j = {.vector = dev->vector,
                    .n = count(da),
                    .y = dgate->data,
                    .y2 = dup->data,
                    .x = da->data,
                    .x2 = gate->data,
                    .x3 = up->data};
    hn_cpu_run(dev, glu_bwd_part, &j, j.n * 8);
}

static void add_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, HN_CPU_GRAIN, &i, &end))
        j->vector->add(j->y + i, j->x + i, end - i);
}

void hn_cpu_add(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x)
{
    HN_ASSERT(count(y) == count(x));
    struct job j = {.vector = dev->vector, .n = count(y), .y = y->data, .x = x->data};
    hn_cpu_run(dev, add_part, &j, j.n);
}

static void copy_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, HN_CPU_GRAIN, &i, &end))
        memcpy(j->y + i, j->x + i, (size_t)(end - i) * sizeof(float));
}

void hn_cpu_copy(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x)
{
    HN_ASSERT(count(y) == count(x));
    struct job j = {.n = count(y), .y = y->data, .x = x->data};
    hn_cpu_run(dev, copy_part, &j, j.n);
}

static void zero_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, HN_CPU_GRAIN, &i, &end))
        memset(j->y + i, 0, (size_t)(end - i) * sizeof(float));
}

void hn_cpu_zero(struct hn_device *dev, struct hn_tensor *x)
{
    struct job j = {.n = count(x), .y = x->data}; /* both element types have 4 bytes */
    hn_cpu_run(dev, zero_part, &j, j.n);
}

static void scale_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t i, end;
    while (hn_parts_range(parts, j->n, HN_CPU_GRAIN, &i, &end))
        j->vector->scale(j->y + i, j->y + i, j->factor, end - i);
}

void hn_cpu_scale(struct hn_device *dev, struct hn_tensor *x, float factor)
{
    struct job j = {.vector = dev->vector, .n = count(x), .y = x->data, .factor = factor};
    hn_cpu_run(dev, scale_part, &j, j.n);
}

static void gather_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t r, end, cols = j->cols;
    while (hn_parts_range(parts, j->n, 1, &r, &end))
        for (; r < end; r++)
            memcpy(j->y + r * cols, j->x + j->batch->rows[r] * cols, (size_t)cols * sizeof(float));
}

void hn_cpu_gather_rows(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x)
{
    struct job j = {
        .batch = dev->batch, .n = dev->batch->n_rows, .cols = x->cols, .y = y->data, .x = x->data};
    HN_ASSERT(y->cols == x->cols && y->rows == j.n);
    hn_cpu_run(dev, gather_part, &j, count(y));
}

/* Rows are ascending: a part of the tokens holds one run of them. */
static void scatter_tokens(const struct job *j, int64_t t, int64_t end)
{
    const int32_t *rows = j->batch->rows;
    int64_t cols = j->cols, r = 0, n = j->batch->n_rows;
    while (r < n && rows[r] < t)
        r++;
    for (; t < end; t++) {
        if (r < n && rows[r] == t)
            memcpy(j->y + t * cols, j->x + r++ * cols, (size_t)cols * sizeof(float));
        else
            memset(j->y + t * cols, 0, (size_t)cols * sizeof(float));
    }
}

static void scatter_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end;
    while (hn_parts_range(parts, j->n, 1, &t, &end))
        scatter_tokens(j, t, end);
}

void hn_cpu_scatter_rows(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x)
{
    struct job j = {.batch = dev->batch, .n = y->rows, .cols = y->cols, .y = y->data, .x = x->data};
    HN_ASSERT(y->cols == x->cols && x->rows == dev->batch->n_rows);
    hn_cpu_run(dev, scatter_part, &j, count(y));
}
