/* What a script leaves unsaid: the other system's defaults, where hone's are different. */
#include <string.h>
#include "conf/value.h"
#include "migrate/script.h"

static void put(struct hn_migrator *m, const char *call, const char *argument, const char *key,
                const char *text, const char *note)
{
    const struct hn_place place = {.call = call, .argument = argument};
    if (hn_plan_is_unresolved(m->plan, key))
        note = "the script's own value, which only a run would tell, goes here";
    if (!hn_plan_get(m->plan, key))
        hn_plan_set(m->plan, &place, HN_RANK_DEFAULT, key, text, HONE_MIGRATE_DEFAULT, note);
}

static bool is(const struct hn_migrator *m, const char *key, const char *text)
{
    const char *now = hn_plan_get(m->plan, key);
    return now && strcmp(now, text) == 0;
}

/* Does the script freeze weights itself? */
static bool freezes(const struct hn_migrator *m)
{
    for (const struct hn_py_attribute *a = m->program ? m->program->sets : NULL; a; a = a->next)
        if (hn_py_path_ends(a->path, "requires_grad") && hn_py_truth(a->value) == 0)
            return true;
    return false;
}

/* All weights are trained, where nothing says that an adapter is made somewhere else. */
static void no_adapter(struct hn_migrator *m)
{
    const struct hn_place place = {.call = "adapter", .argument = ""};
    const struct hn_call_info *info =
        m->model && m->model->type == HN_PY_OBJECT ? hn_call_find(m->model) : NULL;
    bool unsloth = info && info->kind == HN_C_UNSLOTH_MODEL;
    bool quantised = is(m, "load_in_4bit", "true") || is(m, "load_in_8bit", "true");
    if (hn_plan_get(m->plan, "fine_tune_type"))
        return;
    if (m->peft_given || m->peft_met || unsloth || quantised || !(m->trainer || m->args || m->loop))
        hn_plan_row(m->plan, &place, HONE_MIGRATE_CHANGED, "",
                    m->peft_given
                        ? "the adapter's config comes from a file or a function that is not read "
                          "here: hone trains LoRA with its own defaults until lora_rank, "
                          "lora_alpha, lora_dropout and target_modules are set"
                        : "no LoraConfig was found: hone trains a LoRA adapter (its own defaults), "
                          "not all weights");
    else
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "fine_tune_type", "full", HONE_MIGRATE_CARRIED,
                    freezes(m) ? "no adapter is made, but some weights are frozen: hone trains "
                                 "all, or those of the last num_layers blocks"
                               : "no adapter is made: all weights are trained; for an adapter, set "
                                 "fine_tune_type: lora");
}

static void lora(struct hn_migrator *m)
{
    const struct hn_call_info *info =
        m->lora && m->lora->type == HN_PY_OBJECT ? hn_call_find(m->lora) : NULL;
    bool unsloth = info && info->kind == HN_C_UNSLOTH_PEFT;
    const char *call = unsloth ? "get_peft_model" : "LoraConfig";
    if (!m->lora) {
        no_adapter(m);
        return;
    }
    if (m->trl) { /* ModelConfig's */
        put(m, "ModelConfig", "lora_r", "lora_rank", "16", "");
        put(m, "ModelConfig", "lora_alpha", "lora_alpha", "32.0", "");
        put(m, "ModelConfig", "lora_dropout", "lora_dropout", "0.05", "");
    }
    put(m, call, "r", "lora_rank", unsloth ? "16" : "8", "");
    put(m, call, "lora_alpha", "lora_alpha", unsloth ? "16.0" : "8.0", "");
    put(m, call, "lora_dropout", "lora_dropout", "0.0", "");
    if ((!hn_py_value_get(m->lora, "target_modules") &&
         !hn_py_value_get(m->lora, "lora_target_modules")) ||
        hn_plan_is_unresolved(m->plan, "target_modules"))
        put(m, call, "target_modules", "target_modules",
            unsloth ? "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj" : "q_proj,v_proj",
            unsloth ? "" : "what PEFT takes for Llama, Mistral, Qwen and Gemma models");
}

