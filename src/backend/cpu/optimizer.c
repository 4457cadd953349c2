/* The optimizer step and the gradient norm.  Both walk all tensors in one job of the pool. */
#include "backend/cpu/vector.h"

#include <math.h>

struct job {
    const struct hn_cpu_vector *vector;
    struct hn_tensor *const *x, *const *grad, *const *m, *const *v;
    size_t n;
    double *sums;
    struct hn_cpu_adamw k;
};

/* Every tensor is cut into this many parts, whatever the number of threads; part p of all tensors
 * is one sum, and the sums are added in order: the total does not depend on the threads. */
enum { SUM_PARTS = 64 };

static void sum_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    while (hn_parts_next(parts)) {
        double sum = 0;
        for (size_t k = 0; k < j->n; k++) {
            const float *x = j->x[k]->data;
            int64_t i, end;
            hn_pool_split(j->x[k]->rows * j->x[k]->cols, 64, parts->at, SUM_PARTS, &i, &end);
            sum += j->vector->sum_squares(x + i, end - i);
        }
        j->sums[parts->at] = sum;
    }
}

static int64_t total(struct hn_tensor *const *x, size_t n)
{
    int64_t sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += x[k]->rows * x[k]->cols;
    return sum;
}

int hn_cpu_sum_squares(struct hn_device *dev, struct hn_tensor *const *x, size_t n, double *out,
                       struct hone_err *err)
{
    double sums[SUM_PARTS], sum = 0;
    struct job j = {.vector = dev->vector, .x = x, .n = n, .sums = sums};
    (void)err; /* nothing can fail here */
    hn_pool_run(dev->pool, sum_part, &j, SUM_PARTS);
    for (int p = 0; p < SUM_PARTS; p++)
        sum += sums[p];
    *out = sum;
    return 0;
}

static void adamw_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    while (hn_parts_next(parts))
        for (size_t k = 0; k < j->n; k++) {
            float *p = j->x[k]->data, *m = j->m[k]->data, *v = j->v[k]->data;
            const float *g = j->grad[k]->data;
            int64_t i, end;
            hn_pool_split(j->x[k]->rows * j->x[k]->cols, 64, parts->at, parts->n, &i, &end);
            j->vector->adamw(p + i, g + i, m + i, v + i, end - i, &j->k);
        }
}

void hn_cpu_adamw_constants(const struct hn_adamw *o, struct hn_cpu_adamw *k)
{
    double c1 = 1, c2 = 1;
    if (o->bias_correction) {
        c1 = 1 - pow(o->beta1, (double)o->step);
        c2 = 1 - pow(o->beta2, (double)o->step);
    }
    *k = (struct hn_cpu_adamw){
        .grad_scale = (float)o->grad_scale,
        .beta1 = (float)o->beta1,
        .one_beta1 = (float)(1 - o->beta1),
        .beta2 = (float)o->beta2,
        .one_beta2 = (float)(1 - o->beta2),
        .decay = (float)(1 - o->learning_rate * o->weight_decay),
        .rate = (float)(o->learning_rate / c1),
        .root = (float)(1 / sqrt(c2)),
        .eps = (float)o->eps,
    };
}

void hn_cpu_adamw(struct hn_device *dev, struct hn_tensor *const *param,
                  struct hn_tensor *const *grad, struct hn_tensor *const *m,
                  struct hn_tensor *const *v, size_t n, const struct hn_adamw *o)
{
    struct job j = {.vector = dev->vector, .x = param, .grad = grad, .m = m, .v = v, .n = n};
    hn_cpu_adamw_constants(o, &j.k);
    for (size_t k = 0; k < n; k++) {
        int64_t size = param[k]->rows * param[k]->cols;
        HN_ASSERT(grad[k]->rows * grad[k]->cols == size && m[k]->rows * m[k]->cols == size &&
                  v[k]->rows * v[k]->cols == size);
    }
    hn_cpu_run(dev, adamw_part, &j, total(param, n) * 4);
}

/* ---- SGD --------------------------------------------------------------------------------------
 */

struct sgd_job {
    struct hn_tensor *const *x, *const *grad, *const *m;
    size_t n;
    float scale, decay, rate, momentum, keep;
    bool nesterov;
};

/* The loops are bound by memory: the compiler's vectors are as fast as any. */
static void sgd_range(float *p, const float *g, float *m, int64_t n, const struct sgd_job *j)
{
    if (j->momentum == 0) {
        for (int64_t i = 0; i < n; i++)
            p[i] -= j->rate * (j->scale * g[i] + j->decay * p[i]);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        float d = j->scale * g[i] + j->decay * p[i];
        m[i] = j->momentum * m[i] + j->keep * d;
        p[i] -= j->rate * (j->nesterov ? d + j->momentum * m[i] : m[i]);
    }
}

static void sgd_part(void *arg, struct hn_parts *parts)
{
    const struct sgd_job *j = arg;
    while (hn_parts_next(parts))
        for (size_t k = 0; k < j->n; k++) {
            float *p = j->x[k]->data, *m = j->m[k]->data;
            const float *g = j->grad[k]->data;
            int64_t i, end;
            hn_pool_split(j->x[k]->rows * j->x[k]->cols, 64, parts->at, parts->n, &i, &end);
            sgd_range(p + i, g + i, m + i, end - i, j);
        }
}

void hn_cpu_sgd(struct hn_device *dev, struct hn_tensor *const *param,
                struct hn_tensor *const *grad, struct hn_tensor *const *m, size_t n,
                const struct hn_sgd *o)
{
    struct sgd_job j = {
        .x = param,
        .grad = grad,
        .m = m,
        .n = n,
        .scale = (float)o->grad_scale,
        .decay = (float)o->weight_decay,
        .rate = (float)o->learning_rate,
        .momentum = (float)o->momentum,
        .keep = (float)(1 - o->dampening),
        .nesterov = o->nesterov,
    };
    hn_cpu_run(dev, sgd_part, &j, total(param, n) * 4);
}
