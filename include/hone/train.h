/* Fine-tuning. */
#ifndef HONE_TRAIN_H
#define HONE_TRAIN_H

#include "hone/data.h"
#include "hone/model.h"

enum hone_fine_tune_type {
    HONE_LORA,
    HONE_DORA, /* LoRA whose rows have trained lengths, as in PEFT (use_dora) */
    HONE_FULL, /* the weights themselves: all, or those of the last num_layers blocks */
};
enum hone_schedule {
    /* transformers' get_scheduler: a linear warm-up from 0, then as the name says */
    HONE_CONSTANT,
    HONE_LINEAR,
    HONE_COSINE,
    HONE_COSINE_RESTARTS,
    HONE_COSINE_MIN_LR,
    HONE_COSINE_WARMUP_MIN_LR,
    HONE_POLYNOMIAL,
    HONE_INVERSE_SQRT,
    HONE_WARMUP_STABLE_DECAY,
    HONE_PLATEAU, /* torch's ReduceLROnPlateau on the validation loss; no warm-up */
    /* mlx_lm's lr_schedule */
    HONE_COSINE_DECAY,
    HONE_LINEAR_SCHEDULE,
    HONE_EXPONENTIAL_DECAY,
    HONE_STEP_DECAY,
};
enum hone_optimizer { HONE_ADAMW, HONE_ADAM, HONE_ADAMW_8BIT, HONE_SGD };
enum hone_batch_order {
    HONE_ORDER_HONE, /* rows in a new order each epoch; the last batch may be smaller */
    HONE_ORDER_MLX,  /* mlx_lm's batches and their order, of training and validation, bit for bit */
};
enum hone_adapter_start {
    HONE_START_HONE,
    HONE_START_MLX, /* what mlx_lm draws for this seed, bit for bit */
};
enum hone_step_rule {
    HONE_STEPS_HONE, /* a step's tokens all weigh the same; an epoch's last window updates */
    HONE_STEPS_MLX, /* a step's micro-batches all weigh the same; windows reach across epochs, and a
                       partial last one updates nothing; reports, validations and checkpoints count
                       micro-batches, and a validation comes before its iteration.  A checkpoint
                       waits for the end of the window. */
};
enum hone_strategy {
    HONE_NEVER,
    HONE_STEPS,
    HONE_EPOCH,
    HONE_BEST, /* of saving: after a validation with the lowest loss so far */
};

/* Every setting of a run; defaults are the hone preset's.  Strings and arrays are borrowed. */
struct hone_train_options {
    const char *model;
    const char *data;       /* directory with train/valid/test.jsonl, or one file */
    const char *valid_data; /* one file; NULL: data/valid.jsonl when data is a directory */
    double valid_fraction;  /* 0: of one-file data, held out */
    enum hone_record_kind format;
    const char *adapter_path;        /* "adapters" */
    const char *resume_adapter_file; /* start from these weights */
    bool resume;                     /* go on from the last checkpoint in adapter_path */

    enum hone_fine_tune_type fine_tune_type;
    int64_t lora_rank;   /* 8 */
    double lora_alpha;   /* 16 */
    double lora_scale;   /* 0: alpha/r (or alpha/sqrt(r)); else mlx-lm's scale */
    double lora_dropout; /* 0.05 */
    bool use_rslora;
    const char *const *target_modules; /* q_proj,k_proj,v_proj,o_proj; names, globs or all-linear */
    size_t n_target_modules;
    int64_t num_layers; /* -1: all blocks; else the last N */

    double learning_rate; /* 2e-4 */
    enum hone_schedule lr_scheduler_type;
    const char *const *lr_scheduler_kwargs; /* "num_cycles=2": arguments by the names that
                                               transformers and mlx give them */
    size_t n_lr_scheduler_kwargs;
    double warmup_steps;           /* >= 1: steps; between 0 and 1: fraction of all steps */
    enum hone_optimizer optimizer; /* HONE_ADAMW; HONE_ADAM takes no weight decay,
                                      HONE_ADAMW_8BIT keeps its moments as bitsandbytes does */
    double adam_beta1, adam_beta2, adam_epsilon, weight_decay;
    double momentum, dampening; /* 0, 0: of SGD, as torch.optim.SGD; with mlx's step rule dampening
                                   holds in the first step too, as mlx.optimizers.SGD */
    bool nesterov;              /* of SGD */
    bool bias_correction;       /* true */
    bool decay_norms;           /* weight decay of norms and biases too (HONE_FULL) */
    double max_grad_norm;       /* 1.0; 0: off */
    int64_t batch_size;         /* 1 */
    int64_t grad_accumulation_steps; /* 1 */
    double num_epochs;               /* 3 */
    int64_t iters;                   /* 0: by epochs; else micro-batches, as mlx-lm counts */
    int64_t max_steps;               /* 0: off; else optimizer steps */
    int64_t max_seq_length;          /* 1024 */
    bool shuffle;                    /* true */
    uint64_t seed;                   /* 0 */
    bool append_eos;                 /* true */
    bool mask_prompt;                /* false */
    bool train_last_turn;            /* false: see hone_dataset_options */
    bool plain_completions;          /* false: see hone_dataset_options */
    bool train_padding;              /* false: see hone_dataset_options */
    bool group_by_length; /* false; rows of like lengths in a batch, as transformers groups them */
    enum hone_batch_order batch_order;
    enum hone_adapter_start adapter_start;
    enum hone_step_rule step_rule;
    const char *chat_template; /* NULL: the model's; else as hone_tokenizer_set_chat_template
                                  takes it, and written beside the adapter */
    enum hone_checkpointing grad_checkpoint;

