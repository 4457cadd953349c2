/* axolotl's YAML: its own names, then those that it hands on to transformers as they are. */
#include <math.h>
#include <string.h>
#include "migrate/rule_rows.h"
#include "migrate/script.h"

static void adapter(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    if (v->type == HN_PY_NONE || hn_py_is_text(v, ""))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "full", HONE_MIGRATE_CARRIED,
                    "without an adapter, all weights are trained");
    else if (hn_rule_is_usual("lora|qlora", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "what hone trains");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "", "hone trains LoRA adapters");
}

/* Beside some blocks alone, what stands in lora for all linear layers. */
static void all_linear(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    if (hn_py_truth(v) != 1) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "changes nothing");
    } else if (hn_py_value_get(m->lora, "layers_to_transform")) {
        struct hn_place inner = *place;
        inner.value = hn_py_value_get(m->lora, rule->key);
        hn_rule_by_name(m, rule, &inner, inner.value);
    } else {
        hn_plan_set(m->plan, place, HN_RANK_FIRM, rule->key, "all-linear", HONE_MIGRATE_CARRIED,
                    "");
    }
}

static void chat_template(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (hn_rule_is_usual("chatml|alpaca", v))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED, "");
    else if (v->type == HN_PY_NONE || (text && strncmp(text, "tokenizer_default", 17) == 0))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    "hone uses the chat template in the model's folder");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "axolotl's own template of that name; hone uses the chat template in the "
                    "model's folder: write this one to a file, and give that as chat_template, "
                    "where it is another");
}

static void special_tokens(struct hn_migrator *m, const struct hn_rule *rule,
                           const struct hn_place *place, const struct hn_py_value *v)
{
    bool padding = true;
    (void)rule;
    for (const struct hn_py_item *i = v->first; i; i = i->next)
        padding = padding && hn_str_is(i->key, "pad_token");
    hn_plan_row(m->plan, place, padding ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                padding ? "hone pads nothing, so it needs no padding token"
                        : "hone takes the special tokens as the model's folder has them");
}

