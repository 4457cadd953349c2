/* Frozen weights: views of the mapped file.  Only vectors (norms, biases) are decoded here; a
 * matrix is decoded panel by panel inside the products. */
#include "backend/cpu/cpu.h"

#include "base/mem.h"

int hn_cpu_weight_open(struct hn_device *dev, const struct hn_matrix *m, struct hn_weight **out,
                       struct hone_err *err)
{
    (void)dev;
    struct hn_weight *w = hn_calloc(1, sizeof *w);
    if (!w)
        return hn_fail_memory(err, "opening a weight");
    w->m = *m;
    if (m->rows == 1) {
        w->vector = hn_calloc((size_t)m->cols, sizeof *w->vector);
        if (!w->vector) {
            hn_free(w);
            return hn_fail_memory(err, "decoding a vector");
        }
        hn_matrix_decode(m, 0, 0, m->cols, w->vector);
    }
    *out = w;
    return 0;
}

void hn_cpu_weight_close(struct hn_device *dev, struct hn_weight **w)
{
    (void)dev;
    if (!*w)
        return;
    if (!(*w)->borrowed)
        hn_free((*w)->vector);
    hn_free((*w)->repack);
    hn_free(*w);
    *w = NULL;
}

size_t hn_cpu_weight_private_size(const struct hn_device *dev, const struct hn_matrix *m)
{
    (void)dev;
    return m->rows == 1 ? (size_t)m->cols * sizeof(float) : 0;
}