static void evaluation(struct hn_migrator *m, const char *call)
{
    const char *report = hn_plan_get(m->plan, "steps_per_report");
    put(m, call, "eval_strategy", "eval_strategy", "no", "");
    put(m, call, "save_strategy", "save_strategy", "steps", "");
    if (is(m, "eval_strategy", "steps"))
        put(m, call, "eval_steps", "steps_per_eval", report ? report : "500",
            "as many as logging_steps");
    if (!is(m, "eval_strategy", "no"))
        put(m, call, "per_device_eval_batch_size", "per_device_eval_batch_size", "8",
            "the validation loss is the mean of the means of its batches");
    if (is(m, "save_strategy", "steps"))
        put(m, call, "save_steps", "save_every", "500", "");
}

/* completion_only_loss of TRL since 0.17, when nothing is said: as the rows are. */
static void completions(struct hn_migrator *m)
{
    static const char *const told[] = {"completion_only_loss", "dataset_text_field",
                                       "formatting_func", "max_seq_length"};
    static const struct hn_place place = {.call = "SFTConfig", .argument = "completion_only_loss"};
    if (!m->sft || hn_plan_get(m->plan, "mask_prompt") || hn_py_value_get(m->trainer, "tokenizer"))
        return; /* a trainer with a tokenizer is of an older one */
    int found = hn_data_has(m->plan, "prompt", "completion");
    bool silent = false;
    for (size_t i = 0; i < HN_COUNT(told); i++)
        silent =
            silent || hn_py_value_get(m->args, told[i]) || hn_py_value_get(m->trainer, told[i]);
    if (found == 1 && !silent)
        put(m, "SFTConfig", "completion_only_loss", "mask_prompt", "true",
            "of rows of prompt and completion, as these are, TRL trains the completion alone");
    else if (found < 0 && !silent)
        hn_plan_row(m->plan, &place, HONE_MIGRATE_CHANGED, "",
                    "of rows of prompt and completion, TRL trains the completion alone: set "
                    "mask_prompt: true if yours are");
}

/* How TRL words rows of prompt and completion that are text; of no effect on others.  Older ones,
 * whose trainer has a tokenizer, make turns of them. */
static void wording(struct hn_migrator *m)
{
    static const struct hn_place place = {.call = "TRL", .argument = "conversations"};
    if (m->sft && !hn_py_value_get(m->trainer, "tokenizer") &&
        hn_data_has(m->plan, "prompt", "completion") != 0)
        put(m, "TRL", "prompt and completion", "plain_completions", "true",
            "TRL joins the texts of prompt and completion as they are, without chat template");
    if (m->sft && hn_data_has(m->plan, "conversations", "conversations") == 1)
        hn_plan_row(m->plan, &place, HONE_MIGRATE_CHANGED, "",
                    "TRL gives ShareGPT's roles to the chat template as they are (human, gpt); "
                    "hone makes user and assistant of them, which templates know");
}

static void training(struct hn_migrator *m)
{
    const struct hn_call_info *info = m->args ? hn_call_find(m->args) : NULL;
    bool sft_config =
        info ? info->kind == HN_C_SFT_ARGUMENTS : m->sft && (m->parsed_sft || !m->parsed);
    const char *call = info ? info->name : sft_config ? "SFTConfig" : "TrainingArguments";
    put(m, call, "output_dir", "adapter_path", "trainer_output", "");
    put(m, call, "learning_rate", "learning_rate", sft_config ? "2e-05" : "5e-05", "");
    put(m, call, "lr_scheduler_type", "lr_scheduler_type", "linear", "");
    put(m, call, "per_device_train_batch_size", "batch_size", "8", "");
    put(m, call, "gradient_accumulation_steps", "grad_accumulation_steps", "1", "");
    if (!hn_plan_get(m->plan, "max_steps"))
        put(m, call, "num_train_epochs", "num_epochs", "3.0", "");
    put(m, call, "optim", "optimizer", "adamw", "");
    put(m, call, "weight_decay", "weight_decay", "0.0", "");
    put(m, call, "max_grad_norm", "max_grad_norm", "1.0", "");
    put(m, call, "seed", "seed", "42", "");
    put(m, call, "logging_steps", "steps_per_report", sft_config ? "10" : "500", "");
    evaluation(m, call);
    completions(m);
    wording(m);
    put(m, m->sft && !sft_config ? "SFTTrainer" : call, "max_length", "max_seq_length", "1024",
        m->sft ? ""
               : "the script cuts no rows; hone cuts at this length, so raise it if yours are "
                 "longer");
}

