/* Configs that are data already: PEFT's and mlx-lm's adapter_config.json, mlx-lm's YAML. */
#include <string.h>
#include "migrate/script.h"

int hn_config_migrate(struct hn_plan *plan, const struct hn_py_value *config, bool mlx,
                      struct hone_err *err)
{
    struct hn_migrator m = {.plan = plan, .mlx = mlx, .lora = mlx ? NULL : config};
    const struct hn_rules *rules = mlx ? &hn_rules_mlx : &hn_rules_peft_file;
    const char *call = mlx ? "mlx_lm.lora" : "LoraConfig";
    for (int pass = 0; pass < 2; pass++) { /* the chosen optimizer says which part of its config */
        for (const struct hn_py_item *i = config->first; i; i = i->next) {
            bool late = hn_str_is(i->key, "optimizer_config");
            if (late != (pass == 1))
                continue;
            const char *name = hn_arena_dup(plan->arena, i->key.p, HN_MIN(i->key.n, (size_t)100));
            const struct hn_place place = {
                .call = call, .argument = name ? name : "", .value = i->value, .line = i->line};
            hn_rule_apply(&m, hn_rule_find(rules, i->key), &place, HN_RANK_USUAL);
        }
    }
    if (!mlx) {
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
