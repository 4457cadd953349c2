/* Two models, or one model in two systems, side by side.
 *
 * Each side is measured by itself, in a process of its own where its memory is to be honest (peak
 * memory is a high-water mark of the process): hone_compare_measure.  What two sides said of the
 * same tokens is then laid beside each other: hone_compare_agree. */
#ifndef HONE_COMPARE_H
#define HONE_COMPARE_H

#include "hone/data.h"
#include "hone/generate.h"

struct hone_compare_prompt {
    const char *text;   /* as the user wrote it */
    const int32_t *ids; /* as the model is to see it, chat template and all */
    size_t n_ids;
};

struct hone_compare_options {
    const char *data;                 /* a .jsonl file; NULL: none */
    struct hone_dataset_options rows; /* how its rows are encoded; the tokenizer is set for you */
    const char *const *texts;         /* plain texts to measure the loss on, instead of data */
    size_t n_texts;
    const struct hone_compare_prompt *prompts; /* to be answered, before those of data */
    size_t n_prompts;
    int64_t limit;             /* 100; rows of data that are measured; 0: all */
    int64_t samples;           /* 8: prompts of data that are answered */
    int64_t max_tokens;        /* of an answer; 0: twice the expected one and 64, else 100 */
    int64_t agreement_tokens;  /* 512: positions whose next-token logits are kept */
    int64_t prompt_tokens;     /* 512: length of the prompt whose speed is measured */
    int64_t generation_tokens; /* 64: and of the answer; both 0: no speed is measured */
    const char *logits_path; /* the file that gets the logits, [positions, V] float32; NULL: none */
};
void hone_compare_defaults(struct hone_compare_options *o);

/* A row of tokens that was measured. */
struct hone_compare_row {
    int32_t *ids;
    uint8_t *trained; /* [n] 1 where the token is predicted with loss */
    size_t n;
    int64_t positions; /* the first of them have their next-token logits in the file */
};

struct hone_compare_answer {
    char *prompt, *expected, *output; /* expected NULL: nothing is; output NULL: not written yet */
    int32_t *prompt_ids;
    size_t n_prompt_ids;
    int64_t max_tokens, tokens;
    bool exact, has_json, json_valid;
    int64_t json_fields_right, json_fields;
    double rouge_l;
};

/* All that was measured of one side; owns everything. */
struct hone_compare_side {
    char *model, *adapter;                         /* paths; adapter NULL: none */
    char *system;                                  /* "hone", "transformers 5.0, torch 2.9" */
    char *family, *format, *quantization, *device; /* as hone_model_info has them */
    int64_t n_parameters, file_bytes, adapter_bytes, vocab_size;
    int32_t eos[16];
    size_t n_eos;
    double load_seconds; /* opening model and tokenizer */
    double
        first_token_seconds; /* from the process's start to the first token of an answer; 0: none */
    double prompt_tokens_per_second, generation_tokens_per_second;
    uint64_t
        peak_memory; /* of the process, loading, writing answers and the measurement of speed */
    struct hone_compare_row *rows;
    size_t n_rows;
    uint64_t data_rows; /* of the data file; n_rows of them were measured */
    struct hone_compare_answer *answers;
    size_t n_answers;
    int64_t loss_tokens; /* positions with loss; 0: there is no loss */
    double loss, perplexity;
};
void hone_compare_side_release(struct hone_compare_side *s);

/* Called as the work goes on; a non-zero result stops it with HONE_INTERRUPTED. */
typedef int hone_compare_fn(void *arg, double fraction, const char *what);

/* What the model is, its files' sizes included; nothing is measured. */
int hone_compare_describe(const struct hone_model *model, struct hone_compare_side *out,
                          struct hone_err *err);

/* Measure an opened model, described too.  out is zero-initialised by the caller, who may have set
 * load_seconds, and released by the caller in any case. */
int hone_compare_measure(struct hone_model *model, const struct hone_tokenizer *tok,
                         const struct hone_compare_options *o, hone_compare_fn *on_progress,
                         void *arg, struct hone_compare_side *out, struct hone_err *err);

/* Score the answers of a side that another system wrote. */
int hone_compare_score(struct hone_compare_side *s, struct hone_err *err);

struct hone_agreement {
    int64_t positions;  /* 0: impossible, and why says so */
    int64_t vocabulary; /* tokens that both have; distributions are over them */
    char why[200];
    double top1;             /* part of the positions at which both have the same likeliest token */
    double kl_ab, kl_ba;     /* mean over positions of KL(a‖b) and KL(b‖a), in nats */
    double kl_max;           /* the largest KL(a‖b) */
    double logit_difference; /* the largest |a - b| */
    double relative_difference; /* and over the largest |logit| of b */
};
/* Compare what two sides wrote into their files of logits. */
int hone_compare_agree(const struct hone_compare_side *a, const char *logits_a,
                       const struct hone_compare_side *b, const char *logits_b,
                       struct hone_agreement *out, struct hone_err *err);

#endif
