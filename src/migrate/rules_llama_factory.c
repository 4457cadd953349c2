/* LLaMA-Factory's YAML: its own names, then those that it hands on to transformers as they are. */
#include <string.h>
#include "migrate/rule_rows.h"
#include "migrate/script.h"

static void stage(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    (void)rule;
    if (hn_rule_is_usual("sft|pt", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    m->texts ? "rows of text, all of it trained" : "what hone trains");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone trains by cross-entropy on texts: neither preferences nor rewards");
}

static void finetuning_type(struct hn_migrator *m, const struct hn_rule *rule,
                            const struct hn_place *place, const struct hn_py_value *v)
{
    if (hn_rule_is_usual("full|freeze", v))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "full", HONE_MIGRATE_CARRIED,
                    hn_py_is_text(v, "full") ? "" : "of the last num_layers blocks alone");
    else if (hn_py_is_text(v, "lora"))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "what hone trains");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone trains LoRA adapters, or all weights");
}

static bool is_type(const struct hn_migrator *m, const char *name)
{
    const struct hn_py_value *type = hn_py_value_get(m->args, "finetuning_type");
    return type ? hn_py_is_text(type, name) : strcmp(name, "lora") == 0;
}

/* The last N blocks; below 0, the first. */
static void freeze_layers(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place, const struct hn_py_value *v)
{
    if (!is_type(m, "freeze"))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "of finetuning_type: freeze");
    else if (v->type == HN_PY_INT && v->integer > 0)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, hn_plan_value(m->plan, v),
                    HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone trains the last N blocks, or all");
}

/* "a, b" or [a, b] as a list of names. */
static struct hn_py_value *names_of(struct hn_migrator *m, const struct hn_py_value *v)
{
    const struct hn_py_node where = {.line = v->line, .text = {"", 0}};
    struct hn_arena *arena = m->plan->arena;
    struct hn_py_value *list = hn_py_value_new(arena, HN_PY_LIST, &where);
    for (const struct hn_py_item *i = v->type == HN_PY_LIST ? v->first : NULL; list && i;
         i = i->next)
        hn_py_value_add(arena, list, (struct hn_str){0}, i->value, &where);
    const char *p = v->type == HN_PY_STR ? v->text.p : "", *end = p + v->text.n;
    for (; list && p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p)), *next = comma ? comma + 1 : end;
        const char *last = comma ? comma : end;
        while (p < last && *p == ' ')
            p++;
        while (last > p && last[-1] == ' ')
            last--;
        struct hn_py_value *name = hn_py_value_str(arena, p, (size_t)(last - p));
        if (last > p && name)
            hn_py_value_add(arena, list, (struct hn_str){0}, name, &where);
        p = next;
    }
    return list;
}

static void target(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    struct hn_place inner = *place;
    inner.value = names_of(m, v);
    if (!inner.value)
        return;
    if (inner.value->n == 1 && hn_py_is_text(inner.value->first->value, "all"))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "all-linear", HONE_MIGRATE_CARRIED,
                    "");
    else
        hn_rule_apply(m, hn_rule_find(&hn_rules_lora, hn_str_of(rule->key)), &inner, HN_RANK_USUAL);
}

/* 0 and null are its default too, which stands with the others. */
static void alpha(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else
        hn_rule_apply(m, hn_rule_find(&hn_rules_lora, hn_str_of(rule->key)), place, HN_RANK_USUAL);
}

static void quantisation(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    const struct hn_py_value *method = hn_py_value_get(m->args, "quantization_method");
    bool bnb = !method || hn_rule_is_usual("bnb|bitsandbytes|None", method);
    (void)rule;
    if (v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
    else if (hn_rule_is_usual("4|8", v))
        hn_plan_set(m->plan, place, HN_RANK_USUAL,
                    v->integer == 4 ? "load_in_4bit" : "load_in_8bit", "true",
                    bnb ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED,
                    bnb ? "bitsandbytes' own codes, made while the model is loaded; files that "
                          "are quantised are used as they are"
                        : "bitsandbytes' codes in place of those of quantization_method");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "while it loads, hone quantises to 4 or 8 bits; files in 2 to 8 bits are "
                    "trained on as they are: hone convert makes them");
}

