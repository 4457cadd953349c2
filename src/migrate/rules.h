/* The tables that say what becomes of each argument of the calls that matter. */
#ifndef HN_MIGRATE_RULES_H
#define HN_MIGRATE_RULES_H

#include "migrate/migrate_plan.h"
#include "migrate/py_eval.h"

/* What a script was found to be, for the rules that depend on it. */
struct hn_migrator {
    struct hn_plan *plan;
    struct hn_py_program *program;                           /* NULL: a config file */
    const struct hn_py_value *args, *trainer, *lora, *model; /* the calls that train; NULL: none */
    const struct hn_py_value *loader;                        /* DataLoader of the rows of a loop */
    bool sft;           /* TRL's trainer: end tokens are added */
    bool mlx;           /* mlx-lm's config */
    bool mlx_api;       /* a script that trains with mlx-lm's Python API */
    bool trl;           /* TRL's recipe */
    bool axolotl;       /* axolotl's YAML */
    bool llama_factory; /* LLaMA-Factory's */
    bool torchtune;     /* a recipe of torchtune's */
    bool masks;         /* whose rows have prompts that are masked unasked */
    bool texts;         /* of these two: rows of text alone, which have no prompt */
    bool collator;      /* labels are made by DataCollatorForLanguageModeling */
    bool pad_is_eos;    /* so the end token is padding to that collator */
    bool tokenizer_eos; /* add_eos_token=True */
    bool evaluates;     /* an eval_dataset was given to the trainer */
    bool peft_given;    /* the trainer was given a peft_config, whatever it is */
    bool peft_met;      /* the script has calls of PEFT that make or load an adapter */
    bool decay_groups;  /* the optimizer of a loop is given groups of parameters */
    bool finds_linear;  /* the script has a function that looks for all linear layers */
    bool train_known;   /* the trainer's rows could be followed back to where they are read */
    bool data_used;     /* rows are read by code that is used */
    bool loop;          /* no trainer, no arguments: a loop of the script's own */
    bool tokenizer_met;
    bool parsed_sft, parsed; /* the arguments are a command line's: SFTConfig's, others */
    const char *model_name;  /* NULL: not known */
    const struct hn_py_value *schedule, *warmup; /* of the arguments that train */
    const char *all_steps;                       /* of a loop's schedule; NULL: not known */
    const struct hn_py_value *mlx_args;          /* the settings of mlx-lm that have their rows */
};

enum hn_action {
    HN_ACT_CARRY, /* key gets the value */
    HN_ACT_AUTO,  /* nothing to set; note says why */
    HN_ACT_LOST,  /* not carried, unless the value is one of `usual`, which changes nothing */
    HN_ACT_CALL,  /* fn knows */
};

struct hn_rule;
typedef void hn_rule_fn(struct hn_migrator *m, const struct hn_rule *rule,
                        const struct hn_place *place, const struct hn_py_value *v);

struct hn_rule {
    const char *names; /* of the argument, by spaces; "prefix*" too */
    enum hn_action action;
    const char *key;   /* hone's, as in YAML */
    const char *usual; /* by '|', as Python writes them */
    const char *note;
    hn_rule_fn *fn;
};

/* The rows for the arguments of one kind of call; tables follow each other. */
struct hn_rules {
    const struct hn_rule *rules;
    size_t n;
    const struct hn_rules *next;
};
extern const struct hn_rules hn_rules_training, hn_rules_sft, hn_rules_lora, hn_rules_bnb,
    hn_rules_model, hn_rules_unsloth_model, hn_rules_unsloth_lora, hn_rules_mlx, hn_rules_peft_file,
    hn_rules_trl, hn_rules_trainer, hn_rules_pack, hn_rules_early, hn_rules_tokenizer,
    hn_rules_tokenize, hn_rules_generate, hn_rules_optimizer, hn_rules_adam, hn_rules_rate,
    hn_rules_batches, hn_rules_clip, hn_rules_accelerator, hn_rules_epochs, hn_rules_mlx_load,
    hn_rules_mlx_arguments, hn_rules_mlx_layers, hn_rules_mlx_train, hn_rules_mlx_data,
    hn_rules_mlx_optimizer, hn_rules_mlx_generate, hn_rules_axolotl, hn_rules_llama_factory,
    hn_rules_torchtune, hn_rules_responses, hn_rules_chat_format;

/* NULL: no table of these has the name. */
const struct hn_rule *hn_rule_find(const struct hn_rules *rules, struct hn_str name);
/* Do what the rule says; rule NULL: a row "not known to hone". */
void hn_rule_apply(struct hn_migrator *m, const struct hn_rule *rule, const struct hn_place *place,
                   enum hn_rank rank);
/* The action of a setting that the tables of scripts know by another name, the rule's key. */
void hn_rule_by_name(struct hn_migrator *m, const struct hn_rule *rule,
                     const struct hn_place *place, const struct hn_py_value *v);
/* Whether the prompt is trained on: mask_prompt is the other way round. */
void hn_rule_on_inputs(struct hn_migrator *m, const struct hn_rule *rule,
                       const struct hn_place *place, const struct hn_py_value *v);
/* The rows that are held out, a part of all or a number of them. */
void hn_rule_held_out(struct hn_migrator *m, const struct hn_rule *rule,
                      const struct hn_place *place, const struct hn_py_value *v);
/* Is v one of the values in `usual`? */
bool hn_rule_is_usual(const char *usual, const struct hn_py_value *v);

#endif
