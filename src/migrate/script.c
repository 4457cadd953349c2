#include "migrate/script.h"

#include <string.h>
#include "base/file.h"

static bool is_arguments(enum hn_call_kind kind)
{
    return kind == HN_C_ARGUMENTS || kind == HN_C_SFT_ARGUMENTS;
}

static bool is_lora(enum hn_call_kind kind)
{
    return kind == HN_C_LORA || kind == HN_C_UNSLOTH_PEFT;
}

/* ---- rows of one call ------------------------------------------------------------------------ */

static void call_row(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call, enum hone_migrate_fate fate, const char *note)
{
    const struct hn_place place = {
        .call = info->name, .argument = "", .value = call, .cell = call->cell, .line = call->line};
    hn_plan_row(m->plan, &place, fate, "", note);
}

/* Every argument by the table of its call; of one that is given twice, the last. */
static void arguments(struct hn_migrator *m, const struct hn_call_info *info,
                      const struct hn_py_value *call, enum hn_rank rank)
{
    size_t position = 0;
    for (const struct hn_py_item *i = call->first; i; i = i->next) {
        const char *name = NULL;
        if (i->key.p)
            name = hn_arena_dup(m->plan->arena, i->key.p, HN_MIN(i->key.n, (size_t)100));
        else
            name = hn_call_positional(info, m->plan->arena, position++);
        if (i->key.p && name && hn_py_value_find(call, name) != i)
            continue;
        const struct hn_place place = {
            .call = info->name,
            .argument = name ? name : "argument",
            .value = i->value,
            .cell = i->cell,
            .line = i->line,
        };
        const struct hn_rule *rule = name ? hn_rule_find(info->rules, hn_str_of(name)) : NULL;
        bool settings = is_arguments(info->kind) || is_lora(info->kind) || info->kind == HN_C_BNB;
        if (i->later && !rule && !settings)
            continue;               /* model.lm_head = …: see attributes() */
        if (!rule && call->space) { /* of a class made from TrainingArguments */
            hn_plan_row(m->plan, &place, HONE_MIGRATE_AUTOMATIC, "",
                        "a field of the script's own; where it is used has its own row");
            continue;
        }
        hn_rule_apply(m, rule, &place, rank);
    }
    if (call->open && info->kind != HN_C_GENERATE) { /* generate(**inputs): the prompt */
        call_row(m, info, call, HONE_MIGRATE_NOT_CARRIED,
                 "it is given more arguments than can be read without running it (** or *)");
    }
}

/* ---- what trains ----------------------------------------------------------------------------- */

static bool is_mlx(enum hn_call_kind kind)
{
    return kind == HN_C_MLX_MODEL || kind == HN_C_MLX_TRAIN || kind == HN_C_MLX_PART;
}

static bool is_trainer(enum hn_call_kind kind)
{
    return kind == HN_C_TRAINER || kind == HN_C_SFT_TRAINER;
}

/* The object that was passed, when it is one of the wanted kind, as the last reading knows it. */
static const struct hn_py_value *object(const struct hn_migrator *m, const struct hn_py_value *v,
                                        bool (*wanted)(enum hn_call_kind))
{
    const struct hn_call_info *info = v && v->type == HN_PY_OBJECT ? hn_call_find(v) : NULL;
    if (!info || !wanted(info->kind))
        return NULL;
    for (const struct hn_py_call *c = m->program->calls; c; c = c->next)
        if (hn_py_is_same(c->object, v))
            return c->object;
    return v;
}

static bool is_model(enum hn_call_kind kind)
{
    return kind == HN_C_MODEL || kind == HN_C_UNSLOTH_MODEL || kind == HN_C_MLX_MODEL;
}

/* HfArgumentParser((ModelArguments, SFTConfig)) */
static void parser(struct hn_migrator *m, const struct hn_py_value *v, unsigned depth)
{
    m->parsed_sft = m->parsed_sft || hn_py_path_ends(v->path, "SFTConfig");
    m->parsed = m->parsed || hn_py_path_ends(v->path, "TrainingArguments");
    for (const struct hn_py_item *i = depth < 4 ? v->first : NULL; i; i = i->next)
        parser(m, i->value, depth + 1);
}

static bool is_data(enum hn_call_kind kind)
{
    return kind == HN_C_LOAD || kind == HN_C_READ || kind == HN_C_FOREIGN || kind == HN_C_SPLIT ||
           kind == HN_C_SLICE || kind == HN_C_PARTS || kind == HN_C_MAP;
}

/* What the rules and the data have to know of the trainer before its rows are made. */
static void study_trainer(struct hn_migrator *m)
{
    if (!m->trainer)
        return;
    const struct hn_call_info *info = hn_call_find(m->trainer);
    const struct hn_py_value *eval = hn_call_argument(info, m->trainer, "eval_dataset");
    const struct hn_py_value *peft = hn_call_argument(info, m->trainer, "peft_config");
    const struct hn_py_value *train = hn_call_argument(info, m->trainer, "train_dataset");
    m->evaluates = (eval && hn_py_truth(eval) != 0) || m->trainer->open;
    m->peft_given = peft && hn_py_truth(peft) != 0;
    for (const struct hn_py_call *c = m->program->calls; c && train; c = c->next) {
        info = hn_call_find(c->object);
        if (info && (info->kind == HN_C_LOAD || info->kind == HN_C_READ))
            m->train_known = m->train_known || hn_call_leads_to(train, c->object);
    }
}

