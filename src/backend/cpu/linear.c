/* Groups of linears that share one input, with their adapters. */
#include "backend/cpu/dora.h"
#include "backend/cpu/dropout.h"
#include "backend/cpu/igemm.h"
#include "backend/cpu/lowrank.h"

/* The frozen part of a group: the outputs whose products are in integers together, the others as
 * float32. */
static void frozen(struct hn_device *dev, struct hn_mm_scratch s, const struct hn_tensor *x,
                   const struct hn_mm_out *out, int n, bool add)
{
    struct hn_mm_out integer[HN_LINEAR_MAX], other[HN_LINEAR_MAX];
    int n_integer = 0, n_other = 0, most = 0;
    for (int i = 0; i < n; i++) {
        int m = hn_im_most(dev, out[i].w, x->rows);
        most = HN_MAX(most, m); /* the same for all of them but 0 */
        if (m)
            integer[n_integer++] = out[i];
        else
            other[n_other++] = out[i];
    }
    if (n_integer)
        hn_im_forward(dev, s, x->data, x->rows, x->cols, integer, n_integer, add, most);
    if (n_other)
        hn_mm_forward(dev, s, x->data, x->rows, x->cols, other, n_other, add);
}

void hn_cpu_linear_fwd(struct hn_device *dev, struct hn_tensor *const *y,
                       struct hn_tensor *const *h, const struct hn_tensor *x,
                       const struct hn_linear *lin, int n, bool add)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    struct hn_mm_out out[HN_LINEAR_MAX];
    HN_ASSERT(n > 0 && n <= HN_LINEAR_MAX);
    for (int i = 0; i < n; i++) {
        HN_ASSERT(lin[i].w->m.cols == x->cols && lin[i].w->m.rows == y[i]->cols);
        out[i] =
            (struct hn_mm_out){&lin[i].w->m, lin[i].bias ? lin[i].bias->vector : NULL, y[i]->data};
    }
    frozen(dev, s, x, out, n, add);
    for (int i = 0; i < n; i++) {
        const struct hn_adapter *ad = lin[i].adapter;
        if (!ad)
            continue;
        struct hn_mm_scratch rest = s;
        float *down =
            h && h[i] ? h[i]->data : hn_mm_scratch_take(&rest, (size_t)(x->rows * ad->a->rows));
        hn_lowrank_down(dev, rest, down, x, ad);
        hn_lowrank_up(dev, rest, y[i]->data, down, x->rows, ad);
    }
}

void hn_cpu_linear_bwd(struct hn_device *dev, struct hn_tensor *dx,
                       const struct hn_tensor *const *dy, const struct hn_tensor *x,
                       const struct hn_tensor *const *h, const struct hn_linear *lin, int n)
{
    struct hn_mm_scratch s = hn_mm_scratch_open(dev);
    struct hn_mm_in in[HN_LINEAR_MAX];
    HN_ASSERT(n > 0 && n <= HN_LINEAR_MAX);
    for (int i = 0; i < n; i++)
        in[i] = (struct hn_mm_in){&lin[i].w->m, dy[i]->data};
    if (dx)
        hn_mm_backward(dev, s, dx->data, dx->rows, dx->cols, in, n, false);
    for (int i = 0; i < n; i++) {
        const struct hn_adapter *ad = lin[i].adapter;
        if (!ad)
            continue;
        struct hn_mm_scratch rest = s;
        const float *down = h && h[i] ? h[i]->data : NULL;
        if (!down && ad->db) {
            float *again = hn_mm_scratch_take(&rest, (size_t)(x->rows * ad->a->rows));
            hn_lowrank_down(dev, rest, again, x, ad);
            down = again;
        }
        hn_lowrank_bwd(dev, rest, dx ? dx->data : NULL, dy[i]->data, x, down, ad);
    }
}

size_t hn_cpu_linear_scratch_size(const struct hn_device *dev, const struct hn_limits *limits)
{
    int64_t tokens = HN_MAX(limits->max_tokens, limits->max_rows);
    int64_t width = HN_MAX(limits->max_width, limits->d_model);
    size_t size = hn_mm_scratch_needed(dev, tokens, width) * sizeof(float);
    if (!limits->training)
        size = HN_MAX(size, hn_im_scratch_needed(dev, tokens, width) * sizeof(float));
    if (limits->max_rank > 0) {
        size_t h = hn_mm_scratch_floats((size_t)(tokens * limits->max_rank)) * sizeof(float);
        size_t lowrank = hn_lowrank_scratch_size(dev, tokens, width, limits->max_rank);
        size = HN_MAX(size, h + lowrank);
        size = HN_MAX(size, hn_dora_scratch_size(dev, width, limits->max_rank));
        size = HN_MAX(size, hn_drop_scratch_size(dev, width));
    }
    return HN_MAX(size, hn_cpu_head_scratch_size(dev, limits));
}
