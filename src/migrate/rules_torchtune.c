/* torchtune's recipe YAML: components with their arguments, whose names are joined by dots here
 * (model.lora_rank), as in its command line. */
#include <string.h>
#include "migrate/rule_rows.h"
#include "migrate/script.h"

static const struct hn_py_value *at(const struct hn_migrator *m, const char *part, const char *key)
{
    return hn_py_value_get(hn_py_value_get(m->args, part), key);
}

/* What follows the last dot of a component: lora_llama3_2_1b. */
static struct hn_str component(const struct hn_py_value *v)
{
    return v && v->type == HN_PY_STR ? hn_py_last(v->text) : (struct hn_str){"", 0};
}

static bool begins(struct hn_str s, const char *with)
{
    return s.n >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0;
}

static void quantise(struct hn_migrator *m, const struct hn_place *place)
{
    static const char note[] = "torchao's NF4 there, bitsandbytes' here: blocks of 64 in both";
    hn_plan_set(m->plan, place, HN_RANK_USUAL, "load_in_4bit", "true", HONE_MIGRATE_CHANGED, note);
    hn_plan_set(m->plan, place, HN_RANK_USUAL, "bnb_4bit_quant_type", "nf4", HONE_MIGRATE_CHANGED,
                "");
    hn_plan_set(m->plan, place, HN_RANK_USUAL, "bnb_4bit_use_double_quant", "true",
                HONE_MIGRATE_CHANGED, "");
}

static void model(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    struct hn_str name = component(v);
    if (begins(name, "qlora_"))
        quantise(m, place);
    else if (begins(name, "lora_"))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "",
                    "what hone trains; the model is that of checkpointer.checkpoint_dir");
    else
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "full", HONE_MIGRATE_CARRIED,
                    "without an adapter, all weights are trained");
}

static void quantize_base(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    if (hn_py_truth(v) == 1)
        quantise(m, place);
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
}

/* torchtune's names of attention's layers; those of the feed-forward are told by a flag. */
static void attention(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    const struct hn_py_value *mlp = at(m, "model", "apply_lora_to_mlp");
    const char *names = "";
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        const char *name = hn_plan_value(m->plan, i->value);
        if (name)
            names = hn_plan_text(m->plan, "%s%s%s", names, *names ? "," : "",
                                 strcmp(name, "output_proj") == 0 ? "o_proj" : name);
    }
    if (mlp && hn_py_truth(mlp) == 1)
        names = hn_plan_text(m->plan, "%s%sgate_proj,up_proj,down_proj", names, *names ? "," : "");
    if (*names)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, names, HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
}

static void folder(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    const char *text = v->type == HN_PY_STR ? hn_plan_value(m->plan, v) : NULL;
    size_t n = text ? strlen(text) : 0;
    while (n > 1 && text[n - 1] == '/')
        n--;
    if (n)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key,
                    hn_plan_text(m->plan, "%.*s", (int)n, text), HONE_MIGRATE_CARRIED,
                    "the folder that tune download wrote; ORG/NAME does too (hone pull)");
    else
        hn_plan_unresolved(m->plan, place, rule->key, ", or give hone train --model");
}

static void files(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                  const struct hn_py_value *v)
{
    bool meta = hn_str_contains(component(v), "Meta");
    (void)rule;
    hn_plan_row(m->plan, place, meta ? HONE_MIGRATE_NOT_CARRIED : HONE_MIGRATE_AUTOMATIC, "",
                meta ? "Meta's own files: set model to a Hugging Face folder of the model"
                     : "hone reads Hugging Face folders");
}

static void optimizer(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    struct hn_str name = component(v);
    const char *ours = hn_str_contains(name, "8bit")  ? "adamw_8bit"
                       : hn_str_contains(name, "SGD") ? "sgd"
                       : hn_str_is(name, "Adam")      ? "adam"
                       : hn_str_ends(name, "AdamW")   ? "adamw"
                                                      : NULL;
    hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, ours ? ours : "adamw",
                ours ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED,
                ours ? "" : "hone has Adam, AdamW and SGD: the run will differ");
}

/* lr, weight_decay, betas … by torch's names. */
static void of_optimizer(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    const char *dot = strchr(place->argument, '.');
    (void)rule;
    (void)v;
    hn_rule_apply(m, dot ? hn_rule_find(&hn_rules_optimizer, hn_str_of(dot + 1)) : NULL, place,
                  HN_RANK_USUAL);
}

