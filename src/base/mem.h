/* The only door to the heap.  Every size is checked for overflow; every call may return NULL. */
#ifndef HN_BASE_MEM_H
#define HN_BASE_MEM_H

#include "base/compiler.h"

/* n elements of size bytes, zeroed; NULL when out of memory or when n * size overflows.
 * n = 0 gives a unique pointer that hn_free takes. */
HN_MUST_USE void *hn_calloc(size_t n, size_t size);

/* Resize p (NULL: allocate) to n elements of size bytes; on failure NULL, and p is untouched. */
HN_MUST_USE void *hn_realloc(void *p, size_t n, size_t size);

/* size bytes, 64-byte aligned, not zeroed; freed by hn_free. */
HN_MUST_USE void *hn_alloc_aligned(size_t size);

/* A copy of n bytes, ended by a NUL. */
HN_MUST_USE char *hn_dup(const void *p, size_t n);

void hn_free(void *p);

/* Grow an array to hold at least need elements, doubling; 0, or -1 when out of memory (then nothing
 * has changed).  *items is the array, *cap its capacity in elements. */
HN_MUST_USE int hn_grow(void **items, size_t *cap, size_t need, size_t size);

#endif