/* The trainer, and from it the arguments, the adapter and the model; else the last of each. */
static void choose(struct hn_migrator *m)
{
    const struct hn_py_value *args = NULL, *lora = NULL, *aside = NULL, *model = NULL, *peft = NULL;
    for (const struct hn_py_call *c = m->program->calls; c; c = c->next) {
        const struct hn_call_info *info = hn_call_find(c->object);
        if (!info)
            continue;
        if (is_trainer(info->kind) && !m->trainer)
            m->trainer = c->object;
        m->data_used = m->data_used || (is_data(info->kind) && !hn_py_is_unused(m->program, c));
        m->sft = m->sft || info->kind == HN_C_SFT_TRAINER || info->kind == HN_C_SFT_ARGUMENTS;
        m->collator = m->collator || info->kind == HN_C_COLLATOR;
        if (is_arguments(info->kind))
            args = c->object;
        if (is_lora(info->kind))
            *(c->object->shadow ? &aside : &lora) = c->object;
        if (info->kind == HN_C_PARSER)
            parser(m, c->object, 0);
        if (info->kind == HN_C_GET_PEFT || info->kind == HN_C_UNSLOTH_PEFT)
            peft = c->object;
        m->peft_met =
            m->peft_met || peft || info->kind == HN_C_PEFT_MODEL || info->kind == HN_C_OTHER_PEFT;
        if (!model && is_model(info->kind))
            model = c->object;
        m->loop = m->loop || info->kind == HN_C_OPTIMIZER;
        m->mlx_api =
            m->mlx_api || info->kind == HN_C_MLX_TRAIN || strcmp(info->name, "value_and_grad") == 0;
        if (info->kind == HN_C_LOADER &&
            (!m->loader || (hn_py_truth(hn_py_value_get(c->object, "shuffle")) == 1 &&
                            hn_py_truth(hn_py_value_get(m->loader, "shuffle")) != 1)))
            m->loader = c->object;
    }
    const struct hn_py_value *given = NULL, *config = NULL;
    if (m->trainer) {
        const struct hn_call_info *info = hn_call_find(m->trainer);
        m->args = object(m, hn_call_argument(info, m->trainer, "args"), is_arguments);
        config = object(m, hn_call_argument(info, m->trainer, "peft_config"), is_lora);
        given = hn_call_model_of(hn_call_argument(info, m->trainer, "model"));
    }
    if (peft && !config) {
        const struct hn_call_info *info = hn_call_find(peft);
        config = object(
            m, info->kind == HN_C_UNSLOTH_PEFT ? peft : hn_call_argument(info, peft, "peft_config"),
            is_lora);
        given = given ? given : hn_call_model_of(peft);
    }
    m->args = m->args ? m->args : args;
    m->loop = m->loop && !m->trainer && !m->args;
    m->mlx_api = m->mlx_api && !m->trainer && !m->args && !m->loop;
    m->lora = config ? config : lora ? lora : aside;
    if (given && given->type == HN_PY_OBJECT)
        given = object(m, given, is_model);
    m->model = given ? given : model;
    const struct hn_py_value *name = m->model;
    if (name && name->type == HN_PY_OBJECT) {
        const struct hn_call_info *info = hn_call_find(name);
        name = hn_call_argument(
            info, name, info->kind == HN_C_MODEL ? "pretrained_model_name_or_path" : "model_name");
    }
    m->model_name = name && name->type == HN_PY_STR ? hn_plan_value(m->plan, name) : NULL;
    study_trainer(m);
}

/* One of several that is not trained with. */
static bool passed_over(struct hn_migrator *m, const struct hn_call_info *info,
                        const struct hn_py_value *call, const struct hn_py_value *chosen)
{
    if (!chosen || hn_py_is_same(call, chosen))
        return false;
    call_row(m, info, call, HONE_MIGRATE_NOT_CARRIED,
             chosen->cell ? hn_plan_text(m->plan, "hone carries the one of cell %u, line %u",
                                         chosen->cell, chosen->line)
                          : hn_plan_text(m->plan, "hone carries the one of line %u", chosen->line));
    return true;
}

/* ---- the calls ------------------------------------------------------------------------------- */