static void template(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    static const char own[] = "hone uses the chat template in the model's folder, which this one "
                              "stands for: lay hone prepare --preview beside LLaMA-Factory's "
                              "training example";
    if (m->texts || v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    m->texts ? "rows of text have no template"
                             : "hone uses the chat template in the model's folder");
    else if (hn_py_is_text(v, "chatml"))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "chatml", HONE_MIGRATE_CARRIED, "");
    else if (hn_rule_is_usual("alpaca|default|empty|fewshot|vicuna|zephyr|chatml_de", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "LLaMA-Factory's own template of that name: write it to a Jinja file, and give "
                    "that as chat_template");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_CHANGED, "",
                    hn_rule_is_usual("qwen3|deepseekr1", v)
                        ? hn_plan_text(m->plan,
                                       "%s; an answer without a thought gets an empty one there: "
                                       "write it into the rows",
                                       own)
                        : own);
}

static void rounds(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 1)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key,
                    strcmp(rule->key, "shuffle") == 0 ? "false" : "true", HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
}

/* A text is packed where nothing is said. */
static void packing(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    if (v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else
        hn_rule_apply(m, hn_rule_find(&hn_rules_sft, hn_str_of(rule->key)), place, HN_RANK_USUAL);
}

static void schedule(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    struct hn_place kwargs = *place;
    kwargs.argument = "lr_scheduler_kwargs";
    hn_rule_apply(m, hn_rule_find(&hn_rules_training, hn_str_of(rule->key)), place, HN_RANK_USUAL);
    if (hn_py_is_text(v, "warmup_stable_decay") && !hn_py_value_get(m->args, kwargs.argument))
        hn_plan_row(m->plan, &kwargs, HONE_MIGRATE_NOT_CARRIED, "",
                    "LLaMA-Factory holds the rate for a third of the steps after the warm-up, and "
                    "then lowers it: set num_stable_steps and num_decay_steps");
}

static void generation(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    (void)v;
    hn_rule_apply(m, hn_rule_find(&hn_rules_generate, hn_str_of(place->argument)), place,
                  HN_RANK_USUAL);
}

/* ---- data sets ------------------------------------------------------------------------------- */

/* What is wrong with the names in a group (columns, tags) of a data set: those that hone does not
 * read, to be renamed; "" when nothing is. */
static const char *renamed(struct hn_plan *p, const struct hn_py_value *group,
                           const char *const (*names)[2], size_t n)
{
    const char *text = "";
    for (size_t i = 0; i < n; i++) {
        const struct hn_py_value *v = hn_py_value_get(group, names[i][0]);
        const char *now = v && v->type == HN_PY_STR ? hn_plan_value(p, v) : NULL;
        size_t first = strcspn(names[i][1], "|");
        if (now && !hn_rule_is_usual(names[i][1], v))
            text =
                hn_plan_text(p, "%s%s%s to %.*s", text,
                             *text ? ", " : "; rename in the data: ", now, (int)first, names[i][1]);
    }
    return text;
}

/* The columns that a row of this kind has no place for. */
static const char *unread(struct hn_plan *p, const struct hn_py_value *columns, const char *names)
{
    const char *text = "";
    for (; *names; names += strcspn(names, " "), names += strspn(names, " ")) {
        char key[32] = "";
        memcpy(key, names, HN_MIN(strcspn(names, " "), sizeof key - 1));
        const char *now = hn_plan_text_of(p, columns, key);
        if (now)
            text = hn_plan_text(p, "%s%s%s", text, *text ? ", " : "; hone does not read ", now);
    }
    return text;
}

static const char *chat_note(struct hn_plan *p, const struct hn_py_value *set)
{
    static const char *const columns[][2] = {
        {"messages", "messages|conversations"}, {"system", "system"}, {"tools", "tools"}};
    static const char *const tags[][2] = {
        {"role_tag", "role|from"},         {"content_tag", "content|value"},
        {"user_tag", "user|human"},        {"assistant_tag", "assistant|gpt"},
        {"system_tag", "system"},          {"observation_tag", "tool|observation|function"},
        {"function_tag", "function_call"},
    };
    const struct hn_py_value *of = hn_py_value_get(set, "columns");
    const char *text = hn_plan_text(p, "%s%s%s", renamed(p, of, columns, HN_COUNT(columns)),
                                    renamed(p, hn_py_value_get(set, "tags"), tags, HN_COUNT(tags)),
                                    unread(p, of, "images videos audios"));
    return *text ? text + 2 : "";
}

static const char *alpaca_note(struct hn_plan *p, const struct hn_py_value *set)
{
    static const char *const columns[][2] = {
        {"prompt", "instruction"}, {"query", "input"}, {"response", "output"}};
    const struct hn_py_value *of = hn_py_value_get(set, "columns");
    const char *text =
        hn_plan_text(p, "%s%s%s", renamed(p, of, columns, HN_COUNT(columns)),
                     of && !hn_py_value_get(of, "query") ? "; LLaMA-Factory leaves out input" : "",
                     unread(p, of, "system history tools images videos audios"));
    return *text ? text + 2 : "";
}

static bool is_alpaca(const struct hn_py_value *set)
{
    const struct hn_py_value *form = hn_py_value_get(set, "formatting");
    return !form || hn_rule_is_usual("alpaca|None", form);
}

static void file_row(struct hn_migrator *m, const struct hn_place *place,
                     const struct hn_py_value *set, const char *file, bool valid)
{
    static const char *const texts[][2] = {{"prompt", "text"}};
    struct hn_plan *p = m->plan;
    const char *note;
    if (!hn_ends_with(file, ".json") && !hn_ends_with(file, ".jsonl") &&
        !hn_ends_with(file, ".csv")) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone prepare takes files of .jsonl, .json, .csv and .tsv, one by one: convert "
                    "others, with Python's datasets: load_dataset(…).to_json(…)");
        return;
    }
    if (m->texts)
        note = renamed(p, hn_py_value_get(set, "columns"), texts, HN_COUNT(texts));
    else
        note = is_alpaca(set) ? alpaca_note(p, set) : chat_note(p, set);
    note += strspn(note, "; ");
    hn_files_add(p, valid ? &p->valid : &p->train, hn_data_locate(p, file));
    hn_plan_row(p, place, *note ? HONE_MIGRATE_CHANGED : HONE_MIGRATE_CARRIED,
                valid ? "valid_data" : "hone prepare --input", note);
}

