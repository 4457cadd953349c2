#include "train/rate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "conf/value.h"

static const double pi = 3.14159265358979323846;

#define S(name) (1u << HONE_##name)
#define MLX     (S(COSINE_DECAY) | S(LINEAR_SCHEDULE) | S(EXPONENTIAL_DECAY) | S(STEP_DECAY))

enum { LINEAR_SHAPE, COSINE_SHAPE, ROOT_SHAPE };
enum { RELATIVE, ABSOLUTE };
static const char *const shapes[] = {"linear", "cosine", "1-sqrt", NULL};
static const char *const modes[] = {"rel", "abs", NULL};

/* Every argument: who takes it, what it is when it is not given (NAN: as the schedule says), what
 * it may be, and the words that it takes instead of a number. */
static const struct argument {
    const char *name;
    unsigned schedules, required;
    double def, min, max;
    const char *const *words;
} arguments[HN_RATE_VALUES] = {
    [HN_RATE_NUM_CYCLES] = {"num_cycles",
                            S(COSINE) | S(COSINE_RESTARTS) | S(COSINE_MIN_LR) |
                                S(COSINE_WARMUP_MIN_LR) | S(WARMUP_STABLE_DECAY),
                            0, NAN, 0, 1e6, NULL},
    [HN_RATE_POWER] = {"power", S(POLYNOMIAL), 0, 1, 0, 1e3, NULL},
    [HN_RATE_LR_END] = {"lr_end", S(POLYNOMIAL), 0, 1e-7, 0, 100, NULL},
    [HN_RATE_TIMESCALE] = {"timescale", S(INVERSE_SQRT), 0, NAN, 1, 1e15, NULL},
    [HN_RATE_MIN_LR] = {"min_lr", S(COSINE_MIN_LR) | S(COSINE_WARMUP_MIN_LR) | S(PLATEAU), 0, NAN,
                        0, 100, NULL},
    [HN_RATE_MIN_LR_RATE] = {"min_lr_rate", S(COSINE_MIN_LR) | S(COSINE_WARMUP_MIN_LR), 0, NAN, 0,
                             1e6, NULL},
    [HN_RATE_WARMUP_LR_RATE] = {"warmup_lr_rate", S(COSINE_WARMUP_MIN_LR), 0, NAN, 0, 1e6, NULL},
    [HN_RATE_NUM_DECAY_STEPS] = {"num_decay_steps", S(WARMUP_STABLE_DECAY), S(WARMUP_STABLE_DECAY),
                                 NAN, 0, 1e15, NULL},
    [HN_RATE_NUM_STABLE_STEPS] = {"num_stable_steps", S(WARMUP_STABLE_DECAY), 0, NAN, 0, 1e15,
                                  NULL},
    [HN_RATE_MIN_LR_RATIO] = {"min_lr_ratio", S(WARMUP_STABLE_DECAY), 0, 0, 0, 1e6, NULL},
    [HN_RATE_WARMUP_TYPE] = {"warmup_type", S(WARMUP_STABLE_DECAY), 0, LINEAR_SHAPE, 0, 0, shapes},
    [HN_RATE_DECAY_TYPE] = {"decay_type", S(WARMUP_STABLE_DECAY), 0, COSINE_SHAPE, 0, 0, shapes},
    [HN_RATE_FACTOR] = {"factor", S(PLATEAU), 0, 0.1, 0, 0.999999, NULL},
    [HN_RATE_PATIENCE] = {"patience", S(PLATEAU), 0, 10, 0, 1e15, NULL},
    [HN_RATE_THRESHOLD] = {"threshold", S(PLATEAU), 0, 1e-4, 0, 1e9, NULL},
    [HN_RATE_THRESHOLD_MODE] = {"threshold_mode", S(PLATEAU), 0, RELATIVE, 0, 0, modes},
    [HN_RATE_COOLDOWN] = {"cooldown", S(PLATEAU), 0, 0, 0, 1e15, NULL},
    [HN_RATE_EPS] = {"eps", S(PLATEAU), 0, 1e-8, 0, 100, NULL},
    [HN_RATE_INIT] = {"init", MLX, 0, NAN, 0, 100, NULL},
    [HN_RATE_DECAY_RATE] = {"decay_rate", S(EXPONENTIAL_DECAY) | S(STEP_DECAY),
                            S(EXPONENTIAL_DECAY) | S(STEP_DECAY), NAN, 0, 1e3, NULL},
    [HN_RATE_STEP_SIZE] = {"step_size", S(STEP_DECAY), S(STEP_DECAY), NAN, 1, 1e15, NULL},
    [HN_RATE_DECAY_STEPS] = {"decay_steps", S(COSINE_DECAY), S(COSINE_DECAY), NAN, 1, 1e15, NULL},
    [HN_RATE_END] = {"end", S(COSINE_DECAY) | S(LINEAR_SCHEDULE), S(LINEAR_SCHEDULE), NAN, 0, 100,
                     NULL},
    [HN_RATE_STEPS] = {"steps", S(LINEAR_SCHEDULE), S(LINEAR_SCHEDULE), NAN, 1, 1e15, NULL},
    [HN_RATE_WARMUP_INIT] = {"warmup_init", MLX, 0, 0, 0, 100, NULL},
};