/* Once an epoch is a strategy; more often is a number of steps that only the data tells. */
static void per_epoch(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    bool once = v->type == HN_PY_INT && v->integer == 1;
    bool saves = strcmp(rule->key, "save_strategy") == 0;
    if (hn_rule_is_usual("None|0", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else
        hn_plan_set(m->plan, place, HN_RANK_HINT, rule->key, "epoch",
                    once ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED,
                    once    ? ""
                    : saves ? "once an epoch; for more, set save_strategy: steps and save_every"
                            : "once an epoch; for more, set eval_strategy: steps and "
                              "steps_per_eval");
}

/* eval_steps and save_steps choose their strategy too.  Below 1 they are a part of all steps, which
 * only max_steps tells. */
static void every(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    bool saves = strcmp(rule->key, "save_steps") == 0;
    const char *strategy = saves ? "save_strategy" : "eval_strategy";
    const struct hn_py_value *n = hn_py_value_get(m->args, "num_epochs");
    double x, all, epochs = 1;
    bool number = hn_py_is_number(v, &x) && x > 0;
    bool known = hn_py_is_number(hn_py_value_get(m->args, "max_steps"), &all) && all > 0;
    if (number && x < 1 && !known) {
        bool once = (!n || hn_py_is_number(n, &epochs)) && fabs(x * epochs - 1) < 1e-6;
        hn_plan_set(m->plan, place, HN_RANK_FIRM, strategy, "epoch",
                    once ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED,
                    once ? "that part of all steps is an epoch"
                         : hn_plan_text(m->plan,
                                        "a part of all steps there; for other than once an epoch, "
                                        "set %s: steps and %s",
                                        strategy, saves ? "save_every" : "steps_per_eval"));
        return;
    }
    if (number)
        hn_plan_set(m->plan, place, HN_RANK_FIRM, strategy, "steps", HONE_MIGRATE_CARRIED, "");
    hn_rule_by_name(m, rule, place, v);
}

/* ---- data sets ------------------------------------------------------------------------------- */

static bool trains_inputs(const struct hn_py_value *config)
{
    const struct hn_py_value *v = hn_py_value_get(config, "train_on_inputs");
    return v && hn_py_truth(v) == 1;
}

/* Are all data sets of rows of text (type: completion)? */
static bool all_texts(const struct hn_py_value *config)
{
    const struct hn_py_value *sets = hn_py_value_get(config, "datasets");
    bool all = sets && sets->first;
    for (const struct hn_py_item *i = sets ? sets->first : NULL; i; i = i->next)
        all = all && hn_py_is_text(hn_py_value_get(i->value, "type"), "completion");
    return all;
}

static void dataset_type(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    if (hn_py_is_text(v, "completion") && !m->texts && !trains_inputs(m->args))
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "beside rows with prompts, whose prompts are masked, hone leaves rows of text "
                    "out: write them as prompt and completion with an empty prompt");
    else if (hn_rule_is_usual("None|alpaca|chat_template|sharegpt|completion", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    "hone tells Alpaca rows, chats and texts by their keys");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "a wording that hone does not have: it reads chat, prompt/completion, task and "
                    "Alpaca rows by their keys; write others as {\"text\": …} or prompt and "
                    "completion");
}

static const char keys[] = "hone tells rows by their keys: rename it in the data";
static const struct hn_rule dataset_part[] = {
    CALL("type", NULL, dataset_type),
    AUTO("ds_type split name revision trust_remote_code", "see path"),
    LOST("data_files", "None", "prepare these files"),
    LOST("field_messages", "None|messages|conversations", keys),
    LOST("message_field_role", "None|role|from", keys),
    LOST("message_field_content", "None|content|value", keys),
    LOST("message_property_mappings", "None|{\"role\", \"content\"}|{\"from\", \"value\"}", keys),
    LOST("field_instruction", "None|instruction", keys),
    LOST("field_input", "None|input", keys),
    LOST("field_output", "None|output", keys),
    LOST("field", "None|text", keys),
    LOST("roles_to_train", "None|[\"assistant\"]|[\"gpt\"]|[\"assistant\", \"gpt\"]",
         "hone trains the answers of the assistant"),
    LOST("train_on_eos", "None|turn", "hone trains the end of each answer"),
};
static const struct hn_rules rules_dataset = {dataset_part, HN_COUNT(dataset_part), NULL};

static void dataset_path(struct hn_migrator *m, const struct hn_place *place,
                         const struct hn_py_value *set, bool valid)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *files = hn_py_value_get(set, "data_files");
    const char *path = hn_plan_value(p, place->value);
    if (!path || place->value->type != HN_PY_STR) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "give its file to hone prepare --input");
        return;
    }
    bool file = hn_str_ends(place->value->text, ".jsonl") ||
                hn_str_ends(place->value->text, ".json") || hn_str_ends(place->value->text, ".csv");
    if (file && (!files || files->type == HN_PY_NONE)) {
        hn_files_add(p, valid ? &p->valid : &p->train, path);
        hn_plan_row(p, place, HONE_MIGRATE_CARRIED, valid ? "valid_data" : "hone prepare --input",
                    "");
        return;
    }
    const struct hn_py_value *split = hn_py_value_get(set, "split");
    const struct hn_py_value *name = hn_py_value_get(set, "name");
    const char *part = split && split->type == HN_PY_STR ? hn_plan_value(p, split) : NULL;
    const char *config = name && name->type == HN_PY_STR ? hn_plan_value(p, name) : NULL;
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(p,
                             "hone reads files of rows, and loads no data set from a hub: write it "
                             "to a file first, with Python's datasets: %s",
                             hn_hub_export(p, path, config, part ? part : "train", valid)));
}