static void hub_row(struct hn_migrator *m, const struct hn_place *place,
                    const struct hn_py_value *set, const char *name, bool valid)
{
    struct hn_plan *p = m->plan;
    const char *split = hn_plan_text_of(p, set, "split");
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(p,
                             "hone loads no data set from a hub: write it to a file first, with "
                             "Python's datasets: %s",
                             hn_hub_export(p, name, hn_plan_text_of(p, set, "subset"),
                                           split ? split : "train", valid)));
}

/* An entry of dataset_info.json. */
static void entry(struct hn_migrator *m, struct hn_place *place, const struct hn_py_value *set,
                  const char *folder, bool valid)
{
    struct hn_plan *p = m->plan;
    const char *file = hn_plan_text_of(p, set, "file_name"),
               *hub = hn_plan_text_of(p, set, "hf_hub_url");
    const struct hn_py_value *some = hn_py_value_get(set, "num_samples");
    hub = hub ? hub : hn_plan_text_of(p, set, "ms_hub_url");
    hub = hub ? hub : hn_plan_text_of(p, set, "om_hub_url");
    if (hn_py_truth(hn_py_value_get(set, "ranking")) == 1)
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "rows of preferences, which hone does not train on");
    else if (hub)
        hub_row(m, place, set, hub, valid);
    else if (file && file[0] == '/')
        file_row(m, place, set, file, valid);
    else if (file)
        file_row(m, place, set, hn_plan_text(p, "%s/%s", folder, file), valid);
    else
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "made by a script, or in a cloud: write its rows to a file, and give that to "
                    "hone prepare --input");
    if (some && some->type == HN_PY_INT) {
        place->argument = hn_plan_text(p, "%s.num_samples", place->argument);
        place->value = some;
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "so many rows at random: cut the file the same way");
    }
}

static const char alpaca_form[] =
    "LLaMA-Factory words Alpaca rows as chats in its template, hone in Stanford Alpaca's form; for "
    "chats, write them first: jq -c '.[] | {messages: [{role: \"user\", content: ([.instruction, "
    ".input] | map(select(. != null and . != \"\")) | join(\"\\n\"))}, {role: \"assistant\", "
    "content: .output}]}' FILE.json > FILE-chats.jsonl";

