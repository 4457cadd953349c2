/* The length of a run, and the learning rate of each of its steps. */
#ifndef HN_TRAIN_SCHEDULE_H
#define HN_TRAIN_SCHEDULE_H

#include "hone/train.h"

/* A run in numbers.  A micro-batch is batch_size rows (the last of an epoch may be smaller); a
 * window of grad_accumulation_steps micro-batches makes one optimizer step; the last window of an
 * epoch may be shorter and still updates. */
struct hn_run_length {
    int64_t rows, micro_per_epoch, steps_per_epoch;
    int64_t total_micro, total_steps;
};
void hn_run_length(const struct hone_train_options *o, int64_t rows, struct hn_run_length *out);

/* The rate of step (from 0: updates done before it), as transformers' get_scheduler: linear warm-up
 * from 0, then constant, linear to 0, or a half cosine to 0. */
double hn_learning_rate(const struct hone_train_options *o, int64_t step, int64_t total_steps);

/* order[rows] = the rows of an epoch (from 0): as they come, or shuffled by seed and epoch. */
void hn_epoch_order(const struct hone_train_options *o, int64_t epoch, uint64_t *order,
                    int64_t rows);

#endif
