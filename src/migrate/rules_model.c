/* from_pretrained, BitsAndBytesConfig, unsloth's loader, tokenizers, trainers, generation, and
 * mlx-lm's config. */
#include <string.h>
#include "conf/value.h"
#include "migrate/rule_rows.h"

/* ---- models ---------------------------------------------------------------------------------- */

static void model_name(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (!text || !*text || v->type != HN_PY_STR) {
        hn_plan_unresolved(m->plan, place, rule->key, ", or give hone train --model");
        return;
    }
    hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED, "");
}

/* hone quantises while it loads, to the same codes; files that are quantised are taken as such. */
static void quantised(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    const char *key = strstr(place->argument, "8bit") ? "load_in_8bit" : "load_in_4bit";
    if (hn_py_truth(v) == 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
    else if (hn_py_truth(v) == 1)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, key, "true", HONE_MIGRATE_CARRIED,
                    "bitsandbytes' own codes, made while the model is loaded; files that are "
                    "quantised are used as they are");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    hn_plan_text(m->plan, "only a run would tell its value: set %s yourself", key));
}

static void config_object(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                v->type == HN_PY_OBJECT || v->type == HN_PY_UNKNOWN ? "see its own rows"
                                                                    : "changes nothing");
}

static const struct hn_rule bnb[] = {
    CALL("load_in_4bit load_in_8bit", NULL, quantised),
    CARRY("bnb_4bit_quant_type", "bnb_4bit_quant_type"),
    CARRY("bnb_4bit_use_double_quant", "bnb_4bit_use_double_quant"),
    AUTO("bnb_4bit_quant_storage", "how torch names the same bytes"),
    AUTO("bnb_4bit_compute_dtype",
         "hone computes as exactly as float32 whatever the weights are stored in"),
    AUTO("llm_int8_threshold", "hone multiplies every column exactly"),
    CARRY("llm_int8_skip_modules", "llm_int8_skip_modules"),
    AUTO("llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight",
         "of bitsandbytes' memory; hone maps the weights"),
};
const struct hn_rules hn_rules_bnb = {bnb, HN_COUNT(bnb), NULL};

static const struct hn_rule model[] = {
    CALL("pretrained_model_name_or_path", "model", model_name),
    CALL("load_in_4bit load_in_8bit", NULL, quantised),
    CALL("quantization_config config generation_config", NULL, config_object),
    AUTO("torch_dtype dtype", "automatic: weights stay as they are stored; sums are float32"),
    AUTO("device_map device max_memory offload_folder offload_state_dict low_cpu_mem_usage tp_plan",
         "automatic: hone maps the weights, and plans memory before it starts"),
    AUTO("attn_implementation _attn_implementation use_flash_attention_2 use_flash_attention",
         "hone's attention is its own"),
    AUTO("trust_remote_code", "hone runs no code of a model"),
    AUTO("token use_auth_token cache_dir force_download local_files_only resume_download proxies "
         "subfolder use_safetensors mirror variant",
         "of the download"),
    LOST("revision", "None|main", "hone takes the revision that is in the cache"),
    AUTO("use_cache", "of generation; training has no cache"),
    LOST("rope_scaling", "None", "hone goes by the model's own config.json"),
    LOST("num_labels id2label label2id", "None", "hone trains causal language models"),
    AUTO("chat_template", "hone uses the chat template in the model's folder"),
    AUTO("pad_token_id bos_token_id eos_token_id vocab_size ignore_mismatched_sizes return_dict "
         "max_length",
         "hone goes by the model's own config.json"),
};
const struct hn_rules hn_rules_model = {model, HN_COUNT(model), NULL};

static void full(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                 const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 1)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "full", HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "changes nothing");
}

static const struct hn_rule unsloth_model[] = {
    CALL("model_name", "model", model_name),
    CARRY("max_seq_length", "max_seq_length"),
    CALL("full_finetuning", "fine_tune_type", full),
    AUTO("fast_inference gpu_memory_utilization float8_kv_cache random_state fix_tokenizer "
         "use_gradient_checkpointing resize_model_vocab disable_log_stats max_lora_rank "
         "unsloth_vllm_standby qat_scheme chat_template auto_model offload_embedding "
         "unsloth_force_compile unsloth_tiled_mlp device_map_planner_kwargs text_only",
         "of unsloth's own working"),
    LOST("load_in_16bit", "None|True|False", "hone trains on the weights as they are stored"),
    LOST("load_in_fp8", "None|False", "hone trains on the weights as they are stored"),
};
const struct hn_rules hn_rules_unsloth_model = {unsloth_model, HN_COUNT(unsloth_model),
                                                &hn_rules_model};

