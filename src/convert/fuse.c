/* hone_fuse: the converter with an adapter's product added to the rows that have one.  The model
 * was opened with the adapter, so every module of it is known to fit. */
#include "hone/fuse.h"
#include "base/err.h"
#include "base/mem.h"
#include "convert/convert_run.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 16 };

struct fuse {
    const struct hn_adapter_module **sorted; /* [n] by path */
    size_t n;
};

static int by_path(const void *a, const void *b)
{
    const struct hn_adapter_module *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static const struct hn_adapter_module *find(const struct fuse *f, const char *path)
{
    const struct hn_adapter_module key = {.path = path}, *at = &key;
    const struct hn_adapter_module **found =
        bsearch(&at, f->sorted, f->n, sizeof *f->sorted, by_path);
    return found ? *found : NULL;
}

static bool changes(void *arg, const char *module)
{
    return find(arg, module) != NULL;
}

/* DoRA: the row gets the length that was trained. */
static void set_length(float *w, int64_t cols, float length)
{
    double sum = 0;
    for (int64_t i = 0; i < cols; i++)
        sum += (double)w[i] * (double)w[i];
    float factor = sum > 0 ? (float)((double)length / sqrt(sum)) : 0;
    for (int64_t i = 0; i < cols; i++)
        w[i] *= factor;
}

/* w[cols] += scale * b[R] A[R, cols]: sums over the ranks in their order, in strips that stay in
 * registers; the product is rounded once before it is added, as PEFT's merge does it. */
static void apply(void *arg, const char *module, int64_t row, int64_t cols, float *w)
{
    const struct hn_adapter_module *m = find(arg, module);
    const float *b = m->b + row * m->rank;
    float scale = (float)m->scale;
    int64_t at = 0;
    for (; at + STRIP <= cols; at += STRIP) {
        float sum[STRIP] = {0};
        for (int64_t r = 0; r < m->rank; r++)
            for (int i = 0; i < STRIP; i++)
                sum[i] += b[r] * m->a[r * cols + at + i];
        for (int i = 0; i < STRIP; i++)
            w[at + i] += scale * sum[i];
    }
    for (; at < cols; at++) {
        float sum = 0;
        for (int64_t r = 0; r < m->rank; r++)
            sum += b[r] * m->a[r * cols + at];
        w[at] += scale * sum;
    }
    if (m->magnitude)
        set_length(w, cols, m->magnitude[row]);
}

/* ---- full fine-tuning: the trained weights take the place of the base's ---------------------- */

static bool has_weight(void *arg, const char *name)
{
    return hn_st_find(&((const struct hn_adapter_file *)arg)->weights, name) != NULL;
}

static void take_row(void *arg, const char *name, int64_t row, int64_t cols, float *w)
{
    const struct hn_st_tensor *t =
        hn_st_find(&((const struct hn_adapter_file *)arg)->weights, name);
    for (int64_t i = 0; i < cols; i++)
        w[i] = hn_dtype_load(t->dtype, t->data, (size_t)(row * cols + i));
}

static int fuse_full(const struct hone_model *model, struct hone_convert_options *o,
                     hone_convert_fn *on_progress, void *arg, size_t *n_fused,
                     struct hone_convert_report *report, struct hone_err *err)
{
    const struct hn_adapter_file *f = &model->adapter_file;
    const struct hn_convert_patch patch = {(void *)(uintptr_t)f, has_weight, take_row, true};
    o->model = model->files.path;
    int rc = hn_convert_run(o, &patch, on_progress, arg, report, err);
    if (!rc && n_fused)
        for (size_t i = *n_fused = 0; i < f->weights.n; i++)
            *n_fused += f->weights.tensors[i].n_dims == 2;
    return rc;
}

int hone_fuse(const struct hone_model *model, const struct hone_convert_options *o,
              hone_convert_fn *on_progress, void *arg, size_t *n_fused,
              struct hone_convert_report *report, struct hone_err *err)
{
    const struct hn_adapter_file *file = &model->adapter_file;
    struct hone_convert_options with = *o;
    struct fuse f = {.n = file->n};
    if (file->full)
        return fuse_full(model, &with, on_progress, arg, n_fused, report, err);
    if (!file->n)
        return hn_fail(err, HONE_USAGE, "%s has no adapter that could be fused into it",
                       model->files.path);
    f.sorted = hn_calloc(f.n, sizeof *f.sorted);
    if (!f.sorted)
        return hn_fail_memory(err, "fusing an adapter");
    for (size_t i = 0; i < f.n; i++)
        f.sorted[i] = &file->modules[i];
    qsort(f.sorted, f.n, sizeof *f.sorted, by_path);
    with.model = model->files.path;
    const struct hn_convert_patch patch = {&f, changes, apply, false};
    int rc = hn_convert_run(&with, &patch, on_progress, arg, report, err);
    if (!rc && n_fused)
        *n_fused = f.n;
    hn_free(f.sorted);
    return rc;
}