    enum hone_strategy eval_strategy; /* HONE_EPOCH */
    bool eval_on_start;               /* false: also before the first step: the base's loss */
    int64_t steps_per_eval;           /* optimizer steps, with HONE_STEPS */
    int64_t val_batches;              /* -1: all */
    int64_t eval_batch_size;          /* 0: the validation loss is the mean over all tokens; else of
                                         the means of batches of so many rows, as transformers' */
    int64_t steps_per_report;         /* 10 */
    int64_t report_samples;           /* 3: rows that HONE_TRAIN_SAMPLE hands over */
    enum hone_strategy save_strategy; /* HONE_EPOCH */
    int64_t save_every;               /* optimizer steps, with HONE_STEPS */
    int64_t save_total_limit;         /* 0: keep all checkpoints; else the newest N and the best */
    int64_t
        early_stopping_patience; /* 0: off; else stop after N validations without a lower loss */
    double early_stopping_threshold; /* 0: how much lower than the best counts */
    bool load_best_model_at_end;     /* the adapter that is left is the best checkpoint's */

    uint64_t memory; /* 0: what the machine has; else refuse or fit below it */
    struct hone_device_options device;
};
void hone_train_defaults(struct hone_train_options *o);

enum hone_train_event_kind {
    HONE_TRAIN_PLAN,     /* before the first step: plan, data and model are set */
    HONE_TRAIN_SAMPLE,   /* after PLAN: a row for people to look at, held out where some are */
    HONE_TRAIN_PROGRESS, /* after every micro-batch */
    HONE_TRAIN_REPORT,   /* every steps_per_report optimizer steps and at the last */
    HONE_TRAIN_EVAL,     /* step 0: of the base, before the first step */
    HONE_TRAIN_SAVED,
    HONE_TRAIN_NOTE, /* a sentence for the user */
    HONE_TRAIN_DONE,
};
struct hone_train_event {
    enum hone_train_event_kind kind;
    int64_t step, total_steps; /* optimizer steps, from 1; PROGRESS: those done before */
    int64_t iter, total_iters; /* micro-batches, from 1 */
    double epoch;
    double loss; /* REPORT: mean over the window's trained tokens; PROGRESS: last */
    double val_loss, val_seconds;
    bool best; /* EVAL: lowest so far */
    double learning_rate, grad_norm;
    int64_t tokens; /* trained tokens so far */
    double tokens_per_second, steps_per_second, seconds_left, seconds;
    uint64_t peak_memory;
    const char *text; /* NOTE, SAVED: message or path */
    const struct hone_memory_plan *plan;
    const struct hone_model_info *model;
    const struct hone_dataset_info *train_data, *valid_data; /* valid_data NULL: none */
    int64_t trainable_parameters;
    int64_t train_rows, valid_rows; /* PLAN: rows trained on, and held out */
    const struct hone_row *row;     /* SAMPLE; borrowed for the call */
};
/* A non-zero result asks the run to stop after this step; it saves, and hone_train gives
 * HONE_INTERRUPTED. */
typedef int hone_train_fn(void *arg, const struct hone_train_event *event);

/* The whole run: plan, train, evaluate, save.  settings_yaml is written as train.yaml (NULL: none).
 */
int hone_train(const struct hone_train_options *o, const char *settings_yaml,
               hone_train_fn *on_event, void *arg, struct hone_err *err);

/* The plan alone, for `hone info --train`: max_tokens is what one micro-batch holds at most.  Makes
 * the adapter in the model for the while, so an adapter that was loaded is gone afterwards. */
int hone_train_plan(struct hone_model *model, const struct hone_train_options *o,
                    int64_t max_tokens, struct hone_memory_plan *out, struct hone_err *err);

#endif