static void datasets(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    struct hn_plan *p = m->plan;
    bool valid = strcmp(place->argument, "test_datasets") == 0;
    size_t n = 0;
    (void)rule;
    if (v->type == HN_PY_NONE || (v->type == HN_PY_LIST && !v->n)) {
        hn_plan_row(p, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
        return;
    }
    for (const struct hn_py_item *i = v->first; i; i = i->next, n++) {
        if (i->value->type != HN_PY_DICT) {
            hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                        "not a list of data sets: give their files to hone prepare --input");
            return;
        }
        for (const struct hn_py_item *k = i->value->first; k; k = k->next) {
            const struct hn_place inner = {
                .call = place->call,
                .argument = hn_plan_text(p, "%s[%zu].%.*s", place->argument, n,
                                         (int)HN_MIN(k->key.n, (size_t)80), k->key.p),
                .value = k->value,
                .cell = k->cell,
                .line = k->line};
            if (hn_str_is(k->key, "path"))
                dataset_path(m, &inner, i->value, valid);
            else
                hn_rule_apply(m, hn_rule_find(&rules_dataset, k->key), &inner, HN_RANK_USUAL);
        }
    }
    m->evaluates = m->evaluates || valid;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const char services[] = "hone reports to no service: see metrics.jsonl";
static const char ours[] = "hone's own business";
static const char start[] = "hone starts as PEFT does by default: the run will begin elsewhere";

static const struct hn_rule axolotl[] = {
    CALL("base_model", "pretrained_model_name_or_path", hn_rule_by_name),
    CALL("revision_of_model", "revision", hn_rule_by_name),
    CALL("adapter", "fine_tune_type", adapter),
    CALL("load_in_4bit", "load_in_4bit", hn_rule_by_name),
    CALL("load_in_8bit", "load_in_8bit", hn_rule_by_name),
    CALL("trust_remote_code", "trust_remote_code", hn_rule_by_name),
    {.names = "sequence_len",
     .action = HN_ACT_CARRY,
     .key = "max_seq_length",
     .note = "axolotl leaves longer rows out, where it is not told to cut them; hone cuts them"},
    CARRY("lora_r", "lora_rank"),
    CARRY("lora_alpha", "lora_alpha"),
    CARRY("lora_dropout", "lora_dropout"),
    CALL("lora_target_modules", "target_modules", hn_rule_by_name),
    CALL("lora_target_linear", "target_modules", all_linear),
    CALL("lora_target_parameters", "target_parameters", hn_rule_by_name),
    CALL("lora_modules_to_save", "modules_to_save", hn_rule_by_name),
    CALL("lora_fan_in_fan_out", "fan_in_fan_out", hn_rule_by_name),
    CALL("peft_use_dora", "use_dora", hn_rule_by_name),
    CALL("peft_use_rslora", "use_rslora", hn_rule_by_name),
    CALL("peft_layers_to_transform", "layers_to_transform", hn_rule_by_name),
    CALL("peft_layers_pattern", "layers_pattern", hn_rule_by_name),
    LOST("peft_init_lora_weights", "None|True", start),
    LOST("peft_layer_replication peft_trainable_token_indices peft peft_ensure_weight_tying",
         "None|{}|[]|False", "hone trains plain LoRA"),
    LOST("loraplus_lr_ratio loraplus_lr_embedding", "None",
         "hone has one learning rate for all of an adapter"),
    LOST("lora_model_dir", "None",
         "give the adapter's file as resume_adapter_file to go on from it"),
    CARRY("micro_batch_size", "batch_size"),
    LOST("batch_size", "None",
         "of all GPUs and accumulated steps: set grad_accumulation_steps to it, divided by "
         "batch_size"),
    CARRY("num_epochs", "num_epochs"),
    CALL("optimizer", "optim", hn_rule_by_name),
    CALL("lr_scheduler", "lr_scheduler_type", hn_rule_by_name),
    LOST("cosine_min_lr_ratio cosine_constant_lr_ratio lr_quadratic_warmup lr_div_factor lr_groups "
         "embedding_lr embedding_lr_scale adam_epsilon2 adam_beta3",
         "None|False", "hone's schedules and optimizers are transformers' own"),
    CALL("train_on_inputs", "mask_prompt", hn_rule_on_inputs),
    CALL("val_set_size", NULL, hn_rule_held_out),
    CALL("datasets test_datasets", NULL, datasets),
    LOST("pretraining_dataset", "None", "give its file of texts to hone prepare --input"),
    CALL("chat_template", "chat_template", chat_template),
    LOST("chat_template_jinja", "None", "write it to a file, and give that as chat_template"),
    LOST("default_system_message", "None", "hone adds no system message: write it into the rows"),
    CALL("sample_packing", "packing", hn_rule_by_name),
    AUTO("eval_sample_packing pad_to_sequence_len sample_packing_* multipack_real_batches",
         "hone pads nothing"),
    LOST("excess_length_strategy", "truncate", "hone cuts the end of a row that is too long"),
    CALL("evals_per_epoch", "eval_strategy", per_epoch),
    CALL("saves_per_epoch", "save_strategy", per_epoch),
    CALL("eval_steps", "eval_steps", every),
    CALL("save_steps", "save_steps", every),
    CARRY("early_stopping_patience", "early_stopping_patience"),
    CALL("special_tokens", NULL, special_tokens),
    LOST("tokens added_tokens_overrides", "None|[]|{}",
         "hone takes the tokenizer as the model's folder has it"),
    LOST("rl reward_model process_reward_model kto_* trl", "None|False|{}",
         "hone trains by cross-entropy on texts: neither preferences nor rewards"),
    LOST("unfrozen_parameters relora* jagged_restart_* lisa_* llama_* galore*", "None|False|[]",
         "hone trains adapters, or all weights"),
    LOST("overrides_of_model_config overrides_of_model_kwargs rope_scaling bnb_config_kwargs",
         "None|{}", "hone goes by the model's own config.json"),
    LOST("shuffle_merged_datasets", "None|True", "hone shuffles all rows: shuffle: false does not"),
    LOST("curriculum_sampling", "None|False", "set shuffle: false for rows in the file's order"),
    CALL("lora_rank_pattern", "rank_pattern", hn_rule_by_name),
    CALL("lora_alpha_pattern", "alpha_pattern", hn_rule_by_name),
    LOST("min_sample_len", "None|1", "hone trains on short rows too"),
    LOST("eot_tokens", "None|[]", "hone trains the end of each answer, as the template writes it"),
    LOST("eval_sequence_len", "None", "hone evaluates at max_seq_length"),
    LOST("noisy_embedding_alpha", "None", "hone adds no noise to embeddings: the run will differ"),
    LOST("fix_untrained_tokens reinit_weights resize_token_embeddings_to_32x", "None|False|[]",
         "hone trains the model as it is"),
    LOST("use_eaft scaling_softmax use_pose role_boundaries trainer_cls qat quantization",
         "None|False|[]|{}", "hone has no such thing: the run will differ"),
    LOST("save_first_step", "None|False", "the first checkpoint is after save_every steps"),
    LOST("tensor_parallel_size context_parallel_size sequence_parallel_degree dp_*", "None|1",
         "hone trains on one machine"),
    LOST("sweep cloud", "None", "hone makes one run, on this machine"),
    LOST("plugins", "None|[]", "hone runs no plugins; those of speed and memory are not needed"),
    LOST("wandb_* mlflow_* comet_* use_wandb use_mlflow use_comet use_tensorboard use_trackio "
         "swanlab_* "
         "trackio_*",
         "None|False|", services),
    LOST("eval_table_size eval_causal_lm_metrics do_causal_lm_eval do_bench_eval",
         "None|0|False|[]", "hone test measures what the model writes"),
    LOST("loss_watchdog_threshold loss_watchdog_patience", "None",
         "hone stops at a loss that is no number"),
    AUTO("model_type tokenizer_type tokenizer_config base_model_config processor_type "
         "tokenizer_use_fast tokenizer_legacy is_llama_derived_model is_falcon_derived_model "
         "is_mistral_derived_model is_qwen_derived_model cls_model_config strict",
         "hone tells the model and its tokenizer by their files"),
    AUTO("dataset_prepared_path dataset_processes dataset_keep_in_memory "
         "dataset_exact_deduplication "
         "dataset_shard_num dataset_shard_idx push_dataset_to_hub hf_use_auth_token streaming "
         "skip_prepare_dataset dataset_num_proc",
         "hone encodes rows as it reads them"),
    AUTO("flash_attention flash_attn_* xformers_attention sdp_attention s2_attention "
         "eager_attention flex_attention attn_implementation sage_attention",
         "hone's attention is its own"),
    AUTO("bfloat16 float16 float32 bf16 fp16 tf32",
         "hone computes as exactly as float32 whatever the weights are stored in"),
    AUTO("liger_* cut_cross_entropy lora_mlp_kernel lora_qkv_kernel lora_o_kernel "
         "unsloth_lora_* activation_offloading gpu_memory_limit lora_on_cpu device_map max_memory "
         "low_cpu_mem_usage gc_steps qlora_sharded_model_loading torch_compile* eval_batch_size "
         "pad_to_multiple_of batch_flattening tiled_mlp* layer_offloading use_kernels "
         "lora_embedding_kernel local_rank device world_size ddp use_ray ray_* profiler_* "
         "chunked_cross_entropy* launcher",
         ours),
    AUTO("eval_max_new_tokens gradio_* generate_samples num_generation_samples generation_* "
         "merge_lora merge_method inference debug auto_resume_from_checkpoints",
         "not of the training"),
};
const struct hn_rules hn_rules_axolotl = {axolotl, HN_COUNT(axolotl), &hn_rules_training};

/* What rules of a LoraConfig look up in it, by PEFT's names. */
static const struct hn_py_value *lora_of(struct hn_migrator *m, const struct hn_py_value *config)
{
    const struct hn_py_node where = {.text = {"", 0}};
    struct hn_arena *arena = m->plan->arena;
    struct hn_py_value *lora = hn_py_value_new(arena, HN_PY_DICT, &where);
    struct hn_py_value *list = hn_py_value_new(arena, HN_PY_LIST, &where);
    struct hn_py_value *all = hn_py_value_str(arena, "all-linear", 10);
    const struct hn_py_value *given = hn_py_value_get(config, "lora_target_modules");
    const struct hn_py_value *linear = hn_py_value_get(config, "lora_target_linear");
    const struct hn_py_value *blocks = hn_py_value_get(config, "peft_layers_to_transform");
    if (!lora || !list || !all)
        return NULL;
    hn_py_value_add(arena, list, (struct hn_str){0}, all, &where);
    if (linear && hn_py_truth(linear) == 1)
        given = list;
    if (given)
        hn_py_value_add(arena, lora, hn_str_of("target_modules"),
                        (struct hn_py_value *)(uintptr_t)given, &where);
    if (blocks && blocks->type != HN_PY_NONE)
        hn_py_value_add(arena, lora, hn_str_of("layers_to_transform"),
                        (struct hn_py_value *)(uintptr_t)blocks, &where);
    return lora;
}

void hn_axolotl_migrate(struct hn_migrator *m, const struct hn_py_value *config)
{
    const struct hn_py_value *adapter_of = hn_py_value_get(config, "adapter");
    double steps;
    m->args = config;
    m->lora = adapter_of && adapter_of->type != HN_PY_NONE ? lora_of(m, config) : NULL;
    m->axolotl = true;
    m->texts = all_texts(config);
    m->schedule = hn_py_value_get(config, "lr_scheduler");
    m->warmup = hn_py_value_get(config, "warmup_steps");
    m->warmup = m->warmup && hn_py_is_number(m->warmup, &steps) && steps > 0 ? m->warmup : NULL;
    for (const struct hn_py_item *i = config->first; i; i = i->next) {
        const char *name = hn_arena_dup(m->plan->arena, i->key.p, HN_MIN(i->key.n, (size_t)100));
        const struct hn_place place = {.call = "axolotl",
                                       .argument = name ? name : "",
                                       .value = i->value,
                                       .cell = i->cell,
                                       .line = i->line};
        const struct hn_rule *rule = hn_rule_find(&hn_rules_axolotl, i->key);
        if (rule && i->value->type == HN_PY_NONE && rule->action == HN_ACT_CALL &&
            rule->fn != adapter)
            hn_plan_row(m->plan, &place, HONE_MIGRATE_AUTOMATIC, "", "not set");
        else
            hn_rule_apply(m, rule, &place, HN_RANK_USUAL);
    }
    hn_data_finish(m);
}
