/* Dropout's bits in one operation of a step; struct hn_adapter says which they are.  They are made
 * again wherever they are needed. */
#ifndef HN_BACKEND_CPU_DROPOUT_H
#define HN_BACKEND_CPU_DROPOUT_H

#include "backend/cpu/matmul.h"

struct hn_drop {
    uint32_t key[2], module, step, first_token, threshold; /* threshold 0: nothing is dropped */
    const int32_t *rows; /* tokens of the batch that rows stand for; NULL: one after the other */
    float inverse;       /* 1/(1-p) */
};

/* For the rows of x. */
struct hn_drop hn_drop_open(const struct hn_device *dev, float dropout, uint32_t module,
                            const struct hn_tensor *x);
/* Bytes of one token's mask, in whole floats. */
size_t hn_drop_mask_size(int64_t cols);
/* The mask of the t-th of those rows. */
void hn_drop_mask(const struct hn_cpu_matmul *mm, const struct hn_drop *d, int64_t t, int64_t cols,
                  unsigned char *mask);

/* Bytes of scratch that dropout_fwd and dropout_bwd need. */
size_t hn_drop_scratch_size(const struct hn_device *dev, int64_t width);

#endif
