/* LoraConfig, unsloth's get_peft_model, PEFT's adapter_config.json. */
#include <string.h>
#include "migrate/adapter_targets.h"
#include "migrate/calls.h"
#include "migrate/rule_rows.h"

static bool is_plain(struct hn_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || (c == '.' && i + 1 < s.n && s.p[i + 1] != '*');
        if (!word)
            return false;
    }
    return s.n > 0;
}

static void not_told(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    if (v->type == HN_PY_STR)
        hn_targets_pattern(m, place, rule->key, v->text);
    else if (m->finds_linear)
        hn_plan_set(m->plan, place, HN_RANK_USUAL, rule->key, "all-linear", HONE_MIGRATE_CHANGED,
                    "the script has a function that looks for all linear layers, and its result "
                    "is taken to be what is meant");
    else
        hn_plan_unresolved(m->plan, place, rule->key,
                           " (all-linear takes every linear layer of the blocks)");
}

/* With layers_to_transform, the whole paths of what has an adapter: is it set, and can they be
 * told? */
static bool block_paths(struct hn_migrator *m, struct hn_py_value *out)
{
    const struct hn_py_value *blocks = hn_py_value_get(m->lora, "layers_to_transform");
    const struct hn_py_value *given = hn_py_value_get(m->lora, "target_modules");
    const struct hn_call_info *info =
        m->lora && m->lora->type == HN_PY_OBJECT ? hn_call_find(m->lora) : NULL;
    bool unsloth = info && info->kind == HN_C_UNSLOTH_PEFT;
    bool list = given && (given->type == HN_PY_LIST || given->type == HN_PY_TUPLE) && !given->open;
    *out = (struct hn_py_value){.type = HN_PY_LIST};
    if (!blocks || hn_rule_is_usual("None|[]", blocks))
        return false;
    if (!list && given && given->type != HN_PY_NONE)
        return false;
    return hn_targets_blocks(m->plan, list ? given : NULL, unsloth ? "all-linear" : "q_proj v_proj",
                             blocks, out);
}

static void targets(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    struct hn_plan *p = m->plan;
    bool list = v->type == HN_PY_LIST || v->type == HN_PY_TUPLE;
    struct hn_py_value paths;
    if ((list || v->type == HN_PY_NONE) && block_paths(m, &paths)) {
        hn_plan_set_list(p, place, HN_RANK_USUAL, rule->key, &paths, HONE_MIGRATE_CHANGED,
                         "by whole paths, for the blocks of layers_to_transform alone");
    } else if (v->type == HN_PY_NONE) {
        hn_plan_set(p, place, HN_RANK_USUAL, rule->key, "q_proj,v_proj", HONE_MIGRATE_CHANGED,
                    "what PEFT takes for Llama, Mistral, Qwen and Gemma models");
    } else if (v->type == HN_PY_STR && is_plain(v->text)) {
        hn_plan_set(p, place, HN_RANK_USUAL, rule->key, hn_plan_value(p, v), HONE_MIGRATE_CARRIED,
                    "");
    } else if (list && !v->open && v->n) {
        struct hn_py_value kept = {.type = HN_PY_LIST};
        for (const struct hn_py_item *i = v->first; i; i = i->next)
            if (!hn_rule_is_usual("lm_head|embed_tokens|embed_out|wte", i->value))
                hn_py_value_add(p->arena, &kept, (struct hn_str){0}, i->value, NULL);
        bool same = kept.n == v->n;
        hn_plan_set_list(
            p, place, HN_RANK_USUAL, rule->key, &kept,
            same ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED,
            same
                ? ""
                : "hone adapts the linear layers of the blocks, not embeddings or the output head");
    } else {
        not_told(m, rule, place, v);
    }
}

static void misnamed(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    const char *right = rule->key;
    if (!text)
        text = "";
    hn_plan_set(
        m->plan, place, HN_RANK_HINT, rule->key, text, HONE_MIGRATE_CHANGED,
        hn_plan_text(m->plan, "PEFT calls it %s, and fails at this name; taken as meant", right));
}

static void layers(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   const struct hn_py_value *v)
{
    const struct hn_py_value *given = hn_py_value_get(m->lora, "target_modules");
    struct hn_py_value paths;
    if (hn_rule_is_usual("None|[]", v))
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "all blocks, as in hone");
    else if (given && given->type == HN_PY_STR)
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "PEFT refuses it beside target_modules that are no list");
    else if (!block_paths(m, &paths))
        hn_plan_row(m->plan, place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone adapts all blocks, or the last N: set num_layers if these are the last");
    else if (given)
        hn_plan_row(m->plan, place, HONE_MIGRATE_CHANGED, "",
                    "target_modules names the layers of these blocks by their whole paths");
    else
        hn_plan_set_list(m->plan, place, HN_RANK_USUAL, rule->key, &paths, HONE_MIGRATE_CHANGED,
                         "PEFT's own layers, by whole paths, of these blocks alone");
}

static void base_model(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v)
{
    const char *text = hn_plan_value(m->plan, v);
    if (v->type == HN_PY_NONE || !text)
        hn_plan_row(m->plan, place, HONE_MIGRATE_AUTOMATIC, "", "not set");
    else
        hn_plan_set(m->plan, place, HN_RANK_HINT, rule->key, text, HONE_MIGRATE_CARRIED, "");
}

static void peft_type(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    bool lora = hn_rule_is_usual("LORA", v);
    hn_plan_row(m->plan, place, lora ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                lora ? "what hone trains" : "hone trains LoRA adapters");
}

static const char start[] = "hone starts as PEFT does by default: the run will begin elsewhere";