/* What torch does where a loop of the script's own says nothing. */
static void loop(struct hn_migrator *m)
{
    const struct hn_place place = {.call = "loop", .argument = ""};
    const struct hn_py_program *program = m->program;
    bool gathers = false;
    for (size_t i = 0; i < program->n_moduli; i++)
        gathers = gathers || program->moduli[i] == program->loss_over;
    if (gathers && !hn_plan_get(m->plan, "grad_accumulation_steps"))
        hn_plan_set(m->plan, &place, HN_RANK_HINT, "grad_accumulation_steps",
                    hn_plan_text(m->plan, "%lld", (long long)program->loss_over),
                    HONE_MIGRATE_CHANGED,
                    "the loss is divided by that, and batches are counted in so many");
    hn_plan_row(m->plan, &place, HONE_MIGRATE_CHANGED, "",
                "a loop of the script's own is not run: see whether it gathers gradients over "
                "several batches (grad_accumulation_steps), evaluates or saves within "
                "(eval_strategy, save_strategy)");
    put(m, "optimizer", "lr", "learning_rate", "0.001", "");
    if (is(m, "optimizer", "adamw") || is(m, "optimizer", "adamw_8bit"))
        put(m, "optimizer", "weight_decay", "weight_decay", "0.01", "torch's and bitsandbytes'");
    if (is(m, "fine_tune_type", "full") && !is(m, "optimizer", "adam") && !m->decay_groups)
        put(m, "optimizer", "params", "decay_norms", "true",
            "all parameters are in one group, so norms and biases decay too");
    put(m, "DataLoader", "batch_size", "batch_size", "1", "");
    put(m, "loop", "", "max_grad_norm", "0.0", "nothing is clipped");
    if (!hn_plan_get(m->plan, "num_epochs") && m->all_steps)
        hn_plan_set(m->plan, &place, HN_RANK_HINT, "max_steps", m->all_steps, HONE_MIGRATE_CHANGED,
                    "what its schedule is made for");
    else if (!hn_plan_get(m->plan, "num_epochs") && !hn_plan_is_unresolved(m->plan, "num_epochs"))
        hn_plan_row(m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "how often it goes through the data, only a run would tell: set num_epochs");
    put(m, "loop", "", "max_seq_length", "1024",
        "the script cuts no rows; hone cuts at this length, so raise it if yours are longer");
}

/* mlx_lm.lora's CONFIG_DEFAULTS, from the option table. */
static void mlx(struct hn_migrator *m)
{
    char key[64];
    const struct hn_option *o;
    if (is(m, "optimizer", "adamw"))
        put(m, "mlx_lm.lora", "optimizer_config", "weight_decay", "0.01", "");
    for (size_t i = 0; (o = hn_option_at(i)); i++) {
        bool skipped = !o->mlx || !(o->commands & HN_BIT(HN_TRAIN)) ||
                       strcmp(o->name, "grad-checkpoint") == 0 ||
                       strcmp(o->name, "test-batches") == 0 ||
                       (strcmp(o->name, "lora-scale") == 0 && hn_plan_get(m->plan, "lora_alpha"));
        if (!skipped)
            put(m, "mlx_lm.lora", o->name, hn_option_key(o, key, sizeof key), o->mlx, "");
    }
}

