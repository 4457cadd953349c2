/* The learning rate of every step: transformers' get_scheduler and mlx_lm's lr_schedule, with their
 * arguments by their own names ("num_cycles=2"). */
#ifndef HN_TRAIN_RATE_H
#define HN_TRAIN_RATE_H

#include "hone/train.h"
#include "base/err.h"

/* Arguments of schedules; which schedule takes which, and the defaults, are in rate.c. */
enum hn_rate_value {
    HN_RATE_NUM_CYCLES,
    HN_RATE_POWER,
    HN_RATE_LR_END,
    HN_RATE_TIMESCALE,
    HN_RATE_MIN_LR,
    HN_RATE_MIN_LR_RATE,
    HN_RATE_WARMUP_LR_RATE,
    HN_RATE_NUM_DECAY_STEPS,
    HN_RATE_NUM_STABLE_STEPS,
    HN_RATE_MIN_LR_RATIO,
    HN_RATE_WARMUP_TYPE,
    HN_RATE_DECAY_TYPE,
    HN_RATE_FACTOR,
    HN_RATE_PATIENCE,
    HN_RATE_THRESHOLD,
    HN_RATE_THRESHOLD_MODE,
    HN_RATE_COOLDOWN,
    HN_RATE_EPS,
    HN_RATE_INIT,
    HN_RATE_DECAY_RATE,
    HN_RATE_STEP_SIZE,
    HN_RATE_DECAY_STEPS,
    HN_RATE_END,
    HN_RATE_STEPS,
    HN_RATE_WARMUP_INIT,
    HN_RATE_VALUES
};

struct hn_rate {
    enum hone_schedule type;
    double peak; /* learning_rate */
    double warmup, total;
    double value[HN_RATE_VALUES]; /* NAN: not given, and no default */
};

/* What reduce_lr_on_plateau has come to. */
struct hn_plateau {
    double rate, best;
    int64_t bad, cooldown;
};

/* Check and take the options; total: optimizer steps of the run. */
HN_MUST_USE int hn_rate_init(struct hn_rate *r, const struct hone_train_options *o, int64_t total,
                             struct hone_err *err);
/* The rate of step (from 0: updates done before it).  reduce_lr_on_plateau: the peak. */
double hn_rate_at(const struct hn_rate *r, int64_t step);

/* torch's ReduceLROnPlateau: its start, and what it does after a validation. */
void hn_plateau_init(const struct hn_rate *r, struct hn_plateau *p);
void hn_plateau_step(const struct hn_rate *r, struct hn_plateau *p, double loss);

#endif