/* ---- arguments --------------------------------------------------------------------------------
 */

static int unknown(const struct hn_rate *r, const char *text, size_t n, struct hone_err *err)
{
    char known[256] = "";
    size_t at = 0;
    for (int i = 0; i < HN_RATE_VALUES; i++) {
        if (arguments[i].schedules & 1u << r->type && at < sizeof known - 40)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "",
                                   arguments[i].name);
    }
    return hn_fail(err, HONE_USAGE,
                   "lr-scheduler-kwargs: \"%.*s\" is no argument of this schedule; "
                   "it takes %s",
                   (int)HN_MIN(n, (size_t)60), text, *known ? known : "none");
}

static int take(struct hn_rate *r, const char *item, struct hone_err *err)
{
    const char *equals = strchr(item, '=');
    size_t n = equals ? (size_t)(equals - item) : strlen(item), k = 0;
    while (k < HN_RATE_VALUES &&
           !(arguments[k].schedules & 1u << r->type && strlen(arguments[k].name) == n &&
             memcmp(arguments[k].name, item, n) == 0))
        k++;
    if (k == HN_RATE_VALUES)
        return unknown(r, item, n, err);
    const struct argument *a = &arguments[k];
    const char *text = equals ? equals + 1 : "";
    if (a->words) {
        for (int i = 0; a->words[i]; i++) {
            if (strcmp(text, a->words[i]) == 0) {
                r->value[k] = i;
                return 0;
            }
        }
        return hn_fail(err, HONE_USAGE, "lr-scheduler-kwargs: %s is \"%.40s\", expected %s, %s%s%s",
                       a->name, text, a->words[0], a->words[1], a->words[2] ? " or " : "",
                       a->words[2] ? a->words[2] : "");
    }
    double v;
    if (!hn_text_float(text, strlen(text), &v) || v < a->min || v > a->max)
        return hn_fail(err, HONE_USAGE,
                       "lr-scheduler-kwargs: %s is \"%.40s\", expected a number from %g to %g",
                       a->name, text, a->min, a->max);
    r->value[k] = v;
    return 0;
}

/* What a schedule needs beside its defaults, as transformers says it. */
static int complete(struct hn_rate *r, struct hone_err *err)
{
    double *v = r->value;
    for (int i = 0; i < HN_RATE_VALUES; i++) {
        if (arguments[i].required & 1u << r->type && isnan(v[i]))
            return hn_fail(err, HONE_USAGE,
                           "this learning rate schedule needs --lr-scheduler-kwargs %s=…",
                           arguments[i].name);
    }
    if (isnan(v[HN_RATE_NUM_CYCLES]))
        v[HN_RATE_NUM_CYCLES] = r->type == HONE_COSINE_RESTARTS ? 1 : 0.5;
    if (isnan(v[HN_RATE_TIMESCALE]))
        v[HN_RATE_TIMESCALE] = r->warmup > 0 ? r->warmup : 10000;
    if (isnan(v[HN_RATE_NUM_STABLE_STEPS]))
        v[HN_RATE_NUM_STABLE_STEPS] = r->total - r->warmup - v[HN_RATE_NUM_DECAY_STEPS];
    if (isnan(v[HN_RATE_INIT]))
        v[HN_RATE_INIT] = r->peak;
    if (isnan(v[HN_RATE_END]))
        v[HN_RATE_END] = 0;
    if (r->type == HONE_POLYNOMIAL && !(r->peak > v[HN_RATE_LR_END]))
        return hn_fail(err, HONE_USAGE,
                       "polynomial: lr_end (%g) must be below the learning rate (%g)",
                       v[HN_RATE_LR_END], r->peak);
    if (r->type != HONE_COSINE_MIN_LR && r->type != HONE_COSINE_WARMUP_MIN_LR)
        return 0;
    if (isnan(v[HN_RATE_MIN_LR]) == isnan(v[HN_RATE_MIN_LR_RATE]))
        return hn_fail(err, HONE_USAGE,
                       "this learning rate schedule needs one of --lr-scheduler-kwargs min_lr=… "
                       "and min_lr_rate=…");
    if (isnan(v[HN_RATE_MIN_LR_RATE]))
        v[HN_RATE_MIN_LR_RATE] = v[HN_RATE_MIN_LR] / r->peak;
    return 0;
}