static void schedule(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    if (hn_str_is(component(v), "get_cosine_schedule_with_warmup"))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "cosine", HONE_MIGRATE_CARRIED, "");
    else if (v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set: the rate is constant");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "set lr_scheduler_type to what is nearest");
}

static void steps_an_epoch(struct hn_migrator *m, const struct hn_rule *rule,
                           const struct hn_place *place, const struct hn_py_value *v)
{
    const struct hn_py_value *epochs = hn_py_value_get(m->args, "epochs");
    if (v->type == HN_PY_NONE)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else if (v->type == HN_PY_INT && hn_rule_is_usual("1", epochs))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, hn_plan_value(m->plan, v),
                    HONE_MIGRATE_CARRIED, "of the one epoch");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone ends an epoch with its data: set max_steps to all steps, or cut the "
                    "file");
}

static void clip(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                 const struct hn_py_value *v)
{
    if (hn_rule_is_usual("None|inf", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "nothing is clipped");
    else
        hn_rule_apply(m, hn_rule_find(&hn_rules_training, hn_str_of(rule->key)), place,
                      HN_RANK_USUAL);
}

static void shuffle(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 0)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "false", HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "as in hone");
}

static void loss(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                 const struct hn_py_value *v)
{
    bool ours =
        hn_str_contains(component(v), "CE") || hn_str_contains(component(v), "CrossEntropy");
    (void)rule;
    hn_plan_row(m->plan, place, ours ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                ours ? "as in hone" : "hone trains by cross-entropy on texts");
}

static void logger(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    struct hn_str name = component(v);
    bool local = begins(name, "Disk") || begins(name, "Stdout");
    (void)rule;
    hn_plan_row(m->plan, place, local ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                local ? "see metrics.jsonl" : "hone reports to no service: see metrics.jsonl");
}

/* ---- data sets ------------------------------------------------------------------------------- */

/* The rows that a component is for. */
static const struct kind {
    const char *name, *source; /* NULL: it is told */
    bool masks;                /* the prompt, unasked */
    const char *note;
} kinds[] = {
    {"alpaca_dataset", "tatsu-lab/alpaca", false,
     "Alpaca rows, which hone words as Stanford did; torchtune puts that into a user's message"},
    {"alpaca_cleaned_dataset", "yahma/alpaca-cleaned", false,
     "Alpaca rows, which hone words as Stanford did; torchtune puts that into a user's message"},
    {"chat_dataset", NULL, true, "hone reads chats (messages, conversations) by their keys"},
    {"instruct_dataset", NULL, true,
     "rows of input and output: write them as prompt and completion, or as messages"},
    {"text_completion_dataset", NULL, false, "rows of text"},
    {"slimorca_dataset", "Open-Orca/SlimOrca-Dedup", true, "hone reads ShareGPT rows as chats"},
};
static const struct kind unknown_kind = {
    "", NULL, true, "a wording that hone does not have: write its rows as messages"};

static const struct kind *kind_of(const struct hn_py_value *set)
{
    struct hn_str name = component(hn_py_value_get(set, "_component_"));
    for (size_t i = 0; i < HN_COUNT(kinds); i++)
        if (hn_str_is(name, kinds[i].name))
            return &kinds[i];
    return &unknown_kind;
}

static void source(struct hn_migrator *m, const struct hn_place *place,
                   const struct hn_py_value *set)
{
    struct hn_plan *p = m->plan;
    const char *from = hn_plan_text_of(p, set, "source"),
               *file = hn_plan_text_of(p, set, "data_files");
    const char *split = hn_plan_text_of(p, set, "split"), *name = hn_plan_text_of(p, set, "name");
    from = from ? from : kind_of(set)->source;
    bool local = from && (strcmp(from, "json") == 0 || strcmp(from, "csv") == 0);
    if (local && file) {
        hn_files_add(p, &p->train, hn_data_locate(p, file));
        hn_plan_row(p, place, HONE_MIGRATE_CARRIED, "hone prepare --input", "");
    } else if (local || !from) {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "give its files to hone prepare --input");
    } else {
        hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                    hn_plan_text(p,
                                 "hone loads no data set from a hub: write it to a file first, "
                                 "with Python's datasets: %s",
                                 hn_hub_export(p, from, name, split ? split : "train", false)));
    }
}

