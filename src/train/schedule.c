#include "train/schedule.h"
#include "base/rng.h"

#include <math.h>

enum { STREAM_ORDER = 0x4f524445 }; /* apart from the streams of dropout and adapter starts */

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t steps_of(const struct hn_run_length *r, int64_t micro, int64_t accumulation)
{
    int64_t epochs = micro / r->micro_per_epoch, rest = micro % r->micro_per_epoch;
    return epochs * r->steps_per_epoch + ceil_div(rest, accumulation);
}

static int64_t micro_of(const struct hn_run_length *r, int64_t steps, int64_t accumulation)
{
    int64_t epochs = steps / r->steps_per_epoch, rest = steps % r->steps_per_epoch;
    return epochs * r->micro_per_epoch + HN_MIN(rest * accumulation, r->micro_per_epoch);
}

static int64_t part_of(double epochs, int64_t n)
{
    return HN_MAX(1, (int64_t)ceil(epochs * (double)n - 1e-9));
}

/* Part of an epoch is so many whole steps, as in transformers' Trainer; mlx_lm's rule knows
 * micro-batches alone. */
static int64_t micro_of_epochs(const struct hone_train_options *o, const struct hn_run_length *r)
{
    if (o->step_rule == HONE_STEPS_MLX)
        return part_of(o->num_epochs, r->micro_per_epoch);
    return micro_of(r, part_of(o->num_epochs, r->steps_per_epoch), o->grad_accumulation_steps);
}

void hn_run_length(const struct hone_train_options *o, int64_t rows, struct hn_run_length *out)
{
    int64_t accumulation = o->grad_accumulation_steps;
    struct hn_run_length r = {.rows = rows};
    r.micro_per_epoch = ceil_div(rows, o->batch_size);
    if (o->batch_order == HONE_ORDER_MLX)
        r.micro_per_epoch = HN_MAX(1, rows / o->batch_size);
    r.steps_per_epoch = ceil_div(r.micro_per_epoch, accumulation);
    if (o->max_steps > 0)
        r.total_micro = micro_of(&r, o->max_steps, accumulation);
    else if (o->iters > 0)
        r.total_micro = o->iters;
    else
        r.total_micro = micro_of_epochs(o, &r);
    r.total_steps = o->max_steps > 0 ? o->max_steps : steps_of(&r, r.total_micro, accumulation);
    if (o->step_rule == HONE_STEPS_MLX) {
        r.total_micro = o->max_steps > 0 ? o->max_steps * accumulation : r.total_micro;
        r.total_steps = r.total_micro / accumulation;
    }
    *out = r;
}

void hn_epoch_order(const struct hone_train_options *o, int64_t epoch, uint64_t *order,
                    int64_t rows)
{
    struct hn_rng rng;
    for (int64_t i = 0; i < rows; i++)
        order[i] = (uint64_t)i;
    if (!o->shuffle)
        return;
    hn_rng_init(&rng, o->seed, STREAM_ORDER);
    rng.counter[2] = (uint32_t)epoch;
    hn_rng_permutation(&rng, order, (uint64_t)rows);
}