/* ---- tokenizers ------------------------------------------------------------------------------ */

static void eos(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                const struct hn_py_value *v)
{
    (void)rule;
    m->tokenizer_eos = m->tokenizer_eos || hn_py_truth(v) == 1;
    hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "see append_eos");
}

static void padding(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    (void)rule;
    hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                hn_py_is_text(v, "max_length")
                    ? "no padding: hone spends no computation on it (labels copied from padded ids "
                      "trained on the padding too; hone does not)"
                    : "no padding in hone");
}

/* The first tokenizer that is loaded is the one to train with. */
static void tokenizer_name(struct hn_migrator *m, const struct hn_rule *rule,
                           const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    const char *text = hn_plan_value(m->plan, v), *base = m->model_name;
    bool first = !m->tokenizer_met;
    m->tokenizer_met = true;
    if (first && text && v->type == HN_PY_STR && base && strcmp(text, base) != 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "another tokenizer than the model's: hone takes the one in the model's folder, "
                    "so copy this one's files there");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    "the tokenizer comes from the model's folder");
}

static const struct hn_rule tokenizer[] = {
    CALL("add_eos_token", NULL, eos),
    LOST("add_bos_token", "None|True", "hone adds what the model's own tokenizer adds"),
    {.names = "model_max_length", .action = HN_ACT_CARRY, .key = "max_seq_length"},
    AUTO("padding_side pad_token pad_token_id padding truncation_side", "hone pads nothing"),
    CALL("pretrained_model_name_or_path", NULL, tokenizer_name),
    AUTO("max_length truncation task language", "without effect on a text's ids"),
    AUTO("use_fast legacy from_slow tokenizer_type tokenizer_file",
         "hone's tokenizer is its own, with the same ids"),
    AUTO("trust_remote_code", "hone runs no code of a model"),
    AUTO("token use_auth_token cache_dir force_download local_files_only revision subfolder",
         "of the download"),
    LOST("chat_template", "None",
         "hone uses the chat template in the model's folder: write this one to a file, and give "
         "that as chat_template"),
    LOST("bos_token eos_token unk_token bos_token_id eos_token_id unk_token_id sep_token cls_token "
         "mask_token additional_special_tokens",
         "None", "hone takes the special tokens of the model's folder"),
};
const struct hn_rules hn_rules_tokenizer = {tokenizer, HN_COUNT(tokenizer), NULL};

/* Of several lengths the longest: prompts and responses may be cut apart. */
static void token_length(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v), *before = hn_plan_get(m->plan, rule->key);
    int64_t most;
    if (v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else if (!text || v->type != HN_PY_INT)
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
    else if (before && hn_text_int(before, strlen(before), &most) && most > v->integer)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    hn_plan_text(m->plan,
                                 "the longer one holds, %s: %s; where parts of a row are "
                                 "cut apart, set their sum",
                                 rule->key, before));
    else
        hn_plan_set(m->plan, place, HN_RANK_HINT, rule->key, text, HONE_MIGRATE_CARRIED, "");
}

static const struct hn_rule tokenize[] = {
    CALL("max_length", "max_seq_length", token_length),
    CALL("padding", NULL, padding),
    AUTO("truncation", "hone cuts rows at max_seq_length"),
    AUTO("return_tensors return_attention_mask return_token_type_ids return_length verbose "
         "return_overflowing_tokens return_special_tokens_mask pad_to_multiple_of "
         "is_split_into_words",
         "hone makes its own batches"),
    LOST("add_special_tokens", "True|None",
         "hone adds what the tokenizer adds, unless a text begins with it"),
    LOST("stride", "0", "hone cuts the end of a row that is too long"),
    AUTO("text text_pair text_target examples example", "what is encoded"),
};
const struct hn_rules hn_rules_tokenize = {tokenize, HN_COUNT(tokenize), NULL};

