/* Writing text with a model. */
#ifndef HONE_GENERATE_H
#define HONE_GENERATE_H

#include "hone/model.h"
#include "hone/tokenizer.h"

struct hone_generate_options {
    int64_t max_tokens;        /* 200 */
    double temperature;        /* 0: the most likely token */
    double top_p, min_p;       /* 1 and 0: off */
    int64_t top_k;             /* 0: off */
    double repetition_penalty; /* 1: off; over the last 20 tokens, as mlx-lm */
    uint64_t seed;
    const char *const *stop; /* texts that end the answer (and are left out of it) */
    size_t n_stop;
    int64_t context;    /* cache size in tokens; 0: prompt + max_tokens */
    bool want_logprobs; /* fill result.logprobs */
};
void hone_generate_defaults(struct hone_generate_options *o);

struct hone_generation {
    char *text; /* without the stop text and special tokens */
    size_t text_size;
    struct hone_tokens tokens; /* generated, the end token left out */
    float *logprobs;           /* [tokens.n] natural logarithms, or NULL */
    int64_t prompt_tokens, generation_tokens;
    int64_t cached_tokens; /* of the prompt, that a conversation's cache held: not read again */
    double prompt_seconds, generation_seconds; /* generation counts from the first token on */
    double first_token_seconds;                /* from the process's start to the first token */
    const char *finish_reason;                 /* "stop", "length" or "interrupted" */
};
void hone_generation_release(struct hone_generation *g);

/* Called with each piece of text as it becomes certain, and with none (n = 0) now and then while
 * there is none, as when a long prompt is read; a non-zero result ends the generation. */
typedef int hone_text_fn(void *arg, const char *text, size_t n);

/* Continue prompt[n_prompt].  on_text may be NULL. */
int hone_generate(struct hone_model *model, const struct hone_tokenizer *tok, const int32_t *prompt,
                  size_t n_prompt, const struct hone_generate_options *o, hone_text_fn *on_text,
                  void *arg, struct hone_generation *out, struct hone_err *err);

/* The memory that hone_generate will use for a prompt and an answer of these lengths. */
int hone_generate_plan(const struct hone_model *model, int64_t prompt_tokens, int64_t max_tokens,
                       struct hone_memory_plan *out, struct hone_err *err);

#endif
