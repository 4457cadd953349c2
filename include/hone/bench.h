/* How fast this machine is, and how near to its limits hone comes on a model. */
#ifndef HONE_BENCH_H
#define HONE_BENCH_H

#include "hone/model.h"
#include "hone/tokenizer.h"
#include "hone/train.h"

struct hone_bench_options {
    struct hone_device_options device;
    int64_t prompt_tokens;     /* 512 */
    int64_t generation_tokens; /* 64 */
    int64_t train_tokens;      /* 512: one sequence of this length; 0: training is left out */
    int64_t trials;            /* 3: the best counts, and the median is given too; fewer where
                                  they would take more than a quarter of a minute */
    int64_t decode_batch;      /* 32: 2, 4, 8… up to so many sequences decode at once; 1: none */
    int64_t class_tokens;      /* 256: of text, that each class of arithmetic is compared with
                                  float32 on; 0: classes are left out */
    struct hone_train_options train; /* the adapter whose training is measured */
};
void hone_bench_defaults(struct hone_bench_options *o);

struct hone_bench_limits {
    double bytes_per_second; /* measured: reading memory with all threads */
    double
        flops_per_second; /* measured: float32 multiply-adds with all threads, 2 per multiply-add */
};

struct hone_bench_row {
    char name[24];                    /* "prefill", "decode", "decode x8", "train" */
    int64_t sequences;                /* computed at once */
    double tokens_per_second, median; /* best and median of the trials, of all sequences together */
    double bytes_per_token,
        flops_per_token; /* what the arithmetic has to read and do; 0: not the limit */
    double fraction;     /* of this machine's limit, 0..1 */
    double alone;        /* of the time, 0..1, in which one thread works and the others wait */
    const char *limit;   /* "memory" or "arithmetic" */
    uint64_t peak_memory;
};
/* A class of arithmetic that this machine has for this model: its speed, and what it costs beside
 * float32.  The text is English, cut into eight sequences that are decoded side by side; float32
 * are the logits of whole sequences without a cache in the exact class. */
struct hone_bench_class {
    enum hone_compute compute;
    double prefill, decode; /* tokens per second */
    int64_t positions;      /* compared; 0 for a model without a tokenizer */
    double mean_kl;         /* KL(float32 || class), in nats */
    double same_top;        /* 0..1: positions with the same likeliest token */
};
struct hone_bench_result {
    struct hone_bench_limits limits;
    struct hone_bench_row rows[9];
    size_t n_rows;
    struct hone_bench_class classes[3];
    size_t n_classes;
    double
        first_token_seconds; /* from the process's start: model and tokenizer opened, a prompt of */
    int64_t first_token_prompt; /* so many tokens read */
};

/* Called before each measurement with a sentence for the user; a non-zero result stops. */
typedef int hone_bench_fn(void *arg, const char *text);

int hone_bench(const char *model_path, const struct hone_bench_options *o, hone_bench_fn *on_note,
               void *arg, struct hone_bench_result *out, struct hone_err *err);

#endif
