/* Root-mean-square norm, whole rows or per head; rows are shared out over the threads. */
#include "backend/cpu/vector.h"

struct job {
    const struct hn_cpu_vector *vector;
    int64_t runs, n; /* runs of n elements */
    float *y;
    const float *x, *dy, *w;
    float eps;
    bool accumulate;
};

/* The runs of a tensor under a weight of n elements. */
static int64_t runs_of(const struct hn_tensor *x, const struct hn_weight *w)
{
    HN_ASSERT(w->vector && w->m.cols > 0 && x->cols % w->m.cols == 0);
    return x->rows * (x->cols / w->m.cols);
}

static void fwd_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t r, end;
    while (hn_parts_range(parts, j->runs, 1, &r, &end))
        j->vector->rms_norm_fwd(j->y + r * j->n, j->x + r * j->n, j->w, end - r, j->n, j->eps);
}

void hn_cpu_rms_norm_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *x,
                         const struct hn_weight *w, float eps)
{
    struct job j = {.vector = dev->vector,
                    .runs = runs_of(x, w),
                    .n = w->m.cols,
                    .y = y->data,
                    .x = x->data,
                    .w = w->vector,
                    .eps = eps};
    hn_cpu_run(dev, fwd_part, &j, j.runs * j.n * 2);
}

static void bwd_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t r, end;
    while (hn_parts_range(parts, j->runs, 1, &r, &end))
        j->vector->rms_norm_bwd(j->y + r * j->n, j->dy + r * j->n, j->x + r * j->n, j->w, end - r,
                                j->n, j->eps, j->accumulate);
}

void hn_cpu_rms_norm_bwd(struct hn_device *dev, struct hn_tensor *dx, const struct hn_tensor *dy,
                         const struct hn_tensor *x, const struct hn_weight *w, float eps,
                         bool accumulate)
{
    struct job j = {.vector = dev->vector,
                    .runs = runs_of(x, w),
                    .n = w->m.cols,
                    .y = dx->data,
                    .x = x->data,
                    .dy = dy->data,
                    .w = w->vector,
                    .eps = eps,
                    .accumulate = accumulate};
    hn_cpu_run(dev, bwd_part, &j, j.runs * j.n * 4);
}