/* ---- trainers -------------------------------------------------------------------------------- */

static void evaluates(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    m->evaluates = hn_py_truth(v) != 0;
    hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                m->evaluates ? "the validation rows; see data" : "none");
}

static const struct hn_rule trainer[] = {
    AUTO("model args train_dataset tokenizer processing_class peft_config quantization_config",
         "see its own rows"),
    CALL("eval_dataset", NULL, evaluates),
    AUTO("data_collator", "hone makes its own batches, without padding"),
    AUTO("callbacks", "see its own rows; hone has early stopping, and no others"),
    LOST("compute_metrics preprocess_logits_for_metrics", "None",
         "hone test measures exact match, JSON fields and ROUGE-L of what the model writes"),
    LOST("optimizers optimizer_cls_and_kwargs", "None|(None, None)",
         "hone has AdamW, with the settings of the arguments"),
    LOST("model_init compute_loss_func", "None", "hone runs no code of the script"),
    LOST("formatting_func", "None",
         "hone runs no code of the script: it tells task, chat, Alpaca and prompt/completion rows "
         "by "
         "their keys; other texts have to be written as {\"text\": …} rows"),
};
const struct hn_rules hn_rules_trainer = {trainer, HN_COUNT(trainer), &hn_rules_sft};

static const struct hn_rule pack[] = {
    CARRY("seq_length max_seq_length", "max_seq_length"),
    AUTO("tokenizer dataset dataset_text_field formatting_func infinite num_of_sequences "
         "chars_per_token eos_token_id shuffle append_concat_token add_special_tokens "
         "content_field argument",
         "hone pads nothing, so there is nothing to pack: rows stay rows"),
    LOST("fim_rate fim_spm_rate", "0|0.0", "hone trains on texts as they are written"),
    AUTO("seed", "hone has one seed for order, dropout and the adapter's start"),
};
const struct hn_rules hn_rules_pack = {pack, HN_COUNT(pack), NULL};

static const struct hn_rule early[] = {
    CARRY("early_stopping_patience", "early_stopping_patience"),
    CARRY("early_stopping_threshold", "early_stopping_threshold"),
};
const struct hn_rules hn_rules_early = {early, HN_COUNT(early), NULL};

/* ---- generation ------------------------------------------------------------------------------ */

static void generation(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (!text || v->type == HN_PY_NONE) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "only a run would tell its value");
        return;
    }
    hn_plan_row(m->plan, place, HONE_MIGRATE_CARRIED,
                hn_plan_text(m->plan, "hone generate --%s %s", rule->key, text), "");
    if (strcmp(rule->key, "max-tokens") == 0)
        m->plan->max_new_tokens = text;
}

static void sampling(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    bool on = hn_py_truth(v) == 1;
    hn_plan_row(m->plan, place, HONE_MIGRATE_CHANGED, on ? "" : "hone generate --temp 0",
                on ? "hone samples where --temp is above 0" : "");
}

static const struct hn_rule generate[] = {
    CALL("max_new_tokens max_length max_tokens", "max-tokens", generation),
    CALL("temperature temp", "temp", generation),
    CALL("top_p", "top-p", generation),
    CALL("top_k", "top-k", generation),
    CALL("min_p", "min-p", generation),
    CALL("repetition_penalty", "repetition-penalty", generation),
    CALL("do_sample", NULL, sampling),
    LOST("num_beams num_beam_groups", "1", "hone writes one answer at a time"),
    LOST("num_return_sequences", "1", "hone writes one answer at a time"),
    LOST("no_repeat_ngram_size", "0|None", "hone has --repetition-penalty"),
    LOST("min_new_tokens min_length", "0|None", "hone stops where the model does"),
    AUTO("input_ids attention_mask inputs inputs_embeds pad_token_id eos_token_id bos_token_id "
         "use_cache streamer return_dict_in_generate output_scores generation_config "
         "early_stopping stopping_criteria model tokenizer torch_dtype device_map task "
         "return_full_text device skip_special_tokens synced_gpus max_time length_penalty "
         "cache_implementation disable_compile output_attentions output_hidden_states "
         "text_inputs num_workers batch_size framework model_kwargs trust_remote_code "
         "logits_processor adapter_names",
         "hone generate sees to it"),
};
const struct hn_rules hn_rules_generate = {generate, HN_COUNT(generate), NULL};