int hn_rate_init(struct hn_rate *r, const struct hone_train_options *o, int64_t total,
                 struct hone_err *err)
{
    *r = (struct hn_rate){
        .type = o->lr_scheduler_type, .peak = o->learning_rate, .total = (double)total};
    r->warmup =
        o->warmup_steps < 1 ? ceil(o->warmup_steps * (double)total) : floor(o->warmup_steps);
    for (int i = 0; i < HN_RATE_VALUES; i++)
        r->value[i] = arguments[i].def;
    for (size_t i = 0; i < o->n_lr_scheduler_kwargs; i++) {
        int rc = take(r, o->lr_scheduler_kwargs[i], err);
        if (rc)
            return rc;
    }
    return complete(r, err);
}

/* ---- rates ------------------------------------------------------------------------------------
 */

/* mlx.optimizers.schedulers behind mlx_lm's build_schedule: the warm-up is a schedule of its own,
 * of warmup + 1 steps, and the steps of the other are counted from its end. */
static double mlx_rate(const struct hn_rate *r, double at)
{
    const double *v = r->value;
    double init = v[HN_RATE_INIT], end = v[HN_RATE_END];
    if (r->warmup > 0) {
        if (at < r->warmup + 1)
            return at * ((init - v[HN_RATE_WARMUP_INIT]) / r->warmup) + v[HN_RATE_WARMUP_INIT];
        at -= r->warmup + 1;
    }
    if (r->type == HONE_EXPONENTIAL_DECAY)
        return init * pow(v[HN_RATE_DECAY_RATE], at);
    if (r->type == HONE_STEP_DECAY)
        return init * pow(v[HN_RATE_DECAY_RATE], floor(at / v[HN_RATE_STEP_SIZE]));
    if (r->type == HONE_LINEAR_SCHEDULE)
        return HN_MIN(at, v[HN_RATE_STEPS]) * ((end - init) / v[HN_RATE_STEPS]) + init;
    double turn = pi / v[HN_RATE_DECAY_STEPS] * HN_MIN(at, v[HN_RATE_DECAY_STEPS]);
    return end + 0.5 * (1 + cos(turn)) * (init - end);
}

static double shape(double type, double up)
{
    if (type == COSINE_SHAPE)
        return 0.5 * (1 - cos(pi * up));
    return type == ROOT_SHAPE ? 1 - sqrt(1 - up) : up;
}

/* transformers' get_wsd_schedule, as a factor. */
static double stable_decay(const struct hn_rate *r, double at)
{
    const double *v = r->value;
    double low = v[HN_RATE_MIN_LR_RATIO], stable_end = r->warmup + v[HN_RATE_NUM_STABLE_STEPS];
    if (at < r->warmup) {
        double f = shape(v[HN_RATE_WARMUP_TYPE], at / HN_MAX(1.0, r->warmup));
        return HN_MAX(0.0, f * (1 - low) + low);
    }
    if (at < stable_end)
        return 1;
    if (at >= stable_end + v[HN_RATE_NUM_DECAY_STEPS])
        return low;
    double progress = (at - stable_end) / HN_MAX(1.0, v[HN_RATE_NUM_DECAY_STEPS]), f;
    if (v[HN_RATE_DECAY_TYPE] == COSINE_SHAPE)
        f = 0.5 * (1 + cos(pi * v[HN_RATE_NUM_CYCLES] * 2 * progress));
    else
        f = v[HN_RATE_DECAY_TYPE] == ROOT_SHAPE ? 1 - sqrt(progress) : 1 - progress;
    return HN_MAX(0.0, f * (1 - low) + low);
}

