/* TRL's YAML and JSON recipes (trl sft --config, alignment-handbook): ModelConfig and
 * ScriptArguments beside the settings of SFTConfig. */
#include <string.h>
#include "migrate/rule_rows.h"
#include "migrate/script.h"

static void use_peft(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    if (hn_py_truth(v) == 1)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "what hone trains");
    else
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "full", HONE_MIGRATE_CARRIED,
                    "without an adapter, all weights are trained");
}

static const char *text_or(struct hn_plan *p, const struct hn_py_value *config, const char *name,
                           const char *usual)
{
    const char *text = hn_plan_text_of(p, config, name);
    return text ? text : usual;
}

const char *hn_hub_export(struct hn_plan *p, const char *name, const char *config,
                          const char *split, bool valid)
{
    const char *slash = strrchr(name, '/');
    const char *file =
        hn_plan_text(p, "%s%s.jsonl", slash ? slash + 1 : name, valid ? "-valid" : "");
    hn_files_add(p, valid ? &p->valid : &p->train, file);
    return hn_plan_text(p, "load_dataset(\"%s\", %s%s%ssplit=\"%s\").to_json(\"%s\")", name,
                        config ? "\"" : "", config ? config : "", config ? "\", " : "", split,
                        file);
}

static void dataset(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *c = m->args, *eval = hn_py_value_get(c, "eval_strategy");
    const char *name = hn_plan_value(p, v);
    (void)rule;
    if (!name || v->type != HN_PY_STR) {
        hn_plan_row(p, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
        return;
    }
    const char *config = hn_plan_text_of(p, c, "dataset_config");
    const char *how =
        hn_hub_export(p, name, config, text_or(p, c, "dataset_train_split", "train"), false);
    if (eval && !hn_rule_is_usual("no|None", eval))
        how = hn_plan_text(
            p, "%s, and %s", how,
            hn_hub_export(p, name, config, text_or(p, c, "dataset_test_split", "test"), true));
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(p,
                             "hone loads no data set from a hub: write it to a file first, with "
                             "Python's datasets: %s",
                             how));
}

/* dataset_mixture: {datasets: [{id: …, split: …}]}, dataset_mixer: {NAME: part} */
static void mixture(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    struct hn_plan *p = m->plan;
    const struct hn_py_value *list = hn_py_value_get(v, "datasets");
    const char *how = "";
    (void)rule;
    if (!list && v->type == HN_PY_LIST)
        list = v;
    for (const struct hn_py_item *i = list ? list->first : v->first; i; i = i->next) {
        bool map = i->value->type == HN_PY_DICT;
        const char *name = map ? text_or(p, i->value, "id", hn_plan_text_of(p, i->value, "path"))
                           : i->key.p ? hn_arena_dup(p->arena, i->key.p, i->key.n)
                                      : NULL;
        const char *split = map ? text_or(p, i->value, "split", "train") : "train";
        bool test = strncmp(split, "test", 4) == 0 || strncmp(split, "val", 3) == 0;
        if (name)
            how = hn_plan_text(p, "%s%s%s", how, *how ? ", " : "",
                               hn_hub_export(p, name,
                                             map ? hn_plan_text_of(p, i->value, "config") : NULL,
                                             split, test));
    }
    hn_plan_row(p, place, HONE_MIGRATE_NOT_CARRIED, "",
                hn_plan_text(p,
                             "hone loads no data sets from a hub, and mixes files as they are: "
                             "write them to files first, with Python's datasets: %s",
                             how));
}

static const struct hn_rule trl[] = {
    CALL("model_name_or_path", "pretrained_model_name_or_path", hn_rule_by_name),
    CALL("model_revision", "revision", hn_rule_by_name),
    CALL("use_peft", "fine_tune_type", use_peft),
    CARRY("lora_r", "lora_rank"),
    CARRY("lora_alpha", "lora_alpha"),
    CARRY("lora_dropout", "lora_dropout"),
    CALL("lora_target_modules", "target_modules", hn_rule_by_name),
    CALL("lora_modules_to_save", "modules_to_save", hn_rule_by_name),
    CALL("lora_target_parameters", "target_parameters", hn_rule_by_name),
    CALL("lora_task_type", "task_type", hn_rule_by_name),
    CALL("use_rslora", "use_rslora", hn_rule_by_name),
    CALL("use_dora", "use_dora", hn_rule_by_name),
    CALL("use_bnb_nested_quant", "bnb_4bit_use_double_quant", hn_rule_by_name),
    CALL("dataset_name", NULL, dataset),
    CALL("dataset_mixture dataset_mixer datasets", NULL, mixture),
    AUTO("dataset_config dataset_train_split dataset_test_split dataset_splits dataset_configs",
         "see dataset_name"),
    AUTO("dataset_streaming preprocessing_num_workers ignore_bias_buffers gradient_accumulation",
         "hone encodes rows as it reads them"),
    LOST("chat_template", "None",
         "hone uses the chat template in the model's folder: write this one to a file, and give "
         "that as chat_template"),
    LOST("config", "None", "its settings are in that file: give it to hone migrate"),
    AUTO("tokenizer_name_or_path", "hone takes the tokenizer in the model's folder"),
    LOST("base_model_revision", "None|main", "hone takes the revision that is in the cache"),
    AUTO("system_prompt benchmarks callbacks wandb_entity wandb_project", "of the recipe's own"),
};
const struct hn_rules hn_rules_trl = {trl, HN_COUNT(trl), &hn_rules_sft};

void hn_trl_migrate(struct hn_migrator *m, const struct hn_py_value *config)
{
    const struct hn_rules *tables[] = {&hn_rules_trl, &hn_rules_model, &hn_rules_bnb};
    const struct hn_py_value *use = hn_py_value_get(config, "use_peft");
    bool adapter = use ? hn_py_truth(use) == 1 : hn_py_value_get(config, "lora_r") != NULL;
    const struct hn_place end = {.call = "end token", .argument = ""};
    m->args = config;
    m->lora = adapter ? config : NULL;
    m->sft = m->trl = true;
    m->schedule = hn_py_value_get(config, "lr_scheduler_type");
    for (const struct hn_py_item *i = config->first; i; i = i->next) {
        const struct hn_rule *rule = NULL;
        const char *name = hn_arena_dup(m->plan->arena, i->key.p, HN_MIN(i->key.n, (size_t)100));
        const struct hn_place place = {.call = "TRL",
                                       .argument = name ? name : "",
                                       .value = i->value,
                                       .cell = i->cell,
                                       .line = i->line};
        for (size_t k = 0; k < HN_COUNT(tables) && !rule; k++)
            rule = hn_rule_find(tables[k], i->key);
        hn_rule_apply(m, rule, &place, HN_RANK_USUAL);
    }
    hn_data_finish(m);
    hn_plan_set(m->plan, &end, HN_RANK_USUAL, "append_eos", "true", HONE_MIGRATE_CARRIED,
                "TRL ends rows of text, and of prompt and completion, with the end token");
}