/* Those arguments that have a rule; the call itself has its row. */
static void ruled(struct hn_migrator *m, const struct hn_call_info *info,
                  const struct hn_py_value *call)
{
    for (const struct hn_py_item *i = info->rules ? call->first : NULL; i; i = i->next) {
        const struct hn_rule *rule =
            i->key.p && !i->later ? hn_rule_find(info->rules, i->key) : NULL;
        const char *name = rule ? hn_arena_dup(m->plan->arena, i->key.p, i->key.n) : NULL;
        const struct hn_place place = {.call = info->name,
                                       .argument = name ? name : "",
                                       .value = i->value,
                                       .cell = i->cell,
                                       .line = i->line};
        if (name)
            hn_rule_apply(m, rule, &place, HN_RANK_USUAL);
    }
}

static void mask(struct hn_migrator *m, const struct hn_call_info *info,
                 const struct hn_py_value *call, const char *note)
{
    const struct hn_place place = {
        .call = info->name, .argument = "", .value = call, .cell = call->cell, .line = call->line};
    hn_plan_set(m->plan, &place, HN_RANK_FIRM, "mask_prompt", "true", HONE_MIGRATE_CHANGED, note);
    ruled(m, info, call);
}

static void set_seed(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    const struct hn_py_value *v = hn_call_argument(info, call, "seed");
    const char *text = hn_plan_value(m->plan, v);
    double x, y;
    const struct hn_place place = {
        .call = info->name, .argument = "seed", .value = v, .cell = call->cell, .line = call->line};
    const struct hn_py_value *seed = hn_py_value_get(m->args, "seed");
    if (seed ? hn_py_is_number(v, &x) && hn_py_is_number(seed, &y) && x == y
             : hn_str_ends(v->source, "args.seed"))
        hn_plan_row(m->plan, &place, HONE_MIGRATE_AUTOMATIC, "",
                    "the seed of the training arguments, as in hone");
    else if (text && v->type == HN_PY_INT && !seed)
        hn_plan_set(m->plan, &place, HN_RANK_HINT, "seed", text, HONE_MIGRATE_CARRIED,
                    "hone has one seed for order, dropout and the adapter's start");
    else
        hn_plan_row(m->plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                    "hone has one seed for order, dropout and the adapter's start");
}

static void tokenize(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    /* A prompt for generation is encoded as a tensor; rows for training are not. */
    const struct hn_py_value *text = hn_py_value_at(call, 0);
    bool prompt = hn_py_is_text(hn_py_value_get(call, "return_tensors"), "pt") &&
                  !hn_py_value_get(call, "max_length");
    if (prompt || call->n < 2 || (text && text->type == HN_PY_STR))
        call_row(m, info, call, HONE_MIGRATE_AUTOMATIC, "hone encodes texts itself");
    else
        arguments(m, info, call, HN_RANK_HINT);
}

static void template(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    const struct hn_py_value *own = hn_py_value_get(call, "chat_template");
    if (own && own->type != HN_PY_NONE)
        call_row(m, info, call, HONE_MIGRATE_NOT_CARRIED,
                 "a chat template of the script's own: write it to a file, and give that as "
                 "chat_template");
    else
        call_row(m, info, call, HONE_MIGRATE_AUTOMATIC,
                 "hone puts chat rows (messages, conversations) through the model's own template");
}

static void adapter(struct hn_migrator *m, const struct hn_call_info *info,
                    const struct hn_py_value *call)
{
    call_row(m, info, call, HONE_MIGRATE_AUTOMATIC,
             "hone generate and hone test take the adapter's folder as --model");
}

/* rows.map(make_text): the rows that are trained on are not those of the file */
static void map(struct hn_migrator *m, const struct hn_call_info *info,
                const struct hn_py_value *call)
{
    const struct hn_py_value *f = hn_call_argument(info, call, "function");
    const struct hn_place place = {
        .call = "map", .argument = "function", .value = f, .cell = call->cell, .line = call->line};
    if (!f || (f->type != HN_PY_UNKNOWN && f->type != HN_PY_OBJECT))
        return;
    for (size_t i = 0; i < m->plan->n_rows; i++) { /* once, of train and test rows alike */
        const struct hone_migrate_row *r = &m->plan->rows[i];
        if (strcmp(r->call, "map") == 0 && f->source.n == strlen(r->value) &&
            memcmp(r->value, f->source.p, f->source.n) == 0)
            return;
    }
    hn_plan_row(m->plan, &place, HONE_MIGRATE_CHANGED, "",
                "hone encodes rows itself, and words task, chat, Alpaca and prompt/completion "
                "rows; where this function words others, write what it makes to a file, with "
                ".to_json(…), and prepare that");
}

