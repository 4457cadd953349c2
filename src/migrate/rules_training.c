/* TrainingArguments, newest and v4 names, and what SFTConfig adds. */
#include <math.h>
#include <string.h>
#include "migrate/rule_rows.h"

/* SchedulerType.COSINE, IntervalStrategy.STEPS: the name in small letters. */
static const char *enum_name(struct hn_migrator *m, const struct hn_py_value *v)
{
    struct hn_str s = v->type == HN_PY_STR ? v->text : hn_py_last(v->path);
    char *text = s.n ? hn_arena_dup(m->plan->arena, s.p, s.n) : NULL;
    for (char *c = text; c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    return text;
}

static void unknown_value(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place)
{
    hn_plan_unresolved(m->plan, place, rule->key, NULL);
}

static void set(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                const char *text, const char *changed)
{
    hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text,
                changed ? HONE_MIGRATE_CHANGED : HONE_MIGRATE_CARRIED, changed ? changed : "");
}

static void optimizer(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    static const struct {
        const char *name, *ours, *note;
    } known[] = {
        {"adamw", "adamw", NULL},
        {"adamw_hf", "adamw", NULL},
        {"adamw_torch", "adamw", NULL},
        {"adamw_torch_fused", "adamw", NULL},
        {"adamw_torch_xla", "adamw", NULL},
        {"adamw_torch_npu_fused", "adamw", NULL},
        {"adamw_apex_fused", "adamw", NULL},
        {"paged_adamw", "adamw", NULL},
        {"paged_adamw_32bit", "adamw", NULL},
        {"adamw_8bit", "adamw_8bit", NULL},
        {"adamw_bnb_8bit", "adamw_8bit", NULL},
        {"sgd", "sgd", NULL},
    };
    static const char paged[] =
        "the same state in 8 bits; paging needs no option: the state lies in main memory, which "
        "the system pages itself";
    const char *name = enum_name(m, v);
    if (!name) {
        unknown_value(m, rule, place);
        return;
    }
    for (size_t i = 0; i < HN_COUNT(known); i++) {
        if (strcmp(name, known[i].name) == 0) {
            set(m, rule, place, known[i].ours, known[i].note);
            return;
        }
    }
    if (strcmp(name, "paged_adamw_8bit") == 0)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "adamw_8bit", HONE_MIGRATE_CARRIED,
                    paged);
    else if (strcmp(name, "adamw_torch_8bit") == 0)
        set(m, rule, place, "adamw_8bit", "torchao's 8 bits there, bitsandbytes' here");
    else if (strcmp(name, "adamw_torch_4bit") == 0)
        set(m, rule, place, "adamw_8bit", "the state in 8 bits in place of 4");
    else
        set(m, rule, place, "adamw",
            "hone has AdamW and SGD: another optimizer, so the run will differ, and the learning "
            "rate may have to");
}

static void schedule(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    const char *name = enum_name(m, v);
    if (!name)
        unknown_value(m, rule, place);
    else if (strcmp(name, "greedy") == 0)
        set(m, rule, place, "constant", "hone has no such schedule: the rate stays at its peak");
    else
        set(m, rule, place, strcmp(name, "constant_with_warmup") == 0 ? "constant" : name, NULL);
}

/* {"num_cycles": 3, "mode": "min"} as num_cycles=3; NULL: only a run would tell. */
static const char *schedule_items(struct hn_migrator *m, const struct hn_py_value *v)
{
    const char *text = "";
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        const char *value = hn_plan_value(m->plan, i->value);
        if (!value || strchr(value, ','))
            return NULL;
        if (i->value->type == HN_PY_NONE || hn_str_is(i->key, "last_epoch") ||
            hn_str_is(i->key, "verbose") ||
            (hn_str_is(i->key, "mode") && strcmp(value, "min") == 0))
            continue; /* changes nothing */
        text = hn_plan_text(m->plan, "%s%s%.*s=%s", text, *text ? "," : "",
                            (int)HN_MIN(i->key.n, (size_t)60), i->key.p, value);
    }
    return text;
}

