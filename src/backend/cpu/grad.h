/* Gradients of trained weights: what backend.h says of linear_grad, rms_norm_grad, embed_grad and
 * head_grad. */
#ifndef HN_BACKEND_CPU_GRAD_H
#define HN_BACKEND_CPU_GRAD_H

#include "backend/cpu/matmul.h"

int hn_cpu_weight_of_tensor(struct hn_device *dev, const struct hn_tensor *t,
                            struct hn_weight **out, struct hone_err *err);
void hn_cpu_linear_grad(struct hn_device *dev, struct hn_tensor *dw, struct hn_tensor *dbias,
                        const struct hn_tensor *dy, const struct hn_tensor *x);
void hn_cpu_rms_norm_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy,
                          const struct hn_tensor *x, float eps);
void hn_cpu_embed_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *dy);
void hn_cpu_head_grad(struct hn_device *dev, struct hn_tensor *dw, const struct hn_tensor *loss,
                      const struct hn_tensor *x, const struct hn_weight *w);
/* Bytes of scratch that these need for steps within the limits. */
size_t hn_grad_scratch_size(const struct hn_device *dev, const struct hn_limits *limits);

#endif