/* setup_chat_format(model, tokenizer), get_chat_template(tokenizer, chat_template="chatml") */
static void chat_format(struct hn_migrator *m, const struct hn_call_info *info,
                        const struct hn_py_value *call)
{
    bool sets_up = strcmp(info->name, "setup_chat_format") == 0;
    const struct hn_py_value *v =
        hn_call_argument(info, call, sets_up ? "format" : "chat_template");
    const struct hn_py_value *name = v && v->type == HN_PY_TUPLE ? hn_py_value_at(v, 0) : v;
    const struct hn_place place = {
        .call = info->name, .argument = "", .value = call, .cell = call->cell, .line = call->line};
    if ((sets_up && !v) || hn_rule_is_usual("chatml|zephyr|vicuna|alpaca", name))
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "chat_template",
                    v ? hn_plan_value(m->plan, name) : "chatml", HONE_MIGRATE_CHANGED,
                    sets_up ? "it also adds tokens and trains their embeddings; hone has no new "
                              "tokens, and words them from those that there are"
                            : "");
    else
        hn_plan_row(m->plan, &place, HONE_MIGRATE_CHANGED, "",
                    "hone uses the chat template in the model's folder; chat_template takes a "
                    "Jinja file, or chatml, zephyr, vicuna or alpaca");
    ruled(m, info, call);
}

/* The one of its kind that the run is made with; NULL: not known. */
static const struct hn_py_value *chosen_of(const struct hn_migrator *m, enum hn_call_kind kind)
{
    return is_model(kind)       ? m->model
           : is_lora(kind)      ? m->lora
           : is_arguments(kind) ? m->args
                                : m->trainer;
}

static void lora_aside(struct hn_migrator *m, const struct hn_call_info *info,
                       const struct hn_py_value *call)
{
    call_row(m, info, call, HONE_MIGRATE_CHANGED,
             "it stands in a branch that the script's defaults do not take, where all weights are "
             "trained; hone trains this adapter");
}

/* A model, adapter, arguments or trainer, of which the run has one. */
static void one_of_several(struct hn_migrator *m, const struct hn_call_info *info,
                           const struct hn_py_value *call)
{
    if (call->shadow && !hn_py_is_same(call, m->lora))
        return;
    if (call->shadow)
        lora_aside(m, info, call);
    if (!passed_over(m, info, call, chosen_of(m, info->kind)))
        arguments(m, info, call, HN_RANK_USUAL);
}

/* The optimizer that a call of the place's name makes; other: what is told of one that hone has
 * not. */
static void set_optimizer(struct hn_migrator *m, const struct hn_place *place, const char *other)
{
    const char *name = place->call, *ours = strstr(name, "8bit")        ? "adamw_8bit"
                                            : strcmp(name, "SGD") == 0  ? "sgd"
                                            : strcmp(name, "Adam") == 0 ? "adam"
                                            : strstr(name, "AdamW")     ? "adamw"
                                                                        : NULL;
    hn_plan_set(m->plan, place, HN_RANK_USUAL, "optimizer", ours ? ours : "adamw",
                ours ? HONE_MIGRATE_CARRIED : HONE_MIGRATE_CHANGED, ours ? "" : other);
}

/* Where the functions' own defaults are not those of mlx_lm.lora. */
static void mlx_unsaid(struct hn_migrator *m, const struct hn_call_info *info,
                       const struct hn_py_value *call)
{
    const struct hn_place rows = {.call = "train", .argument = "val_dataset"};
    const struct hn_place iters = {.call = "TrainingArgs", .argument = "iters"};
    bool train = strcmp(info->name, "train") == 0, args = strcmp(info->name, "TrainingArgs") == 0;
    if (call->open)
        return;
    if (train && !hn_call_argument(info, call, "val_dataset"))
        hn_plan_set(m->plan, &rows, HN_RANK_DEFAULT, "eval_strategy", "no", HONE_MIGRATE_DEFAULT,
                    "nothing is given to evaluate on");
    if ((args && !hn_call_argument(info, call, "iters")) ||
        (train && !hn_call_argument(info, call, "args") && !hn_plan_get(m->plan, "iters")))
        hn_plan_set(m->plan, &iters, HN_RANK_DEFAULT, "iters", "100", HONE_MIGRATE_DEFAULT, "");
}

/* A call of mlx-lm's API; beside another trainer, that one is carried. */
static void mlx_call(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    const struct hn_place place = {
        .call = info->name, .argument = "", .value = call, .cell = call->cell, .line = call->line};
    if (!m->mlx_api && info->kind == HN_C_MLX_MODEL) {
        call_row(m, info, call, HONE_MIGRATE_AUTOMATIC, "not what is trained here");
        return;
    }
    if (!m->mlx_api) {
        call_row(m, info, call, HONE_MIGRATE_NOT_CARRIED,
                 "of mlx-lm; hone carries what trains elsewhere in this file");
        return;
    }
    if (info->rules == &hn_rules_mlx_optimizer)
        set_optimizer(m, &place, "hone has Adam, AdamW and SGD: the run will differ");
    if (info->kind == HN_C_MLX_MODEL)
        one_of_several(m, info, call);
    else
        arguments(m, info, call, HN_RANK_USUAL);
    mlx_unsaid(m, info, call);
}

