/* Rotary positions.  Cosines and sines of a batch are worked out once, by the first rope of the
 * step, and serve every layer after it. */
#include "backend/cpu/vector.h"

#include <math.h>

struct job {
    const struct hn_device *dev;
    const struct hn_rope *rope;
    float *x;
    int64_t rows, n_heads;
    bool back;
};

/* [T, 2, n_freqs]: cosines, then sines.  The angle is the float32 product, as transformers has it
 * (far positions would differ visibly otherwise); its cosine is taken in double. */
static void table_row(const struct job *j, int64_t t)
{
    const struct hn_rope *rope = j->rope;
    int64_t n = rope->n_freqs;
    float *row = j->dev->rope.table + t * 2 * n, p = (float)j->dev->batch->positions[t];
    for (int64_t i = 0; i < n; i++) {
        double angle = p * rope->inv_freq[i];
        row[i] = (float)cos(angle) * rope->magnitude;
        row[n + i] = (float)sin(angle) * rope->magnitude;
    }
}

static void table_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end;
    while (hn_parts_range(parts, j->rows, 1, &t, &end))
        for (; t < end; t++)
            table_row(j, t);
}

static void rotate_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end, n = j->rope->n_freqs, hd = j->rope->head_size;
    while (hn_parts_range(parts, j->rows, 1, &t, &end))
        for (; t < end; t++) {
            const float *row = j->dev->rope.table + t * 2 * n;
            j->dev->vector->rope(j->x + t * j->n_heads * hd, row, row + n, j->n_heads, hd, n,
                                 j->back);
        }
}

static void rotate(struct hn_device *dev, struct hn_tensor *x, const struct hn_rope *rope,
                   bool back)
{
    struct job j = {.dev = dev,
                    .rope = rope,
                    .x = x->data,
                    .rows = x->rows,
                    .n_heads = x->cols / rope->head_size,
                    .back = back};
    struct hn_cpu_rope_table *r = &dev->rope;
    HN_ASSERT(x->rows == dev->batch->n_tokens && x->cols % rope->head_size == 0);
    HN_ASSERT(2 * rope->n_freqs <= rope->head_size && 2 * rope->n_freqs * x->rows <= r->n_max);
    if (!r->valid || r->inv_freq != rope->inv_freq || r->n_freqs != rope->n_freqs ||
        r->magnitude != rope->magnitude) {
        hn_cpu_run(dev, table_part, &j, x->rows * rope->n_freqs * 64);
        r->valid = true;
        r->inv_freq = rope->inv_freq;
        r->n_freqs = rope->n_freqs;
        r->magnitude = rope->magnitude;
    }
    hn_cpu_run(dev, rotate_part, &j, x->rows * x->cols * 2);
}

void hn_cpu_rope_fwd(struct hn_device *dev, struct hn_tensor *x, const struct hn_rope *rope)
{
    rotate(dev, x, rope, false);
}

void hn_cpu_rope_bwd(struct hn_device *dev, struct hn_tensor *dx, const struct hn_rope *rope)
{
    rotate(dev, dx, rope, true);
}
