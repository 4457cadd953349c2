/* DoRA's operations: what backend.h says of row_squares, dora_norms, dora_fwd and dora_bwd. */
#ifndef HN_BACKEND_CPU_DORA_H
#define HN_BACKEND_CPU_DORA_H

#include "backend/cpu/matmul.h"

void hn_cpu_row_squares(struct hn_device *dev, struct hn_tensor *squares,
                        const struct hn_weight *w);
void hn_cpu_dora_norms(struct hn_device *dev, struct hn_tensor *norm, struct hn_tensor *factor,
                       const struct hn_tensor *magnitude, const struct hn_tensor *squares,
                       const struct hn_weight *w, const struct hn_adapter *adapter);
void hn_cpu_dora_fwd(struct hn_device *dev, struct hn_tensor *y, const struct hn_tensor *z,
                     const struct hn_tensor *factor, const struct hn_weight *bias, bool add);
void hn_cpu_dora_bwd(struct hn_device *dev, struct hn_tensor *z, struct hn_tensor *dmagnitude,
                     const struct hn_tensor *dy, const struct hn_tensor *factor,
                     const struct hn_tensor *norm);
/* Bytes of scratch that these need, for linears of at most this width and rank. */
size_t hn_dora_scratch_size(const struct hn_device *dev, int64_t width, int64_t rank);

#endif