/* A part of a loop of the script's own; beside a trainer, its settings hold. */
static void own_loop(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    const struct hn_place place = {
        .call = info->name, .argument = "", .value = call, .cell = call->cell, .line = call->line};
    const char *name = info->name;
    if (!m->loop) {
        if (info->note)
            call_row(m, info, call, info->fate, info->note);
        return;
    }
    if (info->kind == HN_C_LOADER && !hn_py_is_same(call, m->loader)) {
        call_row(m, info, call, HONE_MIGRATE_AUTOMATIC, "not the rows that are trained on");
        return;
    }
    if (info->kind == HN_C_OPTIMIZER)
        set_optimizer(m, &place, "another optimizer, so the run will differ");
    if (info->kind == HN_C_RATE && strcmp(name, "get_scheduler") != 0)
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "lr_scheduler_type",
                    strstr(name, "cosine")   ? "cosine"
                    : strstr(name, "linear") ? "linear"
                                             : "constant",
                    HONE_MIGRATE_CARRIED, "");
    arguments(m, info, call, HN_RANK_USUAL);
}

/* model.save_pretrained("out") of a loop: the folder, which a trainer's arguments would say. */
static bool is_saved(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    const struct hn_py_value *folder = hn_py_value_at(call, 0);
    const struct hn_place place = {
        .call = info->name, .argument = "", .value = call, .cell = call->cell, .line = call->line};
    if (!m->loop || strcmp(info->name, "save_pretrained") != 0 || !folder ||
        folder->type != HN_PY_STR || hn_plan_get(m->plan, "adapter_path"))
        return false;
    hn_plan_set(m->plan, &place, HN_RANK_HINT, "adapter_path", hn_plan_value(m->plan, folder),
                HONE_MIGRATE_CARRIED, "");
    return true;
}

static const char label_mask[] =
    "labels of -100 take the prompt out of the loss; hone does so for prompt/completion, task, "
    "Alpaca and chat rows";

