/* What a training loop of the script's own is made of: the optimizer, its schedule, the loader,
 * clipping, accelerate's Accelerator. */
#include <string.h>
#include "migrate/rule_rows.h"

static const char torch[] = "of PyTorch";
static const char adam[] = "hone has AdamW without it: the run will differ";

static void betas(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    static const char *const keys[] = {"adam_beta1", "adam_beta2"};
    (void)rule;
    for (size_t i = 0; i < HN_COUNT(keys); i++) {
        const char *text = hn_plan_value(m->plan, hn_py_value_at(v, i));
        if (text)
            hn_plan_set(m->plan, place, HN_RANK_USUAL, keys[i], text, HONE_MIGRATE_CARRIED, "");
        else
            hn_plan_unresolved(m->plan, place, keys[i], NULL);
    }
}

/* [{"params": …, "weight_decay": 0.1}, {"params": …, "weight_decay": 0}]: matrices and the rest */
static void groups(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    double decay, most = -1;
    const char *text = NULL;
    bool list = v->type == HN_PY_LIST, known = true, rates = false, any = false;
    for (const struct hn_py_item *i = list ? v->first : NULL; i; i = i->next) {
        const struct hn_py_value *own = hn_py_value_get(i->value, rule->key);
        m->decay_groups = m->decay_groups || i->value->type == HN_PY_DICT;
        rates = rates || hn_py_value_get(i->value, "lr");
        known = known && (!own || hn_py_is_number(own, &decay));
        any = any || own;
        if (own && known && decay > most) {
            most = decay;
            text = hn_plan_value(m->plan, own);
        }
    }
    if (!m->decay_groups)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "what hone trains");
    else if (rates)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone has one learning rate for all parameters");
    if (any && known && text)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED,
                    "of matrices; norms and biases do not decay");
    else if (any)
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
    else if (m->decay_groups && !rates)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "what hone trains");
}

static void shuffled(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 0)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "false", HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
}

/* range(n), range(a, b), tqdm(range(n)), enumerate(…): how many; negative: only a run would tell */
static double times_of(const struct hn_py_value *over)
{
    double from = 0, to = -1;
    for (int depth = 0; over && over->type == HN_PY_OBJECT && depth < 4; depth++) {
        struct hn_str name = hn_py_last(over->path);
        const struct hn_py_value *a = hn_py_value_at(over, 0), *b = hn_py_value_at(over, 1);
        if (hn_str_is(name, "range") || hn_str_is(name, "trange"))
            return hn_py_is_number(b ? b : a, &to) && (!b || hn_py_is_number(a, &from)) ? to - from
                                                                                        : -1;
        over = a;
    }
    return -1;
}

/* Steps, or int(0.1 * total_steps): that part of all. */
static void warmup(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    static const char *const words[] = {"step", "total", "iter", "len(", "epoch"};
    const char *text = hn_plan_value(m->plan, v);
    bool steps = false;
    for (size_t i = 0; i < HN_COUNT(words); i++)
        steps = steps || hn_str_contains(v->source, words[i]);
    if (v->share > 0 && steps)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, "warmup_ratio",
                    hn_plan_text(m->plan, "%.6g", v->share), HONE_MIGRATE_CHANGED,
                    "taken as that part of all steps");
    else if (text)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
}

static void all_steps(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    if (v->type == HN_PY_INT && v->integer > 0)
        m->all_steps = hn_plan_value(m->plan, v);
    hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "hone counts the steps itself");
}

static void epochs(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    double n = times_of(v);
    if (n > 0)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, hn_plan_text(m->plan, "%.17g", n),
                    HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
}

static const struct hn_rule optimizer[] = {
    CALL("params", "weight_decay", groups),
    CARRY("lr", "learning_rate"),
    CALL("betas", NULL, betas),
    CARRY("eps", "adam_epsilon"),
    CARRY("weight_decay", "weight_decay"),
    CARRY("correct_bias", "bias_correction"),
    CARRY("momentum", "momentum"),
    CARRY("dampening", "dampening"),
    CARRY("nesterov", "nesterov"),
    LOST("amsgrad maximize", "False", adam),
    AUTO("foreach fused capturable differentiable no_deprecation_warning", torch),
    AUTO("optim_bits args min_8bit_size percentile_clipping block_wise is_paged",
         "hone's 8 bits are those of adamw_8bit"),
};
const struct hn_rules hn_rules_optimizer = {optimizer, HN_COUNT(optimizer), NULL};

/* torch's Adam adds it to the gradient; hone's adam has none. */
static const struct hn_rule plain[] = {
    LOST("weight_decay", "0|0.0", "hone's weight decay is AdamW's: set optimizer: adamw for it"),
};
const struct hn_rules hn_rules_adam = {plain, HN_COUNT(plain), &hn_rules_optimizer};

static const struct hn_rule rate[] = {
    CARRY("name", "lr_scheduler_type"),
    CALL("num_warmup_steps", "warmup_steps", warmup),
    CALL("num_training_steps", NULL, all_steps),
    AUTO("optimizer last_epoch", "hone counts the steps itself"),
    LOST("num_cycles", "0.5|1", "set lr_scheduler_kwargs: num_cycles=…"),
    LOST("scheduler_specific_kwargs", "None", "set lr_scheduler_kwargs"),
};
const struct hn_rules hn_rules_rate = {rate, HN_COUNT(rate), NULL};

static const struct hn_rule batches[] = {
    CARRY("batch_size", "batch_size"),
    CALL("shuffle", "shuffle", shuffled),
    LOST("drop_last", "False", "hone trains on every row"),
    LOST("sampler batch_sampler", "None", "hone takes rows in random order, or in the file's"),
    AUTO("dataset", "see its own rows"),
    AUTO("collate_fn", "hone makes its own batches, without padding"),
    AUTO("num_workers pin_memory persistent_workers prefetch_factor worker_init_fn generator "
         "pin_memory_device timeout multiprocessing_context in_order",
         "hone reads rows as it needs them, without worker processes"),
};
const struct hn_rules hn_rules_batches = {batches, HN_COUNT(batches), NULL};

static const struct hn_rule clip[] = {
    AUTO("parameters error_if_nonfinite foreach", torch),
    CARRY("max_norm", "max_grad_norm"),
    LOST("norm_type", "2|2.0", "hone clips by the global norm of squares"),
};
const struct hn_rules hn_rules_clip = {clip, HN_COUNT(clip), NULL};

static const struct hn_rule accelerator[] = {
    CARRY("gradient_accumulation_steps", "grad_accumulation_steps"),
    AUTO("mixed_precision",
         "hone computes as exactly as float32 whatever the weights are stored in"),
    LOST("log_with", "None",
         "hone reports to no service: the figures are in report.html and metrics.jsonl in the "
         "adapter path"),
    AUTO(
        "project_dir project_config device_placement cpu split_batches dataloader_config "
        "step_scheduler_with_optimizer rng_types kwargs_handlers even_batches use_seedable_sampler "
        "dynamo_backend dynamo_plugin",
        "of accelerate"),
    LOST("deepspeed_plugin deepspeed_plugins fsdp_plugin megatron_lm_plugin torch_tp_plugin "
         "parallelism_config gradient_accumulation_plugin",
         "None", "hone trains on one machine"),
};
const struct hn_rules hn_rules_accelerator = {accelerator, HN_COUNT(accelerator), NULL};

static const struct hn_rule loop[] = {
    CALL("times", "num_epochs", epochs),
};
const struct hn_rules hn_rules_epochs = {loop, HN_COUNT(loop), NULL};
