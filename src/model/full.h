/* Full fine-tuning: the weights themselves are the parameters.  A trained weight has a float32 copy
 * in the adapter set's arena, which the model's operations read in its place; the files stay as
 * they are.  Trained are all weights, or those of the last N blocks. */
#ifndef HN_MODEL_FULL_H
#define HN_MODEL_FULL_H

#include "model/model.h"

/* Make the copies, with gradients and moments.  num_layers: the last N blocks alone; <= 0: every
 * weight, embedding and head too.  A quantised weight is an error that says what to do. */
HN_MUST_USE int hn_full_make(struct hone_model *m, int64_t num_layers, struct hone_err *err);
/* The weights of a file (f->full) in the place of the model's.  With training they are copies as
 * hn_full_make makes them, of exactly the weights that the file has; else they are read where they
 * lie, so f must outlive them. */
HN_MUST_USE int hn_full_load(struct hone_model *m, const struct hn_adapter_file *f, bool training,
                             struct hone_err *err);
/* Put the model's own weights back. */
void hn_full_release(struct hone_model *m);

/* adapters.safetensors with the trained weights under Hugging Face's names, as mlx-lm's
 * fine_tune_type full has them, and adapter_config.json. */
HN_MUST_USE int hn_full_save(const struct hone_model *m, const char *dir, const char *base_model,
                             int64_t num_layers, struct hone_err *err);

#endif
