/* Checkpoints: adapter_path/checkpoints/NNNNNNN/ (the optimizer step), each an adapter directory
 * with a state.safetensors beside it that holds parameters, moments and progress.  A checkpoint is
 * written under another name and renamed when it is whole, so what has its name is complete. */
#ifndef HN_TRAIN_CHECKPOINT_H
#define HN_TRAIN_CHECKPOINT_H

#include "hone/train.h"
#include "model/model.h"
#include "train/progress.h"

/* What a resumed run must share with the run it goes on from; compared by name and value. */
struct hn_run_identity {
    int64_t rows, data_tokens, trained_tokens, trainable;
};

struct hn_checkpoint {
    struct hone_model *model;
    const struct hone_train_options *options;
    struct hn_run_identity identity;
    const char *base_model; /* as adapter_config.json will name it */
};

/* Write dir/checkpoints/STEP; path (freed with hn_free) is where. */
HN_MUST_USE int hn_checkpoint_save(const struct hn_checkpoint *c, const struct hn_progress *p,
                                   char **path, struct hone_err *err);
/* Load the newest checkpoint that is whole into the model; HONE_NOT_FOUND when there is none.  A
 * setting that would make the run another run is an error that names it. */
HN_MUST_USE int hn_checkpoint_load(const struct hn_checkpoint *c, struct hn_progress *p,
                                   char **path, struct hone_err *err);
/* Make room for a new run: checkpoints/ of an earlier one, where it holds any, becomes
 * checkpoints-1/ or the next that is free.  to (freed with hn_free) is where, NULL when there was
 * nothing to move. */
HN_MUST_USE int hn_checkpoint_set_aside(const struct hn_checkpoint *c, char **to,
                                        struct hone_err *err);
/* Can a checkpoint be written?  Before the work that would be lost. */
HN_MUST_USE int hn_checkpoint_try(const struct hn_checkpoint *c, struct hone_err *err);
/* Take the parameters and moments of the checkpoint of this step. */
HN_MUST_USE int hn_checkpoint_take(const struct hn_checkpoint *c, int64_t step,
                                   struct hone_err *err);
/* Delete the oldest checkpoints until keep are left; the best step's is never deleted. */
HN_MUST_USE int hn_checkpoint_prune(const struct hn_checkpoint *c, int64_t keep, int64_t best_step,
                                    struct hone_err *err);

#endif