static const char keys[] = "hone tells rows by their keys: rename it in the data";
static const struct hn_rule dataset_part[] = {
    AUTO("data_files split name conversation_style split_across_pack add_eos", "see source"),
    CALL("train_on_input", "mask_prompt", hn_rule_on_inputs),
    CALL("packed", "packing", hn_rule_by_name),
    LOST("column_map", "None|{}", keys),
    LOST("conversation_column", "messages|conversations", keys),
    LOST("column", "text", keys),
    LOST("new_system_prompt", "None", "hone adds no system message: write it into the rows"),
    LOST("filter_fn", "None", "hone runs no code: leave the rows out of the file"),
};
static const struct hn_rules rules_dataset = {dataset_part, HN_COUNT(dataset_part), NULL};

static void one_dataset(struct hn_migrator *m, const struct hn_place *place,
                        const struct hn_py_value *set, size_t n, bool list)
{
    struct hn_plan *p = m->plan;
    const struct kind *kind = kind_of(set);
    const char *call = list ? hn_plan_text(p, "dataset[%zu]", n) : "dataset";
    bool told = hn_py_value_get(set, "source") != NULL;
    for (const struct hn_py_item *i = set->first; i; i = i->next) {
        struct hn_place inner = *place;
        inner.argument =
            hn_plan_text(p, "%s.%.*s", call, (int)HN_MIN(i->key.n, (size_t)80), i->key.p);
        inner.value = i->value;
        inner.line = i->line;
        if (hn_str_is(i->key, "_component_")) {
            hn_plan_row(p, &inner,
                        kind == &unknown_kind ? HONE_MIGRATE_NOT_CARRIED : HONE_MIGRATE_CHANGED, "",
                        kind->note);
            inner.argument = hn_plan_text(p, "%s.source", call);
            if (!told)
                source(m, &inner, set);
        } else if (hn_str_is(i->key, "source")) {
            source(m, &inner, set);
        } else {
            hn_rule_apply(m, hn_rule_find(&rules_dataset, i->key), &inner, HN_RANK_USUAL);
        }
    }
    m->masks = m->masks || kind->masks;
}

