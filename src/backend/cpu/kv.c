/* The cache of keys and values. */
#include "backend/cpu/vector.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

/* Elements of the whole cache, or -1 when they cannot be counted. */
static int64_t elements(int64_t n_layers, int64_t n_slots, int64_t context, int64_t width)
{
    int64_t n = 2;
    if (n_layers < 0 || n_slots < 0 || context < 0 || width < 0 ||
        hn_mul_overflows(n, n_layers, &n) || hn_mul_overflows(n, n_slots, &n) ||
        hn_mul_overflows(n, context, &n) || hn_mul_overflows(n, width, &n) ||
        n > INT64_MAX / (int64_t)sizeof(float))
        return -1;
    return n;
}

size_t hn_cpu_kv_size(const struct hn_device *dev, int64_t n_layers, int64_t n_slots,
                      int64_t context, int64_t width, enum hn_dtype type)
{
    int64_t n = elements(n_layers, n_slots, context, width);
    (void)dev;
    return n < 0 ? SIZE_MAX : (size_t)n * hn_dtype_size(type);
}

int hn_cpu_kv_open(struct hn_device *dev, int64_t n_layers, int64_t n_slots, int64_t context,
                   int64_t width, enum hn_dtype type, struct hn_kv **out, struct hone_err *err)
{
    size_t size = hn_cpu_kv_size(dev, n_layers, n_slots, context, width, type);
    struct hn_kv *kv = hn_calloc(1, sizeof *kv);
    HN_ASSERT(type == HN_F32 || type == HN_F16);
    unsigned char *data = size < SIZE_MAX ? hn_alloc_aligned(size) : NULL;
    if (!kv || !data) {
        hn_free(kv);
        hn_free(data);
        return hn_fail(err, HONE_NO_MEMORY,
                       "out of memory for a key/value cache of %" PRId64 " slots of %" PRId64
                       " tokens in %" PRId64 " layers: ask for fewer slots or a shorter context",
                       n_slots, context, n_layers);
    }
    *kv = (struct hn_kv){data, n_layers, n_slots, context, width, type};
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

void *hn_cpu_kv_head(const struct hn_kv *kv, int64_t layer, int64_t slot, int which, int64_t head,
                     int64_t head_size)
{
    int64_t plane = (layer * kv->n_slots + slot) * 2 + which;
    int64_t at = plane * kv->context * kv->width + head * kv->context * head_size;
    return kv->data + (size_t)at * hn_dtype_size(kv->type);
}

struct job {
    const struct hn_cpu_vector *vector;
    const struct hn_batch *batch;
    const struct hn_kv *kv;
    const float *k, *v;
    int64_t layer, head_size;
};

/* One token's keys or values of a head, element at of those of its slot. */
static void put(const struct job *j, void *head, int64_t at, const float *x)
{
    int64_t n = j->head_size;
    if (j->kv->type == HN_F16)
        j->vector->narrow((uint16_t *)head + at, x, n);
    else
        memcpy((float *)head + at, x, (size_t)n * sizeof *x);
}

static void append_tokens(const struct job *j, int64_t t, int64_t end)
{
    const struct hn_batch *batch = j->batch;
    const struct hn_kv *kv = j->kv;
    int64_t b = 0, hd = j->head_size;
    for (; t < end; t++) {
        while (t >= batch->offsets[b + 1])
            b++;
        int64_t at = (batch->past[b] + t - batch->offsets[b]) * hd;
        for (int64_t h = 0; h * hd < kv->width; h++) {
            int64_t from = t * kv->width + h * hd;
            put(j, hn_cpu_kv_head(kv, j->layer, batch->slots[b], 0, h, hd), at, j->k + from);
            put(j, hn_cpu_kv_head(kv, j->layer, batch->slots[b], 1, h, hd), at, j->v + from);
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
                      const struct hn_tensor *k, const struct hn_tensor *v, int64_t head_size)
{
    const struct hn_batch *batch = dev->batch;
    HN_ASSERT(batch->slots && batch->past && layer >= 0 && layer < kv->n_layers);
    HN_ASSERT(k->cols == kv->width && v->cols == kv->width && kv->width % head_size == 0);
    for (int64_t b = 0; b < batch->n_seqs; b++) {
        int64_t n = batch->offsets[b + 1] - batch->offsets[b];
        HN_ASSERT(batch->slots[b] >= 0 && batch->slots[b] < kv->n_slots);
        HN_ASSERT(batch->past[b] >= 0 && batch->past[b] + n <= kv->context);
    }
    struct job j = {dev->vector, batch, kv, k->data, v->data, layer, head_size};
    hn_cpu_run(dev, append_part, &j, batch->n_tokens * kv->width * 2);
}
