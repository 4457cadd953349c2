/* Dropout as an operation of its own, and its bits for those that have it inside. */
#include "backend/cpu/dropout.h"

#include <math.h>
#include <string.h>

struct hn_drop hn_drop_open(const struct hn_device *dev, float dropout, uint32_t module,
                            const struct hn_tensor *x)
{
    struct hn_drop d = {.module = module, .threshold = (uint32_t)lrintf(dropout * 65536.0f)};
    if (d.threshold) {
        HN_ASSERT(dev->batch);
        d.key[0] = (uint32_t)dev->batch->seed;
        d.key[1] = (uint32_t)(dev->batch->seed >> 32);
        d.step = dev->batch->step;
        d.first_token = dev->batch->first_token;
        if (x->picked)
            d.rows = dev->batch->rows + x->first_row;
        else
            d.first_token += (uint32_t)x->first_row;
    }
    d.inverse = 65536.0f / (float)(65536 - HN_MIN(d.threshold, 65535));
    return d;
}

size_t hn_drop_mask_size(int64_t cols)
{
    return ((size_t)cols + 31) / 32 * 4;
}

void hn_drop_mask(const struct hn_cpu_matmul *mm, const struct hn_drop *d, int64_t t, int64_t cols,
                  unsigned char *mask)
{
    uint32_t token = d->first_token + (d->rows ? (uint32_t)d->rows[t] : (uint32_t)t);
    mm->dropout_mask(d->key, token, d->module, d->step, d->threshold, cols, mask);
}

/* ---- the operation ------------------------------------------------------------------------- */

struct job {
    const struct hn_cpu_matmul *mm;
    struct hn_drop drop;
    int64_t rows, cols;
    const float *x, *drest; /* x: forward's input, or dkept */
    float *y, *rest;        /* y: kept, or dx */
    bool add;
    float *work; /* per thread: a row, then a mask */
    size_t work_floats;
};

static size_t work_floats(int64_t width)
{
    return hn_mm_scratch_floats((size_t)width + hn_drop_mask_size(width) / sizeof(float));
}

static void forward_rows(const struct job *j, int64_t t, int64_t end, unsigned char *mask)
{
    for (; t < end; t++) {
        const float *x = j->x + t * j->cols;
        float *y = j->y + t * j->cols;
        hn_drop_mask(j->mm, &j->drop, t, j->cols, mask);
        j->mm->masked(mask, j->drop.inverse, x, j->cols, y, false);
        for (int64_t c = 0; c < j->cols && j->rest; c++)
            j->rest[t * j->cols + c] = x[c] - y[c];
    }
}

static void forward_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    float *row = j->work + (size_t)parts->thread * j->work_floats;
    int64_t t, end;
    while (hn_parts_range(parts, j->rows, 1, &t, &end))
        forward_rows(j, t, end, (unsigned char *)(row + j->cols));
}

static void backward_rows(const struct job *j, int64_t t, int64_t end, float *row)
{
    unsigned char *mask = (unsigned char *)(row + j->cols);
    for (; t < end; t++) {
        const float *drest = j->drest + t * j->cols, *dkept = j->x + t * j->cols;
        float *dx = j->y + t * j->cols;
        hn_drop_mask(j->mm, &j->drop, t, j->cols, mask);
        for (int64_t c = 0; c < j->cols; c++) {
            row[c] = dkept[c] - drest[c];
            dx[c] = j->add ? dx[c] + drest[c] : drest[c];
        }
        j->mm->masked(mask, j->drop.inverse, row, j->cols, dx, true);
    }
}

static void backward_job(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end;
    while (hn_parts_range(parts, j->rows, 1, &t, &end))
        backward_rows(j, t, end, j->work + (size_t)parts->thread * j->work_floats);
}

static void run(struct hn_device *dev, hn_pool_fn *fn, struct job *j, const struct hn_tensor *x,
                float dropout, uint32_t module)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    j->mm = dev->matmul;
    j->drop = hn_drop_open(dev, dropout, module, x);
    j->rows = x->rows;
    j->cols = x->cols;
    j->work_floats = work_floats(x->cols);
    j->work = hn_mm_scratch_take(&s, j->work_floats * (size_t)hn_pool_size(dev->pool));
    hn_pool_run(dev->pool, fn, j, hn_pool_cut(dev->pool, j->rows));
}

void hn_cpu_dropout_fwd(struct hn_device *dev, struct hn_tensor *kept, struct hn_tensor *rest,
                        const struct hn_tensor *x, float dropout, uint32_t module)
{
    struct job j = {.x = x->data, .y = kept->data, .rest = rest ? rest->data : NULL};
    HN_ASSERT(kept->rows == x->rows && kept->cols == x->cols);
    run(dev, forward_job, &j, x, dropout, module);
}

void hn_cpu_dropout_bwd(struct hn_device *dev, struct hn_tensor *dx, const struct hn_tensor *dkept,
                        const struct hn_tensor *drest, float dropout, uint32_t module, bool add)
{
    struct job j = {.x = dkept->data, .drest = drest->data, .y = dx->data, .add = add};
    HN_ASSERT(dkept->rows == dx->rows && dkept->cols == dx->cols && drest->rows == dx->rows);
    run(dev, backward_job, &j, dx, dropout, module);
}

size_t hn_drop_scratch_size(const struct hn_device *dev, int64_t width)
{
    return hn_mm_scratch_floats(work_floats(width) * (size_t)hn_pool_size(dev->pool)) *
           sizeof(float);
}