static void datasets(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *at = hn_py_value_get(m->args, "dataset_dir"), *info = NULL;
    bool valid = strcmp(place->argument, "eval_dataset") == 0;
    const struct hn_py_value *names = names_of(m, v);
    const char *folder = at && at->type == HN_PY_STR ? hn_plan_value(p, at) : "data";
    bool online = folder && strcmp(folder, "ONLINE") == 0, alpaca = false;
    (void)rule;
    if (!names || !folder)
        return;
    if (!online)
        info = hn_values_read(p, hn_plan_text(p, "%s/dataset_info.json", folder));
    for (const struct hn_py_item *i = names->first; i; i = i->next) {
        const char *name = hn_plan_value(p, i->value);
        if (!name)
            continue;
        struct hn_place inner = *place;
        inner.argument = hn_plan_text(p, "%s.%s", place->argument, name);
        inner.value = i->value;
        const struct hn_py_value *set = online ? NULL : hn_py_value_get(info, name);
        alpaca = alpaca || (!m->texts && (online || set) && is_alpaca(set));
        if (online)
            hub_row(m, &inner, NULL, name, valid);
        else if (set && set->type == HN_PY_DICT)
            entry(m, &inner, set, folder, valid);
        else
            hn_plan_row(p, &inner, HONE_MIGRATE_NOT_CARRIED, "",
                        hn_plan_text(p,
                                     "%s/dataset_info.json, which says what it is, %s: give its "
                                     "file to hone prepare --input",
                                     folder, info ? "has no such name" : "is not here"));
    }
    if (alpaca)
        hn_plan_row(p, place, HONE_MIGRATE_CHANGED, "", alpaca_form);
    m->evaluates = m->evaluates || valid;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const char other_stage[] = "of stages that hone does not train";
static const char off[] = "without effect where its method is off";
static const char ours[] = "hone's own business";
static const char losses[] = "hone's loss is cross-entropy: the run will differ";
static const char optimizers[] = "hone has AdamW and SGD: the run will differ";
static const char machines[] = "hone trains on one machine";
static const char start[] = "hone starts as PEFT does by default: the run will begin elsewhere";

static const struct hn_rule llama_factory[] = {
    CALL("model_name_or_path", "pretrained_model_name_or_path", hn_rule_by_name),
    CALL("model_revision", "revision", hn_rule_by_name),
    CALL("stage", NULL, stage),
    CALL("finetuning_type", "fine_tune_type", finetuning_type),
    CARRY("lora_rank", "lora_rank"),
    CALL("lora_alpha", "lora_alpha", alpha),
    CARRY("lora_dropout", "lora_dropout"),
    CALL("lora_target", "target_modules", target),
    CALL("use_dora", "use_dora", hn_rule_by_name),
    CALL("use_rslora", "use_rslora", hn_rule_by_name),
    CALL("additional_target", "modules_to_save", hn_rule_by_name),
    LOST("loraplus_lr_ratio", "None", "hone has one learning rate for all of an adapter"),
    LOST("pissa_init", "False", start),
    LOST("adapter_name_or_path", "None",
         "give the adapter's file as resume_adapter_file to go on from it"),
    LOST("create_new_adapter", "False", "fuse the adapter into the model first (hone fuse)"),
    CALL("freeze_trainable_layers", "num_layers", freeze_layers),
    LOST("freeze_trainable_modules", "all", "hone trains all weights of a block"),
    LOST("freeze_extra_modules", "None", "beside the last blocks, hone trains nothing"),
    CALL("quantization_bit", NULL, quantisation),
    CARRY("quantization_type", "bnb_4bit_quant_type"),
    CARRY("double_quantization", "bnb_4bit_use_double_quant"),
    AUTO("quantization_method", "see quantization_bit"),
    CALL("template", "chat_template", template),
    CALL("dataset eval_dataset", NULL, datasets),
    AUTO("dataset_dir", "see dataset"),
    {.names = "cutoff_len",
     .action = HN_ACT_CARRY,
     .key = "max_seq_length",
     .note = "of a row that is too long LLaMA-Factory cuts prompt and answer each, in proportion; "
             "hone cuts the end"},
    CALL("train_on_prompt", "mask_prompt", hn_rule_on_inputs),
    CALL("mask_history", "train_last_turn", rounds),
    CALL("disable_shuffling", "shuffle", rounds),
    LOST("max_samples", "None", "so many rows of each data set: cut the files the same way"),
    CALL("val_size", NULL, hn_rule_held_out),
    LOST("eval_on_each_dataset", "False", "hone evaluates on one set of rows"),
    LOST("mix_strategy", "concat", "hone takes all rows, shuffled: the rows will differ"),
    LOST("interleave_probs", "None", "hone takes all rows, shuffled: the rows will differ"),
    CALL("packing", "packing", packing),
    CALL("neat_packing", "packing", hn_rule_by_name),
    LOST("default_system", "None", "hone adds no system message: write it into the rows"),
    LOST("tool_format", "None", "tools are worded by the chat template in the model's folder"),
    AUTO("enable_thinking preserve_thinking", "see template"),
    CALL("lr_scheduler_type", "lr_scheduler_type", schedule),
    CARRY("early_stopping_steps", "early_stopping_patience"),
    CALL("do_sample temperature top_p top_k num_beams max_new_tokens repetition_penalty", NULL,
         generation),
    AUTO("max_length length_penalty skip_special_tokens eval_num_beams", "of generation"),
    LOST("use_galore use_apollo use_badam use_adam_mini use_muon", "False", optimizers),
    LOST("use_dft_loss use_asft_loss use_eaft_loss", "False", losses),
    LOST("moe_aux_loss_coef", "None", losses),
    LOST("use_llama_pro train_from_scratch shift_attn", "False", "hone trains the model as it is"),
    LOST("mixture_of_depths rope_scaling", "None", "hone goes by the model's own config.json"),
    LOST("resize_vocab split_special_tokens", "False",
         "hone takes the tokenizer as the model's folder has it"),
    LOST("add_tokens add_special_tokens new_special_tokens_config", "None",
         "hone takes the tokenizer as the model's folder has it"),
    LOST("compute_accuracy", "False", "hone test measures what the model writes"),
    LOST("use_swanlab", "False", "hone reports to no service: see metrics.jsonl"),
    LOST("use_mca use_hyper_parallel use_kt", "False", machines),
    LOST("fp8", "False", "hone computes in its own classes (compute)"),
    AUTO("plot_loss include_effective_tokens_per_second",
         "report.html has the curves and the speed"),
    AUTO("galore_* apollo_* badam_* asft_alpha eaft_alpha loraplus_lr_embedding pissa_iter "
         "pissa_convert oft_* module_dropout swanlab_* fp8_* hyper_parallel_args kt_* "
         "init_special_tokens adapter_folder",
         off),
    AUTO("pref_* dpo_* kto_* simpo_* ppo_* ref_model* reward_model* ld_alpha", other_stage),
    AUTO("pure_bf16 upcast_layernorm upcast_lmhead_output",
         "hone computes as exactly as float32 whatever the weights are stored in"),
    AUTO("flash_attn", "hone's attention is its own"),
    AUTO("disable_gradient_checkpointing use_reentrant_gc use_unsloth_gc",
         "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    AUTO("use_unsloth enable_liger_kernel use_v1_kernels low_cpu_mem_usage offload_folder "
         "use_kv_cache print_param_status quantization_device_map device_map",
         ours),
    AUTO("use_fast_tokenizer", "hone's tokenizer is its own, with the same ids"),
    AUTO("cache_dir hf_hub_token ms_hub_token om_hub_token", "of the download"),
    AUTO("trust_remote_code", "hone runs no code of a model"),
    AUTO("overwrite_cache preprocessing_* streaming buffer_size tokenized_path "
         "data_shared_file_system ignore_pad_token_for_loss",
         "hone encodes rows as it reads them, and pads nothing"),
    AUTO("image_* video_* audio_* use_audio_in_video crop_to_patches media_dir freeze_vision_tower "
         "freeze_multi_modal_projector freeze_language_model",
         "hone trains language models"),
    AUTO("infer_* vllm_* sglang_* export_* enable_torch_profiler profiler_* profile_modules",
         "not of the training"),
    AUTO("ray_* resources_per_worker placement_strategy master_addr master_port", machines),
};
const struct hn_rules hn_rules_llama_factory = {llama_factory, HN_COUNT(llama_factory),
                                                &hn_rules_training};

void hn_llama_factory_migrate(struct hn_migrator *m, const struct hn_py_value *config)
{
    const struct hn_place end = {.call = "end token", .argument = ""};
    double steps;
    m->args = config;
    m->llama_factory = true;
    m->lora = is_type(m, "lora") ? config : NULL;
    m->texts = hn_py_is_text(hn_py_value_get(config, "stage"), "pt");
    m->schedule = hn_py_value_get(config, "lr_scheduler_type");
    m->warmup = hn_py_value_get(config, "warmup_steps");
    m->warmup = m->warmup && hn_py_is_number(m->warmup, &steps) && steps > 0 ? m->warmup : NULL;
    for (const struct hn_py_item *i = config->first; i; i = i->next) {
        const char *name = hn_arena_dup(m->plan->arena, i->key.p, HN_MIN(i->key.n, (size_t)100));
        const struct hn_place place = {.call = "LLaMA-Factory",
                                       .argument = name ? name : "",
                                       .value = i->value,
                                       .cell = i->cell,
                                       .line = i->line};
        hn_rule_apply(m, hn_rule_find(&hn_rules_llama_factory, i->key), &place, HN_RANK_USUAL);
    }
    hn_data_finish(m);
    hn_plan_set(m->plan, &end, HN_RANK_USUAL, "append_eos", "true", HONE_MIGRATE_CARRIED,
                "LLaMA-Factory ends texts, and answers by their template");
}
