/* Configs that are data already: PEFT's and mlx-lm's adapter_config.json, mlx-lm's YAML, TRL's
 * recipes, axolotl's, LLaMA-Factory's and torchtune's YAML; and the names of those that are not
 * read. */
#include <string.h>
#include "migrate/script.h"

static bool has(const struct hn_py_value *config, const char *names)
{
    for (; *names; names += strcspn(names, " "), names += strspn(names, " ")) {
        char key[64] = "";
        memcpy(key, names, HN_MIN(strcspn(names, " "), sizeof key - 1));
        if (hn_py_value_find(config, key))
            return true;
    }
    return false;
}

int hn_config_find(const struct hn_plan *plan, const struct hn_py_value *config,
                   enum hn_config_kind *out, struct hone_err *err)
{
    static const struct {
        const char *all, *any; /* of all one, and of any one */
        const char *name;
    } others[] = {
        {"peft_config init_config kernel_config dist_config", "train_dataset model_class",
         "LLaMA-Factory's v1"},
        {"compute_environment distributed_type", "num_processes mixed_precision num_machines",
         "accelerate's"},
        {"zero_optimization train_micro_batch_size_per_gpu",
         "zero_optimization optimizer fp16 bf16", "DeepSpeed's"},
        {"architectures", "model_type hidden_size vocab_size", "a model's config.json, or its"},
    };
    static const char trl[] = "model_name_or_path dataset_name dataset_mixture dataset_mixer "
                              "output_dir per_device_train_batch_size num_train_epochs";
    static const char mlx[] =
        "model data iters lora_parameters num_layers lora_layers adapter_path "
        "fine_tune_type learning_rate optimizer batch_size";
    if (has(config, "base_model") &&
        has(config, "sequence_len micro_batch_size adapter datasets val_set_size")) {
        *out = HN_CONFIG_AXOLOTL;
        return 0;
    }
    if (has(config, "stage finetuning_type cutoff_len lora_target quantization_bit") &&
        has(config, "model_name_or_path")) {
        *out = HN_CONFIG_LLAMA_FACTORY;
        return 0;
    }
    if (hn_py_value_get(hn_py_value_get(config, "model"), "_component_")) {
        *out = HN_CONFIG_TORCHTUNE;
        return 0;
    }
    for (size_t i = 0; i < HN_COUNT(others); i++)
        if (has(config, others[i].all) && has(config, others[i].any))
            return hn_fail(err, HONE_FAILED,
                           "%s: this is %s config, which hone migrate does not read; it reads "
                           "mlx-lm's, TRL's, axolotl's, LLaMA-Factory's and torchtune's, PEFT's "
                           "adapter_config.json, scripts and notebooks (for this one, set hone "
                           "train's own options)",
                           plan->path, others[i].name);
    if (has(config, "peft_type") || (has(config, "target_modules") && !has(config, trl)))
        *out = HN_CONFIG_PEFT;
    else if (has(config, trl))
        *out = HN_CONFIG_TRL;
    else if (has(config, mlx))
        *out = HN_CONFIG_MLX;
    else
        return hn_fail(
            err, HONE_FAILED,
            "%s: a config with no setting of mlx-lm's, TRL's, axolotl's, LLaMA-Factory's, "
            "torchtune's or PEFT's that hone knows",
            plan->path);
    return 0;
}

static void rows(struct hn_migrator *m, const struct hn_py_value *config)
{
    const struct hn_rules *rules = m->mlx ? &hn_rules_mlx : &hn_rules_peft_file;
    const char *call = m->mlx ? "mlx_lm.lora" : "LoraConfig";
    for (int pass = 0; pass < 2; pass++) { /* the chosen optimizer says which part of its config */
        for (const struct hn_py_item *i = config->first; i; i = i->next) {
            bool late = hn_str_is(i->key, "optimizer_config");
            if (late != (pass == 1))
                continue;
            const char *name =
                hn_arena_dup(m->plan->arena, i->key.p, HN_MIN(i->key.n, (size_t)100));
            const struct hn_place place = {
                .call = call, .argument = name ? name : "", .value = i->value, .line = i->line};
            hn_rule_apply(m, hn_rule_find(rules, i->key), &place, HN_RANK_USUAL);
        }
    }
}

int hn_config_migrate(struct hn_plan *plan, const struct hn_py_value *config,
                      enum hn_config_kind kind, struct hone_err *err)
{
    bool peft = kind == HN_CONFIG_PEFT;
    struct hn_migrator m = {
        .plan = plan, .mlx = kind == HN_CONFIG_MLX, .lora = peft ? config : NULL};
    if (kind == HN_CONFIG_TRL)
        hn_trl_migrate(&m, config);
    else if (kind == HN_CONFIG_AXOLOTL)
        hn_axolotl_migrate(&m, config);
    else if (kind == HN_CONFIG_LLAMA_FACTORY)
        hn_llama_factory_migrate(&m, config);
    else if (kind == HN_CONFIG_TORCHTUNE)
        hn_torchtune_migrate(&m, config);
    else
        rows(&m, config);
    if (peft) {
        hn_data_finish(&m);
        const struct hn_place place = {.call = "training", .argument = ""};
        hn_plan_row(
            plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
            "an adapter's config says nothing of learning rate, batches or epochs: hone's own "
            "defaults hold");
    }
    hn_defaults_apply(&m);
    return plan->arena->failed ? hn_fail_memory(err, "reading the config") : 0;
}