static const struct hn_rule lora[] = {
    CARRY("r", "lora_rank"),
    CARRY("lora_alpha", "lora_alpha"),
    CARRY("lora_dropout", "lora_dropout"),
    CALL("alpha", "lora_alpha", misnamed),
    CALL("dropout", "lora_dropout", misnamed),
    CALL("rank lora_r", "lora_rank", misnamed),
    CALL("target_modules", "target_modules", targets),
    CARRY("use_rslora", "use_rslora"),
    LOST("exclude_modules", "None|[]", "hone has no such list: name the wanted layers instead"),
    LOST("bias", "none", "hone trains no biases"),
    LOST("lora_bias", "False|None", "hone trains no biases"),
    LOST("modules_to_save", "None|[]",
         "hone trains adapters alone: these layers stay as they are, so new tokens would not be "
         "learnt"),
    CARRY("use_dora", "use_dora"),
    LOST("init_lora_weights", "True", start),
    LOST("loftq_config", "None|{}", start),
    LOST("eva_config corda_config lora_ga_config pissa_config", "None|{}", start),
    LOST("velora_config monteclora_config kasa_config arrow_config", "None|{}",
         "hone trains plain LoRA"),
    CALL("layers_to_transform", "target_modules", layers),
    LOST("layers_pattern", "None|[]||layers|[\"layers\"]",
         "the blocks of the models that hone reads are called layers: PEFT would find none in them "
         "by another name"),
    LOST("rank_pattern alpha_pattern", "None|{}", "hone has one rank and alpha for all layers"),
    LOST("trainable_token_indices", "None", "hone trains no embeddings"),
    LOST("target_parameters", "None|[]", "hone adapts linear layers, not bare parameters"),
    LOST("layer_replication", "None", "hone trains the model as it is"),
    LOST("alora_invocation_tokens", "None", "hone's adapter works on every token"),
    LOST("use_qalora use_bdlora", "False|None", "hone trains plain LoRA"),
    LOST("ensure_weight_tying", "False", "hone trains no embeddings"),
    AUTO("qalora_group_size", "without use_qalora it has no effect"),
    AUTO("fan_in_fan_out", "hone knows how the weights of its models lie"),
    AUTO("task_type", "hone trains causal language models"),
    AUTO("inference_mode auto_mapping peft_version revision runtime_config megatron_config "
         "megatron_core",
         "of PEFT's own bookkeeping"),
    CALL("base_model_name_or_path", "model", base_model),
    CALL("peft_type", NULL, peft_type),
};
const struct hn_rules hn_rules_lora = {lora, HN_COUNT(lora), NULL};
const struct hn_rules hn_rules_peft_file = {lora, HN_COUNT(lora), NULL};

static void unsloth_seed(struct hn_migrator *m, const struct hn_rule *rule,
                         const struct hn_place *place, const struct hn_py_value *v)
{
    (void)rule;
    const struct hn_py_value *seed = hn_py_value_get(m->args, "seed");
    bool same =
        seed && v->type == HN_PY_INT && seed->type == HN_PY_INT && v->integer == seed->integer;
    hn_plan_row(m->plan, place, same ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                same ? "the seed of the training arguments, as in hone"
                     : "hone has one seed; that of the training arguments is taken");
}

/* get_chat_template(mapping={"role": "from", "content": "value", "user": "human", …}) */
static void mapping(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                    const struct hn_py_value *v)
{
    (void)rule;
    bool known = v->type == HN_PY_NONE || (v->type == HN_PY_DICT && !v->open);
    for (const struct hn_py_item *i = known ? v->first : NULL; i; i = i->next)
        known = known && hn_rule_is_usual("role|from|content|value|user|human|assistant|gpt|system",
                                          i->value);
    hn_plan_row(m->plan, place, known ? HONE_MIGRATE_AUTOMATIC : HONE_MIGRATE_NOT_CARRIED, "",
                known
                    ? "hone reads both forms of chats by their keys"
                    : "hone knows role and content, from and value, and their usual roles: rename "
                      "others in the data");
}

/* Beside the template itself, which has its row. */
static const struct hn_rule chat_format[] = {
    CALL("mapping", NULL, mapping),
    LOST("map_eos_token", "True", "hone ends rows with the model's own end token"),
    LOST("system_message", "None", "hone adds no system message: write it into the rows"),
};
const struct hn_rules hn_rules_chat_format = {chat_format, HN_COUNT(chat_format), NULL};

static const struct hn_rule responses[] = {
    AUTO("instruction_part response_part", "hone knows the answers by the rows' roles and keys"),
    AUTO("num_proc tokenizer", "hone encodes rows as it reads them"),
    LOST("force_match last_response_only", "None|True|False",
         "hone trains all answers of a chat, or the last alone with train_last_turn"),
};
const struct hn_rules hn_rules_responses = {responses, HN_COUNT(responses), NULL};

static const struct hn_rule unsloth[] = {
    AUTO("model", "the model that is trained"),
    AUTO("use_gradient_checkpointing",
         "hone recomputes blocks where memory needs it (grad_checkpoint: auto)"),
    CALL("random_state", NULL, unsloth_seed),
    AUTO("max_seq_length", "of unsloth's kernels; the length is set where the model is loaded"),
    AUTO("temporary_location use_exact_model_name qat_scheme", "of unsloth's own working"),
    AUTO("finetune_language_layers finetune_attention_modules finetune_mlp_modules",
         "target_modules says which layers"),
    LOST("finetune_vision_layers finetune_audio_layers", "False", "hone trains language models"),
};
const struct hn_rules hn_rules_unsloth_lora = {unsloth, HN_COUNT(unsloth), &hn_rules_lora};
