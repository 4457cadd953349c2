/* The distribution of row lengths in bounded memory: exact to 64 Ki tokens, then to 1 in 256. */
#ifndef HN_DATA_LENGTHS_H
#define HN_DATA_LENGTHS_H

#include "base/compiler.h"

struct hn_lengths {
    uint64_t *counts; /* [size] */
    size_t size;
    uint64_t n, sum, min, max;
};
/* times: how often, negative to take back (min and max stay).  -1: out of memory. */
HN_MUST_USE int hn_lengths_add(struct hn_lengths *l, uint64_t length, int times);
/* The smallest length that at least this fraction of the rows does not exceed; 0 without rows. */
uint64_t hn_lengths_quantile(const struct hn_lengths *l, double fraction);
void hn_lengths_release(struct hn_lengths *l);

#endif