/* transformers gives none to its constant schedules, and linear takes none. */
static void schedule_arguments(struct hn_migrator *m, const struct hn_rule *rule,
                               const struct hn_place *place, const struct hn_py_value *v)
{
    const char *name = m->schedule ? enum_name(m, m->schedule) : "linear";
    const char *text = v->type == HN_PY_DICT && !v->open ? schedule_items(m, v) : NULL;
    if (hn_rule_is_usual("None|{}|", v) || (v->type == HN_PY_DICT && !v->open && !v->first))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else if (name && (strncmp(name, "constant", 8) == 0 || strcmp(name, "greedy") == 0))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    hn_plan_text(m->plan, "without effect: the schedule is %s", name));
    else if (name && strcmp(name, "linear") == 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "the schedule is linear, which takes none");
    else if (!text)
        unknown_value(m, rule, place);
    else if (!*text)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
    else
        set(m, rule, place, text, NULL);
}

static void sampling(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    static const char shuffled[] = "as in hone: rows come in random order";
    const char *name = v->type == HN_PY_BOOL ? NULL : enum_name(m, v);
    int on = v->type == HN_PY_BOOL ? hn_py_truth(v) : name && strcmp(name, "group_by_length") == 0;
    if (on == 1)
        set(m, rule, place, "true", NULL);
    else if (v->type == HN_PY_BOOL || v->type == HN_PY_NONE ||
             (name && strcmp(name, "random") == 0))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", shuffled);
    else if (name && strcmp(name, "sequential") == 0)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, "shuffle", "false", HONE_MIGRATE_CARRIED, "");
    else if (name)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone takes rows in random order, in the file's, or grouped by length");
    else
        unknown_value(m, rule, place);
}

/* Steps, or below 1 a part of all.  A constant schedule of transformers has no warm-up at all. */
static void warmup(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    double x;
    const char *name = m->schedule ? enum_name(m, m->schedule) : NULL;
    const char *text = hn_plan_value(m->plan, v);
    if (!text || !hn_py_is_number(v, &x)) {
        unknown_value(m, rule, place);
    } else if (name && strcmp(name, "constant") == 0 && x > 0) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    "without effect in transformers too: its schedule \"constant\" does not warm "
                    "up (constant_with_warmup does)");
    } else if (x == 0) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
    } else if (m->warmup && m->warmup != v) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "warmup_steps is set too, and holds");
    } else {
        set(m, rule, place, text, NULL);
    }
}

/* Steps, or below 1 a part of all, which only max_steps tells. */
static void steps(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    double x, all;
    const char *text = hn_plan_value(m->plan, v);
    bool known = hn_py_is_number(hn_py_value_get(m->args, "max_steps"), &all) && all > 0;
    if (v->type == HN_PY_NONE) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    } else if (!text || !hn_py_is_number(v, &x)) {
        unknown_value(m, rule, place);
    } else if (x > 0 && x < 1 && !known) {
        hn_plan_unresolved(m->plan, place, rule->key, ": a part of all steps there");
    } else {
        bool part = x > 0 && x < 1;
        x = HN_MIN(part ? ceil(all * x) : HN_MAX(x, 0.0), 1e15);
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key,
                    hn_plan_text(m->plan, "%lld", (long long)x), HONE_MIGRATE_CARRIED,
                    part ? "that part of max_steps" : "");
    }
}

static void max_steps(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (v->type == HN_PY_INT && v->integer <= 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "no limit, as in hone");
    else if (text)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED,
                    "in place of epochs, as there");
    else
        unknown_value(m, rule, place);
}

static void strategy(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    const char *name = enum_name(m, v);
    if (v->type == HN_PY_BOOL)
        name = v->boolean ? "steps" : "no";
    if (!name)
        unknown_value(m, rule, place);
    else
        set(m, rule, place, name, NULL);
}

