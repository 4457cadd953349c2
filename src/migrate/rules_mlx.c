/* mlx-lm's Python API: load, TrainingArgs, linear_to_lora_layers, train, its data sets, and the
 * optimizers of mlx. */
#include <string.h>
#include "migrate/rule_rows.h"

static const char own_tokenizer[] =
    "hone takes the tokenizer as the model's folder has it, and runs no code of a model";
static const char own_text[] = "rename that key in the data to hone's";

/* A path of text: Path("x") too. */
static const char *path_of(struct hn_migrator *m, const struct hn_py_value *v)
{
    const char *text = v && v->type == HN_PY_STR ? hn_plan_value(m->plan, v) : NULL;
    return text && *text ? text : NULL;
}

static void adapter_file(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = path_of(m, v), *slash = text ? strrchr(text, '/') : NULL;
    if (!text)
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
    else if (slash == text)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone writes adapters.safetensors into a folder: set adapter_path");
    else
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key,
                    slash ? hn_plan_text(m->plan, "%.*s", (int)(slash - text), text) : ".",
                    HONE_MIGRATE_CHANGED,
                    "the folder of that file, into which hone writes adapters.safetensors");
}

/* A number, or len(model.layers): all. */
static void num_layers(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (v->type == HN_PY_INT)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, v->integer > 0 ? text : "-1",
                    HONE_MIGRATE_CARRIED, v->integer > 0 ? "" : "all blocks");
    else if (v->source.n > 8 && memcmp(v->source.p, "len(", 4) == 0 &&
             hn_str_ends(v->source, "layers)"))
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "-1", HONE_MIGRATE_CARRIED,
                    "all blocks");
    else
        hn_plan_unresolved(m->plan, place, rule->key, " (-1 takes all blocks)");
}

static void lora_config(struct hn_migrator *m, const struct hn_rule *rule,
                        const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    if (v->type == HN_PY_DICT)
        hn_rule_apply(m, hn_rule_find(&hn_rules_mlx, hn_str_of("lora_parameters")), place,
                      HN_RANK_USUAL);
    if (v->type != HN_PY_DICT || v->open)
        hn_plan_unresolved(m->plan, place, "lora_rank", ", and lora_scale and lora_dropout");
}

static void use_dora(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 0)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "changes nothing");
    else if (hn_py_truth(v) == 1)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "dora", HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
}

static void val_dataset(struct hn_migrator *m, const struct hn_rule *rule,
                        const struct hn_place *place, const struct hn_py_value *v)
{
    m->evaluates = v->type != HN_PY_NONE;
    if (m->evaluates)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "the validation rows; see data");
    else
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "no", HONE_MIGRATE_CARRIED, "");
}

/* ---- learning rates -------------------------------------------------------------------------- */

/* cosine_decay(1e-5, 1000) as lr_schedule has it: {name, arguments}; NULL: no such schedule. */
static struct hn_py_value *schedule_of(struct hn_migrator *m, const struct hn_py_value *call)
{
    static const struct {
        const char *name, *arguments[3];
    } known[] = {
        {"cosine_decay", {"init", "decay_steps", "end"}},
        {"linear_schedule", {"init", "end", "steps"}},
        {"exponential_decay", {"init", "decay_rate", NULL}},
        {"step_decay", {"init", "decay_rate", "step_size"}},
    };
    struct hn_arena *arena = m->plan->arena;
    struct hn_str name = hn_py_last(call->path);
    const struct hn_py_node where = {.line = call->line, .text = {"", 0}};
    for (size_t i = 0; i < HN_COUNT(known); i++) {
        if (!hn_str_is(name, known[i].name))
            continue;
        struct hn_py_value *all = hn_py_value_new(arena, HN_PY_DICT, &where);
        struct hn_py_value *list = hn_py_value_new(arena, HN_PY_LIST, &where);
        for (size_t k = 0; list && k < 3 && known[i].arguments[k]; k++) {
            const struct hn_py_value *at = hn_py_value_get(call, known[i].arguments[k]);
            at = at ? at : hn_py_value_at(call, k);
            if (at && !hn_plan_value(m->plan, at))
                return NULL;
            if (at)
                hn_py_value_add(arena, list, (struct hn_str){0},
                                (struct hn_py_value *)(uintptr_t)at, &where);
        }
        struct hn_py_value *text = hn_py_value_str(arena, name.p, name.n);
        if (!all || !list || !text)
            return NULL;
        hn_py_value_add(arena, all, hn_str_of("name"), text, &where);
        hn_py_value_add(arena, all, hn_str_of("arguments"), list, &where);
        return all;
    }
    return NULL;
}

static void learning_rate(struct hn_migrator *m, const struct hn_rule *rule,
                          const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    const struct hn_py_value *s = NULL;
    if (v->type == HN_PY_OBJECT && hn_str_is(hn_py_last(v->path), "build_schedule"))
        s = hn_py_value_at(v, 0);
    else if (v->type == HN_PY_OBJECT)
        s = schedule_of(m, v);
    if (text) {
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED, "");
        return;
    }
    const struct hn_py_value *list =
        s && s->type == HN_PY_DICT && !s->open ? hn_py_value_get(s, "arguments") : NULL;
    const char *init = list ? hn_plan_value(m->plan, hn_py_value_at(list, 0)) : NULL;
    if (!init) {
        hn_plan_unresolved(m->plan, place, rule->key,
                           ", and lr_scheduler_type, lr_scheduler_kwargs and warmup_steps for its "
                           "schedule");
        return;
    }
    struct hn_place inner = *place;
    inner.value = s;
    hn_rule_apply(m, hn_rule_find(&hn_rules_mlx, hn_str_of("lr_schedule")), &inner, HN_RANK_USUAL);
    hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, init, HONE_MIGRATE_CARRIED, "");
}