/* What unsloth's loader does when it is told nothing else. */
static void unsloth_model(struct hn_migrator *m)
{
    static const char *const others[] = {"load_in_8bit", "load_in_16bit", "load_in_fp8",
                                         "full_finetuning"};
    const struct hn_call_info *info =
        m->model && m->model->type == HN_PY_OBJECT ? hn_call_find(m->model) : NULL;
    if (!info || info->kind != HN_C_UNSLOTH_MODEL || m->model->open)
        return;
    bool said = hn_call_argument(info, m->model, "load_in_4bit") != NULL;
    for (size_t i = 0; i < HN_COUNT(others); i++) {
        const struct hn_py_value *v = hn_py_value_get(m->model, others[i]);
        said = said || (v && !hn_rule_is_usual("False|None", v));
    }
    if (!said)
        put(m, "FastLanguageModel", "load_in_4bit", "load_in_4bit", "true", "");
    put(m, "FastLanguageModel", "max_seq_length", "max_seq_length", "2048", "");
}

/* BitsAndBytesConfig's default, that of TRL's ModelConfig, and what unsloth quantises to. */
static void quantisation(struct hn_migrator *m)
{
    const struct hn_call_info *info =
        m->lora && m->lora->type == HN_PY_OBJECT ? hn_call_find(m->lora) : NULL;
    bool unsloth = info && info->kind == HN_C_UNSLOTH_PEFT;
    unsloth_model(m);
    if (!is(m, "load_in_4bit", "true"))
        return;
    put(m,
        unsloth  ? "FastLanguageModel"
        : m->trl ? "ModelConfig"
                 : "BitsAndBytesConfig",
        "bnb_4bit_quant_type", "bnb_4bit_quant_type", unsloth || m->trl ? "nf4" : "fp4", "");
    if (unsloth)
        put(m, "FastLanguageModel", "bnb_4bit_use_double_quant", "bnb_4bit_use_double_quant",
            "true", "");
}

static bool given(const struct hn_migrator *m, const char *name)
{
    const struct hn_py_value *v = hn_py_value_get(m->args, name);
    return v && v->type != HN_PY_NONE;
}

/* axolotl's own, and those that it leaves to transformers and PEFT. */
static void axolotl(struct hn_migrator *m)
{
    static const char call[] = "axolotl";
    if (!m->lora)
        put(m, call, "adapter", "fine_tune_type", "full",
            "without an adapter, all weights are trained");
    if (m->lora && !hn_plan_get(m->plan, "target_modules") && !given(m, "lora_target_modules"))
        put(m, call, "lora_target_modules", "target_modules", "q_proj,v_proj",
            "what PEFT takes for Llama, Mistral, Qwen and Gemma models");
    if (m->lora)
        put(m, call, "lora_dropout", "lora_dropout", "0.0", "");
    put(m, call, "sequence_len", "max_seq_length", "512", "");
    put(m, call, "micro_batch_size", "batch_size", "1", "");
    put(m, call, "gradient_accumulation_steps", "grad_accumulation_steps", "1", "");
    if (!hn_plan_get(m->plan, "max_steps"))
        put(m, call, "num_epochs", "num_epochs", "1.0", "");
    put(m, call, "optimizer", "optimizer", "adamw", "");
    put(m, call, "weight_decay", "weight_decay", "0.0", "");
    put(m, call, "max_grad_norm", "max_grad_norm", "1.0", "");
    put(m, call, "lr_scheduler", "lr_scheduler_type", "cosine", "");
    if (!given(m, "warmup_steps") && !given(m, "warmup_ratio"))
        put(m, call, "warmup_ratio", "warmup_ratio", "0.03", "at most 100 steps there");
    if (!m->texts)
        put(m, call, "train_on_inputs", "mask_prompt", "true", "");
    put(m, call, "output_dir", "adapter_path", "model-out", "");
    put(m, call, "seed", "seed", "42", "");
    put(m, call, "eval_strategy", "eval_strategy", "no",
        m->evaluates ? "rows are held out, but nothing says when to evaluate on them" : "");
    put(m, call, "save_strategy", "save_strategy", "epoch", "");
    put(m, call, "save_total_limit", "save_total_limit", "4", "");
    if (is(m, "load_in_4bit", "true")) {
        put(m, call, "bnb_4bit_quant_type", "bnb_4bit_quant_type", "nf4", "");
        put(m, call, "bnb_4bit_use_double_quant", "bnb_4bit_use_double_quant", "true", "");
    }
}

