#include "migrate/calls.h"

#include <string.h>

#define NOTE(n, f, why)                                                                            \
    {                                                                                              \
        .name = n, .kind = HN_C_NOTE, .fate = f, .note = why                                       \
    }
#define AUTO    HONE_MIGRATE_AUTOMATIC
#define LOST    HONE_MIGRATE_NOT_CARRIED
#define CHANGED HONE_MIGRATE_CHANGED

/* Of a loop; why: what it is told beside a trainer, or NULL. */
#define LOOP(n, k, r, p, why)                                                                      \
    {                                                                                              \
        .name = n, .kind = k, .rules = r, .positional = p, .fate = LOST, .note = why               \
    }

static const char arguments_set[] =
    "it sets arguments anew, which have rows of their own: set them in train.yaml";
static const char own[] = "a loop of the script's own: set learning_rate and weight_decay";
static const char adamw[] = "params lr betas eps weight_decay";
static const char schedule[] = "optimizer num_warmup_steps num_training_steps";
static const char parsed[] = "settings come from the command line of the script, or a file named "
                             "there: what it has as defaults is taken; give others to hone train";

/* By the last part of what is called, after the special cases in hn_call_find. */
static const struct hn_call_info table[] = {
    {.name = "BitsAndBytesConfig", .kind = HN_C_BNB, .rules = &hn_rules_bnb},
    {.name = "LoraConfig", .kind = HN_C_LORA, .rules = &hn_rules_lora},
    {.name = "get_peft_model",
     .kind = HN_C_GET_PEFT,
     .positional = "model peft_config",
     .fate = AUTO,
     .note = "hone train adds the adapter"},
    {.name = "TrainingArguments",
     .kind = HN_C_ARGUMENTS,
     .rules = &hn_rules_training,
     .positional = "output_dir"},
    {.name = "Seq2SeqTrainingArguments",
     .kind = HN_C_ARGUMENTS,
     .rules = &hn_rules_training,
     .positional = "output_dir"},
    {.name = "UnslothTrainingArguments",
     .kind = HN_C_SFT_ARGUMENTS,
     .rules = &hn_rules_sft,
     .positional = "output_dir"},
    {.name = "SFTConfig",
     .kind = HN_C_SFT_ARGUMENTS,
     .rules = &hn_rules_sft,
     .positional = "output_dir"},
    {.name = "Trainer",
     .kind = HN_C_TRAINER,
     .rules = &hn_rules_trainer,
     .positional = "model args data_collator train_dataset eval_dataset"},
    {.name = "Seq2SeqTrainer",
     .kind = HN_C_TRAINER,
     .rules = &hn_rules_trainer,
     .positional = "model args data_collator train_dataset eval_dataset"},
    {.name = "SFTTrainer",
     .kind = HN_C_SFT_TRAINER,
     .rules = &hn_rules_trainer,
     .positional = "model args data_collator train_dataset eval_dataset"},
    {.name = "UnslothTrainer",
     .kind = HN_C_SFT_TRAINER,
     .rules = &hn_rules_trainer,
     .positional = "model args data_collator train_dataset eval_dataset"},
    {.name = "EarlyStoppingCallback",
     .kind = HN_C_EARLY,
     .rules = &hn_rules_early,
     .positional = "early_stopping_patience early_stopping_threshold"},
    {.name = "DataCollatorForLanguageModeling",
     .kind = HN_C_COLLATOR,
     .fate = AUTO,
     .note = "hone makes its own batches: labels are the ids, shifted, and there is no padding"},
    {.name = "DataCollatorForCompletionOnlyLM", .kind = HN_C_COMPLETION_COLLATOR},
    {.name = "train_on_responses_only", .kind = HN_C_RESPONSES_ONLY, .rules = &hn_rules_responses},
    {.name = "load_dataset",
     .kind = HN_C_LOAD,
     .positional = "path name data_dir data_files split"},
    {.name = "from_json", .kind = HN_C_READ, .positional = "path"},
    {.name = "read_json", .kind = HN_C_READ, .positional = "path"},
    {.name = "open", .kind = HN_C_READ, .positional = "path mode"},
    {.name = "from_csv", .kind = HN_C_READ, .positional = "path"},
    {.name = "read_csv", .kind = HN_C_READ, .positional = "path"},
    {.name = "read_parquet", .kind = HN_C_FOREIGN, .positional = "path"},
    {.name = "from_parquet", .kind = HN_C_FOREIGN, .positional = "path"},
    {.name = "load_from_disk", .kind = HN_C_FOREIGN, .positional = "path"},
    {.name = "train_test_split", .kind = HN_C_SPLIT, .positional = "test_size train_size"},
    {.name = "random_split", .kind = HN_C_PARTS, .positional = "dataset lengths"},
    {.name = "row_slice", .kind = HN_C_SLICE, .positional = "start stop"},
    {.name = "map", .kind = HN_C_MAP, .positional = "function"},
    {.name = "ConstantLengthDataset",
     .kind = HN_C_PACK,
     .rules = &hn_rules_pack,
     .positional = "tokenizer dataset"},
    {.name = "setup_chat_format", .kind = HN_C_CHAT_FORMAT, .positional = "model tokenizer format"},
    {.name = "get_chat_template",
     .kind = HN_C_CHAT_FORMAT,
     .rules = &hn_rules_chat_format,
     .positional = "tokenizer chat_template"},
    {.name = "set_seed", .kind = HN_C_SET_SEED, .positional = "seed"},
    {.name = "seed_everything", .kind = HN_C_SET_SEED, .positional = "seed"},
    {.name = "apply_chat_template", .kind = HN_C_TEMPLATE},
    {.name = "generate",
     .kind = HN_C_GENERATE,
     .rules = &hn_rules_generate,
     .positional = "inputs"},
    {.name = "GenerationConfig", .kind = HN_C_GENERATE, .rules = &hn_rules_generate},
    {.name = "pipeline",
     .kind = HN_C_GENERATE,
     .rules = &hn_rules_generate,
     .positional = "task model"},
    {.name = "label_mask", .kind = HN_C_LABEL_MASK},

    NOTE("prepare_model_for_kbit_training", AUTO,
         "hone trains adapters over quantised weights as they are"),
    NOTE("prepare_model_for_int8_training", AUTO,
         "hone trains adapters over quantised weights as they are"),
    NOTE("gradient_checkpointing_enable", AUTO,
         "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    NOTE("enable_input_require_grads", AUTO, "of PyTorch's autograd"),
    NOTE("DataCollatorWithPadding", AUTO, "hone pads nothing"),
    NOTE("DataCollatorForSeq2Seq", AUTO, "hone makes its own batches, without padding"),
    NOTE("default_data_collator", AUTO, "hone makes its own batches, without padding"),
    NOTE("resize_token_embeddings", LOST,
         "hone trains no embeddings: new tokens would not be learnt"),
    NOTE("add_tokens", LOST, "hone takes the tokenizer as the model's folder has it"),
    NOTE("add_special_tokens", LOST, "hone takes the tokenizer as the model's folder has it"),
    NOTE("standardize_sharegpt", AUTO, "hone reads ShareGPT rows as chats"),
    NOTE("standardize_data_formats", AUTO, "hone reads ShareGPT rows as chats"),
    NOTE("to_sharegpt", LOST, "hone reads chat rows: write the merged ones to a .jsonl file"),
    NOTE("filter", LOST, "the data set is filtered: filter the .jsonl file the same way"),
    NOTE("trainer_class", LOST,
         "a trainer of the script's own: hone does not run what it does in its own way "
         "(compute_loss and the like)"),
    NOTE("set_training", LOST, arguments_set),
    NOTE("set_dataloader", LOST, arguments_set),
    NOTE("set_optimizer", LOST, arguments_set),
    NOTE("set_lr_scheduler", LOST, arguments_set),
    NOTE("set_evaluate", LOST, arguments_set),
    NOTE("set_save", LOST, arguments_set),
    NOTE("select", LOST, "only some rows are taken: cut the .jsonl file the same way"),
    NOTE("take", LOST, "only some rows are taken: cut the .jsonl file the same way"),
    NOTE("skip", LOST, "only some rows are taken: cut the .jsonl file the same way"),
    NOTE("merge_and_unload", AUTO, "hone applies the adapter without merging"),
    NOTE("save_pretrained", AUTO, "hone writes the adapter into adapter_path"),
    NOTE("save_model", AUTO, "hone writes the adapter into adapter_path"),
    NOTE("save_pretrained_merged", LOST, "hone train leaves an adapter, not a merged model"),
    NOTE("save_pretrained_gguf", LOST, "hone train leaves an adapter, not a merged GGUF"),
    NOTE("push_to_hub", LOST, "hone uploads nothing"),
    NOTE("push_to_hub_merged", LOST, "hone uploads nothing"),
    NOTE("push_to_hub_gguf", LOST, "hone uploads nothing"),
    NOTE("add_callback", LOST, "hone has early stopping, and no other callbacks"),
    {.name = "HfArgumentParser", .kind = HN_C_PARSER, .fate = LOST, .note = parsed},
    {.name = "TrlParser", .kind = HN_C_PARSER, .fate = LOST, .note = parsed},
    {.name = "ArgumentParser", .kind = HN_C_PARSER, .fate = LOST, .note = parsed},
    LOOP("Accelerator", HN_C_ACCELERATOR, &hn_rules_accelerator,
         "device_placement split_batches mixed_precision gradient_accumulation_steps",
         "hone trains on one machine"),
    LOOP("get_linear_schedule_with_warmup", HN_C_RATE, &hn_rules_rate, schedule,
         "a loop of the script's own: set lr_scheduler_type: linear and warmup_steps"),
    LOOP("get_cosine_schedule_with_warmup", HN_C_RATE, &hn_rules_rate, schedule,
         "a loop of the script's own: set lr_scheduler_type: cosine and warmup_steps"),
    LOOP("get_constant_schedule_with_warmup", HN_C_RATE, &hn_rules_rate, schedule,
         "a loop of the script's own: set warmup_steps"),
    LOOP("get_scheduler", HN_C_RATE, &hn_rules_rate,
         "name optimizer num_warmup_steps num_training_steps scheduler_specific_kwargs",
         "a loop of the script's own: set lr_scheduler_type and warmup_steps"),
    LOOP("AdamW", HN_C_OPTIMIZER, &hn_rules_optimizer, adamw, own),
    LOOP("PagedAdamW", HN_C_OPTIMIZER, &hn_rules_optimizer, adamw, own),
    LOOP("PagedAdamW32bit", HN_C_OPTIMIZER, &hn_rules_optimizer, adamw, own),
    LOOP("AdamW8bit", HN_C_OPTIMIZER, &hn_rules_optimizer, adamw, own),
    LOOP("PagedAdamW8bit", HN_C_OPTIMIZER, &hn_rules_optimizer, adamw, own),
    LOOP("Adam", HN_C_OPTIMIZER, &hn_rules_adam, adamw, own),
    LOOP("Adafactor", HN_C_OPTIMIZER, &hn_rules_optimizer, "params lr", own),
    LOOP("Lion", HN_C_OPTIMIZER, &hn_rules_optimizer, "params lr betas weight_decay", own),
    LOOP("RMSprop", HN_C_OPTIMIZER, &hn_rules_optimizer, "params lr", own),
    LOOP("SGD", HN_C_OPTIMIZER, &hn_rules_optimizer,
         "params lr momentum dampening weight_decay nesterov", own),
    LOOP("DataLoader", HN_C_LOADER, &hn_rules_batches, "dataset batch_size shuffle", NULL),
    LOOP("clip_grad_norm_", HN_C_CLIP, &hn_rules_clip, "parameters max_norm norm_type", NULL),
    LOOP("epoch_loop", HN_C_EPOCHS, &hn_rules_epochs, "times", NULL),
};

static const struct hn_call_info
    model =
        {"from_pretrained", HN_C_MODEL, &hn_rules_model, "pretrained_model_name_or_path", 0, NULL},
    tokenizer = {"Tokenizer.from_pretrained",
                 HN_C_TOKENIZER,
                 &hn_rules_tokenizer,
                 "pretrained_model_name_or_path",
                 0,
                 NULL},
    unsloth_model = {"FastLanguageModel.from_pretrained",
                     HN_C_UNSLOTH_MODEL,
                     &hn_rules_unsloth_model,
                     "model_name max_seq_length dtype load_in_4bit",
                     0,
                     NULL},
    unsloth_peft = {"FastLanguageModel.get_peft_model",
                    HN_C_UNSLOTH_PEFT,
                    &hn_rules_unsloth_lora,
                    "model r target_modules lora_alpha lora_dropout",
                    0,
                    NULL},
    peft_model = {"PeftModel.from_pretrained", HN_C_PEFT_MODEL, NULL, "model model_id", 0, NULL},
    model_config = {"AutoConfig.from_pretrained",
                    HN_C_MODEL_CONFIG,
                    NULL,
                    NULL,
                    AUTO,
                    "hone goes by the model's own config.json"},
    peft_config = {"PeftConfig.from_pretrained",
                   HN_C_NOTE,
                   NULL,
                   NULL,
                   AUTO,
                   "of an adapter that is there already; hone knows an adapter's base model"},
    pipe = {"pipeline", HN_C_GENERATE, &hn_rules_generate, "text_inputs", 0, NULL},
    tokenize = {"tokenizer", HN_C_TOKENIZE, &hn_rules_tokenize, "text", 0, NULL},
    resumed = {"train", HN_C_NOTE, NULL,
               NULL,    LOST,      "it goes on from a checkpoint: give hone train --resume"},
    other_peft = {"PEFT config", HN_C_OTHER_PEFT, NULL, NULL, LOST, "hone trains LoRA adapters"},
    other_trainer = {"preference training",
                     HN_C_OTHER_TRAINER,
                     NULL,
                     NULL,
                     LOST,
                     "hone trains by cross-entropy on texts: neither "
                     "preferences nor rewards"};

#define MLX(n, k, r, p)                                                                            \
    {                                                                                              \
        .name = n, .kind = k, .rules = r, .positional = p                                          \
    }
static const char mlx_loop[] = "a loop of the script's own is not run: set iters, batch_size, "
                               "max_seq_length and eval_strategy "
                               "as it has them; hone's loss is cross-entropy";

/* Of mlx_lm and mlx, by the last part of what is called. */
static const struct hn_call_info mlx_table[] = {
    MLX("load", HN_C_MLX_MODEL, &hn_rules_mlx_load,
        "path_or_hf_repo tokenizer_config model_config adapter_path lazy return_config revision"),
    MLX("TrainingArgs", HN_C_MLX_TRAIN, &hn_rules_mlx_arguments,
        "batch_size iters val_batches steps_per_report steps_per_eval steps_per_save "
        "max_seq_length adapter_file grad_checkpoint grad_accumulation_steps"),
    MLX("linear_to_lora_layers", HN_C_MLX_TRAIN, &hn_rules_mlx_layers,
        "model num_layers config use_dora"),
    MLX("train", HN_C_MLX_TRAIN, &hn_rules_mlx_train,
        "model optimizer train_dataset val_dataset args loss iterate_batches training_callback"),
    MLX("run", HN_C_MLX_TRAIN, &hn_rules_mlx_data, "args training_callback"),
    MLX("train_model", HN_C_MLX_TRAIN, &hn_rules_mlx_data,
        "args model train_set valid_set training_callback"),
    MLX("load_dataset", HN_C_MLX_PART, &hn_rules_mlx_data, "args tokenizer"),
    MLX("load_local_dataset", HN_C_MLX_PART, &hn_rules_mlx_data, "data_path tokenizer config"),
    MLX("load_hf_dataset", HN_C_MLX_PART, &hn_rules_mlx_data, "data_id tokenizer config"),
    MLX("load_custom_hf_dataset", HN_C_MLX_PART, &hn_rules_mlx_data, "args tokenizer"),
    MLX("create_dataset", HN_C_MLX_PART, &hn_rules_mlx_data, "data tokenizer config"),
    MLX("TextDataset", HN_C_MLX_PART, &hn_rules_mlx_data, "data tokenizer text_key"),
    MLX("ChatDataset", HN_C_MLX_PART, &hn_rules_mlx_data, "data tokenizer chat_key mask_prompt"),
    MLX("CompletionsDataset", HN_C_MLX_PART, &hn_rules_mlx_data,
        "data tokenizer prompt_key completion_key mask_prompt"),
    MLX("Adam", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate betas eps bias_correction"),
    MLX("AdamW", HN_C_MLX_PART, &hn_rules_mlx_optimizer,
        "learning_rate betas eps weight_decay bias_correction"),
    MLX("SGD", HN_C_MLX_PART, &hn_rules_mlx_optimizer,
        "learning_rate momentum weight_decay dampening nesterov"),
    MLX("Adafactor", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate"),
    MLX("Adamax", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate betas eps"),
    MLX("Lion", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate betas weight_decay"),
    MLX("Muon", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate"),
    MLX("RMSprop", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate"),
    MLX("Adagrad", HN_C_MLX_PART, &hn_rules_mlx_optimizer, "learning_rate"),
    MLX("seed", HN_C_SET_SEED, NULL, "seed"),
    MLX("generate", HN_C_GENERATE, &hn_rules_mlx_generate, "model tokenizer prompt"),
    MLX("stream_generate", HN_C_GENERATE, &hn_rules_mlx_generate, "model tokenizer prompt"),
    MLX("make_sampler", HN_C_GENERATE, &hn_rules_mlx_generate, "temp top_p min_p"),
    NOTE("value_and_grad", LOST, mlx_loop),
    NOTE("evaluate", AUTO, "hone test measures the loss"),
    NOTE("CacheDataset", AUTO, "hone encodes rows as it reads them"),
    NOTE("save_config", AUTO, "hone writes adapter_config.json itself"),
    NOTE("print_trainable_parameters", AUTO, "hone train says how many it trains"),
    NOTE("load_adapters", AUTO, "hone generate and hone test take the adapter's folder as --model"),
};

/* mlx itself has a load and a train of other things. */
static const struct hn_call_info *of_mlx(struct hn_str last, bool mlx_lm)
{
    for (size_t i = 0; i < HN_COUNT(mlx_table); i++)
        if (hn_str_is(last, mlx_table[i].name))
            return mlx_lm || mlx_table[i].rules == &hn_rules_mlx_optimizer ||
                           mlx_table[i].kind == HN_C_SET_SEED || hn_str_is(last, "value_and_grad")
                       ? &mlx_table[i]
                       : NULL;
    return NULL;
}

/* X of X.from_pretrained */
static struct hn_str owner_of(struct hn_str path)
{
    struct hn_str last = hn_py_last(path);
    if (last.n + 1 > path.n)
        return (struct hn_str){"", 0};
    return hn_py_last((struct hn_str){path.p, path.n - last.n - 1});
}

static const struct hn_call_info *loader(struct hn_str owner)
{
    if (hn_str_ends(owner, "Tokenizer") || hn_str_ends(owner, "TokenizerFast") ||
        hn_str_ends(owner, "Processor"))
        return &tokenizer;
    if (hn_str_ends(owner, "PeftConfig") || hn_str_ends(owner, "LoraConfig"))
        return &peft_config;
    if (hn_str_ends(owner, "Config"))
        return hn_str_is(owner, "GenerationConfig") ? NULL : &model_config;
    if (hn_str_contains(owner, "PeftModel"))
        return &peft_model;
    if (owner.n > 4 && memcmp(owner.p, "Fast", 4) == 0 && hn_str_ends(owner, "Model"))
        return &unsloth_model;
    if (hn_str_contains(owner, "Model") || hn_str_ends(owner, "LM") ||
        hn_str_contains(owner, "For"))
        return &model;
    return NULL;
}

/* tokenizer(…), tokenizer.encode(…), by what it was made of or by its name */
static bool is_tokenizer(const struct hn_py_value *call, struct hn_str last)
{
    static const char *const methods[] = {"__call__", "encode", "encode_plus", "batch_encode_plus"};
    if (hn_py_path_ends(call->path, "tokenizer") || hn_py_path_ends(call->path, "tok"))
        return true;
    struct hn_str owner = owner_of(call->path);
    for (size_t i = 0; i < HN_COUNT(methods); i++) {
        if (!hn_str_is(last, methods[i]))
            continue;
        return hn_str_ends(owner, "tokenizer") || (call->self && call->self->type == HN_PY_OBJECT &&
                                                   (hn_call_find(call->self) == &tokenizer ||
                                                    hn_call_find(call->self) == &unsloth_model));
    }
    return false;
}

static bool is_method(struct hn_str name)
{
    return hn_str_is(name, "filter") || hn_str_is(name, "select") || hn_str_is(name, "map") ||
           hn_str_is(name, "take") || hn_str_is(name, "skip");
}

const struct hn_call_info *hn_call_find(const struct hn_py_value *call)
{
    static const char *const trainers[] = {"DPOTrainer", "ORPOTrainer", "KTOTrainer",
                                           "PPOTrainer", "GRPOTrainer", "RewardTrainer",
                                           "CPOTrainer", "RLOOTrainer"};
    static const char *const configs[] = {
        "PrefixTuningConfig", "PromptTuningConfig", "PromptEncoderConfig",  "IA3Config",
        "AdaLoraConfig",      "LoHaConfig",         "LoKrConfig",           "VeraConfig",
        "OFTConfig",          "BOFTConfig",         "AdaptionPromptConfig", "BoneConfig"};
    struct hn_str last = hn_py_last(call->path), owner = owner_of(call->path);
    const struct hn_py_value *on =
        call->self && call->self->type == HN_PY_OBJECT ? call->self : NULL;
    if (call->type != HN_PY_OBJECT || !last.n || call->own)
        return NULL;
    if (on && hn_py_path_ends(on->path, "LLM")) /* vLLM's */
        return NULL;
    if ((call->path.n > 7 && memcmp(call->path.p, "mlx_lm.", 7) == 0) ||
        (call->path.n > 4 && memcmp(call->path.p, "mlx.", 4) == 0))
        return on || hn_str_is(owner, "load") ? NULL /* model.train(), of what was loaded */
                                              : of_mlx(last, call->path.p[3] == '_');
    if (on && hn_str_is(last, "__call__") && hn_py_path_ends(on->path, "pipeline"))
        return &pipe;
    if (hn_str_is(last, "from_pretrained"))
        return loader(owner);
    if (hn_str_is(last, "get_peft_model") && owner.n > 4 && memcmp(owner.p, "Fast", 4) == 0)
        return &unsloth_peft;
    if (hn_str_is(last, "train") && hn_py_value_get(call, "resume_from_checkpoint") &&
        !hn_rule_is_usual("None|False", hn_py_value_get(call, "resume_from_checkpoint")))
        return &resumed;
    for (size_t i = 0; i < HN_COUNT(trainers); i++)
        if (hn_str_is(last, trainers[i]))
            return &other_trainer;
    for (size_t i = 0; i < HN_COUNT(configs); i++)
        if (hn_str_is(last, configs[i]))
            return &other_peft;
    for (size_t i = 0; i < HN_COUNT(table); i++)
        if (hn_str_is(last, table[i].name)) /* Python's own filter() and map() are no data set's */
            return is_method(last) && !owner.n ? NULL : &table[i];
    return is_tokenizer(call, last) ? &tokenize : NULL;
}

const char *hn_call_positional(const struct hn_call_info *info, struct hn_arena *arena, size_t i)
{
    const char *names = info->positional ? info->positional : "";
    for (; *names; names += strcspn(names, " "), names += strspn(names, " "))
        if (i-- == 0)
            return hn_arena_dup(arena, names, strcspn(names, " "));
    return NULL;
}

const struct hn_py_value *hn_call_argument(const struct hn_call_info *info,
                                           const struct hn_py_value *call, const char *name)
{
    const struct hn_py_value *v = hn_py_value_get(call, name);
    const char *names = info->positional ? info->positional : "";
    size_t n = strlen(name), i = 0;
    for (; !v && *names; names += strcspn(names, " "), names += strspn(names, " "), i++)
        if (strcspn(names, " ") == n && memcmp(names, name, n) == 0)
            v = hn_py_value_at(call, i);
    return v;
}

static bool leads_to(const struct hn_py_value *v, const struct hn_py_value *call, unsigned depth,
                     size_t *budget)
{
    if (!v || depth > 30 || !*budget)
        return false;
    --*budget;
    if (hn_py_is_same(v, call))
        return true;
    if (v->self && v->self != v && leads_to(v->self, call, depth + 1, budget))
        return true;
    for (const struct hn_py_item *i = v->first; i; i = i->next)
        if (leads_to(i->value, call, depth + 1, budget))
            return true;
    return false;
}

bool hn_call_leads_to(const struct hn_py_value *v, const struct hn_py_value *call)
{
    size_t budget = 2000;
    return leads_to(v, call, 0, &budget);
}

const struct hn_py_value *hn_call_model_of(const struct hn_py_value *v)
{
    for (int steps = 0; v && steps < 50; steps++) {
        if (v->type != HN_PY_OBJECT)
            return v->type == HN_PY_STR ? v : NULL;
        const struct hn_call_info *info = hn_call_find(v);
        if (info && (info->kind == HN_C_MODEL || info->kind == HN_C_UNSLOTH_MODEL))
            return v;
        const struct hn_py_value *inner = hn_py_value_get(v, "model");
        inner = inner ? inner : hn_py_value_at(v, 0);
        v = inner ? inner : v->self != v ? v->self : NULL;
    }
    return NULL;
}
