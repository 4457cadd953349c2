/* The cache of keys and values. */
#include "backend/cpu/vector.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

size_t hn_cpu_kv_size(const struct hn_device *dev, const struct hn_kv_shape *s)
{
    const int64_t factors[] = {s->n_layers, s->n_slots, s->context, s->n_heads};
    int64_t n = -1;
    (void)dev;
    if (s->head_size >= 0 && s->head_size <= INT32_MAX)
        n = 2 * hn_cpu_kv_row_size(s->type, s->head_size);
    for (size_t i = 0; i < HN_COUNT(factors); i++)
        if (n < 0 || factors[i] < 0 || hn_mul_overflows(n, factors[i], &n))
            return SIZE_MAX;
    return (size_t)n;
}

int hn_cpu_kv_open(struct hn_device *dev, const struct hn_kv_shape *shape, struct hn_kv **out,
                   struct hone_err *err)
{
    size_t size = hn_cpu_kv_size(dev, shape);
    struct hn_kv *kv = hn_calloc(1, sizeof *kv);
    unsigned char *data = size < SIZE_MAX ? hn_alloc_aligned(size) : NULL;
    if (!kv || !data) {
        hn_free(kv);
        hn_free(data);
        return hn_fail(err, HONE_NO_MEMORY,
                       "out of memory for a key/value cache of %" PRId64 " slots of %" PRId64
                       " tokens in %" PRId64 " layers: ask for fewer slots or a shorter context",
                       shape->n_slots, shape->context, shape->n_layers);
    }
    *kv = (struct hn_kv){*shape, data};
    *out = kv;
    return 0;
}

void hn_cpu_kv_close(struct hn_device *dev, struct hn_kv **kv)
{
    (void)dev;
    if (!*kv)
        return;
    hn_free((*kv)->data);
    hn_free(*kv);
    *kv = NULL;
}

unsigned char *hn_cpu_kv_head(const struct hn_kv *kv, int64_t layer, int64_t slot, int which,
                              int64_t head)
{
    const struct hn_kv_shape *s = &kv->shape;
    int64_t row = ((layer * s->n_slots + slot) * 2 + which) * s->n_heads + head;
    return kv->data + row * s->context * hn_cpu_kv_row_size(s->type, s->head_size);
}

struct job {
    const struct hn_cpu_vector *vector;
    const struct hn_batch *batch;
    const struct hn_kv *kv;
    const float *k, *v;
    int64_t layer;
};

/* A block of a row to bytes; returns its scale. */
static float put_block(int8_t *to, const float *x, int64_t n)
{
    int32_t q[HN_KV_BLOCK];
    float scale = hn_cpu_round_block(q, x, n, INT8_MAX);
    for (int64_t i = 0; i < n; i++)
        to[i] = (int8_t)q[i];
    return scale;
}

/* One token's keys or values of a head. */
static void put_row(const struct job *j, unsigned char *row, const float *x)
{
    const struct hn_kv_shape *s = &j->kv->shape;
    float *wide = (float *)(void *)row;
    if (s->type == HN_KV_F16)
        j->vector->narrow((uint16_t *)(void *)row, x, s->head_size);
    else if (s->type == HN_KV_F32)
        memcpy(row, x, (size_t)s->head_size * sizeof *x);
    for (int64_t i = 0; i < s->head_size && s->type == HN_KV_Q8_0; i += HN_KV_BLOCK)
        wide[i / HN_KV_BLOCK] = put_block((int8_t *)row + hn_cpu_kv_codes(s->head_size) + i, x + i,
                                          HN_MIN(HN_KV_BLOCK, s->head_size - i));
}

static void append_tokens(const struct job *j, int64_t t, int64_t end)
{
    const struct hn_batch *batch = j->batch;
    const struct hn_kv_shape *s = &j->kv->shape;
    int64_t b = 0, size = hn_cpu_kv_row_size(s->type, s->head_size);
    for (; t < end; t++) {
        while (t >= batch->offsets[b + 1])
            b++;
        int64_t at = (batch->past[b] + t - batch->offsets[b]) * size;
        for (int64_t h = 0; h < s->n_heads; h++) {
            int64_t from = (t * s->n_heads + h) * s->head_size;
            put_row(j, hn_cpu_kv_head(j->kv, j->layer, batch->slots[b], 0, h) + at, j->k + from);
            put_row(j, hn_cpu_kv_head(j->kv, j->layer, batch->slots[b], 1, h) + at, j->v + from);
        }
    }
}

static void append_part(void *arg, struct hn_parts *parts)
{
    const struct job *j = arg;
    int64_t t, end;
    while (hn_parts_range(parts, j->batch->n_tokens, 1, &t, &end))
        append_tokens(j, t, end);
}

void hn_cpu_kv_append(struct hn_device *dev, struct hn_kv *kv, int64_t layer,
                      const struct hn_tensor *k, const struct hn_tensor *v)
{
    const struct hn_batch *batch = dev->batch;
    const struct hn_kv_shape *s = &kv->shape;
    const int64_t width = s->n_heads * s->head_size;
    HN_ASSERT(batch->slots && batch->past && layer >= 0 && layer < s->n_layers);
    HN_ASSERT(k->cols == width && v->cols == width);
    for (int64_t b = 0; b < batch->n_seqs; b++) {
        int64_t n = batch->offsets[b + 1] - batch->offsets[b];
        HN_ASSERT(batch->slots[b] >= 0 && batch->slots[b] < s->n_slots);
        HN_ASSERT(batch->past[b] >= 0 && batch->past[b] + n <= s->context);
    }
    struct job j = {dev->vector, batch, kv, k->data, v->data, layer};
    hn_cpu_run(dev, append_part, &j, batch->n_tokens * width * 2);
}