static void logging_strategy(struct hn_migrator *m, const struct hn_rule *rule,
                             const struct hn_place *place, const struct hn_py_value *v)
{
    const char *name = enum_name(m, v);
    (void)rule;
    if (name && strcmp(name, "steps") == 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_CHANGED, "",
                    "hone reports every steps_per_report steps, and at the last");
}

static void report_to(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    bool none = hn_rule_is_usual("none|None|[]|[\"none\"]", v);
    hn_plan_row(
        m->plan, place, none ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
        none
            ? "as in hone"
            : "hone reports to no service: the figures are in report.html and metrics.jsonl in the "
              "adapter path");
}

static void metric(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    (void)rule;
    bool loss = hn_rule_is_usual("loss|eval_loss|None", v);
    hn_plan_row(m->plan, place, loss ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                loss ? "hone goes by the validation loss"
                     : "hone goes by the validation loss alone");
}

static void data_seed(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    double x, y;
    (void)rule;
    bool same =
        hn_py_is_number(v, &x) && hn_py_is_number(hn_py_value_get(m->args, "seed"), &y) && x == y;
    bool none = v->type == HN_PY_NONE;
    hn_plan_row(m->plan, place, same || none ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED,
                "",
                none   ? "not set"
                : same ? "the seed, as in hone"
                       : "hone has one seed for order, dropout and the adapter's start");
}

static void packing(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    (void)rule;
    if (hn_py_truth(v) == 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
    else
        hn_plan_row(
            m->plan, place, HONE_MIGRATE_CHANGED, "",
            "hone pads nothing, so there is nothing to pack; a packed step holds more rows: "
            "raise batch_size for as many tokens a step");
}

static void text_field(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    if (hn_rule_is_usual("text|None|", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "hone tells rows by their keys");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone reads texts under the key \"text\": rename it in the data");
}

static void only_responses(struct hn_migrator *m, const struct hn_rule *rule,
                           const struct hn_place *place, const struct hn_py_value *v)
{
    if (v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_CHANGED, "",
                    "TRL masks the prompt then for rows of prompt and completion: set mask_prompt: "
                    "true for those");
    else if (v->type == HN_PY_BOOL)
        hn_plan_set(m->plan, place, v->boolean ? HN_RANK_FIRM : HN_RANK_HINT, rule->key,
                    v->boolean ? "true" : "false", HONE_MIGRATE_CARRIED, "");
    else
        unknown_value(m, rule, place);
}

/* SFTConfig(model_init_kwargs={...}): of from_pretrained */
static void model_arguments(struct hn_migrator *m, const struct hn_rule *rule,
                            const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    if (v->type != HN_PY_DICT) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "hone loads the model as it is");
        return;
    }
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        const struct hn_place inner = {.call = place->call,
                                       .argument = hn_plan_text(m->plan, "%s.%.*s", place->argument,
                                                                (int)HN_MIN(i->key.n, (size_t)80),
                                                                i->key.p),
                                       .value = i->value,
                                       .cell = i->cell,
                                       .line = i->line};
        hn_rule_apply(m, hn_rule_find(&hn_rules_model, i->key), &inner, HN_RANK_USUAL);
    }
}

static void distributed(struct hn_migrator *m, const struct hn_rule *rule,
                        const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    bool off = hn_rule_is_usual("None|False||-1|0|[]|{}", v);
    hn_plan_row(m->plan, place, off ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                off ? "changes nothing" : "hone trains on one machine");
}

static const char precision[] =
    "hone computes as exactly as float32 whatever the weights are stored in";
static const char loader[] = "hone reads rows as it needs them, without worker processes";
static const char services[] = "hone uploads nothing";
static const char logs[] = "of the log alone";