static void datasets(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    size_t n = 0;
    (void)rule;
    if (v->type == HN_PY_DICT)
        one_dataset(m, place, v, 0, false);
    for (const struct hn_py_item *i = v->type == HN_PY_LIST ? v->first : NULL; i; i = i->next)
        one_dataset(m, place, i->value, n++, true);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const char machines[] = "hone trains on one machine";
static const char ours[] = "hone's own business";

static const struct hn_rule torchtune[] = {
    CALL("model._component_", "fine_tune_type", model),
    CALL("model.lora_attn_modules", "target_modules", attention),
    AUTO("model.apply_lora_to_mlp", "see lora_attn_modules"),
    LOST("model.apply_lora_to_output", "False",
         "hone adapts the linear layers of the blocks, not the output head"),
    CARRY("model.lora_rank", "lora_rank"),
    CARRY("model.lora_alpha", "lora_alpha"),
    CARRY("model.lora_dropout", "lora_dropout"),
    CARRY("model.use_dora", "use_dora"),
    CALL("model.quantize_base", NULL, quantize_base),
    CARRY("tokenizer.max_seq_len", "max_seq_length"),
    LOST("tokenizer.prompt_template", "None",
         "hone uses the chat template in the model's folder: write this one into a Jinja file, and "
         "give that as chat_template"),
    AUTO("tokenizer.*", "hone takes the tokenizer in the model's folder"),
    CALL("checkpointer.checkpoint_dir", "model", folder),
    CALL("checkpointer._component_", NULL, files),
    LOST("checkpointer.adapter_checkpoint", "None",
         "give the adapter's file as resume_adapter_file to go on from it"),
    AUTO("checkpointer.*", "see checkpointer.checkpoint_dir and output_dir"),
    CARRY("output_dir", "adapter_path"),
    LOST("resume_from_checkpoint", "False", "give hone train --resume"),
    AUTO("save_adapter_weights_only", "hone saves the adapter; hone fuse merges it"),
    CALL("dataset", NULL, datasets),
    LOST("dataset_val run_val_every_n_steps batch_size_val", "None",
         "give the rows to hone train --valid-data, with eval_strategy"),
    CARRY("seed", "seed"),
    CALL("shuffle", "shuffle", shuffle),
    CARRY("batch_size", "batch_size"),
    CARRY("epochs", "num_epochs"),
    CALL("max_steps_per_epoch", "max_steps", steps_an_epoch),
    CARRY("gradient_accumulation_steps", "grad_accumulation_steps"),
    CALL("clip_grad_norm", "max_grad_norm", clip),
    CALL("optimizer._component_", "optimizer", optimizer),
    CALL("optimizer.*", NULL, of_optimizer),
    CALL("lr_scheduler._component_ lr_scheduler", "lr_scheduler_type", schedule),
    CARRY("lr_scheduler.num_warmup_steps", "warmup_steps"),
    LOST("lr_scheduler.num_cycles", "0.5", "set lr_scheduler_kwargs: num_cycles=…"),
    CALL("loss._component_ loss", NULL, loss),
    AUTO("loss.*", "as in hone"),
    CALL("metric_logger._component_", NULL, logger),
    AUTO("metric_logger.* log_peak_memory_stats log_level", "of the log alone"),
    CARRY("log_every_n_steps", "steps_per_report"),
    AUTO("enable_activation_* ac_mode ac_option",
         "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    AUTO("device dtype compile low_cpu_ram cudnn_deterministic_mode collate_fn optimizer_in_bwd "
         "profiler.* profiler",
         ours),
    LOST("fsdp* tensor_parallel* custom_sharded_layers data_parallel* context_parallel*",
         "None|False|1|[]|{}", machines),
};
const struct hn_rules hn_rules_torchtune = {torchtune, HN_COUNT(torchtune), NULL};

/* ${output_dir}/x: with what that is in the config; what is not there is not known. */
static const struct hn_py_value *resolved(struct hn_migrator *m, const struct hn_py_value *v)
{
    const struct hn_py_node where = {.line = v->line, .source = v->text, .text = {"", 0}};
    const char *from = v->type == HN_PY_STR ? strstr(v->text.p, "${") : NULL;
    const char *end = from ? strchr(from, '}') : NULL;
    if (!from)
        return v;
    const char *key = end ? hn_plan_text(m->plan, "%.*s", (int)(end - from) - 2, from + 2) : "";
    const struct hn_py_value *to = hn_py_value_get(m->args, key);
    const char *text = to && to->type == HN_PY_STR ? hn_plan_value(m->plan, to) : NULL;
    text = text && !strchr(text, '$') ? hn_plan_text(m->plan, "%.*s%s%s", (int)(from - v->text.p),
                                                     v->text.p, text, end + 1)
                                      : NULL;
    struct hn_py_value *out = text && !strchr(text, '$')
                                  ? hn_py_value_str(m->plan->arena, text, strlen(text))
                                  : hn_py_value_new(m->plan->arena, HN_PY_UNKNOWN, &where);
    return out ? out : v;
}

static void one(struct hn_migrator *m, const char *name, const struct hn_py_item *i)
{
    const struct hn_place place = {.call = "torchtune",
                                   .argument = name,
                                   .value = resolved(m, i->value),
                                   .cell = i->cell,
                                   .line = i->line};
    hn_rule_apply(m, hn_rule_find(&hn_rules_torchtune, hn_str_of(name)), &place, HN_RANK_USUAL);
}

void hn_torchtune_migrate(struct hn_migrator *m, const struct hn_py_value *config)
{
    const struct hn_place end = {.call = "end token", .argument = ""};
    m->args = config;
    m->torchtune = true;
    struct hn_str name = component(at(m, "model", "_component_"));
    m->lora = begins(name, "lora_") || begins(name, "qlora_") ? config : NULL;
    for (const struct hn_py_item *i = config->first; i; i = i->next) {
        const char *key =
            hn_plan_text(m->plan, "%.*s", (int)HN_MIN(i->key.n, (size_t)100), i->key.p);
        bool parts = i->value->type == HN_PY_DICT && strcmp(key, "dataset") != 0;
        for (const struct hn_py_item *k = parts ? i->value->first : NULL; k; k = k->next) {
            const char *path =
                hn_plan_text(m->plan, "%s.%.*s", key, (int)HN_MIN(k->key.n, (size_t)100), k->key.p);
            if (!hn_py_value_find(config, path)) /* else it is overridden */
                one(m, path, k);
        }
        if (!parts)
            one(m, key, i);
    }
    hn_data_finish(m);
    hn_plan_set(m->plan, &end, HN_RANK_USUAL, "append_eos", "true", HONE_MIGRATE_CARRIED,
                "torchtune ends messages and texts with the end token");
}
