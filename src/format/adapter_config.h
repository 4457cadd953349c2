/* The one adapter_config.json that mlx-lm and PEFT both read. */
#ifndef HN_FORMAT_ADAPTER_CONFIG_H
#define HN_FORMAT_ADAPTER_CONFIG_H

#include "format/adapter.h"

/* What the modules have in common. */
struct hn_adapter_plan {
    int64_t rank;         /* the largest: mlx-lm's */
    double scale;         /* the most common: mlx-lm's */
    int64_t peft_rank;    /* r: the most common */
    double peft_alpha;    /* lora_alpha: of the modules with that rank and scale */
    int64_t n_blocks;     /* the last N that hold all modules: mlx-lm's num_layers */
    int64_t model_layers; /* L, or the most that is known of it */
    bool regular; /* every name occurs in every one of these blocks, and in no other place */
};
HN_MUST_USE int hn_adapter_plan(const struct hn_adapter_spec *spec, struct hn_adapter_plan *plan,
                                struct hone_err *err);

HN_MUST_USE int hn_adapter_write_config(const char *path, const struct hn_adapter_spec *spec,
                                        const struct hn_adapter_plan *plan, struct hone_err *err);

#endif
