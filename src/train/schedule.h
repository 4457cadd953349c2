/* The length of a run, and the order of its rows. */
#ifndef HN_TRAIN_SCHEDULE_H
#define HN_TRAIN_SCHEDULE_H

#include "hone/train.h"

/* A run in numbers.  A micro-batch is batch_size rows (the last of an epoch may be smaller); a
 * window of grad_accumulation_steps micro-batches makes one optimizer step; the last window of an
 * epoch may be shorter and still updates.  mlx_lm drops the partial last micro-batch of an epoch
 * (its batch order), lets windows reach across epochs, and drops the partial last window (its step
 * rule). */
struct hn_run_length {
    int64_t rows, micro_per_epoch, steps_per_epoch;
    int64_t total_micro, total_steps;
};
void hn_run_length(const struct hone_train_options *o, int64_t rows, struct hn_run_length *out);

/* order[rows] = the rows of an epoch (from 0): as they come, or shuffled by seed and epoch. */
void hn_epoch_order(const struct hone_train_options *o, int64_t epoch, uint64_t *order,
                    int64_t rows);

#endif
