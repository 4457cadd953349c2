/* The low-rank half of a linear: small products of depth or width R, with dropout on the input.
 * Dropout's bits are made again wherever they are needed; nothing of [T, in] is kept. */
#ifndef HN_BACKEND_CPU_LOWRANK_H
#define HN_BACKEND_CPU_LOWRANK_H

#include "backend/cpu/matmul.h"

/* h [T, R] = drop(x) A^T */
void hn_lowrank_down(struct hn_device *dev, struct hn_mm_scratch s, float *h,
                     const struct hn_tensor *x, const struct hn_adapter *ad);
/* y [T, out] += scale h B^T */
void hn_lowrank_up(struct hn_device *dev, struct hn_mm_scratch s, float *y, const float *h,
                   int64_t n_tokens, const struct hn_adapter *ad);
/* dx [T, in] += drop'(scale (dy B) A) when dx is not NULL; da += scale (dy B)^T drop(x) and
 * db += scale dy^T h when the adapter has gradients. */
void hn_lowrank_bwd(struct hn_device *dev, struct hn_mm_scratch s, float *dx, const float *dy,
                    const struct hn_tensor *x, const float *h, const struct hn_adapter *ad);
/* Bytes of scratch that any of these needs. */
size_t hn_lowrank_scratch_size(const struct hn_device *dev, int64_t n_tokens, int64_t width,
                               int64_t rank);

#endif
