/* Telling calls apart by what they are called on, and following objects back to where they were
 * made. */
#ifndef HN_MIGRATE_CALLS_H
#define HN_MIGRATE_CALLS_H

#include "migrate/rules.h"

enum hn_call_kind {
    HN_C_NONE, /* of no interest */
    HN_C_MODEL,
    HN_C_UNSLOTH_MODEL,
    HN_C_TOKENIZER,
    HN_C_PEFT_MODEL,   /* PeftModel.from_pretrained: an adapter applied */
    HN_C_MODEL_CONFIG, /* AutoConfig */
    HN_C_BNB,
    HN_C_LORA,
    HN_C_OTHER_PEFT,
    HN_C_GET_PEFT,
    HN_C_UNSLOTH_PEFT,
    HN_C_ARGUMENTS,
    HN_C_SFT_ARGUMENTS,
    HN_C_TRAINER,
    HN_C_SFT_TRAINER,
    HN_C_OTHER_TRAINER, /* DPO, GRPO… */
    HN_C_COLLATOR,
    HN_C_COMPLETION_COLLATOR,
    HN_C_RESPONSES_ONLY,
    HN_C_EARLY,
    HN_C_TOKENIZE,
    HN_C_TEMPLATE,
    HN_C_GENERATE,
    HN_C_LOAD,    /* load_dataset */
    HN_C_READ,    /* Dataset.from_json, read_json, open */
    HN_C_FOREIGN, /* parquet, a data set on disk */
    HN_C_SPLIT,
    HN_C_SLICE,       /* rows[a:b] */
    HN_C_PARTS,       /* random_split */
    HN_C_MAP,         /* rows made by a function of the script */
    HN_C_PACK,        /* ConstantLengthDataset */
    HN_C_CHAT_FORMAT, /* setup_chat_format, get_chat_template */
    HN_C_PARSER,      /* HfArgumentParser, argparse, TrlParser */
    HN_C_SET_SEED,
    HN_C_LABEL_MASK, /* [-100] * n */
    HN_C_OPTIMIZER,  /* from here: what a loop of the script's own is made of */
    HN_C_RATE,
    HN_C_LOADER,
    HN_C_CLIP,
    HN_C_ACCELERATOR,
    HN_C_EPOCHS,    /* for epoch in … */
    HN_C_MLX_MODEL, /* from here: mlx-lm's Python API */
    HN_C_MLX_TRAIN, /* what only a script that trains calls */
    HN_C_MLX_PART,  /* its data sets, and optimizers of mlx */
    HN_C_NOTE,      /* one row: what hone makes of it is in the table below */
};

struct hn_call_info {
    const char *name; /* what the row calls it */
    enum hn_call_kind kind;
    const struct hn_rules *rules; /* NULL: none */
    const char *positional;       /* parameter names, by spaces */
    enum hone_migrate_fate fate;  /* of a NOTE and of the call itself */
    const char *note;
};

/* NULL: hone has nothing to say of it. */
const struct hn_call_info *hn_call_find(const struct hn_py_value *call);

/* The argument of this name, or at its place. */
const struct hn_py_value *hn_call_argument(const struct hn_call_info *info,
                                           const struct hn_py_value *call, const char *name);
/* The name of the positional argument i, or NULL. */
const char *hn_call_positional(const struct hn_call_info *info, struct hn_arena *arena, size_t i);

/* Does v come from this call, through methods, items and arguments? */
bool hn_call_leads_to(const struct hn_py_value *v, const struct hn_py_value *call);

/* The call that made a model, through get_peft_model and the like; NULL: not known. */
const struct hn_py_value *hn_call_model_of(const struct hn_py_value *v);

#endif