/* LLaMA-Factory's own, before those that it leaves to transformers. */
static void llama_factory(struct hn_migrator *m)
{
    static const char call[] = "LLaMA-Factory";
    const struct hn_place packing = {.call = call, .argument = "packing"};
    const char *type = hn_plan_get(m->plan, "fine_tune_type");
    double rank;
    if (m->lora) {
        put(m, call, "lora_rank", "lora_rank", "8", "");
        const char *r = hn_plan_get(m->plan, "lora_rank");
        if (r && hn_text_float(r, strlen(r), &rank))
            put(m, call, "lora_alpha", "lora_alpha", hn_plan_text(m->plan, "%.17g", 2 * rank),
                "twice the rank");
        put(m, call, "lora_target", "target_modules", "all-linear", "");
    } else if (type && hn_py_is_text(hn_py_value_get(m->args, "finetuning_type"), "freeze")) {
        put(m, call, "freeze_trainable_layers", "num_layers", "2", "");
    }
    if (is(m, "load_in_4bit", "true")) {
        put(m, call, "quantization_type", "bnb_4bit_quant_type", "nf4", "");
        put(m, call, "double_quantization", "bnb_4bit_use_double_quant", "true", "");
    }
    if (!m->texts)
        put(m, call, "train_on_prompt", "mask_prompt", "true", "");
    else if (!given(m, "packing"))
        hn_plan_row(m->plan, &packing, HONE_MIGRATE_CHANGED, "",
                    "texts are joined there and cut into pieces of cutoff_len; hone trains each "
                    "by itself, and leaves out what is beyond max_seq_length: cut long ones up");
    put(m, call, "cutoff_len", "max_seq_length", "2048", "");
    if (m->evaluates)
        put(m, call, "eval_strategy", "eval_strategy", "no",
            "rows are held out, but nothing says when to evaluate on them");
    if (m->lora)
        lora(m);
    training(m);
}

/* torchtune's builders' and torch's; the recipe itself leaves nothing unsaid. */
static void torchtune(struct hn_migrator *m)
{
    static const char call[] = "torchtune";
    if (m->lora) {
        put(m, call, "model.lora_rank", "lora_rank", "8", "");
        put(m, call, "model.lora_alpha", "lora_alpha", "16.0", "");
        put(m, call, "model.lora_dropout", "lora_dropout", "0.0", "");
    }
    put(m, call, "optimizer.lr", "learning_rate", "0.001", "");
    if (is(m, "optimizer", "adamw") || is(m, "optimizer", "adamw_8bit"))
        put(m, call, "optimizer.weight_decay", "weight_decay", "0.01", "torch's");
    if (!m->lora)
        put(m, call, "optimizer", "decay_norms", "true", "all parameters decay there");
    put(m, call, "lr_scheduler", "lr_scheduler_type", "constant", "");
    put(m, call, "clip_grad_norm", "max_grad_norm", "0.0", "nothing is clipped");
    put(m, call, "log_every_n_steps", "steps_per_report", "1", "");
    put(m, call, "dataset.train_on_input", "mask_prompt", m->masks ? "true" : "false", "");
    put(m, call, "tokenizer.max_seq_len", "max_seq_length", "1024",
        "the recipe cuts no rows; hone cuts at this length, so raise it if yours are longer");
    put(m, call, "checkpointer", "save_strategy", "epoch", "");
    put(m, call, "dataset_val", "eval_strategy", "no", "");
}

void hn_defaults_apply(struct hn_migrator *m)
{
    if (m->mlx) {
        mlx(m);
        return;
    }
    if (m->axolotl) {
        axolotl(m);
        return;
    }
    if (m->torchtune) {
        torchtune(m);
        return;
    }
    if (m->llama_factory) {
        llama_factory(m);
        return;
    }
    lora(m);
    quantisation(m);
    if (m->trainer || m->args)
        training(m);
    else if (m->loop)
        loop(m);
}
