/* Where a fresh adapter starts when it is to be mlx-lm's. */
#ifndef HN_MODEL_ADAPTER_START_H
#define HN_MODEL_ADAPTER_START_H

#include "model/model.h"

/* A as mlx_lm's linear_to_lora_layers draws it after mx.random.seed(seed), bit for bit; the adapter
 * is bound. */
HN_MUST_USE int hn_adapters_draw_mlx(struct hone_model *m, uint64_t seed, struct hone_err *err);

#endif
