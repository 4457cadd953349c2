#include "data/lengths.h"
#include "base/mem.h"

enum { EXACT = 1 << 16, STEP = 1 << 8, MAX_BUCKETS = EXACT + (1 << 18) };

static size_t bucket_of(uint64_t length)
{
    if (length < EXACT)
        return (size_t)length;
    return (size_t)HN_MIN(EXACT + (length - EXACT) / STEP, (uint64_t)MAX_BUCKETS - 1);
}

int hn_lengths_add(struct hn_lengths *l, uint64_t length, int times)
{
    size_t b = bucket_of(length), old = l->size;
    if (hn_grow((void **)&l->counts, &l->size, b + 1, sizeof *l->counts))
        return -1;
    for (size_t i = old; i < l->size; i++)
        l->counts[i] = 0;
    l->min = l->n ? HN_MIN(l->min, length) : length;
    l->max = HN_MAX(l->max, length);
    l->counts[b] += (uint64_t)(int64_t)times;
    l->n += (uint64_t)(int64_t)times;
    l->sum += (uint64_t)(int64_t)times * length;
    return 0;
}

uint64_t hn_lengths_quantile(const struct hn_lengths *l, double fraction)
{
    uint64_t seen = 0;
    for (size_t b = 0; b < l->size; b++) {
        seen += l->counts[b];
        if (l->n && (double)seen >= fraction * (double)l->n && seen)
            return b < EXACT ? b : HN_MIN(EXACT + (uint64_t)(b - EXACT) * STEP, l->max);
    }
    return l->max;
}

void hn_lengths_release(struct hn_lengths *l)
{
    hn_free(l->counts);
    *l = (struct hn_lengths){0};
}