static void one_call(struct hn_migrator *m, const struct hn_call_info *info,
                     const struct hn_py_value *call)
{
    switch (info->kind) {
    case HN_C_MODEL:
    case HN_C_UNSLOTH_MODEL:
    case HN_C_LORA:
    case HN_C_UNSLOTH_PEFT:
    case HN_C_ARGUMENTS:
    case HN_C_SFT_ARGUMENTS:
    case HN_C_TRAINER:
    case HN_C_SFT_TRAINER:
        one_of_several(m, info, call);
        break;
    case HN_C_BNB:
    case HN_C_TOKENIZER:
    case HN_C_EARLY:
    case HN_C_PACK:
    case HN_C_GENERATE:
        arguments(m, info, call, HN_RANK_HINT);
        break;
    case HN_C_MAP:
        map(m, info, call);
        break;
    case HN_C_CHAT_FORMAT:
        chat_format(m, info, call);
        break;
    case HN_C_TOKENIZE:
        tokenize(m, info, call);
        break;
    case HN_C_TEMPLATE:
        template(m, info, call);
        break;
    case HN_C_PEFT_MODEL:
        adapter(m, info, call);
        break;
    case HN_C_COMPLETION_COLLATOR:
    case HN_C_RESPONSES_ONLY:
        mask(m, info, call, "loss on the responses only, of prompt/completion, task and chat rows");
        break;
    case HN_C_LABEL_MASK:
        mask(m, info, call, label_mask);
        break;
    case HN_C_SET_SEED:
        set_seed(m, info, call);
        break;
    case HN_C_LOAD:
    case HN_C_READ:
    case HN_C_FOREIGN:
    case HN_C_SPLIT:
    case HN_C_SLICE:
    case HN_C_PARTS:
        hn_data_call(m, info, call);
        break;
    case HN_C_OPTIMIZER:
    case HN_C_RATE:
    case HN_C_LOADER:
    case HN_C_CLIP:
    case HN_C_ACCELERATOR:
    case HN_C_EPOCHS:
        own_loop(m, info, call);
        break;
    case HN_C_MLX_MODEL:
    case HN_C_MLX_TRAIN:
    case HN_C_MLX_PART:
        mlx_call(m, info, call);
        break;
    case HN_C_GET_PEFT:
    case HN_C_MODEL_CONFIG:
    case HN_C_OTHER_PEFT:
    case HN_C_OTHER_TRAINER:
    case HN_C_COLLATOR:
    case HN_C_PARSER:
    case HN_C_NOTE:
    case HN_C_NONE:
        if (!is_saved(m, info, call))
            call_row(m, info, call, info->fate, info->note);
        break;
    }
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void attributes(struct hn_migrator *m)
{
    static const struct {
        const char *path;
        enum hone_migrate_fate fate;
        const char *note;
    } known[] = {
        {"pad_token", HONE_MIGRATE_AUTOMATIC, "hone pads nothing, so it needs no padding token"},
        {"pad_token_id", HONE_MIGRATE_AUTOMATIC, "hone pads nothing, so it needs no padding token"},
        {"padding_side", HONE_MIGRATE_AUTOMATIC, "hone pads nothing"},
        {"config.use_cache", HONE_MIGRATE_AUTOMATIC, "training has no cache"},
        {"config.pretraining_tp", HONE_MIGRATE_AUTOMATIC, "hone's products are exact"},
        {"chat_template", HONE_MIGRATE_NOT_CARRIED,
         "hone uses the chat template in the model's folder: write this one to a file, and give "
         "that as chat_template"},
        {"eos_token", HONE_MIGRATE_NOT_CARRIED, "hone ends rows with the model's own end token"},
        {"is_parallelizable", HONE_MIGRATE_AUTOMATIC, "of PyTorch"},
        {"model_parallel", HONE_MIGRATE_AUTOMATIC, "of PyTorch"},
    };
    for (const struct hn_py_attribute *a = m->program->sets; a; a = a->next) {
        struct hn_place place = {
            .call =
                hn_plan_text(m->plan, "%.*s", (int)HN_MIN(a->source.n, (size_t)100), a->source.p),
            .argument = "",
            .value = a->value,
            .cell = a->cell,
            .line = a->line};
        if (hn_py_path_ends(a->path, "pad_token") && a->value->type == HN_PY_UNKNOWN &&
            hn_py_path_ends(a->value->path, "eos_token"))
            m->pad_is_eos = true;
        const struct hn_call_info *owner =
            a->owner->type == HN_PY_OBJECT ? hn_call_find(a->owner) : NULL;
        if (owner && owner->rules && hn_rule_find(owner->rules, hn_py_last(a->path)))
            continue; /* it has its row as an argument of that call */
        if (hn_py_path_ends(a->path, "add_eos_token")) {
            m->tokenizer_eos = m->tokenizer_eos || hn_py_truth(a->value) == 1;
            hn_plan_row(m->plan, &place, HONE_MIGRATE_AUTOMATIC, "", "see append_eos");
        }
        if (hn_py_path_ends(a->path, "model_max_length"))
            hn_rule_apply(m, hn_rule_find(&hn_rules_tokenizer, hn_str_of("model_max_length")),
                          &place, HN_RANK_HINT);
        for (size_t i = 0; i < HN_COUNT(known); i++) {
            if (hn_py_path_ends(a->path, known[i].path)) {
                hn_plan_row(m->plan, &place, known[i].fate, "", known[i].note);
                break;
            }
        }
    }
}

/* ---- end tokens ------------------------------------------------------------------------------ */

/* Is the trainer given what TRL's has no longer taken since 0.13, or transformers' arguments of
 * that time?  Until 0.15 it ended no rows.  unsloth gives today's trainer those arguments too. */
static bool is_old_sft(const struct hn_migrator *m)
{
    static const char *const gone[] = {"tokenizer", "dataset_text_field", "max_seq_length",
                                       "packing"};
    const struct hn_call_info *trainer = m->trainer ? hn_call_find(m->trainer) : NULL;
    const struct hn_call_info *model =
        m->model && m->model->type == HN_PY_OBJECT ? hn_call_find(m->model) : NULL;
    bool old = hn_py_value_get(m->args, "evaluation_strategy") != NULL;
    for (size_t i = 0; i < HN_COUNT(gone); i++)
        old = old || hn_py_value_get(m->trainer, gone[i]);
    return old && trainer && trainer->kind == HN_C_SFT_TRAINER &&
           !(model && model->kind == HN_C_UNSLOTH_MODEL);
}

static bool packs(const struct hn_migrator *m)
{
    const struct hn_py_value *on_trainer = hn_py_value_get(m->trainer, "packing");
    const struct hn_py_value *on_args = hn_py_value_get(m->args, "packing");
    return (on_trainer && hn_py_truth(on_trainer) == 1) || (on_args && hn_py_truth(on_args) == 1);
}

static void end_token(struct hn_migrator *m)
{
    const struct hn_py_value *eos = m->program->eos;
    const bool old = is_old_sft(m), packed = packs(m);
    struct hn_place place = {.call = "end token", .argument = ""};
    if (eos) {
        place.value = eos;
        place.cell = eos->cell;
        place.line = eos->line;
    }
    bool written = eos || m->tokenizer_eos;
    if (m->sft && (!old || packed))
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "append_eos", "true", HONE_MIGRATE_CARRIED,
                    "TRL ends rows of text, and of prompt and completion, with the end token");
    else if (old && !written)
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "append_eos", "false", HONE_MIGRATE_CHANGED,
                    "TRL before 0.16, which this trainer's arguments are of, ends no rows of text "
                    "itself; set true for a model that learns to stop, as with TRL of today");
    else if (eos && hn_py_path_ends(eos->path, "pad_token_id"))
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "append_eos", "true", HONE_MIGRATE_CHANGED,
                    "the script ends its rows with the padding token and trains it; hone ends them "
                    "with the end token, which is the same in many models");
    else if (written && (m->collator || old) && m->pad_is_eos)
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "append_eos", "false", HONE_MIGRATE_CHANGED,
                    "the end token is the padding token, which the collator takes out of the loss: "
                    "the script never trained the model to stop; set true for a model that does");
    else if (written)
        hn_plan_set(m->plan, &place, HN_RANK_USUAL, "append_eos", "true", HONE_MIGRATE_CARRIED,
                    "the script ends its rows with the end token");
    else if (m->trainer || m->args || m->loop)
        hn_plan_set(
            m->plan, &place, HN_RANK_USUAL, "append_eos", "false", HONE_MIGRATE_CARRIED,
            "nothing in the script ends a row with the end token, so the model does not learn "
            "to stop; set true for a model that does");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* find_all_linear_names(model) and its like */