static const struct hn_rule training[] = {
    /* the ones that make the run */
    CARRY("output_dir", "adapter_path"),
    {.names = "per_device_train_batch_size per_gpu_train_batch_size",
     .action = HN_ACT_CARRY,
     .key = "batch_size"},
    CARRY("gradient_accumulation_steps", "grad_accumulation_steps"),
    CARRY("num_train_epochs", "num_epochs"),
    CALL("max_steps", "max_steps", max_steps),
    CARRY("learning_rate", "learning_rate"),
    CALL("lr_scheduler_type", "lr_scheduler_type", schedule),
    CALL("lr_scheduler_kwargs", "lr_scheduler_kwargs", schedule_arguments),
    CALL("warmup_steps", "warmup_steps", warmup),
    CALL("warmup_ratio", "warmup_ratio", warmup),
    CALL("optim", "optimizer", optimizer),
    CARRY("eval_on_start", "eval_on_start"),
    CARRY("weight_decay", "weight_decay"),
    CARRY("adam_beta1", "adam_beta1"),
    CARRY("adam_beta2", "adam_beta2"),
    CARRY("adam_epsilon", "adam_epsilon"),
    CARRY("max_grad_norm", "max_grad_norm"),
    CARRY("seed", "seed"),
    CALL("data_seed", NULL, data_seed),
    CALL("group_by_length train_sampling_strategy", "group_by_length", sampling),
    CALL("logging_steps", "steps_per_report", steps),
    CALL("logging_strategy", "steps_per_report", logging_strategy),
    CALL("eval_strategy evaluation_strategy evaluate_during_training", "eval_strategy", strategy),
    CALL("eval_steps", "steps_per_eval", steps),
    CALL("save_strategy", "save_strategy", strategy),
    CALL("save_steps", "save_every", steps),
    CARRY("save_total_limit", "save_total_limit"),
    CARRY("load_best_model_at_end", "load_best_model_at_end"),
    CALL("metric_for_best_model", NULL, metric),
    LOST("greater_is_better", "None|False", "hone's best is the lowest validation loss"),
    CALL("report_to", NULL, report_to),

    /* memory and speed: hone's own business */
    AUTO("gradient_checkpointing activation_checkpointing",
         "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    AUTO("gradient_checkpointing_kwargs activation_checkpointing_kwargs",
         "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    AUTO("fp16 bf16 fp16_full_eval bf16_full_eval tf32 fp16_opt_level half_precision_backend "
         "fp16_backend",
         precision),
    AUTO("length_column_name", "hone counts the tokens of a row itself"),
    AUTO("auto_find_batch_size", "hone plans the memory before it starts, and says what fits"),
    {.names = "per_device_eval_batch_size per_gpu_eval_batch_size",
     .action = HN_ACT_CARRY,
     .key = "per_device_eval_batch_size"},
    AUTO("eval_accumulation_steps batch_eval_metrics eval_do_concat_batches eval_use_gather_object "
         "use_legacy_prediction_loop",
         "the validation loss does not depend on it"),
    AUTO("torch_compile torch_compile_backend torch_compile_mode torchdynamo jit_mode_eval "
         "use_ipex use_liger_kernel liger_kernel_config torch_empty_cache_steps use_cache "
         "enable_jit_checkpoint",
         "of PyTorch; hone's kernels are its own"),
    AUTO("use_cpu no_cuda use_mps_device", "hone takes the best device that it has (backend)"),
    AUTO("save_safetensors", "adapters are always safetensors"),
    AUTO("overwrite_output_dir", "hone replaces the adapter, and says so"),
    AUTO("save_only_model",
         "checkpoints hold what --resume needs, and so little that it need not be left out"),
    AUTO("remove_unused_columns label_names", "hone reads the keys that its record kinds have"),
    AUTO("prediction_loss_only", "as in hone"),
    AUTO("average_tokens_across_devices", "the loss is the mean over all tokens of a step"),
    AUTO("do_train do_eval do_predict", "hone train trains; hone test tests"),
    AUTO("logging_nan_inf_filter", "hone stops at a loss that is no number"),
    AUTO("skip_memory_metrics", "hone always reports its peak of memory"),
    AUTO("logging_dir log_level log_level_replica log_on_each_node save_on_each_node disable_tqdm "
         "run_name project "
         "trackio_* logging_first_step include_num_input_tokens_seen include_tokens_per_second "
         "include_inputs_for_metrics include_for_metrics debug",
         logs),
    LOST("push_to_hub hub_* push_to_hub_*", "False|None", services),

    /* what changes the run and has no place in hone */
    LOST("neftune_noise_alpha", "None", "hone adds no noise to embeddings: the run will differ"),
    LOST("embedding_learning_rate", "None", "hone trains no embeddings"),
    LOST("label_smoothing_factor", "0|0.0", "hone smooths no labels: the loss will differ"),
    LOST("optim_args", "None",
         "set what the optimizer takes by hone's own names: momentum, dampening, nesterov, "
         "adam_beta1, adam_beta2, adam_epsilon"),
    LOST("optim_target_modules", "None", "hone has AdamW and SGD"),
    LOST("adafactor", "False", "hone has AdamW and SGD"),
    LOST("eval_delay", "0|0.0|None", "hone evaluates from the start"),
    LOST("dataloader_drop_last", "False", "hone trains on every row"),
    AUTO("dataloader_*", loader),
    AUTO("predict_with_generate generation_max_length generation_num_beams generation_config "
         "sortish_sampler",
         "of evaluation by writing; hone test does that"),
    LOST("ignore_data_skip restore_callback_states_from_checkpoint", "False",
         "--resume always goes on where the run stopped"),
    LOST("resume_from_checkpoint", "None|False", "give hone train --resume"),
    LOST("full_determinism", "True|False", "a run of hone is deterministic"),
    AUTO("ddp_*", "of several processes alone"),
    CALL("deepspeed fsdp* local_rank accelerator_config parallelism_config mp_parameters "
         "ray_scope tpu_* dispatch_batches split_batches past_index sharded_ddp",
         NULL, distributed),
};
const struct hn_rules hn_rules_training = {training, HN_COUNT(training), NULL};