/* ---- mlx-lm ---------------------------------------------------------------------------------- */

static void parts(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v);

/* The arguments of mlx_lm's schedules, in their order. */
static const struct mlx_schedule {
    const char *name, *arguments[3];
} mlx_schedules[] = {
    {"cosine_decay", {"init", "decay_steps", "end"}},
    {"linear_schedule", {"init", "end", "steps"}},
    {"exponential_decay", {"init", "decay_rate", NULL}},
    {"step_decay", {"init", "decay_rate", "step_size"}},
};

/* {name, arguments, warmup, warmup_init}: hone's schedules of the same names. */
static void mlx_schedule(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    const struct hn_py_value *name = hn_py_value_get(v, "name");
    const char *warmup = hn_plan_value(m->plan, hn_py_value_get(v, "warmup"));
    const char *from = hn_plan_value(m->plan, hn_py_value_get(v, "warmup_init")), *items = "";
    const struct mlx_schedule *s = NULL;
    if (v->type == HN_PY_NONE) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
        return;
    }
    for (size_t i = 0; i < HN_COUNT(mlx_schedules); i++)
        if (hn_py_is_text(name, mlx_schedules[i].name))
            s = &mlx_schedules[i];
    if (!s) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone has mlx_lm's cosine_decay, linear_schedule, exponential_decay and "
                    "step_decay: the rate stays constant");
        return;
    }
    for (size_t i = 0; i < 3 && s->arguments[i]; i++) {
        const struct hn_py_value *at = hn_py_value_at(hn_py_value_get(v, "arguments"), i);
        const char *text = hn_plan_value(m->plan, at);
        if (text && at->type != HN_PY_NONE)
            items =
                hn_plan_text(m->plan, "%s%s%s=%s", items, *items ? "," : "", s->arguments[i], text);
    }
    if (from)
        items = hn_plan_text(m->plan, "%s%swarmup_init=%s", items, *items ? "," : "", from);
    hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, s->name, HONE_MIGRATE_CARRIED, "");
    if (*items)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, "lr_scheduler_kwargs", items,
                    HONE_MIGRATE_CARRIED, "its arguments; as in mlx_lm, init is the learning rate");
    if (warmup && hn_py_value_get(v, "warmup")->type == HN_PY_INT)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, "warmup_steps", warmup, HONE_MIGRATE_CARRIED,
                    "");
}

static void betas(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    static const char *const keys[] = {"adam_beta1", "adam_beta2"};
    (void)rule;
    for (size_t i = 0; i < 2; i++) {
        const char *text = hn_plan_value(m->plan, hn_py_value_at(v, i));
        if (text)
            hn_plan_set(m->plan, place, HN_RANK_USUAL, keys[i], text, HONE_MIGRATE_CARRIED, "");
    }
}

static void mlx_optimizer(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    bool ours = text && (strcmp(text, "adam") == 0 || strcmp(text, "adamw") == 0 ||
                         strcmp(text, "sgd") == 0);
    hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, ours ? text : "adamw",
                ours ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED,
                ours ? "" : "hone has Adam, AdamW and SGD: the run will differ");
}

static void fine_tune_type(struct hn_migrator *m, const struct hn_rule *rule,
                           const struct hn_place *place, const struct hn_py_value *v)
{
    bool lora = hn_py_is_text(v, "lora");
    bool full = hn_py_is_text(v, "full");
    if (full || hn_py_is_text(v, "dora")) {
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, full ? "full" : "dora",
                    HONE_MIGRATE_CARRIED, "");
        return;
    }
    hn_plan_row(m->plan, place, lora ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                lora ? "what hone trains" : "hone trains LoRA adapters");
}

static void scale_of(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (text)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED,
                    "the whole multiplier, in place of alpha/rank");
}

