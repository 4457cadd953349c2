#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *hn_calloc(size_t n, size_t size)
{
    size_t total;
    if (hn_mul_overflows(n, size, &total))
        return NULL;
    return calloc(total ? total : 1, 1);
}

void *hn_realloc(void *p, size_t n, size_t size)
{
    size_t total;
    if (hn_mul_overflows(n, size, &total))
        return NULL;
    return realloc(p, total ? total : 1);
}

void *hn_alloc_aligned(size_t size)
{
    if (size > SIZE_MAX - 64)
        return NULL;
    return aligned_alloc(64, (size + 64) / 64 * 64);
}

char *hn_dup(const void *p, size_t n)
{
    char *copy = n < SIZE_MAX ? hn_calloc(n + 1, 1) : NULL;
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

void hn_free(void *p)
{
    free(p);
}

int hn_grow(void **items, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return 0;
    size_t want = *cap ? *cap : 8;
    while (want < need)
        if (hn_mul_overflows(want, (size_t)2, &want))
            return -1;
    void *p = hn_realloc(*items, want, size);
    if (!p)
        return -1;
    *items = p;
    *cap = want;
    return 0;
}