/* transformers' cosine_warmup_with_min_lr, whose steps begin one further on. */
static double warm_cosine(const struct hn_rate *r, double at)
{
    const double *v = r->value;
    double low = v[HN_RATE_MIN_LR_RATE], from = v[HN_RATE_WARMUP_LR_RATE];
    if (at < r->warmup) {
        if (isnan(from))
            return (at + 1) / HN_MAX(1.0, r->warmup);
        return from + (1 - from) * at / HN_MAX(1.0, r->warmup - 1);
    }
    double progress = (at - r->warmup + 1) / HN_MAX(1.0, r->total - r->warmup);
    double f = 0.5 * (1 + cos(pi * v[HN_RATE_NUM_CYCLES] * 2 * progress));
    return HN_MAX(0.0, f * (1 - low) + low);
}

/* The rest of transformers' get_scheduler: a factor after a linear warm-up from 0. */
static double decay(const struct hn_rate *r, double at)
{
    const double *v = r->value;
    double left = HN_MAX(1.0, r->total - r->warmup), progress = (at - r->warmup) / left, f;
    switch (r->type) {
    case HONE_LINEAR:
        return HN_MAX(0.0, (r->total - at) / left);
    case HONE_COSINE:
        return HN_MAX(0.0, 0.5 * (1 + cos(pi * v[HN_RATE_NUM_CYCLES] * 2 * progress)));
    case HONE_COSINE_MIN_LR:
        f = 0.5 * (1 + cos(pi * v[HN_RATE_NUM_CYCLES] * 2 * progress));
        return HN_MAX(0.0, f * (1 - v[HN_RATE_MIN_LR_RATE]) + v[HN_RATE_MIN_LR_RATE]);
    case HONE_COSINE_RESTARTS:
        f = fmod(v[HN_RATE_NUM_CYCLES] * progress, 1);
        return progress >= 1 ? 0 : HN_MAX(0.0, 0.5 * (1 + cos(pi * f)));
    case HONE_POLYNOMIAL:
        f = v[HN_RATE_LR_END] / r->peak;
        return at > r->total ? f : (1 - f) * pow(1 - progress, v[HN_RATE_POWER]) + f;
    case HONE_INVERSE_SQRT:
        f = v[HN_RATE_TIMESCALE];
        return 1 / sqrt((at + f - r->warmup) / f);
    default:
        return 1;
    }
}

double hn_rate_at(const struct hn_rate *r, int64_t step)
{
    double at = (double)step;
    if (MLX & 1u << r->type)
        return mlx_rate(r, at);
    if (r->type == HONE_PLATEAU)
        return r->peak;
    if (r->type == HONE_WARMUP_STABLE_DECAY)
        return r->peak * stable_decay(r, at);
    if (r->type == HONE_COSINE_WARMUP_MIN_LR)
        return r->peak * warm_cosine(r, at);
    return r->peak * (at < r->warmup ? at / HN_MAX(1.0, r->warmup) : decay(r, at));
}

void hn_plateau_init(const struct hn_rate *r, struct hn_plateau *p)
{
    *p = (struct hn_plateau){.rate = r->peak, .best = INFINITY};
}

void hn_plateau_step(const struct hn_rate *r, struct hn_plateau *p, double loss)
{
    const double *v = r->value;
    double bound = v[HN_RATE_THRESHOLD_MODE] == RELATIVE ? p->best * (1 - v[HN_RATE_THRESHOLD])
                                                         : p->best - v[HN_RATE_THRESHOLD];
    double low = isnan(v[HN_RATE_MIN_LR]) ? 0 : v[HN_RATE_MIN_LR];
    if (loss < bound) {
        p->best = loss;
        p->bad = 0;
    } else {
        p->bad++;
    }
    if (p->cooldown > 0) {
        p->cooldown--;
        p->bad = 0;
    }
    if ((double)p->bad <= v[HN_RATE_PATIENCE])
        return;
    double lower = HN_MAX(p->rate * v[HN_RATE_FACTOR], low);
    if (p->rate - lower > v[HN_RATE_EPS])
        p->rate = lower;
    p->cooldown = (int64_t)v[HN_RATE_COOLDOWN];
    p->bad = 0;
}