static const struct hn_rule mlx_lora[] = {
    CARRY("rank", "lora_rank"),       CALL("scale", "lora_scale", scale_of),
    CARRY("dropout", "lora_dropout"), CARRY("alpha", "lora_alpha"),
    CARRY("keys", "target_modules"),
};
static const struct hn_rule mlx_optimizer_part[] = {
    CALL("betas", NULL, betas),
    CARRY("eps", "adam_epsilon"),
    CARRY("weight_decay", "weight_decay"),
    CARRY("bias_correction", "bias_correction"),
    CARRY("momentum", "momentum"),
    CARRY("dampening", "dampening"),
    CARRY("nesterov", "nesterov"),
};
static const struct hn_rules rules_mlx_lora = {mlx_lora, HN_COUNT(mlx_lora), NULL};
static const struct hn_rules rules_mlx_optimizer = {mlx_optimizer_part,
                                                    HN_COUNT(mlx_optimizer_part), NULL};

/* The members of lora_parameters and of the chosen part of optimizer_config. */
static void parts(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    bool lora = strcmp(place->argument, "optimizer_config") != 0;
    const struct hn_py_value *chosen = v;
    if (!lora) {
        const char *name = hn_plan_get(m->plan, "optimizer");
        chosen = hn_py_value_get(v, name ? name : "adam");
    }
    (void)rule;
    if (!chosen || chosen->type != HN_PY_DICT) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "nothing in it for this run");
        return;
    }
    for (const struct hn_py_item *i = chosen->first; i; i = i->next) {
        const struct hn_place inner = {.call = place->call,
                                       .argument = hn_plan_text(m->plan, "%s.%.*s", place->argument,
                                                                (int)HN_MIN(i->key.n, (size_t)80),
                                                                i->key.p),
                                       .value = i->value,
                                       .cell = i->cell,
                                       .line = i->line};
        hn_rule_apply(m, hn_rule_find(lora ? &rules_mlx_lora : &rules_mlx_optimizer, i->key),
                      &inner, HN_RANK_USUAL);
    }
}

static void mlx_data(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    const char *slash = text ? strchr(text, '/') : NULL;
    bool hub = slash && slash != text && !strchr(slash + 1, '/') && text[0] != '.' && slash[1];
    if (!text || v->type != HN_PY_STR)
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
    else
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED,
                    hub ? "a folder; where it is a data set of a hub, write that to "
                          "train.jsonl and valid.jsonl in a folder first"
                        : "");
}

static const struct hn_rule mlx[] = {
    CALL("model", "model", model_name),
    CALL("data", "data", mlx_data),
    CARRY("adapter_path", "adapter_path"),
    CARRY("resume_adapter_file", "resume_adapter_file"),
    CARRY("batch_size", "batch_size"),
    CARRY("iters", "iters"),
    CARRY("val_batches", "val_batches"),
    CARRY("learning_rate", "learning_rate"),
    CARRY("steps_per_report", "steps_per_report"),
    CARRY("steps_per_eval", "steps_per_eval"),
    CARRY("save_every", "save_every"),
    CARRY("grad_accumulation_steps", "grad_accumulation_steps"),
    CARRY("max_seq_length", "max_seq_length"),
    CARRY("mask_prompt", "mask_prompt"),
    CARRY("seed", "seed"),
    CARRY("test_batches", "test_batches"),
    CALL("optimizer", "optimizer", mlx_optimizer),
    CALL("lr_schedule", "lr_scheduler_type", mlx_schedule),
    CALL("lora_parameters optimizer_config", NULL, parts),
    CALL("fine_tune_type", "fine_tune_type", fine_tune_type),
    CARRY("num_layers lora_layers", "num_layers"),
    AUTO("train", "hone train trains"),
    AUTO("test", "hone test measures the loss and what the model writes"),
    AUTO("grad_checkpoint", "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    AUTO("clear_cache_threshold trust_remote_code config", "without effect"),
    LOST("report_to project_name wandb", "None|none",
         "hone reports to no service: see metrics.jsonl"),
    LOST("hf_dataset", "None|False|{}",
         "hone loads no data set from a hub: write it to a .jsonl file, and give that as data"),
    LOST("prompt_feature", "prompt", "hone's key of a prompt is \"prompt\""),
    LOST("completion_feature", "completion", "hone's key of a completion is \"completion\""),
    LOST("text_feature", "text", "hone's key of a text is \"text\""),
    LOST("chat_feature", "messages", "hone's key of a conversation is \"messages\""),
};
const struct hn_rules hn_rules_mlx = {mlx, HN_COUNT(mlx), NULL};