static const struct hn_rule sft[] = {
    {.names = "max_length max_seq_length", .action = HN_ACT_CARRY, .key = "max_seq_length"},
    LOST("truncation_mode", "keep_start", "hone cuts the end of a row that is too long"),
    CALL("packing", NULL, packing),
    LOST("eval_packing", "None|False", "hone pads nothing, so there is nothing to pack"),
    AUTO(
        "packing_strategy padding_free pad_to_multiple_of pad_token padding_value num_of_sequences "
        "chars_per_token",
        "hone pads nothing"),
    CALL("completion_only_loss assistant_only_loss", "mask_prompt", only_responses),
    CALL("dataset_text_field", NULL, text_field),
    AUTO("dataset_num_proc dataset_batch_size dataset_kwargs",
         "hone encodes rows as it reads them"),
    AUTO("shuffle_dataset", "hone takes the rows in a new random order in each epoch"),
    LOST("loss_type", "nll|None|chunked_nll", "hone's loss is cross-entropy"),
    LOST("router_aux_loss_coef", "0|0.0|0.001|None", "hone's loss is cross-entropy alone"),
    AUTO("trust_remote_code", "hone runs no code of a model"),
    LOST("eos_token", "None", "hone ends rows with the model's own end token"),
    CARRY("chat_template_path", "chat_template"),
    AUTO("activation_offloading", "hone recomputes where memory needs it"),
    CALL("model_init_kwargs", NULL, model_arguments),
    LOST("use_weighting formatting_func", "None", "hone has no such thing"),
};
const struct hn_rules hn_rules_sft = {sft, HN_COUNT(sft), &hn_rules_training};