/* ---- configs as Python objects --------------------------------------------------------------- */

/* types.SimpleNamespace(data="data", …), an own class of settings: mlx_lm.lora's names. */
static void members(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    (void)rule;
    if (m->mlx_args && hn_py_is_same(m->mlx_args, v)) {
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "see its own rows");
        return;
    }
    size_t n = 0;
    for (const struct hn_py_item *i = v->first; i; i = i->next) {
        if (!i->key.p)
            continue;
        const struct hn_place inner = {.call = place->call,
                                       .argument = hn_plan_text(m->plan, "%s.%.*s", place->argument,
                                                                (int)HN_MIN(i->key.n, (size_t)80),
                                                                i->key.p),
                                       .value = i->value,
                                       .cell = i->cell ? i->cell : place->cell,
                                       .line = i->line ? i->line : place->line};
        hn_rule_apply(m, hn_rule_find(&hn_rules_mlx, i->key), &inner, HN_RANK_USUAL);
        n++;
    }
    if (v->type == HN_PY_OBJECT)
        m->mlx_args = v;
    if (!n || v->open)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "what is in it, only a run would tell: set data, mask_prompt and the other "
                    "settings yourself");
}

static void folder(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    const char *text = path_of(m, v);
    if (text)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_unresolved(m->plan, place, rule->key, NULL);
}

static void hub(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                const struct hn_py_value *v)
{
    (void)rule;
    (void)v;
    hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                "hone loads no data set from a hub: write its splits to train.jsonl and "
                "valid.jsonl in a folder, with Python's datasets (.to_json), and give that as "
                "data");
}

static void name(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                 const struct hn_py_value *v)
{
    const char *text = path_of(m, v);
    if (text)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, text, HONE_MIGRATE_CARRIED, "");
    else
        hn_plan_unresolved(m->plan, place, rule->key, ", or give hone train --model");
}

/* ---- the tables ------------------------------------------------------------------------------ */

static const struct hn_rule load[] = {
    CALL("path_or_hf_repo", "model", name),
    LOST("tokenizer_config", "None|{}", own_tokenizer),
    LOST("model_config", "None|{}", "hone goes by the model's own config.json"),
    LOST("adapter_path", "None",
         "an adapter that is loaded first: give its file as resume_adapter_file to go on from it"),
    LOST("revision", "None|main", "hone takes the revision that is in the cache"),
    AUTO("lazy return_config trust_remote_code", "hone maps the weights, and runs no code of a "
                                                 "model"),
};
const struct hn_rules hn_rules_mlx_load = {load, HN_COUNT(load), NULL};

static const struct hn_rule arguments[] = {
    CARRY("batch_size", "batch_size"),
    CARRY("iters", "iters"),
    CARRY("val_batches", "val_batches"),
    CARRY("steps_per_report", "steps_per_report"),
    CARRY("steps_per_eval", "steps_per_eval"),
    CARRY("steps_per_save", "save_every"),
    CARRY("max_seq_length", "max_seq_length"),
    CALL("adapter_file", "adapter_path", adapter_file),
    AUTO("grad_checkpoint", "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    CARRY("grad_accumulation_steps", "grad_accumulation_steps"),
    AUTO("clear_cache_threshold", "without effect"),
};
const struct hn_rules hn_rules_mlx_arguments = {arguments, HN_COUNT(arguments), NULL};

static const struct hn_rule layers[] = {
    AUTO("model", "the model that is trained"),
    CALL("num_layers num_lora_layers", "num_layers", num_layers),
    CALL("config", NULL, lora_config),
    CALL("use_dora", "fine_tune_type", use_dora),
};
const struct hn_rules hn_rules_mlx_layers = {layers, HN_COUNT(layers), NULL};

static const struct hn_rule train[] = {
    AUTO("model optimizer opt args train_dataset train_set tokenizer", "see its own rows"),
    CALL("val_dataset valid_set", "eval_strategy", val_dataset),
    LOST("loss", "None", "hone's loss is cross-entropy, and it runs no code of the script"),
    LOST("iterate_batches", "None", "hone makes its own batches, as mlx_lm's own function does"),
    LOST("training_callback", "None",
         "hone calls no code of the script: the figures are in metrics.jsonl and report.html in "
         "the adapter path"),
};
const struct hn_rules hn_rules_mlx_train = {train, HN_COUNT(train), NULL};

static const struct hn_rule data[] = {
    AUTO("data dataset tokenizer model", "see its own rows"),
    CARRY("mask_prompt", "mask_prompt"),
    LOST("text_key", "text", own_text),
    LOST("chat_key", "messages", own_text),
    LOST("prompt_key", "prompt", own_text),
    LOST("completion_key", "completion", own_text),
    CALL("data_path", "data", folder),
    CALL("data_id", "data", hub),
    CALL("args config", NULL, members),
    AUTO("train_set valid_set test_set", "see its own rows"),
    LOST("training_callback", "None",
         "hone calls no code of the script: the figures are in metrics.jsonl and report.html in "
         "the adapter path"),
};
const struct hn_rules hn_rules_mlx_data = {data, HN_COUNT(data), NULL};

static const struct hn_rule optimizer[] = {
    CALL("learning_rate", "learning_rate", learning_rate),
};
const struct hn_rules hn_rules_mlx_optimizer = {optimizer, HN_COUNT(optimizer),
                                                &hn_rules_optimizer};

static const struct hn_rule generate[] = {
    AUTO("prompt verbose sampler logits_processors prompt_cache max_kv_size draft_model kv_bits "
         "kv_group_size quantized_kv_start prefill_step_size formatter",
         "hone generate sees to it"),
};
const struct hn_rules hn_rules_mlx_generate = {generate, HN_COUNT(generate), &hn_rules_generate};