static bool finds_linear(const struct hn_py_module *module)
{
    for (const struct hn_py_statement *s = module->first; s; s = s->next)
        if (s->kind == HN_PY_S_DEF && hn_str_contains(s->text, "linear") &&
            (hn_str_contains(s->text, "find") || hn_str_contains(s->text, "get") ||
             hn_str_contains(s->text, "all") || hn_str_contains(s->text, "names")))
            return true;
    return false;
}

/* pip install …, ls: shell commands that a notebook takes without a mark */
static bool is_shell(const struct hn_py_statement *s)
{
    static const char *const words[] = {"pip ",  "pip3 ",   "conda ",  "apt ", "apt-get ",
                                        "cd ",   "ls",      "cat ",    "cp ",  "mv ",
                                        "rm ",   "mkdir ",  "git ",    "pwd",  "wget ",
                                        "curl ", "python ", "export ", "uv ",  "unzip "};
    for (size_t i = 0; i < HN_COUNT(words); i++)
        if (s->cell && s->source.n >= strlen(words[i]) &&
            memcmp(s->source.p, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void unread(struct hn_plan *plan, const struct hn_py_module *module)
{
    for (const struct hn_py_statement *s = module->first; s; s = s->next) {
        struct hn_py_value v = {.type = HN_PY_UNKNOWN, .source = s->source};
        const struct hn_place place = {.call = "not understood",
                                       .argument = "",
                                       .value = &v,
                                       .cell = s->cell,
                                       .line = s->line};
        if (s->kind == HN_PY_S_BAD && !is_shell(s))
            hn_plan_row(plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
                        "this statement is no Python that hone can read; it was left out");
    }
}

/* instruction_part = "…", of train_on_responses_only: no text that rows are made of */
static bool is_part(const struct hn_py_tokens *tokens, size_t i)
{
    return i >= 2 && hn_str_is(tokens->items[i - 1].text, "=") &&
           hn_str_ends(tokens->items[i - 2].text, "_part");
}

/* The forms in which scripts write their rows, by what stands in their strings. */
static void forms(struct hn_plan *plan, const struct hn_py_source *source,
                  const struct hn_py_tokens *tokens, unsigned *seen)
{
    static const char own[] = "a text of the script's own: hone formats chat rows with the model's "
                              "template, and task and Alpaca rows in theirs; for exactly these "
                              "texts write {\"text\": …} rows";
    static const struct {
        const char *text;
        enum hone_migrate_fate fate;
        const char *note;
    } known[] = {
        {"### TASK", HONE_MIGRATE_AUTOMATIC,
         "hone prepare writes task records in a form with such headings: lay its --preview beside "
         "the script's text"},
        {"Below is an instruction that describes a task", HONE_MIGRATE_AUTOMATIC,
         "hone writes Alpaca rows (instruction, input, output) in Stanford's form, which has "
         "another beginning without input: lay hone prepare --preview beside the script's text"},
        {"[INST]", HONE_MIGRATE_CHANGED, own},
        {"<|im_start|>", HONE_MIGRATE_CHANGED, own},
        {"<|start_header_id|>", HONE_MIGRATE_CHANGED, own},
        {"<start_of_turn>", HONE_MIGRATE_CHANGED, own},
        {"### Human", HONE_MIGRATE_CHANGED, own},
        {"### Question", HONE_MIGRATE_CHANGED, own},
    };
    for (size_t i = 0; i < tokens->n; i++) {
        const struct hn_py_token *t = &tokens->items[i];
        for (size_t k = 0; k < HN_COUNT(known) && t->type == HN_PY_STRING; k++) {
            if (*seen >> k & 1 || is_part(tokens, i) || !hn_str_contains(t->text, known[k].text))
                continue;
            struct hn_py_value v = {.type = HN_PY_STR, .text = hn_str_of(known[k].text)};
            const struct hn_place place = {.call = "prompt",
                                           .argument = "",
                                           .value = &v,
                                           .cell = source->cell,
                                           .line = t->line};
            hn_plan_row(plan, &place, known[k].fate, "", known[k].note);
            *seen |= 1u << k;
        }
    }
}

static int parse(struct hn_plan *plan, const struct hn_py_source *sources, size_t n,
                 struct hn_py_module *module, struct hone_err *err)
{
    unsigned seen = 0;
    for (size_t i = 0; i < n; i++) {
        struct hn_py_tokens tokens;
        int rc = hn_py_lex(plan->arena, &sources[i], &tokens, err);
        rc = rc ? rc : hn_py_parse(plan->arena, &sources[i], &tokens, module, err);
        if (rc)
            return rc;
        forms(plan, &sources[i], &tokens, &seen);
        if (!tokens.bad_line)
            continue;
        if (!sources[i].cell)
            return hn_fail(err, HONE_FAILED, "%s, line %u: found %s; this is no Python", plan->path,
                           tokens.bad_line, tokens.bad_why);
        const struct hn_place place = {.call = "not understood",
                                       .argument = "",
                                       .cell = sources[i].cell,
                                       .line = tokens.bad_line};
        hn_plan_row(
            plan, &place, HONE_MIGRATE_NOT_CARRIED, "",
            hn_plan_text(plan, "found %s; the rest of the cell was left out", tokens.bad_why));
    }
    return 0;
}

/* What the rules of single arguments have to know of the others. */
static void look_ahead(struct hn_migrator *m)
{
    double steps;
    const struct hn_py_value *warmup = hn_py_value_get(m->args, "warmup_steps");
    m->schedule = hn_py_value_get(m->args, "lr_scheduler_type");
    m->warmup = hn_py_is_number(warmup, &steps) && steps > 0 ? warmup : NULL;
}

/* A file of settings beside the script; not its data. */
static struct hn_py_value *read_config(void *of, const char *path)
{
    enum { MAX_SETTINGS = 1 << 18 };
    struct hn_plan *plan = of;
    if (hn_ends_with(path, ".json") && !hn_data_is_config(hn_str_of(path)))
        return NULL;
    return hn_file_size(hn_data_locate(plan, path)) <= MAX_SETTINGS ? hn_values_read(plan, path)
                                                                    : NULL;
}

int hn_script_migrate(struct hn_plan *plan, const struct hn_py_source *sources, size_t n,
                      struct hone_err *err)
{
    struct hn_py_module module = {0};
    struct hn_py_program *program = hn_arena_alloc(plan->arena, 1, sizeof *program);
    if (!program)
        return hn_fail_memory(err, "reading the source");
    int rc = parse(plan, sources, n, &module, err);
    rc = rc ? rc : hn_py_program_init(program, plan->arena, err);
    if (rc)
        return rc;
    unread(plan, &module);
    program->path = sources[0].cell ? NULL : plan->path;
    program->config = read_config;
    program->config_of = plan;
    hn_py_program_read(program, &module);
    struct hn_migrator m = {
        .plan = plan, .program = program, .finds_linear = finds_linear(&module)};
    choose(&m);
    look_ahead(&m);
    size_t found = 0;
    for (const struct hn_py_call *c = program->calls; c; c = c->next) {
        const struct hn_call_info *info = hn_call_find(c->object);
        if (m.data_used && hn_py_is_unused(program, c) && (!info || is_data(info->kind)))
            continue;
        if (!info) {
            hn_data_other(&m, c->object);
            continue;
        }
        found += info->kind != HN_C_READ && info->kind != HN_C_SLICE && info->kind != HN_C_LOADER &&
                 info->kind != HN_C_EPOCHS && (m.mlx_api || !is_mlx(info->kind));
        one_call(&m, info, c->object);
    }
    size_t before = plan->n_rows;
    if (!m.trainer && !m.args)
        hn_shell_migrate(&m, sources, n, false);
    if (plan->arena->failed)
        return hn_fail_memory(err, "reading the source");
    if (m.mlx_api && !m.mlx && !hn_shell_has_config(&m)) {
        if (plan->train.n || !hn_plan_get(plan, "data"))
            hn_data_finish(&m);
        m.mlx = true;
    }
    if (m.mlx || hn_shell_has_config(&m)) { /* all that trains is that line, or mlx-lm's API */
        hn_defaults_apply(&m);
        return plan->arena->failed ? hn_fail_memory(err, "reading the source") : 0;
    }
    if (!found && plan->n_rows > before)
        return hn_fail(err, HONE_FAILED, "%s, cell %u, line %u: %s", plan->path,
                       plan->rows[before].cell, plan->rows[before].line, plan->rows[before].note);
    if (!found)
        return hn_fail(err, HONE_FAILED,
                       "%s: no call was found that hone knows (from_pretrained, LoraConfig, "
                       "TrainingArguments, SFTTrainer…): is this the file that trains?",
                       plan->path);
    if (m.model && m.model->type == HN_PY_STR) { /* SFTTrainer(model="ORG/NAME") */
        const struct hn_place place = {.call = "model",
                                       .argument = "",
                                       .value = m.model,
                                       .cell = m.trainer ? m.trainer->cell : 0,
                                       .line = m.trainer ? m.trainer->line : 0};
        const char *name = hn_plan_value(plan, m.model);
        if (name)
            hn_plan_set(plan, &place, HN_RANK_USUAL, "model", name, HONE_MIGRATE_CARRIED, "");
    }
    attributes(&m);
    hn_data_finish(&m);
    end_token(&m);
    hn_defaults_apply(&m);
    return plan->arena->failed ? hn_fail_memory(err, "reading the source") : 0;
}
